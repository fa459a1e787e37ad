"""Each preset through the gate's verdict machine: exact shares, with early stopping and drift simulated on top."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.gate.rows import FALSE_ALARM, POWER, Effort, Rate, Row
from benchmarks.gate.sequential import changes, threshold, walk
from benchmarks.gate.verdicts import BASELINE, Shares, decided, preset, shares
from pytest_lmeval.gate.decision import Outcome, bound_level
from pytest_lmeval.gate.settings import Consequence, Layer, Rules, resolve
from pytest_lmeval.gate.statistics.margins import drift
from pytest_lmeval.gate.statistics.power import noninferiority_documents
from pytest_lmeval.gate.statistics.sequential import anytime_p

PRESETS = ("default", "lossless", "quantized", "finetune", "smoke", "strict")
SIZES = (200, 1319, 4096, 10_042)
CHANGED = (0.01, 0.03, 0.05, 0.10)
FAMILIES = (1, 20)
INCONCLUSIVE = "inconclusive"
#: A run that looks while it asks leaves the final test four fifths of the rate; here it saw nothing.
LOOKED = 1.0


def rows(effort: Effort) -> Iterator[Row]:
    """Equal models under each preset; then worse ones; then the shares of verdicts that were published."""
    for name in PRESETS:
        yield from _equal(effort, name)
    yield from _power()
    yield from _watched(effort)
    yield from _lossless(effort)
    yield from _published(effort)


def _equal(effort: Effort, name: str) -> Iterator[Row]:
    rules = preset(name)
    for n in SIZES[:2] if effort.quick else SIZES:
        for family in FAMILIES[:1] if effort.quick else FAMILIES:
            found = {changed: shares(n, changed, 0.0, rules, family=family) for changed in CHANGED}
            yield _false_alarms(name, rules, n, family, found)
        yield from _inconclusive(name, rules, n)


def _false_alarms(name: str, rules: Rules, n: int, family: int, found: dict[float, Shares]) -> Row:
    """The largest rate over shares of changes. ``strict`` fails what it does not know, whatever the model is."""
    rates = {
        changed: share.failed if _promised(rules, n, changed, family) else share.regressed
        for changed, share in found.items()
    }
    worst = max(rates, key=lambda changed: rates[changed])
    # Independent tasks: any of them fails.
    rate = Rate(value=1 - (1 - rates[worst]) ** family)
    return Row(
        test=name, setting=f"n={n}, {family} task{'s' * (family > 1)}, at most, at {100 * worst:g} % change",
        what=FALSE_ALARM, alpha=rules.alpha, rate=rate, at_most=rules.alpha,
    )  # fmt: skip


def _promised(rules: Rules, n: int, changed: float, family: int) -> bool:
    """Whether a test that fails promises that an equal model does so no more often than alpha."""
    if rules.on_inconclusive is not Consequence.FAIL:
        return True
    needed = noninferiority_documents(
        rules.margin.of(BASELINE), changed, alpha=bound_level(rules), power=1 - rules.alpha / family
    )
    return n >= needed


def _inconclusive(name: str, rules: Rules, n: int) -> Iterator[Row]:
    if not rules.margin.of(BASELINE):
        return
    for changed in (0.01, 0.03):
        rate = Rate(value=shares(n, changed, 0.0, rules).inconclusive)
        setting = f"n={n}, {100 * changed:g} % change"
        yield Row(test=name, setting=setting, what=INCONCLUSIVE, alpha=rules.alpha, rate=rate)


def _power() -> Iterator[Row]:
    for name, n, changed, drop, family, least in (
        ("default", 1319, 0.03, 0.02, 1, 0.97),
        ("default", 1319, 0.03, 0.02, 20, None),
        ("quantized", 1319, 0.03, 0.02, 1, 0.99),
        ("quantized", 1319, 0.10, 0.05, 1, None),
        ("finetune", 1319, 0.10, 0.05, 1, None),
        ("smoke", 200, 0.30, 0.25, 1, None),
        ("strict", 4096, 0.03, 0.02, 1, 0.99),
        ("lossless", 1319, 0.03, 0.02, 1, 0.97),
        ("lossless", 10_042, 0.02, 0.01, 20, 0.99),
    ):
        rules = preset(name)
        found = shares(n, changed, drop, rules, family=family, looks=LOOKED)
        setting = f"n={n}, {100 * changed:g} % change, {100 * drop:g} points worse, {family} task{'s' * (family > 1)}"
        yield Row(
            test=name, setting=setting, what=POWER, alpha=rules.alpha, rate=Rate(value=found.regressed), at_least=least
        )


def _watched(effort: Effort) -> Iterator[Row]:
    """With the looks of early stopping: red because it was stopped, or at the end."""
    n, changed = 1319, 0.05
    for name in PRESETS:
        rules = preset(name)
        random = effort.random(f"watched {name}")
        runs = changes(random, effort.times(8000), n, changed, 0.0)
        yield Row(
            test=f"{name}, watched", setting=f"n={n}, {100 * changed:g} % change", what=FALSE_ALARM, alpha=rules.alpha,
            rate=Rate.of(_red(run, rules) for run in runs), at_most=rules.alpha,
        )  # fmt: skip
    rules = preset("quantized")
    worse = changes(effort.random("watched, worse"), effort.times(4000), n, 0.03, 0.02)
    yield Row(
        test="quantized, watched", setting=f"n={n}, 3 % change, 2 points worse", what=POWER, alpha=rules.alpha,
        rate=Rate.of(_red(run, rules) for run in worse), at_least=0.99,
    )  # fmt: skip


def _red(run: np.ndarray, rules: Rules) -> bool:
    margin = max(rules.margin.of(BASELINE), rules.min_effect.of(BASELINE))
    stop, strongest = walk(run, threshold(rules.alpha), 100 * margin)
    if stop is not None:
        return True
    counts = int((run < 0).sum()), int((run > 0).sum())
    decision = decided(*counts, run.size, rules, looks=min(1.0, 2 * anytime_p(strongest)))
    return decision.failed if _promised(rules, run.size, 0.05, 1) else decision.outcome is Outcome.REGRESSED


def _lossless(effort: Effort) -> Iterator[Row]:
    """``lossless`` fails by accuracy or by drift: one task of multiple choice is a family of two tests."""
    rules = preset("lossless")
    for n, noise, measured, trials in (
        (200, 0.015, False, 600),
        (1319, 0.015, False, 2000),
        (200, 0.1, True, 600),
        (1319, 0.1, True, 2000),
    ):
        random = effort.random(f"lossless {n} {noise}")
        floor = noise * (2 / np.pi) ** 0.5 if measured else None
        red = [_moved(random, n, noise, 0.0, floor, rules, seed) for seed in range(effort.times(trials))]
        setting = f"n={n}, margins with a noise of {100 * noise:g} % of their spread{', calibrated' * measured}"
        yield Row(
            test="lossless, regression or drift", setting=setting, what=FALSE_ALARM, alpha=rules.alpha,
            rate=Rate.of(red), at_most=rules.alpha,
        )  # fmt: skip
    random = effort.random("lossless, four bits")
    red = [_moved(random, 200, 0.36, -0.08, None, rules, seed) for seed in range(effort.times(200))]
    yield Row(
        test="lossless, regression or drift", setting="n=200, noise of 36 % and a shift of 8 %, as of four bits",
        what=POWER, alpha=rules.alpha, rate=Rate.of(red), at_least=0.99,
    )  # fmt: skip


def _moved(
    random: np.random.Generator, n: int, noise: float, shift: float, floor: float | None, rules: Rules, seed: int
) -> bool:
    """Answers are right where the margin is above 0, so that both tests see one model."""
    then = random.normal(0.3, 1, n)
    now = then + random.normal(shift, noise, n)
    worse, better = int(((then > 0) & (now <= 0)).sum()), int(((then <= 0) & (now > 0)).sum())
    moved = drift(now, then, alpha=rules.alpha / 2, seed=seed, floor_mean=floor).moved
    return moved or decided(worse, better, n, rules, family=2).failed


# Margin in points, share of changes, documents; passed and failed in percent where 0, 1, 2 and 5 points are lost.
PUBLISHED = (
    (1, 0.05, 200, ((15, 4), (5, 13), (1, 32), (0, 99))),
    (1, 0.05, 1319, ((47, 4), (5, 48), (0, 95), (0, 100))),
    (1, 0.05, 4096, ((89, 5), (5, 89), (0, 100), (0, 100))),
    (2, 0.03, 1319, ((99, 1), (62, 38), (4, 96), (0, 100))),
    (2, 0.05, 1319, ((94, 4), (46, 47), (6, 94), (0, 100))),
    (2, 0.10, 4096, ((99, 1), (64, 36), (4, 96), (0, 100))),
)
DROPS = (0, 1, 2, 5)
#: Published shares are whole percent, and simulated.
CLOSE = 0.02


def _published(effort: Effort) -> Iterator[Row]:
    """The verdicts' shares without a smallest effect at a rate of 0.05."""
    for points, changed, n, found in PUBLISHED[:2] if effort.quick else PUBLISHED:
        layer = Layer(
            margin=preset("default").margin.parse(f"{points}pp"), alpha=0.05, min_effect=preset("lossless").margin
        )
        rules = resolve([layer])
        for drop, (passed, failed) in zip(DROPS, found, strict=True):
            share = shares(n, max(changed, drop / 100), drop / 100, rules)
            setting = f"n={n}, {100 * changed:g} % change, margin {points}, {drop} points worse"
            for what, value, known in (("passes", share.passed, passed), ("fails", share.regressed, failed)):
                yield Row(
                    test="verdict", setting=setting, what=what, alpha=0.05, rate=Rate(value=value),
                    at_most=known / 100 + CLOSE, at_least=known / 100 - CLOSE,
                )  # fmt: skip
