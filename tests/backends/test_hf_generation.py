from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.hf import HFOptions, plugin
from pytest_lmeval.backends.protocol import Backend, Failure, GenerationAnswer, GenerationSettings

from .asking import ask_oracle, generated, texts

PROMPTS = [
    "Once upon a time",
    "Lily and Tom went to the park. They saw a big",
    "The dog was sad because",
    "One day, a little bird",
    "<s>Ben likes",
]
STOPS: list[tuple[str, ...]] = [(), (".",), ("\n",), (" the", ".\n"), (".", " was")]


def test_equals_the_oracle(stories15m: Backend, oracle: Callable[..., Any]) -> None:
    asked = [(prompt, GenerationSettings(until=until, max_tokens=24)) for prompt in PROMPTS for until in STOPS]
    for (prompt, how), text in zip(asked, texts(stories15m, asked), strict=True):
        arguments = {"until": list(how.until), "max_gen_toks": 24, "do_sample": False}
        assert text == ask_oracle(oracle("stories15M"), "generate_until", prompt, arguments), (prompt, how)


def test_long_prompt_loses_its_beginning(stories260k: Backend, oracle: Callable[..., Any]) -> None:
    prompt = "Tom had a red ball. " * 100
    (answer,) = generated(stories260k, [(prompt, GenerationSettings(max_tokens=30))])
    assert isinstance(answer, GenerationAnswer)
    assert answer.tokens == 512
    arguments = {"until": [], "max_gen_toks": 30}
    assert answer.text == ask_oracle(oracle("stories260K"), "generate_until", prompt, arguments)


def test_batched_equals_alone(shared_dir: Path, stories15m: Backend) -> None:
    folder = str(shared_dir / "models" / "stories15M")
    alone = plugin.open(folder, HFOptions(dtype="float32", device="cpu", batch_size=1))
    asked = [(prompt, GenerationSettings(until=(".",), max_tokens=16)) for prompt in PROMPTS]
    assert generated(alone, asked) == generated(stories15m, asked)


def test_each_row_stops_by_itself(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = plugin.open(str(shared_dir / "models" / "stories15M"), HFOptions(dtype="float32", device="cpu"))
    model = backend._parts.generator._model  # type: ignore[attr-defined]
    steps: list[int] = []
    original = model.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        steps.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(model, "forward", forward)
    asked = [("Once upon a time", GenerationSettings(until=(stop,), max_tokens=100)) for stop in (",", " a", "<s>x")]
    short = texts(backend, asked[:2])
    # Two rows end on different stop strings: the batch ends with the later of them.
    assert len(steps) < 12
    assert all(len(text) < 40 for text in short)


def test_end_token_stops(shared_dir: Path) -> None:
    backend = plugin.open(str(shared_dir / "models" / "stories260K"), HFOptions(dtype="float32", device="cpu"))
    (free,) = texts(backend, [("Once upon", GenerationSettings(max_tokens=12))])
    generator = backend._parts.generator  # type: ignore[attr-defined]
    tokenizer = generator._tokenizer
    third = tokenizer.encode(free, add_special_tokens=False)[2]
    generator._ends = [third]
    (answer,) = generated(backend, [("Once upon", GenerationSettings(max_tokens=12))])
    assert isinstance(answer, GenerationAnswer)
    assert free.startswith(answer.text)
    assert len(answer.text) < len(free)


def test_settings_share_no_batch_but_all_are_answered(stories260k: Backend) -> None:
    asked = [("Tom", GenerationSettings(max_tokens=number, until=("q",) * number)) for number in (1, 2, 3)]
    answers = generated(stories260k, asked)
    tokens = [answer.tokens for answer in answers if isinstance(answer, GenerationAnswer)]
    assert tokens == [tokens[0], tokens[0] + 1, tokens[0] + 2]


def test_sampling_is_reproducible_and_leaves_the_random_state(stories260k: Backend) -> None:
    import torch

    how = GenerationSettings(max_tokens=12, do_sample=True, temperature=1.0, top_p=0.95, top_k=50, seed=7)
    before = torch.random.get_rng_state()
    first = texts(stories260k, [("Once upon", how)] * 4)
    assert torch.equal(before, torch.random.get_rng_state())
    assert texts(stories260k, [("Once upon", how)] * 4) == first
    assert len(set(first)) > 1  # repeats of a prompt are draws, not copies


def test_sampling_at_temperature_zero_is_greedy(stories260k: Backend) -> None:
    greedy, cold = (GenerationSettings(max_tokens=8, do_sample=sample) for sample in (False, True))
    assert texts(stories260k, [("Once", greedy)]) == texts(stories260k, [("Once", cold)])


def test_extra_arguments_reach_the_model(stories15m: Backend, oracle: Callable[..., Any]) -> None:
    how = GenerationSettings(max_tokens=12, until=(".",), extra=(("num_beams", 3), ("repetition_penalty", 1.2)))
    arguments = {"max_gen_toks": 12, "until": ["."], "num_beams": 3, "repetition_penalty": 1.2}
    expected = ask_oracle(oracle("stories15M"), "generate_until", "Once upon", arguments)
    assert texts(stories15m, [("Once upon", how)]) == [expected]


def test_no_room_for_a_prompt_fails(stories260k: Backend) -> None:
    (answer,) = generated(stories260k, [("Tom", GenerationSettings(max_tokens=512))])
    assert isinstance(answer, Failure)
    assert "no room" in answer.error


def test_out_of_memory_halves_the_batch(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = plugin.open(str(shared_dir / "models" / "stories260K"), HFOptions(dtype="float32", device="cpu"))
    model = backend._parts.generator._model  # type: ignore[attr-defined]
    original = model.generate

    def generate(**arguments: Any) -> Any:
        if len(arguments["input_ids"]) > 1:
            raise RuntimeError("CUDA out of memory.")
        return original(**arguments)

    asked = [(prompt, GenerationSettings(max_tokens=4)) for prompt in PROMPTS]
    expected = generated(backend, asked)
    monkeypatch.setattr(model, "generate", generate)
    assert generated(backend, asked) == expected


class TestCut:
    @pytest.fixture
    def tokenizer(self, stories15m: Backend) -> Any:
        return stories15m._parts.generator._tokenizer  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("written", "stops", "text"),
        [
            ("One. Two.", ["."], "One"),
            ("One. Two.", ["Two", "."], "One"),
            ("One two", ["."], "One two"),
            ("One</s>Two", ["</s>"], "One"),
            ("One\n</s>Two", ["\n</s>"], "One"),
            ("One<s>two.", ["."], "Onetwo"),
            # A stop string that is a special token and does not end the answer by itself.
            ("One<s>two.", ["<s>"], "One"),
            ("...", ["."], ""),
            ("", ["."], ""),
        ],
    )
    def test_cut(self, tokenizer: Any, written: str, stops: list[str], text: str) -> None:
        from pytest_lmeval.backends.hf.stopping import cut

        tokens = tokenizer.encode(written, add_special_tokens=False)
        assert cut(tokenizer, tokens, stops)[0].replace(" ", "") == text.replace(" ", "")
