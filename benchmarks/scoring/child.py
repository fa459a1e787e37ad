"""One process of the benchmark: ``python -m benchmarks.scoring.child JOB OUT``. A line of ``OUT`` for each run."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.scoring.engines import Engine, Ours, Peer
from benchmarks.scoring.job import PEER, RATE, Job, Run, read_job
from benchmarks.scoring.memory import Memory, first_to_go
from benchmarks.scoring.rate import measure, synchronize
from pytest_lmeval.backends.protocol import (
    GenerationRequest,
    GenerationSettings,
    LoglikelihoodRequest,
    Request,
    RollingRequest,
)

# Of no workload, so that nothing an engine may keep of them serves the timed requests.
WARM_UP = ("A kettle of water is put on the stove and", "Two boats left the harbour before the storm, and")


def main(job: Job, out: Path) -> None:
    """Do what ``job`` says; append a line to ``out`` as soon as there is one."""
    first_to_go()
    device = job.model.options.device
    if job.engine == RATE:
        _append(out, measure(job.layers, job.dtype, device))
        return
    engine = Peer(job.model) if job.engine == PEER else Ours(job.model)
    for parameter in engine.model.parameters():
        parameter.sum()  # weights that are mapped from a file count as memory only once they are read
    memory = Memory(device)
    for batch in job.batches or (None,):
        _append(out, asdict(_run(engine, job, batch, memory)))


def _run(engine: Engine, job: Job, batch: int | str | None, memory: Memory) -> Run:
    if isinstance(engine, Peer) and batch is not None:
        engine.use_batch(batch)
    try:
        return _timed(engine, job, batch, memory)
    except RuntimeError as error:  # memory too small for this batch, above all
        return Run(batch=batch, error=(str(error).strip().splitlines() or [type(error).__name__])[0])


def _timed(engine: Engine, job: Job, batch: int | str | None, memory: Memory) -> Run:
    device = job.model.options.device
    engine.answer(job.operation, engine.prepare(warm_up(job.operation)))
    prepared = engine.prepare(job.requests)
    memory.restart()
    synchronize(device)
    started, cpu = time.perf_counter(), time.process_time()
    answered = engine.answer(job.operation, prepared)
    synchronize(device)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak, extra = memory.peak, memory.extra
    return Run(
        batch=batch,
        seconds=seconds,
        cpu=cpu,
        answers=answered.answers,
        tokens=answered.tokens,
        peak=peak,
        extra=extra,
        exact=memory.exact,
        threads=torch.get_num_threads(),
    )


def warm_up(operation: str) -> Sequence[Request]:
    """Two short requests of no workload."""
    if operation == "loglikelihood":
        return [LoglikelihoodRequest(id=i, context=text, continuation=" they waited") for i, text in enumerate(WARM_UP)]
    if operation == "loglikelihood_rolling":
        return [RollingRequest(id=i, text=text) for i, text in enumerate(WARM_UP)]
    settings = GenerationSettings(max_tokens=4)
    return [GenerationRequest(id=i, context=text, settings=settings) for i, text in enumerate(WARM_UP)]


def _append(out: Path, line: dict[str, Any]) -> None:
    with out.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(read_job(Path(sys.argv[1])), Path(sys.argv[2]))
