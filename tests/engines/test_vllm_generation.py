"""Text from a real vLLM engine against the hf backend's, and how its batch is kept full."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.protocol import (
    Backend,
    Failure,
    GenerationAnswer,
    GenerationRequest,
    GenerationSettings,
    LoglikelihoodRequest,
)
from tests.backends.asking import generated, texts
from tests.engines.opening import opened, tiny, words

BEGINNINGS = ("Once upon a time", "Lily and her dog went", "The big red ball", "Tom was sad because", "One day, a bird")
DRAWN = GenerationSettings(max_tokens=12, do_sample=True, temperature=1.0)


@pytest.fixture(scope="module")
def engine(shared_dir: Path) -> Iterator[Backend]:
    with opened(f"vllm:{tiny(shared_dir)},dtype=float32") as backend:
        yield backend


@pytest.fixture(scope="module")
def reference(shared_dir: Path) -> Iterator[Backend]:
    with opened(f"hf:{tiny(shared_dir)},dtype=float32,device=cpu") as backend:
        yield backend


@pytest.mark.parametrize(
    "settings",
    [
        GenerationSettings(max_tokens=1),
        GenerationSettings(max_tokens=40),
        GenerationSettings(max_tokens=200),
        GenerationSettings(max_tokens=40, until=(".",)),
        GenerationSettings(max_tokens=60, until=("\n", " named", "dog", "park", "!", "?", ". The")),
        GenerationSettings(max_tokens=60, until=("</s>", "Lily")),
        GenerationSettings(max_tokens=30, until=("never written", "")),
    ],
)
def test_the_same_text(engine: Backend, reference: Backend, settings: GenerationSettings) -> None:
    prompts = [(beginning, settings) for beginning in BEGINNINGS]
    ours, theirs = generated(engine, prompts), generated(reference, prompts)
    assert ours == theirs


def test_a_special_token_ends_it(engine: Backend, reference: Backend) -> None:
    # After the end of a story this model begins another one.
    prompts = [("They all lived happily ever after. The end.", GenerationSettings(max_tokens=200, until=("<s>",)))]
    ours, theirs = generated(engine, prompts), generated(reference, prompts)
    assert ours == theirs
    [answer] = ours
    assert isinstance(answer, GenerationAnswer)
    assert answer.tokens < 200


def test_too_long_a_prompt_loses_its_beginning(engine: Backend, reference: Backend) -> None:
    prompts = [(words(random.Random(0), 300), GenerationSettings(max_tokens=20))]
    assert generated(engine, prompts) == generated(reference, prompts)


def test_an_empty_prompt(engine: Backend, reference: Backend) -> None:
    prompts = [("", GenerationSettings(max_tokens=10))]
    assert generated(engine, prompts) == generated(reference, prompts)


def test_drawn_texts_can_be_drawn_again(engine: Backend) -> None:
    prompts = [(beginning, DRAWN) for beginning in BEGINNINGS]
    first = texts(engine, prompts)
    assert texts(engine, prompts) == first
    # Nor does it matter what else is drawn.
    assert texts(engine, prompts[2:3]) == first[2:3]


def test_repeats_and_seeds_draw_differently(engine: Backend) -> None:
    def seeded(number: int | None) -> tuple[str, GenerationSettings]:
        return "Once upon a time", GenerationSettings(max_tokens=12, do_sample=True, temperature=1.0, seed=number)

    drawn = texts(engine, [seeded(None)] * 4 + [seeded(5), seeded(6)])
    assert len(set(drawn)) == 6


def test_few_tokens_to_draw_from(engine: Backend) -> None:
    settings = GenerationSettings(max_tokens=12, do_sample=True, temperature=1.0, top_k=1)
    greedy = GenerationSettings(max_tokens=12)
    assert texts(engine, [("Once upon a time", settings)]) == texts(engine, [("Once upon a time", greedy)])


def test_further_settings(engine: Backend) -> None:
    plain, punished = texts(
        engine,
        [
            ("dog dog dog dog", GenerationSettings(max_tokens=30)),
            ("dog dog dog dog", GenerationSettings(max_tokens=30, extra=(("repetition_penalty", 5.0),))),
        ],
    )
    assert punished != plain


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (("num_beams", 4), "The vllm backend has no generation setting num_beams."),
        (("repetition_penalty", -1.0), "vLLM refuses the generation settings: repetition_penalty must be greater"),
        (("min_tokens", 99), "vLLM refuses the generation settings: min_tokens must be less"),
    ],
)
def test_settings_that_cannot_be_used(engine: Backend, extra: tuple[str, Any], told: str) -> None:
    fine = GenerationSettings(max_tokens=5)
    answers = generated(
        engine, [("Once", GenerationSettings(max_tokens=5, extra=(extra,))), ("Once", fine), ("x", fine)]
    )
    assert isinstance(answers[0], Failure)
    assert answers[0].error.startswith(told)
    assert [type(answer) for answer in answers[1:]] == [GenerationAnswer] * 2


def test_no_room_for_a_prompt(engine: Backend) -> None:
    (answer,) = generated(engine, [("Once", GenerationSettings(max_tokens=256))])
    assert isinstance(answer, Failure)
    assert "no room for a prompt" in answer.error


def test_short_answers_do_not_wait_for_long_ones(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine._running.engine, "slots", 2)
    lengths = [200, 5, 6, 7, 8, 9]
    requests = [
        GenerationRequest(id=i, context=f"Once upon {i}", settings=GenerationSettings(max_tokens=length))
        for i, length in enumerate(lengths)
    ]
    order = [answer.id for answer in engine.generate_until(iter(requests))]
    assert order[-1] == 0
    assert order[:5] == [1, 2, 3, 4, 5]


def test_streams_share_the_engine(engine: Backend) -> None:
    # A stream that waits does not hold up another, and its answers are not lost.
    long = [
        GenerationRequest(id=i, context=text, settings=GenerationSettings(max_tokens=30))
        for i, text in enumerate(BEGINNINGS)
    ]
    alone = {answer.id: answer for answer in engine.generate_until(iter(long))}
    writing = engine.generate_until(iter(long))
    first = next(writing)
    scoring = engine.loglikelihood(
        iter([LoglikelihoodRequest(id=99, context="Once upon", continuation=" a time there was")])
    )
    assert [answer.id for answer in scoring] == [99]
    assert {answer.id: answer for answer in [first, *writing]} == alone


def test_equal_greedy_requests_are_written_once(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted: list[Any] = []
    submit = engine._running.engine.submit

    def watched(*given: Any) -> None:
        submitted.append(given)
        submit(*given)

    monkeypatch.setattr(engine._running.engine, "submit", watched)
    assert len(set(texts(engine, [("Once upon a time", GenerationSettings(max_tokens=5))] * 4))) == 1
    assert len(submitted) == 1
