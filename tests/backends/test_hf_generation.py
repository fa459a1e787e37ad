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


@pytest.mark.parametrize("extra", [(), (("num_beams", 1),)], ids=["written", "generate"])
def test_an_answer_tells_whether_the_limit_ended_it(stories15m: Backend, extra: tuple[tuple[str, Any], ...]) -> None:
    def asked(most: int, *until: str) -> tuple[str, GenerationSettings]:
        return "Once upon a time", GenerationSettings(until=until, max_tokens=most, extra=extra)

    (sentence,) = generated(stories15m, [asked(60, ".")])
    (prompt,) = generated(stories15m, [asked(1)])
    assert isinstance(sentence, GenerationAnswer)
    assert isinstance(prompt, GenerationAnswer)
    # The token that completes the stop string may be the last that is allowed.
    last = sentence.tokens - prompt.tokens + 1
    answers = generated(stories15m, [asked(60, "."), asked(last, "."), asked(last - 1, "."), asked(5)])
    assert [getattr(answer, "truncated", None) for answer in answers] == [False, False, True, True]


def test_batched_equals_alone(shared_dir: Path, stories15m: Backend) -> None:
    folder = str(shared_dir / "models" / "stories15M")
    alone = plugin.open(folder, HFOptions(dtype="float32", device="cpu", batch_size=1))
    asked = [(prompt, GenerationSettings(until=(".",), max_tokens=16)) for prompt in PROMPTS]
    assert generated(alone, asked) == generated(stories15m, asked)


