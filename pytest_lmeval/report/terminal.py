"""The table of results at the end of a run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_lmeval.gate.numbers import format_value
from pytest_lmeval.gate.suite import SuiteStatus, SuiteVerdict
from pytest_lmeval.gate.verdict import Status
from pytest_lmeval.report.progress import format_duration, shorten
from pytest_lmeval.report.rows import ReportRow

#: A piece of a line and the keyword arguments for TerminalWriter.write, as in ``{"red": True}``.
Segment = tuple[str, Mapping[str, bool]]
Line = tuple[Segment, ...]

_PLAIN: Mapping[str, bool] = {}
_RED, _GREEN, _YELLOW = {"red": True, "bold": True}, {"green": True}, {"yellow": True}

# Worst first.
_VERDICTS: dict[str, tuple[str, Mapping[str, bool]]] = {
    Status.ERROR.value: ("ERROR", _RED),
    Status.INCOMPARABLE.value: ("INCOMPARABLE", _RED),
    Status.BELOW_THRESHOLD.value: ("BELOW", _RED),
    Status.REGRESSED.value: ("REGRESSED", _RED),
    Status.DRIFT.value: ("DRIFT", _YELLOW),
    Status.INCONCLUSIVE.value: ("INCONCLUSIVE", _YELLOW),
    Status.REGRESSED_WITHIN_MARGIN.value: ("WITHIN MARGIN", _YELLOW),
    Status.NO_BASELINE.value: ("NO BASELINE", _YELLOW),
    Status.IMPROVED.value: ("IMPROVED", _GREEN),
    Status.RECORDED.value: ("RECORDED", _YELLOW),
    Status.PASS.value: ("PASS", _GREEN),
}
_ORDER = list(_VERDICTS)
_WARNINGS, _WARNING_WIDTH = 20, 300
_HINTS = 5
# A p-value is never 0; one so small that a float may be is told as a bound.
_SMALLEST = 1e-99


@dataclass(frozen=True, slots=True)
class _Column:
    """A column: how a row's cell is spelled. Where room is short, the most ``droppable`` goes first; 0 stays."""

    title: str
    cell: Callable[[ReportRow, bool], str]
    left: bool = False
    droppable: int = 0


def format_table(
    rows: Sequence[ReportRow], *, width: int, unicode: bool, adjusted: Mapping[str, float] = _PLAIN
) -> list[Line]:
    """Lay out the results, worst first, in at most ``width`` columns, and a line of totals.

    ``adjusted`` are the p-values of the verdict on the run, by the names of what was tested.
    A line is a sequence of pieces with their colours: ``for text, markup in line: tw.write(text, **markup)``.
    """
    if not rows:
        return []
    ordered = sorted(rows, key=_badness)
    columns = _fitting(_columns(adjusted), ordered, width, unicode)
    cells = [[column.cell(row, unicode) for column, _ in columns] for row in ordered]
    heads = [(_head(column, unicode), _PLAIN) for column, _ in columns]
    lines = [_line(heads, columns, unicode)]
    for row, texts in zip(ordered, cells, strict=True):
        marked = [(text, _PLAIN) for text in texts[:-1]] + [(texts[-1], _markup(row))]
        lines.append(_line(marked, columns, unicode))
    # The totals are a sentence: wrapped it can still be read, cut it would lie.
    return [*(_cut(line, width) for line in lines), _totals(ordered)]


def format_warnings(rows: Sequence[ReportRow], *, unicode: bool) -> list[str]:
    """Spell what tasks warn of, each on a line of its own; many are cut short, and the results file has all."""
    lines = [f"{row.task}: {text}" for row in sorted(rows, key=_badness) for text in (*row.notes, *row.warnings)]
    more = [f"and {len(lines) - _WARNINGS:,} more warnings"] if len(lines) > _WARNINGS else []
    return [shorten(line, _WARNING_WIDTH, unicode=unicode) for line in (*lines[:_WARNINGS], *more)]


def format_hints(rows: Sequence[ReportRow], *, recordable: bool = True, lacking: str = "") -> list[str]:
    """Say what to do about tasks that passed and whose baseline should be recorded; a failure tells its own.

    Where baselines are not ``recordable``, as published scores are not, tasks without one are told for themselves.
    ``lacking`` is a sentence on why there are none, where that may be a mistake.
    """
    if not recordable:
        return list(_unpublished([row for row in rows if row.passed and row.verdict == Status.NO_BASELINE.value]))
    verdicts = Counter(row.verdict for row in rows if row.passed)
    new, better = verdicts[Status.NO_BASELINE.value], verdicts[Status.IMPROVED.value]
    hints = []
    if new:
        what = "1 task has no baseline" if new == 1 else f"{new:,} tasks have no baseline"
        hints.append(f"{what} to compare with: --lm-update-baseline records it{lacking and f'. {lacking}'}")
    if better:
        what = (
            "1 task is better than its baseline" if better == 1 else f"{better:,} tasks are better than their baselines"
        )
        hints.append(f"{what}: --lm-update-baseline keeps the gain")
    return hints


