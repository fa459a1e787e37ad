from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_lmeval.errors import TaskFileError

from .making import scored, small_task

FUNCTIONS = """
import os
LOADED = os.environ.get("HF_ALLOW_CODE_EVAL")

def allowed(references, predictions):
    return float((LOADED, os.environ.get("HF_ALLOW_CODE_EVAL")) == ("1", "1"))
"""
TASK = {
    "output_type": "generate_until",
    "doc_to_text": "question",
    "doc_to_target": "answer",
    "doc_to_choice": None,
    "unsafe_code": True,
}
TAIL = "metric_list: [{metric: !function utils.allowed, aggregation: mean}]\n"


def test_code_of_the_model_is_refused_without_consent(tmp_path: Path) -> None:
    spec = small_task(tmp_path, TASK, functions=FUNCTIONS, tail=TAIL)
    with pytest.raises(TaskFileError, match="Give --lm-unsafe-code where that can harm nothing") as caught:
        scored(spec, ["x"] * 3)
    assert caught.value.line == spec.document.lines["unsafe_code"][1]


def test_consent_reaches_the_metric_and_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ALLOW_CODE_EVAL", raising=False)
    spec = small_task(tmp_path, TASK, functions=FUNCTIONS, tail=TAIL)
    assert scored(spec, ["x"] * 3, unsafe_code=True).metric("allowed").value == 1
    assert "HF_ALLOW_CODE_EVAL" not in os.environ


def test_consent_is_not_given_to_tasks_that_need_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ALLOW_CODE_EVAL", raising=False)
    spec = small_task(tmp_path, {**TASK, "unsafe_code": False}, functions=FUNCTIONS, tail=TAIL)
    assert scored(spec, ["x"] * 3, unsafe_code=True).metric("allowed").value == 0
