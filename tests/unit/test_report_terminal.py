from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from pytest_lmeval.gate.statistics.binary import mcnemar
from pytest_lmeval.gate.suite import Entry, SuiteStatus, SuiteVerdict
from pytest_lmeval.report.findings import Finding
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.report.terminal import (
    format_brief,
    format_hints,
    format_suite,
    format_table,
    format_warnings,
    plain_text,
)
from pytest_lmeval.results import MetricValue

ROW = ReportRow(
    nodeid="tasks/rivers.yaml::rivers",
    task="rivers",
    model="demo",
    n=1000,
    total=1000,
    members=0,
    metric="acc_norm",
    value=0.421,
    stderr=0.01561,
    baseline=0.44,
    difference=-0.019,
    flips_regressed=40,
    flips_improved=21,
    verdict="regressed",
    passed=False,
    reason="",
    seconds=70,
    tokens=3000,
    metrics=(MetricValue(name="acc", filter="none", value=0.5, stderr=None, higher_is_better=True, n=9),),
)


def found(row: ReportRow, *, fraction: bool = True) -> ReportRow:
    """The row with what the comparison found: as many flips as it says, of its documents."""
    estimate = mcnemar(row.flips_regressed, row.flips_improved, row.n, alpha=0.05)
    entry = Entry(
        task=row.task,
        metric=row.metric,
        p=estimate.p_worse,
        estimate=estimate,
        alpha=0.01,
        alpha_warn=0.05,
        margin=0.01,
        beyond=True,
        failed=not row.passed,
        fraction=fraction,
        regressed=row.flips_regressed if fraction else None,
        improved=row.flips_improved if fraction else None,
    )
    seen = Finding(
        metric=row.metric,
        baseline=row.baseline or 0.0,
        value=row.value,
        low=estimate.low if fraction else -0.1,
        high=estimate.high if fraction else 0.2,
        detectable=0.0238,
        tested=entry,
    )
    return replace(row, findings=(seen,))


ROW = found(ROW)
PASSED = replace(
    ROW,
    task="lakes",
    verdict="pass",
    passed=True,
    metric="ppl",
    value=23.4567,
    stderr=None,
    baseline=23.4,
    difference=0.0567,
    flips_regressed=0,
    flips_improved=0,
    findings=(),
)
PASSED = found(PASSED, fraction=False)
NEW = replace(ROW, task="seas", verdict="no-baseline", passed=True, baseline=None, difference=None, findings=())
GROUP = replace(ROW, task="waters", members=3, n=3000, verdict="improved", passed=True, value=0.47, difference=0.03)
GROUP = found(replace(GROUP, flips_regressed=20, flips_improved=110))


ADJUSTED = {"rivers acc_norm": 0.0123, "waters acc_norm": 1.0, "lakes ppl": 0.00002}


def table(*rows: ReportRow, width: int = 80, unicode: bool = True) -> list[str]:
    return [plain_text(line) for line in format_table(rows, width=width, unicode=unicode, adjusted=ADJUSTED)]


def test_the_table_worst_first_and_its_totals() -> None:

    assert table(PASSED, GROUP, NEW, ROW, width=130) == [
        "task       n  metric      base              now              Δ (95% CI)     -/+  p adj    MDE  verdict",
        "rivers  1000  acc_norm  0.4400           0.4210        -1.9 [-3.5,-0.4]   40/21   .012    2.4  ✗ REGRESSED",
        "seas    1000  acc_norm       -  0.4210 ± 0.0156                       -       -      -      -  ? NO BASELINE",
        "waters  3000  acc_norm  0.4400           0.4700        +3.0 [+2.3,+3.8]  20/110   1.00    2.4  ✓ IMPROVED",
        "lakes   1000  ppl       23.400           23.457  +0.057 [-0.100,+0.200]       -   2e-5  0.024  ✓ PASS",
        "1 regressed · 1 no-baseline · 1 improved · 1 pass · 3,000 documents · 9,000 tokens · 3:30",
    ]


def test_names_give_way_and_columns_go_in_eighty_columns() -> None:
    long = found(replace(ROW, task="a_task_with_a_very_long_name", metric="exact_match,flexible-extract"))
    lines = table(long, replace(PASSED, task="another_task_with_a_long_name", n=14042))
    assert max(map(len, lines)) <= 80
    assert lines[:2] == [
        "task                    base     now              Δ (95% CI)    MDE  verdict",
        "a_task_with_a_very_…  0.4400  0.4210        -1.9 [-3.5,-0.4]    2.4  ✗ REGRESSED",
    ]


