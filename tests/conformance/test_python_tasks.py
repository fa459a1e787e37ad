"""Tasks that are Python classes: the same requests and metrics as in lm-evaluation-harness."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import datasets
import pytest

from pytest_lmeval.backends.fake import FakeBackend
from pytest_lmeval.backends.protocol import Conversation, GenerationRequest, LoglikelihoodRequest, Request
from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.results import Flaw, TaskResult
from pytest_lmeval.runner import Runner
from pytest_lmeval.tasks.limits import Limit
from pytest_lmeval.tasks.options import EvaluationOptions, PromptOptions
from pytest_lmeval.tasks.python_tasks import PythonEvaluation
from pytest_lmeval.tasks.spec import TaskSpec, parse_task
from pytest_lmeval.tasks.yaml_loader import read_task_file

ROWS = [{"text": f" Item {n} is called", "value": f"name{n} ", "kind": n % 3} for n in range(9)]
SPLITS = ("train", "validation", "test")

# Both operations of one document, examples from a pool, and metrics with and without a mean.
OWN = """
import numpy as np
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask


class Own(ConfigurableTask):
    VERSION = 7
    DATASET_PATH = "made/up"

    def __init__(self, config=None):
        super().__init__(config={"metadata": {"version": self.VERSION}, "num_fewshot": 2, "description": "Names. "})

    def has_training_docs(self):
        return True

    def has_validation_docs(self):
        return False

    def has_test_docs(self):
        return True

    def training_docs(self):
        return self.dataset["train"]

    def test_docs(self):
        return self.dataset["test"]

    def doc_to_text(self, doc, doc_to_text=None):
        return doc["text"]

    def doc_to_target(self, doc, doc_to_target=None):
        return doc["value"].strip()

    def construct_requests(self, doc, ctx, chat_template=None, apply_chat_template=False, **kwargs):
        write = Instance("generate_until", doc, (ctx, {"until": [" "], "max_gen_toks": 5}), 1, **kwargs)
        score = Instance("loglikelihood", doc, (ctx, " nothing"), 0, **kwargs)
        return [write, score]

    def process_results(self, doc, results):
        (logprob, greedy), text = results
        return {"nothing": logprob, "length": len(text), "pair": (len(text), doc["kind"])}

    def aggregation(self):
        return {"nothing": np.mean, "length": max, "pair": lambda pairs: sum(a * b for a, b in pairs)}

    def higher_is_better(self):
        return {"nothing": False, "length": True, "pair": True}
"""


def nats(context: str, continuation: str) -> float:
    return -(sum(map(ord, context + continuation)) % 1000) / 100


def text(context: str) -> str:
    return f"name{len(context) % 4}"


def parsed(path: Path) -> TaskSpec:
    document = read_task_file(path)
    assert document is not None
    return parse_task(document)


def write_own(folder: Path, code: str = OWN) -> Path:
    (folder / "own.py").write_text(code, encoding="utf-8")
    path = folder / "own.yaml"
    path.write_text("task: own\n\nclass: !function own.Own\n", encoding="utf-8")
    return path


def write_rows(folder: Path) -> None:
    folder.mkdir(parents=True)
    for split in SPLITS:
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")


@pytest.fixture(params=["own", "squad_completion"])
def task(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[TaskSpec, Path]:
    """A task of our own making and one of the catalogue, with their documents."""
    lm_eval = pytest.importorskip("lm_eval", reason="the oracle, lm-eval==0.4.13, is not installed")
    data = tmp_path / "data"
    if request.param == "own":
        write_rows(data / "made" / "up" / "default")
        return parsed(write_own(tmp_path)), data
    write_rows(data / "hazyresearch" / "based-squad" / "default")
    catalogue = Path(lm_eval.__file__).parent / "tasks"
    return parsed(catalogue / "squad_completion" / "squad_completion.yaml"), data


def oracle(spec: TaskSpec) -> Any:
    """Build the task as lm-eval does."""
    from lm_eval.tasks._yaml_loader import load_yaml

    splits = datasets.DatasetDict({name: datasets.Dataset.from_list(ROWS) for name in SPLITS})
    with mock.patch.object(datasets, "load_dataset", return_value=splits):
        built = load_yaml(spec.path, resolve_func=True)["class"]()
    built.config.task = spec.task
    built.set_config("num_fewshot", built.config.num_fewshot or 0)
    built.set_fewshot_seed(seed=1234)
    return built


def run(spec: TaskSpec, data: Path, **options: Any) -> tuple[TaskResult, list[Request]]:
    backend = FakeBackend(loglikelihood=nats, generate=lambda context, settings: text(context))
    runner = Runner(lambda: backend)
    return runner.evaluate(spec, EvaluationOptions(data_dir=data, **options)), backend.asked


def arguments(request: Request) -> tuple[Any, ...]:
    if isinstance(request, LoglikelihoodRequest):
        return request.context, request.continuation
    assert isinstance(request, GenerationRequest)
    return request.context, list(request.settings.until), request.settings.max_tokens


def answered(built: Any) -> Iterator[tuple[Any, ...]]:
    """Answer lm-eval's instances as the fake model does, and yield what was asked."""
    for instance in built.instances:
        if instance.request_type == "loglikelihood":
            instance.resps = [(nats(*instance.args), False)]
            yield instance.args
        else:
            context, kwargs = instance.args
            instance.resps = [text(context)]
            yield context, kwargs["until"], kwargs["max_gen_toks"]


