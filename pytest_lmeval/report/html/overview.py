"""The table of tasks: static HTML, so that it is there at once and where no script may run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from pytest_lmeval.gate.numbers import format_value
from pytest_lmeval.report.html.details import NOTHING, told_difference, told_interval
from pytest_lmeval.report.html.drawing import common_extent, draw_difference, draw_score
from pytest_lmeval.report.html.text import shown
from pytest_lmeval.report.html.tree import Node, in_order
from pytest_lmeval.report.html.verdicts import Badge, badge_of
from pytest_lmeval.report.rows import ReportRow

# So many tasks of a group are seen without asking for them.
_UNFOLDED = 6
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """``names`` are the rows' names in addresses, ``members`` the leaves of the groups, by the rows' numbers."""

    rows: Sequence[ReportRow]
    names: Sequence[str]
    members: Mapping[int, Sequence[str]]

    def to_html(self) -> str:
        """Make the table; a row that belongs to a group names it in ``data-parent``."""
        compared = any(row.finding is not None for row in self.rows)
        extent = common_extent(row.finding for row in self.rows if row.finding is not None)
        body = "".join(self._row(node, extent, compared=compared) for node in in_order(self.rows, self.members))
        return f'<table class="tasks">{_head(extent, compared=compared)}<tbody>{body}</tbody></table>'

    def _row(self, node: Node, extent: float, *, compared: bool) -> str:
        row, name = node.row, self.names[node.number]
        badge = badge_of(row.verdict, passed=row.passed)
        cells = [_task_cell(node, name), _cell("n", "Documents", f"{row.n:,}"), _score_cell(row, badge)]
        if compared:
            cells += [_baseline_cell(row), _difference_cell(row, badge, extent), _flips_cell(row)]
        cells.append(_cell("verdict", "Verdict", badge_html(badge)))
        attributes = f'id="row-{node.number}" class="depth-{min(node.depth, 3)} {badge.tone}"'
        if node.parent is not None:
            attributes += f' data-parent="row-{node.parent}"'
        return f"<tr {attributes}>{''.join(cells)}</tr>"


def badge_html(badge: Badge) -> str:
    """Make the badge of a verdict."""
    return f'<span class="badge {badge.tone}"><span aria-hidden="true">{badge.sign}</span> {shown(badge.word)}</span>'


def address(name: str) -> str:
    """The part of an address that opens a task."""
    # Lone surrogates have no bytes of their own; such a name opens nothing and breaks nothing.
    return f"#task={quote(name.encode('utf-8', 'replace'), safe='')}"


def _head(extent: float, *, compared: bool) -> str:
    scale = f'<span class="scale"><span>{_end(-extent)}</span><span>0</span><span>{_end(extent)}</span></span>'
    columns = [
        ("task", "Task"),
        ("n", "Documents"),
        ("value", 'Score <span class="unit">95 % interval</span>'),
    ]
    if compared:
        drawn = 'Change <span class="unit">points, 95 % interval</span>' + (scale if extent else "")
        columns += [("then", "Baseline"), ("change", drawn), ("flips", "Lost / gained")]
    columns.append(("verdict", "Verdict"))
    heads = "".join(f'<th scope="col" class="{name}">{title}</th>' for name, title in columns)
    return f"<thead><tr>{heads}</tr></thead>"


def _end(extent: float) -> str:
    return f"{100 * extent:+g}".replace("-", _MINUS)


def _cell(name: str, title: str, content: str) -> str:
    return f'<td class="{name}" data-title="{title}">{content}</td>'


def _task_cell(node: Node, name: str) -> str:
    row = node.row
    count = f'<span class="count">{row.members:,} tasks</span>' if row.members else ""
    fold = ""
    if node.children:
        folded = "true" if node.children > _UNFOLDED else "false"
        fold = (
            f'<button type="button" class="fold" data-folds="row-{node.number}" data-folded="{folded}" hidden></button>'
        )
    link = f'<a href="{shown(address(name))}"><bdi>{shown(row.task)}</bdi></a>'
    return f'<th scope="row" class="task">{fold}{link}{count}</th>'


def _score_cell(row: ReportRow, badge: Badge) -> str:
    if not row.metric:
        return _cell("value", "Score", NOTHING)
    value = format_value(row.value)
    interval = "" if row.stderr is None else f", standard error {format_value(row.stderr, like=row.value)}"
    bounds = "".join(f", {bound.bound} {bound.limit:g}" for bound in row.bounds if bound.metric == row.metric)
    drawn = draw_score(row, tone=badge.tone, told=f"{row.metric} {value}{interval}{bounds}")
    metric = f'<span class="metric"><bdi>{shown(row.metric)}</bdi></span>'
    return _cell("value", "Score", f'<span class="number">{value}</span>{drawn}{metric}')


def _baseline_cell(row: ReportRow) -> str:
    return _cell("then", "Baseline", NOTHING if row.baseline is None else format_value(row.baseline))


def _difference_cell(row: ReportRow, badge: Badge, extent: float) -> str:
    found = row.finding
    if found is None:
        reason = f'<span class="why">{shown(_short(row.reason))}</span>' if row.reason else NOTHING
        return _cell("change", "Change", reason)
    numbers = f"{told_difference(found)} {told_interval(found)}".replace("-", _MINUS)
    higher = next((m.higher_is_better for m in row.metrics if m.key == row.metric), True)
    told = f"difference {numbers}; margin {found.tested.margin:g}"
    drawn = draw_difference(found, extent=extent, higher=higher, tone=badge.tone, told=told)
    difference, _, interval = numbers.partition(" ")
    text = f'<span class="number">{difference}</span> <span class="interval">{interval}</span>'
    return _cell("change", "Change", f"{drawn}<span>{text}</span>")


def _flips_cell(row: ReportRow) -> str:
    unknown = row.baseline is None or (row.finding is not None and row.finding.tested.regressed is None)
    told = NOTHING if unknown else f"{row.flips_regressed:,} / {row.flips_improved:,}"
    return _cell("flips", "Lost / gained", told)


def _short(text: str) -> str:
    return text if len(text) <= 160 else f"{text[:159]}…"


def unique_names(rows: Iterable[ReportRow]) -> list[str]:
    """Name the rows for addresses: by their tasks, the second of a name with ``~2`` behind it."""
    seen: dict[str, int] = {}
    names = []
    for row in rows:
        seen[row.task] = seen.get(row.task, 0) + 1
        names.append(row.task if seen[row.task] == 1 else f"{row.task}~{seen[row.task]}")
    return names
