"""A client at full speed: ``python -m benchmarks.engines.client.asking JOB``. It prints what it measured.

Requests are made while they are asked, and answers are dropped as they come: what grows is the client's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

from benchmarks.engines.client.replies import MODEL, SCALE_OUT
from benchmarks.engines.order import OURS
from benchmarks.scoring.engines import instance
from benchmarks.scoring.memory import Memory
from pytest_lmeval.backends.protocol import (
    Conversation,
    Failure,
    GenerationRequest,
    GenerationSettings,
    LoglikelihoodRequest,
    Message,
    Request,
)
from pytest_lmeval.backends.registry import open_backend
from pytest_lmeval.backends.spec import ModelSpec
from pytest_lmeval.errors import BackendError

COMPLETIONS, CHAT, SCORING, TOKENS = "completions", "chat", "scoring", "scoring-tokens"
KINDS = (COMPLETIONS, CHAT, SCORING, TOKENS)
SCORED = (SCORING, TOKENS)

WARM_UP = 64
CHOICES = (" a kettle of water", " the harbour wall", " nothing at all", " both of them")
SETTINGS = GenerationSettings(until=("\n",), max_tokens=16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Ask ``requests`` requests of one ``kind`` of the server at ``url``, on ``core`` alone where one is given.

    ``scoring`` uses what every vLLM server has, ``scoring-tokens`` the token-level route of some.

    ``arguments`` are for ours the keys after ``openai:model``, for lm-eval its class's.
    """

    engine: str
    kind: str
    url: str
    tokenizer: str
    requests: int
    concurrency: int
    core: int | None = None
    arguments: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Seconds of the clock and of the process, and the most memory meanwhile, in bytes."""

    seconds: float
    cpu: float
    peak: int | None


def main(job: Job) -> Figures:
    """Measure. Raises BackendError where a request fails."""
    if job.core is not None:
        os.sched_setaffinity(0, {job.core})
    ask = _ours(job) if job.engine == OURS else _peer(job)
    memory = Memory("cpu")
    ask(WARM_UP)
    memory.restart()
    started, cpu = time.perf_counter(), time.process_time()
    ask(job.requests)
    return Figures(seconds=time.perf_counter() - started, cpu=time.process_time() - cpu, peak=memory.peak)


def _ours(job: Job) -> Callable[[int], None]:
    endpoint = "" if job.kind in SCORED else f",endpoint={job.kind}"
    url = f"{job.url}{SCALE_OUT if job.kind == TOKENS else ''}/v1"
    keys = f"base_url={url},tokenizer={job.tokenizer},max_connections={job.concurrency}{endpoint}"
    backend = open_backend(ModelSpec.parse(f"openai:{MODEL},{keys}{job.arguments}"))
    operation = getattr(backend, operation_of(job.kind))
    numbers = count()

    def ask(wanted: int) -> None:
        answered = 0
        for answer in operation(requests(job.kind, wanted, numbers)):
            if isinstance(answer, Failure):
                raise BackendError(answer.error)
            answered += 1
        if answered != wanted:
            raise BackendError(f"{wanted} requests had {answered} answers")

    return ask


def _peer(job: Job) -> Callable[[int], None]:
    from lm_eval.api.instance import Instance
    from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI

    path = "chat/completions" if job.kind == CHAT else "completions"
    arguments: dict[str, Any] = {"model": MODEL, "base_url": f"{job.url}/v1/{path}", "num_concurrent": job.concurrency}
    if job.kind == CHAT:
        lm = LocalChatCompletion(**arguments)
    else:
        lm = LocalCompletionsAPI(tokenizer=job.tokenizer, batch_size=1, **arguments)
    numbers = count()

    def ask(wanted: int) -> None:
        instances = [Instance(*_instance(lm, request), idx=0) for request in requests(job.kind, wanted, numbers)]
        answers = getattr(lm, operation_of(job.kind))(instances, disable_tqdm=True)
        if len(list(answers)) != wanted:
            raise BackendError(f"{wanted} requests had {len(answers)} answers")

    return ask


def _instance(lm: Any, request: Request) -> tuple[str, dict[str, Any], tuple[Any, ...]]:
    kind, document, arguments = instance(request)
    if not isinstance(arguments[0], Conversation):
        return kind, document, arguments
    return kind, document, (lm.apply_chat_template(arguments[0].as_dicts()), *arguments[1:])


def requests(kind: str, wanted: int, numbers: Iterator[int]) -> Iterator[Request]:
    """Make requests of texts that are all different; of four to be scored the context is the same."""
    for number in (next(numbers) for _ in range(wanted)):
        question = number // len(CHOICES) if kind in SCORED else number
        text = f"Question {question}: what is kept on the stove in the kitchen?\nAnswer:"
        if kind in SCORED:
            yield LoglikelihoodRequest(
                id=number, context=text, continuation=CHOICES[number % len(CHOICES)], choices=CHOICES
            )
        else:
            context = Conversation((Message("user", text),)) if kind == CHAT else text
            yield GenerationRequest(id=number, context=context, settings=SETTINGS)


def operation_of(kind: str) -> str:
    """The backend's operation that answers such requests."""
    return "loglikelihood" if kind in SCORED else "generate_until"


def read(text: str) -> Job:
    """Read a job's JSON."""
    values: Mapping[str, Any] = json.loads(text)
    return Job(**values)


if __name__ == "__main__":
    output = os.dup(1)
    os.dup2(2, 1)  # what is printed on the way is not the result
    os.write(output, json.dumps(asdict(main(read(sys.argv[1])))).encode())
