"""deterministic=true: a number depends on its request alone. Everything here is compared with ==."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.backends.hf import plugin as hf_plugin
from pytest_lmeval.backends.protocol import Backend, Failure, GenerationSettings, LoglikelihoodRequest, RollingRequest
from pytest_lmeval.errors import BackendError, ModelSpecError

from .asking import texts

SENTENCE = "the little dog saw a big red ball and ran to his mom who was very happy in the park with tom"
WORDS = SENTENCE.split()


def _text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(words))


def _pairs() -> list[tuple[str, str]]:
    """Documents of three choices, half of them behind the same examples, and a text that is the beginning of others."""
    rng = random.Random(7)
    shots = _text(rng, 90)
    contexts = [(f"{shots} " if i % 2 else "") + _text(rng, rng.randrange(5, 50)) for i in range(6)]
    pairs = [(context, f" {_text(rng, rng.randrange(1, 7))}") for context in contexts for _ in range(3)]
    words = contexts[1].split(" ")
    # The same tokens, parted elsewhere into context and continuation.
    return pairs + [(" ".join(words[:cut]), " " + " ".join(words[cut:])) for cut in (20, 60, 95)] + [(shots, " tom")]


PAIRS = _pairs()
DOCUMENTS = [_text(random.Random(number), 40 + 90 * number) for number in range(4)]


def _open(model: Any, tokenizer: Any, **options: Any) -> Backend:
    from pytest_lmeval.backends.hf.backend import HFBackend
    from pytest_lmeval.backends.hf.model import assemble

    chosen = HFOptions(device="cpu", **{"deterministic": True, **options})
    return HFBackend(assemble("random", model, tokenizer, chosen), chosen)


def _gpt2() -> Any:
    import torch
    import transformers

    sizes: dict[str, Any] = {"vocab_size": 512, "bos_token_id": 1, "eos_token_id": 2}
    torch.manual_seed(0)
    config = transformers.GPT2Config(n_positions=512, n_embd=48, n_layer=2, n_head=3, **sizes)
    return transformers.AutoModelForCausalLM.from_config(config)


def _mixture() -> Any:
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.MixtralConfig(
        vocab_size=512, hidden_size=48, intermediate_size=72, num_hidden_layers=2, num_attention_heads=3,
        num_key_value_heads=3, num_local_experts=4, max_position_embeddings=512, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return transformers.AutoModelForCausalLM.from_config(config)


@pytest.fixture(scope="module")
def tokenizer(shared_dir: Path) -> Any:
    import transformers

    return transformers.AutoTokenizer.from_pretrained(shared_dir / "models" / "stories260K")


@pytest.fixture(scope="module", params=["stories260K float32", "stories260K bfloat16", "gpt2 float32", "gpt2 bfloat16"])
def backend(request: pytest.FixtureRequest, shared_dir: Path, tokenizer: Any) -> Backend:
    import torch

    model, dtype = request.param.split()
    if model == "gpt2":
        return _open(_gpt2().to(getattr(torch, dtype)), tokenizer)
    options = HFOptions(dtype=dtype, device="cpu", deterministic=True)
    return hf_plugin.open(str(shared_dir / "models" / model), options)


def _scores(backend: Backend, numbers: Iterable[int]) -> dict[int, tuple[float, bool]]:
    requests = [LoglikelihoodRequest(id=i, context=PAIRS[i][0], continuation=PAIRS[i][1]) for i in numbers]
    found = {}
    for answer in backend.loglikelihood(iter(requests)):
        assert not isinstance(answer, Failure), answer
        found[answer.id] = (answer.logprob, answer.is_greedy)
    return found


def _rolling(backend: Backend, numbers: Iterable[int]) -> dict[int, float]:
    requests = [RollingRequest(id=i, text=DOCUMENTS[i]) for i in numbers]
    found = {}
    for answer in backend.loglikelihood_rolling(iter(requests)):
        assert not isinstance(answer, Failure), answer
        found[answer.id] = answer.logprob
    return found


def _shuffled(length: int, seed: int) -> list[int]:
    return random.Random(seed).sample(range(length), length)


def _check_scores(backend: Backend) -> None:
    together = _scores(backend, range(len(PAIRS)))
    alone = {i: _scores(backend, [i])[i] for i in range(len(PAIRS))}
    assert together == alone
    assert _scores(backend, _shuffled(len(PAIRS), 1)) == alone
    for some in (range(0, len(PAIRS), 5), range(len(PAIRS) - 5, len(PAIRS))):
        assert _scores(backend, some) == {i: alone[i] for i in some}


def test_neighbours_order_and_selection_do_not_matter(backend: Backend) -> None:
    assert backend.info.details["engine"] == "packs of one size"
    _check_scores(backend)


def test_neighbours_of_a_whole_text_do_not_matter(backend: Backend) -> None:
    alone = {i: _rolling(backend, [i])[i] for i in range(len(DOCUMENTS))}
    assert _rolling(backend, range(len(DOCUMENTS))) == alone
    assert _rolling(backend, _shuffled(len(DOCUMENTS), 2)) == alone


def test_what_was_asked_before_does_not_matter(backend: Backend) -> None:
    fresh = {i: _scores(backend, [i])[i] for i in range(len(PAIRS))}
    for before in range(0, len(PAIRS), 4):
        for after in (before, len(PAIRS) - 1, len(PAIRS) - 2, 5):
            _scores(backend, [before])
            assert _scores(backend, [after]) == {after: fresh[after]}
    _rolling(backend, [3])
    assert _scores(backend, [7]) == {7: fresh[7]}


def test_windows_do_not_matter(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_lmeval.backends.text import windows

    large = _scores(backend, range(len(PAIRS)))
    monkeypatch.setattr(windows, "WINDOW_REQUESTS", 3)
    assert _scores(backend, range(len(PAIRS))) == large


def test_without_the_option_neighbours_show_in_the_last_bits(shared_dir: Path) -> None:
    options = HFOptions(dtype="float32", device="cpu")
    backend = hf_plugin.open(str(shared_dir / "models" / "stories260K"), options)
    together = _scores(backend, range(len(PAIRS)))
    assert any(_scores(backend, [i])[i] != together[i] for i in range(len(PAIRS)))
    assert "deterministic" not in backend.info.details
    backend.close()


def test_the_numbers_are_those_without_the_option(shared_dir: Path) -> None:
    name = str(shared_dir / "models" / "stories260K")
    found, expected = (
        _scores(hf_plugin.open(name, HFOptions(dtype="float32", device="cpu", deterministic=chosen)), range(len(PAIRS)))
        for chosen in (True, False)
    )
    assert {i: value for i, (value, _) in found.items()} == pytest.approx({i: v for i, (v, _) in expected.items()})
    assert {i: greedy for i, (_, greedy) in found.items()} == {i: greedy for i, (_, greedy) in expected.items()}


def test_details_say_what_the_numbers_depend_on(shared_dir: Path) -> None:
    import torch

    options = HFOptions(dtype="float32", device="cpu", deterministic=True, batch_tokens=250)
    details = hf_plugin.open(str(shared_dir / "models" / "stories260K"), options).info.details
    assert {key: details[key] for key in ("deterministic", "engine", "batch_tokens", "threads")} == {
        "deterministic": True,
        "engine": "packs of one size",
        "batch_tokens": 192,  # a multiple of a page
        "threads": torch.get_num_threads(),
    }


def test_batches_smaller_than_a_page_are_refused(shared_dir: Path) -> None:
    options = HFOptions(device="cpu", deterministic=True, batch_tokens=63)
    with pytest.raises(ModelSpecError, match=r"batch_tokens=63 is too small for deterministic=true. Give 64 or more"):
        hf_plugin.open(str(shared_dir / "models" / "stories260K"), options)


def test_a_model_in_plain_batches_runs_one_text_at_a_time(tokenizer: Any) -> None:
    with pytest.warns(UserWarning, match="random scores one text at a time, for deterministic=true"):
        backend = _open(_gpt2(), tokenizer, attn_implementation="eager")
    assert backend.info.details["engine"] == "one text at a time"
    _check_scores(backend)


def test_experts_see_other_rows_and_so_each_text_runs_by_itself(tokenizer: Any) -> None:
    with pytest.warns(UserWarning, match="its experts see as many rows at once as are sent to them"):
        backend = _open(_mixture(), tokenizer)
    assert backend.info.details["engine"] == "one text at a time"
    _check_scores(backend)


def test_a_dependence_on_the_place_is_found_on_load(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault is injected: one activation adds a last bit to the rows of the second half."""
    import torch

    model = _gpt2()
    activation = model.transformer.h[1].mlp.act.forward

    def uneven(hidden: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = activation(hidden).clone()
        if result.shape[1] > 256:
            result[:, 500] *= 1 + 2**-22
        return result

    monkeypatch.setattr(model.transformer.h[1].mlp.act, "forward", uneven)
    with pytest.warns(UserWarning, match="its numbers depend on the place in a batch of 512 tokens"):
        backend = _open(model, tokenizer)
    assert backend.info.details["engine"] == "one text at a time"


def test_a_model_that_is_never_twice_the_same_is_refused(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    model = _gpt2()
    activation = model.transformer.h[1].mlp.act.forward
    monkeypatch.setattr(
        model.transformer.h[1].mlp.act, "forward", lambda hidden: activation(hidden) + 1e-3 * torch.rand(())
    )
    with pytest.raises(BackendError, match="gives other numbers each time it reads the same text on cpu"):
        _open(model, tokenizer)


def test_too_little_memory_does_not_change_the_size_of_batches(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    model = _gpt2()
    backend = _open(model, tokenizer)

    def full(hidden: torch.Tensor) -> torch.Tensor:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model.transformer.h[1].mlp.act, "forward", full)
    with pytest.raises(BackendError, match=r"memory for batches of 512 tokens.*for example batch_tokens=256"):
        _scores(backend, [0])


def test_an_encoder_decoder_model_runs_one_text_at_a_time(tokenizer: Any) -> None:
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=512, d_model=48, d_kv=16, d_ff=64, num_layers=2, num_heads=3, decoder_start_token_id=0
    )
    with pytest.warns(UserWarning, match="random scores one text at a time, for deterministic=true"):
        backend = _open(transformers.T5ForConditionalGeneration(config), tokenizer)
    _check_scores(backend)


def test_each_answer_is_written_alone(backend: Backend) -> None:
    asked = [(context, GenerationSettings(max_tokens=24)) for context, _ in PAIRS[::3]]
    alone = [texts(backend, [prompt])[0] for prompt in asked]
    assert texts(backend, asked) == alone
    assert texts(backend, asked[::-1]) == alone[::-1]
