"""Conversations as the text that the model's own chat template makes of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import jinja2

from pytest_lmeval.backends.protocol import Conversation, GenerationRequest, LoglikelihoodRequest
from pytest_lmeval.errors import BackendError, ModelSpecError

RequestT = TypeVar("RequestT", LoglikelihoodRequest, GenerationRequest)


class ChatTemplate:
    """The template of one tokenizer, or one of its templates chosen by ``name``, or a file's.

    A template that refuses a system message gets the conversation without it, as in lm-evaluation-harness; that is
    said once, since a task's description is lost with it.
    """

    def __init__(self, tokenizer: Any, model: str, name: str | None = None) -> None:
        self._tokenizer = tokenizer
        self._model = model
        self._template = _chosen(tokenizer, name)
        self._told = False

    def plain(self, requests: Iterator[RequestT]) -> Iterator[RequestT]:
        """Pass requests on, each conversation among their contexts rendered to text."""
        for request in requests:
            context = request.context
            yield request if isinstance(context, str) else replace(request, context=self.render(context))

    def render(self, conversation: Conversation) -> str:
        """Return the text that the model reads. Raises BackendError where there is no template or it fails."""
        try:
            return self._apply(conversation, None)
        except jinja2.TemplateError as error:
            if not any(message.role == "system" for message in conversation.messages):
                raise self._failed(error) from None
        # Tried anew for each conversation: what was refused in one may have been another message.
        try:
            text = self._apply(conversation, "system")
        except jinja2.TemplateError as error:
            raise self._failed(error) from None
        if not self._told:
            self._told = True
            warnings.warn(f"{self._model}: the chat template takes no system message; it is left out", stacklevel=2)
        return text

    def _apply(self, conversation: Conversation, without: str | None) -> str:
        try:
            text = self._tokenizer.apply_chat_template(
                conversation.as_dicts(without=without),
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=not conversation.continues,
                continue_final_message=conversation.continues,
            )
        except ValueError as error:
            raise self._failed(error) from None
        return str(text)

    def _failed(self, error: Exception) -> BackendError:
        if self._template is None and self._tokenizer.chat_template is None:
            return BackendError(
                f"{self._model} has no chat template. Leave --lm-chat-template out, or name a file with one: "
                "chat_template=FILE"
            )
        return BackendError(f"{self._model}: the chat template cannot be applied: {error}")


def _chosen(tokenizer: Any, name: str | None) -> str | None:
    """Find a template by name; None stands for the tokenizer's default."""
    if name is None:
        return None
    templates = tokenizer.chat_template
    if isinstance(templates, dict) and name in templates:
        return str(templates[name])
    path = Path(name).expanduser()
    if path.is_file():
        return path.read_text(encoding="utf-8")
    known = f" or one of the tokenizer's: {', '.join(templates)}" if isinstance(templates, dict) else ""
    raise ModelSpecError(f"chat_template={name}: expected a file{known}")
