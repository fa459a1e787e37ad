"""Who is asked what, how often, and what becomes of a side that ends: the engines are made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.engines.measuring import Match
from benchmarks.engines.order import Measured, Order
from benchmarks.engines.workloads import VLLM, Trial
from benchmarks.scoring.model import Model
from benchmarks.scoring.skeleton import read
from benchmarks.scoring.workloads import Document, Sizes, Workload
from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.backends.protocol import LoglikelihoodRequest
from pytest_lmeval.backends.text.encoding import Encoder
from pytest_lmeval.errors import BackendError

DOCUMENTS: list[Document] = [
    [
        LoglikelihoodRequest(id=2 * number, context="Once upon" + " a" * number, continuation=" time"),
        LoglikelihoodRequest(id=2 * number + 1, context="Once upon" + " a" * number, continuation=" day"),
    ]
    for number in range(4)
]
SIZES = Sizes(ours=4, peer=4, trial=1)
CLIENTS = [{"num_concurrent": 16, "batch_size": 1}, {"num_concurrent": 1, "batch_size": 16}]


@dataclass
class Made:
    """``seconds`` by what it is asked; it ends at the order whose number is ``ends_at``."""

    seconds: Callable[[Order], float] = lambda order: 1.0
    ends_at: int | None = None
    orders: list[Order] = field(default_factory=list)

    def ask(self, order: Order) -> Measured:
        self.orders.append(order)
        if len(self.orders) == self.ends_at:
            raise BackendError("killed by signal 9")
        answers = [[-float(request.id + 1), False] for request in order.requests]
        return Measured(seconds=self.seconds(order), cpu=0.5, answers=answers, sent=9, computed=5)


@pytest.fixture
def encoder(shared_dir: Path) -> Encoder:
    options = HFOptions(device="cpu")
    return read(Model(label="s", location=str(shared_dir / "models" / "stories260K"), options=options)).encoder


@pytest.fixture
def match(encoder: Encoder) -> Callable[..., Match]:
    def make(ours: Made, peer: Made | None, **more: Any) -> Match:
        keys = {"repeats": 2, "tell": lambda line: None, **more}
        return Match(ours=ours, peer=peer, encoder=encoder, **keys)

    return make


def trial(split: int = 1) -> Trial:
    workload = Workload(name="w", tasks=("t",), shots=0, sizes=SIZES)
    return Trial(part=VLLM, workload=workload, target=8.0, split=split)


def test_both_sides_take_turns_with_the_same_requests(match: Callable[..., Match]) -> None:
    ours, peer = Made(), Made()
    result = match(ours, peer).measure(trial(), DOCUMENTS, SIZES)
    assert [list(order.requests) for order in ours.orders] == [list(order.requests) for order in peer.orders]
    assert [order.tasks for order in ours.orders] == [[8], [8]]
    assert (len(result.ours), len(result.other), result.target, result.error) == (2, 2, 8.0, None)
    assert result.difference is not None
    assert (result.difference.logprob, result.difference.documents) == (0.0, 4)
    assert result.other_documents == 4


def test_fewer_documents_of_the_peer_count_by_their_tokens(match: Callable[..., Match]) -> None:
    peer = Made()
    result = match(Made(), peer).measure(trial(), DOCUMENTS, Sizes(ours=4, peer=2, trial=1))
    assert [request.id for request in peer.orders[0].requests] == [0, 1, 4, 5]
    # The first and the third of four documents that grow by a token each are shorter than the average.
    assert 1.5 < result.other_documents < 2.0
    assert result.sizes == Sizes(ours=4, peer=2, trial=1)


def test_the_peers_client_is_timed_as_it_was_fastest(match: Callable[..., Match]) -> None:
    peer = Made(seconds=lambda order: float(order.peer["num_concurrent"]))
    both = match(Made(), peer, clients=CLIENTS)
    both.measure(trial(), DOCUMENTS, SIZES)
    result = both.measure(trial(), DOCUMENTS, SIZES)
    assert [(order.peer["batch_size"], len(order.requests)) for order in peer.orders] == [
        (1, 2),
        (1, 2),
        (16, 2),
        *[(16, 8)] * 4,
    ]
    assert result.settings == CLIENTS[1]


def test_a_peer_that_ends_is_not_asked_again_and_ours_is(match: Callable[..., Match]) -> None:
    ours, peer = Made(), Made(ends_at=1)
    result = match(ours, peer).measure(trial(), DOCUMENTS, SIZES)
    assert (len(ours.orders), len(peer.orders)) == (2, 1)
    assert (result.other, result.difference, result.error) == ([], None, "killed by signal 9")


def test_without_a_peer_ours_is_measured(match: Callable[..., Match]) -> None:
    result = match(Made(), None, clients=CLIENTS).measure(trial(), DOCUMENTS, SIZES)
    assert (len(result.ours), result.other, result.error) == (2, [], None)


def test_our_own_end_is_an_error(match: Callable[..., Match]) -> None:
    with pytest.raises(BackendError, match="signal 9"):
        match(Made(ends_at=2), Made()).measure(trial(), DOCUMENTS, SIZES)


def test_a_split_workload_is_ours_alone_as_many_tasks_and_as_one(match: Callable[..., Match]) -> None:
    ours, peer = Made(), Made()
    result = match(ours, peer).measure(trial(split=2), DOCUMENTS, SIZES)
    assert [order.tasks for order in ours.orders] == [[4, 4], [8], [4, 4], [8]]
    assert peer.orders == []
    assert (result.split, len(result.ours), len(result.other)) == (2, 2, 2)
    assert result.difference is not None
    assert result.difference.choices == 0
