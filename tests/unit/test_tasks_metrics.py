from __future__ import annotations

import importlib.util
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
    assert caught.value.line == spec.document.lines["metric_list"][1] + 1


def test_an_own_metric_needs_an_aggregation(tmp_path: Path) -> None:
    functions = "def process(doc, results):\n    return {'own': 1}\n"
    tail = "process_results: !function utils.process\n"
    spec = small_task(tmp_path, {"metric_list": [{"metric": "own"}]}, functions=functions, tail=tail)
    with pytest.raises(TaskFileError, match="metric 'own' needs an 'aggregation'"):
        metrics_of(spec)


def generating(folder: Path, metric: dict[str, Any], functions: str = "", tail: str = "") -> Any:
    keys = {"output_type": "generate_until", "doc_to_choice": None, "doc_to_target": "answer"}
    metric_list = [{"aggregation": "mean", **metric}] if metric else None
    spec = small_task(folder, {**keys, "metric_list": metric_list}, functions=functions, tail=tail)
    (found,) = metrics_of(spec).values()
    assert found.compare is not None
    return found.compare


@pytest.mark.parametrize(
    ("metric", "target", "answer", "expected"),
    [
        ({"metric": "f1", "average": "micro"}, 2, 2, {"f1": 1.0}),
        ({"metric": "f1", "average": "micro"}, "2", "1", {"f1": 0.0}),
        ({"metric": "f1"}, 1, 1, {"f1": 1.0}),
        ({"metric": "f1", "average": "macro", "labels": [0, 1]}, 1, 1, {"f1": 0.5}),
        ({"metric": "accuracy"}, "3", 3, {"accuracy": 1.0}),
        ({"metric": "precision"}, 0, 1, {"precision": 0.0}),
        ({"metric": "recall"}, 1, 1, {"recall": 1.0}),
        ({"metric": "matthews_correlation"}, 1, 1, {"matthews_correlation": 0.0}),
        ({"metric": "exact_match", "ignore_case": True}, "a", "A", {"exact_match": 1.0}),
    ],
    ids=str,
)
def test_of_the_evaluate_package_without_it(
    tmp_path: Path, metric: dict[str, Any], target: Any, answer: Any, expected: dict[str, float]
) -> None:
    assert generating(tmp_path, {**metric, "hf_evaluate": True})(target, answer) == expected


def test_classes_are_whole_numbers(tmp_path: Path) -> None:
    compare = generating(tmp_path, {"metric": "accuracy"})
    with pytest.raises(TypeError, match=r"expected whole numbers as classes, found \['two'\]"):
        compare("two", "1")


def test_without_the_evaluate_package_other_metrics_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TaskFileError, match=r"'rouge' is not built in \(of hf_evaluate's .*\): pip install evaluate"):
        generating(tmp_path, {"metric": "rouge", "hf_evaluate": True})


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ({"metric": "bleu", "aggregation": "bleu"}, "bleu needs sacrebleu: pip install 'pytest-lmeval[metrics]'"),
        ({"metric": "f1", "aggregation": "f1"}, "f1 needs scikit-learn: pip install 'pytest-lmeval[metrics]'"),
        ({"metric": "accuracy"}, "accuracy needs scikit-learn: pip install 'pytest-lmeval[metrics]'"),
    ],
    ids=["sacrebleu", "scikit-learn", "evaluated"],
)
def test_a_package_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TaskFileError) as caught:
        generating(tmp_path, metric)
    assert caught.value.problem == f"metric_list: {message}"


OWN = """
def by_name(predictions, references, **more):
    return ("by name", predictions, references, more)

def strict(references, predictions):
    return ("strict", references, predictions)

def items(values):
    return ("items", values)

def failing(references, predictions):
    raise TypeError("inside")

def three(a, b, c):
    return 0
"""


@pytest.mark.parametrize(
    ("name", "more", "expected"),
    [
        ("by_name", "", ("by name", ["a"], ["g"], {})),
        ("by_name", ", k: 3", ("by name", ["a"], ["g"], {"k": 3})),
        ("strict", "", ("strict", ["g"], ["a"])),
        ("items", "", ("items", ["g", "a"])),
        ("items", ", ignored: 1", ("items", ["g", "a"])),
    ],
)
def test_a_function_is_called_as_its_signature_allows(tmp_path: Path, name: str, more: str, expected: Any) -> None:
    tail = f"metric_list: [{{metric: !function utils.{name}, aggregation: mean{more}}}]\n"
    assert generating(tmp_path, {}, OWN, tail)("g", "a") == expected


def test_an_error_inside_a_function_is_not_masked(tmp_path: Path) -> None:
    """The reference would call it again, with one list, and report that this does not fit its signature."""
    tail = "metric_list: [{metric: !function utils.failing, aggregation: mean}]\n"
    with pytest.raises(TypeError, match="inside"):
        generating(tmp_path, {}, OWN, tail)("g", "a")


@pytest.mark.parametrize(("name", "more"), [("three", ""), ("strict", ", k: 3")])
def test_a_function_that_cannot_be_called_is_located(tmp_path: Path, name: str, more: str) -> None:
    tail = f"metric_list: [{{metric: !function utils.{name}, aggregation: mean{more}}}]\n"
    arguments = ", k=" if more else ""
    message = f"{name} takes neither (references=, predictions={arguments}) nor one list [reference, prediction]"
    with pytest.raises(TaskFileError) as caught:
        generating(tmp_path, {}, OWN, tail)
    assert caught.value.problem == f"metric_list: {message}"


def test_exact_match_has_no_other_arguments(tmp_path: Path) -> None:
    with pytest.raises(TaskFileError, match=r"exact_match has no argument 'ignore_cases'\. Did you mean 'ignore_case'"):
        generating(tmp_path, {"metric": "exact_match", "ignore_cases": True})
