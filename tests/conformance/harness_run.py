"""A process of its own in which lm-evaluation-harness runs tasks and saves its files, or reads a results file.

``python -m tests.conformance.harness_run run MODEL TASKS_FOLDER OUTPUT TASK…``, ``… table RESULTS``
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

LIMIT = 8


def run(model: str, tasks: str, output: str, *names: str) -> None:
    """As its command line does with ``--log_samples --output_path --limit``."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    tracker = EvaluationTracker(output_path=output)
    arguments = {"pretrained": model, "dtype": "float32"}
    results = simple_evaluate(
        model="hf",
        model_args=arguments,
        device="cpu",
        tasks=list(names),
        # Before the harness's own: reading the index of these takes longer than all else.
        task_manager=TaskManager(include_path=tasks, include_defaults=False, metadata=arguments),
        limit=LIMIT,
        log_samples=True,
        bootstrap_iters=2,
        evaluation_tracker=tracker,
    )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for name in results["configs"]:
        tracker.save_results_samples(task_name=name, samples=samples[name])


def table(results: str) -> None:
    """Print the harness's own table of a results file."""
    from lm_eval.utils import make_table

    print(make_table(json.loads(Path(results).read_text(encoding="utf-8"))))


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "run":
        run(*arguments)
    else:
        table(*arguments)
