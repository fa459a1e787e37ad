"""Baselines as syrupy snapshots: syrupy reads, decides when to write and counts; the gate says what matches.

What of syrupy is really used: the recall, compare, write sequence of SnapshotAssertion, its place in syrupy's
summary, and this extension point. What is not: its serialisation, its file names, and above all its hunt for
unused snapshots. That takes a baseline whose test was deselected, failed in its setup or never ran because of
``-x`` for an unused one, and ``--snapshot-update`` would delete it. So nothing is ever discovered here, and
deleting does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.data import SnapshotCollection, SnapshotCollections
from syrupy.extensions.base import AbstractSyrupyExtension
from syrupy.location import PyTestLocation
from syrupy.session import SnapshotSession

from pytest_lmeval.baselines.files import read_baseline, read_text, write_atomically
from pytest_lmeval.baselines.format import dumps
from pytest_lmeval.baselines.record import Baseline, Noise
from pytest_lmeval.baselines.update import Update
from pytest_lmeval.baselines.updating import Standing, decide_writing
from pytest_lmeval.errors import BaselineError, SettingsError
from pytest_lmeval.gate.verdict import Status, Verdict, recorded
from pytest_lmeval.results import TaskResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What is asserted: the baseline that this run would be, whether the file may stay as it is, and why not."""

    baseline: Baseline
    stays: bool
    reasons: tuple[str, ...]


class BaselineExtension(AbstractSyrupyExtension):
    """Stores a baseline at its item's ``lm_baseline_path``, a pathlib.Path that the item's collector sets.

    The class is importable by its name: under xdist syrupy's controller looks it up.
    """

    file_extension = "json"
    # One file per item: written when decided, so workers never share one and a crash loses none.
    write_immediately = True

    def __init__(self) -> None:
        self._stays = False
        self._reasons: tuple[str, ...] = ()

    def serialize(self, data: Any, **_: Any) -> str:
        """Turn a Recording into the text of its file, and remember for :meth:`matches` what was decided."""
        if not isinstance(data, Recording):
            raise TypeError(f"expected a Recording, found {type(data).__name__}")
        self._stays = data.stays
        self._reasons = data.reasons
        return dumps(data.baseline)

    def matches(self, *, serialized_data: Any, snapshot_data: Any) -> bool:
        """Tell whether the file may stay as it is.

        Not whether the texts are equal: an update would then rewrite every file for a change in the last digit,
        a date or a package version.
        """
        return self._stays

    def diff_lines(self, serialized_data: Any, snapshot_data: Any) -> Iterator[str]:
        """Give the gate's reasons, where syrupy would show a diff of thousands of lines."""
        yield from self._reasons

    @classmethod
    def get_location(cls, *, test_location: PyTestLocation, index: Any) -> str:
        """Give the item's baseline path."""
        path = getattr(test_location.item, "lm_baseline_path", None)
        if not isinstance(path, Path):
            raise BaselineError(f"{test_location.nodeid} has no baseline: its lm_baseline_path is {path!r}")
        return str(path)

    @classmethod
    def matches_test_location(cls, **_: Any) -> bool:
        """Accept every place: syrupy warns of files that are not named like their test's."""
        return True

    @classmethod
    def discovery_dirname(cls, **_: Any) -> str:
        """Name no folder. Syrupy also asks for items that are not ours, which have no baseline path."""
        return ""

    def discover_snapshots(self, **_: Any) -> SnapshotCollections:
        """Find nothing, so that nothing is unused."""
        return SnapshotCollections()

    def delete_snapshots(self, *, snapshot_location: str, snapshot_names: set[str]) -> None:
        """Delete nothing."""

    def read_snapshot_collection(self, *, snapshot_location: str) -> SnapshotCollection:
        """Give an empty collection."""
        return SnapshotCollection(location=snapshot_location)

    def read_snapshot_data_from_location(self, *, snapshot_location: str, **_: Any) -> str | None:
        """Read the file; one that is unreadable is as good as none when it is to be replaced."""
        try:
            return read_text(Path(snapshot_location))
        except BaselineError:
            return None

    @classmethod
    def write_snapshot_collection(cls, *, snapshot_collection: SnapshotCollection, **_: Any) -> None:
        """Replace the file."""
        for snapshot in snapshot_collection:
            write_atomically(Path(snapshot_collection.location), str(snapshot.data))


