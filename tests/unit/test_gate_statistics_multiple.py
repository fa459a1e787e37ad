from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import combine_pvalues, false_discovery_control
from statsmodels.stats.multitest import multipletests

from pytest_lmeval.gate.statistics.multiple import benjamini_hochberg, bonferroni, fisher, holm

CHECKED = settings(max_examples=100, deadline=None)
P = st.lists(st.floats(0, 1), min_size=1, max_size=30)


# statsmodels takes a twentieth of a second for each.
@settings(max_examples=20, deadline=None)
@given(P)
def test_adjusted_as_by_statsmodels(p: list[float]) -> None:
    for ours, name in ((holm, "holm"), (benjamini_hochberg, "fdr_bh"), (bonferroni, "bonferroni")):
        assert ours(p) == pytest.approx(multipletests(p, method=name)[1].tolist(), abs=1e-9)


@CHECKED
@given(P)
def test_adjusted_as_by_scipy(p: list[float]) -> None:
    assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p).tolist(), abs=1e-9)


@CHECKED
@given(P)
def test_order_and_size(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(after >= before for after, before in zip(adjusted, p, strict=True))
    pairs = sorted(zip(p, adjusted, strict=True))
    assert [after for _, after in pairs] == sorted(adjusted)
    assert all(h <= b for h, b in zip(adjusted, bonferroni(p), strict=True))
    assert all(0 <= q <= 1 for q in (*adjusted, *benjamini_hochberg(p)))
    assert holm(p[::-1]) == adjusted[::-1]


def test_worked_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@CHECKED
@given(st.lists(st.floats(1e-300, 1), min_size=1, max_size=20))
def test_fisher_is_that_of_scipy(p: list[float]) -> None:
    assert fisher(p) == pytest.approx(combine_pvalues(p, method="fisher").pvalue, abs=1e-9)


def test_tests_that_could_not_be_made() -> None:
    for adjust in (holm, benjamini_hochberg, bonferroni):
        found = adjust([0.01, math.nan, 0.2])
        assert math.isnan(found[1])
        assert [found[0], found[2]] == adjust([0.01, 0.2])
        assert adjust([]) == []
        assert math.isnan(adjust([math.nan])[0])
    assert fisher([math.nan, 0.3]) == pytest.approx(0.3)
    assert fisher([]) == 1
    assert fisher([0.0, 0.5]) == 0


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.inf])
def test_what_is_no_p_value(bad: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, bad])
