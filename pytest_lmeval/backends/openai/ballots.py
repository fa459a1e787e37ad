"""Multiple choice as a question to a chat model: the options, their labels, and the message that asks for one."""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pytest_lmeval.backends.protocol import Context, Conversation, Message

LETTERS = string.ascii_uppercase

_LABELS = frozenset(string.ascii_letters + string.digits)


@dataclass(frozen=True, slots=True)
class Ballot:
    """What is asked once: ``labels[i]`` is the answer that stands for the continuation ``options[i]``."""

    context: Context
    labels: tuple[str, ...]
    options: tuple[str, ...]


def ballots(context: Context, choices: Sequence[str], *, rotate: bool) -> list[Ballot]:
    """Return what to ask: one ballot, or with ``rotate`` one for each rotation of the options.

    Continuations that are single letters or digits, all different, are labels already: the prompt has the options and
    is asked as it is, and there is nothing to rotate. Others get letters. Raises ValueError for more options than
    letters.
    """
    options = tuple(dict.fromkeys(choices))
    labels = tuple(option.strip() for option in options)
    if set(labels) <= _LABELS and len(set(labels)) == len(labels):
        return [Ballot(context, labels, options)]
    if len(options) > len(LETTERS):
        raise ValueError(f"there are {len(options)} options, and {len(LETTERS)} letters to name them with")
    return [lettered(context, turned) for turned in (_rotations(options) if rotate else [options])]


def lettered(context: Context, options: tuple[str, ...]) -> Ballot:
    """Ask for one of ``options`` by its letter."""
    labels = tuple(LETTERS[: len(options)])
    lines = "\n".join(f"{label}. {option.strip()}" for label, option in zip(labels, options, strict=True))
    named = f"{', '.join(labels[:-1])} or {labels[-1]}" if len(labels) > 1 else labels[0]
    asked = f"{lines}\n\nWhich of these continues the text above best? Answer with its letter alone: {named}."
    return Ballot(_with(context, asked), labels, options)


def _with(context: Context, asked: str) -> Context:
    """Put the question after the context; the beginning of an answer, which is none of a letter, goes before it."""
    if isinstance(context, str):
        return f"{context.rstrip()}\n\n{asked}"
    messages = context.messages
    begun = messages[-1].content if context.continues else ""
    messages = messages[:-1] if context.continues else messages
    if not messages or messages[-1].role != "user":
        messages = (*messages, Message("user", ""))
    last = messages[-1]
    parts = [part for part in (last.content.rstrip(), begun.strip(), asked) if part]
    return Conversation((*messages[:-1], replace(last, content="\n\n".join(parts))))


def _rotations(options: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for start in range(len(options)):
        yield options[start:] + options[:start]
