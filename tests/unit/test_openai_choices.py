from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from pytest_lmeval.backends.openai.asking import Asking
from pytest_lmeval.backends.openai.choices import FLOOR, ChoiceScorer
from pytest_lmeval.backends.openai.manner import CHAT, Manner
from pytest_lmeval.backends.openai.ways import Way
from pytest_lmeval.backends.protocol import Conversation, Failure, LoglikelihoodAnswer, LoglikelihoodRequest, Message

from .scripted_server import Body, Script, chat_reply, scripted

COLOURS = (" grey", " purple", " brown")
ASKED = Conversation((Message("user", "Red and blue?"),))
ALSO = Conversation((Message("user", "Red and green?"),))

Found = list[LoglikelihoodAnswer | Failure]


def document(context: Any = ASKED, choices: Sequence[str] = COLOURS, start: int = 0) -> list[LoglikelihoodRequest]:
    return [
        LoglikelihoodRequest(id=start + place, context=context, continuation=choice, choices=tuple(choices))
        for place, choice in enumerate(choices)
    ]


class Asked:
    """What one stream of requests came to."""

    def __init__(self, script: Script, requests: Sequence[LoglikelihoodRequest], **options: Any) -> None:
        manner = Manner(path=CHAT)
        with scripted(script) as (connection, bodies):
            way: Way = options.pop("way", "letters")
            self.scorer = ChoiceScorer(connection, Asking("m", None, manner), manner, "m", way=way, **options)
            self.found: Found = sorted(self.scorer.score(iter(requests)), key=lambda answer: answer.id)
            self.bodies = list(bodies)

    @property
    def shares(self) -> list[float]:
        return [math.exp(answer.logprob) for answer in self.answers]

    @property
    def answers(self) -> list[LoglikelihoodAnswer]:
        assert all(isinstance(answer, LoglikelihoodAnswer) for answer in self.found), self.found
        return [answer for answer in self.found if isinstance(answer, LoglikelihoodAnswer)]


def likes(**shares: float) -> Script:
    """A model with these probabilities of a first token, whatever it is asked."""

    def script(path: str, body: Body) -> Any:
        tops = [{"token": token, "logprob": math.log(share)} for token, share in shares.items()]
        logprobs = {"content": [{"token": "A", "logprob": -1.0, "top_logprobs": tops}]}
        return chat_reply({"content": "A"}, "length", logprobs=logprobs)

    return script


def knows(option: str, bias: float = 0.0) -> Script:
    """A model that finds ``option`` wherever it stands; ``bias`` of its probability goes to the first place."""

    def script(path: str, body: Body) -> Any:
        lines = body["messages"][-1]["content"].splitlines()
        (letter,) = [line[0] for line in lines if line[1:] == f". {option}"]
        shares = {"A": bias, letter: 1 - bias} if letter != "A" else {"A": 1.0}
        return likes(**{key: share for key, share in shares.items() if share})(path, body)

    return script


def test_one_call_for_all_choices_of_a_document() -> None:
    asked = Asked(likes(A=0.2, B=0.7, C=0.05), document())
    assert asked.shares == pytest.approx([0.2, 0.7, 0.05])
    assert [answer.is_greedy for answer in asked.answers] == [False, True, False]
    # What was read is counted once.
    assert [answer.tokens for answer in asked.answers] == [12, 0, 0]
    (body,) = asked.bodies
    assert (body["logprobs"], body["top_logprobs"], body["max_tokens"], body["temperature"]) == (True, 20, 1, 0.0)


def test_documents_are_told_apart_and_repeats_are_answered_together() -> None:
    first, second = document(), document(ALSO, start=50)
    repeated = [twice for one in first for twice in (one, _numbered(one, one.id + 100))]
    asked = Asked(likes(A=0.2, B=0.7), [*repeated, *second])
    assert len(asked.bodies) == 2
    assert len(asked.answers) == 9


def test_rotation_cancels_a_liking_for_a_place() -> None:
    once = Asked(knows("purple", bias=0.6), document())
    assert once.shares == pytest.approx([0.6, 0.4, 0.0])
    assert not once.answers[1].is_greedy
    turned = Asked(knows("purple", bias=0.6), document(), rotate=True)
    assert len(turned.bodies) == 3
    assert [answer.is_greedy for answer in turned.answers] == [False, True, False]
    assert turned.answers[0].tokens == 36


def test_choices_that_are_labels_are_asked_as_they_are_and_once() -> None:
    asked = Asked(likes(A=0.2, B=0.7), document(choices=(" A", " B")), rotate=True)
    (body,) = asked.bodies
    assert body["messages"] == ASKED.as_dicts()
    assert asked.shares == pytest.approx([0.2, 0.7])


