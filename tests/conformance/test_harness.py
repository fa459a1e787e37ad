"""The comparison itself: what is altered is noticed, and documents are the same in every run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

Compare = Callable[[Sequence[tuple[str, str, Path | None]]], list[dict[str, Any]]]

NAME, FILE = "sciq", "sciq/sciq.yaml"
OWN = """
task: altered
dataset_path: allenai/sciq
output_type: multiple_choice
training_split: train
validation_split: validation
test_split: test
doc_to_text: "{{support.lstrip()}}\\nQuestion: {{question}}\\nAnswer:"
doc_to_target: 3
doc_to_choice: "{{[distractor1, distractor2, distractor3, correct_answer]}}"
metric_list: [{metric: acc}, {metric: acc_norm}]
"""


def altered(folder: Path, old: str, new: str) -> Path:
    path = folder / "altered.yaml"
    path.write_text(OWN.replace(old, new), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("altered", "altered", "same: "),
        ("Question: ", "Question:  ", "different: 2 shots, request 0: argument 0, character "),
        ("metric: acc_norm", "metric: acc_bytes", "different: metric acc_norm,none: missing here"),
        ("doc_to_target: 3", "doc_to_target: 2", "different: 2 shots, request 0: argument 0, character "),
        ("test_split: test", "test_split: train", "different: 2 shots, request "),
        ("{{support", "{{absent", "different: error here: TaskFileError: "),
    ],
    ids=[str(number) for number in range(6)],
)
def test_what_is_altered_is_told(tmp_path: Path, compare_tasks: Compare, old: str, new: str, told: str) -> None:
    (row,) = compare_tasks([(NAME, FILE, altered(tmp_path, old, new))])
    assert f"{row['status']}: {row['detail']}".startswith(told)


def test_documents_are_the_same_in_every_run() -> None:
    pytest.importorskip("lm_eval", reason="the oracle, lm-eval==0.4.13, is not installed")
    from tests.conformance.documents import Making, make_split
    from tests.conformance.infer import infer

    config = {
        "doc_to_text": "{{question.strip()}} {% for c in choices %}{{c}}{% endfor %}",
        "doc_to_choice": "choices",
        "doc_to_target": "{{choices.index(answer)}}",
        "process_docs": lambda rows: rows.filter(lambda row: row["topic"] in ("sea", "sky")),
    }
    rows = make_split(infer(config), Making(), "test")
    assert rows == make_split(infer(config), Making(), "test")
    assert rows != make_split(infer(config), Making(), "train")
    assert {row["topic"] for row in rows} == {"sea", "sky"}
    assert all(row["answer"] in row["choices"] and len(set(row["choices"])) == 4 for row in rows)
    assert any(row["question"] != row["question"].strip() for row in rows)
