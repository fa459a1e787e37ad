"""The HTML report as its readers meet it: in a browser, from a file."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from pytest_lmeval.history.points import TrendPoint
from pytest_lmeval.report.html.write import write_html
from tests.unit.recorded_runs import (
    ID,
    baseline_from,
    choice_item,
    made_run,
    record_of,
    result_of,
    text_item,
    write_made_run,
)

from .browser import Browser

ATTACK = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    run = made_run(folder / ID)
    points = tuple(
        TrendPoint(
            run=f"r{day}", started=1.7e9 + day * 86400, value=0.9, stderr=0.02, n=60, verdict="pass", commit=None
        )
        for day in range(4)
    )
    path = folder / "report.html"
    write_html(path, replace(run, trends={("rivers", "acc"): points}))
    return path


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    right = [text_item(index, right=True) for index in range(4)]
    odd = [
        text_item(0, right=False, answer=ATTACK, prompt=ATTACK, extracted=ATTACK, facets={ATTACK: ATTACK}),
        text_item(1, right=False, answer="\ud800 \x00 \u202e reversed \u200b"),
        text_item(2, right=False, answer="word " * 200_000),
        choice_item(3, right=False, choices=(ATTACK, "b"), answer="b", logprobs=(-math.inf, math.nan), margin=math.nan),
    ]
    odd[3] = replace(odd[3], scores={"exact_match,strict-match": 0.0})
    metric = ("exact_match", "strict-match")
    then = result_of(ATTACK, right, metric)
    record = record_of(result_of(ATTACK, odd, metric), baseline_from(then), nodeid="tasks/x.yaml::x")
    record = replace(record, row=replace(record.row, explanation=ATTACK, reason=ATTACK))
    run = write_made_run(folder / ID, [record], model=ATTACK)
    path = folder / "hostile.html"
    write_html(path, run)
    return path


def test_it_opens_without_a_network_and_without_complaints(browser: Browser, report: Path) -> None:
    browser.open(report)
    rows = [row.text for row in browser.all("table.tasks tbody tr")]
    assert len(rows) == 3
    assert "rivers" in rows[0]
    assert "Regressed" in rows[0]
    assert "Pass" in rows[2] or "No baseline" in rows[2]
    browser.click("table.tasks a", "rivers")
    assert browser.says(".matches", "60 of 60 documents")
    assert browser.all("svg.chart[aria-label^='Trend over 5 runs']")
    assert browser.all("svg.chart[aria-label^='Margins']")
    assert browser.requests() == [report.as_uri()]
    assert browser.complaints() == []


def test_filters_and_search_narrow_the_list(browser: Browser, report: Path) -> None:
    browser.open(report, "#task=rivers")
    browser.click(".chip", "Lost")
    assert browser.says(".matches", "20 of 60 documents")
    assert "show=regressed" in browser.driver.current_url
    assert {row.text.splitlines()[0].split("#")[0].strip() for row in browser.all(".row")} == {"✗ Lost"}
    browser.one("#search").send_keys("RIVER 17")
    browser.wait(lambda: browser.one(".matches").text == "1 of 60 documents")
    browser.one("#search").clear()
    browser.one("#search").send_keys("no such text")
    browser.wait(lambda: "no document matches" in browser.one(".matches").text)
    browser.go("#task=rivers&slice=%5B%22subject%22%2C%22history%22%5D")
    browser.wait(lambda: browser.one(".matches").text == "20 of 60 documents")
    browser.go("#task=rivers&now=right&show=regressed")
    browser.wait(lambda: browser.one(".matches").text.startswith("0 of 60"))


def test_the_largest_fall_comes_first(browser: Browser, report: Path) -> None:
    browser.open(report, "#task=rivers")
    assert browser.says(".row", "#19")


def test_an_address_opens_one_document(browser: Browser, report: Path) -> None:
    browser.open(report, "#task=rivers&show=regressed&doc=7")
    detail = browser.one(".detail").text
    assert "Document 7" in detail
    assert "✓ expected" in detail
    assert "● chosen now" in detail
    assert "which way does river 7 flow?" in detail
    assert browser.says(".row[aria-selected='true']", "✗ Lost")
    assert browser.says(".matches", "20 of 60 documents")
    assert "the Nile" not in detail
    browser.click(".detail summary", "examples before it")
    browser.wait(lambda: "the Nile" in browser.one(".detail").text)


def test_going_back_brings_the_table(browser: Browser, report: Path) -> None:
    browser.open(report)
    browser.click("table.tasks a", "rivers")
    browser.one(".explorer")
    browser.driver.back()
    browser.wait(lambda: browser.all("table.tasks"))
    assert not browser.all(".explorer")


def test_keys_go_through_the_list(browser: Browser, report: Path) -> None:
    browser.open(report, "#task=sums")
    browser.one(".explorer")
    browser.press("j")
    first = browser.one(".detail h3").text
    browser.press("j")
    browser.wait(lambda: browser.one(".detail h3").text != first)
    browser.press("k")
    browser.wait(lambda: browser.one(".detail h3").text == first)
    browser.press("/")
    assert browser.driver.switch_to.active_element.get_attribute("id") == "search"
    browser.press("j")
    assert browser.one("#search").get_attribute("value") == "j"
    browser.wait(lambda: browser.one(".matches").text.startswith("0 of"))
    browser.press(Keys.BACKSPACE)
    browser.press(Keys.ESCAPE)
    browser.wait(lambda: browser.one(".matches").text.startswith("60 of"))
    browser.one(".list").send_keys(Keys.END)
    assert browser.one(".row[aria-selected='true']").get_attribute("aria-posinset") == "60"


def test_themes_follow_the_system_and_the_button(browser: Browser, report: Path) -> None:
    def ground() -> object:
        return browser.script("return getComputedStyle(document.body).backgroundColor")

    browser.theme("light")
    browser.open(report)
    light = ground()
    browser.theme("dark")
    dark = ground()
    assert dark != light
    browser.one("#theme").click()
    assert ground() == light
    browser.open(report)
    assert ground() == light
    browser.script("localStorage.clear()")
    browser.theme("light")


@pytest.mark.parametrize("address", ["", "#task=rivers&doc=3", "#task=sums&doc=4", "#task=lakes"])
def test_a_phone_needs_no_sideways_scrolling(browser: Browser, report: Path, address: str) -> None:
    browser.size(360)
    browser.open(report, address)
    assert browser.script("return document.documentElement.scrollWidth") <= 360
    browser.size(1280)


def test_an_answer_is_compared_by_words(browser: Browser, tmp_path: Path) -> None:
    metric = ("exact_match", "strict-match")
    then = result_of("sums", [text_item(1, right=True, answer="It is two apples.")], metric)
    now = result_of("sums", [text_item(1, right=False, answer="It is three apples.")], metric)
    run = write_made_run(tmp_path / ID, [record_of(now, baseline_from(then))])
    write_html(tmp_path / "report.html", run)
    browser.open(tmp_path / "report.html", "#task=sums&doc=1")
    pieces = browser.script("return [...document.querySelectorAll('.diff > *')].map(e => [e.tagName, e.textContent])")
    assert pieces == [["SPAN", "It is "], ["DEL", "two"], ["INS", "three"], ["SPAN", " apples."]]


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_hostile_texts_stay_texts(browser: Browser, hostile: Path, index: int) -> None:
    browser.open(hostile)
    browser.click("table.tasks a")
    browser.one(".explorer")
    browser.script("location.hash += arguments[0]", f"&doc={index}")
    browser.wait(lambda: browser.one(".detail h3").text == f"Document {index}")
    assert "taken" not in browser.script("return document.title").split(":")[0]
    assert browser.script("return document.images.length") == 0
    assert browser.script("return document.querySelectorAll('script').length") == 5
    assert browser.complaints() == []
    detail = browser.one(".detail").text
    if index == 0:
        assert ATTACK in detail
    if index == 1:
        assert r"\ud800" in detail
        assert r"\u202e" in detail
        assert r"\x00" in detail
    if index == 2:
        assert len(detail) < 60_000
        browser.click(".detail .more", "more characters")
        assert len(browser.one(".detail").text) > 60_000


def test_a_browser_that_cannot_unpack_says_so(browser: Browser, report: Path) -> None:
    added = browser.driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument", {"source": "delete globalThis.DecompressionStream"}
    )
    try:
        browser.open(report, "#task=rivers")
        assert browser.says("#trouble", "too old")
        assert len(browser.all("table.tasks tbody tr")) == 3
    finally:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def test_twenty_thousand_documents_have_few_rows(browser: Browser, tmp_path: Path) -> None:
    result = result_of("many", [choice_item(index, right=index % 2 > 0) for index in range(20_000)])
    run = write_made_run(tmp_path / ID, [record_of(result, None)])
    write_html(tmp_path / "report.html", run)
    browser.open(tmp_path / "report.html", "#task=many")
    assert browser.says(".matches", "20,000 of 20,000 documents")
    assert len(browser.script("return document.querySelectorAll('.row')")) < 60
    browser.one(".list").send_keys(Keys.END)
    assert browser.says(".detail", "Document 19999")
