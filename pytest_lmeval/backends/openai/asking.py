"""From a request to the call that asks it: which endpoint, what of the prompt, and the settings in its words."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pytest_lmeval.backends.openai.connection import CallFailed
from pytest_lmeval.backends.openai.manner import Manner
from pytest_lmeval.backends.protocol import Context, Conversation, Failure, GenerationRequest, GenerationSettings
from pytest_lmeval.backends.text.chat import ChatTemplate
from pytest_lmeval.backends.text.encoding import Encoder, Tokens
from pytest_lmeval.backends.text.endings import Endings
from pytest_lmeval.backends.text.prompting import Prompt, encode
from pytest_lmeval.backends.text.seeds import seed_of
from pytest_lmeval.errors import BackendError

# Settings that some server knows by these names. Others are refused here, because most servers drop what they do not
# know without a word, and the answers would not be what was asked for.
FURTHER = frozenset({
    "allowed_token_ids", "bad_words", "chat_template_kwargs", "dynatemp_exponent", "dynatemp_range", "enable_thinking",
    "frequency_penalty", "grammar", "include_reasoning", "logit_bias", "min_p", "min_tokens", "mirostat",
    "mirostat_eta", "mirostat_tau", "presence_penalty", "reasoning", "reasoning_effort", "repeat_last_n",
    "repeat_penalty", "repetition_detection", "repetition_penalty", "response_format", "service_tier",
    "stop_token_ids", "structured_outputs", "thinking", "thinking_budget", "thinking_token_budget", "top_a",
    "typical_p", "verbosity", "vllm_xargs",
})  # fmt: skip

# Settings that ask for nothing when they have these values.
NEUTRAL = {"num_beams": 1, "num_return_sequences": 1}

# Servers differ in how wide a seed they read.
_SEEDS = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """The served model's tokenizer at hand: prompts are encoded and answers decoded here, as for a local model."""

    encoder: Encoder
    endings: Endings
    template: ChatTemplate


@dataclass(frozen=True, slots=True)
class Call:
    """A call to make: ``prompt`` is what its tokens are, where they were made here."""

    manner: Manner
    body: Mapping[str, Any]
    prompt: Prompt | None = None


class Asking:
    """Words requests for the endpoints there are, ``completions`` and ``chat``; one of them at least.

    Texts go to the first, conversations to the second. Where there is only the first, conversations are rendered here,
    which takes a tokenizer (``local``); where there is only the second, a text is one message of the user. ``why`` is
    the reason for one that is not there.
    """

    def __init__(
        self, model: str, completions: Manner | None, chat: Manner | None, local: Local | None = None, why: str = ""
    ) -> None:
        self._model = model
        self._completions = completions
        self._chat = chat
        self._local = local
        self._why = why
        self._told = False

    def call(self, request: GenerationRequest, seen: Counter[int]) -> Call:
        """Return the call; ``seen`` counts the equal ones before it in a stream.

        Raises CallFailed where the request cannot be asked here, with the reason.
        """
        _check(request.settings)
        if self._chat is not None and (isinstance(request.context, Conversation) or self._completions is None):
            return self._finished(self._chat, self.messages(request.context, self._chat), request.settings, seen)
        assert self._completions is not None
        text = self._text(request.context)
        if self._local is None or not self._completions.ids:
            return self._finished(self._completions, {"prompt": text}, request.settings, seen)
        # A long prompt is cut, so that there is room for the answer and the reasoning before it.
        most = replace(request.settings, max_tokens=self._completions.most(request.settings.max_tokens))
        (prompt,) = encode(self._local.encoder, [replace(request, context=text, settings=most)])
        if isinstance(prompt, Failure):
            raise CallFailed(prompt.error)
        return self._finished(self._completions, {"prompt": prompt.tokens}, request.settings, seen, prompt)

    def messages(self, context: Context, manner: Manner) -> dict[str, Any]:
        """Return a conversation's part of the body. Raises CallFailed where it cannot be continued."""
        if isinstance(context, str):
            self._tell()
            return {"messages": [{"role": "user", "content": context}]}
        body: dict[str, Any] = {"messages": context.as_dicts()}
        if not context.continues or manner.prefill:
            return body
        if manner.vllm:
            return body | {"continue_final_message": True, "add_generation_prompt": False}
        raise CallFailed(_CANNOT_CONTINUE)

    def _text(self, context: Context) -> str:
        """Return a text to continue. Raises CallFailed for a conversation that cannot be rendered here."""
        if isinstance(context, str):
            return context
        if self._local is None:
            raise CallFailed(f"{_CANNOT_RENDER} {self._why}".rstrip())
        try:
            return self._local.template.render(context)
        except BackendError as error:
            raise CallFailed(str(error)) from None

    def _finished(
        self,
        manner: Manner,
        asked: Mapping[str, Any],
        settings: GenerationSettings,
        seen: Counter[int],
        prompt: Prompt | None = None,
    ) -> Call:
        body = {"model": self._model, **asked, **worded(settings, manner)}
        if settings.do_sample and manner.seed:
            body["seed"] = _seed(settings.seed, str(asked) if prompt is None else prompt.tokens, seen)
        if prompt is not None and manner.vllm and not manner.thinks:
            # Stop strings may be special tokens, and the answer is decoded here.
            body |= {"return_token_ids": True, "skip_special_tokens": False}
        return Call(manner, body, prompt)

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            warnings.warn(
                f"{self._model} is asked by the chat endpoint alone: a prompt that is plain text is sent as one "
                "message of the user. --lm-chat-template makes conversations of a task's prompts.",
                stacklevel=2,
            )


def worded(settings: GenerationSettings, manner: Manner) -> dict[str, Any]:
    """Return the settings as fields of a call."""
    body: dict[str, Any] = manner.limited(settings.max_tokens)
    if manner.temperature:
        body["temperature"] = settings.temperature
        chosen = {"top_p": settings.top_p, "top_k": settings.top_k} if settings.do_sample else {}
        body |= {key: value for key, value in chosen.items() if value is not None}
    if manner.effort is not None:
        body["reasoning_effort"] = manner.effort
    if stops := manner.sent(settings.until):
        body["stop"] = stops
    return body | {key: value for key, value in settings.extra if key not in NEUTRAL}


def _seed(seed: int | None, key: Tokens | str, seen: Counter[int]) -> int:
    """Return a text's own seed; equal texts draw differently one after the other."""
    number = hash((key, seed))
    seen[number] += 1
    return seed_of(seed, key, seen[number] - 1) % _SEEDS


def _check(settings: GenerationSettings) -> None:
    """Raise CallFailed for settings that no server would heed."""
    if settings.max_tokens < 1:
        raise CallFailed(f"max_tokens is {settings.max_tokens}; it must be 1 at least.")
    unknown = sorted(key for key, value in settings.extra if key not in FURTHER and NEUTRAL.get(key) != value)
    if unknown:
        named = ", ".join(unknown)
        raise CallFailed(
            f"The openai backend has no generation setting {named}. Besides the common ones it has "
            f"{', '.join(sorted(FURTHER))}."
        )


_CANNOT_RENDER = (
    "There is no chat endpoint to ask (or endpoint=completions asks for the other), and a conversation cannot be "
    "rendered without the model's tokenizer. Give tokenizer=NAME, or leave --lm-chat-template out."
)
_CANNOT_CONTINUE = (
    "The prompt ends with the beginning of the answer (gen_prefix), and this server is not known to go on with it. "
    "Give prefill=true if it does; where it has a completions endpoint, endpoint=completions with tokenizer=NAME "
    "renders the conversation here."
)
