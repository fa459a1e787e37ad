from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.backends.hf import plugin as hf_plugin
from pytest_lmeval.backends.openai.backend import Parts
from pytest_lmeval.backends.protocol import (
    Backend,
    Context,
    Conversation,
    Failure,
    GenerationAnswer,
    GenerationSettings,
    Message,
    Metered,
)
from tests.backends.asking import generated, texts
from tests.engines.openai_parts import served
from tests.engines.servers import Server

# Shorter than what the server reads, so that it is the client that cuts long prompts.
MAX_LENGTH = 512

PROMPTS: list[Context] = [
    "Once upon a time",
    "Question: 2+2?\nAnswer:",
    "The Ñandú is 鸟 and",
    Conversation((Message("user", "Tell me a joke."),)),
    Conversation((Message("user", "What is the capital of France?"), Message("assistant", "The capital is"))),
]
STOPS: list[tuple[str, ...]] = [
    (),
    (".",),
    ("\n",),
    (" the", ".\n"),
    # vLLM takes four.
    ("q1", "q2", "q3", "q4", "q5", " and", " a"),
    ("<|im_end|>",),
    ("ll", "lo", "'s"),
    ("é", "鸟", "。", "鸭", ","),
]
ASKED = [(prompt, GenerationSettings(until=until, max_tokens=16)) for prompt in PROMPTS for until in STOPS]


@pytest.fixture(scope="module")
def hf(demo_checkpoint: Path) -> Iterator[Backend]:
    backend = hf_plugin.open(str(demo_checkpoint), HFOptions(dtype="float32", device="cpu"))
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def expected(hf: Backend) -> list[str]:
    return texts(hf, ASKED)


@pytest.fixture(scope="module")
def backend(vllm_server: Server, demo_checkpoint: Path) -> Iterator[Backend]:
    with served(vllm_server, tokenizer=str(demo_checkpoint), max_length=MAX_LENGTH) as opened:
        yield opened


@pytest.fixture
def _no_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the model's files are nowhere at hand."""
    monkeypatch.setattr(Parts, "local", None)


def one(backend: Backend, context: Context, **settings: Any) -> GenerationAnswer | Failure:
    (answer,) = generated(backend, [(context, GenerationSettings(**settings))])
    return answer


def text_of(answer: GenerationAnswer | Failure) -> str:
    assert isinstance(answer, GenerationAnswer), answer
    return answer.text


def test_texts_equal_the_local_models(backend: Backend, expected: list[str]) -> None:
    found = dict(zip(ASKED, texts(backend, ASKED), strict=True))
    assert found == dict(zip(ASKED, expected, strict=True))


def test_conversations_that_are_rendered_here_equal_those_that_the_server_renders(
    vllm_server: Server, demo_checkpoint: Path, hf: Backend
) -> None:
    asked = [pair for pair in ASKED if isinstance(pair[0], Conversation)]
    with served(vllm_server, tokenizer=str(demo_checkpoint), endpoint="completions") as backend:
        assert generated(backend, asked) == generated(hf, asked)


@pytest.mark.usefixtures("_no_tokenizer")
def test_without_a_tokenizer_the_texts_are_the_same(vllm_server: Server, expected: list[str]) -> None:
    with served(vllm_server) as backend:
        assert texts(backend, ASKED) == expected
        too_long = one(backend, "Tom had a red ball. " * 1000)
    assert isinstance(too_long, Failure)
    assert "maximum context length" in too_long.error


def test_another_kind_of_server_writes_the_same(unscoring_server: Server, expected: list[str]) -> None:
    # It answers one after the other.
    asked = [(prompt, how) for prompt, how in ASKED if prompt in (PROMPTS[0], PROMPTS[3]) and how.until in STOPS[3:5]]
    with served(unscoring_server) as backend:
        found = dict(zip(asked, texts(backend, asked), strict=True))
        begun = one(backend, PROMPTS[4])
    assert found == {pair: text for pair, text in zip(ASKED, expected, strict=True) if pair in found}
    assert isinstance(begun, Failure)
    assert "prefill=true" in begun.error


@pytest.mark.usefixtures("_no_tokenizer")
def test_a_conversation_with_neither_chat_nor_tokenizer(vllm_server: Server) -> None:
    with served(vllm_server, endpoint="completions") as backend:
        answer = one(backend, PROMPTS[3])
    assert isinstance(answer, Failure)
    assert "tokenizer=NAME" in answer.error


