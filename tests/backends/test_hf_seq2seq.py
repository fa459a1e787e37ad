"""Random encoder-decoder models beside lm-eval's seq2seq backend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.hf import HFOptions, plugin
from pytest_lmeval.backends.protocol import (
    Backend,
    Failure,
    GenerationAnswer,
    GenerationSettings,
    LoglikelihoodAnswer,
    RollingAnswer,
)

from .asking import ask_oracle, generated, rolling, scores, texts

KINDS = ["t5", "bart", "m2m_100"]
LENGTH = 64
STORY = "Tom saw a very big dog in the park. "
PAIRS = [
    ("Once upon a time", " there was"),
    ("Once upon a time ", "there was"),
    ("Once upon a time", " a dog"),
    ("", "Hello"),
    ("", " Hello"),
    ("", "<s>Hello there"),
    (" \n", "Tom"),
    ("</s>Once upon", " a time"),
    ("<s>Once upon", " a time"),
    (STORY * 20, "It"),
    ("a ", "b c d e f"),
    ("Ünï 日本語", " ねこ"),
]
PROMPTS = ["Once upon a time", STORY, STORY * 20, "", "<s>Ben likes", "The dog was sad because"]


def _configs(transformers: Any) -> dict[str, Any]:
    tokens: dict[str, Any] = {"vocab_size": 512, "bos_token_id": 1, "eos_token_id": 2}
    layers = {"encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    sizes = {"d_model": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": LENGTH}
    return {
        "t5": transformers.T5Config(
            d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, pad_token_id=0, decoder_start_token_id=0, **tokens
        ),
        "bart": transformers.BartConfig(
            **sizes, **layers, **tokens, pad_token_id=0, decoder_start_token_id=2, forced_eos_token_id=None
        ),
        # Its decoder's input cannot be asked for, only its loss.
        "m2m_100": transformers.M2M100Config(**sizes, **layers, **tokens, pad_token_id=0, decoder_start_token_id=2),
    }


@pytest.fixture(scope="module")
def folders(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoints on disk, each with a tokenizer as its kind has it."""
    import torch
    import transformers

    found = {}
    for kind, config in _configs(transformers).items():
        torch.manual_seed(0)
        model = transformers.AutoModelForSeq2SeqLM.from_config(config)
        for parameter in model.parameters():
            parameter.data.mul_(3)  # spread the logits: ties are no test
        found[kind] = tmp_path_factory.mktemp(kind)
        model.save_pretrained(found[kind])
        _tokenizer(kind, shared_dir).save_pretrained(found[kind])
    return found


def _tokenizer(kind: str, shared_dir: Path) -> Any:
    import transformers
    from tokenizers.processors import TemplateProcessing

    tokenizer = transformers.AutoTokenizer.from_pretrained(shared_dir / "models" / "stories260K")
    tokenizer.pad_token = "<unk>"
    single = "$A </s>" if kind == "t5" else "<s> $A </s>"
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=single, special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    if kind == "t5":
        tokenizer.bos_token = None
    return tokenizer


@pytest.fixture(scope="module")
def backends(folders: dict[str, Path]) -> Iterator[dict[str, Backend]]:
    options = HFOptions(dtype="float32", device="cpu", max_length=LENGTH)
    opened = {}
    for kind, folder in folders.items():
        with pytest.warns(UserWarning, match="runs in plain batches.*it is an encoder-decoder model"):
            opened[kind] = plugin.open(str(folder), options)
    yield opened
    for backend in opened.values():
        backend.close()


