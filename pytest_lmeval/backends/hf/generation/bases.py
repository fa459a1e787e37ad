"""Which texts to be written share the keys and values of their beginning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pytest_lmeval.backends.hf.scoring.trie import Node, Text, build
from pytest_lmeval.backends.text.encoding import Tokens

# A beginning is shared where that saves so many tokens' keys and values. Less is not worth a group of its own, whose
# attention is computed apart.
WORTH_SHARING = 256


def choose_bases(texts: Sequence[Tokens], known: Iterable[Tokens]) -> list[Tokens]:
    """Return a beginning for each text, perhaps an empty one; ``known`` are those that are in use already.

    Each round takes the beginning that saves most, until none is worth it.
    """
    bases: list[Tokens] = [max(_beginnings(text, known), key=len) for text in texts]
    open_texts = {number for number, base in enumerate(bases) if not base}
    beginnings = _shared(build([Text(text, (0,)) for text in texts])) if open_texts else []
    while open_texts:
        saved, base, members = max(
            (((len(members & open_texts) - 1) * len(base), base, members & open_texts) for base, members in beginnings),
            default=(0, (), set()),
            key=lambda choice: choice[0],
        )
        if saved < WORTH_SHARING:
            break
        for number in members:
            bases[number] = base
        open_texts -= members
    return bases


def _beginnings(text: Tokens, known: Iterable[Tokens]) -> Iterator[Tokens]:
    yield ()
    yield from (base for base in known if text[: len(base)] == base)


def _shared(root: Node) -> list[tuple[Tokens, set[int]]]:
    """Return the beginnings that several texts have, with the numbers of these."""
    found: list[tuple[Tokens, set[int]]] = []

    def below(node: Node) -> set[int]:
        members = {want.text for want in node.wants}.union(*(below(child) for child in node.children))
        if len(members) > 1 and node.end:
            found.append((node.text[: node.end], members))
        return members

    below(root)
    return found
