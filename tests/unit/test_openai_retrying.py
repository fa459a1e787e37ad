from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

pytest.importorskip("openai")

from pytest_lmeval.backends.openai.retrying import (
    FIRST_WAIT,
    LONGEST_ASKED,
    LONGEST_WAIT,
    Explaining,
    delay,
    retry_after,
)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "100000"}, LONGEST_ASKED),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_server_may_ask_by_a_date() -> None:
    date = datetime.now(UTC) + timedelta(seconds=50)
    assert retry_after({"retry-after": format_datetime(date)}) == pytest.approx(50, abs=5)


def test_waits_grow_with_jitter_and_never_undercut_the_server() -> None:
    draw = random.Random(0)
    waits = [[delay(attempt, None, draw) for _ in range(200)] for attempt in range(10)]
    assert all(FIRST_WAIT / 2 <= wait <= FIRST_WAIT for wait in waits[0])
    assert len(set(waits[0])) == 200
    assert all(wait <= LONGEST_WAIT for wait in waits[-1])
    assert min(waits[-1]) > max(waits[0])
    assert delay(0, 9.0, draw) >= 9.0


def test_a_servers_text_is_bounded() -> None:
    shown = Explaining(secret="", key_name="KEY", timeout=1).shown("a" * 10_000)
    assert len(shown) < 400
