"""Run programs that a model wrote, and count those that run to their end.

This is no sandbox: a program runs with the user's rights, in a process of its own, with limits of time and memory, an
empty folder to work in and none of the environment. So nothing runs without consent, which is the environment
variable that the field uses for it.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from signal import SIGKILL

import numpy as np

from pytest_lmeval.errors import SettingsError

CONSENT = "HF_ALLOW_CODE_EVAL"

# Those of Hugging Face's code_eval, whose numbers the field reports.
SECONDS = 3.0
WORKERS = 4

MEMORY = 4 * 2**30  # bytes of address space
_GRACE = 20.0  # seconds for the interpreter to start on a busy machine

# The clock starts with the program, not with the interpreter, and ends the process, which no `except` can catch. Only
# a program that reaches its end gets the token printed: one that leaves early, with whatever status, does not.
_CHILD = """\
import os, signal, sys
token, seconds, memory = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
program, report = sys.stdin.buffer.read(), os.dup(1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
if sys.platform == "linux":  # macOS knows no limit of address space
    import resource
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (memory if hard < 0 else min(memory, hard), hard))
sys.argv[1:] = []
signal.setitimer(signal.ITIMER_REAL, seconds)
exec(compile(program, "program", "exec"), {})
os.write(report, token.encode())
"""


def pass_at_k(
    references: Sequence[str], predictions: Sequence[Sequence[str]], k: int | Sequence[int]
) -> dict[str, float]:
    """Return ``pass@k`` for each ``k`` that there are enough predictions for: a probability, the mean over references.

    ``references`` are tests, ``predictions`` the candidate programs for each; a test stands below a candidate. The
    estimator is the unbiased one of Chen et al., 2021 (arXiv 2107.03374, equation 1). Raises SettingsError without
    consent.
    """
    counts = [count_passing(candidates, test) for candidates, test in zip(predictions, references, strict=True)]
    sizes = [len(candidates) for candidates in predictions]
    wanted = [k] if isinstance(k, int) else k
    return {
        f"pass@{n}": float(np.mean([_estimate(size, count, n) for size, count in zip(sizes, counts, strict=True)]))
        for n in wanted
        if n <= min(sizes)
    }


def count_passing(candidates: Sequence[str], test: str) -> int:
    """Return how many candidates pass the test. Raises SettingsError without consent."""
    programs = [f"{candidate}\n{test}" for candidate in candidates]
    with ThreadPoolExecutor(WORKERS) as pool:
        return sum(pool.map(passes, programs))


def passes(program: str, *, seconds: float = SECONDS) -> bool:
    """Say whether ``program`` runs to its end within ``seconds``. Raises SettingsError without consent."""
    if os.environ.get(CONSENT) != "1":
        raise SettingsError(
            f"this task runs code that the model wrote, with your rights: consent with --lm-unsafe-code ({CONSENT}=1)"
        )
    token = secrets.token_hex(16)
    command = [sys.executable, "-I", "-c", _CHILD, token, str(seconds), str(MEMORY)]
    with tempfile.TemporaryDirectory() as folder, _start(command, folder) as process:
        try:
            reported, _ = process.communicate(_bytes(program), timeout=seconds + _GRACE)
        except subprocess.TimeoutExpired:
            return False
        finally:
            # What the program started goes with it.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, SIGKILL)
    return reported == token.encode()


def _start(command: Sequence[str], folder: str) -> subprocess.Popen[bytes]:
    environment: Mapping[str, str] = {"PATH": os.defpath, "HOME": folder, "TMPDIR": folder}
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )


def _bytes(program: str) -> bytes:
    # Text of a model may hold half a surrogate pair; as a program it is then not valid, and fails by itself.
    return program.encode("utf-8", "surrogatepass")


def _estimate(size: int, passing: int, k: int) -> float:
    failing = size - passing
    if failing < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(failing + 1, size + 1)))
