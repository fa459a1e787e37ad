"""Early stopping: how often an equal model is stopped, how soon a worse one, and what an early pass saves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from benchmarks.gate.rows import FALSE_ALARM, POWER, Effort, Rate, Row
from pytest_lmeval.gate.decision import bound_level
from pytest_lmeval.gate.monitor import SETTLED_ALPHA, Watching
from pytest_lmeval.gate.outcomes import Judging
from pytest_lmeval.gate.settings import Rules, resolve
from pytest_lmeval.gate.statistics.binary import tango_z
from pytest_lmeval.gate.statistics.sequential import SEQUENTIAL_SHARE, counts_bounds, discordance_evidence

ASKED = "documents asked"
SAVED = "documents saved"
AGREES = "verdict of all documents"
N = 1319
ALPHA = 0.01
_LOOK_EVERY = 8

evidence_of = lru_cache(maxsize=None)(discordance_evidence)
_bounds = lru_cache(maxsize=None)(counts_bounds)


def rows(effort: Effort) -> Iterator[Row]:
    """Stops of equal models, then of worse ones, then because of a pass."""
    yield from stopped_equals(effort)
    yield from stopped_worse(effort)
    yield from settled(effort)


def threshold(alpha: float, family: int = 1) -> float:
    """The evidence, as log E, at which a monitor stops."""
    judging = Judging(metric="acc", higher_is_better=True)
    return Watching(judging=judging, total=N, alpha=alpha, margin=0.0, family_size=family).threshold


def stopped_equals(effort: Effort) -> Iterator[Row]:
    """Models that are equal: one process at a rate of its own, and the two of a monitor, which share a fifth of it.

    What a monitor asks for beside, that the drop be as large as the margin, is left out: it stops even less.
    """
    for share in (0.01, 0.05, 0.2):
        runs = effort.times(8000)
        setting = f"n={N}, {100 * share:g} % change"
        right = changes(effort.random(f"stop {share}"), runs, N, share, 0.0)
        # Whether answers are degenerate is watched beside; here it changes as often.
        degenerate = changes(effort.random(f"stop degenerate {share}"), runs, N, share, 0.0)
        one, _ = stops(right, -math.log(0.05))
        yield Row(test="one e-process", setting=setting, what=FALSE_ALARM, alpha=0.05, rate=Rate.of(one), at_most=0.05)
        for alpha in (0.05, ALPHA):
            either = stops(right, threshold(alpha))[0] | stops(degenerate, threshold(alpha))[0]
            yield Row(
                test="early stop, two e-processes", setting=setting, what=FALSE_ALARM, alpha=SEQUENTIAL_SHARE * alpha,
                rate=Rate.of(either), at_most=SEQUENTIAL_SHARE * alpha,
            )  # fmt: skip


#: Points lost and share of changes, and the documents that the method is published with at a rate of 0.05.
WORSE = ((2.0, 0.05, 733), (5.0, 0.10, 272), (10.0, 0.12, 83), (30.0, 0.35, 26), (70.0, 0.75, 11))


def stopped_worse(effort: Effort) -> Iterator[Row]:
    """Models that lost so many points: how often they are stopped, and after which share of the documents."""
    for points, flips, _ in WORSE:
        runs = changes(effort.random(f"stop worse {points}"), effort.times(2000), N, flips, points / 100)
        setting = f"n={N}, {100 * flips:g} % change, {points:g} points worse"
        for test, alpha, limit in (
            ("one e-process", 0.05, -math.log(0.05)),
            ("early stop, two e-processes", 0.05, threshold(0.05)),
            ("early stop, two e-processes", ALPHA, threshold(ALPHA)),
        ):
            hits, asked = stops(runs, limit)
            sure = 0.99 if points >= 10 else None
            yield Row(test=test, setting=setting, what=POWER, alpha=alpha, rate=Rate.of(hits), at_least=sure)
            yield Row(test=test, setting=setting, what=ASKED, alpha=alpha, rate=Rate.mean(asked / N))


#: Improved documents, all documents, the margin in points and the runs: as many documents regressed as improved, or so
#: many that it just does not pass.
POPULATIONS = ((13, 1319, 1.0, 600), (20, 1319, 2.0, 600), (100, 10_042, 1.0, 200))


def settled(effort: Effort) -> Iterator[Row]:
    """Stopping because of a pass: whether all documents would pass as well, and the share of them that is saved."""
    rules = resolve([])
    for improved, n, margin, runs in POPULATIONS[:2] if effort.quick else POPULATIONS:
        for regressed in (improved, _just_failing(improved, n, margin, rules)):
            random = effort.random(f"settled {regressed} {n}")
            population = np.repeat([-1, 1, 0], [regressed, improved, n - regressed - improved])
            found = [_settles(random.permutation(population), margin, rules) for _ in range(effort.times(runs))]
            asked = np.array(found, dtype=float)
            passes = noninferior(regressed, improved, n, margin, rules)
            setting = (
                f"n={n}, margin {margin:g}, {regressed} worse and {improved} better: "
                f"{'passes' if passes else 'just does not pass'}"
            )
            yield Row(
                test="--lm-sequential", setting=setting, what=AGREES, alpha=SETTLED_ALPHA,
                rate=Rate.of((asked == n) | passes), at_least=1 - SETTLED_ALPHA,
            )  # fmt: skip
            yield Row(
                test="--lm-sequential", setting=setting, what=SAVED, alpha=SETTLED_ALPHA, rate=Rate.mean(1 - asked / n)
            )


def _just_failing(improved: int, n: int, margin: float, rules: Rules) -> int:
    return next(lost for lost in range(improved, n) if not noninferior(lost, improved, n, margin, rules))


def noninferior(regressed: int, improved: int, n: int, margin: float, rules: Rules | None = None) -> bool:
    """Whether Tango's score test shows a drop of less than ``margin`` points."""
    from scipy.special import ndtri

    quantile = -float(ndtri(bound_level(rules or resolve([]))))
    return tango_z(regressed, improved, n, -margin / 100) > quantile


