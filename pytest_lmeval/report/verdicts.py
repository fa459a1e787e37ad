"""What verdicts look like: a symbol, a name and a colour; and which is worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_lmeval.gate.verdict import Status
from pytest_lmeval.report.lines import GREEN, PLAIN, RED, YELLOW
from pytest_lmeval.report.progress import shorten
from pytest_lmeval.report.rows import ReportRow

_FAILED, _GOOD, _UNKNOWN, _ERROR, _MOVED = "✗", "✓", "?", "⊘", "~"
_ASCII = {_FAILED: "x", _GOOD: "+", _UNKNOWN: "?", _ERROR: "!", _MOVED: "~"}
# Of a verdict that somebody else's plugin gave so much is shown.
_NAME = 14


@dataclass(frozen=True, slots=True)
class _Look:
    symbol: str
    name: str
    markup: Mapping[str, bool]


# Worst first.
_LOOKS: dict[str, _Look] = {
    Status.ERROR.value: _Look(_ERROR, "ERROR", RED),
    Status.INCOMPARABLE.value: _Look(_ERROR, "INCOMPARABLE", RED),
    Status.BELOW_THRESHOLD.value: _Look(_FAILED, "BELOW", RED),
    Status.REGRESSED.value: _Look(_FAILED, "REGRESSED", RED),
    Status.DRIFT.value: _Look(_MOVED, "DRIFT", YELLOW),
    Status.INCONCLUSIVE.value: _Look(_UNKNOWN, "INCONCLUSIVE", YELLOW),
    Status.REGRESSED_WITHIN_MARGIN.value: _Look(_MOVED, "WITHIN MARGIN", YELLOW),
    Status.NO_BASELINE.value: _Look(_UNKNOWN, "NO BASELINE", YELLOW),
    Status.IMPROVED.value: _Look(_GOOD, "IMPROVED", GREEN),
    Status.RECORDED.value: _Look(_GOOD, "RECORDED", YELLOW),
    Status.PASS.value: _Look(_GOOD, "PASS", GREEN),
}
#: Verdicts, the worst first.
ORDER = tuple(_LOOKS)


def badness(row: ReportRow) -> tuple[bool, int, str, str]:
    """Sort key: what failed first, then the worse verdict, then by name."""
    place = ORDER.index(row.verdict) if row.verdict in _LOOKS else -1
    return row.passed, place, row.task, row.model


def named(row: ReportRow, unicode: bool) -> str:
    """Symbol and name of a row's verdict, as in ``✗ REGRESSED``."""
    known = _LOOKS.get(row.verdict)
    symbol = known.symbol if known else _GOOD if row.passed else _FAILED
    name = known.name if known else shorten(row.verdict.upper(), _NAME, unicode=unicode)
    return f"{spelled(symbol, unicode)} {name}"


def outcome(passed: bool, unicode: bool) -> str:
    """The symbol of a run that passed, or did not."""
    return spelled(_GOOD if passed else _FAILED, unicode)


def spelled(symbol: str, unicode: bool) -> str:
    """A symbol, or what stands for it in ASCII."""
    return symbol if unicode else _ASCII[symbol]


def markup(row: ReportRow) -> Mapping[str, bool]:
    """The colour of a row's verdict."""
    # What fails is red, whatever its name: a missing baseline passes here and fails in CI.
    if not row.passed:
        return RED
    colour = _LOOKS[row.verdict].markup if row.verdict in _LOOKS else PLAIN
    # A leaf whose group decides in its place passes whatever was found.
    return YELLOW if colour is RED else colour