@pytest.fixture(scope="module")
def oracles(folders: dict[str, Path]) -> dict[str, Any]:
    huggingface = pytest.importorskip("lm_eval.models.huggingface", reason="lm_eval is not installed")
    settings = {"dtype": "float32", "device": "cpu", "batch_size": 1, "max_length": LENGTH}
    return {kind: huggingface.HFLM(pretrained=str(folder), **settings) for kind, folder in folders.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_scores_equal_the_oracles(kind: str, backends: dict[str, Backend], oracles: dict[str, Any]) -> None:
    assert oracles[kind].backend == "seq2seq"
    for pair, answer in zip(PAIRS, scores(backends[kind], PAIRS), strict=True):
        logprob, is_greedy = ask_oracle(oracles[kind], "loglikelihood", *pair)
        assert isinstance(answer, LoglikelihoodAnswer), answer
        assert answer.logprob == pytest.approx(logprob, abs=1e-4), pair
        assert answer.is_greedy is is_greedy, pair


@pytest.mark.parametrize("kind", KINDS)
def test_whole_texts_score_as_the_oracles(kind: str, backends: dict[str, Backend], oracles: dict[str, Any]) -> None:
    asked = [STORY, STORY * 8, "x", "日本語 é"]
    for text, answer in zip(asked, rolling(backends[kind], asked), strict=True):
        assert isinstance(answer, RollingAnswer)
        assert answer.logprob == pytest.approx(ask_oracle(oracles[kind], "loglikelihood_rolling", text), abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_equal_the_oracles(kind: str, backends: dict[str, Backend], oracles: dict[str, Any]) -> None:
    for until in ([], ["a"], ["e", "\n"]):
        asked = [(prompt, GenerationSettings(until=tuple(until), max_tokens=12)) for prompt in PROMPTS]
        for (prompt, _), text in zip(asked, texts(backends[kind], asked), strict=True):
            # The oracle's own limit counts the prompt; with `max_length` it means the decoder's start token and 12.
            arguments = {"until": list(until), "max_gen_toks": 12, "max_length": 13}
            assert text == ask_oracle(oracles[kind], "generate_until", prompt, arguments), (prompt, until)


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_has_the_tokens_asked_for(kind: str, backends: dict[str, Backend], oracles: dict[str, Any]) -> None:
    (answer,) = generated(backends[kind], [(STORY, GenerationSettings(max_tokens=5))])
    assert isinstance(answer, GenerationAnswer)
    longer = ask_oracle(oracles[kind], "generate_until", STORY, {"until": [], "max_gen_toks": 5})
    assert longer[:3] == answer.text[:3]
    assert len(longer) > len(answer.text)
    assert answer.tokens == len(oracles[kind].tok_encode(STORY)) + 5


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_answer_is_greedy(kind: str, backends: dict[str, Backend]) -> None:
    import torch

    from pytest_lmeval.backends.text.encoding import Span

    scorer = backends[kind]._parts.scorer  # type: ignore[attr-defined]
    source = (1, 100, 200, 300, 2)
    written = scorer._model.generate(torch.tensor([source]), max_new_tokens=6, do_sample=False)
    targets = tuple(written[0, 1:].tolist())
    other = (*targets[:-1], targets[-1] + 1)
    spans = [(greedy, Span(source + target[:-1], target)) for greedy, target in ((True, targets), (False, other))]
    for greedy, score in scorer.score(spans):
        assert score.is_greedy is greedy


@pytest.mark.parametrize("kind", KINDS)
def test_company_does_not_matter(kind: str, folders: dict[str, Path], backends: dict[str, Backend]) -> None:
    options = HFOptions(dtype="float32", device="cpu", max_length=LENGTH, batch_size=1)
    with pytest.warns(UserWarning, match="encoder-decoder"):
        alone = plugin.open(str(folders[kind]), options)
    for one, many in zip(scores(alone, PAIRS), scores(backends[kind], PAIRS), strict=True):
        assert isinstance(one, LoglikelihoodAnswer)
        assert isinstance(many, LoglikelihoodAnswer)
        assert one.logprob == pytest.approx(many.logprob, abs=1e-4)
        assert (one.is_greedy, one.tokens) == (many.is_greedy, many.tokens)
    asked = [(prompt, GenerationSettings(max_tokens=6)) for prompt in PROMPTS]
    assert generated(alone, asked) == generated(backends[kind], asked)


def test_choices_of_one_context_run_through_the_encoder_once(
    backends: dict[str, Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = backends["t5"]._parts._loaded.model  # type: ignore[attr-defined]
    encoder = model.get_encoder()
    original, read = encoder.forward, []

    def forward(**arguments: Any) -> Any:
        read.append(len(arguments["input_ids"]))
        return original(**arguments)

    monkeypatch.setattr(encoder, "forward", forward)
    scores(backends["t5"], [(context, f" {letter}") for context in ("Who?", "Where?") for letter in "ABCD"])
    assert read == [2]


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_answered_fails_alone(kind: str, backends: dict[str, Backend]) -> None:
    good, empty, long = scores(backends[kind], [("Tom", " ran"), ("Tom", ""), ("Tom", " " + STORY * 20)])
    assert isinstance(good, LoglikelihoodAnswer)
    assert isinstance(empty, Failure)
    assert "no token" in empty.error
    assert isinstance(long, Failure)
    assert "64 at most" in long.error


def test_only_a_decoder_that_numbers_its_positions_has_a_longest_answer(backends: dict[str, Backend]) -> None:
    asked = [("Tom", GenerationSettings(max_tokens=number)) for number in (LENGTH + 1, LENGTH, 0)]
    long, full, none = generated(backends["bart"], asked)
    assert isinstance(long, Failure)
    assert "max_tokens is 65" in long.error
    assert isinstance(full, GenerationAnswer)
    assert isinstance(none, Failure)
    (answer,) = generated(backends["t5"], asked[:1])
    assert isinstance(answer, GenerationAnswer)


def test_what_it_is(backends: dict[str, Backend]) -> None:
    assert backends["t5"].info.details["architecture"] == "T5ForConditionalGeneration"
    assert backends["bart"].info.max_length == LENGTH
