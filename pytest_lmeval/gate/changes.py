"""What makes a run and its baseline incomparable: found before any statistics, and named one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_lmeval.baselines.record import Baseline, plain_settings
from pytest_lmeval.gate.pairing import Pairing
from pytest_lmeval.results import MetricValue, TaskResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that makes a run and its baseline incomparable. ``then`` and ``now`` are for people."""

    what: str
    then: str = ""
    now: str = ""

    def __str__(self) -> str:
        return f"{self.what} ({self.then} -> {self.now})" if self.then or self.now else self.what


def changes(result: TaskResult, baseline: Baseline, pairing: Pairing, gated: set[str]) -> tuple[Change, ...]:
    """Name everything that differs where it must agree; empty where the two can be compared."""
    return (
        *_changed_settings(result, baseline),
        *_changed_content(result, baseline, pairing),
        *_changed_metrics(result, baseline, gated),
    )


def _changed_settings(result: TaskResult, baseline: Baseline) -> Iterator[Change]:
    """Name the settings that differ. ``limit`` does not count: it chooses documents, and these are paired."""
    now, then = plain_settings(result.settings), baseline.settings
    if result.task != baseline.task:
        yield Change(what="task", then=_brief(baseline.task), now=_brief(result.task))
    for name in type(now).__dataclass_fields__:
        old, new = getattr(then, name), getattr(now, name)
        if old == new or name == "limit":
            continue
        if name == "generation":
            yield from _changed_generation(old or {}, new or {})
        elif name == "task_hash":
            # The hashes would say nothing to a person; a run that another program made has none.
            if old and new:
                yield Change(what="task definition")
        else:
            yield Change(what=name, then=_brief(old), now=_brief(new))


def _changed_generation(then: Mapping[str, object], now: Mapping[str, object]) -> Iterator[Change]:
    for key in sorted({*then, *now}):
        if then.get(key) != now.get(key):
            what = f"generation settings: {key}"
            yield Change(what=what, then=_brief(then.get(key)), now=_brief(now.get(key)))


def _changed_content(result: TaskResult, baseline: Baseline, pairing: Pairing) -> Iterator[Change]:
    if result.members != baseline.members:
        yield Change(what="members of the group")
    if result.total != baseline.total:
        yield Change(what="documents in the split", then=f"{baseline.total:,}", now=f"{result.total:,}")
    for part in pairing.changed:
        yield Change(what=part)
    if bool(result.items) != bool(baseline.items):
        yield Change(what="documents", then=f"{len(baseline.items):,}", now=f"{len(result.items):,}")
    elif result.items and not pairing.pairs and not pairing.changed:
        yield Change(what="documents: none was asked in both runs")


def _changed_metrics(result: TaskResult, baseline: Baseline, gated: set[str]) -> Iterator[Change]:
    for metric in result.metrics:
        then = baseline.metric(metric.key)
        if then is None and metric.key in gated:
            yield Change(what="metrics", then=_keys(baseline.metrics), now=_keys(result.metrics))
            return
        if then is not None and then.higher_is_better != metric.higher_is_better:
            yield Change(what=f"direction of {metric.key}")


def _keys(metrics: Sequence[MetricValue]) -> str:
    return ", ".join(metric.key for metric in metrics)


def _brief(value: object) -> str:
    """Show a value on one line; repr, because a task file may hold control characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