@pytest.mark.parametrize("width", [10, 40, 60, 70, 80, 120])
@pytest.mark.parametrize("unicode", [True, False])
def test_no_row_is_wider_than_the_terminal_and_the_totals_are_whole(width: int, unicode: bool) -> None:
    rows = [
        replace(ROW, task="x" * 100, metric="m" * 100, n=10**9, flips_regressed=12345, verdict="incomparable"),
        replace(PASSED, value=1.5e300, baseline=math.inf, difference=math.nan),
        replace(NEW, task="\x1b[31mörtlich\n", verdict="something-else"),
    ]
    lines = table(*rows, width=width, unicode=unicode)
    assert len(lines) == 5
    assert max(map(len, lines[:-1])) <= width
    assert re.fullmatch(
        r"1 incomparable, 1 pass, 1 something-else, .* documents, .* tokens, \d+:\d\d", lines[-1].replace(" ·", ",")
    )
    assert all(line.isprintable() for line in lines)
    assert unicode or all(line.isascii() for line in lines)


def test_columns_without_a_value_leave_the_names_their_room() -> None:
    first = replace(NEW, task="mmlu_high_school_computer_science")
    assert table(first, replace(NEW, task="mmlu_anatomy"))[:2] == [
        "task                                 n  metric              value  verdict",
        "mmlu_anatomy                      1000  acc_norm  0.4210 ± 0.0156  ? NO BASELINE",
    ]
    assert table(first, ROW)[0].split() == ["task", "base", "now", "Δ", "(95%", "CI)", "MDE", "verdict"]


def test_hints_tell_how_to_record_what_passed() -> None:
    better = replace(PASSED, verdict="improved")
    assert format_hints([PASSED, ROW, replace(NEW, passed=False)]) == []
    assert format_hints([NEW, better]) == [
        "1 task has no baseline to compare with: --lm-update-baseline records it",
        "1 task is better than its baseline: --lm-update-baseline keeps the gain",
    ]
    assert format_hints([NEW, better] * 2) == [
        "2 tasks have no baseline to compare with: --lm-update-baseline records it",
        "2 tasks are better than their baselines: --lm-update-baseline keeps the gain",
    ]


def test_tasks_that_nobody_published_are_told() -> None:
    lacking = [replace(NEW, task=f"t{at}", reason=f"scores.yaml has no scores for t{at}.") for at in range(7)]
    assert format_hints([PASSED, *lacking], recordable=False) == [
        *(f"t{at}: scores.yaml has no scores for t{at}." for at in range(5)),
        "and 2 more tasks without a baseline",
    ]


def test_narrow_tables_keep_the_verdict() -> None:
    assert table(ROW, width=70)[1] == "rivers  1000  0.4400  0.4210  -1.9 [-3.5,-0.4]  2.4  ✗ REGRESSED"
    assert table(ROW, width=45)[1] == "rivers  0.4210  -1.9 [-3.5,-0.4]  ✗ REGRESSED"


def test_a_task_that_broke_has_no_value() -> None:
    broken = replace(NEW, metric="", value=math.nan, stderr=None, n=0, verdict="error", passed=False)
    lines = format_table([ROW, broken], width=80, unicode=True, adjusted=ADJUSTED)
    assert plain_text(lines[1]).split() == ["seas", "0", "-", "-", "-", "-", "-", "-", "⊘", "ERROR"]
    assert lines[1][-1] == ("⊘ ERROR", {"red": True, "bold": True})
    assert plain_text(lines[-1]).startswith("1 error · 1 regressed · 1,000 documents")


def test_a_reason_stands_where_there_are_no_numbers() -> None:
    reason = "the baseline was made with other prompts; chat template (a1 and not b7)"
    other = replace(NEW, task="seas", verdict="incomparable", passed=False, reason=reason)
    broken = replace(NEW, task="bays", metric="", n=0, verdict="error", passed=False, reason="bays: no answer\nmore")
    assert table(other, broken, ROW)[:4] == [
        "task       n    base     now        Δ (95% CI)    -/+  MDE  verdict",
        "bays       0  no answer                                     ⊘ ERROR",
        "seas    1000  other prompts; chat template (a1 and not b7)  ⊘ INCOMPARABLE",
        "rivers  1000  0.4400  0.4210  -1.9 [-3.5,-0.4]  40/21  2.4  ✗ REGRESSED",
    ]
    # Alone it takes what room there is.
    assert table(other)[1] == "seas  1000  other prompts; chat template (a1 and not b7)  ⊘ INCOMPARABLE"
    assert table(other, width=50)[1] == "seas  1000  other prompts; chat t…  ⊘ INCOMPARABLE"


