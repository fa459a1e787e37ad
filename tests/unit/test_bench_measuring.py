"""How the benchmark goes on where a child fails: the children are made up, since real ones do not die to order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scoring.job import OURS, Job, Run, read_job, read_runs, write_job
from benchmarks.scoring.measuring import Bench
from benchmarks.scoring.model import Model
from benchmarks.scoring.process import Children
from benchmarks.scoring.skeleton import read
from benchmarks.scoring.workloads import Document, Sizes
from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.backends.protocol import GenerationRequest, GenerationSettings, LoglikelihoodRequest, RollingRequest
from pytest_lmeval.errors import BackendError

DOCUMENTS: list[Document] = [
    [
        LoglikelihoodRequest(id=2 * number, context="Once upon" + " a" * number, continuation=" time"),
        LoglikelihoodRequest(id=2 * number + 1, context="Once upon" + " a" * number, continuation=" day"),
    ]
    for number in range(4)
]


@dataclass(frozen=True, kw_only=True)
class Made(Children):
    """``peer`` makes the peer's runs, given the job; ``error`` is that of ours."""

    peer: Callable[[Job], list[Run]]
    error: str | None = None

    def run(self, job: Job) -> list[Run]:
        if job.engine != OURS:
            return self.peer(job)
        return [Run(seconds=2.0, answers=answers(job), tokens=[1] * len(job.requests), error=self.error)]

    def rate(self, job: Job) -> dict[str, Any]:
        return {"rate": 10.0, "hot": 20.0}


@pytest.fixture
def bench(shared_dir: Path, tmp_path: Path) -> Callable[..., Bench]:
    model = Model(label="small", location=str(shared_dir / "models" / "stories260K"), options=HFOptions(device="cpu"))

    def make(peer: Callable[[Job], list[Run]], error: str | None = None, **more: Any) -> Bench:
        keys = {"batches": [1, 4, 16], "repeats": 2, "tell": lambda line: None, **more}
        return Bench(children=Made(folder=tmp_path, peer=peer, error=error), model=model, skeleton=read(model), **keys)

    return make


def answers(job: Job) -> list[list[Any]]:
    return [[-float(request.id + 1), False] for request in job.requests]


def test_the_peer_is_timed_at_its_best_batch_on_its_part_of_the_documents(bench: Callable[..., Bench]) -> None:
    asked: list[tuple[int, list[int | str]]] = []

    def peer(job: Job) -> list[Run]:
        asked.append((len(job.requests), list(job.batches)))
        return [Run(batch=b, seconds=abs(4 - int(b)) + 1.0, answers=answers(job)) for b in job.batches]

    result = bench(peer).measure("w", DOCUMENTS, Sizes(ours=4, peer=2, trial=1))
    assert asked == [(2, [1, 4, 16]), (4, [4]), (4, [4])]
    assert (len(result.ours), len(result.peer), result.rates) == (2, 2, [(10.0, 20.0)] * 2)
    assert result.difference is not None
    assert (result.difference.logprob, result.difference.documents) == (0.0, 2)
    assert result.flop > 0
    # The first and the third of four documents that grow by a token each are shorter than the average.
    assert 1.5 < result.peer_documents < 2.0


def test_a_batch_that_ended_the_child_is_not_chosen(bench: Callable[..., Bench]) -> None:
    def peer(job: Job) -> list[Run]:
        if len(job.batches) == 1:
            return [Run(batch=job.batches[0], seconds=1.0, answers=answers(job))]
        return [Run(batch=1, seconds=9.0, answers=answers(job)), Run(error="killed by signal 9")]

    result = bench(peer).measure("w", DOCUMENTS, Sizes(ours=4, peer=4, trial=2))
    assert [(run.batch, run.error) for run in result.trial] == [(1, None), (4, "killed by signal 9")]
    assert [run.batch for run in result.peer] == [1, 1]
    assert result.peer_error is None


def test_a_peer_that_cannot_be_run_leaves_ours(bench: Callable[..., Bench]) -> None:
    failing = bench(lambda job: [Run(error="killed by signal 9")])
    result = failing.measure("w", DOCUMENTS, Sizes(ours=4, peer=4, trial=2))
    assert (len(result.ours), result.peer, result.difference) == (2, (), None)
    assert result.peer_error == "killed by signal 9"


def test_without_a_peer_none_is_started(bench: Callable[..., Bench]) -> None:
    def peer(job: Job) -> list[Run]:
        raise AssertionError("started")

    result = bench(peer, batches=[]).measure("w", DOCUMENTS, Sizes(ours=4, peer=4, trial=2))
    assert (len(result.ours), result.peer, result.peer_error) == (2, (), None)


def test_a_failure_of_ours_is_an_error(bench: Callable[..., Bench]) -> None:
    with pytest.raises(BackendError, match="out of memory"):
        bench(lambda job: [], "out of memory").measure("w", DOCUMENTS, Sizes(ours=4, peer=4, trial=2))


def test_a_job_is_read_as_it_was_written(tmp_path: Path) -> None:
    options = HFOptions(device="cpu", max_length=9, add_bos_token=True)
    model = Model(label="m", location="there", options=options)
    settings = GenerationSettings(until=("\n", "Q:"), max_tokens=7, extra=(("num_beams", 2),))
    for operation, request in (
        ("loglikelihood", DOCUMENTS[0][0]),
        ("loglikelihood_rolling", RollingRequest(id=1, text="é")),
        ("generate_until", GenerationRequest(id=2, context="Q", settings=settings)),
    ):
        write_job(tmp_path / "job", Job(engine=OURS, model=model, operation=operation, requests=[request]))
        job = read_job(tmp_path / "job")
        assert (job.model, job.operation, list(job.requests)) == (model, operation, [request])


def test_of_a_child_that_never_wrote_there_are_no_runs(tmp_path: Path) -> None:
    assert read_runs(tmp_path / "out") == []
