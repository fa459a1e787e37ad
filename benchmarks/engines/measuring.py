"""One workload measured: two engines that are open take turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.engines.order import Measured, Order
from benchmarks.engines.workloads import Trial
from benchmarks.scoring.comparing import Difference, compare
from benchmarks.scoring.counting import spans_of
from benchmarks.scoring.measuring import flat, picked
from benchmarks.scoring.workloads import Document, Sizes, for_trial, operation, spread
from pytest_lmeval.backends.text.encoding import Encoder
from pytest_lmeval.errors import BackendError

Tell = Callable[[str], None]


class Asked(Protocol):
    """An open engine: a child."""

    def ask(self, order: Order) -> Measured:
        """Answer an order. Raises BackendError where the engine has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was measured of one workload in one part. ``sizes`` are its real counts of documents.

    ``ours`` and ``other`` are the repeats in their order: ``other`` is lm-eval, or where ``split`` is more than 1 ours
    on the same documents as one task. ``other_documents`` is the number of our average documents that the other's are
    by their tokens: their real number where it has all of them. ``settings`` are those of lm-eval's client that were
    fastest, ``error`` says why the other has no figures.
    """

    part: str
    workload: str
    operation: str
    split: int
    target: float | None
    sizes: Sizes
    other_documents: float
    ours: Sequence[Measured]
    other: Sequence[Measured] = ()
    settings: Mapping[str, int] = field(default_factory=dict)
    difference: Difference | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Two engines and what their turns have in common. ``clients`` are settings of the peer's to be tried.

    The prompts' tokens are those of ``encoder``. Without ``peer`` only ours is measured.
    """

    ours: Asked
    peer: Asked | None
    encoder: Encoder
    repeats: int
    clients: Sequence[Mapping[str, int]] = ({},)
    tell: Tell = print
    _found: dict[str, Mapping[str, int]] = field(default_factory=dict)

    def measure(self, trial: Trial, documents: Sequence[Document], sizes: Sizes) -> Result:
        """Measure one workload. Raises BackendError where our own engine fails."""
        if trial.split > 1:
            return self._split(trial, documents, sizes)
        places = spread(len(documents), sizes.peer)
        part = [documents[place] for place in places]
        ours: list[Measured] = []
        peer: list[Measured] = []
        settings: Mapping[str, int] = {}
        error = None
        try:
            settings = self._fastest(trial, for_trial(part, sizes.trial))
        except BackendError as failure:
            error = str(failure)
        for number in range(1, self.repeats + 1):
            ours.append(self._turn(self.ours, f"{number} ours", trial, [documents]))
            try:
                if self.peer is not None and error is None:
                    peer.append(self._turn(self.peer, f"{number} lm-eval", trial, [part], settings))
            except BackendError as failure:
                error = str(failure)
        return Result(
            part=trial.part,
            workload=trial.workload.name,
            operation=operation(documents),
            split=1,
            target=trial.target,
            sizes=Sizes(ours=len(documents), peer=len(part), trial=sizes.trial),
            other_documents=self._average_documents(documents, part),
            ours=ours,
            other=[] if error else peer,
            settings=settings,
            difference=_difference(documents, places, ours[-1], peer[-1]) if peer and error is None else None,
            error=error,
        )

    def _split(self, trial: Trial, documents: Sequence[Document], sizes: Sizes) -> Result:
        """Ours against itself: as many tasks, and as one."""
        length = -(-len(documents) // trial.split)
        tasks = [documents[start : start + length] for start in range(0, len(documents), length)]
        many: list[Measured] = []
        one: list[Measured] = []
        for number in range(1, self.repeats + 1):
            many.append(self._turn(self.ours, f"{number} {len(tasks)} tasks", trial, tasks))
            one.append(self._turn(self.ours, f"{number} one task", trial, [documents]))
        return Result(
            part=trial.part,
            workload=trial.workload.name,
            operation=operation(documents),
            split=len(tasks),
            target=trial.target,
            sizes=Sizes(ours=len(documents), peer=len(documents), trial=sizes.trial),
            other_documents=len(documents),
            ours=many,
            other=one,
            difference=_difference(documents, range(len(documents)), many[-1], one[-1]),
        )

    def _fastest(self, trial: Trial, documents: Sequence[Document]) -> Mapping[str, int]:
        """The settings with which the peer took least time for a few documents; tried once for each operation."""
        if self.peer is None or len(self.clients) == 1:
            return self.clients[0]
        kind = operation(documents)
        if kind not in self._found:
            # The first call of an engine may take longer than any other.
            self.peer.ask(_order([documents[:1]], self.clients[0]))
            seconds = [
                self._turn(self.peer, described(each), trial, [documents], each).seconds for each in self.clients
            ]
            self._found[kind] = self.clients[seconds.index(min(seconds))]
        return self._found[kind]

    def _turn(
        self,
        engine: Asked,
        what: str,
        trial: Trial,
        tasks: Sequence[Sequence[Document]],
        settings: Mapping[str, int] | None = None,
    ) -> Measured:
        run = engine.ask(_order(tasks, settings or {}))
        rate = sum(map(len, tasks)) / run.seconds
        tokens = "" if run.computed is None else f", {run.sent:,} tokens sent, {run.computed:,} computed"
        self.tell(
            f"{trial.part}, {trial.workload.name}: {what}: {run.seconds:.1f} s ({run.cpu:.1f} s CPU), "
            f"{rate:.3g} documents/s{tokens}"
        )
        return run

    def _average_documents(self, documents: Sequence[Document], part: Sequence[Document]) -> float:
        if len(part) == len(documents):
            return len(documents)
        return len(documents) * self._tokens(part) / self._tokens(documents)

    def _tokens(self, documents: Sequence[Document]) -> int:
        """All tokens of all requests: lm-eval's engine reads each of them."""
        return sum(len(span.inputs) + 1 for span in spans_of(self.encoder, flat(documents)))


def described(settings: Mapping[str, int]) -> str:
    """Settings in words."""
    return ", ".join(f"{key}={value}" for key, value in settings.items())


def _order(tasks: Sequence[Sequence[Document]], settings: Mapping[str, int]) -> Order:
    documents = [document for task in tasks for document in task]
    lengths = [len(flat(task)) for task in tasks]
    return Order(operation=operation(documents), requests=flat(documents), tasks=lengths, peer=settings)


def _difference(documents: Sequence[Document], places: Sequence[int], ours: Measured, other: Measured) -> Difference:
    """Compare on the documents that the other had."""
    lengths = [len(documents[place]) for place in places]
    return compare(operation(documents), picked(documents, places, ours.answers), other.answers, lengths)
