"""``--lm-plan``: print what a run would ask and what its gates would see, without a model, and run no tests."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_lmeval.collection import TaskItem, describe, target_name
from pytest_lmeval.detection import Gates
from pytest_lmeval.errors import UserError
from pytest_lmeval.gate.detection import Detection
from pytest_lmeval.gate.settings import Mode
from pytest_lmeval.marks import marked_task
from pytest_lmeval.options import Arm, Settings
from pytest_lmeval.report.plan import PlanRow, format_plan, short_number
from pytest_lmeval.report.progress import format_duration
from pytest_lmeval.speed import Speed, recorded
from pytest_lmeval.state import DETECTION, SETTINGS
from pytest_lmeval.tasks.clusters import default_cluster
from pytest_lmeval.tasks.estimating import CHARACTERS_PER_TOKEN, DOCUMENTS, Cost, estimate
from pytest_lmeval.tasks.groups import Group
from pytest_lmeval.tasks.metrics.expected import is_mean_of_documents
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.spec import TaskSpec


class PlanPlugin:
    """Stands where the tests would run. The collection before it is that of a run, so selection works as there."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._failed = False

    def pytest_report_header(self) -> str:
        """Say that this is no run."""
        return f"lmeval: plan for model {self._config.stash[SETTINGS].model}; nothing is asked and no test runs"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Print the plan in place of running the items; where the collection failed, leave that to pytest."""
        if session.testsfailed:
            return None
        plan = Plan(session)
        rows = list(plan.rows())
        self._failed = any(row.problem for row in rows)
        self._write(rows, plan)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """A task that could not be planned would not run either."""
        if self._failed:
            session.exitstatus = exitstatus or pytest.ExitCode.TESTS_FAILED

    def _write(self, rows: Sequence[PlanRow], plan: Plan) -> None:
        reporter: Any = self._config.pluginmanager.getplugin("terminalreporter")
        if reporter is None:
            return
        writer = reporter._tw
        unicode = "utf" in (getattr(writer._file, "encoding", None) or "").lower()
        reporter.ensure_newline()
        reporter.write_sep("=", "plan")
        for line in format_plan(rows, width=writer.fullwidth, unicode=unicode):
            for text, markup in line:
                reporter.write(text, **markup)
            writer.line()
        for text in plan.told():
            reporter.write_line(text)


class Plan:
    """What the collected items would ask: each task once, also where a group and its leaf are both items."""

    def __init__(self, session: pytest.Session) -> None:
        self._config = session.config
        self._settings: Settings = session.config.stash[SETTINGS]
        self._detection = session.config.stash.get(DETECTION, Detection())
        self._items = [item for item in session.items if item.get_closest_marker("skip") is None]
        self._skipped = len(session.items) - len(self._items)
        self._gates = Gates(session.items, self._config)
        self._speed = recorded(self._config.rootpath, str(self._settings.model))
        self._costs: dict[tuple[str, str], Cost] = {}
        self._unknown = 0

    def rows(self) -> Iterator[PlanRow]:
        """Plan the items in their order."""
        for item in self._items:
            name = item.task_name if isinstance(item, TaskItem) else item.nodeid
            try:
                row = self._benchmark(item.target) if isinstance(item, TaskItem) else self._python_test(item)
            except UserError as error:
                yield PlanRow(task=name, problem=describe(error, self._config.rootpath))
            else:
                yield from [row] if row is not None else []

    def told(self) -> Iterator[str]:
        """Say what is in all of it, and what the numbers are."""
        costs = self._costs.values()
        tokens = sum(cost.tokens for cost in costs)
        asked = f"{_many(sum(c.documents for c in costs), 'document')}, {sum(c.requests for c in costs):,} requests"
        estimates = f"about {short_number(tokens)} tokens, {_time(tokens, self._speed)}"
        yield f"{_many(len(self._costs), 'task')}: {asked}, {estimates}"
        against, runs = self._settings.baseline.against, self._settings.baseline.calibrate
        if isinstance(against, Arm):
            yield f"not counted: the same for {against.model}, where its answers are not kept"
        if runs:
            yield f"not counted: {_many(runs, 'further run')} of each task for --lm-calibrate"
        if self._unknown:
            yield f"and {_many(self._unknown, 'test')} that may ask more: how much is seen when they run"
        if self._skipped:
            yield f"skipped: {_many(self._skipped, 'test')}"
        yield (
            f"tokens: {CHARACTERS_PER_TOKEN} characters each, in the prompts of up to {DOCUMENTS} documents of a task, "
            "and generations as long as they may be"
        )
        family = self._gates.family.size
        shared = f", the error rate shared by {family:,} tests" if family > 1 else ""
        yield f"sees: the smallest drop that is found in 4 of 5 runs{shared}"

    def _benchmark(self, target: TaskSpec | Group) -> PlanRow:
        options = self._settings.evaluation
        if not isinstance(target, Group):
            cost = self._cost(target, options)
            compared = self._compared(target, cost)
            row = self._row(target.task, cost)
        else:
            costs = [self._cost(leaf, options) for leaf in target.leaves()]
            parts = [self._compared(leaf, cost) for leaf, cost in zip(target.leaves(), costs, strict=True)]
            compared = _effective(parts, weighted=target.spec.aggregates[0].weight_by_size)
            documents, total = sum(cost.documents for cost in costs), sum(cost.total for cost in costs)
            row = PlanRow(task=target_name(target), documents=documents, total=total)
        return self._seen(row, target, compared)

    def _seen(self, row: PlanRow, target: TaskSpec | Group, compared: int) -> PlanRow:
        """Add what the target's gate sees in the documents that are compared."""
        policy = self._gates.policy(target)
        if policy.settings.mode is not Mode.OFF and not self._settings.baseline.update:
            self._gates.read(target)  # one that cannot be used is an error of the run
        if not self._gates.decides(target) or policy.settings.mode is Mode.OFF:
            return row
        if not is_mean_of_documents(target):
            return replace(row, remarks=("its metric is no mean of documents' values: what it sees only a run tells",))
        prospect = self._gates.prospect(target)
        sight = prospect.sight(compared)
        remarks = [_only_compared(row.documents, compared, target), sight.sentence]
        cluster = policy.cluster or (None if isinstance(target, Group) else _known_cluster(target))
        if cluster is not None:
            remarks.append(f"documents of one {cluster} may move together: then it sees less than this")
        need = self._detection.needs.get(target_name(target))
        remarks.append(need.shortfall(compared) if need is not None else "")
        return replace(row, mde=sight.mde, margin=prospect.margin, remarks=tuple(filter(None, remarks)))

    def _python_test(self, item: pytest.Item) -> PlanRow | None:
        """A marked test has thresholds and no baseline, so there is nothing that it detects."""
        marked = marked_task(item)
        if marked is None:
            self._unknown += 1
            return None
        target = marked.target
        costs = [
            self._cost(leaf, marked.options) for leaf in (target.leaves() if isinstance(target, Group) else [target])
        ]
        return self._row(
            item.name,
            Cost(
                indices=tuple(index for cost in costs for index in cost.indices),
                total=sum(cost.total for cost in costs),
                requests=sum(cost.requests for cost in costs),
                tokens=sum(cost.tokens for cost in costs),
            ),
        )

    def _row(self, name: str, cost: Cost) -> PlanRow:
        return PlanRow(
            task=name,
            documents=cost.documents,
            total=cost.total,
            requests=cost.requests,
            tokens=cost.tokens,
            seconds=None if self._speed is None else cost.tokens / self._speed.rate,
        )

    def _cost(self, spec: TaskSpec, options: EvaluationOptions) -> Cost:
        key = (repr(spec), repr(options))
        if key not in self._costs:
            self._costs[key] = estimate(spec, options)
        return self._costs[key]

    def _compared(self, spec: TaskSpec, cost: Cost) -> int:
        """How many of the documents are in the baseline too; all of them where there is none yet."""
        baseline = self._gates.baseline(spec)
        if baseline is None or not baseline.items or baseline.n == baseline.total or self._settings.baseline.update:
            return cost.documents
        return len({item.index for item in baseline.items}.intersection(cost.indices))


def _only_compared(documents: int, compared: int, target: TaskSpec | Group) -> str:
    if isinstance(target, Group) or compared >= documents:
        return ""
    return f"its baseline has {compared:,} of these {documents:,} documents, and only they are compared"


def _known_cluster(spec: TaskSpec) -> str | None:
    return default_cluster(spec.dataset_path, spec.dataset_name)


def _effective(parts: Sequence[int], *, weighted: bool) -> int:
    """How many documents of one task are worth as much: all, or where each task weighs the same, fewer."""
    if weighted or not all(parts):
        return sum(parts)
    return math.floor(len(parts) ** 2 / sum(1 / part for part in parts))


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _time(tokens: int, speed: Speed | None) -> str:
    if speed is None:
        return "time unknown: no earlier run of this model here"
    rate = short_number(speed.rate)
    return f"about {format_duration(tokens / speed.rate)} in one process, at the {rate} tokens a second of the last run"
