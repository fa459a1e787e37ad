"""Tries of random texts, against the set of their beginnings."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

pytest.importorskip("torch")

from pytest_lmeval.backends.hf.scoring.trie import Node, Text, Want, build
from pytest_lmeval.backends.text.encoding import Tokens
from pytest_lmeval.backends.text.windows import common_length


def random_texts(seed: int, *, cut_every: int | None = None) -> list[Text]:
    """Texts of few different tokens, so that many begin alike, some are equal and some the beginning of others."""
    chance = random.Random(seed)
    texts: list[Text] = []
    for _ in range(chance.randint(1, 20)):
        tokens = tuple(chance.choices(range(2 + seed % 2), k=chance.randint(1, 12)))
        if texts and chance.random() < 0.5:
            other = chance.choice(texts).tokens
            tokens = other[: chance.randint(0, len(other))] + tokens
        targets = tuple(chance.choices(range(9), k=chance.randint(1, len(tokens))))
        cuts = None if cut_every is None else (*range(cut_every, len(tokens), cut_every), len(tokens))
        texts.append(Text(tokens, targets, cuts))
    return texts


def nodes(root: Node) -> Iterator[Node]:
    """All nodes but the root, each after the one above it."""
    for child in root.children:
        assert child.start == root.end < child.end
        assert child.text[: root.end] == root.text[: root.end]
        yield child
        yield from nodes(child)


def beginnings(texts: Sequence[Text]) -> set[Tokens]:
    return {text.tokens[:length] for text in texts for length in range(1, len(text.tokens) + 1)}


@pytest.mark.parametrize("seed", range(20))
def test_each_beginning_is_there_once(seed: int) -> None:
    texts = random_texts(seed)
    root = build(texts)
    held = [node.text[: position + 1] for node in nodes(root) for position in range(node.start, node.end)]
    assert len(held) == len(set(held))
    assert set(held) == beginnings(texts)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("cut_every", [None, 1, 3])
def test_each_want_is_on_the_node_of_its_text_and_position(seed: int, cut_every: int | None) -> None:
    texts = random_texts(seed, cut_every=cut_every)
    root = build(texts)
    assert not root.wants
    found: list[Want] = []
    for node in nodes(root):
        for want in node.wants:
            assert node.start <= want.position < node.end
            assert node.text[: node.end] == texts[want.text].tokens[: node.end]
        found.extend(node.wants)
    expected = [want for number, text in enumerate(texts) for want in text.wants(number)]
    assert sorted(found, key=repr) == sorted(expected, key=repr)


@pytest.mark.parametrize("seed", range(20))
def test_texts_with_cuts_part_and_end_pieces_only_there(seed: int) -> None:
    texts = random_texts(seed, cut_every=4)
    pieces = {(node.text[: node.end], node.start) for node in nodes(build(texts))}
    expected = {
        (text.tokens[:end], start)
        for text in texts
        for start, end in zip((0, *(text.cuts or ())), text.cuts or (), strict=False)
    }
    assert pieces == expected
    assert sum(1 for _ in nodes(build(texts))) == len(pieces)


@pytest.mark.parametrize(
    ("cuts", "shared"), [((2, 4), [(0, 2), (2, 4)]), ((2, 3, 4), [(0, 2)]), ((3, 4), []), ((4,), [])]
)
def test_texts_share_no_more_than_is_cut_alike(cuts: Tokens, shared: list[tuple[int, int]]) -> None:
    root = build([Text((1, 2, 3, 4), (9,), (2, 4)), Text((1, 2, 3, 4), (9,), cuts)])
    pieces = [(0, 2), (2, 4), *zip((0, *cuts), cuts, strict=False)]
    assert sorted((node.start, node.end) for node in nodes(root)) == sorted(pieces[len(shared) :])


def test_a_want_is_the_token_after_its_position() -> None:
    assert Text((5, 6, 7), (7, 8)).wants(3) == [Want(1, 7, 3), Want(2, 8, 3)]


@pytest.mark.parametrize("seed", range(20))
def test_common_length(seed: int) -> None:
    chance = random.Random(seed)
    one, other = (tuple(chance.choices(range(2), k=chance.randint(0, 9))) for _ in range(2))
    expected = next(
        (place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
        min(len(one), len(other)),
    )
    assert common_length(one, other) == expected
