"""One workload measured: the peer's best batch first, then both engines and the machine's rate in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

from benchmarks.scoring.comparing import Difference, compare
from benchmarks.scoring.counting import Work, count, spans_of
from benchmarks.scoring.job import OURS, PEER, RATE, Job, Run
from benchmarks.scoring.model import Model
from benchmarks.scoring.process import Children
from benchmarks.scoring.skeleton import Skeleton
from benchmarks.scoring.workloads import Document, Sizes, for_trial, operation, spread
from pytest_lmeval.backends.protocol import Request
from pytest_lmeval.errors import BackendError

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was measured of one workload. ``sizes`` are its real counts of documents.

    ``ours`` and ``peer`` are the repeats in their order, ``rates`` the machine's in GFLOP/s measured between them
    (all and hot), ``trial`` the peer's runs by batch on a part of its documents. ``flop`` is what our documents
    take at least. ``peer_documents`` is the number of our average documents that the peer's are by their tokens: their
    real number where it has all of them. ``peer_error`` says why the peer has no figures.
    """

    workload: str
    operation: str
    sizes: Sizes
    peer_documents: float
    requests: int
    work: Work
    flop: float
    ours: Sequence[Run]
    peer: Sequence[Run] = ()
    trial: Sequence[Run] = ()
    rates: Sequence[tuple[float, float]] = ()
    difference: Difference | None = None
    peer_error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all workloads have in common. ``batches`` are the peer's, to be tried; none where there is no peer."""

    children: Children
    model: Model
    skeleton: Skeleton
    batches: Sequence[int | str]
    repeats: int
    tell: Tell = field(default=print)

    def measure(self, name: str, documents: Sequence[Document], sizes: Sizes) -> Result:
        """Measure one workload. Raises BackendError where our own engine fails."""
        places = spread(len(documents), sizes.peer)
        part = [documents[place] for place in places]
        trial = self._trial(name, for_trial(part, sizes.trial))
        ours, peer, rates = self._rounds(name, documents, part, best(trial))
        work = self._work(documents, ours[0].tokens)
        part_work = self._work(part, picked(documents, places, ours[0].tokens))
        error = next((run.error for run in (*peer, *trial) if run.error), None)
        complete = bool(peer) and peer[-1].error is None
        return Result(
            workload=name,
            operation=operation(documents),
            sizes=Sizes(ours=len(documents), peer=len(part), trial=min(sizes.trial, len(part))),
            peer_documents=len(documents) * part_work.peer / work.peer,
            requests=len(flat(documents)),
            work=work,
            flop=self.skeleton.shapes.flop(work),
            ours=ours,
            peer=peer if complete else (),
            trial=trial,
            rates=rates,
            difference=_difference(documents, places, ours[-1], peer[-1]) if complete else None,
            peer_error=None if complete else error,
        )

    def _rounds(
        self, name: str, documents: Sequence[Document], part: Sequence[Document], batch: int | str | None
    ) -> tuple[list[Run], list[Run], list[tuple[float, float]]]:
        """Take turns; a peer that fails is not asked again."""
        ours: list[Run] = []
        peer: list[Run] = []
        rates: list[tuple[float, float]] = []
        for number in range(1, self.repeats + 1):
            ours.append(self._ours(documents))
            self._say(name, f"{number} ours", ours[-1], len(documents))
            if batch is not None and not any(run.error for run in peer):
                peer.append(self._peer(part, [batch])[0])
                self._say(name, f"{number} peer, batch {batch}", peer[-1], len(part))
            rates += self._rate()
        return ours, peer, rates

    def _trial(self, name: str, documents: Sequence[Document]) -> list[Run]:
        """Run the peer once with each batch size, smallest first: one that is too large ends the child."""
        if len(self.batches) == 0:
            return []
        runs = self._peer(documents, self.batches)
        if len(runs) <= len(self.batches):  # what ended the child was the batch after those that came to their end
            runs = [replace(run, batch=batch) for run, batch in zip(runs, self.batches, strict=False)]
        for run in runs:
            self._say(name, f"trial, peer, batch {run.batch}", run, len(documents))
        return runs

    def _ours(self, documents: Sequence[Document]) -> Run:
        run = self._run(OURS, documents, ())[0]
        if run.error is not None:
            raise BackendError(f"Our backend failed: {run.error}")
        return run

    def _peer(self, documents: Sequence[Document], batches: Sequence[int | str]) -> list[Run]:
        return self._run(PEER, documents, batches)

    def _run(self, engine: str, documents: Sequence[Document], batches: Sequence[int | str]) -> list[Run]:
        requests = flat(documents)
        job = Job(engine=engine, model=self.model, operation=operation(documents), requests=requests, batches=batches)
        return self.children.run(job)

    def _rate(self) -> list[tuple[float, float]]:
        job = Job(engine=RATE, model=self.model, layers=self.skeleton.shapes.layers, dtype=self.skeleton.dtype)
        found = self.children.rate(job) if self.skeleton.shapes.layers else None
        return [(found["rate"], found["hot"])] if found else []

    def _work(self, documents: Sequence[Document], tokens: Sequence[int]) -> Work:
        """Count the work; ``tokens`` are those read and written for each request, to know what was generated."""
        spans = spans_of(self.skeleton.encoder, flat(documents))
        work = count(spans)
        if operation(documents) != "generate_until":
            return work
        return work.generating([total - len(span.inputs) for total, span in zip(tokens, spans, strict=True)])

    def _say(self, name: str, what: str, run: Run, documents: int) -> None:
        said = run.error or f"{run.seconds:.1f} s ({run.cpu:.1f} s CPU), {documents / run.seconds:.3g} documents/s"
        self.tell(f"{name}: {what}: {said}")


def best(trial: Sequence[Run]) -> int | str | None:
    """The batch of the fastest run, None where none came to its end."""
    done = [run for run in trial if run.error is None]
    return min(done, key=lambda run: run.seconds).batch if done else None


def _difference(documents: Sequence[Document], places: Sequence[int], ours: Run, peer: Run) -> Difference:
    """Compare on the documents that the peer had."""
    lengths = [len(documents[place]) for place in places]
    return compare(operation(documents), picked(documents, places, ours.answers), peer.answers, lengths)


def picked(documents: Sequence[Document], places: Sequence[int], values: Sequence[Any]) -> list[Any]:
    """Of one value a request, return those of the documents at ``places``."""
    remaining = iter(values)
    grouped = [list(islice(remaining, len(document))) for document in documents]
    return list(chain.from_iterable(grouped[place] for place in places))


def flat(documents: Sequence[Document]) -> list[Request]:
    """The requests of all documents, one after the other."""
    return list(chain.from_iterable(documents))
