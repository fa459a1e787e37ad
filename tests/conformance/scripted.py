"""lm-evaluation-harness scores made-up responses to a task file: what our scores of the same are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import datasets
import lm_eval.api.metrics
from lm_eval.api.model import LM
from lm_eval.api.task import ConfigurableTask
from lm_eval.evaluator import evaluate
from lm_eval.tasks._yaml_loader import load_yaml


class Scripted(LM):  # type: ignore[misc]  # lm-eval is untyped
    """A model whose responses are known beforehand, in the order of the requests."""

    def __init__(self, responses: Sequence[Any]) -> None:
        super().__init__()
        self._responses = iter(responses)

    def loglikelihood(self, requests: Sequence[Any]) -> list[Any]:
        return [next(self._responses) for _ in requests]

    loglikelihood_rolling = generate_until = loglikelihood


def reference_metrics(path: Path, rows: Sequence[Mapping[str, Any]], responses: Sequence[Any]) -> dict[str, Any]:
    """Return ``metric,filter`` and ``metric_stderr,filter`` to values, as lm-eval gives them."""
    config = load_yaml(path, resolve_func=True)
    config = {key: value for key, value in config.items() if not key.startswith("dataset_")}
    documents = datasets.DatasetDict({"test": datasets.Dataset.from_list(list(rows))})
    task = ConfigurableTask(config=config | {"custom_dataset": lambda **_: documents})
    task.set_config("num_fewshot", 0)
    task.set_fewshot_seed(seed=1234)
    with mock.patch.object(lm_eval.api.metrics, "bootstrap_stderr", return_value=None):
        # It logs what tasks with the metric "bypass" are run for, and refuses to run them without.
        results = evaluate(lm=Scripted(responses), task_dict={"small": task}, log_samples=True, verbosity="ERROR")
    return {key: value for key, value in results["results"]["small"].items() if "," in key}
