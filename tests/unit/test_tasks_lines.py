from __future__ import annotations

from pathlib import Path

import pytest

from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.tasks.lines import line_of, line_of_text
from pytest_lmeval.tasks.yaml_loader import TaskDocument, read_task_file

from .making import write

TEXT = """\
task: t
metric_list:
  - metric: acc
    higher_is_better: true
  - {metric: f1,
     average: macro}
process_docs: !function utils.f
gate: {acc: {min: 1}}
doc_to_text: |

  one {{a}}
  two {{b}}
description: "one\\ntwo"
doc_to_target: >
  folded
  text
"""


@pytest.fixture
def document(tmp_path: Path) -> TaskDocument:
    read = read_task_file(write(tmp_path / "t.yaml", TEXT))
    assert read is not None
    return read


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("task",), 1),
        (("metric_list", 0), 3),
        (("metric_list", 0, "higher_is_better"), 4),
        (("metric_list", 1), 5),
        (("metric_list", 1, "average"), 6),
        (("metric_list", 2), None),
        (("metric_list", "x"), None),
        (("gate", "acc", "min"), 8),
        (("gate", "acc", "max"), None),
        (("process_docs", 0), None),
        ((), None),
    ],
)
def test_lines(document: TaskDocument, keys: tuple[str | int, ...], line: int | None) -> None:
    assert line_of(document.path, keys) == line


@pytest.mark.parametrize(
    ("key", "number", "line"), [("doc_to_text", 2, 11), ("doc_to_text", 3, 12), ("description", 2, None)]
)
def test_lines_of_texts(document: TaskDocument, key: str, number: int, line: int | None) -> None:
    assert line_of_text(document.path, (key,), number) == line
    # Folded, its lines are not the file's.
    assert line_of_text(document.path, ("doc_to_target",), 1) is None


def test_a_file_that_is_no_longer_what_it_was(tmp_path: Path) -> None:
    assert line_of(tmp_path / "absent.yaml", ("a",)) is None
    assert line_of(write(tmp_path / "broken.yaml", "a: [\n"), ("a",)) is None
    assert line_of(write(tmp_path / "empty.yaml", ""), ("a",)) is None


def test_errors_point_at_the_entry_else_at_its_key(document: TaskDocument) -> None:
    assert document.error("x", "metric_list", 1).line == 5
    assert document.error("x", "metric_list", 7).line == 2
    assert document.error("x", "absent", 1).line is None
    assert document.error("x", "doc_to_text", text_line=3).line == 12
    assert document.error("x", "description", text_line=2).line == 13


def test_errors_of_an_included_key_point_into_the_included_file(tmp_path: Path) -> None:
    write(tmp_path / "base", "metric_list:\n  - {metric: acc}\n  - {metric: f1}\n")
    document = read_task_file(write(tmp_path / "t.yaml", "task: t\ninclude: base\n"))
    assert document is not None
    error = document.error("x", "metric_list", 1)
    assert (error.path.name, error.line) == ("base", 3)


def test_reading_narrows_errors_about_its_key_alone(document: TaskDocument) -> None:
    with pytest.raises(TaskFileError) as caught, document.reading("metric_list", 1):
        raise document.error("x", "metric_list")
    assert caught.value.line == 5
    with pytest.raises(TaskFileError) as caught, document.reading("metric_list", 1):
        raise document.error("x", "gate")
    assert caught.value.line == 8
    with pytest.raises(TaskFileError) as caught, document.reading("metric_list", 0), document.reading("metric_list", 1):
        raise document.error("x", "metric_list")
    assert caught.value.line == 5
