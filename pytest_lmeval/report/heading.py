"""The line above the table: which model, and what it is compared with."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from pytest_lmeval.report.lines import PLAIN, Line
from pytest_lmeval.report.progress import shorten
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.runs.run import RunFacts

_HASH = re.compile(r"[0-9a-f]{16,64}")
_SHOWN_HASH = 12
_DATE = re.compile(r"\bof (\d{4}-\d\d-\d\d)\b")
# Nobody reads a longer name.
_MOST = 300


def format_heading(facts: RunFacts, rows: Sequence[ReportRow], *, width: int, unicode: bool) -> list[Line]:
    """Spell model, revision and baseline in at most ``width`` columns: on one line where there is room."""
    model = shorten(f"model  {_model(facts)}", _MOST, unicode=unicode)
    against = shorten(_against(facts, rows), _MOST, unicode=unicode)
    if not against:
        return list(_wrapped(model, width))
    if len(model) + 2 + len(against) <= width:
        return list(_wrapped(f"{model}  {against}", width))
    return [*_wrapped(model, width), *_wrapped(f"  {against}", width)]


def _wrapped(text: str, width: int) -> Iterator[Line]:
    options = {"subsequent_indent": "  ", "drop_whitespace": True, "break_on_hyphens": False}
    for line in textwrap.wrap(text, max(width, 10), **options):  # type: ignore[arg-type]
        yield ((line, PLAIN),)


def _model(facts: RunFacts) -> str:
    revision = facts.answered.info.get("revision") if facts.answered is not None else None
    if not revision or str(revision) in facts.model:
        return facts.model
    text = str(revision)
    return f"{facts.model} @ {text[:_SHOWN_HASH] if _HASH.fullmatch(text) else text}"


def _against(facts: RunFacts, rows: Sequence[ReportRow]) -> str:
    """Name the baseline; of several how many and from when. Nothing where nothing was compared."""
    sources = sorted({row.source for row in rows if row.source})
    if not sources:
        return ""
    named = f"vs {facts.against}: " if facts.against else "vs "
    return named + (sources[0] if len(sources) == 1 else _several(sources))


def _several(sources: Sequence[str]) -> str:
    dates = sorted({found[1] for source in sources if (found := _DATE.search(source))})
    when = f" of {dates[0]}" if len(dates) == 1 else f" of {dates[0]} to {dates[-1]}" if dates else ""
    return f"{len(sources):,} baselines{when}"
