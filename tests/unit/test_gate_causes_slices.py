from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

import pytest
from scipy.stats import false_discovery_control

from pytest_lmeval.gate.causes.measure import Measure
from pytest_lmeval.gate.causes.slices import FEWEST, Breakdown, break_down
from pytest_lmeval.gate.pairing import Pair
from pytest_lmeval.gate.statistics.binary import mcnemar
from tests.unit.paired import kept, lost, pair, won


def documents(counts: Mapping[str, tuple[int, int, int]], *, facet: str = "topic", start: int = 0) -> list[Pair]:
    """Documents of each value: so many lost, won and kept."""
    made: list[Pair] = []
    for value, numbers in counts.items():
        for make, number in zip((lost, won, kept), numbers, strict=True):
            made += [make(start + len(made) + at, facets={facet: value}) for at in range(number)]
    return made


def broken(pairs: Iterable[Pair], *, higher_is_better: bool = True) -> Breakdown:
    kept_pairs = list(pairs)
    return break_down(kept_pairs, Measure.of(kept_pairs, "acc", higher_is_better=higher_is_better))


def test_each_slice_is_tested_like_the_whole_metric_and_adjusted_for_their_number() -> None:
    counts = {"law": (12, 2, 86), "maths": (3, 4, 93), "history": (5, 1, 44)}
    found = {part.value: part for part in broken(documents(counts)).slices}
    p = {value: mcnemar(b, c, b + c + same, alpha=0.05).p_worse for value, (b, c, same) in counts.items()}
    q = dict(zip(p, false_discovery_control(list(p.values())), strict=True))
    for value, (b, c, same) in counts.items():
        part = found[value]
        assert (part.n, part.regressed, part.improved) == (b + c + same, b, c)
        assert part.p == pytest.approx(p[value], abs=1e-12)
        assert part.q == pytest.approx(q[value], abs=1e-12)
        assert part.difference == pytest.approx((c - b) / (b + c + same))
    assert found["law"].rest == pytest.approx((4 - 3 + 1 - 5) / 150)


def test_the_clearest_drop_comes_first_then_the_larger() -> None:
    counts = {"a": (1, 1, 8), "b": (9, 0, 91), "c": (0, 3, 17), "d": (9, 0, 41)}
    assert [part.value for part in broken(documents(counts)).slices] == ["d", "b", "a", "c"]


def test_slices_of_several_columns_are_one_family() -> None:
    one = documents({"x": (8, 0, 12), "y": (0, 0, 20)})
    both = [
        pair(p.now.index, p.then.scores["acc"], p.now.scores["acc"], facets={**p.now.facets, "half": str(at % 2)})
        for at, p in enumerate(one)
    ]
    alone, together = broken(one), broken(both)
    q = {part.value: part.q for part in together.slices}
    assert len(together.slices) == 4
    assert q["x"] == pytest.approx(2 * next(part.q for part in alone.slices if part.value == "x"))


def test_small_slices_are_counted_and_left_out() -> None:
    counts = {"law": (4, 0, 6), "maths": (0, 0, 10), "rare": (FEWEST - 1, 0, 0), "rarer": (1, 0, 0)}
    found = broken(documents(counts))
    assert {part.value for part in found.slices} == {"law", "maths"}
    assert found.left_out == 2


def test_a_column_with_one_value_or_without_is_no_breakdown() -> None:
    assert broken(documents({"law": (4, 0, 16)})) == Breakdown(slices=(), spreads=(), left_out=0)
    assert broken([lost(0), kept(1)]) == Breakdown(slices=(), spreads=(), left_out=0)
    assert broken([]) == Breakdown(slices=(), spreads=(), left_out=0)


def test_documents_without_a_value_are_in_no_slice() -> None:
    unanswered = [pair(at, 1.0, None, error="x", facets={"topic": "law"}) for at in range(100, 110)]
    found = broken([*documents({"law": (4, 0, 6), "maths": (0, 0, 10)}), *unanswered])
    assert {part.value: part.n for part in found.slices} == {"law": 10, "maths": 10}


def test_a_drop_in_one_slice_stands_out() -> None:
    found = broken(documents({"law": (20, 0, 80), "maths": (1, 1, 98), "history": (0, 0, 100)}))
    assert not found.even
    assert [part.value for part in found.outstanding] == ["law"]


def test_a_drop_that_is_the_same_everywhere_is_called_even_however_clear() -> None:
    found = broken(documents(dict.fromkeys("abcd", (20, 2, 78))))
    assert all(part.q < 0.001 for part in found.slices)
    assert found.even
    assert not found.outstanding


def test_a_slice_that_gained_while_the_others_stayed_is_no_drop() -> None:
    found = broken(documents({"law": (0, 30, 70), "maths": (0, 0, 100)}))
    assert not found.even
    assert not found.outstanding


def test_the_spread_test_has_the_exact_probability() -> None:
    # All 3 losses in the same half of 5 documents: 2 * C(5, 3) of C(10, 3) ways to deal them.
    (spread,) = broken(documents({"a": (3, 0, 2), "b": (0, 0, 5)})).spreads
    assert spread.p == pytest.approx(20 / 120, abs=0.03)
    assert (spread.facet, spread.slices, spread.q) == ("topic", 2, spread.p)


def test_slices_of_an_equal_model_are_seldom_called_uneven() -> None:
    chance = random.Random(5)
    uneven = 0
    for _ in range(40):
        pairs = [
            chance.choices([lost, won, kept], [3, 3, 94])[0](at, facets={"topic": str(at % 6)}) for at in range(200)
        ]
        uneven += not broken(pairs).even
    # 1 % are expected; of 40, more than 3 in one of 1,500 runs.
    assert uneven <= 3


def test_values_are_compared_where_documents_are_not_right_or_wrong() -> None:
    chance = random.Random(1)
    pairs = [
        pair(at, 0.5, 0.5 - (0.2 if at % 2 else 0.0) + chance.gauss(0, 0.05), facets={"half": str(at % 2)})
        for at in range(60)
    ]
    found = broken(pairs)
    first = found.slices[0]
    assert first.value == "1"
    assert first.difference == pytest.approx(-0.2, abs=0.03)
    assert first.q < 0.001 < found.slices[1].q
    assert [part.value for part in found.outstanding] == ["1"]


def test_where_less_is_better_the_drop_is_a_rise() -> None:
    pairs = [pair(at, 1.0, 1.5 if at % 2 and at % 7 else 1.0, facets={"half": str(at % 2)}) for at in range(80)]
    found = broken(pairs, higher_is_better=False)
    assert (found.slices[0].value, found.slices[0].regressed) == ("1", 34)
    assert found.slices[0].difference > 0
    assert [part.value for part in found.outstanding] == ["1"]


def test_the_order_of_the_pairs_makes_no_difference() -> None:
    pairs = documents({"law": (12, 2, 86), "maths": (3, 4, 93)})
    graded = [pair(at, 0.5, (at % 7) / 7, facets={"third": str(at % 3)}) for at in range(100)]
    shuffler = random.Random(3)
    for some in (pairs, graded):
        assert broken(shuffler.sample(some, len(some))) == broken(some)
