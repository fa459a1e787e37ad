"""``python -m benchmarks.gate.models``: what the gate says of real models whose differences are known.

Each case is a run of pytest as a user types it. The same model in another batch size, in a shorter number format and
with coarser weights, a far smaller model, and a fine-tune are compared with recorded baselines. The table goes to
stdout, progress to stderr, and what pytest printed to a file for each run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CHOICES = ("tasks/arc_easy.yaml", "tasks/demo")
WORDS = ("tasks/lambada_openai.yaml",)
# Tasks of up to 64 documents are asked whole; of this one there are enough to be stopped.
SCIENCE = ("benchmarks/gate/tasks/sciq_validation.yaml",)
GUARDS = ("tasks/hellaswag.yaml", "tasks/arc_easy.yaml", "tasks/boolq.yaml")
COLUMNS = ("candidate", "baseline", "preset", "task", "documents", "verdict", "difference", "margins", "flips", "exit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """``candidate`` is asked ``tasks`` and judged by ``preset``; without one it is recorded as the baseline.

    ``limit`` documents of each task are asked. ``name`` is what the table calls the candidate, ``baseline`` the folder
    that a recording of it is in.
    """

    name: str
    candidate: str
    baseline: str
    tasks: tuple[str, ...]
    preset: str | None = None
    limit: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Where models, data and results are, and how many documents at most are asked of each task."""

    output: Path
    demo_data: Path
    shared: Path
    at_most: int | None = None


def cases(setup: Setup) -> Iterator[Case]:
    """The runs in their order. What needs models that are not here is left out."""
    demo = "demo,dtype=float32"
    yield Case(name="demo, float32", candidate=demo, baseline="demo", tasks=CHOICES)
    against = [
        ("demo, float32, batches of 64 tokens", f"{demo},batch_tokens=64", "lossless"),
        ("demo, bfloat16", "demo,dtype=bfloat16", "quantized"),
        ("demo, bfloat16", "demo,dtype=bfloat16", "lossless"),
        ("demo, 8 bits", f"hf:{setup.output / 'demo-8bit'},dtype=float32", "lossless"),
        ("demo, 4 bits", f"hf:{setup.output / 'demo-4bit'},dtype=float32", "lossless"),
        ("demo, 4 bits", f"hf:{setup.output / 'demo-4bit'},dtype=float32", "quantized"),
    ]
    for name, candidate, preset in against:
        yield Case(name=name, candidate=candidate, baseline="demo", tasks=CHOICES, preset=preset)
    small = setup.shared / "models" / "stories15M"
    if not small.is_dir():
        return
    stories = f"hf:{small},dtype=float32"
    yield Case(name="stories15M", candidate=stories, baseline="demo", tasks=CHOICES, preset="default")
    yield Case(name="demo, float32", candidate=demo, baseline="demo", tasks=WORDS, limit=150)
    yield Case(name="stories15M", candidate=stories, baseline="demo", tasks=WORDS, limit=150, preset="default")
    yield Case(name="demo, float32", candidate=demo, baseline="demo", tasks=SCIENCE, limit=150)
    yield Case(name="stories15M", candidate=stories, baseline="demo", tasks=SCIENCE, limit=150, preset="default")
    yield Case(name="stories15M", candidate=stories, baseline="stories15M", tasks=GUARDS)
    tuned = f"hf:{small.with_name('stories15M-gsm8k-ft')},dtype=float32"
    yield Case(name="stories15M-gsm8k-ft", candidate=tuned, baseline="stories15M", tasks=GUARDS, preset="finetune")


def command(case: Case, setup: Setup, report: Path) -> list[str]:
    """Spell the run of a case."""
    # The shared folder has every data set, the one that `make demo` lays out those of two tasks.
    data = setup.demo_data if case.tasks == CHOICES else setup.shared / "data"
    recorded = ["--lm-update-baseline=all", "--lm-accept-regression"]
    return [
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
        f"--lm-model={case.candidate}",
        f"--lm-limit={min(case.limit, setup.at_most or case.limit)}",
        f"--lm-data-dir={data}",
        f"--lm-baseline={case.baseline}",
        *([f"--lm-gate={case.preset}"] if case.preset else recorded),
        f"--lm-report=json:{report}",
        *("-o", f"lm_baseline_dir={setup.output / 'baselines'}"),
        *case.tasks,
    ]


