"""The children with real processes; the fake backend answers in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.engines.order import OURS, Opening, Order
from benchmarks.engines.process import Child
from benchmarks.scoring.process import environment
from pytest_lmeval.backends.protocol import LoglikelihoodRequest
from pytest_lmeval.errors import BackendError

REQUESTS = [LoglikelihoodRequest(id=n, context=f"Q{n}", continuation=" a") for n in range(4)]
ORDER = Order(operation="loglikelihood", requests=REQUESTS, tasks=[1, 3])


def test_a_child_stays_for_several_orders_and_ends(tmp_path: Path) -> None:
    with Child(Opening(engine=OURS, model="fake:x"), environment(1), tmp_path / "log") as child:
        first, second = child.ask(ORDER), child.ask(ORDER)
        process = child._process
        assert process.poll() is None
    assert process.returncode == 0
    assert len(first.answers) == 4
    assert first.answers == second.answers
    assert first.seconds > 0
    assert (first.sent, first.computed) == (None, None)


def test_a_child_that_cannot_open_says_why(tmp_path: Path) -> None:
    child = Child(Opening(engine=OURS, model="nothing:x"), environment(1), tmp_path / "log")
    with pytest.raises(BackendError, match=r"nothing:x: .*unknown backend 'nothing'"), child:
        pass
    assert child._process.returncode == 1


def test_a_child_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with Child(Opening(engine=OURS, model="fake:x"), environment(1), tmp_path / "log") as child:
        child._process.kill()
        with pytest.raises(BackendError, match="killed by signal 9"):
            child.ask(ORDER)
