"""Whether a server does what a way of choosing needs, found out by a small request before the run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from pytest_lmeval.backends.openai.connection import CallFailed, Connection
from pytest_lmeval.backends.openai.letters import first_tokens
from pytest_lmeval.backends.openai.manner import Manner, names
from pytest_lmeval.backends.openai.ways import TOP_LOGPROBS, Way, fields, read_ballot
from pytest_lmeval.errors import ModelSpecError

# How many of the most probable tokens to ask for, tried from the left.
COUNTS = (TOP_LOGPROBS, 10, 5)

_LABELS = ("A", "B")
_MESSAGES = [{"role": "user", "content": "Answer with the letter A or the letter B alone."}]


def proved(connection: Connection, model: str, manner: Manner, way: Way) -> int:
    """Return how many of the most probable tokens may be asked for. Raises ModelSpecError where the way is closed."""
    for count in COUNTS:
        body = {"model": model, "messages": _MESSAGES, **fields(way, manner, _LABELS, count)}
        try:
            _check(way, connection.ask(partial(connection.post, manner.path, body)))
        except CallFailed as failed:
            if _too_many(failed) and way == "letters" and count != COUNTS[-1]:
                continue
            other = "constrained" if way == "letters" else "letters"
            raise ModelSpecError(
                f"choices={way} cannot be had from this server. {failed.reason} Try choices={other}."
            ) from None
        return count
    raise AssertionError("the last count is returned or raises")


def _check(way: Way, reply: Mapping[str, Any]) -> None:
    """A model may answer with no letter here and still with one to a question, so only what the server tells counts."""
    if way == "letters":
        first_tokens(reply)
    else:
        read_ballot(way, reply, _LABELS)


def _too_many(failed: CallFailed) -> bool:
    return failed.status in (400, 422) and names(failed.reason, "(top_)?logprobs")
