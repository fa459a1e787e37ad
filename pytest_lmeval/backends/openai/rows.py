"""Log-probabilities in a server's replies, read with care: what is not there in the right form is not there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_lmeval.backends.text.encoding import Span
from pytest_lmeval.backends.text.scores import Row, Score

# A log-probability above 0 by more than its own rounding is none.
_ROUNDING = 1e-3

# What vLLM writes for minus infinity and for NaN, which JSON does not have.
FLOOR = -9999.0

_TOKEN_ID = "token_id:"


class Malformed(Exception):  # noqa: N818 - says what a reply is
    """A reply is not what was asked for; the text says in which way."""


def scored(span: Span, rows: Mapping[int, Row]) -> Score:
    """Add up the rows of all targets, given by their places. Raises Malformed where one is missing."""
    missing = [place for place in range(len(span.targets)) if place not in rows]
    if missing:
        raise Malformed(f"{len(missing)} of {len(span.targets)} log-probabilities are missing")
    return Score(math.fsum(row.logprob for row in rows.values()), all(row.is_greedy for row in rows.values()))


def logprob(value: object) -> float:
    """Return a log-probability. Raises Malformed for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise Malformed(f"{value!r} is no log-probability")
    if value > _ROUNDING:
        raise Malformed(f"{value!r} is above 0, so it is no log-probability")
    return float(value)


def choices(reply: Mapping[str, Any], count: int) -> list[Mapping[str, Any]]:
    """Return the choices of a reply in the order of its prompts. Raises Malformed unless there is one for each."""
    found = reply.get("choices")
    if not isinstance(found, list) or not all(isinstance(choice, Mapping) for choice in found):
        raise Malformed("there are no choices")
    ordered = {choice.get("index"): choice for choice in found}
    if len(found) != count or any(place not in ordered for place in range(count)):
        raise Malformed(f"there are {len(found)} choices for {count} prompts")
    return [ordered[place] for place in range(count)]


def within(rows: object, read: int, places: Iterable[int], span: Span) -> dict[int, Row]:
    """Return the rows of ``places`` from vLLM's ``prompt_logprobs`` of a prompt with ``read`` tokens of the span.

    They are counted from the end, because one of vLLM's runners leaves out those that it did not compute. Raises
    Malformed where a row does not have the token that was asked for.
    """
    if not isinstance(rows, Sequence) or len(rows) > read:
        raise Malformed("prompt_logprobs are missing or too many")
    first = len(span.inputs) - len(span.targets) + 1
    return {place: _entry(rows, first + place - read, span.targets[place]) for place in places}


def _entry(rows: Sequence[Any], place: int, token: int) -> Row:
    row = rows[place] if -place <= len(rows) else None
    entry = row.get(str(token)) if isinstance(row, Mapping) else None
    if not isinstance(row, Mapping) or not isinstance(entry, Mapping):
        raise Malformed(f"prompt_logprobs have no log-probability of token {token} at its place")
    value = logprob(entry.get("logprob"))
    # With the most probable token beside it; two that tie for the first place are both greedy.
    others = [logprob(other.get("logprob")) for other in row.values() if isinstance(other, Mapping)]
    return Row(value, value >= max(others))


def after_listed(choice: Mapping[str, Any], wanted: Iterable[int]) -> dict[int, Row]:
    """Return the rows of tokens after the prompt from a reply of ``/inference/v1/generate``."""
    content = _inside(choice, "logprobs", "content")
    first = content[0] if isinstance(content, list) and content else None
    if not isinstance(first, Mapping) or not isinstance(first.get("top_logprobs"), list):
        raise Malformed("there are no log-probabilities of the next token")
    listed = [entry for entry in first["top_logprobs"] if isinstance(entry, Mapping)]
    found = {entry.get("token_id"): entry.get("logprob") for entry in listed}
    return _chosen(found, wanted, first.get("token_id"))


def after_named(choice: Mapping[str, Any], wanted: Iterable[int]) -> dict[int, Row]:
    """Return the same from a reply of ``/completions`` that names tokens by their ids."""
    top, names = _inside(choice, "logprobs", "top_logprobs"), _inside(choice, "logprobs", "tokens")
    if not (isinstance(top, list) and top and isinstance(top[0], Mapping) and isinstance(names, list) and names):
        raise Malformed("there are no log-probabilities of the next token")
    found = {token_number(name): value for name, value in top[0].items()}
    return _chosen(found, wanted, token_number(names[0]))


def token_number(name: object) -> int | None:
    """Return the id in ``token_id:123``, None for other names."""
    if not isinstance(name, str) or not name.startswith(_TOKEN_ID):
        return None
    digits = name[len(_TOKEN_ID) :]
    return int(digits) if digits.isdecimal() and digits.isascii() else None


def _chosen(found: Mapping[Any, Any], wanted: Iterable[int], written: object) -> dict[int, Row]:
    """Rows of the wanted tokens; the most probable one was written."""
    if written not in found:
        raise Malformed("the token that was written has no log-probability")
    best = logprob(found[written])
    rows = {}
    for token in wanted:
        if token not in found:
            raise Malformed(f"token {token} has no log-probability")
        value = logprob(found[token])
        rows[token] = Row(value, token == written or value >= best)
    return rows


def _inside(found: object, *keys: str) -> object:
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found
