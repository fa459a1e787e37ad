from __future__ import annotations

import pytest

from benchmarks.engines.order import (
    OURS,
    PEER_CLIENT,
    Measured,
    Opening,
    Order,
    read_measured,
    read_opening,
    read_order,
    write,
)
from pytest_lmeval.backends.protocol import (
    GenerationRequest,
    GenerationSettings,
    LoglikelihoodRequest,
    Request,
    RollingRequest,
)

SETTINGS = GenerationSettings(until=("\n", "Q:"), max_tokens=7, extra=(("min_p", 0.1),))


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("loglikelihood", LoglikelihoodRequest(id=0, context="Q", continuation=" é", choices=(" é", " b"))),
        ("loglikelihood_rolling", RollingRequest(id=1, text="a\nb")),
        ("generate_until", GenerationRequest(id=2, context="Q", settings=SETTINGS)),
    ],
)
def test_an_order_is_read_as_it_was_written(operation: str, request_: Request) -> None:
    order = Order(operation=operation, requests=[request_], tasks=[1], peer={"batch_size": 4})
    line = write(order)
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert read_order(line) == order


def test_what_is_to_be_opened_is_read_as_it_was_written() -> None:
    opening = Opening(engine=PEER_CLIENT, model="m", arguments={"max_length": 9}, server="http://127.0.0.1:1")
    assert read_opening(write(opening)) == opening
    assert read_opening(write(Opening(engine=OURS, model="vllm:m"))).server is None


def test_what_was_measured_is_read_as_it_was_written_and_kept_without_the_answers() -> None:
    measured = Measured(seconds=1.5, cpu=1.0, answers=[[-1.0, True]], peak=7, sent=3, computed=2)
    assert read_measured(write(measured)) == measured
    assert measured.figures == {"seconds": 1.5, "cpu": 1.0, "peak": 7, "sent": 3, "computed": 2}