def test_each_row_stops_by_itself(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = plugin.open(str(shared_dir / "models" / "stories15M"), HFOptions(dtype="float32", device="cpu"))
    passes = _count_tokens(backend, monkeypatch)
    asked = [("Once upon a time", GenerationSettings(until=(stop,), max_tokens=100)) for stop in (",", " a")]
    short = texts(backend, asked)
    # Two rows end on different stop strings, and the pass after the first of them reads one token.
    assert len(passes) < 12
    assert passes[-1] == 1
    assert all(len(text) < 40 for text in short)


def test_rows_are_replaced_as_they_finish(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(shared_dir / "models" / "stories15M")
    asked = [(prompt, GenerationSettings(max_tokens=most)) for prompt in PROMPTS for most in (3, 9, 20)]
    expected = texts(plugin.open(folder, HFOptions(dtype="float32", device="cpu", batch_size=1)), asked)
    backend = plugin.open(folder, HFOptions(dtype="float32", device="cpu", batch_tokens=96))
    passes = _count_tokens(backend, monkeypatch)
    assert texts(backend, asked) == expected
    writing = sum(most - 1 for _, how in asked for most in [how.max_tokens])
    assert sum(passes) < writing + sum(len(prompt) for prompt, _ in asked)
    # Static batches of that size would go on until the longest answer of each is there.
    assert len(passes) < writing / 2


def test_a_shared_beginning_is_read_and_kept_once(stories15m: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_lmeval.backends.hf.attention.slots import Group

    beginning = "Tom had a red ball. He liked to play with the ball in the park. " * 8
    asked = [(beginning + prompt, GenerationSettings(max_tokens=12)) for prompt in PROMPTS[:4]]
    expected = [texts(stories15m, [one])[0] for one in asked]
    groups: list[Group] = []
    original = Group.__init__

    def remember(self: Group, base: tuple[int, ...]) -> None:
        original(self, base)
        groups.append(self)

    monkeypatch.setattr(Group, "__init__", remember)
    passes = _count_tokens(stories15m, monkeypatch)
    assert texts(stories15m, asked) == expected
    (group,) = groups
    assert len(group.base) > 120
    assert sum(passes) < 2 * len(group.base)


def test_end_token_stops(shared_dir: Path) -> None:
    backend = plugin.open(str(shared_dir / "models" / "stories260K"), HFOptions(dtype="float32", device="cpu"))
    (free,) = texts(backend, [("Once upon", GenerationSettings(max_tokens=12))])
    endings = backend._parts.generator._endings  # type: ignore[attr-defined]
    tokenizer = endings._tokenizer
    third = tokenizer.encode(free, add_special_tokens=False)[2]
    endings.tokens = [third]
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
    asked = [(prompt, GenerationSettings(max_tokens=4)) for prompt in PROMPTS]
    expected = generated(backend, asked)
    _fail_above(backend, monkeypatch, tokens=16)
    assert generated(backend, asked) == expected


def test_out_of_memory_while_writing_keeps_what_is_written(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_lmeval.backends.hf.attention.slots import NextTokens

    backend = plugin.open(str(shared_dir / "models" / "stories15M"), HFOptions(dtype="float32", device="cpu"))
    asked = [(prompt, GenerationSettings(max_tokens=8)) for prompt in PROMPTS]
    expected = generated(backend, asked)
    original, rows = NextTokens.attend, []

    def attend(self: NextTokens, call: Any) -> Any:
        rows.append(call.query.shape[1])
        if rows[-1] > 2:
            raise RuntimeError("CUDA out of memory.")
        return original(self, call)

    monkeypatch.setattr(NextTokens, "attend", attend)
    assert generated(backend, asked) == expected
    assert max(rows) == len(PROMPTS)


def test_a_prompt_that_does_not_fit_fails_alone(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_lmeval.backends.hf.attention.path import PathAttention

    backend = plugin.open(str(shared_dir / "models" / "stories260K"), HFOptions(dtype="float32", device="cpu"))
    original = PathAttention.attend

    def attend(self: PathAttention, call: Any) -> Any:
        if self._longest > 100:
            raise RuntimeError("CUDA out of memory.")
        return original(self, call)

    monkeypatch.setattr(PathAttention, "attend", attend)
    asked = [(prompt, GenerationSettings(max_tokens=4)) for prompt in ("Tom", "Lily saw a dog. " * 30, "One day")]
    fine, failed, fine_too = generated(backend, asked)
    assert isinstance(fine, GenerationAnswer)
    assert isinstance(fine_too, GenerationAnswer)
    assert isinstance(failed, Failure)
    assert "too little memory" in failed.error


def test_generate_halves_its_batch(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = HFOptions(dtype="float32", device="cpu", attn_implementation="sdpa")
    backend = plugin.open(str(shared_dir / "models" / "stories260K"), options)
    model = backend._parts._loaded.model  # type: ignore[attr-defined]
    original = model.generate

    def generate(**arguments: Any) -> Any:
        if len(arguments["input_ids"]) > 1:
            raise RuntimeError("CUDA out of memory.")
        return original(**arguments)

    asked = [(prompt, GenerationSettings(max_tokens=4)) for prompt in PROMPTS]
    expected = generated(backend, asked)
    monkeypatch.setattr(model, "generate", generate)
    assert generated(backend, asked) == expected


def _count_tokens(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the number of tokens of each pass."""
    decoder = backend._parts._loaded.model.get_decoder()  # type: ignore[attr-defined]
    original = decoder.forward
    passes: list[int] = []

    def forward(**arguments: Any) -> Any:
        passes.append(arguments["input_ids"].numel())
        return original(**arguments)

    monkeypatch.setattr(decoder, "forward", forward)
    return passes


def _fail_above(backend: Backend, monkeypatch: pytest.MonkeyPatch, tokens: int) -> None:
    decoder = backend._parts._loaded.model.get_decoder()  # type: ignore[attr-defined]
    original = decoder.forward

    def forward(**arguments: Any) -> Any:
        if arguments["input_ids"].numel() > tokens:
            raise RuntimeError("CUDA out of memory.")
        return original(**arguments)

    monkeypatch.setattr(decoder, "forward", forward)


class TestCut:
    @pytest.fixture
    def tokenizer(self, stories15m: Backend) -> Any:
        return stories15m._parts.encoder._tokenizer  # type: ignore[attr-defined]

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
        from pytest_lmeval.backends.text.stopping import cut

        tokens = tokenizer.encode(written, add_special_tokens=False)
        assert cut(tokenizer, tokens, stops)[0].replace(" ", "") == text.replace(" ", "")
