"""What must hold of this repository: its own command line, its task files, its wheel."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pytest_lmeval.tasks.catalogue import Catalogue
from pytest_lmeval.tasks.groups import Group
from pytest_lmeval.tasks.sources import builtin_tasks
from pytest_lmeval.tasks.yaml_loader import read_task_file

ROOT = Path(__file__).parents[2]
TASK_FILES = sorted((ROOT / "tasks").rglob("*.yaml"))


# In two parts: a test whose name or parameter held the word would be selected too.
WORD = "hella" + "swag"


def selected(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What the first command of the documentation selects."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "--lm-model=fake", "-k", WORD]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def test_the_first_command_of_the_documentation_selects_one_item() -> None:
    run = selected({})
    assert run.returncode == 0, run.stdout
    assert re.findall(r"<TaskItem (.*)>", run.stdout) == [WORD]
    # No test of this suite is called after it.
    assert re.search(r"\b1/\d+ tests collected", run.stdout)
    assert "left out" not in run.stdout


def test_it_does_so_without_lm_eval(tmp_path: Path) -> None:
    # A module of that name hides the package.
    (tmp_path / "lm_eval.py").touch()
    run = selected({"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])})
    assert run.returncode == 0, run.stdout
    assert re.findall(r"<TaskItem (.*)>", run.stdout) == [WORD]
    assert re.search(r"^without lm-eval \d+ task files are left out: pip install lm-eval==", run.stdout, re.MULTILINE)


def test_every_shipped_task_file_can_be_used() -> None:
    assert builtin_tasks() == ROOT / "tasks"
    catalogue = Catalogue([ROOT / "tasks"])
    names = []
    for path in TASK_FILES:
        document = read_task_file(path)
        if document is not None:
            target = catalogue.load(document)
            names.append(target.spec.group if isinstance(target, Group) else target.task)
    assert catalogue.broken == []
    assert len(names) == len(set(names)) > 60


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (path,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(path).namelist())


def test_the_wheel_carries_the_tasks(wheel: set[str]) -> None:
    shipped = [path for path in (ROOT / "tasks").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    missing = {f"pytest_lmeval/builtin/{path.relative_to(ROOT / 'tasks')}" for path in shipped} - wheel
    assert not missing


def test_the_wheel_carries_the_package_and_nothing_else(wheel: set[str]) -> None:
    assert {f"pytest_lmeval/{name}" for name in ("py.typed", "plugin.py", "schema/task.schema.json")} <= wheel
    assert {name.split("/")[0].split("-")[0] for name in wheel} == {"pytest_lmeval"}
    assert not [name for name in wheel if "tests/" in name or "/test_" in name or name.endswith(".pyc")]
