"""docs/hooks.md: its example for MLflow, run as it stands, with MLflow's own file store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .guide import File, steps
from .project import Project

GUIDE = Path(__file__).parents[2] / "docs" / "hooks.md"


def test_the_example_for_mlflow(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.everything()
    [example] = [step for step in steps(GUIDE) if isinstance(step, File)]
    project.write(example.path, example.text)
    store = project.path / "mlruns"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{store}")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("PYTHONPATH", str(project.path / "site"), prepend=os.pathsep)
    # In a process of its own: what it imports cannot be imported twice.
    result = project.pytester.runpytest_subprocess("--lm-model=pupil,knows=3")
    result.assert_outcomes(passed=5)
    assert "pytest_lmeval_run_finished" not in result.stdout.str()
    [metric] = store.glob("0/*/metrics/rivers/acc")
    assert metric.read_text(encoding="utf-8").split()[1] == "0.3"
    kept = metric.parents[2]
    assert (kept / "params" / "model").read_text(encoding="utf-8") == "pupil,knows=3"
    assert (kept / "tags" / "verdict.rivers").read_text(encoding="utf-8") == "no-baseline"
    assert len(list(store.glob("0/*/metrics/*/*"))) == 5
