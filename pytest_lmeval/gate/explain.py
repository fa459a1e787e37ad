"""The text of a failing task: what happened, the numbers, some documents, what to type."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from pytest_lmeval.gate.comparison import Comparison, MetricChange
from pytest_lmeval.gate.numbers import format_distance, format_value
from pytest_lmeval.gate.verdict import Status, Verdict
from pytest_lmeval.results import ItemResult, MetricValue, TaskResult

#: Flipped documents shown, and characters shown of a prompt or an answer.
SHOWN_FLIPS = 5
SHOWN_CHARACTERS = 100

# Where recording a new baseline settles the matter. A threshold is settled in the task file.
_ACCEPTABLE = {Status.REGRESSED, Status.IMPROVED, Status.INCOMPARABLE, Status.NO_BASELINE}


def explain(verdict: Verdict, result: TaskResult, *, command: Sequence[str] = ("pytest",)) -> str:
    """Explain a verdict to a person. ``command`` are the words that made this run; accepting repeats it."""
    lines = [f"{result.task}: {_headline(verdict)}"]
    lines += [f"  {reason}" for reason in verdict.reasons[1:]]
    # Numbers of incomparable runs invite a comparison that means nothing.
    if verdict.status is not Status.INCOMPARABLE:
        lines += _numbers(verdict, result)
        lines += _flips(verdict.comparison, result)
    if verdict.status in _ACCEPTABLE:
        lines += ["", "accept it with:", f"  {accept_command(command, result.task)}"]
    return "\n".join(lines)


def accept_command(command: Sequence[str], task: str) -> str:
    """Spell the command that makes this task's result the baseline, quoted for a shell."""
    return shlex.join([*command, "-k", task.replace("::", "."), "--lm-update-baseline"])


def _headline(verdict: Verdict) -> str:
    status = verdict.status.replace("-", " ").upper()
    return f"{status}: {verdict.reasons[0]}" if verdict.reasons else status


def _numbers(verdict: Verdict, result: TaskResult) -> Iterator[str]:
    yield ""
    width = max((len(metric.key) for metric in result.metrics), default=0)
    for metric in result.metrics:
        change = verdict.comparison.of(metric.key) if verdict.comparison else None
        yield f"  {metric.key:<{width}}  {_value(metric)}{_against(metric, change)}"
    if (comparison := verdict.comparison) and (comparison.regressed or comparison.improved):
        yield (
            f"  {len(comparison.regressed):,} of {comparison.paired:,} documents went from right to wrong, "
            f"{len(comparison.improved):,} from wrong to right"
        )


def _value(metric: MetricValue) -> str:
    error = "" if metric.stderr is None else f" ± {format_value(metric.stderr, like=metric.value)}"
    return f"{format_value(metric.value)}{error}  (n={metric.n:,})"


def _against(metric: MetricValue, change: MetricChange | None) -> str:
    if change is None:
        return ""
    distance = format_distance(change.difference, fraction=change.fraction, like=change.baseline, signed=True)
    # On a part of the documents the value differs from the one just shown: say which one was compared.
    compared = "" if change.value == metric.value else f", here {format_value(change.value)}"
    return f"  baseline {format_value(change.baseline)}{compared}, {distance}"


def _flips(comparison: Comparison | None, result: TaskResult) -> Iterator[str]:
    if comparison is None or not comparison.regressed:
        return
    items = {item.index: item for item in result.items}
    shown = comparison.regressed[:SHOWN_FLIPS]
    yield ""
    yield f"right in the baseline, wrong now ({len(shown)} of {len(comparison.regressed):,}):"
    for index in shown:
        yield from _flip(items[index])


def _flip(item: ItemResult) -> Iterator[str]:
    # The baseline keeps no answers; it was right, so the expected one is what it gave.
    yield f"  document {item.index}: expected {_head(item.target)}, now {_head(item.answer)}"
    yield f"    asked {_tail(item.prompt)}"


def _head(text: str) -> str:
    return escape(text[:SHOWN_CHARACTERS]) + ("..." if len(text) > SHOWN_CHARACTERS else "")


def _tail(text: str) -> str:
    return ("..." if len(text) > SHOWN_CHARACTERS else "") + escape(text[-SHOWN_CHARACTERS:])


def escape(text: str) -> str:
    r"""Quote untrusted text: terminal control sequences, line ends and invisible characters become ``\x..``."""
    return repr(text)
