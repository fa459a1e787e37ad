"""Texts that begin alike, as a tree of tokens: each distinct beginning is one path and runs once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from pytest_lmeval.backends.text.encoding import Tokens
from pytest_lmeval.backends.text.windows import common_length


@dataclass(frozen=True, slots=True)
class Want:
    """Someone wants the log-probability of ``token`` after the text up to and including ``position``."""

    position: int
    token: int
    text: int


@dataclass(slots=True, eq=False)
class Node:
    """A run of tokens without a fork: from ``start`` to ``end`` of ``text``, and the same in every text below it."""

    text: Tokens
    start: int
    end: int
    children: list[Node] = field(default_factory=list)
    wants: list[Want] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Text:
    """What the model reads; its last ``len(targets)`` positions predict ``targets``.

    ``cuts`` are the positions, rising up to the text's end, at which it runs in pieces and may part from other texts;
    None lets it part anywhere.
    """

    tokens: Tokens
    targets: Tokens
    cuts: Tokens | None = None

    def wants(self, number: int) -> list[Want]:
        """Return what is wanted of this text, which is known by ``number``."""
        first = len(self.tokens) - len(self.targets)
        return [Want(first + place, token, number) for place, token in enumerate(self.targets)]

    def pieces(self, start: int) -> Iterator[Node]:
        """Yield the text from ``start`` on, as nodes one below the other."""
        for end in (cut for cut in self.cuts or (len(self.tokens),) if cut > start):
            yield Node(self.tokens, start, end)
            start = end


def build(texts: Sequence[Text]) -> Node:
    """Return the root, which has no tokens, of the trie of ``texts``; a want's ``text`` is the place in ``texts``.

    Sorted, a text shares with all before it no more than with the one right before it, so the path to that one is all
    that it can join.
    """
    root = Node((), 0, 0)
    path, previous = [root], Text((), ())
    for number in sorted(range(len(texts)), key=lambda number: texts[number].tokens):
        text = texts[number]
        shared = _shared(previous, text)
        while path[-1].start >= shared and len(path) > 1:
            path.pop()
        if path[-1].end > shared:
            _split(path[-1], shared)
        for node in text.pieces(shared):
            path[-1].children.append(node)
            path.append(node)
        _hang(path, text.wants(number))
        previous = text
    return root


def _split(node: Node, position: int) -> None:
    """End ``node`` at ``position``; what followed becomes its only child."""
    below = Node(node.text, position, node.end, node.children)
    below.wants = [want for want in node.wants if want.position >= position]
    node.wants = [want for want in node.wants if want.position < position]
    node.end, node.children = position, [below]


def _hang(path: list[Node], wants: list[Want]) -> None:
    """Give each want to the node on ``path`` that holds its position."""
    starts = [node.start for node in path]
    for want in wants:
        path[bisect_right(starts, want.position) - 1].wants.append(want)


def _shared(one: Text, other: Text) -> int:
    """How many tokens two texts have in common, up to a place where both may part."""
    common = common_length(one.tokens, other.tokens)
    if other.cuts is None or one.cuts is None:
        return common
    alike = takewhile(lambda pair: pair[0] == pair[1] <= common, zip(one.cuts, other.cuts, strict=False))
    return max((cut for cut, _ in alike), default=0)
