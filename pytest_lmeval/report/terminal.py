"""The table of results at the end of a run, what else is told there, and the one line that is left of it with -q."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from pytest_lmeval.gate.suite import SuiteStatus, SuiteVerdict
from pytest_lmeval.gate.verdict import Status
from pytest_lmeval.report.columns import Column, columns, reason_of
from pytest_lmeval.report.lines import PLAIN, RED, YELLOW, Line, Segment, plain_text
from pytest_lmeval.report.progress import format_duration, shorten
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.report.verdicts import ORDER, badness, markup, named, outcome

__all__ = [
    "Line",
    "Segment",
    "format_brief",
    "format_hints",
    "format_suite",
    "format_table",
    "format_warnings",
    "plain_text",
]

_WARNINGS, _WARNING_WIDTH, _HINTS = 20, 300, 5
# For the longest reason numbers are not moved further apart than this.
_REASON = 56


def format_table(
    rows: Sequence[ReportRow],
    *,
    width: int,
    unicode: bool,
    adjusted: Mapping[str, float] = PLAIN,
    cost: float | None = None,
) -> list[Line]:
    """Lay out the results, worst first, in at most ``width`` columns, and a line of totals.

    ``adjusted`` are the p-values of the verdict on the run, by the names of what was tested; ``cost`` is what the run
    cost, in the currency of its prices. A line is a sequence of pieces with their colours:
    ``for text, markup in line: tw.write(text, **markup)``.
    """
    if not rows:
        return []
    ordered = sorted(rows, key=badness)
    fitted = _fitting(columns(adjusted), ordered, width, unicode)
    compared = any(row.baseline is not None for row in rows)
    heads = [(_head(column, unicode, compared), PLAIN) for column, _ in fitted]
    lines = [_line(heads, fitted, unicode)]
    lines += [_row(row, fitted, unicode) for row in ordered]
    # The totals are a sentence: wrapped it can still be read, cut it would lie.
    return [*(_cut(line, width) for line in lines), ((_totals(ordered, cost, unicode), PLAIN),)]


def format_brief(
    rows: Sequence[ReportRow], suite: SuiteVerdict | None, *, unicode: bool, cost: float | None = None
) -> Line:
    """Spell a run in one line: the worst verdict, and the totals."""
    worst = min(rows, key=badness)
    failed = suite is not None and suite.failed
    if worst.passed and failed:
        text, colour = f"{outcome(False, unicode)} REGRESSED as a whole", RED
    else:
        text, colour = named(worst, unicode), markup(worst)
    return (text, colour), (f": {_totals(rows, cost, unicode)}", PLAIN)


def format_warnings(rows: Sequence[ReportRow], *, unicode: bool) -> list[str]:
    """Spell what tasks warn of, each on a line of its own; many are cut short, and the results file has all."""
    lines = [f"{row.task}: {text}" for row in sorted(rows, key=badness) for text in (*row.notes, *row.warnings)]
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
    colour = {SuiteStatus.REGRESSED: RED, SuiteStatus.SUSPECT: YELLOW, SuiteStatus.PASS: PLAIN}[suite.status]
    for at, sentence in enumerate(suite.sentences):
        yield (f"suite: {suite.status.value.upper()}: {sentence}" if at == 0 else f"  {sentence}"), colour
    if suite.sentences and suite.status is not SuiteStatus.PASS:
        yield "  look further with -v, which tells the numbers of every task", colour


# What is cut to which width, in this order; what is below the last gives way before a column does.
_CUTS = (("metric", 10), ("task", 16))
_LAST_CUTS = (("task", 8),)
_SHORT_HEADS = {"baseline": "base", "flips -/+": "-/+"}


def _head(column: Column, unicode: bool, compared: bool = False) -> str:
    if column.title == "value" and compared:
        return "now"
    if column.title.startswith("Δ"):
        return column.title if unicode else column.title.replace("Δ", "diff")
    return _SHORT_HEADS.get(column.title, column.title)


def _fitting(
    all_columns: Sequence[Column], rows: Sequence[ReportRow], width: int, unicode: bool
) -> list[tuple[Column, int]]:
    """Choose columns and their widths: empty ones go, then names are cut, then columns dropped."""
    kept = [column for column in all_columns if not (column.droppable and _is_empty(column, rows, unicode))]
    while True:
        droppable = sorted((column for column in kept if column.droppable), key=lambda column: column.droppable)
        cuts = _CUTS if droppable else (*_CUTS, *_LAST_CUTS)
        sizes = _cut_sizes({column.title: _natural(column, rows, unicode) for column in kept}, cuts, width)
        if _total(sizes.values()) <= width or not droppable:
            fitted = [(column, sizes[column.title]) for column in kept]
            return _with_room_for_reasons(fitted, rows, width)
        kept.remove(droppable[-1])


def _cut_sizes(sizes: dict[str, int], cuts: Sequence[tuple[str, int]], width: int) -> dict[str, int]:
    """Make names shorter, as far as they may be, until the columns fit."""
    for title, least in cuts:
        excess = max(0, _total(sizes.values()) - width)
        if title in sizes:
            sizes[title] = max(min(sizes[title], least), sizes[title] - excess)
    return sizes


def _is_empty(column: Column, rows: Sequence[ReportRow], unicode: bool) -> bool:
    # Where nothing has a baseline yet, three columns of dashes would cost the tasks their names.
    return all(column.spelled(row, unicode) == "-" for row in rows)


def _natural(column: Column, rows: Sequence[ReportRow], unicode: bool) -> int:
    return max(len(_head(column, unicode)), *(len(column.spelled(row, unicode)) for row in rows))


def _total(sizes: Collection[int]) -> int:
    return sum(sizes) + 2 * (len(sizes) - 1)


def _line(cells: Sequence[Segment], fitted: Sequence[tuple[Column, int]], unicode: bool) -> Line:
    parts: list[Segment] = []
    for (text, colour), (column, size) in zip(cells, fitted, strict=True):
        cell = shorten(text, size, unicode=unicode)
        last = column is fitted[-1][0]
        padded = cell if last else f"{cell:<{size}}" if column.left else f"{cell:>{size}}"
        parts += [("" if not parts else "  ", PLAIN), (padded, colour)]
    return tuple(part for part in parts if part[0])


def _row(row: ReportRow, fitted: Sequence[tuple[Column, int]], unicode: bool) -> Line:
    cells = [(column.spelled(row, unicode), PLAIN) for column, _ in fitted[:-1]]
    verdict = (named(row, unicode), markup(row))
    reason = reason_of(row)
    return _line([*cells, verdict], fitted, unicode) if not reason else _spanned(row, reason, verdict, fitted, unicode)


def _spanned(
    row: ReportRow, reason: str, verdict: Segment, fitted: Sequence[tuple[Column, int]], unicode: bool
) -> Line:
    """Lay out a row that has no numbers: what there is to say stands in their place."""
    names = [pair for pair in fitted[:-1] if not pair[0].number]
    room = _total([size for column, size in fitted if column.number])
    across = Column("reason", lambda row, unicode: reason, left=True)
    cells = [(column.spelled(row, unicode), PLAIN) for column, _ in names]
    return _line([*cells, (reason, PLAIN), verdict], [*names, (across, room), fitted[-1]], unicode)


def _with_room_for_reasons(
    fitted: list[tuple[Column, int]], rows: Sequence[ReportRow], width: int
) -> list[tuple[Column, int]]:
    """Give the last column of numbers what room is left, as far as reasons need it."""
    longest = min(_REASON, max((len(reason_of(row)) for row in rows), default=0))
    numbers = [size for column, size in fitted if column.number]
    missing = min(longest - _total(numbers), width - _total([size for _, size in fitted]))
    if missing <= 0 or not numbers:
        return fitted
    last = max(place for place, (column, _) in enumerate(fitted) if column.number)
    column, size = fitted[last]
    return [*fitted[:last], (column, size + missing), *fitted[last + 1 :]]


def _totals(rows: Sequence[ReportRow], cost: float | None, unicode: bool) -> str:
    counts = Counter(row.verdict for row in rows)
    names = [name for name in ORDER if counts[name]] + sorted(counts.keys() - set(ORDER))
    # A group repeats the documents of its members.
    leaves = [row for row in rows if not row.members]
    documents, errors = sum(row.n for row in leaves), sum(row.errors for row in leaves)
    parts = [f"{counts[name]} {shorten(name, 40, unicode=unicode)}" for name in names]
    parts.append(f"{documents:,} documents")
    if errors:
        parts.append(f"errors {errors:,}/{documents:,}")
    parts.append(f"{sum(row.tokens for row in leaves):,} tokens")
    parts.append(format_duration(sum(row.seconds for row in leaves)))
    if cost is not None:
        parts.append(f"cost {cost:,.2f}")
    return (" · " if unicode else ", ").join(parts)


def _cut(line: Line, width: int) -> Line:
    """Keep to the width whatever happens: a wrapped table is unreadable."""
    kept: list[Segment] = []
    left = width
    for text, colour in line:
        if left > 0:
            kept.append((text[:left], colour))
        left -= len(text)
    return tuple(kept)
