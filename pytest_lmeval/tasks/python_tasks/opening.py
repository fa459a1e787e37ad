"""Make the task object of a ``class:`` file, as the reference does, with documents from ``lm_data_dir`` too."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from pytest_lmeval.tasks.datasets import local_splits, quiet_hub
from pytest_lmeval.tasks.functions import resolve
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.templates import call_for
from pytest_lmeval.tasks.yaml_loader import FunctionReference


def open_task(spec: TaskSpec, options: EvaluationOptions) -> Any:
    """Return an ``lm_eval.api.task.Task``. Raises TaskFileError for what its class raises, naming the class."""
    reference = spec.python_class
    assert reference is not None
    with _local_datasets(options.data_dir), quiet_hub():
        task = call_for(spec.document, "class", reference, **_arguments(reference, spec, options))
    task.config.task = spec.task
    if task.config.num_fewshot != 0:
        task.set_config("num_fewshot", _num_fewshot(task, options))
    if options.generation_kwargs:
        given = task.config.generation_kwargs or {}
        task.set_config("generation_kwargs", {**given, **options.generation_kwargs})
    task.set_fewshot_seed(seed=options.seed)
    return task


def _num_fewshot(task: Any, options: EvaluationOptions) -> int:
    return options.num_fewshot if options.num_fewshot is not None else task.config.num_fewshot or 0


def _arguments(reference: FunctionReference, spec: TaskSpec, options: EvaluationOptions) -> dict[str, Any]:
    """The file's keys as ``config``, for classes whose constructor takes it."""
    parameters = inspect.signature(resolve(reference)).parameters
    if "config" not in parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return {}
    config = {key: _called(value) for key, value in spec.document.data.items() if key not in ("tag", "group", "gate")}
    config["metadata"] = {**spec.metadata, **options.metadata}
    return {"config": config}


def _called(value: Any) -> Any:
    """Replace each ``!function`` by the function it names."""
    if isinstance(value, FunctionReference):
        return resolve(value)
    if isinstance(value, Mapping):
        return {key: _called(item) for key, item in value.items()}
    return [_called(item) for item in value] if isinstance(value, list) else value


@contextmanager
def _local_datasets(data_dir: Path | None) -> Iterator[None]:
    """Let ``datasets.load_dataset``, which these classes call themselves, find what ``lm_data_dir`` has."""
    import datasets

    load = datasets.load_dataset

    def load_dataset(path: str, name: str | None = None, *args: Any, **kwargs: Any) -> Any:
        splits = local_splits(data_dir, path, name)
        return load(path, name, *args, **kwargs) if splits is None else datasets.DatasetDict(splits)

    with mock.patch.object(datasets, "load_dataset", load_dataset):
        yield
