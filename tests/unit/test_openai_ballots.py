from __future__ import annotations

import pytest

from pytest_lmeval.backends.openai.ballots import Ballot, ballots
from pytest_lmeval.backends.protocol import Conversation, Message

QUESTION = "What is red and blue?"


def user(*contents: str) -> Conversation:
    return Conversation(tuple(Message("user", content) for content in contents))


@pytest.mark.parametrize("choices", [(" A", " B", " C"), ("1", "2"), (" a", " b"), ("A", "a")])
def test_choices_that_are_labels_are_asked_as_they_are(choices: tuple[str, ...]) -> None:
    expected = Ballot(QUESTION, tuple(choice.strip() for choice in choices), choices)
    assert ballots(QUESTION, choices, rotate=True) == [expected]


@pytest.mark.parametrize(
    "choices", [(" yes", " no"), (" A", "A"), (" 10", " 20"), ("", " A"), ("é", "à"), (" A B", " C")]
)
def test_other_choices_get_letters(choices: tuple[str, ...]) -> None:
    (ballot,) = ballots(QUESTION, choices, rotate=False)
    assert ballot.labels == ("A", "B")
    assert ballot.options == choices


def test_the_message() -> None:
    (ballot,) = ballots("Q: red and blue?\nA: ", (" grey", " purple", " a dark\ncolour"), rotate=False)
    assert ballot.context == (
        "Q: red and blue?\nA:\n\nA. grey\nB. purple\nC. a dark\ncolour\n\n"
        "Which of these continues the text above best? Answer with its letter alone: A, B or C."
    )


def test_the_message_goes_to_the_end_of_a_conversation() -> None:
    system = Message("system", "Be brief.")
    (ballot,) = ballots(Conversation((system, Message("user", QUESTION))), (" grey", " purple"), rotate=False)
    assert isinstance(ballot.context, Conversation)
    first, last = ballot.context.messages
    assert first == system
    assert last.role == "user"
    assert last.content.startswith(f"{QUESTION}\n\nA. grey\nB. purple\n\nWhich")


def test_the_beginning_of_an_answer_goes_before_the_options() -> None:
    context = Conversation((Message("user", QUESTION), Message("assistant", "It is")))
    (ballot,) = ballots(context, (" grey", " purple"), rotate=False)
    assert isinstance(ballot.context, Conversation)
    (message,) = ballot.context.messages
    assert message.role == "user"
    assert message.content.startswith(f"{QUESTION}\n\nIt is\n\nA. grey")


def test_a_conversation_that_only_begins_an_answer() -> None:
    (ballot,) = ballots(Conversation((Message("assistant", "It is"),)), (" grey", " purple"), rotate=False)
    assert isinstance(ballot.context, Conversation)
    assert [message.role for message in ballot.context.messages] == ["user"]


def test_each_option_takes_each_place_once() -> None:
    choices = (" one", " two", " three")
    turned = ballots(QUESTION, choices, rotate=True)
    assert [ballot.options for ballot in turned] == [
        (" one", " two", " three"),
        (" two", " three", " one"),
        (" three", " one", " two"),
    ]
    assert all(ballot.labels == ("A", "B", "C") for ballot in turned)
    assert "A. two\nB. three\nC. one" in str(turned[1].context)


def test_equal_choices_are_one_option() -> None:
    (ballot,) = ballots(QUESTION, (" yes", " no", " yes"), rotate=False)
    assert ballot.options == (" yes", " no")


def test_more_options_than_letters() -> None:
    with pytest.raises(ValueError, match="there are 27 options, and 26 letters"):
        ballots(QUESTION, [f"number {place}" for place in range(27)], rotate=False)
