"""What happens only where a model was chosen: paths, catalogue, runners, progress, reports, scheduling."""

from __future__ import annotations

from functools import partial

import pytest

from pytest_lmeval.arms import BaselineArm
from pytest_lmeval.backends.protocol import Backend
from pytest_lmeval.backends.registry import open_backend
from pytest_lmeval.backends.spec import ModelSpec
from pytest_lmeval.baseline_sources import ArmPlugin
from pytest_lmeval.baselines.published import read_published
from pytest_lmeval.collection import CollectionPlugin
from pytest_lmeval.errors import BackendError, LMEvalError
from pytest_lmeval.judging import environment
from pytest_lmeval.options import Arm, Harness, Published, Settings
from pytest_lmeval.progress import Progress
from pytest_lmeval.recording import RunIdPlugin, name_run
from pytest_lmeval.reporting import ReportPlugin
from pytest_lmeval.runner import Runner
from pytest_lmeval.speed import SpeedPlugin
from pytest_lmeval.state import BASELINE_ARM, CATALOGUE, HARNESS, PROGRESS, PUBLISHED, RUNNER
from pytest_lmeval.tasks.catalogue import Catalogue
from pytest_lmeval.tasks.sources import open_sources
from pytest_lmeval.unused_baselines import UnusedBaselinesPlugin


def activate(config: pytest.Config, settings: Settings) -> None:
    """Put the runner in place and register the plugins that a run with a model needs.

    Raises BaselineError for a file of published scores that cannot be used.
    """
    model = settings.model
    assert model is not None
    name_run(config)
    progress = Progress(config)
    config.stash[PROGRESS] = progress
    config.stash[RUNNER] = Runner(partial(_open, model, progress), observe=progress.observe)
    config.stash[CATALOGUE] = Catalogue(open_sources(settings.task_sources, settings.task_paths))
    _add_task_paths(config, settings)
    _add_baseline(config, settings, progress)
    config.pluginmanager.register(CollectionPlugin(config), "lmeval-collection")
    if settings.gate.detect is not None:
        from pytest_lmeval.detection import DetectionPlugin

        config.pluginmanager.register(DetectionPlugin(), "lmeval-detection")
    if config.getoption("lm_plan"):
        from pytest_lmeval.planning import PlanPlugin

        config.pluginmanager.register(PlanPlugin(config), "lmeval-plan")
        return
    config.pluginmanager.register(ReportPlugin(config), "lmeval-report")
    _add_surfaces(config, settings)
    if settings.alerts.urls:
        from pytest_lmeval.alerting import AlertPlugin

        config.pluginmanager.register(AlertPlugin(config), "lmeval-alerts")
    config.pluginmanager.register(UnusedBaselinesPlugin(config), "lmeval-unused-baselines")
    config.pluginmanager.register(SpeedPlugin(config), "lmeval-speed")
    if config.pluginmanager.hasplugin("xdist"):
        from pytest_lmeval.xdist import SchedulerPlugin

        config.pluginmanager.register(RunIdPlugin(), "lmeval-run-id")
        config.pluginmanager.register(SchedulerPlugin(), "lmeval-xdist")


def _add_surfaces(config: pytest.Config, settings: Settings) -> None:
    """Add what CI shows of the run; of a run on workers the controller does."""
    if hasattr(config, "workerinput"):
        return
    if config.getoption("xmlpath", None):
        from pytest_lmeval.junit import JUnitPlugin

        config.pluginmanager.register(JUnitPlugin(config), "lmeval-junit")
    if settings.surfaces.github:
        from pytest_lmeval.github import GitHubPlugin

        config.pluginmanager.register(GitHubPlugin(config), "lmeval-github")
    if settings.surfaces.fine:
        from pytest_lmeval.exit_codes import ExitCodesPlugin

        config.pluginmanager.register(ExitCodesPlugin(), "lmeval-exit-codes")


def _open(model: ModelSpec, progress: Progress) -> Backend:
    try:
        with progress.loading(str(model)):
            return open_backend(model)
    except LMEvalError:
        raise
    except Exception as error:
        raise BackendError(f"{model} cannot be opened: {type(error).__name__}: {error}") from error


def _add_baseline(config: pytest.Config, settings: Settings, progress: Progress) -> None:
    """Put in place what the run is compared with, where that is not a folder of baselines."""
    match settings.baseline.against:
        case Published(path):
            config.stash[PUBLISHED] = read_published(path)
        case Harness(path):
            from pytest_lmeval.exchange.baselines import HarnessBaselines

            config.stash[HARNESS] = HarnessBaselines.open(path)
        case Arm(model):
            runner = Runner(partial(_open, model, progress), observe=partial(progress.observe, model=str(model)))
            arm = BaselineArm(str(model), runner, environment=environment, done=progress.pause)
            config.stash[BASELINE_ARM] = arm
            config.pluginmanager.register(ArmPlugin(arm), "lmeval-arm")


def _add_task_paths(config: pytest.Config, settings: Settings) -> None:
    """Collect the task folders also where the project's ``testpaths`` does not name them."""
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    given = [(config.rootpath / arg.split("::")[0]).resolve() for arg in config.args]
    for path in settings.task_paths:
        if path.is_dir() and not any(path.resolve().is_relative_to(root) for root in given):
            config.args.append(str(path))