def _unpublished(lacking: Sequence[ReportRow]) -> Iterator[str]:
    yield from (f"{row.task}: {row.reason}" for row in lacking[:_HINTS])
    if len(lacking) > _HINTS:
        yield f"and {len(lacking) - _HINTS:,} more tasks without a baseline"


def format_suite(suite: SuiteVerdict) -> Iterator[tuple[str, Mapping[str, bool]]]:
    """Spell the verdict on the run, a line each, with colours; nothing where there is nothing to say."""
    markup = {SuiteStatus.REGRESSED: _RED, SuiteStatus.SUSPECT: _YELLOW, SuiteStatus.PASS: _PLAIN}[suite.status]
    for at, sentence in enumerate(suite.sentences):
        yield (f"suite: {suite.status.value.upper()}: {sentence}" if at == 0 else f"  {sentence}"), markup
    if suite.sentences and suite.status is not SuiteStatus.PASS:
        yield "  look further with -v -rP, which tells the numbers of every task", markup


def plain_text(line: Line) -> str:
    """Give a line without its colours."""
    return "".join(text for text, _ in line)


def _badness(row: ReportRow) -> tuple[bool, int, str, str]:
    place = _ORDER.index(row.verdict) if row.verdict in _ORDER else -1
    return row.passed, place, row.task, row.model


def _verdict(row: ReportRow, unicode: bool) -> str:
    known = _VERDICTS.get(row.verdict)
    return known[0] if known else shorten(row.verdict.upper(), 12, unicode=unicode)


def _markup(row: ReportRow) -> Mapping[str, bool]:
    # What fails is red, whatever its name: a missing baseline passes here and fails in CI.
    if not row.passed:
        return _RED
    markup = _VERDICTS[row.verdict][1] if row.verdict in _VERDICTS else _PLAIN
    # A leaf whose group decides in its place passes whatever was found.
    return _YELLOW if markup is _RED else markup


def _value(row: ReportRow, unicode: bool) -> str:
    # A task that broke before it was evaluated has a row, and no value.
    if not row.metric:
        return "-"
    if row.finding is not None or row.stderr is None:
        # The interval of the difference stands beside it, and is what matters.
        return format_value(row.value)
    sign = "±" if unicode else "+-"
    return f"{format_value(row.value)} {sign} {format_value(row.stderr, like=row.value)}"


def _baseline(row: ReportRow, unicode: bool) -> str:
    return "-" if row.baseline is None else format_value(row.baseline)


def _difference(row: ReportRow, unicode: bool) -> str:
    """The difference and its interval: in points for accuracies, else in the metric's unit."""
    if row.difference is None:
        return "-"
    found = row.finding
    if found is None:
        return format_value(row.difference, signed=True, like=row.value)
    if found.fraction:
        return f"{100 * found.difference:+.1f} [{100 * found.low:+.1f},{100 * found.high:+.1f}]"
    low, high = (format_value(end, signed=True, like=found.value) for end in (found.low, found.high))
    return f"{format_value(found.difference, signed=True, like=found.value)} [{low},{high}]"


def _flips(row: ReportRow, unicode: bool) -> str:
    if row.baseline is None or (row.finding is not None and row.finding.tested.regressed is None):
        return "-"
    return f"{row.flips_regressed}/{row.flips_improved}"


def _detectable(row: ReportRow, unicode: bool) -> str:
    """The smallest drop that this row could have seen."""
    found = row.finding
    if found is None or not math.isfinite(found.detectable):
        return "-"
    return f"{100 * found.detectable:.1f}" if found.fraction else format_value(found.detectable, like=found.value)


def _adjusted(adjusted: Mapping[str, float]) -> Callable[[ReportRow, bool], str]:
    def cell(row: ReportRow, unicode: bool) -> str:
        p = adjusted.get(row.finding.tested.name) if row.finding else None
        return "-" if p is None else _probability(p)

    return cell


def _probability(p: float) -> str:
    """Four characters, as tables of tests have them: ``.012``, ``1.00``, ``2e-5``."""
    if p >= 0.9995:
        return "1.00"
    if p < _SMALLEST:
        return f"<{_SMALLEST:.0e}"
    return f"{p:.3f}"[1:] if p >= 0.001 else f"{p:.0e}".replace("e-0", "e-")