def baseline_assertion(request: pytest.FixtureRequest, update: bool) -> SnapshotAssertion:
    """Make the assertion that compares or, where ``update`` is set, records the baseline of ``request.node``.

    It does not derive from syrupy's ``snapshot`` fixture: that carries ``--snapshot-update``, which must not
    reach baselines, and registers a text extension that searches the task's folder.
    """
    session = getattr(request.config, "_syrupy", None)
    if not isinstance(session, SnapshotSession):
        raise SettingsError("baselines need the syrupy plugin; remove '-p no:syrupy'")
    return SnapshotAssertion(
        session=session,
        extension_class=BaselineExtension,
        test_location=PyTestLocation(request.node),
        update_snapshots=update,
    )


def check_baseline(
    assertion: SnapshotAssertion,
    result: TaskResult,
    candidate: Callable[[], Baseline],
    judge: Callable[[Baseline | None], Verdict],
    *,
    update: Update | None = None,
    accept_regression: bool = False,
    measure_noise: Callable[[], Noise] | None = None,
) -> Verdict:
    """Judge a result against the item's baseline file, and record the ``candidate`` there as ``update`` says.

    What is written when, and what is refused, decides :func:`~pytest_lmeval.baselines.updating.decide_writing`; a
    refusal fails the task. A file that stays as it is, is not touched. ``measure_noise`` asks the model again, which
    takes its time, so it is called for what will be written alone; where it is given, a baseline without noise does not
    describe the run any more.

    Raises BaselineError for a file that cannot be used, unless it is being replaced, or not be written.
    """
    location = Path(assertion.extension.get_location(test_location=assertion.test_location, index=0))
    baseline = _read(location, replacing=update in (Update.CHANGED, Update.ALL))
    verdict = judge(baseline)
    if update is not None:
        standing = _standing(verdict, baseline, exists=baseline is not None or location.exists())
        if measure_noise is not None and baseline is not None and baseline.noise is None:
            standing = replace(standing, keeps=False)
        writing = decide_writing(update, result, standing, accept_regression=accept_regression)
        if writing.refused is not None:
            return _not_recorded(verdict, writing.refused, worse=writing.worse)
        if not writing.writes or measure_noise is None:
            return _assert(assertion, candidate(), verdict, stays=not writing.writes)
        return _assert(assertion, replace(candidate(), noise=measure_noise()), verdict, stays=False)
    if baseline is None:
        # Syrupy would count a missing snapshot as failed; whether it is one, the verdict says.
        return verdict
    return _assert(assertion, candidate(), verdict, stays=verdict.keeps_baseline or verdict.passed)


def _assert(assertion: SnapshotAssertion, candidate: Baseline, verdict: Verdict, *, stays: bool) -> Verdict:
    """Let syrupy compare, write and count. Raises BaselineError for a file that could not be written."""
    _ = assertion == Recording(baseline=candidate, stays=stays, reasons=verdict.reasons)
    execution = assertion.executions[assertion.num_executions - 1]
    if execution.exception is not None:
        # Syrupy keeps exceptions to itself: a file that was not written must not pass for written.
        location = assertion.extension.get_location(test_location=assertion.test_location, index=0)
        raise BaselineError(f"{location}: cannot be written: {execution.exception}") from execution.exception
    return recorded(verdict) if execution.created or execution.updated else verdict


def _not_recorded(verdict: Verdict, reason: str, *, worse: bool) -> Verdict:
    """Fail where what was asked for is not done: a lower score is one of quality, everything else an error."""
    status = Status.REGRESSED if worse else Status.ERROR
    return replace(verdict, status=status, passed=False, reasons=(reason, *verdict.reasons))


def _standing(verdict: Verdict, baseline: Baseline | None, *, exists: bool) -> Standing:
    broken = verdict.status is Status.ERROR
    return Standing(
        exists=exists,
        baseline=baseline,
        keeps=verdict.keeps_baseline,
        lowered=verdict.lowered,
        broken=verdict.reasons[0] if broken else None,
    )


def _read(path: Path, *, replacing: bool) -> Baseline | None:
    try:
        return read_baseline(path)
    except BaselineError:
        if replacing:
            return None
        raise
