"""The commands of docs/runs.md and docs/history.md, on runs that were recorded before."""

from __future__ import annotations

import pytest

from pytest_lmeval.cli.main import main

from .commands import Shown, shown_commands
from .project import Project
from .test_commands import arguments

PAGES = ("docs/runs.md", "docs/history.md")
OURS = ("python", "-m", "pytest_lmeval")

#: First words of what does not run here, and why.
NOT_RUN = {
    "lm_eval": "needs a hub; tests/conformance/test_exchange.py runs it on models and data that are here",
    "pytest --lm-model=hf:./candidate": "reads what that wrote, and is run by the same test",
    "export": "names a server of the reader's; tests/unit/test_history_database.py has one",
    "pip install": "fetches from an index",
    "zcat": "needs jq",
}


@pytest.fixture
def recorded(project: Project) -> Project:
    """Two runs of the days that the pages name."""
    project.choice_task("rivers")
    for day in ("20261128", "20261129"):
        project.run("--lm-model=fake").assert_outcomes(passed=1)
        runs = project.path / ".lmeval" / "runs"
        (made,) = (folder for folder in runs.glob("*-*-*") if not folder.name.endswith("-aaaa"))
        made.rename(runs / f"{day}-101500-aaaa")
    return project


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page(recorded: Project, page: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = commands(page)
    assert shown
    for command in shown:
        if command.words[:3] == OURS:
            assert main([word.replace("hf:gpt2", "fake") for word in command.words[3:]]) == 0, command.text
            assert capsys.readouterr().out.strip(), command.text
        else:
            assert recorded.run(*arguments(command)).ret == 0, command.text


def test_what_is_not_run_is_there() -> None:
    texts = [shown.text for shown in shown_commands() if shown.page in PAGES]
    assert {first for first in NOT_RUN if not any(text.startswith(first) for text in texts)} == set()


def commands(page: str) -> list[Shown]:
    # By the alphabet: what is exported is there to be imported.
    found = sorted({shown for shown in shown_commands() if shown.page == page})
    return [shown for shown in found if not shown.text.startswith(tuple(NOT_RUN))]
