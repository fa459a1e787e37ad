from __future__ import annotations

import fcntl
import math
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import pytest

from pytest_lmeval.errors import SettingsError
from pytest_lmeval.tasks import code_execution
from pytest_lmeval.tasks.code_execution import count_passing, pass_at_k, passes

ADD = "def add(a, b):\n    return a + b"
WRONG = "def add(a, b):\n    return a * b"
TEST = "assert add(2, 3) == 5"


@pytest.fixture
def _consent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(code_execution.CONSENT, "1")


@pytest.mark.parametrize("value", [None, "0", ""])
def test_nothing_runs_without_consent(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv(code_execution.CONSENT, raising=False)
    if value is not None:
        monkeypatch.setenv(code_execution.CONSENT, value)
    with pytest.raises(SettingsError, match="consent with --lm-unsafe-code"):
        pass_at_k([TEST], [[ADD]], 1)


@pytest.mark.usefixtures("_consent")
def test_a_program_passes_where_it_runs_to_its_end() -> None:
    assert count_passing([ADD, WRONG, ADD], TEST) == 2


@pytest.mark.usefixtures("_consent")
@pytest.mark.parametrize(
    "program",
    [
        "raise ValueError",
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "print('0' * 32); raise SystemExit",
        "input()",
        "def f(:",
        "nonsense\ud800",
        "x = bytearray(8 * 2**30)",
    ],
    ids=["raises", "leaves", "leaves at once", "prints", "asks", "is no program", "is no text", "takes all memory"],
)
def test_a_program_that_does_not_run_to_its_end_fails(program: str) -> None:
    assert not passes(program)


@pytest.mark.usefixtures("_consent")
def test_a_program_that_never_ends_is_ended_whatever_it_catches() -> None:
    program = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    assert not passes(program, seconds=0.2)


@pytest.mark.usefixtures("_consent")
def test_what_a_program_starts_ends_with_it(tmp_path: Path) -> None:
    program = f"""
import fcntl, subprocess, sys
held = open({str(tmp_path / "lock")!r}, "w")
fcntl.flock(held, fcntl.LOCK_EX)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=[held.fileno()])
"""
    assert passes(program, seconds=10)
    with (tmp_path / "lock").open() as lock:
        assert _becomes_free(lock)


@pytest.mark.usefixtures("_consent")
def test_a_program_sees_neither_the_environment_nor_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    assert passes("import os; assert 'SECRET' not in os.environ and os.listdir() == []")
    # As in the reference, a block for the main program is not run.
    assert passes("if __name__ == '__main__': raise ValueError")


@pytest.mark.usefixtures("_consent")
def test_pass_at_k_is_the_chance_that_one_of_k_passes() -> None:
    predictions = [[ADD, WRONG, WRONG, ADD, WRONG, WRONG, WRONG], [ADD] * 7]
    result = pass_at_k([TEST, TEST], predictions, [1, 3, 6, 9])
    expected = {f"pass@{k}": (1 - math.comb(5, k) / math.comb(7, k) + 1) / 2 for k in (1, 3, 6)}
    # There are not nine predictions: no pass@9.
    assert result == pytest.approx(expected)


def _becomes_free(lock: TextIO) -> bool:
    """Wait for whoever holds the lock to end; the process that the test's program starts holds it for a minute."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.02)
    return False
