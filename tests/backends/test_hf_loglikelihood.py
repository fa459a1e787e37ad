from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.hf import HFOptions, plugin
from pytest_lmeval.backends.protocol import (
    Backend,
    Failure,
    LoglikelihoodAnswer,
    LoglikelihoodRequest,
    RollingAnswer,
    RollingRequest,
)
from pytest_lmeval.errors import BackendError

from .asking import ask_oracle, rolling, score, scores

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


def test_a_context_is_encoded_once(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = _open(shared_dir)
    encoder = backend._parts.encoder  # type: ignore[attr-defined]
    tokenizer, encoded = encoder._tokenizer, list[str]()

    def encode(texts: list[str], **options: Any) -> Any:
        encoded.extend(texts)
        return tokenizer(texts, **options)

    monkeypatch.setattr(encoder, "_tokenizer", encode)
    scores(backend, [("Tom had", word) for word in (" a", " the", " one")])
    assert sorted(encoded) == ["Tom had", "Tom had a", "Tom had one", "Tom had the"]


def test_logits_are_made_where_they_are_wanted_alone(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_lmeval.backends.hf.scoring.projection import Projection

    backend = _open(shared_dir)
    original, rows = Projection.score, list[int]()

    def score(self: Projection, hidden: Any, asked: Any) -> Any:
        rows.append(len(hidden))
        return original(self, hidden, asked)

    monkeypatch.setattr(Projection, "score", score)
    pairs = [("Lily saw a dog. " * number, word) for number in (9, 4) for word in (" A", " B", " C")]
    spans = backend._parts.encoder.pairs(pairs)  # type: ignore[attr-defined]
    read = {span.inputs[: len(span.inputs) - after] for span in spans for after in range(len(span.targets))}
    scores(backend, pairs)
    assert sum(rows) == len(read) < 10


def test_equal_tokens_run_once(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = _open(shared_dir)
    read = _watch_reading(backend, monkeypatch)
    first, second = scores(backend, [("Tom saw a dog. It was", " big"), ("Tom saw a dog. It was", " big")])
    assert isinstance(first, LoglikelihoodAnswer)
    assert isinstance(second, LoglikelihoodAnswer)
    assert first.logprob == second.logprob
    assert [len(tokens) for tokens in read] == [first.tokens]
    read.clear()
    # Choices of one token share all that the model reads; of longer ones all but the last tokens.
    letters = scores(backend, [("Answer:\n", letter) for letter in "ABCD"])
    assert isinstance(letters[0], LoglikelihoodAnswer)
    assert [len(tokens) for tokens in read] == [letters[0].tokens - 1]  # the beginning is there already
    read.clear()
    context, *texts = _inputs(backend, [(STORY, ""), (STORY, "Tom saw her."), (STORY, "Tom ran."), (STORY, "She was.")])
    scores(backend, [(STORY, "Tom saw her."), (STORY, "Tom ran."), (STORY, "She was.")])
    distinct = {text[:length] for text in texts for length in range(1, len(text) + 1)}
    assert sum(map(len, read)) == len(distinct) - 1
    assert len(distinct) < len(context) + 15


def test_what_was_asked_last_need_not_be_read_again(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = _open(shared_dir)
    (alone,) = scores(_open(shared_dir), [(STORY * 2, " She ran.")])
    scores(backend, [(STORY * 2, " He saw."), (STORY, "x")])
    scores(backend, [(STORY, "x"), (STORY * 2, " He saw.")])
    read = _watch_reading(backend, monkeypatch)
    (answer,) = scores(backend, [(STORY * 2, " She ran.")])
    assert sum(map(len, read)) < 10
    assert isinstance(answer, LoglikelihoodAnswer)
    assert isinstance(alone, LoglikelihoodAnswer)
    assert answer.logprob == pytest.approx(alone.logprob, abs=1e-4)


def test_streams_that_take_turns_do_not_disturb_each_other(shared_dir: Path) -> None:
    backend = _open(shared_dir, batch_tokens=16)
    pairs = [(STORY, f" {word} {PAIRS[0][1] * 3}") for word in ("Tom", "She", "It", "He")]
    stories = ["A cat sat. " * 8, STORY[::-1], "Tom saw a dog and a cat. " * 5]
    expected, expected_whole = scores(_open(shared_dir), pairs), rolling(_open(shared_dir), stories)
    one = backend.loglikelihood(
        LoglikelihoodRequest(id=n, context=context, continuation=text) for n, (context, text) in enumerate(pairs)
    )
    other = backend.loglikelihood_rolling(RollingRequest(id=n, text=text) for n, text in enumerate(stories))
    answers = [answer for pair in itertools.zip_longest(one, other) for answer in pair if answer is not None]
    for wanted, kind in ((expected, LoglikelihoodAnswer), (expected_whole, RollingAnswer)):
        found = {answer.id: answer for answer in answers if isinstance(answer, kind)}
        assert len(found) == len(wanted)
        for number, answer in enumerate(wanted):
            assert isinstance(answer, kind)
            assert found[number].logprob == pytest.approx(answer.logprob, abs=1e-4)


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
    read = _watch_reading(backend, monkeypatch)
    pulled: list[int] = []

    def endless() -> Iterator[LoglikelihoodRequest]:
        for number in itertools.count():
            pulled.append(number)
            yield LoglikelihoodRequest(id=number, context=f"{number} dogs", continuation=" ran")

    answers = backend.loglikelihood(endless())
    assert (read, pulled) == ([], [])  # nothing runs before it is asked for
    next(answers)
    assert len(read) == 1
    window = 8 * 64
    estimate = (len("100 dogs ran") // 4 + 1) / 2  # at most, of a request of which half is new
    assert len(pulled) <= 2 * window / estimate  # the window that runs, and the next one, whose text is encoded
    ahead = len(pulled)
    answers.close()  # type: ignore[attr-defined]
    assert (len(read), len(pulled)) == (1, ahead)


@pytest.mark.parametrize("tokens", [100, 40, 16])
def test_out_of_memory_halves_the_pack(tokens: int, shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = _open(shared_dir)
    expected = scores(_open(shared_dir), PAIRS)
    _replace_reading(backend, monkeypatch, lambda ids: len(ids) > tokens)
    for answer, wanted in zip(scores(backend, PAIRS), expected, strict=True):
        assert isinstance(answer, LoglikelihoodAnswer)
        assert isinstance(wanted, LoglikelihoodAnswer)
        assert answer.logprob == pytest.approx(wanted.logprob, abs=1e-4, rel=1e-6)
        assert (answer.is_greedy, answer.tokens) == (wanted.is_greedy, wanted.tokens)


def test_out_of_memory_now_and_then_costs_no_answer_and_none_twice(
    shared_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = _open(shared_dir, batch_tokens=64)
    passes = itertools.count()
    read = _replace_reading(backend, monkeypatch, lambda ids: next(passes) % 3 == 1 and len(ids) > 16)
    requests = [LoglikelihoodRequest(id=n, context=a, continuation=b) for n, (a, b) in enumerate(PAIRS)]
    answers = list(backend.loglikelihood(iter(requests)))
    assert sorted(answer.id for answer in answers) == list(range(len(PAIRS)))
    by_number = sorted(answers, key=lambda answer: answer.id)
    for answer, wanted in zip(by_number, scores(_open(shared_dir), PAIRS), strict=True):
        assert isinstance(answer, LoglikelihoodAnswer)
        assert isinstance(wanted, LoglikelihoodAnswer)
        assert answer.logprob == pytest.approx(wanted.logprob, abs=1e-4, rel=1e-6)
    # What failed runs again, and of what ran before no more than what the failed pass has overwritten.
    distinct = {text[: n + 1] for text in _inputs(backend, PAIRS) for n in range(len(text))}
    assert len(distinct) <= sum(map(len, read)) < 2 * len(distinct)


def test_a_request_that_does_not_fit_alone_fails_alone(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = _open(shared_dir)
    pairs = [("Tom", " ran"), ("Tom", " sat and"), ("She saw", " zz top"), ("Tom", " was"), ("She saw", " a dog")]
    bad = set(_inputs(backend, pairs)[2]).difference(*_inputs(backend, [*pairs[:2], *pairs[3:]]))
    assert bad
    _replace_reading(backend, monkeypatch, lambda ids: bool(bad & set(ids)))
    answers = scores(backend, pairs)
    assert [isinstance(answer, Failure) for answer in answers] == [False, False, True, False, False]
    assert isinstance(answers[2], Failure)
    assert "too little memory for this request alone" in answers[2].error
    for answer, wanted in zip(answers, scores(_open(shared_dir), pairs), strict=True):
        assert isinstance(wanted, LoglikelihoodAnswer)
        assert isinstance(answer, Failure) or answer.logprob == pytest.approx(wanted.logprob, abs=1e-4)


def test_other_errors_are_the_backends(shared_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = _open(shared_dir)
    (wanted,) = scores(backend, [("Tom", " ran")])
    with monkeypatch.context() as patch:
        _replace_reading(backend, patch, lambda ids: bool(1 / 0))
        with pytest.raises(BackendError, match="ZeroDivisionError"):
            scores(backend, [("Tom", " ran")])
    (answer,) = scores(backend, [("Tom", " ran")])  # and it can be used again
    assert answer == wanted


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


def _inputs(backend: Backend, pairs: list[tuple[str, str]]) -> list[tuple[int, ...]]:
    """What the model reads of each pair."""
    encoded = backend._parts.encoder.pairs(pairs)  # type: ignore[attr-defined]
    return [() if isinstance(span, str) else span.inputs for span in encoded]


def _watch_reading(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Note what the model reads, pass by pass."""
    return _replace_reading(backend, monkeypatch, lambda ids: False)


def _replace_reading(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, too_large: Callable[[list[int]], bool]
) -> list[list[int]]:
    """Let the memory be too small for some passes; return the tokens of the others as they run."""
    decoder = backend._parts._loaded.model.get_decoder()  # type: ignore[attr-defined]
    original = decoder.forward
    read: list[list[int]] = []

    def forward(**arguments: Any) -> Any:
        (ids,) = arguments["input_ids"].tolist()
        if too_large(ids):
            original(**arguments)  # what lies in memory is overwritten all the same
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        read.append(ids)
        return original(**arguments)

    monkeypatch.setattr(decoder, "forward", forward)
    return read
