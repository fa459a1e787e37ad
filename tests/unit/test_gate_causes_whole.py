"""From two evaluations of one task to the account of what the second one lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.baselines.format import dumps, loads
from pytest_lmeval.baselines.record import from_result
from pytest_lmeval.gate.causes.account import Account, account
from pytest_lmeval.gate.causes.flips import Kind
from pytest_lmeval.gate.causes.text import account_lines
from pytest_lmeval.gate.pairing import pair_items
from pytest_lmeval.results import TaskResult
from tests.unit.making import choose, scored, small_task

COUNT = 40
ROWS = [
    {"question": f"{at} plus 1", "choices": ["yes", "no"], "label": 0, "answer": str(at + 1), "topic": "ab"[at % 2]}
    for at in range(COUNT)
]
WRITING: dict[str, Any] = {
    "output_type": "generate_until",
    "doc_to_choice": None,
    "doc_to_target": "answer",
    "metric_list": [{"metric": "exact_match"}],
    "filter_list": [
        {
            "name": "number",
            "filter": [{"function": "regex", "regex_pattern": r"is (\d+)"}, {"function": "take_first"}],
        }
    ],
}


def explained(then: TaskResult, now: TaskResult) -> Account:
    recorded = loads(dumps(from_result(then, {}, {}, "2026-01-01T00:00:00+00:00")))
    return account(pair_items(now.items, recorded).pairs, now.main_metric, higher_is_better=True)


def test_answers_that_took_another_form(tmp_path: Path) -> None:
    spec = small_task(tmp_path, WRITING, ROWS)
    before = scored(spec, [f"The sum is {at + 1}." for at in range(COUNT)])
    after = scored(spec, [f"The sum is {at + 1}." if at % 2 else f"It equals {at + 1}." for at in range(COUNT)])
    found = explained(before, after)
    assert (found.documents, found.regressed, found.kinds) == (COUNT, 20, {Kind.NOT_EXTRACTED: 20})
    shown = account_lines(found, verbosity=0)
    assert shown[2].startswith("likely cause: 20 of 20 lost documents have an answer, but the filter finds none")
    assert "slice topic = 'a': -100.00 points (20 worse, 0 better of 20; the others +0.00" in shown
    assert "  found then '1', now '[invalid]'" in shown
    assert "  then  [-The-] sum is 1." in shown
    assert "  now   {+It+} equals 1." in shown


def test_other_choices(tmp_path: Path) -> None:
    spec = small_task(tmp_path, None, ROWS)
    before, after = (scored(spec, choose(*picks)) for picks in ([0] * COUNT, [at % 2 for at in range(COUNT)]))
    found = explained(before, after)
    assert found.cause == (
        "the model now prefers choice 'no': in 50 % of the documents (was 0 %), and in 20 of 20 lost ones"
    )
    assert (found.flips[0].then, found.flips[0].now) == ("yes", "no")
    # Divided by the lengths of the choices, as the main metric does: 4 / 3 and 4 / 2 nats.
    assert found.flips[0].swing == pytest.approx(4 / 3 + 4 / 2, abs=0.01)


def test_the_same_answers_have_nothing_to_account_for(tmp_path: Path) -> None:
    spec = small_task(tmp_path, WRITING, ROWS)
    result = scored(spec, [f"The sum is {at + 1 + at % 2}." for at in range(COUNT)])
    found = explained(result, result)
    assert (found.regressed, found.improved, found.unanswered, found.cause) == (0, 0, 0, None)
    assert account_lines(found, verbosity=2) == []
