"""A run: what was asked for, who answered, what came of each task, and the verdict on all together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pytest_lmeval.baselines.plain import Fields, write_number
from pytest_lmeval.gate.suite import SuiteVerdict
from pytest_lmeval.history.points import TrendPoint
from pytest_lmeval.model_facts import ModelFacts
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.runs.origin import Origin
from pytest_lmeval.runs.tasks import TaskRecord, read_task


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What is known of a run as a whole.

    ``id`` sorts by time. ``model`` is the spec that the user gave, ``answered`` what answered to it, ``against`` what
    it was compared with where that is not its own stored past. ``started`` is in seconds since 1970 (UTC), ``seconds``
    how long it took. ``options`` are the settings of the evaluation that the user changed or that everything depends
    on (limit, seed …), ``command`` the words that started it, ``environment`` Python, platform and package versions.
    """

    id: str
    model: str
    answered: ModelFacts | None
    against: str | None
    started: float
    seconds: float
    exit_status: int
    options: Mapping[str, Any]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    origin: Origin

    def to_json(self) -> dict[str, Any]:
        """Reduce to plain values."""
        facts = {each.name: getattr(self, each.name) for each in fields(self)}
        return facts | {
            "answered": None if self.answered is None else self.answered.to_json(),
            "started": write_number(self.started),
            "seconds": write_number(self.seconds),
            "options": dict(self.options),
            "command": list(self.command),
            "environment": dict(self.environment),
            "origin": self.origin.to_json(),
        }

    @classmethod
    def from_json(cls, data: object, place: str) -> RunFacts:
        """Restore from :meth:`to_json`. Raises ValueError for anything else."""
        facts = Fields(data, place)
        answered = facts.optional_mapping("answered")
        return cls(
            id=facts.text("id"),
            model=facts.text("model"),
            answered=None if answered is None else ModelFacts.from_json(answered),
            against=facts.optional_text("against"),
            started=facts.number("started"),
            seconds=facts.number("seconds"),
            exit_status=facts.count("exit_status"),
            options=facts.mapping("options"),
            command=facts.texts("command"),
            environment={name: str(value) for name, value in facts.mapping("environment").items()},
            origin=Origin.from_json(facts.mapping("origin"), f"{place}.origin"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. ``folder`` has the files that the rows' ``samples`` name, None where none were kept.

    ``rows`` has a row per evaluated task; one that broke before it was evaluated has no samples. ``trends`` are the
    past values of metrics by task and key, the oldest first, without this run; they are not kept in its folder.
    """

    facts: RunFacts
    rows: tuple[ReportRow, ...]
    suite: SuiteVerdict | None
    folder: Path | None = None
    trends: Mapping[tuple[str, str], tuple[TrendPoint, ...]] = field(default_factory=dict, compare=False)

    @property
    def failed(self) -> bool:
        """Whether a task or the run as a whole failed."""
        return any(not row.passed for row in self.rows) or (self.suite is not None and self.suite.failed)

    def record(self, row: ReportRow) -> TaskRecord | None:
        """Read the result and the documents behind a row; None where none were kept. Raises RunError."""
        if self.folder is None or row.samples is None:
            return None
        # The row was written before its test had an outcome.
        return replace(read_task(self.folder / row.samples), row=row)

    def records(self) -> Iterator[TaskRecord]:
        """Read what is behind the rows one after the other, so that one task at a time is in memory."""
        found = (self.record(row) for row in self.rows)
        return (record for record in found if record is not None)
