"""Metrics that are no mean of documents: paired bootstrap for the interval, exchanged outputs for the p-values.

Documents are resampled in pairs (Koehn, EMNLP 2004); p-values are from approximate randomization, which exchanges the
two runs' outputs document by document (Riezler and Maxwell, ACL workshop on evaluation measures, 2005).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_lmeval.gate.statistics.arrays import Codes, Floats, cluster_codes, same_length
from pytest_lmeval.gate.statistics.estimate import SHOWN_LEVEL, Estimate
from pytest_lmeval.gate.statistics.flipping import DRAWS, EXACT_UNITS, SLACK, Tally, exchanges
from pytest_lmeval.gate.statistics.units import FEW_UNITS, FEWEST_UNITS, by_t, unchanged

METHOD = "paired_bootstrap"
RESAMPLES = 2_000
# A quantile with fewer resamples than this beyond it is mostly chance.
_BEYOND = 10
_MOST_RESAMPLES = 20_000
_FEWEST_SWAPS = 1_000
# Documents exchanged in all: some seconds on a core.
_BUDGET = 400_000_000
# Numbers of one block of resamples: 16 MiB.
_BLOCK = 2**21

#: From summed counts [..., k], or from values [..., n], to the metric [...].
Statistic = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runs:
    """Two runs to compare: ``resampled`` takes documents' positions [m, units], ``exchanged`` exchanges [m, differing].

    Both return oriented differences [m]. ``slack`` is how far apart equal differences may be by rounding.
    """

    n: int
    units: int
    differing: int
    clusters: int | None
    observed: float
    slack: float
    resampled: Callable[[Codes], Floats]
    exchanged: Callable[[Floats], Floats]


def paired_bootstrap(
    now: ArrayLike,
    then: ArrayLike,
    value: Statistic,
    *,
    alpha: float,
    seed: int,
    resamples: int = RESAMPLES,
    higher_is_better: bool = True,
    clusters: Sequence[Hashable] | None = None,
    swaps: int = DRAWS,
) -> Estimate:
    """Compare a metric of summed counts: ``now`` and ``then`` [n, k], ``value`` from sums [..., k] to [...].

    Percentile interval of ``resamples`` resamples, of more where ``alpha`` is too small for them (at most 20,000);
    ``stderr`` is their standard deviation. ``swaps`` exchanges; all there are with up to 16 documents that differ, and
    fewer beyond 40,000, as the note then says. Whole ``clusters`` are resampled and exchanged where they are given.
    Bounds include the difference. With fewer than five documents, or clusters, nothing can be concluded. Raises
    ValueError for shapes that do not agree.
    """
    here, there = np.asarray(now, dtype=np.float64), np.asarray(then, dtype=np.float64)
    if here.ndim != 2 or here.shape != there.shape:
        raise ValueError(f"expected two arrays [documents, counts] of one shape, found {here.shape} and {there.shape}")
    n = len(here)
    differing = int((here != there).any(axis=1).sum())
    if clusters is not None:
        same_length("clusters", here, clusters)
        codes = cluster_codes(clusters)
        here, there = _summed(here, codes), _summed(there, codes)
    differ = (here != there).any(axis=1)
    change = there[differ] - here[differ]
    total_now, total_then = here.sum(axis=0), there.sum(axis=0)
    moved = _difference(value, higher_is_better)

    def resampled(index: Codes) -> Floats:
        counts = _occurrences(index, len(here))
        return moved(counts @ here, counts @ there)

    def exchanged(block: Floats) -> Floats:
        shift = block @ change
        return moved(total_now + shift, total_then - shift)

    runs = _Runs(
        n=n,
        units=len(here),
        differing=int(differ.sum()),
        clusters=None if clusters is None else len(here),
        observed=float(moved(total_now, total_then)) if differing else 0.0,
        slack=_slack(value, total_now, total_then) if differing else 0.0,
        resampled=resampled,
        exchanged=exchanged,
    )
    return _estimate(runs, changed=differing > 0, alpha=alpha, seed=seed, resamples=resamples, swaps=swaps)


def bootstrap_of_items(
    now: ArrayLike,
    then: ArrayLike,
    value: Statistic,
    *,
    alpha: float,
    seed: int,
    resamples: int = RESAMPLES,
    higher_is_better: bool = True,
    swaps: int = DRAWS,
) -> Estimate:
    """Compare a metric of the documents' values themselves, as a median: ``now`` and ``then`` [n].

    ``value`` takes arrays [..., n] to [...]. All else is as in :func:`paired_bootstrap`.
    """
    here, there = np.asarray(now, dtype=np.float64), np.asarray(then, dtype=np.float64)
    if here.ndim != 1 or here.shape != there.shape:
        raise ValueError(f"expected two arrays [documents] of one length, found {here.shape} and {there.shape}")
    moved = _difference(value, higher_is_better)
    differ = here != there

    def exchanged(block: Floats) -> Floats:
        ours, theirs = (np.repeat(values[None, :], len(block), axis=0) for values in (here, there))
        ours[:, differ] = np.where(block > 0, there[differ], here[differ])
        theirs[:, differ] = np.where(block > 0, here[differ], there[differ])
        return moved(ours, theirs)

    changed = bool(differ.any())
    runs = _Runs(
        n=len(here),
        units=len(here),
        differing=int(differ.sum()),
        clusters=None,
        observed=float(moved(here, there)) if changed else 0.0,
        slack=_slack(value, here, there) if changed else 0.0,
        resampled=lambda index: moved(here[index], there[index]),
        exchanged=exchanged,
    )
    return _estimate(runs, changed=changed, alpha=alpha, seed=seed, resamples=resamples, swaps=swaps)


def upper_median(values: Floats) -> Floats:
    """The upper of two middle values over the last axis, which is what lm-eval's ``median`` is."""
    middle = values.shape[-1] // 2
    return np.partition(values, middle, axis=-1)[..., middle]