def run(case: Case, setup: Setup, number: int) -> list[str]:
    """Run a case and return its rows of the table, none for a recording. Raises SystemExit where nothing was run."""
    report = setup.output / f"{number:02d}.json"
    report.unlink(missing_ok=True)
    start = time.monotonic()
    done = subprocess.run(
        command(case, setup, report),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    report.with_suffix(".txt").write_text(done.stdout, encoding="utf-8")
    what = f"{case.name}: {case.preset or 'recorded'}, exit status {done.returncode}"
    print(f"{what}, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    if not report.is_file() or (case.preset is None and done.returncode):
        sys.exit(f"{done.stdout}\nthe run of {case.name} did not end as it should")
    return list(rows(case, json.loads(report.read_text(encoding="utf-8")))) if case.preset else []


def rows(case: Case, report: dict[str, Any]) -> Iterator[str]:
    """The lines of the table of one run: its tasks, then the verdict on the run."""
    shared = (case.name, case.baseline, case.preset or "")
    for result in report["results"]:
        yield line([*shared, *cells(result), ""])
    suite = report["run"]["suite"] or {}
    verdict = str(suite.get("status", "-")).replace("-", " ").upper()
    yield line([*shared, "*the run*", "", verdict, "", "", "", str(report["run"]["exit_status"])])


def cells(result: dict[str, Any]) -> list[str]:
    """Task, documents, verdict, difference with interval, margins and flips of one row of the report."""
    finding = next((each for each in result["findings"] if each["metric"] == result["metric"]), None)
    moved = "" if result["margins_moved"] is None else f"{100 * result['margins_moved']:.2g} %"
    interval = "" if finding is None else f" ({100 * finding['low']:+.1f} to {100 * finding['high']:+.1f})"
    difference = "" if result["difference"] is None else f"{100 * result['difference']:+.1f}{interval}"
    asked = f"{result['n']}, stopped" if result["reason"].startswith("stopped") else str(result["n"])
    verdict = result["verdict"].replace("-", " ").upper()
    flips = f"-{result['flips_regressed']} +{result['flips_improved']}"
    return [result["task"], asked, verdict, difference, moved, flips]


def line(values: Iterable[str]) -> str:
    """Join the cells of a line."""
    return f"| {' | '.join(values)} |"


def prepare(setup: Setup) -> None:
    """Make the checkpoints that are not there yet."""
    setup.output.mkdir(parents=True, exist_ok=True)
    plain = setup.output / "demo-checkpoint"
    make(plain, "demo_checkpoint.py", str(plain))
    for bits in (8, 4):
        copy = setup.output / f"demo-{bits}bit"
        make(copy, "round_to_nearest.py", str(plain), str(copy), f"--bits={bits}")


def make(made: Path, script: str, *arguments: str) -> None:
    """Run one of the repository's scripts where what it makes is not there."""
    if made.exists():
        return
    print(f"making {made}", file=sys.stderr, flush=True)
    words = [sys.executable, str(ROOT / "scripts" / script), *arguments]
    subprocess.run(words, check=True, stdout=sys.stderr, env=environment())


def environment() -> dict[str, str]:
    """Leave out what sets options of a run, or forbids to record; this repository's package comes first."""
    kept = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("PYTEST_LMEVAL_")}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def main(arguments: Sequence[str]) -> int:
    """Print the table. What the verdicts have to be is checked by the test suite."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate.models", description="The gate on real models.")
    parser.add_argument("--output", type=Path, default=Path(".lmeval/gate-models"), help="default: %(default)s")
    parser.add_argument("--demo-data", type=Path, default=Path(".lmeval/demo-data"), help="default: %(default)s")
    parser.add_argument("--at-most", type=int, metavar="N", help="ask no more documents of a task")
    given = parser.parse_args(arguments)
    shared = Path(os.environ.get("PYTEST_LMEVAL_SHARED", ROOT.parent / "shared"))
    setup = Setup(
        output=given.output.resolve(),
        demo_data=given.demo_data.resolve(),
        shared=shared.resolve(),
        at_most=given.at_most,
    )
    prepare(setup)
    print(f"{line(COLUMNS)}\n{line(['---'] * len(COLUMNS))}", flush=True)
    for number, case in enumerate(cases(setup)):
        for row in run(case, setup, number):
            print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
