"""Assemble prompts, byte for byte as the reference does.

The rules are those of lm-evaluation-harness 0.4.13 (``fewshot_context`` and ``build_qa_turn``): a shot is
``question + target_delimiter + answer + fewshot_delimiter``; a ``gen_prefix`` stands between question and answer;
the document asked comes last, without its answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.templates import FieldReader

Document = Mapping[str, Any]


def joined(left: str | None, right: str | None, delimiter: str) -> str:
    """Join two texts; the delimiter stands between them only where neither brings whitespace to the seam."""
    if not left or not right:
        return left or right or ""
    seam = "" if left[-1].isspace() or right[0].isspace() else delimiter
    return left + seam + right


class PromptBuilder:
    """Builds the contexts of one task's documents. ``multiple_input`` tasks have one context per choice."""

    def __init__(self, spec: TaskSpec, reader: FieldReader, *, multiple_input: bool) -> None:
        self._spec = spec
        self._reader = reader
        self._multiple_input = multiple_input

    def contexts(self, document: Document, shots: Sequence[str]) -> list[str]:
        """Return the context before the answer; several where each choice is an input of its own.

        ``shots`` are rendered examples, see :meth:`shot`.
        """
        prefix = self._description(document) + "".join(shots)
        gen_prefix = self._reader.optional("gen_prefix", self._spec.gen_prefix, document)
        if self._multiple_input:
            questions = self._reader.choices(self._spec.doc_to_choice, document)
            return [prefix + question + _lead(question, gen_prefix, "") for question in questions]
        question = _text(self._reader.text(self._spec.doc_to_text, document))
        return [prefix + question + _lead(question, gen_prefix, self._spec.target_delimiter)]

    def shot(self, document: Document) -> str:
        """Render one example with its answer."""
        config = self._spec.fewshot_config
        question = self._reader.text(config.doc_to_text, document)
        choices = self._reader.choices(config.doc_to_choice, document) if config.doc_to_choice else None
        answer = self._reader.target(config.doc_to_target, document)
        if self._multiple_input and choices is not None:
            question, choices = choices[question], None
        gen_prefix = self._reader.optional("gen_prefix", config.gen_prefix, document)
        question = _text(question)
        if answer is None or answer == "":
            return question + _lead(question, gen_prefix, config.target_delimiter)
        delimiter = config.target_delimiter
        if gen_prefix and not _needs_delimiter(question, gen_prefix):
            delimiter = ""
        spoken = joined(gen_prefix, _answer(answer, choices), " ")
        return question + delimiter + spoken + config.fewshot_delimiter

    def _description(self, document: Document) -> str:
        return self._reader.optional("description", self._spec.description, document) or ""


def _lead(question: str, gen_prefix: str | None, delimiter: str) -> str:
    if not gen_prefix:
        return ""
    return (delimiter if _needs_delimiter(question, gen_prefix) else "") + gen_prefix


def _needs_delimiter(left: str, right: str) -> bool:
    return left != "" and not (left[-1].isspace() or right[0].isspace())


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {type(value).__name__} {value!r}")
    return value


def _answer(answer: Any, choices: Sequence[str] | None) -> str:
    if choices and isinstance(answer, int):
        return choices[answer]
    return _text(answer[0] if isinstance(answer, list) else answer)
