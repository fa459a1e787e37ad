"""The lines that are shown while a model is asked: on a real terminal, in a log, and under xdist."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pyte
import pytest

from .project import Project, text_of

# More than half a second for the 40 documents of a task: some updates of its line.
SLOW = """
import time

from pytest_lmeval.backends import fake

answer = fake.FakeBackend._one


def slowly(self, request, function):
    time.sleep(0.008)
    return answer(self, request, function)


fake.FakeBackend._one = slowly
"""


def on_a_terminal(
    project: Project, *arguments: str, rows: int = 30, **environment: str
) -> tuple[pyte.Screen, list[list[str]]]:
    """Run pytest on a pseudo terminal of 80 columns; return its screen at the end, and all that it showed."""
    screen = pyte.Screen(80, rows)
    stream, shown = pyte.ByteStream(screen), list[list[str]]()
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 0, 0))
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm", **environment}
    for name in ("CI", "NO_COLOR", "FORCE_COLOR", "PY_COLORS", "COLUMNS"):
        if name not in environment:
            variables.pop(name, None)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    with subprocess.Popen(
        command, cwd=project.path, stdin=theirs, stdout=theirs, stderr=theirs, env=variables, close_fds=True
    ) as process:
        os.close(theirs)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if not select.select([ours], [], [], 1.0)[0]:
                continue
            try:
                data = os.read(ours, 65536)
            except OSError:  # Linux says so where the other end is closed
                break
            if not data:
                break
            stream.feed(data)
            shown.append([line.rstrip() for line in screen.display])
        process.kill()
    os.close(ours)
    return screen, shown


@pytest.fixture
def slow(project: Project) -> Path:
    return project.write("conftest.py", SLOW)


def lines_with(shown: list[list[str]], text: str) -> list[str]:
    return [line for screen in shown for line in screen if text in line]


@pytest.mark.usefixtures("slow")
def test_a_terminal_shows_a_line_per_task_and_keeps_none(project: Project) -> None:
    project.choice_task("rivers", range(40))
    project.choice_task("seas", range(40))
    screen, shown = on_a_terminal(project, "--lm-model=fake,window=60")
    live = lines_with(shown, " docs ")
    # Documents, the score so far with its interval, tokens and time, behind the name.
    assert any(line.startswith("rivers  ") and "/40 docs  acc 0." in line and " tok/s  0:0" in line for line in live)
    both = [screen for screen in shown if lines_with([screen], "/40 docs")]
    assert any(
        sum("/40 docs" in line for line in screen) == 2 and "tasks/rivers.yaml" in "\n".join(screen) for screen in both
    )
    final = "\n".join(screen.display)
    assert "docs" not in final.split("= language model")[0]
    assert "tasks/rivers.yaml ." in final
    assert "tasks/seas.yaml ." in final


@pytest.mark.usefixtures("slow")
def test_a_dumb_terminal_is_not_moved_about_on(project: Project) -> None:
    project.choice_task("rivers", range(40))
    _, shown = on_a_terminal(project, "--lm-model=fake", TERM="dumb")
    assert not lines_with(shown, "/40 docs")


@pytest.mark.parametrize("arguments", [["-q"], ["-p", "no:terminal"]])
def test_nothing_is_shown_where_nothing_should(
    project: Project, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr("pytest_lmeval.report.progress.PLAIN_INTERVAL", 0.0)
    project.choice_task("rivers")
    assert "docs" not in text_of(project.run("--lm-model=pupil", *arguments))


def test_a_log_gets_plain_lines(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_lmeval.report.progress.PLAIN_INTERVAL", 0.0)
    project.choice_task("rivers", extra="gate: {acc: {min: 2}}\n")
    result = project.run("--lm-model=pupil,window=4", "-rA")
    # Past the capture on the error stream, not among the output of the failed test.
    result.stderr.fnmatch_lines(["rivers  0/10 docs*", "rivers  */10 docs  acc 1.000 [[]0.*,1.000[]] *tok/s*"])
    assert "Captured" not in text_of(result)
    assert "docs" not in result.stdout.str()
    assert "\x1b" not in result.stderr.str()


def test_without_a_watcher_no_score_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_lmeval.report.progress.PLAIN_INTERVAL", 0.0)
    project.choice_task("rivers")
    result = project.run("--lm-model=pupil", "--lm-early-stop=false")
    result.stderr.fnmatch_lines(["rivers  */10 docs *tok/s*"])
    assert "acc" not in result.stderr.str()


def test_direct_questions_are_counted_as_requests(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_lmeval.report.progress.PLAIN_INTERVAL", 0.0)
    project.python("def test_own(lm): lm.generate_until(['one 1', 'two 2'])")
    project.run("--lm-model=pupil", "test_own.py").stderr.fnmatch_lines(["test_own  1/2 requests*"])


def test_workers_tell_in_lines_of_their_own(project: Project) -> None:
    project.write("conftest.py", "from pytest_lmeval.report import progress\nprogress.PLAIN_INTERVAL = 0.0\n")
    project.choice_task("rivers")
    command = [sys.executable, "-m", "pytest", "--lm-model=fake", "-n", "1"]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(command, cwd=project.path, env=variables, capture_output=True, text=True, check=False)
    assert any(line.startswith("[gw0] rivers  ") and "/10 docs" in line for line in run.stderr.splitlines())
    assert "docs" not in run.stdout
