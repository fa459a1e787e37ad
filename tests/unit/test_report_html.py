"""The HTML report's file: what is in it before any browser has run it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pytest_lmeval.errors import RunError
from pytest_lmeval.report.html.overview import address, unique_names
from pytest_lmeval.report.html.tree import in_order
from pytest_lmeval.report.html.verdicts import badge_of
from pytest_lmeval.report.html.write import write_html
from pytest_lmeval.runs.origin import Origin
from pytest_lmeval.runs.run import Run

from .recorded_runs import ID, choice_item, made_run, record_of, result_of, run_facts

ATTACK = "</title></script><script>alert(1)</script>\"' onload=x \u202e\x00\ud800"


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def written(path: Path, run: Run) -> str:
    write_html(path, run)
    return path.read_text(encoding="utf-8")


def tags(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(page)
    return parser.found


def test_the_table_is_there_without_scripts(tmp_path: Path) -> None:
    page = written(tmp_path / "report.html", made_run(tmp_path / ID))
    table = page[page.index("<tbody>") : page.index("</tbody>")]
    assert re.findall(r'<a href="#task=(\w+)"', table) == ["rivers", "lakes", "sums"]
    assert re.findall(r'class="badge \w+"><span aria-hidden="true">.</span> ([\w ]+)<', table) == [
        "Regressed",
        "No baseline",
        "Pass",
    ]
    assert "20 / 0" in table
    assert page.count("<svg class=") == 5


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    page = written(tmp_path / "report.html", made_run(tmp_path / ID))
    for tag, attributes in tags(page):
        assert not {"src", "srcset", "style"} & attributes.keys(), (tag, attributes)
        assert (attributes.get("href") or "#").startswith("#"), (tag, attributes)
    assert "@import" not in page
    assert "url(" not in page


def test_the_policy_allows_exactly_the_page_itself(tmp_path: Path) -> None:
    page = written(tmp_path / "report.html", made_run(tmp_path / ID))
    policy = next(a["content"] for tag, a in tags(page) if a.get("http-equiv") == "Content-Security-Policy") or ""
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    parts = re.findall(r"<(?:style|script|script type=\"module\")>(.*?)</(?:style|script)>", page, re.DOTALL)
    assert len(parts) == 3
    for part in parts:
        assert f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'" in policy


def test_hostile_names_and_reasons_add_no_element(tmp_path: Path) -> None:
    run = made_run(tmp_path / ID)
    plain = [tag for tag, _ in tags(written(tmp_path / "plain.html", run))]
    rows = tuple(replace(row, task=ATTACK, metric=row.metric, reason=ATTACK, explanation=ATTACK) for row in run.rows)
    facts = run_facts(
        model=ATTACK,
        command=(ATTACK,),
        environment={ATTACK: ATTACK},
        origin=Origin(commit=None, url=f"javascript:{ATTACK}"),
    )
    found = tags(written(tmp_path / "attacked.html", replace(run, rows=rows, facts=facts)))
    assert {tag for tag, _ in found} <= set(plain)
    assert [tag for tag, _ in found].count("script") == plain.count("script")
    assert not any((a.get("href") or "").startswith("javascript") for _, a in found)
    assert not any("onload" in a for _, a in found)
    assert "\u202e" not in (tmp_path / "attacked.html").read_text(encoding="utf-8")


def test_the_same_run_makes_the_same_file(tmp_path: Path) -> None:
    run = made_run(tmp_path / ID)
    assert written(tmp_path / "a", run) == written(tmp_path / "b", run)


def test_documents_that_are_gone_are_an_error(tmp_path: Path) -> None:
    run = made_run(tmp_path / ID)
    assert run.rows[0].samples is not None
    (tmp_path / ID / run.rows[0].samples).unlink()
    with pytest.raises(RunError, match="there is no such file"):
        write_html(tmp_path / "report.html", run)
    assert not (tmp_path / "report.html").exists()


def test_a_run_that_kept_no_documents_has_its_table(tmp_path: Path) -> None:
    run = replace(made_run(tmp_path / ID), folder=None)
    assert 'id="documents-' not in written(tmp_path / "report.html", run)


def test_tasks_stand_below_their_smallest_group() -> None:
    row = record_of(result_of("a", [choice_item(0, right=True)]), None).row
    rows = [replace(row, task=name) for name in ("b", "all", "a", "some", "other")]
    members = {1: ("a", "b", "c"), 3: ("a", "b")}
    placed = [(node.row.task, node.depth, node.parent, node.children) for node in in_order(rows, members)]
    assert placed == [("all", 0, None, 1), ("some", 1, 1, 2), ("b", 2, 3, 0), ("a", 2, 3, 0), ("other", 0, None, 0)]


def test_tasks_of_one_name_have_addresses_of_their_own() -> None:
    row = record_of(result_of("a", [choice_item(0, right=True)]), None).row
    assert unique_names([row, row, replace(row, task="b c/&")]) == ["a", "a~2", "b c/&"]
    assert address("b c/&") == "#task=b%20c%2F%26"


@pytest.mark.parametrize(
    ("verdict", "passed", "tone"),
    [("regressed", False, "bad"), ("regressed", True, "warn"), ("no-baseline", False, "bad"), ("pass", True, "good")],
)
def test_what_fails_is_bad_and_what_passes_is_not(verdict: str, passed: bool, tone: str) -> None:
    assert badge_of(verdict, passed=passed).tone == tone
