"""The verdict on a whole run between Python and JSON."""

from __future__ import annotations

from typing import Any

from pytest_lmeval.baselines.plain import FieldError, Fields, plain, read_number
from pytest_lmeval.gate.suite import SuiteStatus, SuiteVerdict
from pytest_lmeval.report.findings import read_estimate


def suite_to_json(suite: SuiteVerdict) -> dict[str, Any]:
    """Reduce to plain values; numbers that JSON lacks become texts."""
    values: dict[str, Any] = plain(suite.to_json())
    return values


def suite_from_json(data: object, place: str) -> SuiteVerdict:
    """Restore from :func:`suite_to_json`. Raises ValueError for anything else."""
    suite = Fields(data, place)
    status = suite.text("status")
    if status not in list(SuiteStatus):
        raise FieldError(f"{place}.status is {status[:40]!r}, expected one of {', '.join(SuiteStatus)}")
    return SuiteVerdict(
        status=SuiteStatus(status),
        sentences=suite.texts("sentences"),
        adjusted=_numbers(suite, "adjusted"),
        leaves=_numbers(suite, "leaves"),
        pooled=None if suite.optional_mapping("pooled") is None else read_estimate(suite.fields("pooled")),
    )


def _numbers(suite: Fields, name: str) -> dict[str, float]:
    return {key: read_number(value, f"{name}.{key[:40]}") for key, value in suite.mapping(name).items()}
