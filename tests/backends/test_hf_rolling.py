from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.hf import HFOptions, plugin
from pytest_lmeval.backends.protocol import Backend, RollingAnswer
from pytest_lmeval.errors import ModelSpecError

from .asking import ask_oracle, rolling

TEXT = "Once upon a time there was a cat. The cat sat on a mat, and it was happy. "


@pytest.mark.parametrize("max_length", [None, 10, 64])
def test_equals_the_oracle(max_length: int | None, shared_dir: Path, oracle: Callable[..., Any]) -> None:
    texts = [TEXT, "x", " leading", TEXT * 12, "<s>" + TEXT, "日本語 🐱 é", TEXT[:23], "\n"]
    lm = oracle("stories260K", max_length=max_length)
    options = HFOptions(dtype="float32", device="cpu", max_length=max_length)
    backend = plugin.open(str(shared_dir / "models" / "stories260K"), options)
    for text, answer in zip(texts, rolling(backend, texts), strict=True):
        expected = ask_oracle(lm, "loglikelihood_rolling", text)
        assert isinstance(answer, RollingAnswer)
        assert answer.logprob == pytest.approx(expected, abs=1e-4, rel=1e-6), text


@pytest.mark.parametrize("length", [1, 9, 10, 11, 20, 23, 31])
def test_windows_are_the_oracles(length: int) -> None:
    utils = pytest.importorskip("lm_eval.utils", reason="lm_eval is not installed")
    from pytest_lmeval.backends.text.rolling import rolling_spans

    tokens = list(range(100, 100 + length))
    expected = utils.get_rolling_token_windows(tokens, prefix_token=1, max_seq_len=10, context_len=1)
    spans = rolling_spans(tokens, prefix=1, max_length=10)
    assert [(list(span.inputs), list(span.targets)) for span in spans] == list(expected)


def test_empty_text_is_certain(stories260k: Backend) -> None:
    assert rolling(stories260k, [""]) == [RollingAnswer(id=0, logprob=0.0, tokens=0)]


def test_equal_texts_get_equal_answers(stories260k: Backend) -> None:
    first, second = rolling(stories260k, [TEXT, TEXT])
    assert isinstance(first, RollingAnswer)
    assert isinstance(second, RollingAnswer)
    assert first.logprob == second.logprob


def _windows(length: int, max_length: int, stride: int | None) -> list[tuple[list[int], list[int]]]:
    """Windows over the tokens 1, 2, 3 … after the prefix 0: a position's target is its input plus one."""
    from pytest_lmeval.backends.text.rolling import rolling_spans

    spans = rolling_spans(list(range(1, length + 1)), prefix=0, max_length=max_length, stride=stride)
    return [(list(span.inputs), list(span.targets)) for span in spans]


def test_windows_with_a_stride() -> None:
    assert _windows(9, max_length=4, stride=2) == [
        ([0, 1, 2, 3], [1, 2, 3, 4]),
        ([2, 3, 4, 5], [5, 6]),
        ([4, 5, 6, 7], [7, 8]),
        ([5, 6, 7, 8], [9]),
    ]
    assert _windows(6, max_length=4, stride=1) == [
        ([0, 1, 2, 3], [1, 2, 3, 4]),
        ([1, 2, 3, 4], [5]),
        ([2, 3, 4, 5], [6]),
    ]


@pytest.mark.parametrize("stride", [1, 3, 7, 10])
@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 13, 20, 37])
def test_with_a_stride_each_token_is_predicted_once(length: int, stride: int) -> None:
    windows = _windows(length, max_length=10, stride=stride)
    assert [token for _, targets in windows for token in targets] == list(range(1, length + 1))
    for inputs, targets in windows:
        assert inputs[-len(targets) :] == [token - 1 for token in targets]
        assert len(inputs) == min(10, length)
    for inputs, targets in windows[1:]:
        assert len(inputs) - len(targets) >= 10 - stride


def test_a_stride_of_the_whole_length_is_none() -> None:
    assert _windows(37, max_length=10, stride=10) == _windows(37, max_length=10, stride=None)


def test_more_context_predicts_better(shared_dir: Path) -> None:
    import json

    folder = shared_dir / "data" / "EleutherAI" / "wikitext_document_level" / "wikitext-2-raw-v1"
    with (folder / "test.jsonl").open(encoding="utf-8") as lines:
        text = next(document for line in lines if len(document := json.loads(line)["page"]) > 2000)[:2000]
    found = []
    for stride in (None, 16, 4):
        options = HFOptions(dtype="float32", device="cpu", max_length=32, stride=stride)
        backend = plugin.open(str(shared_dir / "models" / "stories260K"), options)
        assert backend.info.details.get("stride") == stride
        (answer,) = rolling(backend, [text])
        assert isinstance(answer, RollingAnswer)
        found.append(answer.logprob)
    assert found == sorted(found)
    assert found[0] < found[-1]


@pytest.mark.parametrize(("stride", "problem"), [(0, "stride=0 cannot be used"), (65, "more than the 64 tokens")])
def test_unusable_stride(stride: int, problem: str, shared_dir: Path) -> None:
    options = HFOptions(device="cpu", max_length=64, stride=stride)
    with pytest.raises(ModelSpecError, match=problem):
        plugin.open(str(shared_dir / "models" / "stories260K"), options)


def test_windows_of_several_texts_run_together(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(shared_dir / "models" / "stories260K")
    backend = plugin.open(folder, HFOptions(dtype="float32", device="cpu", max_length=32))
    decoder = backend._parts._loaded.model.get_decoder()  # type: ignore[attr-defined]
    original, passes = decoder.forward, list[int]()

    def forward(**arguments: Any) -> Any:
        passes.append(arguments["input_ids"].numel())
        return original(**arguments)

    monkeypatch.setattr(decoder, "forward", forward)
    answers = rolling(backend, ["Tom had a red ball. " * 6, "Lily saw a dog. " * 5, "One day"])
    assert all(isinstance(answer, RollingAnswer) for answer in answers)
    assert len(passes) == 1
    assert passes[0] > 2 * 32
