"""The text of a failing task: what happened, how sure that is, the numbers, the likely cause, what to type."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from pytest_lmeval.baselines.provenance import source_told
from pytest_lmeval.gate.causes.account import account
from pytest_lmeval.gate.causes.text import account_lines
from pytest_lmeval.gate.comparison import Comparison
from pytest_lmeval.gate.evidence import Evidence
from pytest_lmeval.gate.numbers import format_distance, format_value, is_fraction
from pytest_lmeval.gate.telling import method_told
from pytest_lmeval.gate.verdict import Status, Verdict, warnings_of
from pytest_lmeval.results import MetricValue, TaskResult

# Where recording a new baseline settles the matter. A threshold is settled in the task file.
_ACCEPTABLE = {
    Status.REGRESSED,
    Status.DRIFT,
    Status.INCONCLUSIVE,
    Status.IMPROVED,
    Status.INCOMPARABLE,
    Status.NO_BASELINE,
}
_WORSE = (Status.REGRESSED, Status.INCONCLUSIVE)


def explain(
    verdict: Verdict,
    result: TaskResult,
    *,
    command: Sequence[str] = ("pytest",),
    verbosity: int = 0,
    recordable: bool = True,
    updating: bool = False,
) -> str:
    """Explain a verdict to a person. ``command`` are the words that run this task again; what to type next adds to it.

    ``recordable`` is False where the baseline is no file that a run writes, so that nothing can be accepted.
    ``updating`` tells that ``command`` replaces baselines already.
    """
    lines = [f"{result.task}: {_headline(verdict)}"]
    lines += [f"  {reason}" for reason in verdict.reasons[1:]]
    # Numbers of incomparable runs invite a comparison that means nothing.
    if verdict.status is not Status.INCOMPARABLE:
        lines += _numbers(verdict, result)
        lines += _causes(verdict, result, verbosity)
    lines += _next(verdict, result, command, verbosity, recordable=recordable, updating=updating)
    return "\n".join(lines)


def explain_briefly(verdict: Verdict, result: TaskResult, *, command: Sequence[str] = ("pytest",)) -> str:
    """Explain a verdict in a sentence, and say what to type for more; the arguments are those of :func:`explain`."""
    lines = [f"{result.task}: {_headline(verdict)}"]
    return "\n".join([*lines, *_next(verdict, result, command, verbosity=0, recordable=False, updating=False)])


def accept_command(command: Sequence[str], *, updating: bool = False, lower: bool = False) -> str:
    """Spell the command that makes a task's result the baseline, quoted for a shell.

    Where the run was ``updating``, ``command`` says already what to write.
    """
    update = [] if updating else ["--lm-update-baseline"]
    return shlex.join([*command, *update, *(["--lm-accept-regression"] if lower else [])])


def _headline(verdict: Verdict) -> str:
    status = verdict.status.replace("-", " ").upper()
    return f"{status}: {verdict.reasons[0]}" if verdict.reasons else status


def _numbers(verdict: Verdict, result: TaskResult) -> Iterator[str]:
    yield ""
    comparison = verdict.comparison
    width = max((len(metric.key) for metric in result.metrics), default=0)
    for metric in result.metrics:
        evidence = comparison.of(metric.key) if comparison else None
        yield f"  {metric.key:<{width}}  {_value(metric)}{_against(metric, evidence)}"
    if comparison is not None and not comparison.changed:
        yield from _tests(comparison)
        yield f"  compared with the {source_told(comparison.baseline)}"


def _tests(comparison: Comparison) -> Iterator[str]:
    """The test behind each verdict, for who wants to check it."""
    for decision in comparison.decisions:
        yield (
            f"  {decision.metric}: {method_told(decision.evidence)}, p = {decision.p:.2g} against "
            f"{decision.alpha:.2g}; 95 % interval {_interval(decision.evidence)}"
        )
    if (moved := comparison.drift) is not None:
        yield (
            f"  margins of the right answers: {moved.mean_shift.difference:+.4f} nats on average (p = {moved.p:.2g}), "
            f"mean size of a change {moved.mean_absolute:.4f}, their own spread {moved.spread:.4f}"
        )


def _interval(evidence: Evidence) -> str:
    estimate = evidence.estimate
    low, high = (
        (estimate.low, estimate.high) if evidence.higher_is_better else (0.0 - estimate.high, 0.0 - estimate.low)
    )
    like, fraction = evidence.baseline, is_fraction(evidence.baseline, evidence.value)
    if fraction:
        return f"{100 * low:+.2f} to {100 * high:+.2f} points"
    return f"{format_value(low, signed=True, like=like)} to {format_value(high, signed=True, like=like)}"


def _value(metric: MetricValue) -> str:
    error = "" if metric.stderr is None else f" ± {format_value(metric.stderr, like=metric.value)}"
    return f"{format_value(metric.value)}{error}  (n={metric.n:,})"


def _against(metric: MetricValue, evidence: Evidence | None) -> str:
    if evidence is None:
        return ""
    fraction = is_fraction(evidence.baseline, evidence.value)
    distance = format_distance(evidence.difference, fraction=fraction, like=evidence.baseline, signed=True)
    # On a part of the documents the value differs from the one just shown: say which one was compared.
    compared = "" if evidence.value == metric.value else f", here {format_value(evidence.value)}"
    return f"  baseline {format_value(evidence.baseline)}{compared}, {distance}"


def _causes(verdict: Verdict, result: TaskResult, verbosity: int) -> Iterator[str]:
    """Why the metric dropped that decided; of a task that passes with nothing to say only where that is asked for."""
    comparison = verdict.comparison
    if comparison is None or not comparison.pairs or not (verbosity or _is_news(verdict)):
        return
    failed = [decision.metric for decision in comparison.decisions if decision.failed or decision.warned]
    metric = result.metric(failed[0] if failed else result.main_metric)
    found = account(comparison.pairs, metric.key, higher_is_better=metric.higher_is_better)
    lines = account_lines(found, verbosity=verbosity)
    if lines:
        yield ""
        yield from lines


def _is_news(verdict: Verdict) -> bool:
    return not verdict.passed or any(warnings_of(verdict))


def _next(
    verdict: Verdict, result: TaskResult, command: Sequence[str], verbosity: int, *, recordable: bool, updating: bool
) -> Iterator[str]:
    """What to type: to look further, and to accept what is seen."""
    if verdict.status is Status.INCOMPARABLE:
        yield from ("", "see what is asked with:", f"  pytest --lm-preview={shlex.quote(result.task)}")
    elif verdict.status in (*_WORSE, Status.DRIFT, Status.BELOW_THRESHOLD) and verbosity < 2:
        yield from ("", "look further with:", f"  {shlex.join([*command, '-vv'])}")
    if verdict.status in _ACCEPTABLE and recordable:
        lower = bool(verdict.lowered)
        label = "record" if verdict.status is Status.NO_BASELINE else "accept"
        yield from ("", f"{label} it with:", f"  {accept_command(command, updating=updating, lower=lower)}")


def escape(text: str) -> str:
    r"""Quote untrusted text: terminal control sequences, line ends and invisible characters become ``\x..``."""
    return repr(text)
