"""A document's context for a reader: examples that were already shown are counted, not repeated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_lmeval.backends.protocol import Context, Conversation
from pytest_lmeval.report.blocks import Style, title
from pytest_lmeval.report.terminal import Line
from pytest_lmeval.tasks.prompts import Shot

_ROLE_WIDTH = 9


@dataclass(frozen=True, slots=True)
class ContextWriter:
    """Writes the contexts of one document. ``seen`` are the examples shown before, None where none were."""

    style: Style
    shots: tuple[Shot, ...]
    seen: tuple[Shot, ...] | None

    def lines(self, context: Context) -> Iterator[Line]:
        """Write a context under its title."""
        if isinstance(context, Conversation):
            yield title("conversation, written out by the model's own chat template")
            yield from self.conversation(context)
        else:
            yield title("context" if context else "context: none")
            if context:
                yield from self.text(context)

    def text(self, context: str, gutter: Line | None = None) -> Iterator[Line]:
        """Write a text."""
        examples = "".join(shot.text for shot in self.shots)
        start = context.find(examples) if self._folds else -1
        if start < 0:
            yield from self.style.block(context, gutter)
            return
        if before := list(self.style.block(context[:start], gutter)) if start else []:
            # What follows its last newline is the first example.
            yield from before[:-1] if context[start - 1] == "\n" else before
        yield self._count(len(examples))
        if rest := context[start + len(examples) :]:
            yield from self.style.block(rest, gutter)

    def conversation(self, context: Conversation) -> Iterator[Line]:
        """Write the messages, each behind its role."""
        messages = [(message.role, message.content) for message in context.messages]
        turns = [(turn.role, turn.content) for shot in self.shots for turn in shot.turns]
        start = _find(turns, messages) if self._folds else None
        if start is None:
            yield from self._messages(messages)
            return
        yield from self._messages(messages[:start])
        yield self._count(sum(len(content) for _, content in turns))
        yield from self._messages(messages[start + len(turns) :])

    def _messages(self, messages: Sequence[tuple[str, str]]) -> Iterator[Line]:
        for role, content in messages:
            yield from self.text(content, self.style.gutter(role, width=_ROLE_WIDTH))

    @property
    def _folds(self) -> bool:
        return bool(self.shots) and self.seen is not None and not self.style.verbose

    def _count(self, characters: int) -> Line:
        count = len(self.shots)
        which = f"same {count}" if self.shots == self.seen else f"{count} other"
        return self.style.aside(f"{which} example{'s' if count > 1 else ''}, {characters:,} characters")


def _find(part: Sequence[object], whole: Sequence[object]) -> int | None:
    places = range(len(whole) - len(part) + 1)
    return next((i for i in places if list(whole[i : i + len(part)]) == list(part)), None)
