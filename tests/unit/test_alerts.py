"""Alerts: when they are due, what they say, and what becomes of them at servers that answer badly or not at all."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.alerts import sending
from pytest_lmeval.alerts.message import Message, message_of
from pytest_lmeval.alerts.outcome import Outcome, is_due
from pytest_lmeval.alerts.sending import send
from pytest_lmeval.errors import SettingsError
from pytest_lmeval.history.previous import previous_outcome
from pytest_lmeval.history.remembering import remember
from pytest_lmeval.options.alerts import AlertSettings, NotifyOn, read_alert_settings
from pytest_lmeval.runs.run import Run

from .alert_server import SILENT, AlertServer, listening
from .recorded_runs import made_run

MESSAGE = Message(title="demo: FAILED (1 of 3 tasks failed)", body="rivers: regressed", failed=True)
SECRETS = ("s3cret", "pa55word", "someone", "127.0.0.1")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return made_run(tmp_path_factory.mktemp("runs") / "20260802-101500-ab12")


@pytest.fixture
def server() -> Iterator[AlertServer]:
    with listening() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_PAUSE", 0.01)


def outcome(*failing: str, failed: bool | None = None) -> Outcome:
    return Outcome(run="before", failing=frozenset(failing), failed=bool(failing) if failed is None else failed)


@pytest.mark.parametrize(
    ("now", "then", "due"),
    [
        (outcome(), None, "always"),
        (outcome("a"), None, "change failure always"),
        (outcome(), outcome(), "always"),
        (outcome("a"), outcome("a"), "failure always"),
        (outcome("a"), outcome(), "change failure always"),
        (outcome(), outcome("a"), "change always"),
        (outcome("a", "b"), outcome("a"), "change failure always"),
        # No task fails, and all together do.
        (outcome(failed=True), outcome(), "change failure always"),
    ],
)
def test_when_an_alert_is_due(now: Outcome, then: Outcome | None, due: str) -> None:
    assert [on.value for on in NotifyOn if is_due(on, now, then)] == due.split()


def test_what_an_alert_says(run: Run) -> None:
    url = "https://ci.example/acme/runs/17"
    facts = replace(run.facts, origin=replace(run.facts.origin, url=url))
    message = message_of(replace(run, facts=facts), outcome("sums"))
    assert message.title == "demo: FAILED (1 of 3 tasks failed)"
    assert message.body.splitlines() == [
        "newly failing: rivers",
        "no longer failing: sums",
        "rivers: regressed, acc 0.6667, baseline 1.0000 (-33.33 points, n = 60)",
        url,
        "run 20260802-101500-ab12, commit 91ab3f091a on main",
    ]
    passed = replace(run, rows=tuple(row for row in run.rows if row.passed), suite=None)
    assert message_of(passed, None).title == "demo: passed (2 tasks)"


def test_the_worst_five_are_told(run: Run) -> None:
    rivers = next(row for row in run.rows if row.task == "rivers")
    drops = {f"task{number}": -number / 10 for number in range(1, 8)}
    rows = [replace(rivers, task=name, difference=drop) for name, drop in drops.items()]
    rows.append(replace(rivers, task="broken", verdict="error", metric="", difference=None, baseline=None))
    told = message_of(replace(run, rows=tuple(rows)), None).body.splitlines()
    assert [line.split(":")[0] for line in told[:6]] == ["broken", "task7", "task6", "task5", "task4", "and 3 more"]


def test_names_mention_nobody_and_answers_are_not_told(run: Run) -> None:
    hostile = "<!channel> @everyone [x](http://evil) `a`\n\x1b[31m" + "x" * 500
    rows = tuple(replace(row, task=hostile, reason=hostile, explanation=hostile, passed=False) for row in run.rows)
    facts = replace(
        run.facts, model=hostile, origin=replace(run.facts.origin, branch=hostile, url="javascript:alert(1)")
    )
    message = message_of(replace(run, rows=rows, facts=facts), outcome())
    text = f"{message.title}\n{message.body}"
    assert not set("<>@!`\x1b|*") & set(text)
    assert "javascript" not in text
    assert "Nile" not in text
    assert len(text) < 1500


def test_an_alert_arrives(server: AlertServer) -> None:
    assert send([server.url(), server.url("other")], MESSAGE) == []
    assert len(server.got) == 2
    assert (server.got[0]["title"], server.got[0]["message"]) == (MESSAGE.title, MESSAGE.body)
    assert server.got[0]["type"] == "failure"


@pytest.mark.parametrize(
    ("answers", "asked", "told"),
    [
        ([429, 200], 2, None),
        ([500, 200], 2, None),
        ([503, 429], 2, "the server answered 429, twice"),
        ([404], 1, "the server answered 404"),
    ],
)
def test_a_server_that_refuses(server: AlertServer, answers: list[int], asked: int, told: str | None) -> None:
    server.answers = answers
    problems = send([server.url()], MESSAGE)
    assert len(server.got) == asked
    assert problems == ([] if told is None else [f"alert 1 of 1 (JSON) was not sent: {told}"])


def test_a_server_that_says_nothing_is_not_waited_for_and_keeps_no_other_from_being_told(server: AlertServer) -> None:
    server.answers = [SILENT]
    with listening() as other:
        problems = send([f"{server.url()}?rto=60", other.url()], MESSAGE, limit=0.5)
        assert len(other.got) == 1
    assert problems == ["alert 1 of 2 (JSON) was not sent: no answer within 0.5 s"]


def test_what_is_not_there_or_none_that_is_known(server: AlertServer) -> None:
    with listening() as gone:
        url = gone.url()
    problems = send([url, "nonsense://token-s3cret", server.url()], MESSAGE)
    assert problems == [
        "alert 1 of 3 (JSON) was not sent: it could not be reached",
        "alert 2 of 3 (unknown service) was not sent: its URL is none that Apprise knows",
    ]
    assert len(server.got) == 1


def test_no_log_has_a_secret(server: AlertServer, caplog: pytest.LogCaptureFixture) -> None:
    server.answers = [404]
    with (
        caplog.at_level(logging.DEBUG),
        caplog.at_level(logging.DEBUG, "urllib3"),
        caplog.at_level(logging.DEBUG, "apprise"),
    ):
        problems = send([server.url(), f"slack://{'T' * 9}/{'B' * 9}/token-s3cret"], MESSAGE)
    assert [problem.rpartition(": ")[2] for problem in problems] == [
        "the server answered 404",
        "its URL is none that Apprise knows",
    ]
    told = "\n".join([caplog.text, *problems])
    assert not any(secret in told for secret in SECRETS)


def test_without_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(SettingsError, match=r"pip install 'pytest-lmeval\[notify\]'"):
        send(["json://localhost"], MESSAGE)


def given(**values: Any) -> dict[str, Any]:
    return {"notify": None, "notify-on": None} | {name.replace("_", "-"): value for name, value in values.items()}


def test_options() -> None:
    several = "json://a/x?to=1,2, slack://b/c\nmailto://d:e@f?to=g,h"
    urls = ("json://a/x?to=1,2", "slack://b/c", "mailto://d:e@f?to=g,h")
    assert read_alert_settings(given(notify=several)).urls == urls
    settings = read_alert_settings(given(notify=[several, "json://z"], notify_on="always"))
    assert (settings.urls, settings.on) == ((*urls, "json://z"), NotifyOn.ALWAYS)
    assert read_alert_settings(given()) == AlertSettings()
    assert "json" not in repr(settings)
    with pytest.raises(SettingsError, match="one of those given has no scheme") as error:
        read_alert_settings(given(notify=["s3cret"]))
    assert "s3cret" not in str(error.value)
    with pytest.raises(SettingsError, match="--lm-notify-on=never: expected change, failure, always"):
        read_alert_settings(given(notify_on="never"))


def test_the_run_before_is_of_the_same_model_tasks_and_branch(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "history.db"

    def later(number: int, *, branch: str | None = "main", **changes: Any) -> Run:
        origin = replace(run.facts.origin, branch=branch)
        facts: dict[str, Any] = {"id": f"run-{number}", "started": run.facts.started + number, "origin": origin}
        return replace(run, facts=replace(run.facts, **(facts | changes)))

    remember(later(0), path)
    passing = tuple(replace(row, passed=True) for row in run.rows)
    remember(replace(later(1), rows=passing, suite=None), path)
    remember(later(2, branch="fix"), path)
    remember(later(3, model="other"), path)
    remember(replace(later(4), rows=run.rows[:1]), path)
    remember(later(5), path)
    assert previous_outcome(later(5), path) == Outcome(run="run-1", failing=frozenset(), failed=False)
    assert previous_outcome(later(1), path) == Outcome(run="run-0", failing=frozenset({"rivers"}), failed=True)
    assert previous_outcome(later(9, branch="new"), path) is None
    assert previous_outcome(later(9, branch=None), path) is None
