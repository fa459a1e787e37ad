"""The command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engines.workloads import PARTS, TRIALS, Trial
from benchmarks.scoring.architectures import ARCHITECTURES
from benchmarks.scoring.options import ROOT, default_data_dir, positive
from benchmarks.scoring.workloads import Sizes, chosen, resized
from pytest_lmeval.errors import SettingsError

OUTPUT = ROOT / ".lmeval" / "bench-engines"

QUICK = Sizes(ours=2, peer=2, trial=1)

# Both engines get these. On a CPU vLLM's own size of a block is 128 tokens, compiling takes a minute, and memory for
# keys and values that is not stated is searched for.
ON_CPU = (
    "dtype=float32,max_model_len=2048,block_size=32,enforce_eager=true,max_num_batched_tokens=2048,"
    "kv_cache_memory_bytes=2147483648"
)
# Both engines are on the device at the same time.
ON_GPU = "max_model_len=2048,gpu_memory_utilization=0.42"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is to be measured; None leaves a default. ``engine`` are the engine's arguments, ``key=value,…``.

    ``clients`` are the settings of lm-eval's client to be tried, calls at once and prompts in each; ``concurrency``
    is how many calls ours makes at once.
    """

    model: str
    random: str | None
    ours: str | None
    engine: str | None
    parts: tuple[str, ...]
    trials: tuple[Trial, ...]
    data_dir: Path | None
    documents: int | None
    peer_documents: int | None
    repeats: int
    clients: tuple[tuple[int, int], ...]
    concurrency: int
    threads: int | None
    quick: bool
    output: Path

    def sizes(self, trial: Trial) -> Sizes:
        """How many documents of ``trial`` are asked; where it is split, as many for each part."""
        sizes = resized(QUICK if self.quick else trial.workload.sizes, self.documents, self.peer_documents)
        if trial.split == 1:
            return sizes
        whole = -(-sizes.ours // trial.split) * trial.split
        return Sizes(ours=whole, peer=whole, trial=sizes.trial)


def parse(arguments: Sequence[str]) -> Settings:
    """Read the command line. Raises SettingsError for a value that cannot be used."""
    given = _parser().parse_args(arguments)
    concurrency = given.concurrency
    return Settings(
        model=given.model,
        random=given.random,
        ours=given.ours,
        engine=given.engine,
        parts=_parts(given.parts),
        trials=_trials(given.workloads),
        data_dir=given.data_dir or default_data_dir(),
        documents=given.documents,
        peer_documents=given.peer_documents,
        repeats=given.repeats or (1 if given.quick else 3),
        clients=clients(given.peer_clients or f"{concurrency}x1,4x{max(1, concurrency // 4)},1x{concurrency}"),
        concurrency=concurrency,
        threads=given.threads,
        quick=given.quick,
        output=given.output,
    )


def clients(text: str) -> tuple[tuple[int, int], ...]:
    """Read ``16x1,4x4``: calls at once, and prompts in each. Raises SettingsError."""
    pairs = [part.strip().split("x") for part in text.split(",")]
    if not all(len(pair) == 2 and all(number.isdecimal() and int(number) for number in pair) for pair in pairs):
        raise SettingsError(
            f"--peer-clients: expected calls at once and prompts in each, as in 16x1,4x4, found {text!r}"
        )
    return tuple((int(calls), int(prompts)) for calls, prompts in dict.fromkeys(map(tuple, pairs)))


def _parts(text: str) -> tuple[str, ...]:
    names = [name for name in text.split(",") if name] or list(PARTS)
    for name in names:
        if name not in PARTS:
            raise SettingsError(f"--parts: there is no {name!r}. Known: {', '.join(PARTS)}")
    return tuple(names)


def _trials(text: str) -> tuple[Trial, ...]:
    names = [name for name in text.split(",") if name]
    found = {workload.name for workload in chosen(names, [trial.workload for trial in TRIALS])}
    return tuple(trial for trial in TRIALS if trial.workload.name in found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engines", description="The vllm and openai backends and lm-eval's, on one engine."
    )
    add = parser.add_argument
    add("--model", default="demo", help="demo or vllm:NAME, a hub id or a folder (default: demo)")
    add("--random", metavar="NAME", help=f"random weights instead: {', '.join(ARCHITECTURES)}, [,dtype=…]")
    add("--engine", help=f"arguments of every engine (default: {ON_CPU}; on a GPU {ON_GPU})")
    add("--ours", help="another backend in the place of vllm, as --lm-model: what it needs it must be told here")
    add("--parts", default="", help=f"some of: {', '.join(PARTS)} (default: all)")
    names = ", ".join(trial.workload.name for trial in TRIALS)
    add("--workloads", default="", help=f"some of: {names} (default: all of a part)")
    add("--data-dir", type=Path, help="laid out as for --lm-data-dir; what it lacks comes from the hub")
    add("--documents", type=positive, help="for every workload instead of its own count")
    add("--peer-documents", type=positive, help="of these, timed with lm-eval")
    add("--repeats", type=positive, help="how often each engine is timed (default: 3)")
    add("--concurrency", type=positive, default=16, help="calls that our client makes at once (default: 16)")
    add("--peer-clients", help="of lm-eval's client, calls at once and prompts in each (default: 16x1,4x4,1x16)")
    add("--threads", type=positive, help="of each engine (default: as it chooses)")
    add("--quick", action="store_true", help="two documents, once: whether it works, not how fast it is")
    add(
        "--output",
        type=Path,
        default=OUTPUT,
        help="where results.json and table.md go (default: .lmeval/bench-engines)",
    )
    return parser
