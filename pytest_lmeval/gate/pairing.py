"""Which item of a run is which item of its baseline: by content, not by number.

A pair by position alone would compare unrelated documents as soon as a data set is reordered or one row is
dropped from it, and would not notice.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_lmeval.baselines.codec import ItemKey, item_key
from pytest_lmeval.baselines.record import Baseline, BaselineItem, Digests, digests
from pytest_lmeval.results import ItemResult

#: What an item consists of, by the field names of ItemKey and Digests.
_PARTS = (("document", "documents"), ("prompt", "prompts"), ("target", "targets"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One document, now and then."""

    now: ItemResult
    then: BaselineItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """The documents that a run shares with its baseline, in the run's order.

    ``changed`` names what differs where both should agree: "documents", "prompts", "targets". ``added`` counts
    the run's other items, ``missing`` the baseline's.
    """

    pairs: tuple[Pair, ...]
    changed: tuple[str, ...]
    added: int
    missing: int

    @property
    def complete(self) -> bool:
        """Whether both hold exactly the same items."""
        return not (self.added or self.missing)


def pair_items(items: Sequence[ItemResult], baseline: Baseline) -> Pairing:
    """Pair by content, first in place, then, for what has moved, by order of occurrence."""
    keys = [item_key(item) for item in items]
    at_index = {item.index: item for item in baseline.items}
    found = [_in_place(item, key, at_index) for item, key in zip(items, keys, strict=True)]
    waiting = _waiting(baseline, {then.index for then in found if then})
    for at, key in enumerate(keys):
        if found[at] is None and waiting[key]:
            found[at] = waiting[key].popleft()
    pairs = tuple(Pair(now=now, then=then) for now, then in zip(items, found, strict=True) if then)
    unpaired = [(item, key) for item, key, then in zip(items, keys, found, strict=True) if then is None]
    return Pairing(
        pairs=pairs,
        changed=_changed(items, unpaired, at_index, baseline.digests),
        added=len(unpaired),
        missing=len(baseline.items) - len(pairs),
    )


def _in_place(item: ItemResult, key: ItemKey, at_index: dict[int, BaselineItem]) -> BaselineItem | None:
    then = at_index.get(item.index)
    return then if then is not None and then.key == key else None


def _waiting(baseline: Baseline, taken: set[int]) -> defaultdict[ItemKey, deque[BaselineItem]]:
    waiting: defaultdict[ItemKey, deque[BaselineItem]] = defaultdict(deque)
    for item in baseline.items:
        if item.index not in taken:
            waiting[item.key].append(item)
    return waiting


def _changed(
    items: Sequence[ItemResult],
    unpaired: Sequence[tuple[ItemResult, ItemKey]],
    at_index: dict[int, BaselineItem],
    recorded: Digests,
) -> tuple[str, ...]:
    # Of the same positions the full hashes are known to agree or not. Of a subset, only the items' keys are.
    if {item.index for item in items} == at_index.keys():
        now = digests(items)
        names = [plural for _, plural in _PARTS if getattr(now, plural) != getattr(recorded, plural)]
        if names or not unpaired:
            return tuple(names)
    both = [(key, at_index[item.index].key) for item, key in unpaired if item.index in at_index]
    seen = {_changed_part(now, then) for now, then in both}
    return tuple(plural for part, plural in _PARTS if part in seen)


def _changed_part(now: ItemKey, then: ItemKey) -> str:
    """Name the first part that differs: with another document the rest is another's, too."""
    return next(part for part, _ in _PARTS if getattr(now, part) != getattr(then, part))
