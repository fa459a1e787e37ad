"""Scores of a real vLLM engine against the hf backend's, and how much the engine computes for them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_lmeval.backends.protocol import Backend, Failure, LoglikelihoodAnswer, RollingAnswer
from pytest_lmeval.backends.text.encoding import Span
from tests.backends.asking import rolling, score, scores
from tests.engines.opening import opened, tiny, words

Pairs = list[tuple[str, str]]


@pytest.fixture(scope="module")
def engine(shared_dir: Path) -> Iterator[Backend]:
    with opened(f"vllm:{tiny(shared_dir)},dtype=float32") as backend:
        yield backend


@pytest.fixture(scope="module")
def reference(shared_dir: Path) -> Iterator[Backend]:
    with opened(f"hf:{tiny(shared_dir)},dtype=float32,device=cpu") as backend:
        yield backend


@pytest.fixture
def asked(engine: Any, monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """The requests that reach vLLM, and what it computed for them. Its cache is empty at first."""
    inner = engine._running.engine
    assert inner.llm.reset_prefix_cache()
    seen: list[SimpleNamespace] = []
    submit = inner.submit

    def watched(inbox: Any, name: Any, tokens: Any, parameters: Any, lora: Any = None) -> None:
        seen.append(SimpleNamespace(tokens=tokens, parameters=parameters))
        submit(inbox, name, tokens, parameters, lora)

    monkeypatch.setattr(inner, "submit", watched)
    return seen


def logprobs(answers: list[LoglikelihoodAnswer | Failure]) -> list[float]:
    assert all(isinstance(answer, LoglikelihoodAnswer) for answer in answers), answers
    return [answer.logprob for answer in answers if isinstance(answer, LoglikelihoodAnswer)]


def assert_equal(engine: Backend, reference: Backend, pairs: Pairs) -> None:
    ours, theirs = scores(engine, pairs), scores(reference, pairs)
    assert logprobs(ours) == pytest.approx(logprobs(theirs), abs=1e-3)
    for answer, other in zip(ours, theirs, strict=True):
        assert isinstance(answer, LoglikelihoodAnswer)
        assert isinstance(other, LoglikelihoodAnswer)
        assert (answer.is_greedy, answer.tokens) == (other.is_greedy, other.tokens)


def test_contexts_of_every_length_around_a_block(engine: Backend, reference: Backend) -> None:
    # One context in 32 ends where a block of the cache ends; then the first token's row is not computed.
    rng = random.Random(1)
    contexts = [words(rng, count) for count in range(24, 72)]
    pairs = [(context, f" {words(rng, 1 + choice * 4)}") for context in contexts for choice in range(4)]
    assert_equal(engine, reference, pairs)


def test_choices_of_all_kinds(engine: Backend, reference: Backend) -> None:
    rng = random.Random(2)
    pairs: Pairs = []
    for number in range(12):
        context, long = words(rng, 20 + 13 * number), f" {words(rng, 30)}"
        pairs += [(context, long), (context, f"{long} dog"), (context, f"{long} rain now"), (context, long)]
        pairs += [(context, " dog"), (context, " cat"), (context, " the"), (f"{context} a", " dog")]
    assert_equal(engine, reference, pairs)


def test_asked_again(engine: Backend, reference: Backend) -> None:
    # The second time the continuations themselves are in the cache.
    rng = random.Random(3)
    pairs = [(words(rng, 40 + 9 * number), f" {words(rng, 35)}") for number in range(8)]
    assert_equal(engine, reference, pairs)
    assert_equal(engine, reference, pairs)


def test_without_context(engine: Backend, reference: Backend) -> None:
    assert_equal(engine, reference, [("", "Once upon a time"), ("", "Once"), ("  ", "there was")])


def test_as_long_as_the_model_reads(engine: Backend, reference: Backend) -> None:
    # The last token is only predicted, so a text may have one more than the model reads.
    rng = random.Random(4)
    pairs = [(words(rng, count), f" {words(rng, 20)}") for count in (233, 234, 235, 236, 237, 240, 300)]
    assert_equal(engine, reference, pairs)


def test_more_single_tokens_than_vllm_takes_at_once(engine: Backend, reference: Backend) -> None:
    letters = [chr(code) for code in range(0x391, 0x3FF)] + [chr(code) for code in range(0x410, 0x470)]
    assert_equal(engine, reference, [("Lily wrote a", letter) for letter in letters])


def test_greedy_continuations(engine: Backend) -> None:
    assert score(engine, "Once upon a time, there was a", " little girl named").is_greedy
    assert not score(engine, "Once upon a time, there was a", " little boy named").is_greedy


def test_what_cannot_be_scored_fails_alone(engine: Backend) -> None:
    answers = scores(engine, [("Once upon", ""), ("Once upon", " a time"), ("Once", " dog" * 300)])
    assert [type(answer) for answer in answers] == [Failure, LoglikelihoodAnswer, Failure]


def test_single_tokens_of_a_context_are_one_request(engine: Backend, asked: list[SimpleNamespace]) -> None:
    scores(engine, [("Once upon a time there was a", f" {word}") for word in ("dog", "cat", "girl", "boy", "dog")])
    assert len(asked) == 1
    assert len(asked[0].parameters.logprob_token_ids) == 4
    assert asked[0].parameters.prompt_logprobs is None


def test_equal_requests_are_one(engine: Backend, asked: list[SimpleNamespace]) -> None:
    scores(engine, [("Lily went", " to the park")] * 5)
    assert len(asked) == 1


def computed(engine: Any, monkeypatch: pytest.MonkeyPatch, pairs: Pairs) -> tuple[int, int]:
    """Tokens that vLLM was given, and those of them that it did not find in its cache."""
    inner = engine._running.engine
    assert inner.llm.reset_prefix_cache()
    counts = [0, 0]
    step = inner.llm.llm_engine.step

    def watched() -> Any:
        outputs = step()
        for output in outputs:
            counts[0] += len(output.prompt_token_ids)
            counts[1] += len(output.prompt_token_ids) - output.num_cached_tokens
        return outputs

    with monkeypatch.context() as patch:
        patch.setattr(inner.llm.llm_engine, "step", watched)
        logprobs(scores(engine, pairs))
    return counts[0], counts[1]


def test_each_context_is_read_once(engine: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(5)
    contexts = [words(rng, 150) for _ in range(6)]
    pairs = [(context, f" {words(rng, 8)}") for context in contexts for _ in range(4)]
    given, read = computed(engine, monkeypatch, pairs)
    block, distinct = 32, 6 * 160 + len(pairs) * 9
    assert read < distinct + len(pairs) * block < given / 2


def test_shared_examples_are_read_once(engine: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(6)
    examples = words(rng, 180)
    pairs = [(f"{examples} {words(rng, 4)}", f" {words(rng, 1)}") for _ in range(20)]
    given, read = computed(engine, monkeypatch, pairs)
    assert given > 20 * 180
    assert read < 200 + 20 * (8 + 32)


def test_no_logits_are_asked_of_a_context(engine: Backend, asked: list[SimpleNamespace]) -> None:
    rng = random.Random(7)
    scores(engine, [(words(rng, 100), f" {words(rng, 6)}")])
    first, second = asked
    assert first.parameters.prompt_logprobs is None
    assert second.tokens[: len(first.tokens)] == first.tokens
    assert len(first.tokens) % 32 == 0
    assert second.parameters.prompt_logprobs == 0
    assert second.parameters.skip_reading_prefix_cache is False


def test_a_doubtful_answer_is_asked_again_without_the_cache(engine: Any, asked: list[SimpleNamespace]) -> None:
    scorer = engine._parts.scorer
    inner = engine._running.engine
    span = Span(tuple(range(300, 380)), tuple(range(370, 381)))
    step = inner.llm.llm_engine.step

    def spoilt() -> Any:
        outputs = step()
        for output in outputs:
            # As the first runner's memory that nobody has written.
            if output.prompt_logprobs is not None and len(asked) < 4:
                output.prompt_logprobs.token_ids[:] = [244224] * len(output.prompt_logprobs.token_ids)
        return outputs

    [(_, expected)] = scorer.score([(0, span)])
    del asked[:]
    assert inner.llm.reset_prefix_cache()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inner.llm.llm_engine, "step", spoilt)
        [(_, found)] = scorer.score([(0, span)])
        assert [request.parameters.skip_reading_prefix_cache for request in asked] == [False, False, True]
    assert isinstance(found, str)
    assert found == "vLLM's log-probabilities of this text's tokens do not belong to them."
    [(_, after)] = scorer.score([(0, span)])
    assert after.logprob == pytest.approx(expected.logprob, abs=1e-3)


def test_the_stream_is_pulled_as_room_allows(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = engine._running.engine
    monkeypatch.setattr(inner, "slots", 4)
    pulled: list[int] = []

    def spans() -> Iterator[tuple[int, Span]]:
        for number in range(40):
            pulled.append(number)
            yield number, Span((1, 300 + number), (400,))

    monkeypatch.setattr("pytest_lmeval.backends.vllm.scoring.WINDOW", 8)
    stream = engine._parts.scorer.score(spans())
    next(stream)
    assert len(pulled) == 8
    assert len({number for number, _ in stream}) == 39
    assert len(pulled) == 40


def test_an_idle_engine_is_not_waited_for(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # One in a process of its own would never answer.
    inner = engine._running.engine
    step, steps = inner.llm.llm_engine.step, []

    def watched() -> Any:
        steps.append(inner.llm.llm_engine.has_unfinished_requests())
        return step()

    monkeypatch.setattr(inner.llm.llm_engine, "step", watched)
    monkeypatch.setattr(inner, "slots", 2)
    assert scores(engine, []) == []
    # As many as there are slots, so that all are answered before the stream is known to have ended.
    assert len(scores(engine, [("Lily", " went"), ("Tom", " went")])) == 2
    assert steps
    assert all(steps)


def test_a_stream_that_is_dropped_leaves_nothing_behind(engine: Any) -> None:
    inner = engine._running.engine
    stream = engine._parts.scorer.score((number, Span((1, 300 + number), (400,))) for number in range(50))
    next(stream)
    stream.close()
    assert not inner._held
    assert not inner.llm.llm_engine.has_unfinished_requests()


def test_after_a_step_that_failed_the_engine_goes_on(engine: Any) -> None:
    expected = score(engine, "Once upon", " a time there was")

    def broken() -> Any:
        raise RuntimeError("the device is gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine._running.engine.llm.llm_engine, "step", broken)
        with pytest.raises(RuntimeError, match="the device is gone"):
            score(engine, "Once upon", " a time there was a dog")
    assert not engine._running.engine._held
    assert score(engine, "Once upon", " a time there was").logprob == pytest.approx(expected.logprob, abs=1e-4)


@pytest.mark.parametrize("stride", [None, 64])
def test_whole_texts_in_the_same_windows(stride: int | None, shared_dir: Path) -> None:
    rng = random.Random(8)
    texts = [words(rng, count) for count in (1, 3, 200, 255, 256, 257, 600)] + [""]
    key = "" if stride is None else f",stride={stride}"
    with opened(f"vllm:{tiny(shared_dir)},dtype=float32{key}") as engine:
        ours = rolling(engine, texts)
    with opened(f"hf:{tiny(shared_dir)},dtype=float32,device=cpu{key}") as reference:
        theirs = rolling(reference, texts)
    for answer, other in zip(ours, theirs, strict=True):
        assert isinstance(answer, RollingAnswer)
        assert isinstance(other, RollingAnswer)
        assert answer.tokens == other.tokens
        assert answer.logprob == pytest.approx(other.logprob, rel=1e-6, abs=1e-3)


def test_what_it_runs_on_is_told(engine: Backend) -> None:
    assert engine.info.details["runner"] == "V1"
    assert engine.info.details["block_size"] == 32
    assert engine.info.details["attention_backend"] == "CPU_ATTN"
    assert engine.info.max_length == 256