def test_what_was_not_answered_and_what_it_cost_are_in_the_totals() -> None:
    totals = plain_text(format_table([replace(ROW, errors=3)], width=80, unicode=True, cost=1.2345)[-1])
    assert totals == "1 regressed · 1,000 documents · errors 3/1,000 · 3,000 tokens · 1:10 · cost 1.23"


def test_one_line_for_a_quiet_run() -> None:
    suite = SuiteVerdict(status=SuiteStatus.REGRESSED, sentences=("x",), adjusted={}, leaves={}, pooled=None)
    assert plain_text(format_brief([PASSED, ROW], None, unicode=True)) == (
        "✗ REGRESSED: 1 regressed · 1 pass · 2,000 documents · 6,000 tokens · 2:20"
    )
    assert plain_text(format_brief([PASSED], None, unicode=False)).startswith("+ PASS: 1 pass, 1,000 documents")
    assert plain_text(format_brief([PASSED], suite, unicode=True)).startswith("✗ REGRESSED as a whole: 1 pass")


def test_ascii() -> None:
    assert table(ROW, unicode=False)[:2] == [
        "task       n    base     now     diff (95% CI)    -/+  p adj  MDE  verdict",
        "rivers  1000  0.4400  0.4210  -1.9 [-3.5,-0.4]  40/21   .012  2.4  x REGRESSED",
    ]
    assert "+-" in table(NEW, unicode=False)[1]


def test_only_verdicts_are_coloured_and_what_fails_is_red() -> None:
    required = replace(NEW, passed=False)
    lines = format_table([ROW, PASSED, required], width=100, unicode=True)
    coloured = {text: markup for line in lines for text, markup in line if markup}
    assert coloured == {
        "✗ REGRESSED": {"red": True, "bold": True},
        "? NO BASELINE": {"red": True, "bold": True},
        "✓ PASS": {"green": True},
    }


def test_nothing_evaluated_is_no_table() -> None:
    assert format_table([], width=80, unicode=True) == []


def test_warnings_name_their_task_worst_first() -> None:
    rows = [replace(PASSED, warnings=("second\x1b[2J",)), replace(ROW, warnings=("first",)), GROUP]
    assert format_warnings(rows, unicode=True) == ["rivers: first", "lakes: second?[2J"]
    assert format_warnings([ROW], unicode=True) == []


def test_many_warnings_are_cut_short() -> None:
    lines = format_warnings([replace(ROW, warnings=tuple(f"{i} {'x' * 500}" for i in range(23)))], unicode=False)
    assert (len(lines), lines[-1]) == (21, "and 3 more warnings")
    assert lines[19].startswith("rivers: 19 x")
    assert max(map(len, lines)) == 300


def test_a_leaf_that_its_group_decides_for_is_no_alarm() -> None:
    leaf = replace(ROW, passed=True)
    (_, row, _) = format_table([leaf], width=100, unicode=True)
    assert row[-1] == ("✗ REGRESSED", {"yellow": True})


@pytest.mark.parametrize(
    ("p", "cell"), [(1.0, "1.00"), (0.5, ".500"), (0.0123, ".012"), (0.00002, "2e-5"), (0, "<1e-99")]
)
def test_p_values_are_short(p: float, cell: str) -> None:
    line = plain_text(format_table([ROW], width=120, unicode=True, adjusted={"rivers acc_norm": p})[1])
    assert f"  {cell}  " in line


def test_the_verdict_on_the_run() -> None:
    def told(status: SuiteStatus, *sentences: str) -> list[tuple[str, object]]:
        return list(format_suite(SuiteVerdict(status=status, sentences=sentences, adjusted={}, leaves={}, pooled=None)))

    assert told(SuiteStatus.PASS) == []
    assert told(SuiteStatus.PASS, "nothing moved") == [("suite: PASS: nothing moved", {})]
    assert told(SuiteStatus.REGRESSED, "worse", "more") == [
        ("suite: REGRESSED: worse", {"red": True, "bold": True}),
        ("  more", {"red": True, "bold": True}),
        ("  look further with -v, which tells the numbers of every task", {"red": True, "bold": True}),
    ]


def test_what_passes_with_a_remark_is_told_before_the_warnings() -> None:
    noted = replace(PASSED, notes=("too few",), warnings=("one was not scored",))
    assert format_warnings([noted], unicode=True) == ["lakes: too few", "lakes: one was not scored"]
