"""The two ways to choose, each as what is asked of a chat endpoint and how its reply is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pytest_lmeval.backends.openai.constrained import LABEL_TOKENS, OBJECT_TOKENS, constraint, read_choice
from pytest_lmeval.backends.openai.letters import Vote, read_vote
from pytest_lmeval.backends.openai.manner import Manner

Way = Literal["letters", "constrained"]

# The most that OpenAI tells; others tell no more than asked for.
TOP_LOGPROBS = 20


def fields(way: Way, manner: Manner, labels: Sequence[str], top_logprobs: int = TOP_LOGPROBS) -> dict[str, Any]:
    """Return what makes a call a choice among ``labels``: all of its body but the model and the messages."""
    body: dict[str, Any] = {"temperature": 0.0} if manner.temperature else {}
    if manner.effort is not None:
        body["reasoning_effort"] = manner.effort
    if way == "letters":
        return body | manner.limited(1) | {"logprobs": True, "top_logprobs": top_logprobs}
    limit = manner.limited(LABEL_TOKENS if manner.vllm else OBJECT_TOKENS)
    return body | limit | constraint(labels, vllm=manner.vllm)


def read_ballot(way: Way, reply: Mapping[str, Any], labels: Sequence[str]) -> Vote:
    """Return the vote in a reply. Raises CallFailed where there is none."""
    return read_vote(reply, labels) if way == "letters" else read_choice(reply, labels)
