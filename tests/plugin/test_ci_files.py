"""docs/ci/: the files are valid by GitHub's and GitLab's schemas, and what they run is run here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from .project import Project

FOLDER = Path(__file__).parents[2] / "docs" / "ci"
GITHUB, GITLAB = FOLDER / "pytest-lmeval.yml", FOLDER / "gitlab-ci.yml"
MARKER = "<!-- pytest-lmeval:0123456789abcdef -->"


def github_step(job: str, name: str) -> dict[str, Any]:
    steps = yaml.safe_load(GITHUB.read_text(encoding="utf-8"))["jobs"][job]["steps"]
    return next(dict(step) for step in steps if step.get("name") == name)


def gitlab_script() -> str:
    return "\n".join(yaml.safe_load(GITLAB.read_text(encoding="utf-8"))["model-gate"]["script"])


@pytest.mark.parametrize(
    ("path", "schema"), [(GITHUB, "github-workflows"), (GITLAB, "gitlab-ci")], ids=["github", "gitlab"]
)
def test_they_are_valid(path: Path, schema: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", f"--builtin-schema=vendor.{schema}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_guides_example_calls_the_workflow_with_what_it_takes() -> None:
    [example] = re.findall(r"^```yaml\n(.*?)^```", (FOLDER / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    call = yaml.safe_load(example)["jobs"]["gate"]
    # YAML 1.1 reads a bare `on` as true.
    inputs = yaml.safe_load(GITHUB.read_text(encoding="utf-8"))[True]["workflow_call"]["inputs"]
    assert call["uses"] == f"./.github/workflows/{GITHUB.name}"
    assert call["with"].keys() <= inputs.keys()
    assert {name for name, given in inputs.items() if given.get("required")} <= call["with"].keys()


def test_every_option_exists(pytester: pytest.Pytester) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in FOLDER.iterdir())
    shown = pytester.runpytest("--help").stdout.str()
    assert set(re.findall(r"--lm-[a-z-]+", text)) <= set(re.findall(r"--lm-[a-z-]+", shown))
    variables = {f"--lm-{name.lower().replace('_', '-')}" for name in re.findall(r"PYTEST_LMEVAL_(\w+):", text)}
    assert variables <= set(re.findall(r"--lm-[a-z-]+", shown))


def shell(project: Project, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script as both systems do."""
    path = os.pathsep.join([str(project.path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=project.path,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_the_workflow_runs(project: Project) -> None:
    project.choice_task("rivers")
    step = github_step("gate", "evaluate")
    assert step["env"].keys() >= {"PYTEST_LMEVAL_MODEL", "PYTEST_LMEVAL_TASKS", "PYTEST_LMEVAL_BASELINE", "ARGUMENTS"}
    given = {"PYTEST_LMEVAL_MODEL": "fake", "PYTEST_LMEVAL_TASKS": "", "PYTEST_LMEVAL_BASELINE": ""}
    done = shell(project, step["run"], **given, ARGUMENTS="--lm-limit=4 --lm-seed=7")
    assert done.returncode == 0, done.stdout + done.stderr
    kept = {path.name for path in (project.path / "gate").iterdir()}
    assert kept >= {"junit.xml", "report.html", "report.md", "report.json"}
    assert "(n=4)" in project.read("gate/report.md")


def test_what_the_job_of_gitlab_runs(project: Project) -> None:
    project.choice_task("rivers")
    # As in CI, where a baseline must be there.
    done = shell(project, gitlab_script(), PYTEST_LMEVAL_MODEL="fake", CI="true")
    assert done.returncode == 21, done.stdout + done.stderr
    assert "<error" in project.read("gate/junit.xml")


# In place of GitHub's client: notes what it is asked, and finds a comment where there is one.
GH = """#!/usr/bin/env bash
echo "$@" >> asked.txt
case "$*" in *--paginate*) echo "$MARKER" > marker.txt; printf "$COMMENTS_FOUND" ;; esac
"""


@pytest.mark.parametrize(
    ("found", "asked"),
    [
        ("", "api --silent --method POST repos/o/r/issues/7/comments --field body=@gate/report.md"),
        ("41\n42\n", "api --silent --method PATCH repos/o/r/issues/comments/41 --field body=@gate/report.md"),
    ],
    ids=["first", "again"],
)
def test_the_comment_is_found_again(project: Project, found: str, asked: str) -> None:
    project.write("bin/gh", GH).chmod(0o755)
    project.write("gate/report.md", f"{MARKER}\n### Language model evaluation\n")
    places = {"COMMENTS": "repos/o/r/issues/7/comments", "COMMENT": "repos/o/r/issues/comments"}
    done = shell(project, github_step("comment", "comment")["run"], **places, COMMENTS_FOUND=found)
    assert done.returncode == 0, done.stderr
    assert project.read("asked.txt").splitlines()[-1] == asked
    assert project.read("marker.txt").strip() == MARKER


def test_no_input_is_part_of_a_script() -> None:
    jobs = yaml.safe_load(GITHUB.read_text(encoding="utf-8"))["jobs"]
    scripts = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert len(scripts) == 4
    assert not any("${{" in script for script in scripts)
    # What runs the model may not write.
    assert "permissions" not in jobs["gate"]
    assert jobs["comment"]["permissions"] == {"pull-requests": "write"}
