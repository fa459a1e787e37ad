"""Runs that are remembered: trends, slides, the command that prints them, and alerts on what changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_lmeval.history.database import Database
from pytest_lmeval.history.series import read_series

from ..unit.alert_server import AlertServer, listening
from .project import Project, text_of

HOOK = """
def pytest_lmeval_run_finished(run):
    for (task, metric), points in sorted(run.trends.items()):
        print("TREND", task, metric, [point.value for point in points])
"""


@pytest.fixture(autouse=True)
def _history(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_LMEVAL_HISTORY", raising=False)


@pytest.fixture
def server() -> Iterator[AlertServer]:
    with listening() as server:
        yield server


def values(project: Project, name: str = ".lmeval/history.db") -> dict[str, list[float]]:
    with Database(project.path / name).reading() as connection:
        return {series.task: [point.value for point in series.points] for series in read_series(connection)}


def test_every_run_is_remembered_once_also_of_workers(project: Project, server: AlertServer) -> None:
    project.everything()
    project.write("conftest.py", HOOK)
    project.run("--lm-model=pupil", "--collect-only")
    project.run("--lm-model=pupil")
    run = project.run("--lm-model=pupil", "-s", "-n", "2", f"--lm-notify={server.url()}", "--lm-notify-on=always")
    run.assert_outcomes(passed=5)
    run.stdout.fnmatch_lines(["*TREND rivers acc [[]1.0[]]"])
    assert values(project) == {name: [1.0, 1.0] for name in ("rivers", "sums", "lakes", "seas", "waters")}
    assert [got["title"] for got in server.got] == ["pupil: passed (5 tasks)"]


def test_off_and_elsewhere(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.choice_task("rivers")
    project.run("--lm-model=pupil", "--lm-history=off")
    assert not (project.path / ".lmeval" / "history.db").exists()
    project.write("pytest.ini", "[pytest]\nlm_history = sqlite:///team/history.db\n")
    (project.path / "sub").mkdir()
    monkeypatch.chdir(project.path / "sub")
    project.run("--lm-model=pupil", "..")
    monkeypatch.setenv("PYTEST_LMEVAL_HISTORY", "sqlite:///own.db")
    project.run("--lm-model=pupil", "..")
    assert values(project, "team/history.db") == values(project, "sub/own.db") == {"rivers": [1.0]}


def test_a_history_that_cannot_be_written_fails_no_run(project: Project) -> None:
    project.choice_task("rivers")
    project.write("file", "in the way")
    run = project.run("--lm-model=pupil", "--lm-history=sqlite:///file/history.db")
    run.assert_outcomes(passed=1)
    assert run.ret == 0
    run.stdout.fnmatch_lines([f"not in the history: {project.path}/file/history.db: *"])
    run = project.run(
        "--lm-model=pupil", "--lm-history=postgresql://me:hunter2@127.0.0.1:9/x", "--lm-report=json:r.json"
    )
    run.assert_outcomes(passed=1)
    run.stdout.fnmatch_lines(["not in the history: postgresql+psycopg://me:***@127.0.0.1:9/x: *refused*"])
    kept = [path.read_text() for path in project.path.rglob("*.json")]
    assert kept
    assert not any("hunter2" in text for text in [text_of(run), *kept])
    wrong = project.run("--lm-model=pupil", "--lm-history=mysql://me:hunter2@host/x")
    assert wrong.ret == pytest.ExitCode.USAGE_ERROR
    wrong.stderr.fnmatch_lines(["ERROR: --lm-history: mysql://* is neither; expected sqlite:///PATH, *"])
    assert "hunter2" not in text_of(wrong)


def test_a_slide_is_told_with_where_it_began(project: Project) -> None:
    project.choice_task("rivers", range(100))
    for knows in (100, 100, 96, 92, 88, 84):
        _model_that_knows(project, knows)
        run = project.run("--lm-model=pupil,breaks=never")
        run.assert_outcomes(passed=1)
    first = runs_of(project)[2]
    run.stdout.fnmatch_lines(
        [f"drift: acc of rivers has been sliding for 4 runs, since *{first}*: 1.0000 -> 0.8400 (-16.00 points); *"]
    )
    # Told, and no failure of its own.
    assert run.ret == 0
    printed = command(project, "--task=rivers", "--last=5")
    lines = printed.stdout.splitlines()
    assert lines[0].startswith("rivers  acc  pupil,breaks=never  ")
    assert [line.split()[-1] for line in lines[2:7]] == ["no-baseline"] * 5
    assert [line.split()[-4] for line in lines[3:7]] == ["0.9600", "0.9200", "0.8800", "0.8400"]
    assert [line.split()[-3:-1] for line in lines[3:7]] == [["-4.00", "points"]] * 4
    assert lines[0].endswith("  █▆▅▃▁")
    assert lines[7].startswith("drift: acc of rivers has been sliding for 4 runs, since ")
    # Of three runs that is not sure yet.
    assert "drift" not in command(project, "--last=3").stdout


def _model_that_knows(project: Project, knows: int) -> None:
    """The same model by name, which answers otherwise."""
    path = next(project.path.rglob("pupil.py"))
    lines = path.read_text().splitlines()
    kept = [f"    knows: int = {knows}" if line.startswith("    knows: int = ") else line for line in lines]
    path.write_text("\n".join(kept) + "\n")
    # What is compiled is told from the source by size and second, and both may be the same.
    shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)
    sys.modules.pop("pupil", None)


def runs_of(project: Project) -> list[str]:
    with Database(project.path / ".lmeval/history.db").reading() as connection:
        (series,) = read_series(connection)
    return [point.run for point in series.points]


def command(project: Project, *arguments: str, encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest_lmeval", "history", *arguments],
        cwd=project.path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONIOENCODING": encoding},
        capture_output=True,
        encoding=encoding,
        check=False,
    )


def test_the_command(project: Project) -> None:
    absent = command(project)
    assert (absent.returncode, absent.stderr) == (2, f"error: {project.path}/.lmeval/history.db: there is no history\n")
    project.everything()
    project.run("--lm-model=pupil,knows=3")
    project.run("--lm-model=pupil,knows=5")
    printed = command(project, "--task=rivers", encoding="ascii").stdout.splitlines()
    assert [line.split()[:4] for line in printed if line.startswith("rivers")] == [
        ["rivers", "acc", "pupil,knows=3", "+"],
        ["rivers", "acc", "pupil,knows=5", "+"],
    ]
    tasks = [
        line.split()[0] for line in command(project, "--model=pupil,knows=3").stdout.splitlines() if " acc " in line
    ]
    assert tasks == ["lakes", "rivers", "seas", "waters"]
    assert command(project, "--task=nothing").stdout.startswith("no such run in ")
    assert command(project, "--lm-history=x").returncode == 2
    assert "error: --lm-history: expected sqlite:///PATH" in command(project, "--lm-history=x").stderr


def test_alerts_on_a_change_of_verdict(project: Project, server: AlertServer) -> None:
    project.choice_task("rivers", extra="gate: {acc: {min: 0.5}}\n")
    told = []
    for knows in (9, 8, 3, 2, 9):
        _model_that_knows(project, knows)
        run = project.run("--lm-model=pupil", f"--lm-notify={server.url()}")
        told.append([(got["title"], got["message"].splitlines()[0]) for got in server.got])
        server.got.clear()
        assert "token-s3cret" not in text_of(run)
    failed = ("pupil: FAILED (1 of 1 task failed)", "newly failing: rivers")
    assert told == [[], [], [failed], [], [("pupil: passed (1 task)", "no longer failing: rivers")]]
    assert not any("token-s3cret" in path.read_text() for path in project.path.rglob("*.json"))


def test_alerts_without_a_history(project: Project, server: AlertServer, monkeypatch: pytest.MonkeyPatch) -> None:
    project.choice_task("rivers", extra="gate: {acc: {min: 0.5}}\n")
    monkeypatch.setenv("PYTEST_LMEVAL_HISTORY", "off")
    monkeypatch.setenv("PYTEST_LMEVAL_NOTIFY", server.url())
    for knows, always, alerts in ((9, (), 0), (3, (), 1), (3, (), 2), (9, ("--lm-notify-on=always",), 3)):
        project.run(f"--lm-model=pupil,knows={knows}", *always)
        assert len(server.got) == alerts


def test_an_alert_that_is_refused_changes_nothing(project: Project, server: AlertServer) -> None:
    project.choice_task("rivers")
    server.answers = [404]
    run = project.run(
        "--lm-model=pupil", f"--lm-notify={server.url()}", "--lm-notify-on=always", "-o", "log_cli_level=0"
    )
    run.assert_outcomes(passed=1)
    assert run.ret == 0
    run.stdout.fnmatch_lines(["alert 1 of 1 (JSON) was not sent: the server answered 404"])
    assert "token-s3cret" not in text_of(run)
