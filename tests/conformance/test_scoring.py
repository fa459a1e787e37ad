"""From the same responses the same numbers as lm-evaluation-harness, and where we differ, by how much and why."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.results import TaskResult
from pytest_lmeval.tasks.aggregation import AGGREGATIONS
from pytest_lmeval.tasks.metrics.listed import KNOWN
from tests.conformance.scoring_cases import CASES, FUNCTIONS, GENERATE
from tests.unit.making import asked, scored, small_task


def both(folder: Path, keys: Mapping[str, Any], rows: Sequence[Any], responses: Sequence[Any], tail: str = "") -> Any:
    """Return our result, and the reference's values with their standard errors."""
    pytest.importorskip("lm_eval", reason="the oracle, lm-eval==0.4.13, is not installed")
    from tests.conformance.scripted import reference_metrics

    spec = small_task(folder, keys, rows, functions=FUNCTIONS, tail=tail)
    assert len(responses) == len(asked(spec))
    return scored(spec, responses), reference_metrics(spec.path, rows, responses)


@pytest.mark.parametrize("name", list(CASES))
def test_every_number_is_the_references(tmp_path: Path, name: str) -> None:
    case, stream = CASES[name], random.Random(name)
    rows = case.rows(stream)
    responses = [response for row in rows for response in case.respond(stream, row)]
    result, expected = both(tmp_path, case.keys, rows, responses, case.tail)
    stderrs = {key.replace("_stderr,", ","): expected.pop(key) for key in list(expected) if "_stderr," in key}
    assert values(result) == pytest.approx(expected, rel=1e-13, nan_ok=True)
    # Of a mean the reference has a standard error; of others it would bootstrap, which is compared below.
    for metric in result.metrics:
        theirs = stderrs[f"{metric.name},{metric.filter}"]
        assert theirs in (None, "N/A") or metric.stderr == pytest.approx(theirs, rel=1e-12)
    assert result.warnings == ()


def values(result: TaskResult) -> dict[str, float]:
    return {f"{metric.name},{metric.filter}": metric.value for metric in result.metrics}


def test_every_registered_metric_is_known() -> None:
    registry = pytest.importorskip("lm_eval.api.registry", reason="the oracle, lm-eval==0.4.13, is not installed")
    pytest.importorskip("lm_eval.api.metrics")
    assert {*KNOWN} == {*registry.metric_registry.keys()}
    for name, (aggregation, higher_is_better) in KNOWN.items():
        assert registry.is_higher_better(name) == higher_is_better
        assert registry.get_metric_aggregation(name) is registry.get_aggregation(aggregation)


def labelled(stream: random.Random) -> list[tuple[int, int]]:
    golds = [stream.randrange(2) for _ in range(120)]
    return [(gold, gold if stream.random() < 0.7 else 1 - gold) for gold in golds]


def three_classes(stream: random.Random) -> list[tuple[int, int]]:
    return [(stream.randrange(3), stream.randrange(2)) for _ in range(90)]


def skewed(stream: random.Random) -> list[float]:
    return [-stream.expovariate(1) for _ in range(151)]


def rounded(stream: random.Random) -> list[float]:
    return [float(stream.randrange(5)) for _ in range(40)]


def translated(stream: random.Random) -> list[tuple[str, str]]:
    words = ["a", "bb", "ccc", "dddd", "eeeee", "ffff", "ggg", "hh", "i"]
    references = [stream.choices(words, k=stream.randrange(4, 14)) for _ in range(60)]
    return [
        (" ".join(r), " ".join(w if stream.random() < 0.8 else stream.choice(words) for w in r)) for r in references
    ]


