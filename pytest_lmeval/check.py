"""The body of every benchmark item: a plain function, so that it can be tested without pytest."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_lmeval.errors import QualityError


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether the result is good enough, and why, in words for the person who reads the failure."""

    passed: bool
    explanation: str


def check_task(lm_verdict: Judged) -> None:
    """Pass where the gate did. Raises QualityError with the gate's explanation."""
    __tracebackhide__ = True
    if not lm_verdict.passed:
        raise QualityError(lm_verdict.explanation)
