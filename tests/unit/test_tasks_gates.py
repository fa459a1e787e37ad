from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.errors import TaskFileError

from .making import asked, small_task, spec_of, write

GATES = """\
task: t
gate:
  acc: {min: 0.5}
  mode: %s
  models:
    "hf:gpt-2.5*":
      acc:
        min: %s
"""


@pytest.mark.parametrize(
    ("values", "line", "problem"),
    [
        (("regresion", "0.1"), 4, "gate.mode: unknown value 'regresion'"),
        (("regression", "high"), 8, "gate.models.hf:gpt-2.5*.acc.min: expected a number, found 'high'"),
    ],
)
def test_mistakes_are_found_at_their_line_when_the_file_is_read(
    tmp_path: Path, values: tuple[str, str], line: int, problem: str
) -> None:
    with pytest.raises(TaskFileError) as caught:
        spec_of(write(tmp_path / "t.yaml", GATES % values))
    assert caught.value.problem.startswith(problem)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("gate", "problem"),
    [
        ({"ac": 0.5}, "gate.ac: the task has no such metric. Did you mean 'acc'?"),
        ({"alhpa": 0.05}, "gate.alhpa: the task has no such metric. Did you mean 'alpha'?"),
        ({"acc,stripped": 0.5}, "gate.acc,stripped: the task has no such metric."),
        ({"models": {"hf:*": {"zzz": 1}}}, "gate.zzz: the task has no such metric. Its metrics: acc, acc_norm."),
    ],
)
def test_a_metric_that_the_task_lacks_is_found_before_the_model_is_asked(
    tmp_path: Path, gate: dict[str, Any], problem: str
) -> None:
    with pytest.raises(TaskFileError) as caught:
        asked(small_task(tmp_path, {"gate": gate}))
    assert caught.value.problem.startswith(problem)
    assert (caught.value.line or 0) > 1


def test_names_of_filters_count(tmp_path: Path) -> None:
    keys = {"output_type": "generate_until", "doc_to_choice": None, "doc_to_target": "answer"}
    pipeline = {"filter_list": [{"name": "first", "filter": [{"function": "take_first"}]}]}
    for gate in ({"exact_match": 0.1}, {"exact_match,first": 0.1}):
        assert asked(small_task(tmp_path, {**keys, **pipeline, "gate": gate}))


def test_what_functions_report_is_known_only_afterwards(tmp_path: Path) -> None:
    functions = "def score(doc, results):\n    return {'own': 1.0}\n"
    tail = "process_results: !function utils.score\n"
    assert asked(small_task(tmp_path, {"gate": {"own": 0.1}}, functions=functions, tail=tail))
