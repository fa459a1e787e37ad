"""Tasks that are Python classes of lm-evaluation-harness (``class: !function task.SQuAD2``), run on our backends."""

from pytest_lmeval.tasks.python_tasks.evaluation import PythonEvaluation

__all__ = ["PythonEvaluation"]
