"""The pytest hooks, thin. Importing this module is what every pytest run of every user pays for.

Nothing here imports torch, transformers, datasets, numpy or jinja2; the modules that do are imported by the hooks
that run only where a model was chosen.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_lmeval.check import Judged
from pytest_lmeval.errors import SettingsError, UserError
from pytest_lmeval.fixtures import NO_MODEL, lm, lm_evaluate, lm_result, lm_runner, lm_verdict
from pytest_lmeval.options import CHANGED, UPDATE_BASELINE, add_options, read_settings
from pytest_lmeval.state import SETTINGS

if TYPE_CHECKING:
    from pytest_lmeval.collection import TaskFile

__all__ = ["lm", "lm_evaluate", "lm_result", "lm_runner", "lm_verdict"]

_SUFFIXES = (".yaml", ".yml")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the command line options and ini keys."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register this plugin's own hooks, so that a conftest.py may implement them whether a model is chosen or not."""
    from pytest_lmeval import newhooks

    pluginmanager.add_hookspecs(newhooks)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(args: list[str]) -> None:
    """Keep ``--lm-update-baseline`` from taking the path that follows it for its value."""
    args[:] = [f"{arg}={CHANGED}" if arg == UPDATE_BASELINE else arg for arg in args]


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Answer ``--lm-list``, ``--lm-preview`` and ``--lm-from-run`` in place of a test run.

    A plan is made in one process.
    """
    if config.getoption("lm_plan"):
        # Both are pytest-xdist's, whose own hook may come before this one or after it.
        config.option.numprocesses, config.option.dist, config.option.tx = 0, "no", []
    wanted, pattern, recorded = (config.getoption(name) for name in ("lm_preview", "lm_list", "lm_from_run"))
    if wanted is None and pattern is None and recorded is None:
        return None
    try:
        settings = read_settings(config)
        if recorded is not None:
            from pytest_lmeval.reopening import reopen

            return reopen(settings, recorded)
        if pattern is not None:
            from pytest_lmeval.listing import show_tasks

            return show_tasks(settings, pattern)
        from pytest_lmeval.preview import show_preview

        return show_preview(config, settings, wanted)
    except UserError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings; check the model's backend and keys before anything else happens."""
    config.addinivalue_line(
        "markers",
        "lmeval(task, limit=None, num_fewshot=None, gen_kwargs=None, seed=None, gate=None): evaluate a task on the "
        "model under test and judge it by the gate; every benchmark item carries this marker too",
    )
    try:
        settings = read_settings(config)
        if settings.model is not None:
            from pytest_lmeval.backends.registry import resolve_plugin

            for model in settings.models:
                resolve_plugin(model)
        config.stash[SETTINGS] = settings
        if settings.model is None and config.getoption("lm_plan"):
            raise SettingsError(
                "--lm-plan: give the model too, as in --lm-model=hf:gpt2. It is not opened, but its baselines and its "
                "speed are needed. What a task asks, --lm-preview shows without one"
            )
        if settings.model is not None:
            from pytest_lmeval.activation import activate

            activate(config, settings)
    except UserError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> TaskFile | None:
    """Collect task files below ``lm_task_paths``, and any that is named on the command line."""
    if file_path.suffix not in _SUFFIXES:
        return None
    settings = parent.config.stash[SETTINGS]
    named = parent.session.isinitpath(file_path)
    below = any(file_path.is_relative_to(root) for root in settings.task_paths)
    if not named and not (below and settings.model is not None):
        return None
    from pytest_lmeval.collection import TaskFile

    return TaskFile.from_parent(parent, path=file_path)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Tell who chose tasks or task files and no model that nothing will be asked."""
    settings = config.stash[SETTINGS]
    files = [arg for arg in config.args if arg.split("::")[0].endswith(_SUFFIXES)]
    if settings.model is None and (chosen := [*settings.tasks, *files]):
        return f"lmeval: not run: {', '.join(chosen)}\n  {NO_MODEL}"
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is marked ``lmeval`` where no model was chosen: its body would pass unjudged."""
    if config.stash[SETTINGS].model is not None:
        return
    skip = pytest.mark.skip(reason=NO_MODEL)
    for item in items:
        # Others are skipped by the fixture, which tells their line too.
        if item.get_closest_marker("lmeval") is not None and "lm_runner" not in getattr(item, "fixturenames", ()):
            item.add_marker(skip)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Judge a test marked ``lmeval`` after its own body has passed."""
    result = yield
    if "lm_verdict" in pyfuncitem.funcargs and pyfuncitem.get_closest_marker("lmeval") is not None:
        judged = pyfuncitem.funcargs["lm_verdict"]
        if isinstance(judged, Judged) and not judged.passed:
            pytest.fail(judged.explanation, pytrace=False)
    return result
