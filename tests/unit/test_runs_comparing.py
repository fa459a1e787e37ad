"""Two recorded runs: the second judged by the first, from Python and from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_lmeval.cli.main import main
from pytest_lmeval.errors import RunError
from pytest_lmeval.gate.settings import Layer
from pytest_lmeval.runs.comparing import compare_runs
from pytest_lmeval.runs.run import Run

from .recorded_runs import choice_item, record_of, result_of, write_made_run

OLD, NEW = "20260801-101500-ab12", "20260802-101500-ab12"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs, of which the second lost half of one task and has another that the first lacks."""
    folder = tmp_path / "runs"
    fine = result_of("rivers", [choice_item(index, right=True) for index in range(60)])
    gone = result_of("seas", [choice_item(index, right=True) for index in range(4)])
    write_made_run(folder / OLD, [record_of(fine, None), record_of(gone, None)], exit_status=0)
    worse = result_of("rivers", [choice_item(index, right=index >= 30) for index in range(60)])
    write_made_run(folder / NEW, [record_of(worse, None), record_of(result_of("lakes", fine.items), None)])
    return folder


def opened(runs: Path, name: str) -> Run:
    from pytest_lmeval.runs.folder import find_run

    return find_run(runs, name)


def test_the_second_run_is_judged_by_the_first(runs: Path, tmp_path: Path) -> None:
    compared = compare_runs(opened(runs, OLD), opened(runs, NEW), [Layer()], tmp_path / "made")
    assert (compared.only_then, compared.only_now) == (("seas",), ("lakes",))
    (row,) = compared.run.rows
    assert (row.task, row.verdict, row.flips_regressed, row.passed) == ("rivers", "regressed", 30, False)
    assert (row.baseline, row.value) == (1.0, 0.5)
    assert compared.run.failed
    assert compared.run.facts.exit_status == 1
    (record,) = compared.run.records()
    assert len(record.pairs) == 60
    # The other way round it is better, and a run compared with itself is the same.
    assert (
        compare_runs(opened(runs, NEW), opened(runs, OLD), [Layer()], tmp_path / "b").run.rows[0].verdict == "improved"
    )
    same = compare_runs(opened(runs, NEW), opened(runs, NEW), [Layer()], tmp_path / "c").run
    assert {row.verdict for row in same.rows} == {"pass"}


def test_runs_without_a_task_in_common(runs: Path, tmp_path: Path) -> None:
    other = write_made_run(tmp_path / "x", [record_of(result_of("ponds", [choice_item(0, right=True)]), None)])
    with pytest.raises(RunError, match="no task in common"):
        compare_runs(opened(runs, OLD), other, [Layer()], tmp_path / "made")


def test_compare_on_the_command_line(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--runs-dir", str(runs)]
    report = tmp_path / "out.json"
    assert main(["compare", "20260801", "last", *where, f"--report=json:{report}"]) == 1
    said = capsys.readouterr().out
    assert "rivers: REGRESSED" in said
    assert "only in the first run: seas" in said
    assert "REGRESSED" in report.read_text().upper()
    assert main(["compare", "last", "last", *where, "--gate=lossless"]) == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["compare", "last", "1999"], "1999: no recorded runs in"),
        (["compare", "last", "last", "--gate=strong"], "--gate=strong: "),
        (["compare", "last", "last", "--margin=1pt"], "--margin=1pt: "),
        (
            ["compare", "last", "last", "--report=pdf:x"],
            "--report=pdf:x: expected one of json:PATH, html:PATH, md:PATH",
        ),
    ],
)
def test_mistakes(runs: Path, arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--runs-dir", str(runs)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {problem}")


def test_runs_are_listed(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--runs-dir", str(runs)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{OLD}  91ab3f0  passed  demo  rivers, seas: 2 no-baseline")
    assert second.startswith(f"{NEW}  91ab3f0  failed  demo  rivers, lakes")
    assert main(["runs", "--runs-dir", str(tmp_path)]) == 0
    assert "no recorded runs in" in capsys.readouterr().out
