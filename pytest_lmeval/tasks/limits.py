"""Which documents of a split are asked: all, a seeded random sample, or the head."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_lmeval.errors import SettingsError

_FORM = re.compile(r"(?P<head>first:)?(?P<number>\d+(?:\.\d+)?)(?P<percent>%)?")


@dataclass(frozen=True, slots=True)
class Limit:
    """``100`` or ``10%`` documents drawn at random with a seed; ``first:100`` the head of the split."""

    text: str
    number: float
    percent: bool
    head: bool

    @classmethod
    def parse(cls, value: str | int | float, *, where: str = "limit") -> Limit:
        """Read a limit given at ``where``. A number between 0 and 1 is a share, as in the reference.

        Raises SettingsError.
        """
        text = str(value).strip()
        match = _FORM.fullmatch(text)
        if match is None or not _positive(match):
            raise SettingsError(
                f"{where}: expected a number of documents (200), a share (10%) or first:200, found {text!r}"
            )
        number, percent = float(match["number"]), bool(match["percent"])
        if not percent and 0 < number < 1:
            number, percent = number * 100, True
        if percent and number > 100:
            raise SettingsError(f"{where}: {text} is more than the whole")
        if not percent and number != int(number):
            raise SettingsError(f"{where}: expected a whole number of documents, found {text!r}")
        return cls(text, number, percent, bool(match["head"]))

    def count(self, total: int) -> int:
        """How many of ``total`` documents this is: a share is rounded up, and never more than there are."""
        wanted = math.ceil(total * self.number / 100) if self.percent else int(self.number)
        return min(wanted, total)

    def choose(self, total: int, *, seed: int, task: str) -> Sequence[int]:
        """Return the indices asked, in ascending order; the sample depends on seed and task alone."""
        count = self.count(total)
        if self.head or count == total:
            return range(count)
        return sorted(random.Random(f"{seed}:{task}").sample(range(total), count))


def _positive(match: re.Match[str]) -> bool:
    return float(match["number"]) > 0
