"""How far the answers of two engines are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

# Nats. Choices this close are a tie: which of them wins is a matter of rounding.
TIE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """None where it does not apply to the operation.

    ``logprob`` is the largest difference of a request's log-probability in nats, ``relative`` the largest relative
    one of a whole text's. ``choices`` of ``documents`` have another most probable choice, ``ties`` of these because two
    choices are less than :data:`TIE` nats apart in one engine. ``texts`` are the generated texts that differ.
    """

    documents: int
    logprob: float | None = None
    relative: float | None = None
    choices: int | None = None
    ties: int | None = None
    texts: int | None = None


def compare(operation: str, ours: Sequence[Any], peer: Sequence[Any], lengths: Sequence[int]) -> Difference:
    """Compare answers in the order of the requests; ``lengths`` are how many of them each document has."""
    if len(ours) != len(peer) or sum(lengths) != len(ours):
        raise ValueError(f"{len(ours)} answers, {len(peer)} of the peer, {sum(lengths)} requests")
    documents = len(lengths)
    if operation == "generate_until":
        return Difference(documents=documents, texts=sum(a != b for a, b in zip(ours, peer, strict=True)))
    if operation == "loglikelihood_rolling":
        relative = max(abs(a - b) / max(abs(b), 1e-9) for a, b in zip(ours, peer, strict=True))
        return Difference(documents=documents, relative=relative)
    first, second = [answer[0] for answer in ours], [answer[0] for answer in peer]
    largest = max(abs(a - b) for a, b in zip(first, second, strict=True))
    if max(lengths) == 1:
        return Difference(documents=documents, logprob=largest)
    pairs = list(zip(_grouped(first, lengths), _grouped(second, lengths), strict=True))
    differing = [(a, b) for a, b in pairs if _best(a) != _best(b)]
    ties = sum(min(_gap(a, b), _gap(b, a)) < TIE for a, b in differing)
    return Difference(documents=documents, logprob=largest, choices=len(differing), ties=ties)


def _grouped(values: Sequence[float], lengths: Sequence[int]) -> list[list[float]]:
    remaining = iter(values)
    return [list(islice(remaining, length)) for length in lengths]


def _best(logprobs: Sequence[float]) -> int:
    return logprobs.index(max(logprobs))


def _gap(one: Sequence[float], other: Sequence[float]) -> float:
    """Nats by which ``one`` prefers its own best choice to the other's."""
    return one[_best(one)] - one[_best(other)]
