from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.backends.hf import plugin as hf_plugin
from pytest_lmeval.backends.openai.asking import Local
from pytest_lmeval.backends.openai.writing import Writing
from pytest_lmeval.backends.protocol import (
    Backend,
    Context,
    Conversation,
    Failure,
    GenerationAnswer,
    GenerationRequest,
    GenerationSettings,
    Message,
)

from .openai_parts import local_parts, writing_on
from .servers import Server

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

Answers = list[GenerationAnswer | Failure]


@pytest.fixture(scope="module")
def local(demo_checkpoint: Path) -> Local:
    return local_parts(demo_checkpoint, MAX_LENGTH)


@pytest.fixture(scope="module")
def hf(demo_checkpoint: Path) -> Iterator[Backend]:
    backend = hf_plugin.open(str(demo_checkpoint), HFOptions(dtype="float32", device="cpu"))
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def expected(hf: Backend) -> list[str]:
    return [text_of(answer) for answer in ordered(hf.generate_until(requests(ASKED)))]


@pytest.fixture(scope="module")
def writing(vllm_server: Server, local: Local) -> Iterator[Writing]:
    with writing_on(vllm_server, local=local) as opened:
        yield opened


def requests(asked: Sequence[tuple[Context, GenerationSettings]]) -> Iterator[GenerationRequest]:
    return (GenerationRequest(id=place, context=text, settings=how) for place, (text, how) in enumerate(asked))


def ordered(answers: Iterator[GenerationAnswer | Failure]) -> Answers:
    return sorted(answers, key=lambda answer: answer.id)


def generated(writing: Writing, asked: Sequence[tuple[Context, GenerationSettings]]) -> Answers:
    return ordered(writing.generator.generate(requests(asked)))


def one(writing: Writing, context: Context, **settings: Any) -> GenerationAnswer | Failure:
    (answer,) = generated(writing, [(context, GenerationSettings(**settings))])
    return answer


def text_of(answer: GenerationAnswer | Failure) -> str:
    assert isinstance(answer, GenerationAnswer), answer
    return answer.text


@pytest.mark.parametrize("endpoint", ["auto", "completions"])
@pytest.mark.parametrize("encoded_here", [True, False], ids=["ids", "texts"])
def test_texts_equal_the_local_models(
    vllm_server: Server, local: Local, expected: list[str], endpoint: str, encoded_here: bool
) -> None:
    with writing_on(vllm_server, endpoint, local=local if encoded_here else None) as writing:
        found = generated(writing, ASKED)
    for (prompt, how), answer, text in zip(ASKED, found, expected, strict=True):
        if isinstance(prompt, Conversation) and not encoded_here and endpoint == "completions":
            assert isinstance(answer, Failure)
            assert "tokenizer=NAME" in answer.error
        else:
            assert text_of(answer) == text, (prompt, how)


def test_with_the_tokenizer_tokens_are_counted_as_for_the_local_model(writing: Writing, hf: Backend) -> None:
    asked = [pair for pair in ASKED if isinstance(pair[0], str)]
    assert generated(writing, asked) == ordered(hf.generate_until(requests(asked)))


def test_a_long_prompt_loses_its_beginning(writing: Writing, local: Local, hf: Backend, demo_checkpoint: Path) -> None:
    from transformers import AutoTokenizer

    how = GenerationSettings(max_tokens=12)
    (answer,) = generated(writing, [("Tom had a red ball. " * 200, how)])
    # The local model reads more than is allowed here, so it is given what is left.
    (tokens,) = local.encoder.prompts(["Tom had a red ball. " * 200]).values()
    rest = AutoTokenizer.from_pretrained(demo_checkpoint).decode(tokens[-(MAX_LENGTH - how.max_tokens) :])
    assert [answer] == ordered(hf.generate_until(requests([(rest, how)])))


def test_without_the_tokenizer_the_server_says_that_it_is_too_long(vllm_server: Server) -> None:
    with writing_on(vllm_server) as writing:
        answer = one(writing, "Tom had a red ball. " * 1000)
    assert isinstance(answer, Failure)
    assert "maximum context length" in answer.error


def test_sampled_answers_are_reproducible_and_repeats_differ(writing: Writing) -> None:
    how = GenerationSettings(do_sample=True, temperature=1.0, max_tokens=12, seed=7)
    asked: list[tuple[Context, GenerationSettings]] = [("Once upon a time", how)] * 3 + [(PROMPTS[3], how)] * 2
    first = generated(writing, asked)
    assert len({text_of(answer) for answer in first}) == 5
    assert generated(writing, asked) == first


def test_sampling_among_one_is_greedy(writing: Writing) -> None:
    greedy = text_of(one(writing, "Once upon a time", max_tokens=12))
    sampled = {"do_sample": True, "temperature": 1.0, "max_tokens": 12, "seed": 7}
    assert text_of(one(writing, "Once upon a time", top_k=1, **sampled)) == greedy
    assert text_of(one(writing, "Once upon a time", top_p=1e-6, **sampled)) == greedy


def test_further_settings_reach_the_server(writing: Writing) -> None:
    greedy = text_of(one(writing, "a a a a a a a a", max_tokens=12))
    assert text_of(one(writing, "a a a a a a a a", max_tokens=12, extra=(("repetition_penalty", 1.9),))) != greedy
    refused = one(writing, "Once", extra=(("min_p", 7.0),))
    assert isinstance(refused, Failure)
    assert "min_p must be in [0, 1]" in refused.error
    unknown = one(writing, "Once", extra=(("zeal", 7.0),))
    assert isinstance(unknown, Failure)
    assert "no generation setting zeal" in unknown.error


def test_reasoning_inside_the_text_is_told_apart(vllm_server: Server) -> None:
    with writing_on(vllm_server, "chat", think_end=", ", reasoning_tokens=8) as writing:
        whole = one(writing, PROMPTS[4], max_tokens=16)
        cut = one(writing, PROMPTS[3], max_tokens=1)
    assert isinstance(whole, GenerationAnswer)
    assert (whole.reasoning, whole.text) == ("Paris", "France.")
    assert isinstance(cut, Failure)
    assert "The limit of 9 tokens was used up by reasoning" in cut.error


def test_a_text_for_a_chat_endpoint_is_one_message(vllm_server: Server, expected: list[str]) -> None:
    with writing_on(vllm_server, "chat") as writing, pytest.warns(UserWarning, match="one message of the user"):
        answer = one(writing, "Tell me a joke.", max_tokens=16)
    assert text_of(answer) == expected[ASKED.index((PROMPTS[3], GenerationSettings(max_tokens=16)))]


def test_what_the_endpoints_take_is_learnt(writing: Writing) -> None:
    assert writing.details == {
        "completions_stops": 4, "completions_temperature": True, "chat_stops": 4, "chat_temperature": True,
    }  # fmt: skip
