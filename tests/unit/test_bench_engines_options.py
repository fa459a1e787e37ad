from __future__ import annotations

import pytest

from benchmarks.engines.arguments import backend, keywords, pairs, plain, words
from benchmarks.engines.options import ON_CPU, ON_GPU, clients, parse
from benchmarks.engines.workloads import PARTS, TRIALS
from benchmarks.scoring.workloads import Sizes
from pytest_lmeval.errors import SettingsError


def test_by_default_everything_is_measured_three_times() -> None:
    settings = parse([])
    assert (settings.parts, settings.trials, settings.repeats) == (PARTS, TRIALS, 3)
    assert settings.clients == ((16, 1), (4, 4), (1, 16))


def test_chosen_parts_and_workloads() -> None:
    settings = parse(["--parts=http", "--workloads=gsm8k-8shot", "--concurrency=8"])
    assert (settings.parts, [trial.workload.name for trial in settings.trials]) == (("http",), ["gsm8k-8shot"] * 2)
    assert settings.clients == ((8, 1), (4, 2), (1, 8))


def test_a_split_workload_has_as_many_documents_for_each_part() -> None:
    split = next(trial for trial in TRIALS if trial.split > 1)
    whole = next(trial for trial in TRIALS if trial.split == 1)
    quick = parse(["--quick"])
    assert quick.sizes(whole) == Sizes(ours=2, peer=2, trial=1)
    assert quick.sizes(split) == Sizes(ours=10, peer=10, trial=1)
    assert parse(["--documents=21"]).sizes(split).ours == 30


def test_every_workload_is_once_in_a_known_part() -> None:
    assert len({(trial.part, trial.workload.name) for trial in TRIALS}) == len(TRIALS)
    for trial in TRIALS:
        assert trial.part in PARTS
        # So that each part of a split workload is a task.
        assert len(trial.workload.tasks) in (1, 3, trial.split)


@pytest.mark.parametrize("arguments", [["--parts=htp"], ["--workloads=gsm"], ["--peer-clients=16"]])
def test_names_that_are_not_known_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SettingsError, match=r"expected|there is no"):
        parse(arguments)


def test_settings_of_the_peers_client() -> None:
    assert clients("16x1, 4x4,16x1") == ((16, 1), (4, 4))


@pytest.mark.parametrize("text", ["", "0x1", "4", "4x", "x4", "1x2x3"])
def test_malformed_settings_of_the_peers_client(text: str) -> None:
    with pytest.raises(SettingsError, match="--peer-clients"):
        clients(text)


ENGINE = "dtype=float32,block_size=32,enforce_eager=true,enable_chunked_prefill=false"


def test_the_engines_arguments_as_each_side_takes_them() -> None:
    assert backend("there", ENGINE) == f"vllm:there,{ENGINE},in_process=true"
    assert keywords(ENGINE) == {
        "dtype": "float32",
        "block_size": 32,
        "enforce_eager": True,
        "enable_chunked_prefill": False,
    }
    assert words(ENGINE) == [
        *("--dtype", "float32", "--block-size", "32"),
        *("--enforce-eager", "--no-enable-chunked-prefill"),
    ]
    assert pairs("") == {}


def test_tokens_are_counted_with_the_engines_length_and_type() -> None:
    for engine in (ON_CPU, ON_GPU):
        assert plain("there", engine).options.max_length == 2048
    assert plain("there", ON_CPU).options.dtype == "float32"
    assert plain("there", "").options.max_length is None
