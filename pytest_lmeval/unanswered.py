"""Requests that were not answered: how people are told of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pytest_lmeval.backends.protocol import Answer, Failure
from pytest_lmeval.errors import BackendError

# How many different reasons are shown.
_SHOWN = 3


def all_answered(name: str, answers: Sequence[Answer | Failure], cause: Exception | None = None) -> list[Answer]:
    """Return the answers. Raises BackendError, from ``cause``, where a request of the test ``name`` has none."""
    failures = [answer for answer in answers if isinstance(answer, Failure)]
    if failures:
        raise BackendError(failed(name, failures, len(answers))) from cause
    return [answer for answer in answers if not isinstance(answer, Failure)]


def failed(name: str, failures: Sequence[Failure], asked: int) -> str:
    """Say how many of the ``asked`` requests failed, and why."""
    reasons = listed(failure.error for failure in failures)
    return f"{name}: {len(failures)} of {asked} requests were not answered{kinds(failures)}:\n{reasons}"


def kinds(failures: Iterable[Failure]) -> str:
    """Count those that the model or its provider did not want to answer: that is no trouble of the network's."""
    counts: Counter[str] = Counter(failure.kind for failure in failures)
    others = {"refused": "refused by the model", "filtered": "filtered by its provider"}
    told = [f"{counts[kind]} {text}" for kind, text in others.items() if counts[kind]]
    return f" ({', '.join(told)})" if told else ""


def listed(reasons: Iterable[str]) -> str:
    """List reasons, each once, a line each; of many the first."""
    different = list(dict.fromkeys(reasons))
    shown = "\n".join(f"  {reason}" for reason in different[:_SHOWN])
    more = len(different) - _SHOWN
    return f"{shown}\n  … and {more} other reasons" if more > 0 else shown


def first_line(failure: Failure) -> str:
    """Return the reason in one line, never empty."""
    return next((line.strip() for line in failure.error.splitlines() if line.strip()), "no reason was given")
