from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.scoring.counting import Work, count, spans_of
from benchmarks.scoring.model import Model
from benchmarks.scoring.skeleton import read
from pytest_lmeval.backends.hf import HFOptions
from pytest_lmeval.backends.protocol import (
    GenerationRequest,
    GenerationSettings,
    LoglikelihoodRequest,
    RollingRequest,
)
from pytest_lmeval.backends.text.encoding import Span


def span(inputs: Sequence[int], targets: int = 1) -> Span:
    return Span(tuple(inputs), (0,) * targets)


def by_hand(spans: Sequence[Span]) -> Work:
    """Every prefix written out."""
    prefixes = {s.inputs[:end] for s in spans for end in range(1, len(s.inputs) + 1)}
    scored = {s.inputs[:end] for s in spans for end in range(len(s.inputs) - len(s.targets) + 1, len(s.inputs) + 1)}
    return Work(peer=sum(map(len, {s.inputs for s in spans})), distinct=len(prefixes), scored=len(scored))


EXAMPLES = {
    "one": ([span([1, 2, 3])], Work(peer=3, distinct=3, scored=1)),
    "equal inputs are one": ([span([1, 2]), span([1, 2])], Work(peer=2, distinct=2, scored=1)),
    "a common beginning": ([span([1, 2, 3], 2), span([1, 2, 4], 2)], Work(peer=6, distinct=4, scored=3)),
    "one begins the other": ([span([1, 2]), span([1, 2, 3, 4], 2)], Work(peer=6, distinct=4, scored=3)),
    "equal inputs, more targets": ([span([1, 2, 3]), span([1, 2, 3], 3)], Work(peer=3, distinct=3, scored=3)),
    "nothing in common": ([span([1, 5]), span([2, 5])], Work(peer=4, distinct=4, scored=2)),
    "nothing": ([], Work(peer=0, distinct=0, scored=0)),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_hand_made_examples(name: str) -> None:
    spans, expected = EXAMPLES[name]
    assert count(spans) == expected == by_hand(spans)


@pytest.mark.parametrize("seed", range(20))
def test_random_sequences_have_as_many_nodes_as_prefixes(seed: int) -> None:
    stream = random.Random(seed)
    spans = []
    for _ in range(60):
        inputs = stream.choices(range(stream.choice([1, 2, 3])), k=stream.randrange(1, 9))
        spans.append(span(inputs, stream.randrange(1, len(inputs) + 1)))
    assert count(spans) == by_hand(spans)


def test_of_generated_text_all_but_the_last_token_is_read() -> None:
    assert Work(peer=10, distinct=6, scored=2).generating([5, 1, 0]) == Work(peer=14, distinct=10, scored=6)


def test_a_skeleton_counts_what_the_model_has(shared_dir: Path) -> None:
    folder = shared_dir / "models" / "stories260K"
    skeleton = read(Model(label="small", location=str(folder), options=HFOptions()))
    width, hidden, key_value, layers, vocabulary = 64, 172, 32, 5, 512
    a_layer = 2 * width * width + 2 * width * key_value + 3 * width * hidden
    shapes = skeleton.shapes
    assert (shapes.decoder, shapes.output) == (layers * a_layer, width * vocabulary)
    assert sum(rows * columns for rows, columns in shapes.layers) == shapes.decoder
    assert skeleton.dtype == "float32"
    assert shapes.flop(Work(peer=0, distinct=3, scored=2)) == 2 * (3 * layers * a_layer + 2 * width * vocabulary)

    encoder = skeleton.encoder
    pair = LoglikelihoodRequest(id=0, context="Once upon", continuation=" a time")
    prompt = GenerationRequest(id=1, context="Once upon", settings=GenerationSettings(max_tokens=500))
    long = GenerationRequest(id=2, context="Once upon a time " * 20, settings=GenerationSettings(max_tokens=500))
    spans = spans_of(encoder, [pair, RollingRequest(id=3, text="Once upon " * 400), prompt, long])
    assert isinstance(encoder.pairs([("Once upon", " a time")])[0], Span)
    assert spans[0] == encoder.pairs([("Once upon", " a time")])[0]
    rolling, prompts = spans[1:-2], spans[-2:]
    assert sum(len(part.targets) for part in rolling) == len(encoder.texts(["Once upon " * 400])["Once upon " * 400])
    assert all(len(part.inputs) <= encoder.max_length for part in rolling)
    assert prompts[0].inputs == tuple(encoder.prompts(["Once upon"])["Once upon"])
    assert len(prompts[1].inputs) == encoder.max_length - 500
