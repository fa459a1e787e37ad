"""What came back about each document: answers, or failures that leave it out of every metric."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lmeval.backends.protocol import Answer, Failure, GenerationAnswer, LoglikelihoodAnswer
from pytest_lmeval.errors import BackendError
from pytest_lmeval.tasks.questions import Question
from pytest_lmeval.unanswered import failed, first_line, kinds


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back about one document: per request, one answer or failure a repeat."""

    question: Question
    answers: Sequence[Sequence[Answer | Failure]]

    @property
    def failures(self) -> list[Failure]:
        """What failed, of all requests; empty where the document can be scored."""
        return [answer for request in self.answers for answer in request if isinstance(answer, Failure)]

    @property
    def responses(self) -> list[list[Any]]:
        """The answers as filters and metrics read them, for a document without failures."""
        return [[response_of(a) for a in request if not isinstance(a, Failure)] for request in self.answers]

    @property
    def first(self) -> list[Answer]:
        """The first repeat of each request, for a document without failures."""
        return [request[0] for request in self.answers if not isinstance(request[0], Failure)]


def response_of(answer: Answer) -> Any:
    """Spell an answer as tasks and filters expect it, the reference's among them."""
    if isinstance(answer, LoglikelihoodAnswer):
        return (answer.logprob, answer.is_greedy)
    return answer.text if isinstance(answer, GenerationAnswer) else answer.logprob


def by_question(questions: Sequence[Question], answers: Iterable[Answer | Failure], repeats: int) -> list[Reply]:
    """Regroup flat answers, given in the order of the requests."""
    rest = iter(answers)
    return [Reply(q, [[next(rest) for _ in range(repeats)] for _ in range(q.calls)]) for q in questions]


def scorable(task: str, replies: Sequence[Reply]) -> list[Reply]:
    """Return the documents without failures. Raises BackendError where there are none: nothing can be scored."""
    good = [reply for reply in replies if not reply.failures]
    if replies and not good:
        asked = sum(len(request) for reply in replies for request in reply.answers)
        raise BackendError(failed(task, [failure for reply in replies for failure in reply.failures], asked))
    return good


def left_out(replies: Sequence[Reply]) -> Iterator[str]:
    """Yield a warning where documents were not answered, with the first reason."""
    lost = [reply.failures for reply in replies if reply.failures]
    if lost:
        were = "was" if len(lost) == 1 else "were"
        told = kinds(failures[0] for failures in lost)
        yield f"{len(lost):,} of {len(replies):,} documents {were} not answered{told}: {first_line(lost[0][0])}"


def tokens(answers: Iterable[Answer | Failure]) -> int:
    """Count the tokens read and written."""
    return sum(answer.tokens for answer in answers if not isinstance(answer, Failure))
