"""A run against its baseline: first whether they are comparable, then what each metric shows, then the margins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_lmeval.baselines.margins import stored_margin
from pytest_lmeval.baselines.record import Baseline, stored_score
from pytest_lmeval.baselines.surroundings import Surrounding, changed_surroundings
from pytest_lmeval.baselines.texts import kept_answer
from pytest_lmeval.gate.chance import chance_level
from pytest_lmeval.gate.changes import Change, changes
from pytest_lmeval.gate.decision import Decision, bound_level, decide
from pytest_lmeval.gate.evidence import Evidence, Levels
from pytest_lmeval.gate.floor import too_many_flips
from pytest_lmeval.gate.margin import Unit
from pytest_lmeval.gate.measuring import clusters_of, metric_evidence, seed_of
from pytest_lmeval.gate.monitor import Stop
from pytest_lmeval.gate.numbers import is_fraction
from pytest_lmeval.gate.pairing import Pair, pair_items
from pytest_lmeval.gate.policy import GateSyntaxError, ModelPolicy
from pytest_lmeval.gate.settings import Consequence, Rules
from pytest_lmeval.gate.statistics.margins import Drift, drift
from pytest_lmeval.gate.thresholds import find_metric
from pytest_lmeval.results import MetricValue, TaskResult

#: Margins that moved by less than this share of their own spread moved by rounding.
ROUNDING = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of the comparison. Where ``changed`` is not empty there are no numbers.

    ``paired`` documents were compared of ``n_now`` asked and ``n_then`` recorded. ``decisions`` are on the gated
    metrics, ``shown`` the evidence on the others. ``regressed`` and ``improved`` are the indices (in this run) of the
    documents that the main metric now calls wrong, or right, and did not before. ``lower`` are the gated metrics whose
    value is worse than the recorded one where nothing was compared: what that means, only people can say. ``restless``
    says that more flipped than between two runs of the same model. ``uncompared`` are metrics for which no comparison
    is possible. ``gained`` tells that the run has documents or metrics which the baseline lacks.
    ``identical``: every answer is the same, but for rounding. ``notes`` are other differences, for people. ``chance``
    is the rate of guessing where the baseline does no better. ``trusted`` tells that the task's definition is not known
    of one of the runs, so that only its documents, prompts and targets were seen to be the same.
    """

    baseline: Baseline
    changed: tuple[Change, ...]
    n_now: int
    n_then: int
    paired: int
    decisions: tuple[Decision, ...] = ()
    shown: tuple[Evidence, ...] = ()
    drift: Drift | None = None
    restless: str | None = None
    regressed: tuple[int, ...] = ()
    improved: tuple[int, ...] = ()
    uncompared: tuple[str, ...] = ()
    lower: tuple[str, ...] = ()
    gained: bool = False
    identical: bool = False
    notes: tuple[str, ...] = ()
    chance: float | None = None
    trusted: bool = False
    pairs: tuple[Pair, ...] = ()

    @property
    def coverage(self) -> float:
        """Share of the documents of either run that both have."""
        either = self.n_now + self.n_then - self.paired
        return self.paired / either if either else 0.0

    def of(self, metric: str) -> Evidence | None:
        """Find the evidence on one metric."""
        found = (*(decision.evidence for decision in self.decisions), *self.shown)
        return next((evidence for evidence in found if evidence.metric == metric), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a comparison must know of the run it is part of.

    ``family`` counts the tests that can fail the run, ``looks`` is the anytime-valid p-value of a watched run and
    ``stop`` why it was not asked to its end, ``model`` the fields of the run's ModelInfo. ``chosen`` tells that
    somebody named the baseline, who wants to compare engines or models; ``conversations`` that prompts may reach the
    model through a chat template.
    """

    family: int = 1
    looks: float | None = None
    stop: Stop | None = None
    model: Mapping[str, Any] | None = None
    chosen: bool = True
    conversations: bool = True


def compare(result: TaskResult, baseline: Baseline, policy: ModelPolicy, context: Context) -> Comparison:
    """Compare a run with its baseline. Raises UserError where the gate names a metric the task lacks.

    Gated are the task's main metric and those that its gate names: gating all would let each further metric
    raise false alarms.
    """
    pairing = pair_items(result.items, baseline)
    gated = gated_metrics(result, policy)
    surroundings = _surroundings(baseline, context)
    found = (
        *changes(result, baseline, pairing, set(gated)),
        *(Change(what=s.name, then=s.then, now=s.now) for s in surroundings if s.incomparable),
    )
    complete = pairing.complete and result.n == baseline.n
    measured = {} if found else _measured(result, baseline, pairing.pairs, policy.settings, context, complete=complete)
    if not found:
        found = tuple(_unpairable(set(gated) - measured.keys(), result, baseline))
    if found:
        measured = {}
    main = find_metric(result, result.main_metric)
    same = bool(pairing.pairs) and all(_same(pair) for pair in pairing.pairs)
    moved = None if found else margins_moved(result, pairing.pairs, baseline, policy.settings, context)
    identical = same and (moved is None or moved.share < ROUNDING)
    return Comparison(
        baseline=baseline,
        changed=found,
        n_now=result.n,
        n_then=baseline.n,
        paired=len(pairing.pairs),
        decisions=tuple(
            decide(
                measured[key],
                policy.settings,
                family=context.family,
                margin=margin_of(policy, key, measured[key]),
                looks=context.looks if key == main.key else None,
                identical=identical,
            )
            for key in gated
            if key in measured
        ),
        shown=tuple(evidence for key, evidence in measured.items() if key not in gated),
        drift=moved,
        restless=_restless(measured.get(main.key), baseline, policy.settings, context),
        regressed=_flips(pairing.pairs, main, then=1.0, now=0.0) if measured else (),
        improved=_flips(pairing.pairs, main, then=0.0, now=1.0) if measured else (),
        uncompared=tuple(metric.key for metric in result.metrics if metric.key not in measured),
        lower=tuple(key for key in gated if _is_lower(find_metric(result, key), baseline)) if found else (),
        gained=bool(pairing.added or any(baseline.metric(metric.key) is None for metric in result.metrics)),
        identical=identical,
        notes=tuple(f"{s.name} {s.then} -> {s.now}" for s in surroundings if not s.incomparable),
        trusted=not (result.settings.task_hash and baseline.settings.task_hash),
        chance=chance_level(pairing.pairs, measured.get(main.key)),
        pairs=pairing.pairs,
    )


# What must be the same where nobody chose to compare with something else.
_OWN = ("backend", "model", "tokenizer")


def _surroundings(baseline: Baseline, context: Context) -> tuple[Surrounding, ...]:
    """Name what else answered. A model's own baseline that another engine or model made is a mistake."""
    if context.model is None:
        return ()
    found = changed_surroundings(context.model, baseline.model, chat_template=context.conversations)
    return tuple(replace(s, incomparable=s.incomparable or (not context.chosen and s.name in _OWN)) for s in found)


def gated_metrics(result: TaskResult, policy: ModelPolicy) -> dict[str, None]:
    """The keys of the gated metrics in order: the main one, then those that the gate names."""
    keys = (result.main_metric, *policy.rules)
    return dict.fromkeys(find_metric(result, key).key for key in keys)


def levels_of(rules: Rules, family: int) -> Levels:
    """The rates of one test among ``family``."""
    return Levels(alpha=rules.alpha / family, bound=bound_level(rules))


def margin_of(policy: ModelPolicy, key: str, evidence: Evidence) -> float:
    """The metric's margin in its own unit: the rule's of the metric, else the task's."""
    # A setting of the run is stronger than the task file; that is in the layers.
    rule = policy.rule(key)
    own = rule is not None and rule.margin is not None
    margin = rule.margin if rule is not None and rule.margin is not None else policy.settings.margin
    for name, distance in ((f"{key}.margin" if own else "margin", margin), ("min_effect", policy.settings.min_effect)):
        if distance.unit is Unit.OWN and distance.number >= 1 and is_fraction(evidence.baseline, evidence.value):
            problem = f"{distance} accepts every value of {key}, which is between 0 and 1: write 1pp for a point"
            raise GateSyntaxError(f"gate.{name}", problem)
    return margin.of(evidence.baseline)


def _measured(
    result: TaskResult,
    baseline: Baseline,
    pairs: Sequence[Pair],
    rules: Rules,
    context: Context,
    *,
    complete: bool,
) -> dict[str, Evidence]:
    """Give each metric that can be compared its evidence."""
    levels = levels_of(rules, context.family)
    measured = {}
    for metric in result.metrics:
        then = baseline.metric(metric.key)
        if then is None:
            continue
        evidence = metric_evidence(metric, then, pairs, levels, task=result.task)
        # Two values of different documents say nothing about the model.
        if evidence.paired or complete:
            measured[metric.key] = evidence
    return measured


def _is_lower(metric: MetricValue, baseline: Baseline) -> bool:
    then = baseline.metric(metric.key)
    if then is None:
        return False
    return metric.value < then.value if metric.higher_is_better else metric.value > then.value


def _unpairable(metrics: set[str], result: TaskResult, baseline: Baseline) -> Sequence[Change]:
    """Refuse, rather than pass, what is gated and has no value for a part of the documents."""
    told = [f"documents, and {key} cannot be computed for the shared ones alone" for key in sorted(metrics)]
    return [Change(what=what, then=f"{baseline.n:,}", now=f"{result.n:,}") for what in told]


def margins_moved(
    result: TaskResult, pairs: Sequence[Pair], baseline: Baseline, rules: Rules, context: Context
) -> Drift | None:
    """Test whether the gold margins moved; None where there are none in both runs."""
    both = [pair for pair in pairs if pair.now.margin is not None and pair.then.margin is not None]
    if not both:
        return None
    return drift(
        [margin for pair in both if (margin := stored_margin(pair.now.margin)) is not None],
        [margin for pair in both if (margin := pair.then.margin) is not None],
        clusters=clusters_of(both),
        alpha=rules.alpha / context.family,
        seed=seed_of(result.task, "margin"),
        floor_mean=baseline.noise.margin_mean if baseline.noise else None,
    )


def _restless(evidence: Evidence | None, baseline: Baseline, rules: Rules, context: Context) -> str | None:
    """Only where nothing may change does it matter that more flips than by chance."""
    if evidence is None or rules.on_drift is not Consequence.FAIL:
        return None
    return too_many_flips(evidence, baseline.noise, alpha=rules.alpha / context.family)


def _same(pair: Pair) -> bool:
    """Whether both answers are the same as far as they are recorded."""
    scores = {key: stored_score(value) for key, value in pair.now.scores.items()}
    if scores != dict(pair.then.scores) or pair.now.choice != pair.then.choice:
        return False
    return pair.then.answer is None or pair.then.answer == kept_answer(pair.now.answer)


def _flips(pairs: Sequence[Pair], metric: MetricValue, *, then: float, now: float) -> tuple[int, ...]:
    key = metric.key
    return tuple(
        pair.now.index for pair in pairs if pair.then.scores.get(key) == then and pair.now.scores.get(key) == now
    )
