"""lm-evaluation-harness on local documents: what this plugin's prompts and numbers are compared with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import datasets
from lm_eval.api.task import ConfigurableTask
from lm_eval.evaluator import evaluate
from lm_eval.tasks._yaml_loader import load_yaml


@dataclass(frozen=True)
class Oracle:
    """One task as lm-eval ran it: the arguments of its requests, the responses, and the metrics."""

    arguments: list[tuple[Any, ...]]
    responses: list[Any]
    metrics: Mapping[str, float]


def run(yaml_path: Path, data: Path, lm: Any, *, limit: int, num_fewshot: int | None) -> Oracle:
    """Run lm-eval's own file of a task on the first ``limit`` documents below ``data``."""
    with _local_datasets(data):
        task = _task(yaml_path, data, num_fewshot)
        name = str(task.config.task)
        results = evaluate(
            lm=lm, task_dict={name: task}, limit=limit, bootstrap_iters=2, log_samples=True, verbosity="ERROR"
        )
    samples = _one_per_document(results["samples"][name])
    arguments = [tuple(args) for sample in samples for args in sample["arguments"]]
    responses = [response[0] for sample in samples for response in sample["resps"]]
    metrics = {k: v for k, v in results["results"][name].items() if "," in k and not isinstance(v, str)}
    return Oracle(arguments, responses, metrics)


def _one_per_document(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A sample is logged once per filter; the requests are the same."""
    return list({sample["doc_id"]: sample for sample in samples}.values())


def _task(yaml_path: Path, data: Path, num_fewshot: int | None) -> Any:
    config = load_yaml(yaml_path, resolve_func=True)
    folder = _folder(data, config["dataset_path"], config.get("dataset_name"))
    # lm-eval builds the example pool even where no example is drawn, so it must not name a split we lack.
    for key in ("training_split", "validation_split"):
        if not (folder / f"{config.get(key)}.jsonl").is_file():
            config[key] = None
    task = ConfigurableTask(config={k: v for k, v in config.items() if k not in ("group", "task_list")})
    fixed = task.config.num_fewshot
    task.set_config("num_fewshot", fixed or 0 if num_fewshot is None or fixed == 0 else num_fewshot)
    task.set_fewshot_seed(seed=1234)
    return task


@contextmanager
def _local_datasets(data: Path) -> Iterator[None]:
    def load(path: str, name: str | None = None, **_: Any) -> Any:
        files = sorted(_folder(data, path, name).glob("*.jsonl"))
        return datasets.DatasetDict({file.stem: _rows(file) for file in files})

    with mock.patch.object(datasets, "load_dataset", load):
        yield


def _rows(file: Path) -> Any:
    with file.open(encoding="utf-8") as lines:
        return datasets.Dataset.from_list([json.loads(line) for line in lines])


def _folder(data: Path, path: str, name: str | None) -> Path:
    return data / path / (name or "default")
