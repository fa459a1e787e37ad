from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.scoring.options import QUICK, batch_sizes, default_data_dir, parse
from benchmarks.scoring.workloads import WORKLOADS
from pytest_lmeval.errors import SettingsError


def test_defaults() -> None:
    settings = parse([])
    assert (settings.model, settings.device, settings.repeats) == ("demo", "auto", 3)
    assert settings.workloads == WORKLOADS
    assert [settings.sizes(workload) for workload in WORKLOADS] == [workload.sizes for workload in WORKLOADS]


def test_a_quick_run_is_small() -> None:
    settings = parse(["--quick", "--workloads", "lambada,wikitext"])
    assert [workload.name for workload in settings.workloads] == ["lambada", "wikitext"]
    assert settings.sizes(settings.workloads[0]) == QUICK
    assert (settings.repeats, settings.batches_on("cuda:1")) == (1, [1, 4])


def test_batches_are_tried_from_the_smallest_and_auto_on_a_gpu_alone() -> None:
    assert parse([]).batches_on("cpu") == [1, 4, 16]
    assert parse([]).batches_on("cuda:1") == [1, 4, 16, "auto"]
    assert parse(["--peer-batches", "auto,8,2"]).batches_on("cpu") == [2, 8, "auto"]


@pytest.mark.parametrize("text", ["", "0", "1,,4", "many", "-1"])
def test_batches_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="--peer-batches"):
        batch_sizes(text)


@pytest.mark.parametrize("arguments", [["--documents", "0"], ["--repeats", "x"]])
def test_counts_are_whole_numbers(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(arguments)
    assert "expected a whole number of 1 or more" in capsys.readouterr().err


def test_the_data_beside_the_repository_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_LMEVAL_SHARED", str(tmp_path))
    monkeypatch.setattr("benchmarks.scoring.options.DEMO_DATA", tmp_path / "demo")
    assert default_data_dir() is None
    (tmp_path / "demo").mkdir()
    assert default_data_dir() == tmp_path / "demo"
    (tmp_path / "data").mkdir()
    assert default_data_dir() == tmp_path / "data"
