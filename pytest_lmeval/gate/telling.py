"""Verdicts in words, for readers who know no statistics: what happened, how sure that is, what could have been seen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pytest_lmeval.gate.decision import Decision, Outcome
from pytest_lmeval.gate.numbers import format_distance, format_value, is_fraction
from pytest_lmeval.gate.statistics.power import noninferiority_documents

if TYPE_CHECKING:
    from pytest_lmeval.gate.comparison import Comparison
    from pytest_lmeval.gate.evidence import Evidence


# What only makes a model's own baseline incomparable, and not one that was named.
_OTHER_MODEL = {"backend", "model"}

# A drop that chance shows in fewer than 1 of 20 runs is not told as none, whatever is too little to fail.
_TELLING = 0.05

#: What the methods of estimates are called for people.
METHODS = {
    "mcnemar": "one-sided mid-p McNemar test",
    "pooled_mcnemar": "one-sided mid-p McNemar test over all documents",
    "stratified_mcnemar": "stratified test of flips",
    "stratified": "stratified test",
    "sign_flip": "paired sign-flip permutation test",
    "paired_t": "paired t-test",
    "clustered_t": "paired t-test with cluster-robust errors",
    "clustered_sign_flip": "sign-flip permutation test of whole clusters",
    "paired_ratio": "paired ratio estimator",
    "ratio_sign_flip": "paired ratio estimator with a sign-flip permutation test",
    "paired_bootstrap": "paired bootstrap with approximate randomization",
    "standard_errors": "unpaired comparison by standard errors",
    "none": "no test",
    "unpaired": "conservative unpaired comparison with a published score",
}


def method_told(evidence: Evidence) -> str:
    """Name the test, with how many documents, or clusters of them, it took for independent."""
    estimate = evidence.estimate
    clusters = f", {estimate.clusters:,} clusters" if estimate.clusters is not None else ""
    return f"{METHODS.get(estimate.method, estimate.method)} (n = {estimate.n:,}{clusters})"


def changes_told(comparison: Comparison) -> str:
    """Name what makes the runs incomparable."""
    told = f"the baseline was made with other {'; '.join(str(change) for change in comparison.changed)}"
    names = {change.what for change in comparison.changed}
    if names & _OTHER_MODEL and names <= {*_OTHER_MODEL, "tokenizer"}:
        told += ". To compare models or engines on purpose, name the baseline: --lm-baseline=NAME"
    return told


def decision_told(decision: Decision, comparison: Comparison) -> str:
    """Tell one metric's outcome in a sentence or two."""
    return _TOLD[decision.outcome](decision, comparison)


def _regressed(decision: Decision, comparison: Comparison) -> str:
    return f"{_moved(decision, comparison)}. {_surely(decision)}{_allowed(decision)}"


def _within(decision: Decision, comparison: Comparison) -> str:
    least = _points(decision.evidence, -decision.evidence.estimate.lower)
    return (
        f"{_moved(decision, comparison)}. {_surely(decision)}; it is at most {least}, within the margin of "
        f"{_points(decision.evidence, decision.margin)}"
    )


def _improved(decision: Decision, comparison: Comparison) -> str:
    p = decision.evidence.estimate.p_better
    return f"{_moved(decision, comparison)}. {_chance(p, 'gain')}; record the better baseline with --lm-update-baseline"


def _passed(decision: Decision, comparison: Comparison) -> str:
    evidence = decision.evidence
    if comparison.identical:
        return f"{evidence.metric} {format_value(evidence.value)}: all {evidence.estimate.n:,} answers are the same"
    worst = -evidence.estimate.lower
    if worst > decision.margin:
        return f"{_moved(decision, comparison)}: {_no_harm([decision])}. {_sight(decision)}"
    bound = f"at most {_points(evidence, worst)} worse" if worst > 0 else "not worse"
    return f"{_moved(decision, comparison)}: it is {bound}, within the margin of {_points(evidence, decision.margin)}"


def _inconclusive(decision: Decision, comparison: Comparison) -> str:
    evidence = decision.evidence
    if not decision.bounded:
        return (
            f"{_moved(decision, comparison)}; {_documents(evidence.missing)} without an answer could turn the verdict "
            "either way"
        )
    if not math.isfinite(evidence.estimate.lower):
        return f"{_moved(decision, comparison)}: whether that is chance cannot be said"
    worst = _points(evidence, -evidence.estimate.lower)
    # What did not fall needs no excuse.
    may_be = "that may be chance, but it could be" if evidence.estimate.difference < 0 else "the model could still be"
    than = "as bad as" if evidence.estimate.difference < 0 else "worse by"
    return (
        f"{_moved(decision, comparison)}: {may_be} {than} {worst}, beyond the margin of "
        f"{_points(evidence, decision.margin)}. {_enough(decision)}"
    )


_TOLD = {
    Outcome.REGRESSED: _regressed,
    Outcome.REGRESSED_WITHIN_MARGIN: _within,
    Outcome.IMPROVED: _improved,
    Outcome.PASS: _passed,
    Outcome.INCONCLUSIVE: _inconclusive,
}


def _moved(decision: Decision, comparison: Comparison) -> str:
    evidence = decision.evidence
    if evidence.difference == 0:
        return f"{evidence.metric} is {format_value(evidence.value)} as before{_on(evidence, comparison)}"
    verb = "rose" if evidence.difference > 0 else "fell"
    distance = _points(evidence, abs(evidence.difference))
    return (
        f"{evidence.metric} {verb} by {distance}, from {format_value(evidence.baseline)} "
        f"to {format_value(evidence.value)}{_on(evidence, comparison)}"
    )


