from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.hf import HFOptions, plugin
from pytest_lmeval.backends.protocol import Backend, Failure, LoglikelihoodAnswer, LoglikelihoodRequest
from pytest_lmeval.errors import BackendError

from .asking import ask_oracle, score, scores

STORY = "Once upon a time there was a little girl named Lily. She liked to play with her red ball in the park. "

PAIRS = [
    ("Once upon a time", " there was a girl"),
    ("Once upon a time ", "there was a girl"),
    ("Once upon a time\n\n", "there"),
    ("Once upon a time \t ", " there"),
    ("Lily", " smiled."),
    ("Lil", "y smiled."),
    ("", "Hello world"),
    ("", " Hello"),
    ("<s>Once upon", " a time"),
    ("", "<s>Once upon a time"),
    ("Ünïcödé 日本語", " ねこ 🐱"),
    ("🐱🐱", "é"),
    ("a", " b"),
    ("a", " c"),
    ("a", " b c"),
    (STORY, "Tom saw her."),
    (STORY * 3, "Tom saw her."),
    (STORY * 30, "Tom saw her and they played."),
    ("x", " " + STORY * 4),
]


@pytest.mark.parametrize("model", ["stories260K", "stories15M"])
def test_equals_the_oracle(model: str, request: pytest.FixtureRequest, oracle: Callable[..., Any]) -> None:
    backend: Backend = request.getfixturevalue(model.lower())
    lm = oracle(model)
    for pair, answer in zip(PAIRS, scores(backend, PAIRS), strict=True):
        logprob, is_greedy = ask_oracle(lm, "loglikelihood", *pair)
        assert isinstance(answer, LoglikelihoodAnswer), (pair, answer)
        assert answer.logprob == pytest.approx(logprob, abs=1e-4, rel=1e-5), pair
        assert answer.is_greedy is is_greedy, pair


def test_log_probabilities_are_summed_in_float32_whatever_the_models_type(shared_dir: Path) -> None:
    huggingface = pytest.importorskip("lm_eval.models.huggingface", reason="lm_eval is not installed")
    path = str(shared_dir / "models" / "stories260K")
    lm = huggingface.HFLM(pretrained=path, dtype="bfloat16", device="cpu", batch_size=1, softmax_dtype="float32")
    context, continuation = "x", " " + STORY * 4
    found = score(plugin.open(path, HFOptions(dtype="bfloat16", device="cpu")), context, continuation).logprob
    assert found == pytest.approx(ask_oracle(lm, "loglikelihood", context, continuation)[0], abs=0.05)
    # Numbers of this size are half a nat apart in bfloat16.
    assert -128 < found < -64
    assert (2 * found) % 1


@pytest.mark.parametrize("arguments", [{"add_bos_token": False}, {"add_bos_token": True}, {"prefix_token_id": 5}])
def test_equals_the_oracle_with_other_special_tokens(
    arguments: dict[str, Any], shared_dir: Path, oracle: Callable[..., Any]
) -> None:
    lm = oracle("stories260K", max_length=64, **arguments)
    options = HFOptions(dtype="float32", device="cpu", max_length=64, **arguments)
    backend = plugin.open(str(shared_dir / "models" / "stories260K"), options)
    pairs = [pair for pair in PAIRS if len(pair[1]) < 40]
    for pair, answer in zip(pairs, scores(backend, pairs), strict=True):
        logprob, is_greedy = ask_oracle(lm, "loglikelihood", *pair)
        assert isinstance(answer, LoglikelihoodAnswer)
        assert answer.logprob == pytest.approx(logprob, abs=1e-4), pair
        assert answer.is_greedy is is_greedy, pair


def test_greedy_continuation_is_greedy(stories15m: Backend, oracle: Callable[..., Any]) -> None:
    prompt = "Once upon a time, there was a little"
    text = ask_oracle(oracle("stories15M"), "generate_until", prompt, {"until": ["."], "max_gen_toks": 8})
    answer = score(stories15m, prompt, " " + text.lstrip())
    assert answer.is_greedy
    assert ask_oracle(oracle("stories15M"), "loglikelihood", prompt, " " + text.lstrip())[1]


def test_whitespace_context_equals_empty_context(stories260k: Backend) -> None:
    assert score(stories260k, " \n", "Tom") == score(stories260k, "", " \nTom")


def test_order_and_company_do_not_matter(shared_dir: Path) -> None:
    folder = str(shared_dir / "models" / "stories260K")
    alone = plugin.open(folder, HFOptions(dtype="float32", device="cpu", batch_size=1))
    crowded = plugin.open(folder, HFOptions(dtype="float32", device="cpu", batch_tokens=100_000))
    for one, many in zip(scores(alone, PAIRS), reversed(scores(crowded, PAIRS[::-1])), strict=True):
        assert isinstance(one, LoglikelihoodAnswer)
        assert isinstance(many, LoglikelihoodAnswer)
        assert one.logprob == pytest.approx(many.logprob, abs=1e-4, rel=1e-6)
        assert (one.is_greedy, one.tokens) == (many.is_greedy, many.tokens)


def test_tokens_are_those_read(stories260k: Backend) -> None:
    assert score(stories260k, "", "a").tokens == 1  # the prefix token
    assert score(stories260k, STORY * 30, "Tom").tokens == 512


