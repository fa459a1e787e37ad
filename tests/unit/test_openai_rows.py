from __future__ import annotations

import math
from typing import Any

import pytest

pytest.importorskip("openai")

from pytest_lmeval.backends.openai.rows import (
    Malformed,
    after_listed,
    after_named,
    choices,
    logprob,
    scored,
    token_number,
    within,
)
from pytest_lmeval.backends.text.encoding import Span
from pytest_lmeval.backends.text.scores import Row, Score

SPAN = Span(inputs=(1, 2, 3, 4), targets=(3, 4, 5))


def entry(token: int, value: float, top: float = -0.1) -> dict[str, Any]:
    return {str(token): {"logprob": value, "rank": 2}, "99": {"logprob": top, "rank": 1}}


ROWS = [{}, entry(2, -9.0), entry(3, -1.0), entry(4, -0.1)]


def test_rows_within_a_prompt_are_those_of_its_tokens() -> None:
    assert within(ROWS, 4, (0, 1), SPAN) == {0: Row(-1.0, False), 1: Row(-0.1, True)}


def test_rows_are_counted_from_the_end() -> None:
    assert within([{}, *ROWS[2:]], 4, (0, 1), SPAN) == within(ROWS, 4, (0, 1), SPAN)


def test_a_row_of_another_token_is_none() -> None:
    with pytest.raises(Malformed, match="token 3"):
        within([{}, ROWS[1], entry(7, -1.0), ROWS[3]], 4, (0, 1), SPAN)


@pytest.mark.parametrize("rows", [None, "rows", [*ROWS, {}], [], [{}, None, None, None], [{}, 1, 2, 3]])
def test_what_has_no_rows_is_malformed(rows: object) -> None:
    with pytest.raises(Malformed):
        within(rows, 4, (0, 1), SPAN)


@pytest.mark.parametrize("value", [1812029505536.0, math.nan, math.inf, None, "-1", True])
def test_unwritten_memory_is_no_log_probability(value: object) -> None:
    with pytest.raises(Malformed):
        logprob(value)


def listed(*entries: tuple[int, float]) -> dict[str, Any]:
    top = [{"token_id": token, "logprob": value} for token, value in entries]
    return {"logprobs": {"content": [{**top[0], "top_logprobs": top}]}}


def named(*entries: tuple[int, float]) -> dict[str, Any]:
    top = {f"token_id:{token}": value for token, value in entries}
    return {"logprobs": {"tokens": [next(iter(top))], "top_logprobs": [top]}}


@pytest.mark.parametrize(("made", "read"), [(listed, after_listed), (named, after_named)])
def test_rows_of_the_next_token(made: Any, read: Any) -> None:
    choice = made((5, -0.1), (6, -0.1), (7, -3.0))
    # The second ties with the one that was written.
    assert read(choice, [5, 6, 7]) == {5: Row(-0.1, True), 6: Row(-0.1, True), 7: Row(-3.0, False)}
    with pytest.raises(Malformed, match="token 8"):
        read(choice, [8])


@pytest.mark.parametrize(
    "choice", [{}, {"logprobs": None}, {"logprobs": {"content": []}}, {"logprobs": {"tokens": []}}]
)
@pytest.mark.parametrize("read", [after_listed, after_named])
def test_a_choice_without_log_probabilities_is_malformed(choice: Any, read: Any) -> None:
    with pytest.raises(Malformed):
        read(choice, [1])


def test_choices_are_put_in_the_order_of_their_prompts() -> None:
    reply = {"choices": [{"index": 1, "text": "b"}, {"index": 0, "text": "a"}]}
    assert [choice["text"] for choice in choices(reply, 2)] == ["a", "b"]


@pytest.mark.parametrize("found", [None, [], [{"index": 0}], [{"index": 0}, {"index": 0}], [1, 2], [{"index": 0}] * 3])
def test_another_number_of_choices_is_malformed(found: object) -> None:
    with pytest.raises(Malformed):
        choices({"choices": found}, 2)


@pytest.mark.parametrize(
    ("name", "number"), [("token_id:12", 12), ("token_id:", None), ("token_id:-1", None), (" a", None), (3, None)]
)
def test_names_of_tokens(name: object, number: int | None) -> None:
    assert token_number(name) == number


def test_a_score_needs_all_rows() -> None:
    rows = {0: Row(-1.0, True), 1: Row(-2.0, True), 2: Row(-3.0, False)}
    assert scored(SPAN, rows) == Score(-6.0, False)
    with pytest.raises(Malformed, match="1 of 3"):
        scored(SPAN, {0: rows[0], 2: rows[2]})
