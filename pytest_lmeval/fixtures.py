"""The fixtures: the model, a task's result, its verdict. Nothing heavy is imported until one is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from pytest_lmeval.errors import BackendError, UserError
from pytest_lmeval.state import BASELINE_ARM, PROGRESS, RUNNER

if TYPE_CHECKING:
    from pytest_lmeval.check import Judged
    from pytest_lmeval.language_model import LanguageModel
    from pytest_lmeval.results import TaskResult
    from pytest_lmeval.runner import Runner
    from pytest_lmeval.scores import EvaluationResult

NO_MODEL = "no model under test: choose one with --lm-model=BACKEND:NAME, as in hf:gpt2"


@pytest.fixture(scope="session")
def lm_runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    """Evaluates tasks on the model under test; skips where none was chosen. Closes the model at the end.

    Where the baseline is another model, that one is asked now, before the model under test is opened.
    """
    runner = request.config.stash.get(RUNNER, None)
    if runner is None:
        pytest.skip(NO_MODEL)
    arm = request.config.stash.get(BASELINE_ARM, None)
    with closing(runner), nullcontext() if arm is None else closing(arm):
        if arm is not None:
            arm.ask()
        yield runner


@pytest.fixture
def lm(lm_runner: Runner, request: pytest.FixtureRequest) -> LanguageModel:
    """The model under test, for free-form tests: ``loglikelihood``, ``generate_until``, ``loglikelihood_rolling``.

    ``lm.backend`` is the backend itself.
    """
    from pytest_lmeval.language_model import LanguageModel

    return LanguageModel(lm_runner, request.node.name, answered=request.config.stash[PROGRESS].pause)


@pytest.fixture
def lm_evaluate(lm_runner: Runner, request: pytest.FixtureRequest) -> Callable[..., EvaluationResult]:
    """Evaluate a task by name: ``lm_evaluate("gsm8k", limit=200)["exact_match,strict-match"]``.

    Keywords: ``limit`` (documents, share or ``first:N``), ``num_fewshot``, ``gen_kwargs``, ``seed``.
    """

    def evaluate(task: str, **changes: Any) -> EvaluationResult:
        __tracebackhide__ = True
        from pytest_lmeval.evaluating import evaluate_named

        with told_plainly(request.config):
            return evaluate_named(request, lm_runner, task, changes)

    return evaluate


@pytest.fixture
def lm_result(lm_runner: Runner, request: pytest.FixtureRequest) -> TaskResult:
    """The result of the item's own task: of a benchmark item, or of ``@pytest.mark.lmeval("task")``."""
    from pytest_lmeval.evaluating import evaluate_item

    with told_plainly(request.config):
        return evaluate_item(request.node, lm_runner)


@pytest.fixture
def lm_verdict(lm_result: TaskResult, lm_runner: Runner, request: pytest.FixtureRequest) -> Judged:
    """The gate's verdict on ``lm_result``; records the baseline where that was asked for.

    A result that cannot be judged (no baseline where one is required, other prompts than the baseline's) is
    an error of the setup, not a failure of the test.
    """
    from pytest_lmeval.judging import judge_item

    with told_plainly(request.config):
        return judge_item(request, lm_result, lm_runner)


@contextmanager
def told_plainly(config: pytest.Config) -> Iterator[None]:
    """Show mistakes of the user's and failures of the model by their text; ``--full-trace`` shows the rest."""
    __tracebackhide__ = True
    try:
        yield
    except (UserError, BackendError) as error:
        if config.getoption("fulltrace"):
            raise
        from pytest_lmeval.collection import describe

        # Not pytest.fail(): it would show the error twice, the second time as its own cause.
        raise pytest.fail.Exception(describe(error, config.rootpath), pytrace=False) from None
    finally:
        config.stash[PROGRESS].pause()
