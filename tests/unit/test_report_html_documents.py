"""The HTML report's data: documents as columns, their changes, and the distribution of margins."""

from __future__ import annotations

import base64
import gzip
import json
import math
from typing import Any

import numpy as np
import pytest

from pytest_lmeval.gate.causes.account import account
from pytest_lmeval.report.html.changes import Change, change_of, is_right, measure_of
from pytest_lmeval.report.html.chunks import chunk
from pytest_lmeval.report.html.columns import columns, pack
from pytest_lmeval.report.html.histogram import margin_histogram
from pytest_lmeval.results import Flaw, ItemResult
from pytest_lmeval.runs.tasks import TaskRecord

from .recorded_runs import baseline_from, choice_item, record_of, result_of, text_item

SUMS = ("exact_match", "strict-match")


def compared(now: list[ItemResult], then: list[ItemResult], metric: tuple[str, str] = ("acc", "none")) -> TaskRecord:
    return record_of(result_of("t", now, metric), baseline_from(result_of("t", then, metric)))


def made(record: TaskRecord) -> Any:
    found = account(record.pairs, record.row.metric, True) if record.pairs else None
    return columns(record.result.items, record.pairs, measure_of(record, record.pairs), found)


def unpacked(column: Any) -> list[Any]:
    return column if isinstance(column, list) else [column["of"][at] for at in column["at"]]


@pytest.mark.parametrize("values", [[], ["a"], ["a", "a", "b", "a"], [1, True, 1, True, 1.5, None], list("abc")])
def test_columns_come_back(values: list[Any]) -> None:
    back = unpacked(pack(values))
    assert back == values
    assert [type(value) for value in back] == [type(value) for value in values]


def test_values_that_recur_stand_once() -> None:
    assert pack(["long text", "b", "long text", "long text"]) == {"of": ["long text", "b"], "at": [0, 1, 0, 0]}


def test_every_change_is_told() -> None:
    then = [choice_item(index, right=index != 1) for index in range(5)]
    now = [choice_item(index, right=index in (1, 2)) for index in range(4)]
    now.append(choice_item(4, right=True, scores={}, margin=None, error="gone", flaw=Flaw.ERROR))
    record = compared([*now, choice_item(9, right=True)], then)
    measure = measure_of(record, record.pairs)
    pairs = {pair.now.index: pair for pair in record.pairs}
    told = [change_of(item, pairs.get(item.index), measure) for item in record.result.items]
    assert told == [
        Change.REGRESSED,
        Change.IMPROVED,
        Change.SAME_RIGHT,
        Change.REGRESSED,
        Change.ERROR,
        Change.NO_PAIR,
    ]
    assert [is_right(item, measure) for item in record.result.items] == [False, True, True, False, None, True]


def test_documents_that_are_not_right_or_wrong_are_neither() -> None:
    record = record_of(result_of("t", [choice_item(0, right=True, scores={"acc": 0.25})]), None)
    assert is_right(record.result.items[0], measure_of(record, ())) is None


def test_texts_of_choices_stand_once() -> None:
    data = made(compared([choice_item(0, right=False), choice_item(1, right=True)], [choice_item(0, right=True)]))
    assert unpacked(data["target"]) == [0, 0]
    assert unpacked(data["answer"]) == [1, 0]
    assert unpacked(data["choices"]) == [("north", "south"), ("north", "south")]


def test_examples_are_put_together_of_their_parts() -> None:
    texts = ["Q: a\n\nQ: b\n\n", "Q: b\n\nQ: c\n\n\nend", ""]
    items = [choice_item(index, right=True, examples=text) for index, text in enumerate(texts)]
    data = made(record_of(result_of("t", items), None))["examples"]
    assert data["parts"] == ["Q: a\n\n", "Q: b\n\n", "Q: c\n\n\n", "end"]
    assert ["".join(data["parts"][at] for at in places) for places in unpacked(data["places"])] == texts


def test_of_a_cut_answer_as_much_is_compared_as_was_recorded() -> None:
    long = "\U0001f30d" * 300
    then = [text_item(0, right=True, answer=long), text_item(1, right=True)]
    now = [text_item(0, right=True, answer=long + "!"), text_item(1, right=False)]
    data = made(compared(now, then, SUMS))["then"]
    whole = len(unpacked(data["answer"])[0])
    # In UTF-16 units, of which these take two each.
    assert unpacked(data["compared"]) == [2 * whole, None]
    assert unpacked(data["changed"]) == [False, True]


def test_numbers_that_json_lacks_are_texts() -> None:
    item = choice_item(0, right=True, margin=-math.inf, logprobs=(math.nan, -1.0), scores={"acc": 1.0, "x": math.nan})
    data = made(record_of(result_of("t", [item]), None))
    assert data["margin"] == ["-inf"]
    assert data["logprobs"] == [["nan", -1.0]]
    assert unpacked(data["scores"]["x"]) == ["nan"]
    json.dumps(data, allow_nan=False)


def test_a_chunk_gives_back_every_text() -> None:
    text = "</script>\ud800 \x00 \U0001f30d"
    element = chunk("t", [text])
    data = element[element.index(">") + 1 : element.rindex("</script>")]
    assert "<" not in data
    assert json.loads(gzip.decompress(base64.b64decode(data))) == [text]


def test_margins_are_counted_as_numpy_does() -> None:
    rng = np.random.default_rng(3)
    margins = [float(value) for value in rng.normal(0.3, 1.0, 200)]
    items = [choice_item(index, right=True, margin=margin) for index, margin in enumerate(margins)]
    found = margin_histogram(items, ())
    assert found is not None
    assert 0.0 in found.edges
    assert sum(found.now) == 200
    assert found.then == ()
    inner = slice(1, -1)
    assert list(np.histogram(margins, found.edges)[0][inner]) == list(found.now[inner])
    zero = found.edges.index(0.0)
    assert sum(found.now[:zero]) == sum(margin < 0 for margin in margins)


def test_margins_are_those_of_documents_that_both_have() -> None:
    then = [choice_item(index, right=True) for index in range(6)]
    now = [*(choice_item(index, right=False) for index in range(6)), choice_item(7, right=True)]
    record = compared(now, then)
    found = margin_histogram(record.result.items, record.pairs)
    assert found is not None
    assert (sum(found.now), sum(found.then)) == (6, 6)
    zero = found.edges.index(0.0)
    assert (sum(found.now[zero:]), sum(found.then[zero:])) == (0, 6)


@pytest.mark.parametrize("margins", [[None, None], [math.nan, math.inf], [1.0]])
def test_without_margins_there_is_no_histogram(margins: list[float | None]) -> None:
    items = [choice_item(index, right=True, margin=margin) for index, margin in enumerate(margins)]
    assert margin_histogram(items, ()) is None


def test_equal_margins_have_a_histogram() -> None:
    items = [choice_item(index, right=True, margin=0.0) for index in range(3)]
    found = margin_histogram(items, ())
    assert found is not None
    assert sum(found.now) == 3
