"""What GitHub Actions shows: annotations within its limits, and a job summary that fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_lmeval.github import SUMMARY_BYTES, append_summary
from pytest_lmeval.report.annotations import MOST, annotate
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.runs.run import Run

from .recorded_runs import ID, made_run
from .test_report_escaping import run_by_github


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return made_run(tmp_path / ID)


def place(row: ReportRow) -> str | None:
    return f"models/{row.file}" if row.file else None


def test_a_task_is_told_of_at_its_line(run: Run) -> None:
    rivers, sums, lakes = run.rows
    lakes = replace(lakes, file="", verdict="error", passed=False, reason="lost")
    found = [run_by_github(line) for line in annotate(replace(run, rows=(replace(rivers, line=7), lakes, sums)), place)]
    regressed, broken, notice = (each for each in found if each is not None)
    assert regressed[:2] == ("error", {"file": "models/tasks/rivers.yaml", "line": "7", "title": "rivers regressed"})
    assert regressed[2].startswith("rivers: REGRESSED: acc fell by 33.33 points")
    # The numbers and the documents are for the summary.
    assert "document" not in regressed[2].split("\n", 1)[1]
    assert broken[:2] == ("error", {"title": "lakes error"})
    assert notice == ("notice", {"title": "language model evaluation"}, "1 error · 1 regressed · 1 pass")


def test_the_worst_come_first_and_no_more_than_are_shown(run: Run) -> None:
    fine, broken = replace(run.rows[1], notes=("nearly",)), replace(run.rows[2], verdict="incomparable", passed=False)
    rows = (*[broken] * 20, run.rows[0], *[fine] * 20)
    found = [run_by_github(line) for line in annotate(replace(run, rows=rows), place)]
    levels = [each[0] for each in found if each is not None]
    assert levels == ["error"] * MOST + ["warning"] * MOST + ["notice"]
    assert found[0] is not None
    assert found[0][1]["title"] == "rivers regressed"
    assert found[-1] is not None
    assert found[-1][2].endswith("; 21 more are only in the job summary and the log")


def test_a_run_that_regressed_as_a_whole_is_an_error(run: Run) -> None:
    passed = tuple(replace(row, passed=True) for row in run.rows)
    first = run_by_github(next(annotate(replace(run, rows=passed), place)))
    assert first is not None
    assert first[0] == "error"
    assert first[1] == {"title": "the run as a whole regressed"}


@pytest.mark.parametrize("room", [100_000, 20_000, 1_000])
def test_the_summary_takes_what_room_the_step_has_left(run: Run, tmp_path: Path, room: int) -> None:
    path = tmp_path / "summary.md"
    path.write_bytes(b"x" * (SUMMARY_BYTES - room))
    rows = tuple(replace(run.rows[0], task=f"task{at}é") for at in range(100))
    told = append_summary(replace(run, rows=rows), {"GITHUB_STEP_SUMMARY": str(path)})
    text = path.read_bytes().decode()
    assert len(text.encode()) <= SUMMARY_BYTES
    if room < 4096:
        assert told is not None
        assert "full" in told
        assert set(text) == {"x"}
    else:
        assert told is None
        assert text.lstrip("x").startswith("\n<!-- pytest-lmeval:")
        assert text.endswith("</sub>\n\n")
        assert "more tasks are not explained here" in text


def test_without_a_summary_there_is_none(run: Run) -> None:
    assert append_summary(run, {}) is None
    with pytest.raises(OSError, match="No such file"):
        append_summary(run, {"GITHUB_STEP_SUMMARY": "/nowhere/at/all.md"})
