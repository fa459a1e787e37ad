"""What happens only where a model was chosen: paths, catalogue, runner, progress, reports, scheduling."""

from __future__ import annotations

import pytest

from pytest_lmeval.backends.protocol import Backend
from pytest_lmeval.backends.registry import open_backend
from pytest_lmeval.collection import CollectionPlugin
from pytest_lmeval.errors import BackendError, LMEvalError
from pytest_lmeval.options import Settings
from pytest_lmeval.progress import Progress
from pytest_lmeval.reporting import ReportPlugin
from pytest_lmeval.runner import Runner
from pytest_lmeval.state import CATALOGUE, PROGRESS, RUNNER
from pytest_lmeval.tasks.catalogue import Catalogue
from pytest_lmeval.tasks.sources import open_sources
from pytest_lmeval.unused_baselines import UnusedBaselinesPlugin


def activate(config: pytest.Config, settings: Settings) -> None:
    """Put the runner in place and register the plugins that a run with a model needs."""
    model = settings.model
    assert model is not None
    progress = Progress(config)

    def open_model() -> Backend:
        try:
            with progress.loading(str(model)):
                return open_backend(model)
        except LMEvalError:
            raise
        except Exception as error:
            raise BackendError(f"{model} cannot be opened: {type(error).__name__}: {error}") from error

    config.stash[PROGRESS] = progress
    config.stash[RUNNER] = Runner(open_model, observe=progress.observe)
    config.stash[CATALOGUE] = Catalogue(open_sources(settings.task_sources, settings.task_paths))
    _add_task_paths(config, settings)
    config.pluginmanager.register(CollectionPlugin(config), "lmeval-collection")
    config.pluginmanager.register(ReportPlugin(config), "lmeval-report")
    config.pluginmanager.register(UnusedBaselinesPlugin(config), "lmeval-unused-baselines")
    if config.pluginmanager.hasplugin("xdist"):
        from pytest_lmeval.xdist import SchedulerPlugin

        config.pluginmanager.register(SchedulerPlugin(), "lmeval-xdist")


def _add_task_paths(config: pytest.Config, settings: Settings) -> None:
    """Collect the task folders also where the project's ``testpaths`` does not name them."""
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    given = [(config.rootpath / arg.split("::")[0]).resolve() for arg in config.args]
    for path in settings.task_paths:
        if path.is_dir() and not any(path.resolve().is_relative_to(root) for root in given):
            config.args.append(str(path))
