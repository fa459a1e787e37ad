"""A real server that generates and cannot score, and drops what it is asked of log-probabilities without a word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_lmeval.backends.protocol import Backend, GenerationSettings
from pytest_lmeval.errors import ModelSpecError
from tests.backends.asking import rolling, score, texts
from tests.engines.opening import opened
from tests.engines.servers import Server
from tests.plugin.project import CHOICE

CAPITAL = "The capital of France is"


@pytest.fixture
def served(unscoring_server: Server, demo_checkpoint: Path) -> str:
    """What ``--lm-model`` says of it."""
    at = f"base_url={unscoring_server.base_url},tokenizer={demo_checkpoint},max_length=1024"
    return f"openai:{unscoring_server.model},{at}"


@pytest.fixture
def backend(served: str) -> Iterator[Backend]:
    with opened(served) as model:
        yield model


def test_choices_are_refused(backend: Backend, unscoring_server: Server) -> None:
    with pytest.raises(ModelSpecError) as caught:
        score(backend, CAPITAL, " Paris")
    assert_says(str(caught.value), unscoring_server)


def test_whole_texts_are_refused(backend: Backend, unscoring_server: Server) -> None:
    with pytest.raises(ModelSpecError) as caught:
        rolling(backend, [f"{CAPITAL} Paris."])
    assert_says(str(caught.value), unscoring_server)


def test_it_answers_what_it_can(backend: Backend) -> None:
    assert texts(backend, [(CAPITAL, GenerationSettings(max_tokens=4, until=(".",)))]) == [" Paris"]


def test_a_run_says_so_and_shows_no_traceback(pytester: pytest.Pytester, served: str, unscoring_server: Server) -> None:
    pytester.mkdir("data")
    (pytester.path / "compass.yaml").write_text(CHOICE.format(name="compass", tag="directions"))
    row = {"question": "Where is the pole?", "answer": 0}
    (pytester.path / "data" / "compass.jsonl").write_text(json.dumps(row) + "\n")
    result = pytester.runpytest_subprocess(f"--lm-model={served}", "compass.yaml")
    result.assert_outcomes(errors=1)
    output = result.stdout.str()
    assert_says(output, unscoring_server)
    assert "Traceback" not in output
    assert ".py" not in output.partition("= ERRORS =")[2]


def assert_says(message: str, server: Server) -> None:
    """What is missing, at which server, how that was seen, and what to use instead."""
    assert "gives no log-probabilities of given tokens" in message
    assert server.base_url in message
    assert "there are no logprobs" in message.partition("What was tried:")[2]
    assert "--enable-scale-out" in message
    assert "tasks that generate" in message
