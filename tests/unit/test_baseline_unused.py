from __future__ import annotations

from pathlib import Path

from pytest_lmeval.baselines.files import write_atomically
from pytest_lmeval.baselines.format import dumps, from_result
from pytest_lmeval.baselines.location import baseline_path
from pytest_lmeval.baselines.unused import unused_baselines
from pytest_lmeval.results import MetricValue, TaskResult, TaskSettings


def record(folder: Path, task: str) -> Path:
    settings = TaskSettings(
        dataset="d",
        dataset_config=None,
        split="test",
        num_fewshot=0,
        seed=1,
        limit=None,
        output_type="multiple_choice",
        generation=None,
        task_hash="t",
    )
    acc = MetricValue(name="acc", filter="none", value=0.5, stderr=None, higher_is_better=True, n=0)
    result = TaskResult(task=task, n=0, total=0, metrics=(acc,), main_metric="acc", items=(), settings=settings)
    path = baseline_path(folder, task)
    write_atomically(path, dumps(from_result(result, {}, {}, "2026-08-02")))
    return path


def test_what_no_task_reads_is_found_and_left_alone(tmp_path: Path) -> None:
    for task in ("rivers", "lakes", "seas", "waters::inner", "a/b c"):
        record(tmp_path, task)
    gone = [record(tmp_path, task) for task in ("ponds", "ponds::inner", "q w")]
    known = {"lakes", "waters::inner", "a/b c"}
    assert unused_baselines(tmp_path, ["rivers", "seas"], known.__contains__) == sorted(gone)
    assert all(path.exists() for path in gone)


def test_of_a_file_that_cannot_be_read_nobody_knows(tmp_path: Path) -> None:
    record(tmp_path, "ponds").write_text("{}")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "folder.json").mkdir()
    assert unused_baselines(tmp_path, [], lambda _: False) == []


def test_a_folder_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert unused_baselines(tmp_path / "none", [], lambda _: False) == []


def test_names_that_are_collected_are_not_looked_up(tmp_path: Path) -> None:
    record(tmp_path, "rivers")

    def is_known(task: str) -> bool:
        raise AssertionError(task)

    assert unused_baselines(tmp_path, ["rivers"], is_known) == []