def _columns(adjusted: Mapping[str, float]) -> tuple[_Column, ...]:
    return (
        _Column("task", lambda row, unicode: shorten(row.task, 10_000, unicode=unicode), left=True),
        _Column("n", lambda row, unicode: str(row.n), droppable=3),
        _Column("metric", lambda row, unicode: shorten(row.metric, 10_000, unicode=unicode), left=True, droppable=6),
        _Column("baseline", _baseline, droppable=2),
        _Column("value", _value),
        _Column("Δ (95% CI)", _difference, droppable=1),
        _Column("flips -/+", _flips, droppable=4),
        _Column("p adj", _adjusted(adjusted), droppable=5),
        _Column("MDE", _detectable, droppable=1),
        _Column("verdict", _verdict, left=True),
    )


# What is cut to which width, in this order; what is below the last gives way before a column does.
_CUTS = (("metric", 10), ("task", 16))
_LAST_CUTS = (("task", 8),)
_SHORT_HEADS = {"baseline": "base", "flips -/+": "-/+"}


def _head(column: _Column, unicode: bool) -> str:
    if column.title.startswith("Δ"):
        return column.title if unicode else column.title.replace("Δ", "diff")
    return _SHORT_HEADS.get(column.title, column.title)


def _fitting(
    all_columns: Sequence[_Column], rows: Sequence[ReportRow], width: int, unicode: bool
) -> list[tuple[_Column, int]]:
    """Choose columns and their widths: empty ones go, then names are cut, then columns dropped."""
    columns = [column for column in all_columns if not (column.droppable and _is_empty(column, rows, unicode))]
    while True:
        droppable = sorted((column for column in columns if column.droppable), key=lambda column: column.droppable)
        cuts = _CUTS if droppable else (*_CUTS, *_LAST_CUTS)
        sizes = _cut_sizes({column.title: _natural(column, rows, unicode) for column in columns}, cuts, width)
        if _total(sizes.values()) <= width or not droppable:
            return [(column, sizes[column.title]) for column in columns]
        columns.remove(droppable[-1])


def _cut_sizes(sizes: dict[str, int], cuts: Sequence[tuple[str, int]], width: int) -> dict[str, int]:
    """Make names shorter, as far as they may be, until the columns fit."""
    for title, least in cuts:
        excess = max(0, _total(sizes.values()) - width)
        if title in sizes:
            sizes[title] = max(min(sizes[title], least), sizes[title] - excess)
    return sizes


def _is_empty(column: _Column, rows: Sequence[ReportRow], unicode: bool) -> bool:
    # Where nothing has a baseline yet, three columns of dashes would cost the tasks their names.
    return all(column.cell(row, unicode) == "-" for row in rows)


def _natural(column: _Column, rows: Sequence[ReportRow], unicode: bool) -> int:
    return max(len(_head(column, unicode)), *(len(column.cell(row, unicode)) for row in rows))


def _total(sizes: Collection[int]) -> int:
    return sum(sizes) + 2 * (len(sizes) - 1)


def _line(cells: Sequence[Segment], columns: Sequence[tuple[_Column, int]], unicode: bool) -> Line:
    parts: list[Segment] = []
    for (text, markup), (column, size) in zip(cells, columns, strict=True):
        fitted = shorten(text, size, unicode=unicode)
        last = column is columns[-1][0]
        padded = fitted if last else f"{fitted:<{size}}" if column.left else f"{fitted:>{size}}"
        parts += [("" if not parts else "  ", _PLAIN), (padded, markup)]
    return tuple(part for part in parts if part[0])


def _totals(rows: Sequence[ReportRow]) -> Line:
    counts = Counter(row.verdict for row in rows)
    names = [name for name in _ORDER if counts[name]] + sorted(counts.keys() - set(_ORDER))
    verdicts = [f"{counts[name]} {name}" for name in names]
    # A group repeats the documents of its members.
    leaves = [row for row in rows if not row.members]
    documents = f"{sum(row.n for row in leaves):,} documents"
    tokens = f"{sum(row.tokens for row in leaves):,} tokens"
    seconds = format_duration(sum(row.seconds for row in leaves))
    return (("  ".join([", ".join(verdicts), documents, tokens, seconds]), _PLAIN),)


def _cut(line: Line, width: int) -> Line:
    """Keep to the width whatever happens: a wrapped table is unreadable."""
    kept: list[Segment] = []
    left = width
    for text, markup in line:
        if left > 0:
            kept.append((text[:left], markup))
        left -= len(text)
    return tuple(kept)
