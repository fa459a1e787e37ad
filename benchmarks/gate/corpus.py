"""Perplexities by the ratio estimator; corpus metrics by bootstrap and exchanged outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from benchmarks.gate.rows import FALSE_ALARM, POWER, Effort, Rate, Row
from pytest_lmeval.gate.statistics.corpus import corpus_value
from pytest_lmeval.gate.statistics.estimate import Estimate
from pytest_lmeval.gate.statistics.ratio import paired_ratio
from pytest_lmeval.gate.statistics.resampling import paired_bootstrap

_LEVELS = (0.05, 0.01)
_Runs = tuple[np.ndarray, np.ndarray]


def rows(effort: Effort) -> Iterator[Row]:
    """Equal models, then a worse one; and how often the bound is above the truth."""
    yield from _ratio(effort)
    for name, draw in (("f1", _classes), ("bleu", _texts)):
        equal = [_bootstrap(name, draw, effort, trial, 0.0) for trial in range(effort.times(600))]
        for alpha in _LEVELS:
            yield Row(
                test="exchanged outputs", setting=f"{name}, n=150", what=FALSE_ALARM, alpha=alpha,
                rate=Rate.of(found.p_worse < alpha for found in equal), at_most=alpha,
            )  # fmt: skip
        yield Row(
            test="paired bootstrap", setting=f"{name}, n=150", what="bound above the truth", alpha=0.05,
            rate=Rate.of(found.lower > 0 for found in equal), at_most=0.06,
        )  # fmt: skip
        worse = [_bootstrap(name, draw, effort, trial, 0.15) for trial in range(effort.times(200))]
        yield Row(
            test="exchanged outputs", setting=f"{name}, n=150, 15 % of the answers worse", what=POWER, alpha=0.05,
            rate=Rate.of(found.p_worse < 0.05 for found in worse),
        )  # fmt: skip


def _ratio(effort: Effort) -> Iterator[Row]:
    """62 documents of very different lengths, whose log-likelihoods differ the more the longer they are."""
    for shift, what in ((0.0, FALSE_ALARM), (-0.002, POWER)):
        random = effort.random(f"ratio {what}")
        found = []
        for trial in range(effort.times(3000 if what == FALSE_ALARM else 1000)):
            words = np.ceil(random.lognormal(7, 1, 62))
            moved = random.normal(0, 0.1 * np.sqrt(words)) + random.normal(shift, 0.005, 62) * words
            found.append(paired_ratio(moved, np.zeros(62), words, alpha=0.05, seed=trial).p_worse)
        for alpha in _LEVELS:
            yield Row(
                test="paired ratio", setting=f"62 texts{', 0.002 nats a word worse' if shift else ''}", what=what,
                alpha=alpha, rate=Rate.of(p < alpha for p in found),
                at_most=None if shift else alpha,
            )  # fmt: skip


def _bootstrap(
    name: str, draw: Callable[[np.random.Generator, float], _Runs], effort: Effort, trial: int, harm: float
) -> Estimate:
    now, then = draw(effort.random(f"corpus {name} {trial} {harm}"), harm)
    value = partial(corpus_value, name)
    return paired_bootstrap(now, then, value, alpha=0.05, seed=trial, resamples=500, swaps=999)


def _classes(random: np.random.Generator, harm: float) -> _Runs:
    """Counts of two classes' outcomes; the runs agree on seven answers in ten."""
    gold = random.random(150) < 0.4
    easy = random.random(150) < 0.7
    runs = [easy | (random.random(150) < 0.5) for _ in range(2)]
    runs[0] &= random.random(150) >= harm
    return _outcomes(gold, runs[0]), _outcomes(gold, runs[1])


def _outcomes(gold: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([gold & right, ~gold & ~right, gold & ~right], axis=1).astype(float)


def _texts(random: np.random.Generator, harm: float) -> _Runs:
    """BLEU's statistics of texts of 5 to 40 words, with a quality of their own."""
    lengths = random.integers(5, 41, 150)
    quality = random.beta(4, 2, 150)
    now, then = (_matches(random, lengths, np.clip(quality * factor, 0, 1)) for factor in (1 - 0.3 * harm, 1.0))
    return now, then


def _matches(random: np.random.Generator, lengths: np.ndarray, quality: np.ndarray) -> np.ndarray:
    totals = lengths[:, None] - np.arange(4)
    correct = random.binomial(totals, quality[:, None] ** np.arange(1, 5))
    return np.concatenate([lengths[:, None], lengths[:, None], correct, totals], axis=1).astype(float)
