"""What a run costs, by the prices that the user gives: there is no table of prices here that could be out of date."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pytest_lmeval.backends.protocol import Usage
from pytest_lmeval.errors import ModelSpecError

TOKENS_PER_PRICE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Prices per million tokens, in any one currency. ``cached`` is that of prompt tokens read from a cache."""

    input: float
    output: float
    cached: float

    def priced(self, usage: Usage) -> Usage:
        """Return ``usage`` with its cost."""
        return replace(usage, cost=self.cost(usage))

    def cost(self, usage: Usage) -> float:
        """Cost of what was used. Reasoning is part of the completion tokens, cached tokens of the prompt's."""
        cached = min(usage.cached_tokens, usage.prompt_tokens)
        read = (usage.prompt_tokens - cached) * self.input + cached * self.cached
        return (read + usage.completion_tokens * self.output) / TOKENS_PER_PRICE


def prices(input_price: float | None, output_price: float | None, cached_price: float | None) -> Prices | None:
    """Return the prices, or None where none are given. Raises ModelSpecError where they are no prices or too few."""
    given = {"input_price": input_price, "output_price": output_price, "cached_price": cached_price}
    for key, price in given.items():
        if price is not None and not (price >= 0 and math.isfinite(price)):
            raise ModelSpecError(f"{key}={price}: expected a price per million tokens, 0 or more")
    if input_price is None and output_price is None and cached_price is None:
        return None
    if input_price is None or output_price is None:
        missing = "input_price" if input_price is None else "output_price"
        raise ModelSpecError(f"{missing} is missing: a cost needs the prices of what is read and of what is written")
    return Prices(input=input_price, output=output_price, cached=input_price if cached_price is None else cached_price)
