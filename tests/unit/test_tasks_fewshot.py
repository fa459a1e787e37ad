"""What the comparison with the reference in test_tasks_prompts.py cannot say: the draws themselves, and mistakes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.errors import DatasetError, TaskFileError
from pytest_lmeval.tasks.fewshot import draw
from pytest_lmeval.tasks.spec import TaskSpec

from .making import spec_of, write

POOL = [{"q": i} for i in range(6)]


def spec(folder: Path, text: str = "") -> TaskSpec:
    return spec_of(write(folder / "t.yaml", f"task: t\ntest_split: test\n{text}"))


SAME = "fewshot_split: test\n"
FIRST = "fewshot_config: {sampler: first_n}\n"


def test_one_stream_per_task_is_consumed_document_after_document(tmp_path: Path) -> None:
    stream = random.Random(5)
    expected = [tuple(stream.sample(range(6), 2)) for _ in range(4)]
    assert draw(spec(tmp_path), POOL, [{}] * 4, 2, 5) == expected
    assert len(set(expected)) > 1
    assert draw(spec(tmp_path), POOL, [{}] * 4, 2, 6) != expected


def test_no_examples(tmp_path: Path) -> None:
    assert draw(spec(tmp_path), (), [{}] * 2, 0, 5) == [(), ()]


@pytest.mark.parametrize("text", [SAME, SAME + FIRST], ids=["default", "first"])
def test_a_document_is_never_its_own_example(tmp_path: Path, text: str) -> None:
    pool = [*POOL, POOL[0], POOL[0]]
    drawn = draw(spec(tmp_path, text), pool, POOL * 20, 3, 5)
    for document, indices in zip(POOL * 20, drawn, strict=True):
        assert len(set(indices)) == 3
        assert document not in [pool[i] for i in indices]


def test_the_first_are_the_first(tmp_path: Path) -> None:
    assert draw(spec(tmp_path, FIRST), POOL, [{}] * 2, 3, 5) == [(0, 1, 2)] * 2


@pytest.mark.parametrize(
    ("text", "pool", "message"),
    [
        ("", POOL[:2], "t: 3 few-shot examples asked for, the pool has 2"),
        (SAME, POOL[:3], r"need a pool of 4 \(one may be the document itself\), it has 3"),
        (SAME + FIRST, POOL[:3], "the pool without the document itself has fewer"),
        (SAME, [POOL[0]] * 3 + POOL[1:3], "the pool without the document itself has fewer"),
    ],
    ids=["small", "same-split", "first", "copies"],
)
def test_a_pool_that_is_too_small(tmp_path: Path, text: str, pool: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        draw(spec(tmp_path, text), pool, [POOL[0]], 3, 5)


def test_an_unknown_sampler(tmp_path: Path) -> None:
    with pytest.raises(TaskFileError, match="expected 'default' or 'first_n', found balanced") as caught:
        draw(spec(tmp_path, "fewshot_config: {sampler: balanced}\n"), POOL, [{}], 1, 5)
    assert caught.value.line == 3


def test_the_likely_sampler_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(TaskFileError, match=r"found first\. Did you mean 'first_n'\?") as caught:
        draw(spec(tmp_path, "fewshot_config:\n  split: train\n  sampler: first\n"), POOL, [{}], 1, 5)
    assert caught.value.line == 5


@pytest.mark.parametrize("text", ["", FIRST], ids=["default", "first"])
def test_of_the_evaluated_documents_only_its_own_example_is_replaced(tmp_path: Path, text: str) -> None:
    """In the reference a document may be its own example where the split it is drawn from is not named."""
    unnamed = spec(tmp_path, f"{text}training_split: null\n")
    copy = list(POOL)
    plain, drawn = draw(unnamed, POOL, copy, 3, 7), draw(unnamed, POOL, POOL, 3, 7)
    leaks = [place in indices for place, indices in enumerate(plain)]
    assert any(leaks)
    assert not all(leaks)
    for place, (before, after) in enumerate(zip(plain, drawn, strict=True)):
        assert place not in after
        assert len(set(after)) == 3
        assert (before == after) is not leaks[place]
        if not text:
            assert [i for i in before if i != place] == [a for a, b in zip(after, before, strict=True) if b != place]


SAMPLER = """
class Last:
    def __init__(self, df, *, rnd):
        self.df, self.rnd = df, rnd

    def sample(self, n, eval_doc=None):
        rows = [row for row in self.df if row != eval_doc]
        return rows[::-1][:n] if self.rnd == 5 else [{"q": "made up"}]


class Copies(Last):
    def sample(self, n, eval_doc=None):
        return [dict(row) for row in super().sample(n, eval_doc)]


class Broken(Last):
    def sample(self, n, eval_doc=None):
        raise LookupError("no more")
"""


def own(folder: Path, name: str, text: str = "") -> TaskSpec:
    write(folder / "samplers.py", SAMPLER)
    return spec(folder, f"{text}fewshot_config:\n  sampler: !function samplers.{name}\n")


@pytest.mark.parametrize("name", ["Last", "Copies"])
def test_a_sampler_of_the_tasks_own(tmp_path: Path, name: str) -> None:
    assert draw(own(tmp_path, name), POOL, [{}] * 2, 2, 5) == [(5, 4), (5, 4)]
    # It is told of the document where the examples come from its split.
    assert draw(own(tmp_path, name, SAME), POOL, POOL, 2, 5)[4:] == [(5, 3), (4, 3)]


@pytest.mark.parametrize(
    ("name", "seed", "message"),
    [
        ("Last", 6, "fewshot_config.sampler: it returned a row that is not in the pool"),
        ("Broken", 5, "fewshot_config: !function samplers.Broken: LookupError: no more"),
    ],
)
def test_a_sampler_that_fails_is_located(tmp_path: Path, name: str, seed: int, message: str) -> None:
    with pytest.raises(TaskFileError, match=message):
        draw(own(tmp_path, name), POOL, [{}], 2, seed)
