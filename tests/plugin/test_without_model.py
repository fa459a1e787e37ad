"""What the plugin does, and what it leaves alone, in the runs where no model was chosen."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .conftest import Run
from .project import Project

REASON = "no model under test: choose one with --lm-model=BACKEND:NAME*"
HEAVY = ("torch", "transformers", "datasets", "vllm", "openai", "numpy", "jinja2", "pandas", "pyarrow", "yaml")


def test_tasks_are_not_collected(project: Project, run: Run) -> None:
    project.everything()
    project.python("def test_own(): pass")
    result = run("--junitxml=junit.xml")
    result.assert_outcomes(passed=1)
    assert list(project.junit()) == ["test_own"]
    assert "lmeval:" not in result.stdout.str()


def test_a_named_file_says_why_it_does_not_run(project: Project, run: Run) -> None:
    project.everything()
    result = run("-rs", "tasks/rivers.yaml", "tasks/waters/waters.yaml")
    result.assert_outcomes(skipped=4)
    result.stdout.fnmatch_lines([f"SKIPPED *tasks/rivers.yaml:1: {REASON}"])


def test_the_header_says_so_where_skips_are_not_listed(project: Project, run: Run) -> None:
    project.everything()
    result = run("tasks/rivers.yaml", "--lm-tasks=sums")
    lines = ["lmeval: not run: sums, tasks/rivers.yaml", f"  {REASON}"]
    result.stdout.fnmatch_lines(lines)
    assert all(len(line) <= 80 for line in result.stdout.lines if "no model under test" in line)


def test_a_named_file_with_a_mistake_is_an_error(project: Project) -> None:
    project.write("tasks/broken.yaml", "task: t\nnum_fewshot: several\n")
    project.run("tasks/broken.yaml").stdout.fnmatch_lines(["tasks/broken.yaml:2: num_fewshot: *"])


@pytest.mark.parametrize(
    "test",
    [
        "def test_own(lm): lm.generate_until(['a'])",
        "def test_own(lm_evaluate): lm_evaluate('rivers')",
        "def test_own(lm_result): pass",
        "@pytest.mark.lmeval('rivers')\ndef test_own(lm_result): pass",
        # Its body asks for nothing: without a skip it would pass, unjudged.
        "@pytest.mark.lmeval('rivers', gate={'acc': 0.9})\ndef test_own(): pass",
        "@pytest.mark.lmeval('rivers')\nclass TestOwn:\n    def test_own(self): pass",
    ],
    ids=["lm", "evaluate", "result", "mark-and-result", "mark", "class"],
)
def test_tests_of_the_model_are_skipped(project: Project, test: str) -> None:
    project.choice_task("rivers")
    project.python(test)
    result = project.run("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([f"SKIPPED *test_own.py*: {REASON}"])


def test_nothing_heavy_is_imported(project: Project) -> None:
    # Asked of sys.modules: `-X importtime` does not see what importlib.import_module imports.
    project.python("def test_own(): pass")
    script = "import pytest, sys; code = pytest.main(['-q']); print(*sys.modules, sep='\\n'); sys.exit(code)"
    run = subprocess.run([sys.executable, "-c", script], cwd=project.path, capture_output=True, text=True, check=False)
    assert run.returncode == 0
    imported = set(run.stdout.splitlines())
    assert "pytest_lmeval.plugin" in imported
    assert not imported & set(HEAVY)
    assert not {name for name in imported if name.startswith("pytest_lmeval.backends.hf")}