@pytest.mark.parametrize(
    ("name", "values", "resamples"),
    [
        ("f1", labelled, 600),
        ("matthews_corrcoef", labelled, 600),
        ("matthews_corrcoef", three_classes, 600),
        ("median", skewed, 2000),
        ("median", rounded, 2000),
        ("perplexity", skewed, 2000),
        ("nanmean", skewed, 2000),
        ("bleu", translated, 200),
        ("chrf", translated, 200),
        ("chrf++", translated, 200),
        ("ter", translated, 200),
    ],
)
def test_standard_errors_agree_with_the_references_bootstrap(
    monkeypatch: pytest.MonkeyPatch, name: str, values: Any, resamples: int
) -> None:
    metrics = pytest.importorskip("lm_eval.api.metrics", reason="the oracle, lm-eval==0.4.13, is not installed")
    registry = pytest.importorskip("lm_eval.api.registry")
    monkeypatch.setenv("DISABLE_MULTIPROC", "1")
    column = values(random.Random(5))
    expected = metrics.bootstrap_stderr(registry.get_aggregation(name), column, iters=resamples)
    ours = AGGREGATIONS[name].stderr(column)
    # The error of a standard error from R resamples is 1 / sqrt(2 R) of it; ours is from 1,000 and an interval.
    assert ours == pytest.approx(expected, rel=4 * (1 / (2 * resamples) + 1 / 1000) ** 0.5)
    assert AGGREGATIONS[name].stderr(column) == ours
    assert AGGREGATIONS[name].value(column) == pytest.approx(registry.get_aggregation(name)(column), rel=1e-13)


TEXTS = [{"question": "q", "text": "oui", "several": ["oui", "non"], "numbers": [1, 2], "choices": ["oui", "nö"]}] * 2


def test_a_metric_after_exact_match_still_sees_the_answer(tmp_path: Path) -> None:
    """With several targets the reference hands the next metric a list of copies of the answer instead."""
    tail = """
    metric_list:
      - {metric: exact_match, aggregation: mean}
      - {metric: !function utils.included, aggregation: mean}
    """
    result, theirs = both(tmp_path, GENERATE | {"doc_to_target": "several"}, TEXTS, ["non", "x non"], tail)
    assert values(result) == {"exact_match,none": 0.5, "included,none": 1.0}
    assert theirs["included,none"] == 0.5


def test_of_several_targets_the_best_counts(tmp_path: Path) -> None:
    """The reference makes 1 of every score above 0."""
    tail = "metric_list: [{metric: !function utils.overlap, aggregation: mean}]\n"
    rows = [{"question": "q", "several": ["a b c d", "a b"]}]
    result, theirs = both(tmp_path, GENERATE | {"doc_to_target": "several"}, rows, ["a"], tail)
    assert (values(result)["overlap,none"], theirs["overlap,none"]) == (0.5, 1.0)


def test_targets_that_are_numbers_can_be_matched(tmp_path: Path) -> None:
    """The reference compares the text with the number; of a single target it makes a text first, as we do of all."""
    result, theirs = both(tmp_path, GENERATE | {"doc_to_target": "numbers"}, TEXTS, ["1", "3"])
    assert (values(result)["exact_match,none"], theirs["exact_match,none"]) == (0.5, 0.0)


def test_a_single_target_among_several_is_one_target(tmp_path: Path) -> None:
    """The reference takes a text among lists of texts for a list of letters."""
    rows = [{"question": "q", "target": text} for text in ("['a', 'b']", "abc", "abc")]
    keys = GENERATE | {"doc_to_target": "{{target}}"}
    result, theirs = both(tmp_path, keys, rows, ["b", "abc", "a"])
    assert [item.scores["exact_match"] for item in result.items] == [1.0, 1.0, 0.0]
    assert theirs["exact_match,none"] == pytest.approx(2 / 3)


def test_a_negative_label_is_no_choice(tmp_path: Path) -> None:
    """The reference counts from the end for exact_match."""
    rows = [{"question": "q", "choices": ["a", "b"], "label": -1}]
    keys = {"metric_list": [{"metric": "exact_match"}]}
    result, theirs = both(tmp_path, keys, rows, [(-1.0, False), (-2.0, True)])
    assert (values(result)["exact_match,none"], theirs["exact_match,none"]) == (0.0, 1.0)
