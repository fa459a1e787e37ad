from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmeval.tasks.limits import Limit
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.sampling import Sample, Samples, allotted, evenly, spread

from .making import CHOICE_ROWS, asked, call_of, small_task


def rows(labels: str) -> list[dict[str, Any]]:
    return [{"subject": label} for label in labels]


def drawn(sample: Sample, documents: list[dict[str, Any]], seed: int = 1, task: str = "t") -> list[int]:
    return list(sample.choose(documents, seed=seed, task=task))


@pytest.mark.parametrize(("total", "count"), [(3, 2), (10, 7), (23, 5), (7, 6)])
def test_every_document_has_the_same_chance(total: int, count: int) -> None:
    draws = 20_000
    stream = random.Random(8)
    seen: Counter[int] = Counter()
    for _ in range(draws):
        seen.update(spread(range(total), count, stream))
    share = count / total
    error = (share * (1 - share) / draws) ** 0.5
    assert sum(seen.values()) == draws * count
    assert all(abs(seen[i] / draws - share) < 4.5 * error for i in range(total))


@given(total=st.integers(1, 300), share=st.floats(0, 1), seed=st.integers(0, 99))
def test_a_spread_takes_as_many_as_it_should_and_none_twice(total: int, share: float, seed: int) -> None:
    count = round(total * share)
    taken = list(spread(range(total), count, random.Random(seed)))
    assert len(set(taken)) == len(taken) == count
    assert set(taken) <= set(range(total))


def test_a_sorted_split_is_sampled_in_proportion_without_knowing_why_it_is_sorted() -> None:
    documents = rows("a" * 500 + "b" * 300 + "c" * 200)
    for seed in range(50):
        taken = Counter(documents[i]["subject"] for i in drawn(Sample(text="x", count=100), documents, seed))
        assert all(abs(taken[label] - expected) <= 1 for label, expected in zip("abc", (50, 30, 20), strict=True))


def test_the_strata_of_a_column_have_their_shares() -> None:
    documents = rows("ab" * 45 + "c" * 9 + "d")
    random.Random(3).shuffle(documents)
    sample = Sample(text="x", count=20, column="subject")
    for seed in range(30):
        taken = drawn(sample, documents, seed)
        assert taken == sorted(set(taken))
        assert Counter(documents[i]["subject"] for i in taken) == {"a": 9, "b": 9, "c": 1, "d": 1}


@given(sizes=st.lists(st.integers(1, 200), min_size=1, max_size=30), share=st.floats(0, 1))
def test_allotments_are_proportional(sizes: list[int], share: float) -> None:
    count = int(sum(sizes) * share)
    counts = allotted(count, sizes)
    assert sum(counts) == count
    assert all(0 <= n <= size for n, size in zip(counts, sizes, strict=True))
    assert sum(n > 0 for n in counts) == min(count, len(sizes))
    exact = [count * size / sum(sizes) for size in sizes]
    if min(exact) >= 1:
        assert all(abs(n - part) < 1 for n, part in zip(counts, exact, strict=True))


def test_largest_remainders() -> None:
    assert allotted(10, [47, 35, 18]) == [5, 3, 2]
    assert allotted(2, [5, 50, 500]) == [0, 1, 1]
    assert allotted(0, [5, 5]) == [0, 0]
    assert allotted(10, [5, 5]) == [5, 5]


def test_many_strata_are_no_trouble() -> None:
    assert sum(allotted(30_000, [1 + i % 3 for i in range(20_000)])) == 30_000


def test_all_are_asked_where_there_are_no_more() -> None:
    assert drawn(Sample(text="x", count=9), rows("abc")) == [0, 1, 2]
    assert drawn(Sample(text="x", count=3, column="subject"), rows("abc")) == [0, 1, 2]


def test_only_the_documents_of_a_baseline() -> None:
    among = tuple(range(1, 40, 3))
    documents = rows("a" * 35)
    small = drawn(Sample(text="x", count=5, among=among), documents)
    assert len(small) == 5
    assert set(small) <= set(among)
    # A split may have shrunk since.
    assert drawn(Sample(text="x", count=50, among=among), documents) == [i for i in among if i < 35]


def test_one_seed_and_task_one_sample() -> None:
    sample = Sample(text="detect 1pp", count=10)
    documents = rows("a" * 1000)
    assert drawn(sample, documents) == drawn(sample, documents)
    assert drawn(sample, documents) != drawn(sample, documents, seed=2)
    assert drawn(sample, documents) != drawn(sample, documents, task="other")


def test_the_same_sample_in_another_process() -> None:
    """Hash randomisation must not reach it: strata are of texts."""
    code = (
        "from pytest_lmeval.tasks.sampling import Sample;"
        "rows = [{'subject': 'xyz'[i % 3]} for i in range(300)];"
        "print(list(Sample(text='x', count=12, column='subject').choose(rows, seed=1, task='t')))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == str(drawn(Sample(text="x", count=12, column="subject"), rows("xyz" * 100)))


def test_a_column_that_documents_lack_leaves_the_place() -> None:
    assert len(drawn(Sample(text="x", count=10, column="level"), rows("ab" * 50))) == 10


def test_a_task_asks_its_sample_and_says_so(tmp_path: Path) -> None:
    documents = [{**row, "question": f"{row['question']} {i}"} for i in range(20) for row in CHOICE_ROWS]
    spec = small_task(tmp_path, {"metadata": {}}, documents)
    samples = Samples.drawn({spec.task: Sample(text="detect 1pp", count=6, column="label")})
    everything, some = asked(spec), asked(spec, samples=samples)
    calls = {call_of(request) for request in some}
    assert calls < {call_of(request) for request in everything}
    # Two of three have two choices and the label 0, the others three and 1.
    assert len(some) == 4 * 2 + 2 * 3
    options = EvaluationOptions(samples=samples, limit=Limit.parse("3"))
    assert (options.selection(spec.task), options.selection("other")) == ("detect 1pp", "3")


def test_options_with_other_samples_are_other_options() -> None:
    def told(count: int) -> str:
        return repr(EvaluationOptions(samples=Samples.drawn({"t": Sample(text="x", count=count)})))

    assert told(5) == told(5) != told(6)
    assert len(told(5)) < 1000


def test_some_of_them_evenly() -> None:
    assert list(evenly(range(100), 4)) == [0, 25, 50, 75]
    assert list(evenly([3, 5], 50)) == [3, 5]
