"""The top of the page: which model, the verdict on the run, and everything that made its numbers."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from pytest_lmeval.gate.suite import SuiteStatus
from pytest_lmeval.report.html.overview import badge_html
from pytest_lmeval.report.html.text import shown
from pytest_lmeval.report.html.verdicts import BAD, GOOD, WARN, Badge, badge_of, badness
from pytest_lmeval.report.progress import format_duration
from pytest_lmeval.runs.run import Run, RunFacts


def header(run: Run) -> str:
    """Make the header."""
    facts = run.facts
    against = f'<p class="against">compared with <bdi>{shown(facts.against)}</bdi></p>' if facts.against else ""
    sentences = "".join(f"<li>{shown(sentence)}</li>" for sentence in (run.suite.sentences if run.suite else ()))
    return (
        f'<h1><bdi>{shown(facts.model)}</bdi></h1>{against}<p class="when">{shown(_when(run))}</p>'
        f'<div class="verdict {_badge(run).tone}"><p>{badge_html(_badge(run))} <span>{shown(_counts(run))}</span></p>'
        f"{f'<ul>{sentences}</ul>' if sentences else ''}</div>{_details(facts)}"
    )


def title(run: Run) -> str:
    """Name the page: what happened, to which model."""
    return f"{_badge(run).word}: {run.facts.model}"


def _badge(run: Run) -> Badge:
    if run.failed:
        return Badge(word="Failed", tone=BAD)
    suspect = run.suite is not None and run.suite.status is SuiteStatus.SUSPECT
    warned = suspect or any(badge_of(row.verdict, passed=row.passed).tone == WARN for row in run.rows)
    return Badge(word="Passed, with warnings", tone=WARN) if warned else Badge(word="Passed", tone=GOOD)


def _counts(run: Run) -> str:
    """Count the verdicts, worst first; of a group's tasks and of the group alike, as the terminal does."""
    words = [badge_of(row.verdict, passed=row.passed).word for row in sorted(run.rows, key=badness)]
    return ", ".join(f"{count:,} {word.lower()}" for word, count in Counter(words).items())


def _when(run: Run) -> str:
    leaves = [row for row in run.rows if not row.members]
    started = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(run.facts.started))
    tasks = f"{len(leaves):,} task{'s' * (len(leaves) != 1)}"
    documents = sum(row.n for row in leaves)
    return " · ".join([started, format_duration(run.facts.seconds), tasks, f"{documents:,} documents"])


def _details(facts: RunFacts) -> str:
    command = shlex.join(facts.command)
    return (
        '<details class="facts"><summary>About this run</summary>'
        f'<p class="command"><code id="command" tabindex="0">{shown(command)}</code>'
        '<button type="button" data-copies="command" hidden>Copy</button></p>'
        f'<div class="columns"><div><h2>Run</h2>{_list(_run_facts(facts))}</div>'
        f"<div><h2>Environment</h2>{_list(_plain(facts.environment))}</div></div></details>"
    )


def _list(facts: Iterator[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{shown(name)}</dt><dd>{value}</dd>" for name, value in facts) + "</dl>"


def _run_facts(facts: RunFacts) -> Iterator[tuple[str, str]]:
    """Yield names and values, the values as HTML."""
    yield "run", shown(facts.id)
    if facts.answered is not None:
        yield from _plain(_without_parts(facts.answered.info))
        yield from _plain(_without_parts(facts.answered.info.get("details") or {}))
    yield from _plain(_without_parts(facts.options))
    origin = facts.origin
    yield from _plain({"commit": origin.commit, "branch": origin.branch, "pull request": origin.change})
    if origin.url:
        yield "CI job", _link(origin.url)


def _without_parts(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not isinstance(value, Mapping)}


def _plain(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if value is not None and value != "":
            told = f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value).replace("True", "yes")
            yield name.replace("_", " "), f"<bdi>{shown(told)}</bdi>"


def _link(url: str) -> str:
    """Make a link of an address of the web: what CI's variables say may be anything."""
    if urlsplit(url).scheme not in ("http", "https"):
        return shown(url)
    return f'<a href="{shown(url)}" rel="noopener noreferrer">{shown(url)}</a>'
