"""Documents that two runs judge differently, counted as they come, with the evidence that they amount to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_lmeval.gate.statistics.sequential import discordance_evidence


@dataclass(slots=True)
class Discordance:
    """``worse`` and ``better`` count documents of ``pairs``; ``evidence`` is the strongest at any time, as log E.

    Documents of one cluster err together, so they are one observation: whether their cluster got worse or better on the
    whole, which is known when the next cluster begins.
    """

    worse: int = 0
    better: int = 0
    pairs: int = 0
    evidence: float = 0.0
    clustered: bool = False
    _signs: list[int] = field(default_factory=lambda: [0, 0])
    _clusters: _Clusters = field(default_factory=lambda: _Clusters())

    @property
    def points(self) -> float:
        """Documents that got worse less those that got better, in a hundred."""
        return 100 * (self.worse - self.better) / self.pairs if self.pairs else 0.0

    def count(self, change: int, cluster: str | None = None) -> None:
        """Count a pair that got worse (-1), better (1) or neither (0)."""
        self.pairs += 1
        self.worse += change < 0
        self.better += change > 0
        self.clustered |= cluster is not None
        for sign in self._clusters.observations(change, cluster):
            self._signs[sign > 0] += 1
            self.evidence = max(self.evidence, discordance_evidence(*self._signs))


@dataclass(slots=True)
class _Clusters:
    """Makes one observation of each cluster. Clusters come one after the other; one that comes again is not counted."""

    open: str | None = None
    sum: int = 0
    closed: set[str] = field(default_factory=set)

    def observations(self, change: int, cluster: str | None) -> Iterator[int]:
        """Take the next document; yield what is known by it, of those that are not 0."""
        if cluster != self.open:
            yield from self._ended()
        if cluster is None:
            yield from _sign(change)
        elif cluster not in self.closed:
            self.open = cluster
            self.sum += change

    def _ended(self) -> Iterator[int]:
        if self.open is not None:
            self.closed.add(self.open)
            yield from _sign(self.sum)
        self.open, self.sum = None, 0


def _sign(number: int) -> Iterator[int]:
    if number:
        yield 1 if number > 0 else -1
