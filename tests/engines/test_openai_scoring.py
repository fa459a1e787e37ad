from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_lmeval.backends.openai import OpenAIOptions
from pytest_lmeval.backends.openai import backend as module
from pytest_lmeval.backends.openai.capabilities import Capabilities
from pytest_lmeval.backends.openai.opening import open_model
from pytest_lmeval.backends.protocol import (
    Answer,
    Backend,
    Failure,
    LoglikelihoodAnswer,
    LoglikelihoodRequest,
    RollingAnswer,
    RollingRequest,
)
from pytest_lmeval.errors import ModelSpecError
from tests.engines.opening import opened, tiny, words

if TYPE_CHECKING:
    from tests.engines.servers import Server

# What float32 may differ by, in nats: for a choice, and for a text of some hundred tokens.
CHOICE, TEXT = 1e-3, 1e-2

# Tokens in a block of the server's cache.
BLOCK = 32

# What is read by the routes that send the last target too, and have one more token written.
MAX_LENGTH = 250

EVERYTHING: dict[str, Any] = {
    "token_level": True,
    "cached_counts": True,
    "logprob_token_ids": True,
    "prompt_logprobs": True,
    "echo": True,
    "echo_text": True,
    "many": True,
}

ROUTES: dict[str, dict[str, bool]] = {
    "token level": {},
    "prompts by id": {"token_level": False},
    "whole prompts": {"token_level": False, "logprob_token_ids": False},
    "echo": {"token_level": False, "prompt_logprobs": False},
    "echo of text": {"token_level": False, "prompt_logprobs": False, "echo": False},
}


def requests() -> list[LoglikelihoodRequest]:
    """Choices of several lengths, contexts that fill blocks of the cache or are too long, and no context at all."""
    rng = random.Random(5)
    pairs: list[tuple[str, str]] = []
    for document in range(5):
        context = words(rng, 40 + 9 * document)
        pairs += [(context, " " + words(rng, length)) for length in (1, 1, 2, 7)]
    for length in (BLOCK - 1, BLOCK, 2 * BLOCK - 1, 3 * BLOCK - 1):  # with BOS before it, or without
        context = " ".join(["the"] * length)
        pairs += [(context, " " + words(rng, length)) for length in (1, 2, 7)]
    pairs += [("", "Once upon a time"), (words(rng, MAX_LENGTH + 100), " " + words(rng, 5))]
    return [
        LoglikelihoodRequest(id=number, context=c, continuation=k) for number, (c, k) in enumerate([*pairs, *pairs[:4]])
    ]


def texts() -> list[RollingRequest]:
    rng = random.Random(6)
    return [
        RollingRequest(id=number, text=text) for number, text in enumerate(["", "Hello.", words(rng, MAX_LENGTH + 200)])
    ]


def by_id(answers: Iterator[Any]) -> dict[int, Any]:
    return {answer.id: answer for answer in answers}


@pytest.fixture(scope="module")
def expected(shared_dir: Path) -> tuple[dict[int, LoglikelihoodAnswer], dict[int, RollingAnswer]]:
    with opened(f"hf:{tiny(shared_dir)},dtype=float32,device=cpu,max_length={MAX_LENGTH}") as model:
        return by_id(model.loglikelihood(iter(requests()))), by_id(model.loglikelihood_rolling(iter(texts())))


def close(found: Answer | Failure, wanted: LoglikelihoodAnswer | RollingAnswer, tolerance: float) -> None:
    assert isinstance(found, type(wanted)), found
    assert found.logprob == pytest.approx(wanted.logprob, abs=tolerance)
    assert found.tokens == wanted.tokens
    if isinstance(wanted, LoglikelihoodAnswer):
        assert isinstance(found, LoglikelihoodAnswer)
        assert found.is_greedy == wanted.is_greedy


def close_or_unsayable(found: Answer | Failure, wanted: LoglikelihoodAnswer | RollingAnswer, tolerance: float) -> None:
    if wanted.tokens < MAX_LENGTH:
        close(found, wanted, tolerance)
    else:
        assert isinstance(found, Failure)
        assert "no text has exactly the tokens" in found.error


def open_on(server: Server, **options: Any) -> Backend:
    return open_model(server.model, OpenAIOptions(base_url=server.base_url, max_length=MAX_LENGTH, **options))


@pytest.mark.parametrize("route", ROUTES)
def test_scores_over_http_are_the_models_own(
    route: str, tiny_vllm_server: Server, expected: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server puts BOS before a text, and one that was cut does not begin with it.
    check = close_or_unsayable if route == "echo of text" else close
    capabilities = Capabilities(**{**EVERYTHING, **ROUTES[route]})
    monkeypatch.setattr(module, "probe", lambda *_: capabilities)
    model = open_on(tiny_vllm_server)
    try:
        # The second time the server has all of it in its cache.
        for _ in range(2 if route == "token level" else 1):
            found = by_id(model.loglikelihood(iter(requests())))
            assert found.keys() == expected[0].keys()
            for number, wanted in expected[0].items():
                check(found[number], wanted, CHOICE)
        rolled = by_id(model.loglikelihood_rolling(iter(texts())))
        for number, wanted in expected[1].items():
            # This tokenizer's texts have a BOS of their own behind the prefix token, which no text says.
            if route != "echo of text":
                close(rolled[number], wanted, TEXT)
    finally:
        model.close()


def test_what_the_server_can_do_is_found_out_and_told(tiny_vllm_server: Server, shared_dir: Path) -> None:
    model = open_on(tiny_vllm_server)
    try:
        list(model.loglikelihood(iter(requests()[:2])))
        details = model.info.details
    finally:
        model.close()
    assert details["scoring_route"] == "inference/v1/generate"
    assert details["owned_by"] == "vllm"
    assert details["tokenizer"] == tiny(shared_dir)
    assert Capabilities(**EVERYTHING).details().items() <= details.items()


def test_the_servers_tokenizer_is_as_good_as_a_local_one(
    tiny_vllm_server: Server, expected: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_lmeval.backends.openai.tokenizing._local", lambda *_: None)
    # It does not tell which token a text may begin with where it puts none before it.
    model = open_on(tiny_vllm_server, prefix_token_id=1)
    try:
        found = by_id(model.loglikelihood(iter(requests()[:8])))
        assert model.info.details["tokenizer"] == "the server's"
    finally:
        model.close()
    for number, answer in found.items():
        close(answer, expected[0][number], CHOICE)


def test_a_server_that_drops_log_probabilities_is_refused(unscoring_server: Server) -> None:
    model = open_on(unscoring_server)
    try:
        with pytest.raises(ModelSpecError, match="gives no log-probabilities of given tokens") as caught:
            model.loglikelihood(iter(requests()[:1]))
    finally:
        model.close()
    for way_out in ("choices=letters", "tasks that generate", "--enable-scale-out"):
        assert way_out in str(caught.value)
