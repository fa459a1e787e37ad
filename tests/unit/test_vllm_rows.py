"""Reading what vLLM answers: which rows are taken, and which are not believed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_lmeval.backends.text.encoding import Span
from pytest_lmeval.backends.text.scores import Row
from pytest_lmeval.backends.vllm.rows import chosen_within, row_after, rows_within

# A context of 1, 2, 3 and a continuation of 10, 11, 12, 13; the model reads all but the last.
SPAN = Span((1, 2, 3, 10, 11, 12), (10, 11, 12, 13))


def flat(rows: list[list[Any]]) -> Any:
    """Rows of (token, log-probability, rank) in vLLM's flat form."""
    starts: list[int] = []
    ends: list[int] = []
    entries: list[Any] = []
    for row in rows:
        starts.append(len(entries))
        entries += row
        ends.append(len(entries))
    return SimpleNamespace(
        start_indices=starts,
        end_indices=ends,
        token_ids=[token for token, _, _ in entries],
        logprobs=[logprob for _, logprob, _ in entries],
        ranks=[rank for _, _, rank in entries],
    )


def output(cached: int | None = 0, rows: Any = None, **others: Any) -> Any:
    if rows is None:
        rows = flat([[], *([(token, -token / 10, 1)] for token in SPAN.inputs[1:])])
    return SimpleNamespace(num_cached_tokens=cached, prompt_logprobs=rows, **others)


def test_a_span_in_parts() -> None:
    assert SPAN.context_length == 3
    assert SPAN.before(0) == (1, 2, 3)
    assert SPAN.before(3) == SPAN.inputs


def test_all_rows_but_the_last_targets() -> None:
    assert rows_within(SPAN, output()) == {0: Row(-1.0, True), 1: Row(-1.1, True), 2: Row(-1.2, True)}


@pytest.mark.parametrize(("cached", "places"), [(0, {0, 1, 2}), (2, {0, 1, 2}), (3, {1, 2}), (4, {2}), (5, set())])
def test_rows_that_came_from_the_cache_are_not_read(cached: int, places: set[int]) -> None:
    # The first runner fills such rows with whatever was in memory: here with what looks right.
    found = rows_within(SPAN, output(cached))
    assert found is not None
    assert set(found) == places


@pytest.mark.parametrize("cached", [2, 3, 4, 5])
def test_the_second_runner_leaves_rows_out(cached: int) -> None:
    whole = [[], *([(token, -token / 10, 1)] for token in SPAN.inputs[1:])]
    short = flat([[], *whole[1 + cached :]])
    assert rows_within(SPAN, output(cached, short)) == rows_within(SPAN, output(cached))


def test_rows_of_other_tokens_are_not_believed() -> None:
    wrong = flat([[], *([(token + 1, -1.0, 1)] for token in SPAN.inputs[1:])])
    assert rows_within(SPAN, output(0, wrong)) is None


@pytest.mark.parametrize(("logprob", "rank"), [(1.8e12, 5), (-1.0, 0), (-1.0, None)])
def test_rows_that_cannot_be_are_not_believed(logprob: float, rank: int | None) -> None:
    wrong = flat([[], *([(token, logprob, rank)] for token in SPAN.inputs[1:])])
    assert rows_within(SPAN, output(0, wrong)) is None


def test_too_few_rows_are_not_believed() -> None:
    assert rows_within(SPAN, output(0, flat([[(12, -1.0, 1)]]))) is None


def test_without_a_count_of_cached_tokens_nothing_is_believed() -> None:
    assert rows_within(SPAN, output(None)) is None


def test_greedy_by_rank_or_beside_the_best() -> None:
    rows = flat([[], [], [], [(10, -1.0, 1)], [(11, -1.0, 2)], [(12, -1.0, 2), (40, -1.0, 1)]])
    found = rows_within(SPAN, output(0, rows))
    assert found is not None
    assert [found[place].is_greedy for place in range(3)] == [True, False, True]


def test_chosen_tokens_have_no_rank() -> None:
    found = chosen_within(SPAN, output(0, None, prompt_token_id_logprobs=[[-1.0], [-2.0], [-3.0]]))
    assert found == {0: Row(-1.0, False), 1: Row(-2.0, False), 2: Row(-3.0, False)}


def test_chosen_tokens_that_the_cache_swallowed() -> None:
    dropped = SimpleNamespace(num_cached_tokens=64, prompt_logprobs=None, prompt_token_id_logprobs=None)
    assert chosen_within(SPAN, dropped) is None
    assert chosen_within(SPAN, output(0, None, prompt_token_id_logprobs=[[-1.0]])) is None


def written(rows: Any, tokens: list[int]) -> Any:
    return SimpleNamespace(outputs=[SimpleNamespace(logprobs=rows, token_ids=tokens)])


def test_the_row_of_a_token_to_be_generated() -> None:
    rows = flat([[(7, -0.5, 1), (13, -2.0, 4)]])
    assert row_after(written(rows, [7]), 13) == Row(-2.0, False)
    assert row_after(written(rows, [7]), 7) == Row(-0.5, True)


def test_no_row_of_a_token_to_be_generated() -> None:
    assert row_after(written(flat([[(7, -0.5, 1)]]), [7]), 13) is None
    assert row_after(written(None, [7]), 13) is None
    assert row_after(written(flat([[]]), []), 13) is None
