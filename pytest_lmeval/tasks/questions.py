"""From a document to what is asked of the model, and what must be remembered of it to score the answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lmeval.backends.protocol import (
    Context,
    Conversation,
    GenerationRequest,
    GenerationSettings,
    LoglikelihoodRequest,
    Request,
    RollingRequest,
)
from pytest_lmeval.tasks.options import PromptOptions
from pytest_lmeval.tasks.order import sampling_settings
from pytest_lmeval.tasks.prompts import PromptBuilder, Shot
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.templates import FieldReader

Document = Mapping[str, Any]

# What the model is given, before it is a request: a text, a context and its continuation, or a context alone.
Call = tuple[Any, ...]

#: Characters that are kept of a prompt, and of what stands before it: their ends, which a model sees last.
KEPT = 5_000


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked about one document.

    ``calls`` requests were sent, each ``repeats`` times. ``gold`` is what the document's target resolved to.
    ``prompt_length`` is in characters, of the first request; of that, ``prompt`` is the document's own part and
    ``examples`` what stands before it, both within ``KEPT``.
    """

    index: int
    calls: int
    choices: tuple[str, ...]
    gold: Any
    examples: str
    prompt: str
    prompt_length: int
    document_hash: str
    prompt_hash: str
    target_hash: str


@dataclass(frozen=True, slots=True)
class Interview:
    """One document as it is asked: its row, its rendered examples, the question and the requests."""

    document: Document
    shots: tuple[Shot, ...]
    question: Question
    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class TaskShape:
    """What kind of task it is, decided on the first document as the reference does."""

    multiple_input: bool
    multiple_target: bool
    mutual_info: bool

    @classmethod
    def of(cls, spec: TaskSpec, reader: FieldReader, first: Document, metrics: Sequence[str]) -> TaskShape:
        """Inspect the first document."""
        text = reader.text(spec.doc_to_text, first) if spec.doc_to_text is not None else ""
        target = reader.target(spec.doc_to_target, first) if spec.doc_to_target is not None else ""
        return cls(
            multiple_input=spec.doc_to_choice is not None and isinstance(text, int),
            multiple_target=isinstance(target, list),
            mutual_info="acc_mutual_info" in metrics,
        )


