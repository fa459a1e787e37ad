from __future__ import annotations

import itertools

import pytest

from pytest_lmeval.backends.fake import FakeBackend, FakeOptions, plugin
from pytest_lmeval.backends.protocol import (
    Backend,
    Failure,
    GenerationAnswer,
    GenerationSettings,
    LoglikelihoodAnswer,
    LoglikelihoodRequest,
    RollingAnswer,
)
from pytest_lmeval.errors import BackendError

from .asking import generated, rolling, score, scores


def test_it_is_a_backend() -> None:
    assert isinstance(FakeBackend(), Backend)
    assert isinstance(plugin.open("", FakeOptions()), Backend)
    assert not plugin.name_required


def test_same_question_same_answer() -> None:
    pairs = [("a", "b"), ("a", "c"), ("ab", "")]
    assert scores(FakeBackend(), pairs) == scores(FakeBackend(window=1), pairs)
    assert scores(FakeBackend(), pairs) != scores(FakeBackend(seed=1), pairs)


def test_functions_answer() -> None:
    backend = FakeBackend(
        loglikelihood=lambda context, continuation: (-1.5, continuation == "yes"),
        generate=lambda context, settings: context.upper() + "! more",
        rolling=lambda text: -float(len(text)),
    )
    assert score(backend, "well?", "yes") == LoglikelihoodAnswer(id=0, logprob=-1.5, is_greedy=True, tokens=2)
    assert rolling(backend, ["abc"]) == [RollingAnswer(id=0, logprob=-3.0, tokens=1)]
    how = GenerationSettings(until=("!",))
    assert generated(backend, [("hi there", how)]) == [GenerationAnswer(id=0, text="HI THERE", tokens=4)]


def test_the_limit_of_tokens_counts_words() -> None:
    backend = FakeBackend(generate=lambda context, settings: "one  two\nthree. four")
    asked = [
        ("a", GenerationSettings(max_tokens=most, until=until))
        for most, until in ((2, ()), (4, ()), (3, (".",)), (2, (".",)))
    ]
    found = [(a.text, a.truncated) for a in generated(backend, asked) if isinstance(a, GenerationAnswer)]
    whole = "one  two\nthree. four"
    assert found == [("one  two", True), (whole, False), ("one  two\nthree", False), ("one  two", True)]
    one, eight = (text_of(generated(FakeBackend(), [("b", GenerationSettings(max_tokens=n))])[0]) for n in (1, 8))
    assert len(one.split()) == 1 < len(eight.split())
    assert eight.startswith(one)


def text_of(answer: GenerationAnswer | Failure) -> str:
    assert isinstance(answer, GenerationAnswer), answer
    return answer.text


def test_a_function_that_raises_fails_its_request() -> None:
    backend = FakeBackend(rolling=lambda text: 1 / len(text))
    good, bad = rolling(backend, ["a", ""])
    assert isinstance(good, RollingAnswer)
    assert bad == Failure(id=1, error="ZeroDivisionError: division by zero")


def test_failures_follow_the_content_not_the_order() -> None:
    pairs = [("x", str(number)) for number in range(100)]
    backend = plugin.open("", FakeOptions(fail_every=4))
    failed = {pair for pair, answer in zip(pairs, scores(backend, pairs), strict=True) if isinstance(answer, Failure)}
    assert 10 < len(failed) < 45
    again = scores(backend, pairs[::-1])
    assert failed == {pair for pair, answer in zip(pairs[::-1], again, strict=True) if isinstance(answer, Failure)}


def test_it_pulls_a_window_and_records_what_it_was_asked() -> None:
    backend = FakeBackend(window=3)
    endless = (LoglikelihoodRequest(id=i, context="c", continuation=str(i)) for i in itertools.count())
    answers = backend.loglikelihood(endless)
    assert backend.asked == []
    assert next(answers).id == 2  # out of order on purpose
    assert [request.id for request in backend.asked] == [0, 1, 2]


def test_generated_text_has_at_most_max_tokens_words() -> None:
    answers = generated(FakeBackend(), [(str(i), GenerationSettings(max_tokens=2)) for i in range(20)])
    assert all(isinstance(answer, GenerationAnswer) and len(answer.text.split()) <= 2 for answer in answers)


def test_closed() -> None:
    backend = FakeBackend()
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.loglikelihood(iter([]))
