"""Assemble prompts, byte for byte as the reference does.

The rules are those of lm-evaluation-harness 0.4.13 (``fewshot_context`` and ``build_qa_turn``): a shot is
``question + target_delimiter + answer + fewshot_delimiter``; a ``gen_prefix`` stands between question and answer;
the document asked comes last, without its answer. For a chat model the same turns become messages, and the
delimiters, which stood between them, fall away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lmeval.backends.protocol import Context, Conversation, Message
from pytest_lmeval.tasks.options import PromptOptions
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.templates import FieldReader

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says; ``delimiter`` follows it where turns are joined to a text."""

    role: str
    content: str
    delimiter: str = ""


@dataclass(frozen=True, slots=True)
class Shot:
    """A rendered example: its turns, and the text that they make together."""

    turns: tuple[Turn, ...]
    text: str

    @classmethod
    def of(cls, *turns: Turn) -> Shot:
        """Join the turns."""
        return cls(turns, "".join(turn.content + turn.delimiter for turn in turns))


def joined(left: str | None, right: str | None, delimiter: str) -> str:
    """Join two texts; the delimiter stands between them only where neither brings whitespace to the seam."""
    if not left or not right:
        return left or right or ""
    seam = "" if left[-1].isspace() or right[0].isspace() else delimiter
    return left + seam + right


@dataclass(frozen=True, slots=True)
class Contexts:
    """What is asked about a document: one context, or one per choice; the last ``own`` characters are of the question.

    What stands before them in the first context, instructions and examples, many documents share.
    """

    asked: list[Context]
    own: int


class PromptBuilder:
    """Builds the contexts of one task's documents. ``multiple_input`` tasks have one context per choice."""

    def __init__(self, spec: TaskSpec, reader: FieldReader, options: PromptOptions, *, multiple_input: bool) -> None:
        self._spec = spec
        self._reader = reader
        self._options = options
        self._multiple_input = multiple_input

    @property
    def choice_delimiter(self) -> str:
        """What stands before a choice: nothing in a chat, unless an answer has been begun that it continues."""
        prefix, delimiter = self._spec.gen_prefix, self._spec.target_delimiter
        if not self._options.chat_template:
            return delimiter
        return delimiter if prefix and not prefix[-1].isspace() else ""

    def contexts(self, document: Document, shots: Sequence[Shot]) -> Contexts:
        """Return the context before the answer; several where each choice is an input of its own.

        ``shots`` are rendered examples, see :meth:`shot`.
        """
        system = joined(self._options.system, self._description(document), self._spec.fewshot_delimiter)
        gen_prefix = self._reader.optional("gen_prefix", self._spec.gen_prefix, document)
        questions, delimiter = self._questions(document)
        opened = [_open(question, gen_prefix, delimiter) for question in questions]
        if self._options.chat_template:
            turns = [turn for shot in shots for turn in shot.turns]
            chats: list[Context] = [self._chat(system, [*turns, *open_]) for open_ in opened]
            return Contexts(chats, _own_in_chat(opened, multiturn=self._options.multiturn))
        prefix = system + "".join([shot.text for shot in shots])
        asked = [Shot.of(*open_).text for open_ in opened]
        return Contexts([prefix + text for text in asked], len(asked[0]) if asked else 0)

    def shot(self, document: Document) -> Shot:
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
            return Shot.of(*_open(question, gen_prefix, config.target_delimiter))
        delimiter = config.target_delimiter
        if gen_prefix and not _needs_delimiter(question, gen_prefix):
            delimiter = ""
        spoken = joined(gen_prefix, _answer(answer, choices), " ")
        return Shot.of(Turn("user", question, delimiter), Turn("assistant", spoken, config.fewshot_delimiter))

    def _questions(self, document: Document) -> tuple[list[str], str]:
        """Return what is asked, and the delimiter before a ``gen_prefix``."""
        if self._multiple_input:
            return self._reader.choices(self._spec.doc_to_choice, document), ""
        return [_text(self._reader.text(self._spec.doc_to_text, document))], self._spec.target_delimiter

    def _description(self, document: Document) -> str:
        return self._reader.optional("description", self._spec.description, document) or ""

    def _chat(self, system: str, turns: list[Turn]) -> Conversation:
        messages = [Message("system", system)] if system else []
        if self._options.multiturn:
            messages += [Message(turn.role, turn.content) for turn in turns]
        else:
            messages += _single(turns)
        return Conversation(tuple(messages))


def _open(question: str, gen_prefix: str | None, delimiter: str) -> list[Turn]:
    """The turns of a question whose answer is still to come."""
    if not gen_prefix:
        return [Turn("user", question)]
    lead = delimiter if _needs_delimiter(question, gen_prefix) else ""
    return [Turn("user", question, lead), Turn("assistant", gen_prefix)]


def _own_in_chat(opened: Sequence[Sequence[Turn]], *, multiturn: bool) -> int:
    """Count the characters of the question's turns in a conversation that is shown to a reader."""
    if not opened:
        return 0
    shown = len(str(Conversation(tuple(Message(turn.role, turn.content) for turn in opened[0]))))
    # In one message for all, the user's name stands before the examples.
    return shown if multiturn else shown - len(f"{opened[0][0].role}: ")


def _single(turns: list[Turn]) -> list[Message]:
    """Put all turns into one message of the user's, as the text they would be; an answer begun stays apart."""
    begun = [Message("assistant", turns[-1].content)] if turns[-1].role == "assistant" else []
    *before, last = turns[: len(turns) - len(begun)]
    return [Message("user", Shot.of(*before).text + last.content), *begun]


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
