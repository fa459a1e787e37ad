"""Simulates early stopping: how often an equal model is stopped, how soon a worse one, and what a pass saves.

``python -m benchmarks.gate.sequential [RUNS]`` prints a table; 2,000 runs of each setting by default.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from pytest_lmeval.gate.monitor import SETTLED_ALPHA
from pytest_lmeval.gate.statistics.sequential import SEQUENTIAL_SHARE, CountBounds, discordance_evidence

N = 1319
ALPHA = 0.01
#: What a monitor of one test stops at: two processes share a fifth of the error rate.
MONITORED = SEQUENTIAL_SHARE * ALPHA / 2
_LOOK_EVERY = 8
_Z = 1.6448536269514722


class Row(NamedTuple):
    """A measured ``value`` and its Monte-Carlo standard error; ``bound`` is what it must not exceed, if anything."""

    name: str
    setting: str
    value: float
    error: float
    bound: float | None = None


def rows(runs: int = 2000, *, seed: int = 1) -> Iterator[Row]:
    """Simulate everything, each setting with random numbers of its own."""
    yield from stopped_equals(runs, seed=seed)
    yield from stopped_worse(runs, seed=seed)
    yield from settled(max(20, runs // 10), seed=seed)


def stopped_equals(runs: int, *, seed: int, flips: tuple[float, ...] = (0.01, 0.05, 0.2), n: int = N) -> Iterator[Row]:
    """Models that are equal: the share that is stopped, at the whole error rate and at the monitor's."""
    for share in flips:
        for alpha in (0.05, MONITORED):
            hits, _ = _stops(_changes(runs, n, share, 0.0, seed), alpha)
            yield _rate("equal model stopped", f"flips {share:.0%}, n {n:,}, alpha {alpha:g}", hits, alpha)


#: Points lost and share of flips. At an alpha of 0.05 these are the gate's published operating characteristics.
WORSE = ((2.0, 0.05), (5.0, 0.10), (10.0, 0.12), (30.0, 0.35), (70.0, 0.75))


def stopped_worse(runs: int, *, seed: int, n: int = N) -> Iterator[Row]:
    """Models that lost so many points: how often they are stopped, and after how many documents on average."""
    for points, flips in WORSE:
        for alpha in (0.05, MONITORED):
            hits, asked = _stops(_changes(runs, n, flips, points / 100, seed), alpha)
            setting = f"-{points:g} points, flips {flips:.0%}, n {n:,}, alpha {alpha:g}"
            yield _rate("worse model stopped", setting, hits)
            yield Row("documents asked of a worse model", setting, float(asked.mean()), _stderr(asked))


#: Improved documents, all documents and the margin in points: as many regressed, or so many that it just does not pass.
POPULATIONS = ((13, 1319, 1.0), (20, 1319, 2.0), (100, 10_042, 1.0))


def settled(runs: int, *, seed: int, populations: tuple[tuple[int, int, float], ...] = POPULATIONS) -> Iterator[Row]:
    """Stopping because of a pass: how often the whole run would not have passed, and the share of documents saved."""
    for improved, n, margin in populations:
        for regressed in (improved, _just_failing(improved, n, margin)):
            stream = np.random.default_rng([seed, regressed, n])
            population = np.repeat([-1, 1, 0], [regressed, improved, n - regressed - improved])
            asked = np.array([_settles(stream.permutation(population), margin) for _ in range(runs)], dtype=float)
            passes = noninferior(regressed, improved, n, margin)
            setting = (
                f"{regressed} worse, {improved} better, n {n:,}, margin {margin:g}, {'pass' if passes else 'no pass'}"
            )
            yield _rate("verdict of an early pass differs", setting, (asked < n) & (not passes), SETTLED_ALPHA)
            yield Row("share of documents saved", setting, float(1 - asked.mean() / n), _stderr(asked) / n)


def _just_failing(improved: int, n: int, margin: float) -> int:
    return next(regressed for regressed in range(improved, n) if not noninferior(regressed, improved, n, margin))


def noninferior(regressed: int, improved: int, n: int, margin: float) -> bool:
    """Whether Tango's score test at 0.05 shows a drop of less than ``margin`` points (Tango 1998)."""
    delta = -margin / 100
    a, b = 2 * n, -regressed - improved + (2 * n - improved + regressed) * delta
    c = -regressed * delta * (1 - delta)
    share = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = n * (2 * share + delta * (1 - delta))
    return (improved - regressed - n * delta) / math.sqrt(max(variance, 1e-300)) > _Z


def _changes(runs: int, n: int, flips: float, drop: float, seed: int) -> Any:
    """Random changes of documents: -1 worse, 1 better, 0 neither. Shape (runs, n)."""
    stream = np.random.default_rng([seed, round(1e6 * flips), round(1e6 * drop)])
    chance = stream.random((runs, n), dtype=np.float32)
    worse = (flips + drop) / 2
    return np.where(chance < worse, -1, np.where(chance < flips, 1, 0)).astype(np.int8)


def _stops(changes: Any, alpha: float) -> tuple[Any, Any]:
    """Whether each run is stopped, and the documents asked until then or to the end."""
    runs, n = changes.shape
    hits, asked = np.zeros(runs, dtype=bool), np.full(runs, float(n))
    limit = -math.log(alpha)
    for run, row in enumerate(changes):
        worse = better = 0
        for at in np.flatnonzero(row):
            worse += row[at] < 0
            better += row[at] > 0
            if row[at] < 0 and discordance_evidence(int(worse), int(better)) >= limit:
                hits[run], asked[run] = True, at + 1
                break
    return hits, asked


def _settles(changes: Any, margin: float) -> int:
    """Documents asked until a pass was certain, or all."""
    n = len(changes)
    worse, better = np.cumsum(changes < 0), np.cumsum(changes > 0)
    regressed = improved = CountBounds.before(n)
    for asked in range(_LOOK_EVERY, n, _LOOK_EVERY):
        regressed = regressed.after(int(worse[asked - 1]), asked, n, alpha=SETTLED_ALPHA / 2)
        improved = improved.after(int(better[asked - 1]), asked, n, alpha=SETTLED_ALPHA / 2)
        if noninferior(regressed.high, improved.low, n, margin):
            return asked
    return n


def _rate(name: str, setting: str, hits: Any, bound: float | None = None) -> Row:
    return Row(name, setting, float(np.mean(hits)), _stderr(np.asarray(hits, dtype=float)), bound)


def _stderr(values: Any) -> float:
    return float(values.std() / math.sqrt(len(values)))


def main() -> None:
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print("| | setting | value | ± |\n|---|---|---|---|")
    for row in rows(runs):
        print(f"| {row.name} | {row.setting} | {row.value:.4g} | {row.error:.2g} |", flush=True)


if __name__ == "__main__":
    main()