@pytest.mark.parametrize(("context", "continuation"), [("Tom", ""), ("", ""), ("", "<s>")])
def test_continuation_without_tokens_fails(stories260k: Backend, context: str, continuation: str) -> None:
    (answer,) = scores(stories260k, [(context, continuation)])
    assert isinstance(answer, Failure)
    assert "no token" in answer.error


def test_too_long_a_continuation_fails_alone(stories260k: Backend) -> None:
    good, bad = scores(stories260k, [("Tom", " ran"), ("Tom", " " + STORY * 30)])
    assert isinstance(good, LoglikelihoodAnswer)
    assert isinstance(bad, Failure)
    assert "512 at most" in bad.error


def test_equal_inputs_run_once(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = _open(shared_dir)
    rows = _count_rows(backend, monkeypatch)
    pairs = [("Tom saw a dog. It was", " big"), ("Tom saw a dog. It was", " big")]
    first, second = scores(backend, pairs)
    assert isinstance(first, LoglikelihoodAnswer)
    assert isinstance(second, LoglikelihoodAnswer)
    assert first.logprob == second.logprob
    assert rows == [1]
    # Choices of one token share what the model reads.
    scores(backend, [("Answer:\n", letter) for letter in "ABCD"])
    assert rows == [1, 1]


def test_shared_input_scored_at_different_borders(stories260k: Backend, oracle: Callable[..., Any]) -> None:
    pairs = [("Tom saw a", " big dog"), ("Tom saw a big", " dog"), ("Tom", " saw a big dog")]
    for pair, answer in zip(pairs, scores(stories260k, pairs), strict=True):
        assert isinstance(answer, LoglikelihoodAnswer)
        expected = ask_oracle(oracle("stories260K"), "loglikelihood", *pair)[0]
        assert answer.logprob == pytest.approx(expected, abs=1e-4)


def test_stream_is_pulled_by_windows_and_stops_with_its_consumer(
    shared_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = _open(shared_dir, batch_tokens=64)
    rows = _count_rows(backend, monkeypatch)
    pulled = itertools.count()

    def endless() -> Iterator[LoglikelihoodRequest]:
        for number in pulled:
            yield LoglikelihoodRequest(id=number, context=f"{number} dogs", continuation=" ran")

    answers = backend.loglikelihood(endless())
    assert rows == []  # nothing runs before it is asked for
    next(answers)
    assert len(rows) == 1
    answers.close()  # type: ignore[attr-defined]
    assert len(rows) == 1
    assert next(pulled) < 300


def test_out_of_memory_halves_the_batch(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = _open(shared_dir)
    expected = scores(backend, PAIRS)
    _fail_above(backend, monkeypatch, rows=2)
    for answer, wanted in zip(scores(backend, PAIRS), expected, strict=True):
        assert isinstance(answer, LoglikelihoodAnswer)
        assert isinstance(wanted, LoglikelihoodAnswer)
        assert answer.logprob == pytest.approx(wanted.logprob, abs=1e-4, rel=1e-6)


def test_out_of_memory_with_one_row_fails_that_request(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = _open(shared_dir)
    _fail_above(backend, monkeypatch, rows=0)
    (answer,) = scores(backend, [("Tom", " ran")])
    assert isinstance(answer, Failure)
    assert "too little memory" in answer.error


def test_other_errors_are_the_backends(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = _open(shared_dir)
    _replace_forward(backend, monkeypatch, lambda **_: 1 / 0)
    with pytest.raises(BackendError, match="ZeroDivisionError"):
        scores(backend, [("Tom", " ran")])


def test_nan_is_a_failure(shared_dir: Path) -> None:
    backend = _open(shared_dir)
    model = backend._parts._loaded.model  # type: ignore[attr-defined]
    model.get_output_embeddings().weight.data[3].fill_(float("nan"))
    (answer,) = scores(backend, [("Tom", " ran")])
    assert isinstance(answer, Failure)
    assert "NaN" in answer.error


def test_closed_backend_refuses(shared_dir: Path) -> None:
    backend = _open(shared_dir)
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.loglikelihood(iter([]))


def _open(shared_dir: Path, **arguments: Any) -> Backend:
    options = HFOptions(dtype="float32", device="cpu", **arguments)
    return plugin.open(str(shared_dir / "models" / "stories260K"), options)


def _replace_forward(backend: Backend, monkeypatch: pytest.MonkeyPatch, forward: Callable[..., Any]) -> None:
    monkeypatch.setattr(backend._parts._loaded.model, "forward", forward)  # type: ignore[attr-defined]


def _count_rows(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    original = backend._parts._loaded.model.forward  # type: ignore[attr-defined]
    rows: list[int] = []

    def forward(**arguments: Any) -> Any:
        rows.append(len(arguments["input_ids"]))
        return original(**arguments)

    _replace_forward(backend, monkeypatch, forward)
    return rows


def _fail_above(backend: Backend, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    original = backend._parts._loaded.model.forward  # type: ignore[attr-defined]

    def forward(**arguments: Any) -> Any:
        if len(arguments["input_ids"]) > rows:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return original(**arguments)

    _replace_forward(backend, monkeypatch, forward)
