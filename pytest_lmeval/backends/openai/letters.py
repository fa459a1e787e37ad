"""The probabilities of labels as a model's first token, from the most probable tokens that a chat endpoint tells."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lmeval.backends.openai.connection import CallFailed
from pytest_lmeval.backends.openai.replies import first_choice, mapping, shown

# What a model may put around a letter.
_AROUND = ".:,;()[]*\"'`"


@dataclass(frozen=True, slots=True)
class Vote:
    """What one ballot gave: ``shares[i]`` is the probability of label i, ``coverage`` the sum of what was seen.

    ``unseen`` are labels whose share is not told but bounded from above: by the least probable token that is told, and
    by what all of those leave.
    """

    shares: tuple[float, ...]
    unseen: frozenset[int] = frozenset()

    @property
    def coverage(self) -> float:
        """How much of the probability is on labels at all; the rest is on other ways to begin an answer."""
        return sum(share for place, share in enumerate(self.shares) if place not in self.unseen)


def read_vote(reply: Mapping[str, Any], labels: Sequence[str]) -> Vote:
    """Return the labels' probabilities; tokens that write one label, as ``A``, `` A`` and ``A.``, count together.

    Letters of the other case are not the label: ``a`` and ``I`` begin sentences. Raises CallFailed where the server
    tells no probabilities, and where no label is among them, since then nothing is known of the choice.
    """
    tops = first_tokens(reply)
    seen = merged(tops, labels)
    if not seen:
        likely = ", ".join(shown(token) for token, _ in tops[:5])
        raise CallFailed(
            f"None of the labels {', '.join(labels)} is among the {len(tops)} most probable first tokens ({likely} …), "
            "so the model answers in another way. choices=constrained makes it answer with a label."
        )
    most = _bound(tops)
    shares = tuple(seen.get(label, most) for label in labels)
    return Vote(shares, frozenset(place for place, label in enumerate(labels) if label not in seen))


def merged(tops: Iterable[tuple[str, float]], labels: Sequence[str]) -> dict[str, float]:
    """Return the probability of each label that one of the tokens writes."""
    found: dict[str, float] = {}
    for token, logprob in tops:
        label = token.strip().strip(_AROUND).strip()
        if label in labels:
            found[label] = found.get(label, 0.0) + math.exp(logprob)
    return found


def _bound(tops: Sequence[tuple[str, float]]) -> float:
    """Return the most that a token which is not told can have."""
    shares = [math.exp(logprob) for _, logprob in tops]
    return min(*shares, max(0.0, 1.0 - sum(shares)))


def first_tokens(reply: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return the first token's candidates. Raises CallFailed where the server tells none."""
    content = mapping(first_choice(reply).get("logprobs")).get("content")
    first = mapping(content[0]) if isinstance(content, list) and content else {}
    listed = first.get("top_logprobs")
    pairs = [_pair(mapping(entry)) for entry in listed] if isinstance(listed, list) else []
    tops = [pair for pair in pairs if pair is not None]
    if not tops:
        raise CallFailed(
            f"The server gives no top_logprobs in chat; found {shown(first_choice(reply).get('logprobs'))}."
        )
    return tops


def _pair(entry: Mapping[str, Any]) -> tuple[str, float] | None:
    token, logprob = entry.get("token"), entry.get("logprob")
    if not isinstance(token, str) or isinstance(logprob, bool) or not isinstance(logprob, int | float):
        return None
    # Above 0 by rounding only; NaN compares false.
    return (token, min(float(logprob), 0.0)) if logprob <= 1e-3 else None