def _difference(value: Statistic, higher_is_better: bool) -> Callable[[Floats, Floats], Floats]:
    sign = 1.0 if higher_is_better else -1.0

    def moved(now: Floats, then: Floats) -> Floats:
        # Infinite perplexities of both leave no difference.
        with np.errstate(invalid="ignore"):
            return np.asarray(sign * (value(now) - value(then)), dtype=np.float64)

    return moved


def _slack(value: Statistic, now: Floats, then: Floats) -> float:
    size = abs(float(value(now))) + abs(float(value(then)))
    return SLACK * size if math.isfinite(size) else 0.0


def _summed(counts: Floats, codes: Codes) -> Floats:
    sums = np.zeros((int(codes.max(initial=-1)) + 1, counts.shape[1]))
    np.add.at(sums, codes, counts)
    return sums


def _occurrences(index: Codes, units: int) -> Floats:
    """How often each unit occurs in each of the resamples [m, units]."""
    rows = np.arange(len(index))[:, None] * units
    counts = np.bincount((index + rows).ravel(), minlength=len(index) * units)
    return counts.reshape(len(index), units).astype(np.float64)


def _indices(units: int, draws: int, random: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    rows = max(1, _BLOCK // units)
    for start in range(0, draws, rows):
        yield random.integers(0, units, size=(min(rows, draws - start), units), dtype=np.intp)


def _estimate(runs: _Runs, *, changed: bool, alpha: float, seed: int, resamples: int, swaps: int) -> Estimate:
    if not runs.n:
        return by_t(0.0, None, 0, alpha=alpha, method=METHOD, n=0, clusters=runs.clusters, note="no documents")
    if not changed:
        return unchanged(METHOD, n=runs.n, clusters=runs.clusters)
    # Streams of their own: the p-values do not depend on how many resamples the bounds took.
    for_bounds, for_p = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    draws = max(resamples, min(_MOST_RESAMPLES, math.ceil(_BEYOND / alpha)))
    found = np.concatenate([runs.resampled(index) for index in _indices(runs.units, draws, for_bounds)])
    tally, note = _randomized(runs, swaps, for_p)
    too_few = runs.units < FEWEST_UNITS
    known = found[np.isfinite(found)]
    tail = (1 - SHOWN_LEVEL) / 2
    return Estimate(
        method=METHOD,
        n=runs.n,
        difference=runs.observed,
        stderr=float(known.std(ddof=1)) if known.size == found.size else None,
        p_worse=1.0 if too_few else tally.p_worse,
        p_better=1.0 if too_few else tally.p_better,
        lower=-math.inf if too_few else _below(found, alpha, runs.observed),
        low=_below(found, tail, runs.observed),
        high=-_below(-found, tail, -runs.observed),
        clusters=runs.clusters,
        note=_few(runs) or note,
    )


def _randomized(runs: _Runs, swaps: int, random: np.random.Generator) -> tuple[Tally, str]:
    exact = runs.differing <= EXACT_UNITS
    draws = swaps if exact else max(min(swaps, _FEWEST_SWAPS), min(swaps, _BUDGET // runs.differing))
    tally = Tally(exact=exact)
    for block in exchanges(runs.differing, draws, random):
        tally.add(runs.exchanged(block), runs.observed, runs.slack)
    return tally, f"p from {draws} exchanges instead of {swaps}" if draws < swaps else ""


def _few(runs: _Runs) -> str:
    if runs.units >= FEW_UNITS:
        return ""
    unit = f"{'document' if runs.clusters is None else 'cluster'}{'s' * (runs.units > 1)}"
    if runs.units < FEWEST_UNITS:
        return f"{runs.units} {unit}: too few to conclude anything"
    return f"few {unit} ({runs.units})"


def _below(found: Floats, share: float, observed: float) -> float:
    """The quantile, at most what was observed; resamples without a value count as the worst."""
    ordered = np.sort(np.where(np.isnan(found), -np.inf, found))
    quantile = float(ordered[min(found.size - 1, math.floor(share * (found.size + 1)))])
    return -math.inf if math.isnan(observed) else min(quantile, observed)
