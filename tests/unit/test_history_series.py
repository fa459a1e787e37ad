"""Documents' scores in the history, steps between runs, and shifts: where they began and what ends them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmeval.history.drift import shift_of
from pytest_lmeval.history.points import TrendPoint
from pytest_lmeval.history.scores import documents_digest, pack, unpack
from pytest_lmeval.history.series import Series, Value

from .recorded_runs import choice_item

NUMBERS = st.lists(st.floats(-1000, 1000, width=32) | st.just(float("nan")), min_size=1, max_size=70)


@given(NUMBERS | st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=70))
def test_scores_come_back(values: list[float]) -> None:
    items = [replace(choice_item(at, right=True), scores={"acc": value}) for at, value in enumerate(values)]
    packed = pack(items, "acc")
    if not np.isfinite(values).any():
        assert packed is None
    else:
        assert packed is not None
        np.testing.assert_array_equal(unpack(packed), values)


def test_a_bit_for_right_and_wrong() -> None:
    items = [choice_item(at, right=at % 3 > 0) for at in range(16_000)]
    assert len(pack(items, "acc") or b"") < 2_100
    assert pack(items, "perplexity") is None
    assert documents_digest(items) != documents_digest([*items[:-1], replace(items[-1], prompt_hash="0")])


@pytest.mark.parametrize("data", [b"", b"b", b"x\1\0\0\0", b"b\xff\xff\xff\xff", b"b\x08\0\0\0none", b"f\1\0\0\0"])
def test_what_is_no_packed_scores_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="scores of documents"):
        unpack(data)


def test_no_more_is_unpacked_than_is_said() -> None:
    packed = pack([choice_item(at, right=True) for at in range(80_000)], "acc")
    assert packed is not None
    with pytest.raises(ValueError, match="not as many as they say"):
        unpack(packed[:1] + (8).to_bytes(4, "little") + packed[5:])


def series(*right: int, n: int = 100, **changes: object) -> Series:
    """Runs that got so many documents right, the first ones."""
    values = []
    for at, count in enumerate(right):
        items = [choice_item(index, right=index < count) for index in range(n)]
        point = TrendPoint(
            run=f"run-{at}", started=float(at), value=count / n, stderr=0.01, n=n, verdict="pass", commit=f"{at:040x}"
        )
        values.append(Value(point=point, documents=documents_digest(items), scores=pack(items, "acc")))
    made = Series(model="demo", task="rivers", metric="acc", settings="", higher_is_better=True, values=tuple(values))
    return replace(made, **changes)  # type: ignore[arg-type]


def test_steps_are_of_the_same_documents() -> None:
    made = series(90, 81, 81, 85)
    assert made.steps() == pytest.approx((-3.0, 0.0, 2.0))
    assert series(90, 81, higher_is_better=False).steps() == pytest.approx((3.0,))
    first, second, *_ = made.values
    for other in (replace(second, documents="others"), replace(second, scores=None), replace(second, scores=b"x")):
        assert replace(made, values=(first, other)).steps() == (None,)


def test_a_slide_names_its_first_run_and_the_last_before() -> None:
    shift = shift_of(series(90, 90, 91, 87, 83, 79, 75))
    assert shift is not None
    assert (shift.before.run, shift.first.run, shift.now.run, shift.runs, shift.at) == (
        "run-2",
        "run-3",
        "run-6",
        4,
        None,
    )
    assert shift.sentence == (
        "acc of rivers has been sliding for 4 runs, since commit 0000000000 (run run-3): 0.9100 -> 0.7500 (-16.00 "
        "points); before it was commit 0000000000 (run run-2)"
    )
    # Among many series it takes more.
    assert shift_of(series(90, 90, 91, 87, 83, 79, 75), among=100) is None


def test_one_step_is_told_as_one() -> None:
    shift = shift_of(series(90, 90, 54, 54))
    assert shift is not None
    assert shift.at is not None
    assert shift.at.run == "run-2"
    assert shift.sentence.startswith("acc of rivers got worse with commit 0000000000 (run run-2): 0.9000 -> 0.5400")


def test_recording_a_baseline_accepts_the_level() -> None:
    made = series(90, 86, 82, 78, 74)
    assert shift_of(made) is not None
    last = made.values[-1]
    accepted = replace(last, point=replace(last.point, verdict="recorded"))
    assert shift_of(replace(made, values=(*made.values[:-1], accepted))) is None
    assert shift_of(series(90)) is None
