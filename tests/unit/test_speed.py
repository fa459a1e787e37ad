from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_lmeval.speed import Speed, record, recorded


def test_the_latest_run_of_each_model(tmp_path: Path) -> None:
    assert recorded(tmp_path, "demo") is None
    record(tmp_path, "demo", Speed(1000, 2.0))
    record(tmp_path, "hf:other", Speed(50, 0.5))
    record(tmp_path, "demo", Speed(3000, 2.0))
    assert recorded(tmp_path, "demo") == Speed(3000, 2.0)
    other = recorded(tmp_path, "hf:other")
    assert other is not None
    assert other.rate == 100
    assert (tmp_path / ".lmeval/.gitignore").read_text() == "*\n"


def test_old_models_are_forgotten(tmp_path: Path) -> None:
    for number in range(70):
        record(tmp_path, f"m{number}", Speed(1, 1.0))
    assert recorded(tmp_path, "m5") is None
    assert recorded(tmp_path, "m6") is not None
    assert recorded(tmp_path, "m69") is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 5000,
        '{"demo": 5}',
        '{"demo": {"tokens": 5}}',
        '{"demo": {"tokens": "5", "seconds": 1}}',
        '{"demo": {"tokens": true, "seconds": 1}}',
        '{"demo": {"tokens": NaN, "seconds": 1}}',
        '{"demo": {"tokens": 5, "seconds": 0}}',
        '{"demo": {"tokens": -5, "seconds": 1}}',
        '{"demo": {"tokens": 5, "seconds": 1' + "0" * 400 + "}}",
        " " * 100_001 + '{"demo": {"tokens": 5, "seconds": 1}}',
        "\udcff",
    ],
)
def test_a_file_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / ".lmeval/speed.json"
    path.parent.mkdir()
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert recorded(tmp_path, "demo") is None
    record(tmp_path, "demo", Speed(1, 1.0))
    assert json.loads(path.read_text())["demo"] == {"tokens": 1, "seconds": 1.0}


def test_a_folder_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / ".lmeval").write_text("a file")
    record(tmp_path, "demo", Speed(1, 1.0))
    assert recorded(tmp_path, "demo") is None
