from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.openai.ballots import ballots
from pytest_lmeval.backends.openai.letters import merged
from pytest_lmeval.backends.protocol import (
    Backend,
    Context,
    Conversation,
    Failure,
    LoglikelihoodAnswer,
    LoglikelihoodRequest,
    Message,
)
from pytest_lmeval.errors import ModelSpecError
from tests.engines.openai_parts import served
from tests.engines.servers import Server

DOCUMENTS: list[tuple[Context, tuple[str, ...]]] = [
    ("Q: What is the capital of France?\nA:", (" Berlin", " Paris", " Rome", " Madrid")),
    (Conversation((Message("user", "The sky is"),)), (" blue", " made of stone")),
    ("What is 2+2?\nA. 3\nB. 4\nC. 5\nAnswer with the letter alone.", (" A", " B", " C")),
    (Conversation((Message("user", "Name a colour."), Message("assistant", "It is"))), (" blue", " seven", " red")),
]

# A message's first tokens by probability: (text, nats).
Tops = Callable[[Context], list[tuple[str, float]]]


@pytest.fixture(scope="module")
def tops(demo_checkpoint: Path) -> Tops:
    """The model's own 20 most probable first tokens of an answer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(demo_checkpoint)
    model: Any = AutoModelForCausalLM.from_pretrained(demo_checkpoint, dtype=torch.float32)

    def most_probable(context: Context) -> list[tuple[str, float]]:
        messages = [{"role": "user", "content": context}] if isinstance(context, str) else context.as_dicts()
        tokens = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        with torch.no_grad():
            logprobs = model(torch.tensor([tokens])).logits[0, -1].log_softmax(-1)
        nats, best = logprobs.topk(20)
        return [(tokenizer.decode([token]), value) for token, value in zip(best.tolist(), nats.tolist(), strict=True)]

    return most_probable


@pytest.fixture(params=[False, True], ids=["once", "rotated"])
def rotate(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def requests(documents: Sequence[tuple[Context, tuple[str, ...]]]) -> list[LoglikelihoodRequest]:
    pairs = [(context, choices, choice) for context, choices in documents for choice in choices]
    return [
        LoglikelihoodRequest(id=place, context=context, continuation=choice, choices=choices)
        for place, (context, choices, choice) in enumerate(pairs)
    ]


def scored(backend: Backend, documents: Sequence[tuple[Context, tuple[str, ...]]]) -> list[LoglikelihoodAnswer]:
    asked = requests(documents)
    found = {answer.id: answer for answer in backend.loglikelihood(iter(asked))}
    answers = [found[request.id] for request in asked]
    assert not any(isinstance(answer, Failure) for answer in answers), answers
    return [answer for answer in answers if isinstance(answer, LoglikelihoodAnswer)]


def by_document(answers: Sequence[LoglikelihoodAnswer]) -> Iterator[list[LoglikelihoodAnswer]]:
    rest = iter(answers)
    for _, choices in DOCUMENTS:
        yield [next(rest) for _ in choices]


@pytest.mark.filterwarnings("ignore:.*one message of the user", "ignore:.*on the options' letters")
def test_letters_have_the_models_own_probabilities(vllm_server: Server, tops: Tops, rotate: bool) -> None:
    with served(vllm_server, choices="letters", rotate=rotate) as backend:
        answers = scored(backend, DOCUMENTS)
    for (context, choices), group in zip(DOCUMENTS, by_document(answers), strict=True):
        expected = dict.fromkeys(choices, 0.0)
        asked = ballots(context, choices, rotate=rotate)
        for ballot in asked:
            own = merged(tops(ballot.context), ballot.labels)
            for label, option in zip(ballot.labels, ballot.options, strict=True):
                expected[option] += own[label] / len(asked)
        assert [math.exp(answer.logprob) for answer in group] == pytest.approx([*expected.values()], abs=1e-4)
        best = max(expected, key=lambda option: expected[option])
        assert [answer.is_greedy for answer in group] == [choice == best for choice in choices]
    assert backend.info.scoring == ("letters-rotated" if rotate else "letters")
    coverages = _coverages(tops, rotate)
    assert backend.info.details["coverage_mean"] == pytest.approx(sum(coverages) / len(coverages), abs=1e-3)
    assert backend.info.details["coverage_min"] == pytest.approx(min(coverages), abs=1e-3)


@pytest.mark.filterwarnings("ignore:.*one message of the user")
def test_a_constrained_choice_is_one_of_the_options(vllm_server: Server, rotate: bool) -> None:
    with served(vllm_server, choices="constrained", rotate=rotate) as backend:
        answers = scored(backend, DOCUMENTS)
    for (_, choices), group in zip(DOCUMENTS, by_document(answers), strict=True):
        shares = [math.exp(answer.logprob) for answer in group]
        assert sum(shares) == pytest.approx(1.0)
        assert sum(answer.is_greedy for answer in group) == 1
        # Votes, one for each rotation.
        assert all(share * len(choices) == pytest.approx(round(share * len(choices))) for share in shares)
    assert backend.info.scoring == ("constrained-rotated" if rotate else "constrained")


def test_the_structure_of_other_servers_is_understood_too(vllm_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_lmeval.backends.openai.backend.VLLM", "another")
    with served(vllm_server, choices="constrained") as backend:
        answers = scored(backend, DOCUMENTS[1:2])
    assert sorted(answer.logprob for answer in answers) == [-100.0, 0.0]


@pytest.mark.parametrize(
    ("way", "said"), [("letters", "gives no top_logprobs in chat"), ("constrained", "does not hold the model to")]
)
def test_a_server_that_drops_what_it_is_asked_is_found_out(unscoring_server: Server, way: str, said: str) -> None:
    with served(unscoring_server, choices=way) as backend, pytest.raises(ModelSpecError, match=said):
        scored(backend, DOCUMENTS[:1])


def _coverages(tops: Tops, rotate: bool) -> list[float]:
    asked = [ballot for context, choices in DOCUMENTS for ballot in ballots(context, choices, rotate=rotate)]
    return [sum(merged(tops(ballot.context), ballot.labels).values()) for ballot in asked]
