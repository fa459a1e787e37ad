"""The backend of docs/own-backend.md works as it stands there."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from .guide import Command, File, steps
from .project import Project

GUIDE = Path(__file__).parents[2] / "docs" / "own-backend.md"


def test_the_backend_of_the_page(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.choice_task("rivers")
    files = {step.path: step.text for step in steps(GUIDE) if isinstance(step, File)}
    (command,) = [step for step in steps(GUIDE) if isinstance(step, Command)]
    _installed(project, files)
    monkeypatch.syspath_prepend(project.path / "installed")
    run = project.run(*command.arguments, "--lm-report=json:report.json")
    run.assert_outcomes(passed=1)
    assert project.report()["run"]["answered"]["info"]["details"]["per_letter"] == -0.5


def _installed(project: Project, files: dict[str, str]) -> None:
    """Lay the package out as an installer does, by its own pyproject.toml."""
    described = tomllib.loads(files["pyproject.toml"])["project"]
    lines = [f"{name} = {value}" for name, value in described["entry-points"]["pytest_lmeval.backends"].items()]
    folder = f"installed/length_backend-{described['version']}.dist-info"
    project.write("installed/own_backend.py", files["own_backend.py"])
    project.write(f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {described['name']}\nVersion: 1.0\n")
    project.write(f"{folder}/entry_points.txt", "[pytest_lmeval.backends]\n" + "\n".join(lines) + "\n")
