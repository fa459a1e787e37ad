"""The same model in float32 on three engines gives the same numbers, and they are lm-eval's on vLLM."""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytest_lmeval.backends.protocol import Answer, Backend, GenerationAnswer, LoglikelihoodAnswer, RollingAnswer
from pytest_lmeval.backends.registry import open_backend
from pytest_lmeval.backends.spec import ModelSpec
from tests.engines import lm_eval_peer
from tests.engines.conftest import MAX_LENGTH
from tests.engines.servers import Server
from tests.engines.workloads import WORKLOADS, Asked

# Nats, for a choice and for each token of a text. torch's float32 log_softmax over 49,152 logits on a CPU, which vLLM
# uses, is 7.5e-6 above the exact value on average; the hf backend's is not.
TOLERANCE, A_TOKEN = 1e-3, 1e-5

TASKS = [workload.task for workload in WORKLOADS]

# lm-eval reads the whole prompt again for each choice, so it is asked less.
PEER_REQUESTS = {"hellaswag": 20, "arc_easy": 20, "mmlu_astronomy": 4, "lambada_openai": 20, "wikitext": 1, "gsm8k": 4}

ENGINES = ("vllm", "openai")

Answers = Mapping[str, Sequence[Answer]]


@dataclass(frozen=True, slots=True)
class Process:
    """What engines like to change in the process that they run in."""

    environment: dict[str, str]
    threads: int
    set_threads: Any
    frozen: int
    random: Any
    numpy: Any
    torch: list[int]

    @classmethod
    def now(cls) -> Process:
        return cls(
            environment=dict(os.environ),
            threads=torch.get_num_threads(),
            set_threads=torch.set_num_threads,
            frozen=gc.get_freeze_count(),
            random=random.getstate(),
            numpy=np.random.get_state()[1].tolist(),  # type: ignore[index]
            torch=torch.get_rng_state().tolist(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What each engine answered, by task; the process before and after the one engine that ran in it."""

    engines: Mapping[str, Answers]
    peer: Mapping[str, Sequence[Any]]
    before: Process
    after: Process


@pytest.fixture(scope="module")
def asked(shared_dir: Path) -> dict[str, Asked]:
    return {workload.task: Asked(workload, shared_dir / "data") for workload in WORKLOADS}


@pytest.fixture(scope="module")
def run(asked: dict[str, Asked], demo_checkpoint: Path, vllm_server: Server) -> Run:
    """Each engine loads the model once. What runs elsewhere runs at the same time, for there are two cores."""
    here = f"{demo_checkpoint},dtype=float32"
    served = f"{vllm_server.model},base_url={vllm_server.base_url},tokenizer={demo_checkpoint},max_length={MAX_LENGTH}"
    # Opened before the other thread starts: two threads cannot import transformers at the same time.
    hf_model = open_backend(ModelSpec.parse(f"hf:{here},max_length={MAX_LENGTH}"))
    with ThreadPoolExecutor(1) as elsewhere:
        openai = elsewhere.submit(ask, f"openai:{served}", asked)
        peer = elsewhere.submit(ask_peer, demo_checkpoint, asked)
        hf = ask_all(hf_model, asked)
        del hf_model
        before = Process.now()
        vllm = ask(f"vllm:{here},max_model_len={MAX_LENGTH},kv_cache_memory_bytes={512 * 2**20}", asked)
        after = Process.now()
        engines = {"hf": hf, "vllm": vllm, "openai": openai.result()}
        return Run(engines=engines, peer=peer.result(), before=before, after=after)


def ask(spec: str, asked: Mapping[str, Asked]) -> Answers:
    return ask_all(open_backend(ModelSpec.parse(spec)), asked)


def ask_all(backend: Backend, asked: Mapping[str, Asked]) -> Answers:
    """Ask everything of a model and close it."""
    try:
        return {task: work.answers(backend) for task, work in asked.items()}
    finally:
        backend.close()
        gc.collect()


def ask_peer(checkpoint: Path, asked: Mapping[str, Asked]) -> Mapping[str, Sequence[Any]]:
    questions = [(asked[task].operation, asked[task].requests[:count]) for task, count in PEER_REQUESTS.items()]
    return dict(zip(PEER_REQUESTS, lm_eval_peer.ask(checkpoint, MAX_LENGTH, questions), strict=True))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("task", TASKS)
def test_answers_agree(run: Run, task: str, engine: str) -> None:
    expected = [plain(answer) for answer in run.engines["hf"][task]]
    assert_close([plain(answer) for answer in run.engines[engine][task]], expected, tolerance(run.engines["hf"][task]))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("task", TASKS)
def test_metrics_agree(run: Run, asked: dict[str, Asked], task: str, engine: str) -> None:
    expected, found = (asked[task].result(run.engines[name][task]).metrics for name in ("hf", engine))
    assert [metric.key for metric in found] == [metric.key for metric in expected]
    assert [metric.value for metric in found] == pytest.approx([metric.value for metric in expected], rel=1e-4)


@pytest.mark.parametrize("task", TASKS)
def test_lm_eval_agrees(run: Run, task: str) -> None:
    ours = [plain(answer) for answer in run.engines["vllm"][task]][: PEER_REQUESTS[task]]
    theirs = [tuple(answer) if isinstance(answer, list) else answer for answer in run.peer[task]]
    assert_close(ours, theirs)


def test_the_answers_are_worth_comparing(run: Run) -> None:
    """Not all of a kind: greedy and not, likely and not, and texts with something in them."""
    scored = [answer for answer in run.engines["hf"]["lambada_openai"] if isinstance(answer, LoglikelihoodAnswer)]
    assert {answer.is_greedy for answer in scored} == {True, False}
    texts = [answer.text for answer in run.engines["hf"]["gsm8k"] if isinstance(answer, GenerationAnswer)]
    assert all(text.strip() for text in texts)
    assert len(set(texts)) == len(texts)


def test_a_text_takes_several_windows(run: Run) -> None:
    [answer] = run.engines["hf"]["wikitext"]
    assert answer.tokens > MAX_LENGTH


def test_the_engine_in_this_process_leaves_it_as_it_was(run: Run) -> None:
    assert run.after == run.before


def plain(answer: Answer) -> Any:
    """An answer in lm-eval's form."""
    if isinstance(answer, LoglikelihoodAnswer):
        return (answer.logprob, answer.is_greedy)
    return answer.text if isinstance(answer, GenerationAnswer) else answer.logprob


def tolerance(answers: Sequence[Answer]) -> float:
    return max([TOLERANCE, *(A_TOKEN * answer.tokens for answer in answers if isinstance(answer, RollingAnswer))])


def assert_close(found: Sequence[Any], expected: Sequence[Any], tolerance: float = TOLERANCE) -> None:
    """Compare numbers with the tolerance, and flags and texts exactly."""
    assert [shape(answer) for answer in found] == [shape(answer) for answer in expected]
    assert [number(answer) for answer in found] == pytest.approx([number(answer) for answer in expected], abs=tolerance)


def shape(answer: Any) -> Any:
    return answer[1] if isinstance(answer, tuple) else answer if isinstance(answer, str) else None


def number(answer: Any) -> float:
    return answer[0] if isinstance(answer, tuple) else 0.0 if isinstance(answer, str) else answer
