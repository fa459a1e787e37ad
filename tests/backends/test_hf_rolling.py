from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.hf import HFOptions, plugin
from pytest_lmeval.backends.protocol import Backend, RollingAnswer

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
    from pytest_lmeval.backends.hf.rolling import rolling_spans

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
