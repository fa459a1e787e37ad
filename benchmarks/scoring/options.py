"""The command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scoring.architectures import ARCHITECTURES
from benchmarks.scoring.workloads import WORKLOADS, Sizes, Workload, chosen, resized
from pytest_lmeval.errors import SettingsError

ROOT = Path(__file__).parents[2]
DEMO_DATA = ROOT / ".lmeval" / "demo-data"
OUTPUT = ROOT / ".lmeval" / "bench"

QUICK = Sizes(ours=2, peer=2, trial=2)

# Its search for the largest batch runs 64 of the longest requests five times before anything is answered: on a GPU
# that is a moment, on a CPU longer than the workload.
BATCHES = {"cpu": "1,4,16", "cuda": "1,4,16,auto"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is to be measured; None leaves a default. ``batches`` is the text of ``--peer-batches``."""

    model: str
    random: str | None
    device: str
    workloads: tuple[Workload, ...]
    data_dir: Path | None
    documents: int | None
    peer_documents: int | None
    repeats: int
    batches: str | None
    threads: int | None
    quick: bool
    output: Path

    def sizes(self, workload: Workload) -> Sizes:
        """How many documents of ``workload`` are asked."""
        return resized(QUICK if self.quick else workload.sizes, self.documents, self.peer_documents)

    def batches_on(self, device: str) -> list[int | str]:
        """The peer's batch sizes to try, smallest first. Raises SettingsError."""
        default = "1,4" if self.quick else BATCHES.get(device.split(":")[0], BATCHES["cpu"])
        return batch_sizes(self.batches or default)


def parse(arguments: Sequence[str]) -> Settings:
    """Read the command line. Raises SettingsError for a value that cannot be used."""
    given = _parser().parse_args(arguments)
    return Settings(
        model=given.model,
        random=given.random,
        device=given.device,
        workloads=tuple(chosen([name for name in given.workloads.split(",") if name])),
        data_dir=given.data_dir or default_data_dir(),
        documents=given.documents,
        peer_documents=given.peer_documents,
        repeats=given.repeats or (1 if given.quick else 3),
        batches=given.peer_batches,
        threads=given.threads,
        quick=given.quick,
        output=given.output,
    )


def batch_sizes(text: str) -> list[int | str]:
    """Read ``1,4,auto``: numbers in ascending order, ``auto`` last."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part == "auto" or (part.isdecimal() and int(part)) for part in parts):
        raise SettingsError(f"--peer-batches: expected numbers and auto, as in 1,4,auto, found {text!r}")
    numbers: list[int | str] = [*sorted({int(part) for part in parts if part != "auto"})]
    return [*numbers, "auto"] if "auto" in parts else numbers


def default_data_dir() -> Path | None:
    """The data beside the repository, else what the demo laid out; None leaves it to the hub."""
    shared = Path(os.environ.get("PYTEST_LMEVAL_SHARED", ROOT.parent / "shared")) / "data"
    return next((folder for folder in (shared, DEMO_DATA) if folder.is_dir()), None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scoring", description="The hf backend and lm-eval's, side by side."
    )
    add = parser.add_argument
    add("--model", default="demo", help="as --lm-model: demo or hf:NAME[,key=value…] (default: demo)")
    add("--random", metavar="NAME", help=f"random weights instead: {', '.join(ARCHITECTURES)}, [,key=value…] as hf")
    add("--device", default="auto", help="where both run: cpu, cuda, cuda:1 … (default: a GPU where there is one)")
    names = ", ".join(workload.name for workload in WORKLOADS)
    add("--workloads", default="", help=f"some of: {names} (default: all)")
    add("--data-dir", type=Path, help="laid out as for --lm-data-dir; what it lacks comes from the hub")
    add("--documents", type=positive, help="for every workload instead of its own count")
    add("--peer-documents", type=positive, help="of these, timed with lm-eval")
    add("--repeats", type=positive, help="how often each engine is timed (default: 3)")
    add("--peer-batches", help="lm-eval's batch sizes to try (default: 1,4,16, on a GPU auto as well)")
    add("--threads", type=positive, help="of each process (default: as torch chooses)")
    add("--quick", action="store_true", help="two documents, once: whether it works, not how fast it is")
    add("--output", type=Path, default=OUTPUT, help="where results.json and table.md go (default: .lmeval/bench)")
    return parser


def positive(text: str) -> int:
    """Read a count of the command line."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, found {text!r}")
    return int(text)
