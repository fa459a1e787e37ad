"""Multiple choice for chat models that give no log-probabilities of texts: another metric, and named so."""

from __future__ import annotations

import math
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pytest_lmeval.backends.openai.asking import Asking
from pytest_lmeval.backends.openai.ballots import Ballot, ballots
from pytest_lmeval.backends.openai.connection import CallFailed, Connection
from pytest_lmeval.backends.openai.manner import Manner
from pytest_lmeval.backends.openai.replies import token_counts
from pytest_lmeval.backends.openai.ways import TOP_LOGPROBS, Way, fields, read_ballot
from pytest_lmeval.backends.protocol import Context, Failure, LoglikelihoodAnswer, LoglikelihoodRequest

# Nats of an option that was never chosen: finite, because scores are averaged and divided, and below any other.
FLOOR = -100.0

# Below this mean the letters say little about what the model would answer.
LOW_COVERAGE = 0.5

Asked = list[LoglikelihoodRequest]


@dataclass(slots=True)
class Coverage:
    """How much probability was on the labels, over all ballots so far."""

    ballots: int = 0
    total: float = 0.0
    least: float = 1.0

    def add(self, value: float) -> None:
        """Count one ballot."""
        self.ballots += 1
        self.total += value
        self.least = min(self.least, value)

    @property
    def mean(self) -> float:
        """Over all ballots; 1 where there was none."""
        return self.total / self.ballots if self.ballots else 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The probability of each continuation, and what it took to know it: tokens, and each ballot's coverage."""

    shares: Mapping[str, float]
    tokens: int
    coverages: Sequence[float] = ()


class ChoiceScorer:
    """Asks a chat endpoint to choose, once for all of a document's continuations.

    In the way ``letters`` an answer's ``logprob`` is the log of the probability that the model begins its answer with
    the option's letter. In ``constrained`` it is 0 for the option chosen and ``FLOOR`` for the others. With ``rotate``
    each option takes each place once, and the probabilities are averaged, so that a liking for a place or a letter
    cancels out. ``is_greedy`` tells the option chosen, of equals the first.
    """

    def __init__(
        self, connection: Connection, asking: Asking, manner: Manner, model: str, *,
        way: Way, rotate: bool = False, top_logprobs: int = TOP_LOGPROBS,
    ) -> None:  # fmt: skip
        self.coverage = Coverage()
        self._connection = connection
        self._asking = asking
        self._manner = manner
        self._model = model
        self._way = way
        self._rotate = rotate
        self._top_logprobs = top_logprobs
        self._told = False

    @property
    def details(self) -> dict[str, str | int | float | bool | None]:
        """What goes into the model's provenance: how choices were made, and how well letters covered the answers."""
        told: dict[str, str | int | float | bool | None] = {"choices": self._way, "rotate": self._rotate}
        if self._way == "letters" and self.coverage.ballots:
            told |= {"coverage_mean": round(self.coverage.mean, 4), "coverage_min": round(self.coverage.least, 4)}
        return told

    def score(self, requests: Iterator[LoglikelihoodRequest]) -> Iterator[LoglikelihoodAnswer | Failure]:
        """Answer ``requests``; those of one document that follow each other are answered from one choice."""
        calls = ((asked, self._call(asked[0])) for asked in documents(requests))
        for asked, result in self._connection.run(calls):
            if isinstance(result, CallFailed):
                yield from (Failure(id=request.id, error=result.reason, kind=result.kind) for request in asked)
            else:
                for coverage in result.coverages:
                    self.coverage.add(coverage)
                yield from answers(asked, result)
        self._warn()

    def _call(self, request: LoglikelihoodRequest) -> Callable[[], Awaitable[Outcome]]:
        context, choices = request.context, request.choices

        async def ask() -> Outcome:
            if not choices:
                raise CallFailed(_NO_CHOICES)
            if isinstance(context, str) and not context.strip():
                raise CallFailed(_NO_CONTEXT)
            try:
                asked = ballots(context, choices, rotate=self._rotate)
            except ValueError as error:
                raise CallFailed(f"choices={self._way}: {error}.") from None
            return await self._cast(asked)

        return ask

    async def _cast(self, asked: Sequence[Ballot]) -> Outcome:
        """Ask each ballot in turn; the connection runs those of other documents meanwhile."""
        sums: dict[str, float] = {}
        tokens = 0
        coverages = []
        for ballot in asked:
            reply = await self._connection.post(self._manner.path, self._body(ballot))
            vote = read_ballot(self._way, reply, ballot.labels)
            coverages.append(vote.coverage)
            for option, share in zip(ballot.options, vote.shares, strict=True):
                sums[option] = sums.get(option, 0.0) + share
            counts = token_counts(reply)
            tokens += counts["prompt_tokens"] + counts["completion_tokens"]
        return Outcome({option: total / len(asked) for option, total in sums.items()}, tokens, coverages)

    def _body(self, ballot: Ballot) -> dict[str, Any]:
        messages = self._asking.messages(ballot.context, self._manner)
        chosen = fields(self._way, self._manner, ballot.labels, self._top_logprobs)
        return {"model": self._model, **messages, **chosen}

    def _warn(self) -> None:
        if self._told or self.coverage.mean >= LOW_COVERAGE:
            return
        self._told = True
        warnings.warn(
            f"{self._model}: only {self.coverage.mean:.0%} of the probability is on the options' letters on average, "
            "so their order says little about what the model would answer. Try --lm-chat-template, examples "
            "(--lm-num-fewshot), or choices=constrained.",
            stacklevel=2,
        )


def documents(requests: Iterator[LoglikelihoodRequest]) -> Iterator[Asked]:
    """Put requests that choose among the same continuations in the same context together, while they come in a row."""

    def kept(request: LoglikelihoodRequest) -> tuple[Context, tuple[str, ...], object]:
        # Where there is no choice, each fails for itself.
        return request.context, request.choices, request.choices or request.id

    for _, group in groupby(requests, key=kept):
        yield list(group)


def answers(asked: Asked, outcome: Outcome) -> Iterator[LoglikelihoodAnswer | Failure]:
    """Return the answers to requests of one document; the first of them carries the tokens."""
    chosen = max(outcome.shares, key=lambda option: outcome.shares[option])
    for place, request in enumerate(asked):
        share = outcome.shares.get(request.continuation)
        if share is None:
            yield Failure(id=request.id, error="The continuation is not among the choices that were given with it.")
            continue
        yield LoglikelihoodAnswer(
            id=request.id,
            logprob=max(math.log(share), FLOOR) if share > 0 else FLOOR,
            is_greedy=request.continuation == chosen,
            tokens=outcome.tokens if place == 0 else 0,
        )


_NO_CHOICES = (
    "The model can only be asked to choose, and here is nothing to choose among: the task scores one text alone, or "
    "its choices are contexts. It needs a model that gives log-probabilities of texts."
)
_NO_CONTEXT = (
    "The model can only be asked to choose, and here is no context to choose after (acc_mutual_info scores choices "
    "alone). It needs a model that gives log-probabilities of texts."
)