def changes(random: np.random.Generator, runs: int, n: int, flips: float, drop: float) -> np.ndarray:
    """Random changes of documents: -1 worse, 1 better, 0 neither. Shape [runs, n]."""
    chance = random.random((runs, n), dtype=np.float32)
    worse = (flips + drop) / 2
    return np.where(chance < worse, -1, np.where(chance < flips, 1, 0)).astype(np.int8)


def stops(runs: np.ndarray, limit: float, margin: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Whether each run is stopped, and the documents asked until then or to the end."""
    hits, asked = np.zeros(len(runs), dtype=bool), np.full(len(runs), float(runs.shape[1]))
    for run, row in enumerate(runs):
        stop, _ = walk(row, limit, margin)
        if stop is not None:
            hits[run], asked[run] = True, stop
    return hits, asked


def walk(row: np.ndarray, limit: float, margin: float) -> tuple[int | None, float]:
    """After how many documents a run is stopped, None where it is not; and the strongest evidence until then.

    Stopped is it where the evidence ever reached ``limit`` and the drop is now of ``margin`` points.
    """
    worse = better = 0
    strongest = 0.0
    for at in np.flatnonzero(row).tolist():
        if row[at] > 0:
            better += 1
            continue
        worse += 1
        strongest = max(strongest, evidence_of(worse, better))
        if strongest >= limit and 0 < worse - better >= margin / 100 * (at + 1):
            return at + 1, strongest
    return None, strongest


def _settles(run: np.ndarray, margin: float, rules: Rules) -> int:
    """Documents asked until a pass was certain, or all."""
    n = len(run)
    worse, better = np.cumsum(run < 0), np.cumsum(run > 0)
    most, least = n, 0
    for asked in range(_LOOK_EVERY, n, _LOOK_EVERY):
        most = min(most, _bounds(int(worse[asked - 1]), asked, n, alpha=SETTLED_ALPHA / 2)[1])
        least = max(least, _bounds(int(better[asked - 1]), asked, n, alpha=SETTLED_ALPHA / 2)[0])
        if noninferior(most, least, n, margin, rules):
            return asked
    return n
