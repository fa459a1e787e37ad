from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest

from pytest_lmeval.errors import DatasetError
from pytest_lmeval.tasks.datasets import TaskDatasets
from pytest_lmeval.tasks.hub_files import HubFile

from .making import spec_of, write, write_rows

ADDRESS = "hf://datasets/org/sums/data/two.jsonl"
ROWS = [{"context": "1 + 1", "completion": " 2"}]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (ADDRESS, HubFile("org/sums", "data/two.jsonl", None)),
        ("hf://datasets/org/sums@v2/two.csv", HubFile("org/sums", "two.csv", "v2")),
        ("data/two.jsonl", None),
        ("hf://org/model/two.jsonl", None),
        (3, None),
        (None, None),
    ],
)
def test_addresses(name: object, expected: HubFile | None) -> None:
    assert HubFile.parse(name) == expected


def task_with(folder: Path, data_dir: Path | None) -> TaskDatasets:
    text = f"task: t\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: '{ADDRESS}'}}}}\n"
    return TaskDatasets(spec_of(write(folder / "t.yaml", text)), data_dir)


def test_a_file_below_the_data_folder(tmp_path: Path) -> None:
    write_rows(tmp_path / "data" / "org" / "sums" / "data" / "two.jsonl", ROWS)
    assert task_with(tmp_path, tmp_path / "data").split("test").to_list() == ROWS


def test_a_file_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(*arguments: str, **named: str | None) -> str:
        asked.append((*arguments, named))
        return str(write_rows(tmp_path / "cache" / "two.jsonl", ROWS))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert task_with(tmp_path, tmp_path / "data").split("test").to_list() == ROWS
    assert asked == [("org/sums", "data/two.jsonl", {"repo_type": "dataset", "revision": None})]


def test_a_file_that_is_nowhere_says_where_to_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What huggingface_hub raises where it cannot reach the hub and has no copy.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    with pytest.raises(DatasetError) as caught:
        task_with(tmp_path, tmp_path / "data").split("test")
    first, second = str(caught.value).split("\n")
    assert first.startswith("t: data/two.jsonl of dataset org/sums cannot be loaded: ")
    assert second == (
        f"It is not in {tmp_path / 'data'} either: to run without a hub, "
        "put it at <lm_data_dir>/org/sums/data/two.jsonl."
    )


def test_an_address_stays_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    write_rows(tmp_path / "secret.jsonl", ROWS)
    (tmp_path / "data").mkdir()
    outside = HubFile("org/sums", "../../../secret.jsonl", None)
    with pytest.raises(DatasetError, match=r"secret\.jsonl of dataset org/sums cannot be loaded"):
        outside.fetch("t", tmp_path / "data")