def test_with_the_tokenizer_tokens_are_counted_as_for_the_local_model(backend: Backend, hf: Backend) -> None:
    asked = [pair for pair in ASKED if isinstance(pair[0], str)]
    assert generated(backend, asked) == generated(hf, asked)


def test_a_long_prompt_loses_its_beginning(backend: Backend, hf: Backend, demo_checkpoint: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(demo_checkpoint)
    prompt, how = "Tom had a red ball. " * 200, GenerationSettings(max_tokens=12)
    # The local model reads more than is allowed here, so it is given what is left.
    rest = tokenizer.decode(tokenizer(prompt)["input_ids"][-(MAX_LENGTH - how.max_tokens) :])
    assert generated(backend, [(prompt, how)]) == generated(hf, [(rest, how)])


def test_sampled_answers_are_reproducible_and_repeats_differ(backend: Backend) -> None:
    how = GenerationSettings(do_sample=True, temperature=1.0, max_tokens=12, seed=7)
    asked: list[tuple[Context, GenerationSettings]] = [("Once upon a time", how)] * 3 + [(PROMPTS[3], how)] * 2
    first = texts(backend, asked)
    assert len(set(first)) == 5
    assert texts(backend, asked) == first


def test_sampling_among_one_is_greedy(backend: Backend) -> None:
    greedy = text_of(one(backend, "Once upon a time", max_tokens=12))
    sampled = {"do_sample": True, "temperature": 1.0, "max_tokens": 12, "seed": 7}
    assert text_of(one(backend, "Once upon a time", top_k=1, **sampled)) == greedy
    assert text_of(one(backend, "Once upon a time", top_p=1e-6, **sampled)) == greedy


def test_further_settings_reach_the_server(backend: Backend) -> None:
    greedy = text_of(one(backend, "a a a a a a a a", max_tokens=12))
    assert text_of(one(backend, "a a a a a a a a", max_tokens=12, extra=(("repetition_penalty", 1.9),))) != greedy
    refused = one(backend, "Once", extra=(("min_p", 7.0),))
    assert isinstance(refused, Failure)
    assert "min_p must be in [0, 1]" in refused.error
    unknown = one(backend, "Once", extra=(("zeal", 7.0),))
    assert isinstance(unknown, Failure)
    assert "no generation setting zeal" in unknown.error


def test_reasoning_inside_the_text_is_told_apart(vllm_server: Server) -> None:
    with served(vllm_server, endpoint="chat", think_end=", ", reasoning_tokens=8) as backend:
        whole = one(backend, PROMPTS[4], max_tokens=16)
        cut = one(backend, PROMPTS[3], max_tokens=1)
    assert isinstance(whole, GenerationAnswer)
    assert (whole.reasoning, whole.text) == ("Paris", "France.")
    assert isinstance(cut, Failure)
    assert "The limit of 9 tokens was used up by reasoning" in cut.error


def test_a_text_for_a_chat_endpoint_is_one_message(vllm_server: Server, expected: list[str]) -> None:
    with served(vllm_server, endpoint="chat") as backend, pytest.warns(UserWarning, match="one message of the user"):
        answer = one(backend, "Tell me a joke.", max_tokens=16)
    assert text_of(answer) == expected[ASKED.index((PROMPTS[3], GenerationSettings(max_tokens=16)))]


def test_what_was_used_is_counted_and_priced(vllm_server: Server) -> None:
    with served(vllm_server, input_price=2.0, output_price=8.0, cached_price=1.0) as backend:
        assert isinstance(backend, Metered)
        before = backend.usage
        answers = generated(backend, [(PROMPTS[4], GenerationSettings(max_tokens=4))] * 3)
        after = backend.usage
    assert all(isinstance(answer, GenerationAnswer) for answer in answers)
    # Two tokens of text a call are the least, for the requests that find out what the server takes.
    assert after.calls > before.calls + 3
    assert after.completion_tokens >= before.completion_tokens + 12
    cost = (after.prompt_tokens - after.cached_tokens) * 2 + after.cached_tokens + after.completion_tokens * 8
    assert after.cost == pytest.approx(cost / 1e6)


def test_what_the_endpoints_take_is_told(backend: Backend) -> None:
    assert text_of(one(backend, "Once", max_tokens=1))
    expected = {"completions_stops": 4, "completions_temperature": True, "chat_stops": 4, "chat_temperature": True}
    assert expected.items() <= backend.info.details.items()
    assert backend.info.scoring == "log-likelihood"