def test_requests_and_metrics_are_the_references(task: tuple[TaskSpec, Path]) -> None:
    spec, data = task
    result, asked = run(spec, data)
    built = oracle(spec)
    built.build_all_requests()
    assert sorted(map(arguments, asked), key=repr) == sorted(answered(built), key=repr)
    built.apply_filters()
    rows: dict[int, list[Any]] = {}
    for instance in built.instances:
        rows.setdefault(instance.doc_id, []).append(instance)
    scored = [
        built.process_results(ROWS[i], [x.filtered_resps["none"] for x in sorted(group, key=lambda x: int(x.idx))])
        for i, group in rows.items()
    ]
    for name, aggregate in built.aggregation().items():
        metric = result.metric(name)
        assert metric.value == float(aggregate([row[name] for row in scored]))
        assert metric.higher_is_better is built.higher_is_better()[name]
    assert (result.n, result.total, len(result.items)) == (9, 9, 9)
    assert result.settings.version == str(built.VERSION)


def test_a_sample_is_asked_as_in_the_whole(task: tuple[TaskSpec, Path]) -> None:
    spec, data = task
    whole = {item.index: item.prompt_hash for item in run(spec, data)[0].items}
    sample = {item.index: item.prompt_hash for item in run(spec, data, limit=Limit.parse(3))[0].items}
    assert len(sample) == 3
    assert sample.items() <= whole.items()


def test_a_document_that_was_not_answered_is_left_out(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="the oracle, lm-eval==0.4.13, is not installed")
    write_rows(tmp_path / "data" / "made" / "up" / "default")
    spec = parsed(write_own(tmp_path))

    def broken(context: str, continuation: str) -> float:
        if context.endswith("Item 4 is called"):
            raise RuntimeError("gone")
        return nats(context, continuation)

    backend = FakeBackend(loglikelihood=broken, generate=lambda context, settings: text(context))
    result = Runner(lambda: backend).evaluate(spec, EvaluationOptions(data_dir=tmp_path / "data"))
    whole, _ = run(spec, tmp_path / "data")
    assert (result.n, result.errors) == (9, 1)
    assert {metric.key: metric.n for metric in result.metrics} == {"nothing": 8, "length": 8, "pair": 8}
    assert result.unscored == {"nothing": 1, "length": 1, "pair": 1}
    assert result.warnings[0] == "1 of 9 documents was not answered: RuntimeError: gone"
    lost = result.items[4]
    assert (lost.error, lost.flaw, lost.scores, lost.answer) == ("RuntimeError: gone", Flaw.ERROR, {}, "")
    assert [item for item in result.items if item.error is None] == [i for i in whole.items if i.index != 4]
    kept = [item.scores["nothing"] for item in result.items if item.error is None]
    assert result.metric("nothing").value == pytest.approx(sum(kept) / 8)


def test_conversations(task: tuple[TaskSpec, Path]) -> None:
    spec, data = task
    options = EvaluationOptions(data_dir=data, prompt=PromptOptions(chat_template=True, system="Be brief."))
    part = PythonEvaluation(spec, options).parts["generate_until"]
    contexts = [getattr(request, "context", None) for request in part.requests(itertools.count())]
    built = oracle(spec)
    built.build_all_requests(
        system_instruction="Be brief.",
        apply_chat_template=True,
        fewshot_as_multiturn=True,
        chat_template=lambda messages, add_generation_prompt: json.dumps(messages),
    )
    theirs = [x.args[0] for x in built.instances if x.request_type == "generate_until"]
    assert [json.dumps(context.as_dicts()) for context in contexts if isinstance(context, Conversation)] == theirs


def test_what_a_class_raises_is_told_at_its_line(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="the oracle, lm-eval==0.4.13, is not installed")
    write_rows(tmp_path / "data" / "made" / "up" / "default")
    spec = parsed(write_own(tmp_path, OWN.replace("(logprob, greedy), text = results", "raise KeyError('lost')")))
    with pytest.raises(TaskFileError, match="class: KeyError: 'lost'") as caught:
        run(spec, tmp_path / "data")
    assert caught.value.line == 3


def test_without_the_reference_the_error_names_the_package(tmp_path: Path) -> None:
    spec = parsed(write_own(tmp_path, OWN.replace("lm_eval.api", "lm_eval_absent.api")))
    with pytest.raises(TaskFileError, match=r"own\.py imports 'lm_eval_absent': pip install lm_eval_absent"):
        run(spec, tmp_path)


def test_a_class_that_is_no_function_reference(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("task: own\nclass: Own\n", encoding="utf-8")
    with pytest.raises(TaskFileError, match=r"class: expected !function module.Class, found str 'Own'"):
        parsed(path)
