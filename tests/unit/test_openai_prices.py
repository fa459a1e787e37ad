from __future__ import annotations

import pytest

from pytest_lmeval.backends.openai.prices import Prices, prices
from pytest_lmeval.backends.protocol import Usage
from pytest_lmeval.errors import ModelSpecError


def test_cost_counts_cached_tokens_by_their_price() -> None:
    usage = Usage(prompt_tokens=3_000_000, cached_tokens=1_000_000, completion_tokens=500_000, reasoning_tokens=400_000)
    assert Prices(input=2.0, output=8.0, cached=0.5).cost(usage) == pytest.approx(2 * 2.0 + 0.5 + 4.0)


def test_more_cached_than_read_is_never_a_negative_cost() -> None:
    assert Prices(input=2.0, output=0.0, cached=0.0).cost(Usage(prompt_tokens=10, cached_tokens=99)) == 0.0


def test_cached_tokens_cost_what_others_do_unless_said() -> None:
    assert prices(2.0, 8.0, None) == Prices(input=2.0, output=8.0, cached=2.0)
    assert prices(2.0, 8.0, 0.0) == Prices(input=2.0, output=8.0, cached=0.0)


def test_no_prices_no_cost() -> None:
    assert prices(None, None, None) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((None, 8.0, None), "input_price is missing"),
        ((2.0, None, None), "output_price is missing"),
        ((None, None, 1.0), "input_price is missing"),
        ((-1.0, 8.0, None), "input_price=-1.0"),
        ((2.0, float("inf"), None), "output_price=inf"),
        ((2.0, 8.0, float("nan")), "cached_price=nan"),
    ],
)
def test_half_of_the_prices(given: tuple[float | None, float | None, float | None], said: str) -> None:
    with pytest.raises(ModelSpecError, match=said):
        prices(*given)