def test_coverage_is_reported() -> None:
    def script(path: str, body: Body) -> Any:
        known = "blue" in body["messages"][0]["content"]
        return (likes(A=0.9, B=0.05) if known else likes(A=0.5, The=0.4))(path, body)

    asked = Asked(script, [*document(), *document(ALSO, start=50)])
    assert asked.scorer.details == {
        "choices": "letters", "rotate": False, "coverage_mean": 0.725, "coverage_min": 0.5,
    }  # fmt: skip


def test_low_coverage_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="only 20% of the probability is on the options' letters"):
        Asked(likes(A=0.2, The=0.8), document())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Asked(likes(A=0.5, The=0.5), document())


def test_no_letter_at_all_fails_the_document_and_no_other() -> None:
    def script(path: str, body: Body) -> Any:
        return (likes(A=0.9) if "blue" in body["messages"][0]["content"] else likes(The=0.9))(path, body)

    found = Asked(script, [*document(), *document(ALSO, start=50)]).found
    assert all(isinstance(answer, LoglikelihoodAnswer) for answer in found[:3])
    assert all(isinstance(answer, Failure) and "None of the labels" in answer.error for answer in found[3:])


def test_a_constrained_choice_is_all_or_nothing() -> None:
    def script(path: str, body: Body) -> Any:
        assert body["response_format"]["json_schema"]["schema"]["properties"]["answer"]["enum"] == ["A", "B", "C"]
        return chat_reply({"content": '{"answer": "B"}'})

    asked = Asked(script, document(), way="constrained")
    assert [answer.logprob for answer in asked.answers] == [FLOOR, 0.0, FLOOR]
    assert [answer.is_greedy for answer in asked.answers] == [False, True, False]
    assert asked.scorer.details == {"choices": "constrained", "rotate": False}


def test_rotated_constrained_choices_are_votes() -> None:
    def script(path: str, body: Body) -> Any:
        lines = body["messages"][-1]["content"].splitlines()
        order = [line[3:] for line in lines if line[1:3] == ". "]
        # Finds purple unless it stands last.
        label = "A" if order[-1] == "purple" else "ABC"[order.index("purple")]
        return chat_reply({"content": label})

    asked = Asked(script, document(), way="constrained", rotate=True)
    assert [math.exp(answer.logprob) for answer in asked.answers] == pytest.approx([0.0, 2 / 3, 1 / 3])
    assert asked.answers[0].logprob == FLOOR


def test_a_refusal_is_every_choices_own_outcome() -> None:
    refusal = chat_reply({"content": None, "refusal": "I won't choose."})
    found = Asked(lambda path, body: refusal, document(), way="constrained").found
    assert [answer.kind for answer in found if isinstance(answer, Failure)] == ["refused"] * 3


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        ([LoglikelihoodRequest(id=7, context=ASKED, continuation=" grey")], "nothing to choose among"),
        (document(""), "no context to choose after"),
        (document(choices=[f" number {place}" for place in range(27)]), "27 options, and 26 letters"),
    ],
)
def test_what_cannot_be_chosen_fails_without_a_call(requests: list[LoglikelihoodRequest], said: str) -> None:
    asked = Asked(likes(A=1.0), requests)
    assert not asked.bodies
    assert len(asked.found) == len(requests)
    assert all(isinstance(answer, Failure) and said in answer.error for answer in asked.found)


def test_a_continuation_that_is_no_choice() -> None:
    (request,) = document()[:1]
    stray = LoglikelihoodRequest(id=9, context=ASKED, continuation=" pink", choices=COLOURS)
    _, failure = Asked(likes(A=0.9), [request, stray]).found
    assert isinstance(failure, Failure)
    assert "not among the choices" in failure.error


def test_requests_are_pulled_by_the_document() -> None:
    pulled = 0

    def endless() -> Iterator[LoglikelihoodRequest]:
        nonlocal pulled
        while True:
            for request in document(Conversation((Message("user", f"Number {pulled}?"),)), start=pulled):
                yield request
                pulled += 1

    manner = Manner(path=CHAT)
    with scripted(likes(A=0.9)) as (connection, _):
        found = ChoiceScorer(connection, Asking("m", None, manner), manner, "m", way="letters").score(endless())
        for _ in range(9):
            next(found)
        found.close()  # type: ignore[attr-defined]
    assert pulled < 600


def _numbered(request: LoglikelihoodRequest, number: int) -> LoglikelihoodRequest:
    return LoglikelihoodRequest(
        id=number, context=request.context, continuation=request.continuation, choices=request.choices
    )
