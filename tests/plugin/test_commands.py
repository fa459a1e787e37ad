"""Every command in the documentation is run, or is one of the few that cannot be here, with the reason.

Commands of pytest run in a project with small tasks of the names they ask for. Its model is ``fake``, in the place of
each that the pages name; the keys behind that name are read by the backend whose they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .commands import ROOT, Shown, shown_commands
from .project import Project

#: Pages whose commands another test runs, with the output that they show.
GUIDES = {
    "docs/writing-a-task.md": "test_guides.py",
    "docs/own-backend.md": "test_own_backend.py",
    "docs/walk.md": "test_walk.py",
    "docs/runs.md": "test_runs_guide.py",
    "docs/history.md": "test_runs_guide.py",
}

#: First words of what does not run here, and why. That what they name exists is checked below.
NOT_RUN = {
    "pip install": "fetches from an index",
    "make": "is the suite itself, or takes minutes",
    "export PYTEST_LMEVAL_NOTIFY": "names services of the reader's",
    "curl --fail": "speaks to GitLab",
}

#: The tasks that the pages ask for; in the project they are small ones of the same names.
TASKS = ("hella" + "swag", "arc" + "_easy", "gsm" + "8k", "demo")

ALL = sorted(set(shown_commands()))
PYTEST = [shown for shown in ALL if shown.words[0] == "pytest" and shown.page not in GUIDES]


@pytest.fixture
def filled(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Small tasks, and whatever the commands expect to lie there."""
    for name in TASKS:
        project.choice_task(name, range(4))
    return project


@pytest.mark.parametrize("page", sorted({shown.page for shown in PYTEST}))
def test_the_commands_of_a_page_run(filled: Project, page: str) -> None:
    for shown in PYTEST:
        if shown.page == page:
            run = filled.run(*arguments(shown))
            assert run.ret == 0, f"{shown.text}\n{run.stdout}\n{run.stderr}"
            run.stdout.fnmatch_lines(["lmeval: *model fake*"])


def arguments(shown: Shown) -> list[str]:
    return [_stood_in(word) for word in shown.words[1:]]


def _stood_in(word: str) -> str:
    """The same argument with ``fake`` for its model, once the keys behind the model's name have been read."""
    found = re.fullmatch(r"(?P<option>--lm-(?:model|baseline))=(?P<model>(?:\w+:.*|demo|fake|length.*))", word)
    if found is None:
        return word
    read_keys(found["model"])
    # Another seed is another model: as an arm it may not be the model under test.
    return f"{found['option']}=fake" + (":,seed=0" if found["option"].endswith("baseline") else "")


def read_keys(model: str) -> None:
    """Read the keys behind a model's name as its backend does; raises ModelSpecError for one that it lacks."""
    from pytest_lmeval.backends.registry import _options, _plugin
    from pytest_lmeval.backends.spec import ModelSpec

    spec = ModelSpec.parse(model)
    _options(spec, _plugin(spec))


def test_every_other_command_is_run_elsewhere_or_named_with_a_reason() -> None:
    others = [shown for shown in ALL if shown.words[0] != "pytest" and shown.page not in GUIDES]
    unknown = [shown for shown in others if not any(shown.text.startswith(first) for first in NOT_RUN)]
    assert unknown == []
    assert {first for first in NOT_RUN if not any(shown.text.startswith(first) for shown in others)} == set()


def test_the_other_tests_of_guides_are_there() -> None:
    for page, test in GUIDES.items():
        assert Path(page).stem in (Path(__file__).parent / test).read_text(encoding="utf-8")


def test_what_is_installed_can_be() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for name in _behind(r"pip install.*pytest-lmeval\[([\w,]+)\]"):
        assert set(name.split(",")) <= set(extras)


def test_what_is_made_can_be() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert set(_behind(r"make ([\w-]+)")) <= targets


def _behind(pattern: str) -> Iterator[str]:
    found = [match[1] for shown in ALL if (match := re.match(pattern, shown.text))]
    assert found
    yield from found