def _on(evidence: Evidence, comparison: Comparison) -> str:
    if not evidence.paired:
        return ""
    if evidence.regressed is None:
        return f" on {_documents(evidence.estimate.n)}"
    return f" on {_documents(evidence.estimate.n)} ({evidence.regressed:,} lost, {evidence.improved:,} gained)"


def _surely(decision: Decision) -> str:
    return _chance(decision.p, "drop")


def _chance(p: float, what: str) -> str:
    """Say how often an equal model would show as much."""
    if p <= 0 or math.isnan(p):
        return f"Chance does not explain such a {what}"
    # Rounded down to two digits: never less sure than the numbers.
    digits = max(0, 1 - math.floor(math.log10(1 / p)))
    times = math.floor(1 / p) if digits else int(float(f"{1 / p:.2g}"))
    often = f"1 run of {times:,}" if p < 0.5 else "every other run"
    return f"An equal model shows such a {what} in {often} (p = {p:.2g})"


def _no_harm(decisions: Iterable[Decision]) -> str:
    """Say that the scores fail nothing; not that they show nothing, where they would have failed a task by itself."""
    return (
        "not evidence enough of harm"
        if any(decision.p <= _TELLING for decision in decisions)
        else "no evidence of harm"
    )


def _allowed(decision: Decision) -> str:
    if not decision.margin:
        return ""
    return f"; the margin is {_points(decision.evidence, decision.margin)}"


def _sight(decision: Decision) -> str:
    evidence = decision.evidence
    if not math.isfinite(evidence.detectable):
        return "No size of drop could have been seen"
    return f"A drop of {_points(evidence, evidence.detectable)} would have been seen in 4 of 5 runs"


def _enough(decision: Decision) -> str:
    """Say how many documents would be enough, where the rate of flips tells."""
    evidence = decision.evidence
    n = evidence.estimate.n
    if not evidence.paired:
        return "Without paired documents only large differences can be seen: record a baseline"
    if evidence.flip_rate is None or decision.margin <= 0:
        return f"{_documents(n)} are too few to tell"
    needed = noninferiority_documents(decision.margin, max(evidence.flip_rate, 1 / n), alpha=0.05, power=0.8)
    if needed <= n:
        return f"{_documents(n)} do not tell"
    return f"{_documents(n)} are too few to tell: about {needed:,} would do"


# What the scores say for certain, so that they do not merely show no harm.
_CERTAIN = (Outcome.REGRESSED, Outcome.REGRESSED_WITHIN_MARGIN, Outcome.IMPROVED)


def drift_told(comparison: Comparison) -> str:
    """Tell that the margins moved, or too many documents changed sides, although the scores show nothing."""
    certain = any(decision.outcome in _CERTAIN for decision in comparison.decisions)
    told = all(math.isfinite(decision.evidence.estimate.lower) for decision in comparison.decisions)
    no_harm = f"the scores are {_no_harm(comparison.decisions)}, but " if told else "the scores can tell nothing, but "
    scores = "" if certain else no_harm
    if comparison.drift is None or not comparison.drift.moved:
        return f"{scores}{comparison.restless}"
    return f"{scores}the log-probabilities behind the answers moved. {_margins(comparison)}"


def drift_beside(comparison: Comparison) -> str:
    """Tell that the margins moved as well, where the scores have told already."""
    if comparison.drift is None or not comparison.drift.moved:
        return f"{comparison.restless}"
    return f"the log-probabilities behind the answers moved, too. {_margins(comparison)}"


def _margins(comparison: Comparison) -> str:
    assert comparison.drift is not None
    told = " ".join(comparison.drift.reasons).rstrip(".")
    return f"{told}; {comparison.restless}" if comparison.restless else told


def notes_told(comparison: Comparison) -> Iterator[str]:
    """What else a reader of the numbers should know."""
    if comparison.paired and comparison.paired < max(comparison.n_now, comparison.n_then):
        yield (
            f"compared on the {comparison.paired:,} documents that this run ({comparison.n_now:,}) "
            f"and the baseline ({comparison.n_then:,}) share ({comparison.coverage:.0%} of both)"
        )
    for decision in comparison.decisions:
        if decision.blind and decision.outcome in (Outcome.PASS, Outcome.INCONCLUSIVE):
            margin = _points(decision.evidence, decision.margin)
            yield f"this gate cannot see its own margin of {margin}: {_sight(decision).lower()}"
        if decision.evidence.estimate.note:
            yield f"{decision.metric}: {decision.evidence.estimate.note}"
        if decision.evidence.missing and decision.bounded:
            yield (
                f"{_documents(decision.evidence.missing)} without an answer in one of the runs: "
                "the verdict is the same whatever they would have been"
            )
    if comparison.chance is not None:
        yield (
            f"the baseline does no better than guessing ({comparison.chance:.2f}): there is nothing on this task that "
            "a worse model could lose"
        )
    if comparison.uncompared:
        yield f"not compared: {', '.join(comparison.uncompared)}"
    if comparison.trusted:
        yield "how the task filters and scores answers is not known of one of the runs, and taken to be the same"
    if comparison.notes:
        yield f"since the baseline: {', '.join(comparison.notes)}"


def _points(evidence: Evidence, distance: float) -> str:
    fraction = is_fraction(evidence.value, evidence.baseline)
    return format_distance(distance, fraction=fraction, like=evidence.baseline)


def _documents(count: int) -> str:
    return "1 document" if count == 1 else f"{count:,} documents"
