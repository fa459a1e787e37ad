from __future__ import annotations

from typing import Any

import pytest

from pytest_lmeval.backends.fake import FakeBackend
from pytest_lmeval.backends.protocol import Conversation, GenerationRequest, GenerationSettings, Message
from pytest_lmeval.errors import BackendError
from pytest_lmeval.language_model import LanguageModel
from pytest_lmeval.runner import Runner


def model(backend: FakeBackend) -> LanguageModel:
    return LanguageModel(Runner(lambda: backend), "tests/test_x.py::test_it")


def test_answers_are_in_the_order_of_the_questions() -> None:
    # The fake answers backwards.
    backend = FakeBackend(
        loglikelihood=lambda context, continuation: (-float(len(continuation)), context == "b"),
        generate=lambda context, settings: f"{context} said. Then more",
        rolling=lambda text: -float(len(text)),
    )
    lm = model(backend)
    answers = lm.loglikelihood([("a", "x"), ("b", "xyz"), ("c", "xy")])
    assert [(a.logprob, a.is_greedy) for a in answers] == [(-1, False), (-3, True), (-2, False)]
    assert lm.loglikelihood_rolling(["four", "sevenly"]) == [-4.0, -7.0]
    assert lm.generate_until(["he", "she"], until=["."]) == ["he said", "she said"]
    assert len({request.id for request in backend.asked}) == len(backend.asked) == 7
    assert lm.loglikelihood([]) == []


def test_settings_reach_the_model() -> None:
    backend = FakeBackend()
    lm = model(backend)
    lm.generate_until(["a"])
    lm.generate_until(["a"], until=["x"], max_tokens=3, do_sample=True, temperature=0.5)
    assert [request.settings for request in backend.asked if isinstance(request, GenerationRequest)] == [
        GenerationSettings(),
        GenerationSettings(until=("x",), max_tokens=3, do_sample=True, temperature=0.5),
    ]
    with pytest.raises(TypeError, match="max_toks"):
        lm.generate_until(["a"], max_toks=3)


def test_a_question_that_is_not_answered_is_an_error_with_the_tests_name() -> None:
    def fail(context: str, settings: object) -> str:
        raise ValueError(f"no answer to {context}")

    message = r"test_x\.py::test_it: 2 of 2 requests were not answered:\n  ValueError: no answer to a\n"
    with pytest.raises(BackendError, match=message):
        model(FakeBackend(generate=fail)).generate_until(["a", "b"])


def test_the_model_itself() -> None:
    backend = FakeBackend(name="n")
    lm = model(backend)
    assert lm.backend is backend
    assert lm.info == backend.info


def test_whoever_counts_hears_of_every_question() -> None:
    heard: list[int] = []
    lm = LanguageModel(Runner(FakeBackend), "t", answered=lambda: heard.append(1))
    lm.loglikelihood([("a", "b")])
    assert len(heard) == 1
    failing = LanguageModel(Runner(lambda: FakeBackend(fail_every=1)), "t", answered=lambda: heard.append(1))
    with pytest.raises(BackendError):
        failing.loglikelihood_rolling(["a"])
    assert len(heard) == 2


@pytest.mark.parametrize("arguments", [{"prompts": "one"}, {"prompts": ["one"], "until": "."}])
def test_a_bare_string_is_not_a_list_of_letters(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="expected lists"):
        model(FakeBackend()).generate_until(**arguments)


def test_a_conversation_is_a_context_too() -> None:
    backend = FakeBackend(generate=lambda context, settings: context.upper())
    talk = [{"role": "user", "content": "hello"}]
    assert model(backend).generate_until([talk, "plain"]) == ["USER: HELLO", "PLAIN"]
    model(backend).loglikelihood([(talk, "x")])
    assert getattr(backend.asked[0], "context", None) == Conversation((Message("user", "hello"),))
    with pytest.raises(TypeError, match=r"expected a text or a list of .*, found \[\{'content': 'hello'\}\]"):
        model(backend).generate_until([[{"content": "hello"}]])