class Interviewer:
    """Builds the requests of one task, document by document."""

    def __init__(
        self,
        spec: TaskSpec,
        reader: FieldReader,
        shape: TaskShape,
        generation: GenerationSettings,
        options: PromptOptions,
        run: int = 0,
    ) -> None:
        self._spec = spec
        self._reader = reader
        self._shape = shape
        self._generation = generation
        self._run = run
        self._prompts = PromptBuilder(spec, reader, options, multiple_input=shape.multiple_input)
        self._examples = ""

    def ask(
        self, index: int, document: Document, shots: Sequence[Shot], ids: Iterator[int]
    ) -> tuple[Question, list[Request]]:
        """Return the question and its requests, repeats of a request next to each other.

        ``shots`` are examples rendered by :meth:`shot`.
        """
        calls, choices, gold, own = self._calls(document, shots)
        prompt = str(calls[0][0])
        examples, asked = split(prompt, own)
        question = Question(
            index=index,
            calls=len(calls),
            choices=choices,
            gold=gold,
            examples=self._shared(examples),
            prompt=asked,
            prompt_length=len(prompt),
            document_hash=content_hash(document),
            prompt_hash=prompt_hash(calls, self._generation if self._spec.output_type == "generate_until" else None),
            target_hash=content_hash(gold),
        )
        together = self._together(calls)
        requests = [
            self._request(next(ids), call, choices, repeat)
            for call, choices in zip(calls, together, strict=True)
            for repeat in range(self._spec.repeats)
        ]
        return question, requests

    def shot(self, document: Document) -> Shot:
        """Render one few-shot example."""
        return self._prompts.shot(document)

    def _shared(self, examples: str) -> str:
        # Thousands of documents with the same examples hold one text.
        if examples != self._examples:
            self._examples = examples
        return self._examples

    def _calls(self, document: Document, shots: Sequence[Shot]) -> tuple[list[Call], tuple[str, ...], Any, int | None]:
        """Return what is asked, the choices, the gold, and how much of the first text's end is the question's own."""
        spec, reader = self._spec, self._reader
        if spec.output_type == "loglikelihood_rolling":
            target = _text(reader.target(spec.doc_to_target, document))
            return [(target,)], (), target, None
        contexts = self._prompts.contexts(document, shots)
        if spec.output_type == "multiple_choice":
            return *self._choice_calls(document, contexts.asked), contexts.own
        gold = reader.target(spec.doc_to_target, document) if spec.doc_to_target is not None else ""
        if spec.output_type == "loglikelihood":
            return [(contexts.asked[0], _text(gold))], (), gold, contexts.own
        choices = reader.choices(spec.doc_to_choice, document) if spec.doc_to_choice is not None else ()
        return [(contexts.asked[0],)], tuple(choices), gold, contexts.own

    def _choice_calls(self, document: Document, contexts: list[Context]) -> tuple[list[Call], tuple[str, ...], Any]:
        spec, reader, delimiter = self._spec, self._reader, self._prompts.choice_delimiter
        choices = reader.choices(spec.doc_to_choice, document)
        target = reader.target(spec.doc_to_target, document)
        if self._shape.multiple_input:
            # The choices are the contexts; the continuation is the same for all, and the gold is their index.
            calls: list[Call] = [(context, f"{delimiter}{target}") for context in contexts]
            gold = reader.text(spec.doc_to_text, document)
        else:
            calls = [(contexts[0], f"{delimiter}{choice}") for choice in choices]
            gold = target
        if self._shape.mutual_info:
            calls += [("", f"{delimiter}{choice}") for choice in choices]
        return calls, tuple(choices), gold

    def _together(self, calls: list[Call]) -> list[tuple[str, ...]]:
        """For each call the continuations that stand for choice in its context."""
        if self._spec.output_type != "multiple_choice":
            return [()] * len(calls)
        contexts = [context for context, _ in calls]
        groups = [tuple(rest for other, rest in calls if other == context) for context in contexts]
        return [group if len(group) > 1 else () for group in groups]

    def _request(self, request_id: int, call: Call, choices: tuple[str, ...], repeat: int) -> Request:
        if self._spec.output_type == "loglikelihood_rolling":
            return RollingRequest(id=request_id, text=call[0])
        if self._spec.output_type == "generate_until":
            settings = sampling_settings(self._generation, repeat=repeat, run=self._run, repeats=self._spec.repeats)
            return GenerationRequest(id=request_id, context=call[0], settings=settings)
        return LoglikelihoodRequest(id=request_id, context=call[0], continuation=call[1], choices=choices)


def split(prompt: str, own: int | None = None) -> tuple[str, str]:
    """Part a prompt into what stands before its last ``own`` characters and these; None: all are its own.

    Of each the end is kept, at most ``KEPT`` characters.
    """
    at = 0 if own is None else len(prompt) - own
    return _end(prompt[:at]), _end(prompt[at:])


def _end(text: str) -> str:
    return text if len(text) <= KEPT else f"…{text[1 - KEPT :]}"


def prompt_hash(calls: Sequence[Call], generation: GenerationSettings | None) -> str:
    """SHA-256 (hex) of all that is sent for one document; ``generation`` is None where nothing is written."""
    return content_hash([list(map(_plain, calls)), "" if generation is None else repr(generation)])


def content_hash(value: Any) -> str:
    """SHA-256 (hex) of a value's canonical JSON; values JSON does not know count by their text."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(call: Call) -> list[Any]:
    return [part.as_dicts() if isinstance(part, Conversation) else part for part in call]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {type(value).__name__} {value!r}")
    return value
