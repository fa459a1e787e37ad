"""The project that a test works on, and the three ways in which it runs it."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest

from .project import Project, install_pupil, worker_variables

Run = Callable[..., pytest.RunResult]

WAYS = {"serial": (), "workers": ("-n", "2"), "without-xdist": ("-p", "no:xdist")}


@pytest.fixture(scope="session")
def _imported() -> None:
    # Pytester forgets the modules that a run in this process imported: each run would import them again.
    # Of numpy the lazy parts too: a compiled module cannot be loaded twice.
    for name in (
        "datasets",
        # Its pytest plugin imports this at the end of each run.
        "hypothesis.internal.observability",
        "jinja2",
        "numpy.fft",
        "scipy.special",
        # They register what can be registered once.
        "psycopg",
        "sqlalchemy.dialects.postgresql.psycopg",
        "alembic.command",
        "apprise",
        "pytest_lmeval.history.previous",
        "pytest_lmeval.history.remembering",
        "pytest_lmeval.alerts.sending",
        "pytest_lmeval.activation",
        "pytest_lmeval.evaluating",
        "pytest_lmeval.planning",
    ):
        importlib.import_module(name)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, _imported: None) -> Project:
    """An empty project where the backends ``fake`` and ``pupil`` exist."""
    for name in list(worker_variables()):
        monkeypatch.delenv(name)
    # Wide, so that no line that is looked for is cut.
    monkeypatch.setenv("COLUMNS", "200")
    project = Project(pytester)
    install_pupil(project, monkeypatch)
    return project


@pytest.fixture(params=WAYS)
def run(request: pytest.FixtureRequest, project: Project) -> Run:
    """``run(*args)``: serial, on two workers, and without xdist; the same must hold in each."""
    way = WAYS[request.param]
    return lambda *args: project.run(*way, *args)
