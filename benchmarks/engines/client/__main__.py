"""``python -m benchmarks.engines.client``: the client against a server that answers at once."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.engines.client.answering import COUNTS
from benchmarks.engines.client.asking import KINDS, Figures, Job
from benchmarks.engines.order import OURS, PEER_CLIENT
from benchmarks.scoring.machine import installed, processor
from benchmarks.scoring.model import prepare
from benchmarks.scoring.options import ROOT, positive
from benchmarks.scoring.process import environment, why
from benchmarks.scoring.table import MIB, MISSING, row
from pytest_lmeval.backends.spec import ModelSpec
from pytest_lmeval.errors import BackendError, LMEvalError

OUTPUT = ROOT / ".lmeval" / "bench-engines"

# Requests a second that one core should do.
TARGET = 1000

COLUMNS = (
    "requests",
    "requests/s, ours",
    "wanted",
    "requests per second of CPU time",
    "calls to the server per request",
    "the server's share of a core",
    "requests/s, lm-eval",
    "peak MiB",
    "peak MiB with ten times as many",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one client measured, and what the server did meanwhile: calls, and seconds of CPU time."""

    figures: Figures
    calls: int
    cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One kind of requests: ours in turns, lm-eval's where it is there, and ours once with ten times as many."""

    kind: str
    requests: int
    ours: Sequence[Turn]
    peer: Sequence[Turn]
    long: Turn | None


def main(arguments: Sequence[str]) -> None:
    """Measure and print the table."""
    given = _parser().parse_args(arguments)
    given.output.mkdir(parents=True, exist_ok=True)
    tokenizer = given.tokenizer or prepare(ModelSpec.parse("demo"), given.output / "models").location
    cores = sorted(os.sched_getaffinity(0))
    results = []
    with tempfile.TemporaryDirectory() as folder, answering(tokenizer, cores[0] if cores[1:] else None) as url:
        job = Job(
            engine=OURS,
            kind="",
            url=url,
            tokenizer=str(tokenizer),
            requests=given.requests,
            concurrency=given.concurrency,
            core=cores[-1] if cores[1:] else None,
            arguments=f",{given.keys}" if given.keys else "",
        )
        for kind in given.kinds.split(",") if given.kinds else KINDS:
            results.append(_measured(replace(job, kind=kind), given.repeats, not given.ours_only, Path(folder)))
    text = _text(results, len(cores))
    (given.output / "client.md").write_text(text, encoding="utf-8")
    (given.output / "client.json").write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    print(text)


def _measured(job: Job, repeats: int, peer: bool, folder: Path) -> Result:
    ours: list[Turn] = []
    theirs: list[Turn] = []
    for number in range(1, repeats + 1):
        ours.append(_turn(job, folder))
        _tell(f"{job.kind}: {number} ours: {job.requests / ours[-1].figures.seconds:,.0f} requests/s")
        if peer:
            theirs.append(_turn(replace(job, engine=PEER_CLIENT), folder))
            _tell(f"{job.kind}: {number} lm-eval: {job.requests / theirs[-1].figures.seconds:,.0f} requests/s")
    long = _turn(replace(job, requests=10 * job.requests), folder)
    _tell(f"{job.kind}: ten times as many: {10 * job.requests / long.figures.seconds:,.0f} requests/s")
    return Result(kind=job.kind, requests=job.requests, ours=ours, peer=theirs, long=long)


def _turn(job: Job, folder: Path) -> Turn:
    """Run one client to its end. Raises BackendError with what it said last."""
    before = _counts(job.url)
    log = folder / "client.log"
    command = [sys.executable, "-m", "benchmarks.engines.client.asking", json.dumps(asdict(job))]
    with log.open("w", encoding="utf-8") as lines:
        done = subprocess.run(command, env=environment(1), stdout=subprocess.PIPE, stderr=lines)
    if done.returncode:
        raise BackendError(f"{job.engine}, {job.kind}: {why(done.returncode, log)}")
    after = _counts(job.url)
    return Turn(
        figures=Figures(**json.loads(done.stdout)),
        calls=after["calls"] - before["calls"],
        cpu=after["cpu"] - before["cpu"],
    )


@contextmanager
def answering(tokenizer: str | Path, core: int | None) -> Iterator[str]:
    """Run the server in a process of its own and yield its address."""
    command = [sys.executable, "-m", "benchmarks.engines.client.answering", str(tokenizer)]
    command += [] if core is None else [str(core)]
    process = subprocess.Popen(command, env=environment(1), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            raise BackendError(f"The answering server did not start: it ended with status {process.wait()}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.communicate(timeout=30)


def _counts(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}{COUNTS}", timeout=30) as response:
        found: dict[str, Any] = json.load(response)
        return found


def _text(results: Sequence[Result], cores: int) -> str:
    where = "client and server each on a core of its own" if cores > 1 else "client and server on the same core"
    versions = f"openai {installed('openai')}, lm-eval {installed('lm_eval') or MISSING}"
    return f"{processor()}, {where}; {versions}\n\n{table(results)}"


def table(results: Sequence[Result]) -> str:
    """A row for each kind of requests."""
    lines = [row(COLUMNS), row(["---", *["---:"] * (len(COLUMNS) - 1)])]
    return "\n".join([*lines, *(row(_cells(result)) for result in results)]) + "\n"


def _cells(result: Result) -> list[str]:
    share = statistics.median(turn.cpu / turn.figures.seconds for turn in result.ours)
    calls = statistics.median(turn.calls for turn in result.ours) / result.requests
    return [
        f"{result.requests:,} of {result.kind}",
        _rate(result.requests, result.ours),
        f"{TARGET:,}",
        f"{statistics.median(result.requests / turn.figures.cpu for turn in result.ours):,.0f}",
        f"{calls:.2f}",
        f"{share:.0%}",
        _rate(result.requests, result.peer) if result.peer else MISSING,
        _peak(result.ours),
        _peak([result.long] if result.long else []),
    ]


def _rate(requests: int, turns: Sequence[Turn]) -> str:
    rates = sorted(requests / turn.figures.seconds for turn in turns)
    return f"{statistics.median(rates):,.0f} ({rates[0]:,.0f} to {rates[-1]:,.0f})"


def _peak(turns: Sequence[Turn]) -> str:
    known = [turn.figures.peak for turn in turns if turn.figures.peak is not None]
    return f"{max(known) / MIB:,.0f}" if known else MISSING


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines.client", description=__doc__)
    add = parser.add_argument
    add("--requests", type=positive, default=10_000, help="of each kind (default: 10000)")
    add("--kinds", default="", help=f"some of: {', '.join(KINDS)} (default: all)")
    add("--repeats", type=positive, default=3, help="how often each client is timed (default: 3)")
    add("--concurrency", type=positive, default=32, help="calls at once (default: 32)")
    add("--tokenizer", type=Path, help="a folder with tokenizer.json (default: the demo model's)")
    add("--keys", default="", help="further keys of our backend, key=value,…")
    add("--ours-only", action="store_true", help="leave lm-eval's client out")
    add(
        "--output",
        type=Path,
        default=OUTPUT,
        help="where client.json and client.md go (default: .lmeval/bench-engines)",
    )
    return parser


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LMEvalError as error:
        sys.exit(f"bench-engines: {error}")
