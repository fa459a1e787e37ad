"""What each of two runs made of one document, as far as stopping early looks at it."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_lmeval.baselines.codec import ItemKey, item_key
from pytest_lmeval.baselines.record import Baseline, BaselineItem
from pytest_lmeval.results import Flaw, ItemResult

#: Flaws that no working model has in many answers.
DEGENERATE = frozenset({Flaw.NOT_A_NUMBER, Flaw.EMPTY, Flaw.REPETITION, Flaw.TRUNCATED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``right`` is None where the metric did not judge the document, or not as right or wrong."""

    right: bool | None
    flaw: Flaw | None

    def degenerate(self, flaws: frozenset[Flaw] = DEGENERATE) -> bool:
        """Whether the answer has one of the ``flaws``; one that is right in spite of it is an answer."""
        return self.flaw in flaws and self.right is not True


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """By which metric a document is right: 1, or 0 where lower is better. None: by any that says 1."""

    metric: str | None
    higher_is_better: bool = True

    def outcome(self, scores: Mapping[str, float], flaw: Flaw | None) -> Outcome:
        """What one run made of a document."""
        if self.metric is None:
            return Outcome(right=True if 1.0 in scores.values() else None, flaw=flaw)
        value = scores.get(self.metric)
        judged = value in (0.0, 1.0)
        return Outcome(right=(value == 1.0) == self.higher_is_better if judged else None, flaw=flaw)


class Partners:
    """A baseline's items, each handed out once: by content, that in the same place first."""

    def __init__(self, baseline: Baseline) -> None:
        self._at_index = {item.index: item for item in baseline.items}
        self._by_key: defaultdict[ItemKey, deque[BaselineItem]] = defaultdict(deque)
        for item in baseline.items:
            self._by_key[item.key].append(item)

    def take(self, item: ItemResult) -> BaselineItem | None:
        """Find the partner of a document that comes in any order, None where there is none."""
        key = item_key(item)
        if item.index in self._at_index and self._at_index[item.index].key == key:
            return self._at_index.pop(item.index)
        alike = self._by_key[key]
        while alike:
            # What was taken in its place is still among those alike.
            found = self._at_index.pop(alike.popleft().index, None)
            if found is not None:
                return found
        return None
