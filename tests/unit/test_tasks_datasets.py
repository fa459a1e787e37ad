from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from pytest_lmeval.errors import DatasetError, TaskFileError
from pytest_lmeval.tasks.datasets import TaskDatasets, read_jsonl

from .making import small_task, spec_of, write, write_rows

ROWS = [{"a": "2024-01-31", "b": 1}, {"a": "ü", "b": 2}]


def of_hub_id(folder: Path, data: Path, path: str = "org/set", name: str = "") -> TaskDatasets:
    text = f"task: t\ndataset_path: {path}\ntest_split: test\n" + (f"dataset_name: {name}\n" if name else "")
    return TaskDatasets(spec_of(write(folder / "t.yaml", text)), data)


def rows_of(dataset: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in dataset]


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was asked of the hub; it has nothing."""
    asked = []

    def load(*args: Any, **kwargs: Any) -> Any:
        asked.append((args, kwargs))
        raise FileNotFoundError("not on the hub\nsecond line")

    monkeypatch.setattr(datasets, "load_dataset", load)
    return asked


@pytest.mark.parametrize(("name", "folder"), [("", "default"), ("cfg", "cfg")])
def test_a_folder_per_hub_id_and_configuration(tmp_path: Path, name: str, folder: str) -> None:
    data = tmp_path / "data"
    write_rows(data / "org" / "set" / folder / "test.jsonl", ROWS)
    datasets.Dataset.from_list(ROWS[:1]).to_parquet(str(data / "org" / "set" / folder / "train.parquet"))
    source = of_hub_id(tmp_path, data, name=name)
    # Texts that look like dates stay texts.
    assert rows_of(source.split("test")) == ROWS
    assert rows_of(source.split("train")) == ROWS[:1]
    assert source.split("test") is source.split("test")


def test_the_only_configuration_need_not_be_named(tmp_path: Path, no_hub: list[Any]) -> None:
    write_rows(tmp_path / "data/org/set/plain/test.jsonl", ROWS)
    assert rows_of(of_hub_id(tmp_path, tmp_path / "data").split("test")) == ROWS
    write_rows(tmp_path / "data/org/set/other/test.jsonl", ROWS)
    with pytest.raises(DatasetError, match="cannot be loaded: not on the hub"):
        of_hub_id(tmp_path, tmp_path / "data").split("test")


def test_a_missing_split_names_those_that_exist(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("train", "validation"):
        write_rows(data / "org/set/default" / f"{name}.jsonl", ROWS)
    write(data / "org/set/default/README.md", "text")
    with pytest.raises(DatasetError, match=r"t: no split 'test' in .*; it has train, validation$"):
        of_hub_id(tmp_path, data).split("test")


@pytest.mark.parametrize("path", ["../outside", "../../etc", "../etc", "org/../../outside", "{root}/outside"])
def test_a_dataset_id_does_not_lead_out_of_the_folder(tmp_path: Path, path: str, no_hub: list[Any]) -> None:
    write_rows(tmp_path / "outside" / "default" / "test.jsonl", ROWS)
    write_rows(tmp_path / "etc" / "one" / "test.jsonl", ROWS)
    (tmp_path / "data" / "org").mkdir(parents=True)
    with pytest.raises(DatasetError, match="cannot be loaded: not on the hub"):
        of_hub_id(tmp_path, tmp_path / "data", path.format(root=tmp_path)).split("test")
    assert len(no_hub) == 1


@pytest.mark.parametrize("split", ["../../../../outside/test", "{root}/outside/test"])
def test_a_split_does_not_lead_out_of_the_folder(tmp_path: Path, split: str) -> None:
    write_rows(tmp_path / "outside" / "test.jsonl", ROWS)
    write_rows(tmp_path / "data/org/set/default/train.jsonl", ROWS)
    with pytest.raises(DatasetError, match="no split"):
        of_hub_id(tmp_path, tmp_path / "data").split(split.format(root=tmp_path))


def test_what_is_not_local_comes_from_the_hub_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(*args: Any, **kwargs: Any) -> Any:
        asked.append((args, kwargs))
        return {"test": ROWS, "train": ROWS}

    monkeypatch.setattr(datasets, "load_dataset", load)
    text = "task: t\ndataset_path: org/set\ndataset_name: c\ndataset_kwargs: {revision: r, trust_remote_code: true}\n"
    source = TaskDatasets(spec_of(write(tmp_path / "t.yaml", text)), tmp_path)
    assert source.split("test") == ROWS
    with pytest.raises(DatasetError, match=r"dataset org/set \(c\) has no split 'dev'; it has test, train"):
        source.split("dev")
    assert asked == [(("org/set", "c"), {"revision": "r"})]


@pytest.mark.parametrize("with_folder", [True, False])
def test_a_dataset_that_is_nowhere_says_where_to_put_it(tmp_path: Path, no_hub: list[Any], with_folder: bool) -> None:
    with pytest.raises(DatasetError) as caught:
        TaskDatasets(of_hub_id(tmp_path, tmp_path).spec, tmp_path if with_folder else None).split("test")
    where = f"It is not in {tmp_path} either" if with_folder else "No --lm-data-dir is set"
    assert str(caught.value) == (
        "t: dataset org/set cannot be loaded: not on the hub\n"
        f"{where}: to run without a hub, put its rows at <lm_data_dir>/org/set/default/<split>.jsonl (or .parquet)."
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n\n{"a": \n', ":3: not valid JSON: Expecting value"),
        (b'{"a": 1}\n[1]\n', ":2: expected a JSON object, found a list"),
        (b'{"a": "\xe9"}\n', ":1: not valid JSON: 'utf-8' codec can't decode"),
        (b"\n\n", ": no documents"),
        (b'{"a": 1}\n{"a": "x"}\n', ": a column has values of different types: "),
    ],
)
def test_bad_rows_are_located(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        read_jsonl(path)
    assert str(caught.value).startswith(f"{path}{message}")


def test_bad_parquet_is_located(tmp_path: Path) -> None:
    write(tmp_path / "data/org/set/default/test.parquet", "no parquet")
    with pytest.raises(DatasetError, match=r"test\.parquet: not a readable Parquet file: "):
        of_hub_id(tmp_path, tmp_path / "data").split("test")


def test_a_column_that_only_later_rows_have(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", '{"a": 1}\n{"a": 2, "b": "x\u2028y"}\r\n')
    assert rows_of(read_jsonl(path)) == [{"a": 1, "b": None}, {"a": 2, "b": "x\u2028y"}]


def test_files_beside_the_task_file_that_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(tmp_path / "base" / "rows.jsonl", ROWS)
    write(tmp_path / "base" / "rows.csv", "a,b\nx,1\n")
    write(tmp_path / "base" / "_base", "dataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl}}\n")
    write(tmp_path / "elsewhere" / "rows.jsonl", '{"wrong": 1}\n')
    monkeypatch.chdir(tmp_path / "elsewhere")
    spec = spec_of(write(tmp_path / "t.yaml", "task: t\ninclude: base/_base\ntest_split: test\n"))
    assert rows_of(TaskDatasets(spec, None).split("test")) == ROWS
    text = "task: t\ndataset_path: csv\ndataset_kwargs: {data_files: base/rows.csv}\n"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    spec = spec_of(write(tmp_path / "c.yaml", text))
    assert rows_of(TaskDatasets(spec, None).split("train")) == [{"a": "x", "b": 1}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset_path: json\ndataset_kwargs: {data_files: absent.jsonl}\n", "there is no file 'absent.jsonl' next to"),
        (
            "dataset_path: json\ndataset_kwargs: {data_files: {test: [3]}}\n",
            "data_files: expected a file name, found 3",
        ),
        ("dataset_path: json\n", "dataset_kwargs.data_files: expected a file name, found None"),
        ("test_split: test\n", "neither dataset_path nor custom_dataset is set"),
    ],
)
def test_mistakes_in_the_task_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TaskFileError) as caught:
        TaskDatasets(spec_of(write(tmp_path / "t.yaml", "task: t\n" + text)), None).split("test")
    assert message in caught.value.problem


def csv_task(folder: Path, files: str) -> TaskDatasets:
    text = f"task: t\ndataset_path: csv\ndataset_kwargs: {{data_files: {{test: {files}}}}}\n"
    return TaskDatasets(spec_of(write(folder / "t.yaml", text)), None)


def test_a_split_of_several_files(tmp_path: Path) -> None:
    write(tmp_path / "one.csv", "a,b\nx,1\n")
    write(tmp_path / "two.csv", "a,b\ny,2\n")
    assert rows_of(csv_task(tmp_path, "[one.csv, two.csv]").split("test")) == [{"a": "x", "b": 1}, {"a": "y", "b": 2}]


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "one.csv", "")
    with pytest.raises(DatasetError, match=r"t: one\.csv cannot be read as csv: No columns to parse"):
        csv_task(tmp_path, "one.csv").split("test")
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def custom(tmp_path: Path) -> Callable[[str], TaskDatasets]:
    def make(body: str) -> TaskDatasets:
        functions = f"def load(**given):\n    {body}\n"
        tail = "custom_dataset: !function utils.load\n"
        keys = {"metadata": {"version": 3}, "dataset_kwargs": {"size": 2}, "dataset_path": "org/set"}
        return TaskDatasets(small_task(tmp_path, keys, functions=functions, tail=tail), tmp_path)

    return make


def test_a_custom_dataset_gets_metadata_and_arguments(custom: Callable[[str], TaskDatasets]) -> None:
    assert custom("return {'test': [given]}").split("test")[0] == {"version": 3, "size": 2}


def test_a_custom_dataset_that_fails_is_located(custom: Callable[[str], TaskDatasets]) -> None:
    source = custom("raise RuntimeError('gone')")
    with pytest.raises(TaskFileError, match="custom_dataset: RuntimeError: gone") as caught:
        source.split("test")
    assert caught.value.line == source.spec.document.lines["custom_dataset"][1]
