from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.tasks.metrics import exact_match, metrics_of

from .making import small_task

ALPHABET = "aAbB ß.,!?12٣\n\t$«'\"-É"
OPTIONS: list[dict[str, Any]] = [
    {},
    {"ignore_case": True},
    {"ignore_punctuation": True},
    {"ignore_numbers": True},
    {"regexes_to_ignore": ["[aA]+", r"\s"]},
    {"regexes_to_ignore": [r"(?s).*\$"], "ignore_case": True},
    {"ignore_case": True, "ignore_punctuation": True, "ignore_numbers": True, "regexes_to_ignore": ["B"]},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options) or "plain")
def test_exact_match_is_the_references(options: dict[str, Any]) -> None:
    theirs = pytest.importorskip("lm_eval.api.metrics", reason="the oracle, lm-eval, is not installed")
    stream = random.Random(7)
    pairs = [["".join(stream.choices(ALPHABET, k=stream.randrange(5))) for _ in "ab"] for _ in range(600)]
    # Half of them differ in one character only, which is what the options are about.
    pairs += [[a, a.swapcase() + stream.choice(ALPHABET)] for a, _ in pairs]
    ours = [exact_match(a, b, **options) for a, b in pairs]
    expected = [
        float(theirs.exact_match_hf_evaluate(predictions=[a], references=[b], **options)["exact_match"])
        for a, b in pairs
    ]
    assert ours == expected
    assert 0 < sum(ours) < len(pairs)


def test_the_order_in_which_things_are_ignored() -> None:
    # The pattern sees the text before case is folded, and the punctuation that is then removed.
    assert exact_match("A!", "", regexes_to_ignore=["a!"], ignore_case=True) == 0.0
    assert exact_match("a!", "", regexes_to_ignore=["a!"], ignore_punctuation=True) == 1.0


@pytest.mark.parametrize(
    ("output_type", "expected"),
    [
        ("multiple_choice", ["acc", "acc_norm"]),
        ("loglikelihood", ["perplexity", "acc"]),
        ("loglikelihood_rolling", ["word_perplexity", "byte_perplexity", "bits_per_byte"]),
        ("generate_until", ["exact_match"]),
    ],
)
def test_defaults_are_the_references(tmp_path: Path, output_type: str, expected: list[str]) -> None:
    registry = pytest.importorskip("lm_eval.api.registry", reason="the oracle, lm-eval, is not installed")
    pytest.importorskip("lm_eval.api.metrics")
    metrics = metrics_of(small_task(tmp_path, {"output_type": output_type}))
    assert list(metrics) == expected == list(registry.DEFAULT_METRIC_REGISTRY[output_type])
    for name, metric in metrics.items():
        assert metric.higher_is_better == registry.is_higher_better(name)
        assert registry.AGGREGATION_REGISTRY[metric.aggregation.name] == registry.get_metric_aggregation(name)


def test_an_entry_says_more_than_the_default(tmp_path: Path) -> None:
    functions = """
    def last(values):
        return values[-1]

    def near(references, predictions, within=0):
        return within
    """
    tail = """
    metric_list:
      - {metric: acc, aggregation: median, higher_is_better: false}
      - {metric: acc_norm, aggregation: !function utils.last}
      - {metric: !function utils.near, aggregation: mean, within: 3}
    """
    metrics = metrics_of(small_task(tmp_path, functions=functions, tail=tail))
    assert list(metrics) == ["acc", "acc_norm", "near"]
    assert (metrics["acc"].aggregation.name, metrics["acc"].higher_is_better) == ("median", False)
    assert metrics["acc_norm"].aggregation.value([1, 2, 7]) == 7
    assert metrics["acc_norm"].aggregation.stderr([1, 2, 7]) is None
    assert [metric.compare for metric in metrics.values()] == [None, None, None]


@pytest.mark.parametrize(
    ("metric_list", "message"),
    [
        ([{"metric": "accuracy"}], "unknown metric 'accuracy'. Known metrics: acc, acc_all, acc_bytes"),
        ([{"metric": "acc", "aggregation": "avg"}], "unknown aggregation 'avg' of acc. Known aggregations: bits_per"),
        ([{"aggregation": "mean"}], "each entry needs a 'metric', found {'aggregation': 'mean'}"),
        (["acc"], "each entry needs a 'metric', found 'acc'"),
    ],
    ids=lambda value: None,
)
def test_mistakes_are_located(tmp_path: Path, metric_list: list[Any], message: str) -> None:
    spec = small_task(tmp_path, {"metric_list": metric_list})
    with pytest.raises(TaskFileError) as caught:
        metrics_of(spec)
    assert message in caught.value.problem
    assert caught.value.line == spec.document.lines["metric_list"][1]


def test_an_own_metric_needs_an_aggregation(tmp_path: Path) -> None:
    functions = "def process(doc, results):\n    return {'own': 1}\n"
    tail = "process_results: !function utils.process\n"
    spec = small_task(tmp_path, {"metric_list": [{"metric": "own"}]}, functions=functions, tail=tail)
    with pytest.raises(TaskFileError, match="metric 'own' needs an 'aggregation'"):
        metrics_of(spec)
