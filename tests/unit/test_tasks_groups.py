from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.results import MetricValue, TaskResult, TaskSettings
from pytest_lmeval.tasks.catalogue import Catalogue
from pytest_lmeval.tasks.groups import Group, aggregate, parse_group
from pytest_lmeval.tasks.yaml_loader import TaskDocument, read_task_file

from .making import write

LEAVES = {"a": (10, 0.5, 0.1), "b": (30, 0.2, 0.05), "c": (60, 0.9, 0.01)}


def leaf(name: str, n: int, *metrics: tuple[str, str, float, float | None], task_hash: str = "h") -> TaskResult:
    return TaskResult(
        task=name,
        n=n,
        total=2 * n,
        metrics=tuple(
            MetricValue(name=m, filter=f, value=v, stderr=s, higher_is_better=m != "ppl", n=n) for m, f, v, s in metrics
        ),
        main_metric="acc",
        items=(),
        settings=TaskSettings(
            dataset="d",
            dataset_config="c",
            split="test",
            num_fewshot=0,
            seed=1,
            limit=None,
            output_type="multiple_choice",
            generation=None,
            task_hash=task_hash,
        ),
        tokens=5,
        seconds=1.0,
    )


def group(*entries: dict[str, Any]) -> Group:
    data = {"group": "g", "task": list(LEAVES), "aggregate_metric_list": list(entries)}
    return Group(spec=parse_group(TaskDocument(Path("g.yaml"), data)), members=())


RESULTS = [leaf(name, n, ("acc", "none", value, stderr)) for name, (n, value, stderr) in LEAVES.items()]


@pytest.mark.parametrize("weighted", [True, False])
def test_the_mean_over_leaves_is_the_references(weighted: bool) -> None:
    theirs = pytest.importorskip("lm_eval.api.metrics", reason="the oracle, lm-eval, is not installed")
    sizes, values, stderrs = (list(column) for column in zip(*LEAVES.values(), strict=True))
    result = aggregate(group({"metric": "acc", "weight_by_size": weighted}), RESULTS)
    (metric,) = result.metrics
    assert metric.value == pytest.approx(theirs.aggregate_subtask_metrics(values, sizes, weighted), rel=1e-14)
    expected = theirs.pooled_sample_stderr(stderrs, sizes) if weighted else theirs.unweighted_mean_stderr(stderrs)
    assert metric.stderr == pytest.approx(expected, rel=1e-14)
    assert metric.value == pytest.approx(0.65 if weighted else 1.6 / 3)
    assert (result.n, result.total, metric.n) == (100, 200, 100)
    assert (result.task, result.members, result.items, result.main_metric) == ("g", ("a", "b", "c"), (), "acc")


def test_weighted_is_the_default() -> None:
    assert aggregate(group({"metric": "acc"}), RESULTS).metrics[0].value == pytest.approx(0.65)


@pytest.mark.parametrize(("weighted", "shares"), [(True, (0.1, 0.3, 0.6)), (False, (1 / 3, 1 / 3, 1 / 3))])
def test_a_group_keeps_its_leaves_and_their_shares(weighted: bool, shares: tuple[float, ...]) -> None:
    result = aggregate(group({"metric": "acc", "weight_by_size": weighted}), RESULTS)
    assert result.leaves == tuple(RESULTS)
    assert result.weights == {"acc": pytest.approx(shares)}
    assert result.metric("acc").aggregation == "group mean"
    parts = zip(result.weights["acc"], result.leaves, strict=True)
    assert sum(w * leaf.metric("acc").value for w, leaf in parts) == pytest.approx(result.metric("acc").value)
    assert result.items == ()
    assert (result.n, result.tokens, result.seconds) == (100, 0, 0.0)


def test_a_leaf_that_lacks_the_metric_has_no_share() -> None:
    results = [RESULTS[0], leaf("x", 5, ("em", "first", 0.5, None), ("em", "none", 0.25, None)), RESULTS[2]]
    result = aggregate(group({"metric": "acc", "weight_by_size": False}, {"metric": "em"}), results)
    assert result.weights == {"acc": (0.5, 0.0, 0.5), "em,first": (0.0, 1.0, 0.0), "em": (0.0, 1.0, 0.0)}


def test_documents_that_were_not_answered_add_up() -> None:
    results = [replace(r, errors=e, unscored={"acc": e, "f1": 9}) for r, e in zip(RESULTS, (2, 0, 1), strict=True)]
    result = aggregate(group({"metric": "acc"}), results)
    assert (result.errors, result.unscored) == (3, {"acc": 3})
    assert aggregate(group({"metric": "acc"}), RESULTS).unscored == {}


def test_a_missing_stderr_is_not_invented() -> None:
    results = [*RESULTS, leaf("d", 1, ("acc", "none", 1.0, None))]
    (metric,) = aggregate(group({"metric": "acc"}), results).metrics
    assert metric.stderr is None
    assert metric.value == pytest.approx(66 / 101)


BOTH = [
    leaf("a", 10, ("em", "strict", 0.1, None), ("em", "loose", 0.2, None), ("ppl", "none", 9.0, None)),
    leaf("b", 10, ("em", "strict", 0.3, None)),
]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (None, {"em,strict": 0.2, "em,loose": 0.2}),
        ("strict", {"em,strict": 0.2}),
        (["loose", "other"], {"em,loose": 0.2}),
    ],
)
def test_filters(filters: Any, expected: dict[str, float]) -> None:
    result = aggregate(group({"metric": "em", "filter_list": filters}), BOTH)
    assert {m.key: m.value for m in result.metrics} == pytest.approx(expected)


def test_several_metrics_keep_their_direction() -> None:
    result = aggregate(group({"metric": "ppl"}, {"metric": "em"}), BOTH)
    assert [(m.key, m.higher_is_better, m.n) for m in result.metrics] == [
        ("ppl", False, 10),
        ("em,strict", True, 20),
        ("em,loose", True, 10),
    ]
    assert result.main_metric == "ppl"


def test_no_leaf_has_the_metric() -> None:
    with pytest.raises(TaskFileError, match="g: its tasks have none of the metrics it aggregates"):
        aggregate(group({"metric": "f1"}), RESULTS)


def test_the_groups_hash_is_that_of_its_leaves_in_any_order() -> None:
    one = group({"metric": "acc"})
    first = aggregate(one, RESULTS).settings.task_hash
    assert aggregate(one, RESULTS[::-1]).settings.task_hash == first
    changed = [*RESULTS[:2], leaf("c", 60, ("acc", "none", 0.9, 0.01), task_hash="other")]
    assert aggregate(one, changed).settings.task_hash != first


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("group: [a]\ntask: [t]\n", 1, "group: expected a name, found ['a']"),
        ("group: g\n", None, "task: expected a list of the group's tasks"),
        ("group: g\ntask: []\n", 2, "task: expected a list of the group's tasks"),
        ("group: g\ntask: {a: 1}\n", 2, "task: expected a list of the group's tasks"),
        ("group: g\ntask: [t]\naggregate_metric_list: [acc]\n", 3, "aggregate_metric_list: expected a metric, found '"),
        (
            "group: g\ntask: t\naggregate_metric_list: [{metric: acc, aggregation: median}]\n",
            3,
            "aggregate_metric_list: the only aggregation is mean",
        ),
        (
            "group: g\ntask: t\naggregate_metric_list:\n  - metric: acc\n  - {metric: f1, weigth_by_size: true}\n",
            5,
            "aggregate_metric_list: unknown key 'weigth_by_size'. Did you mean 'weight_by_size'?",
        ),
        (
            "group: g\ntask: t\naggregate_metric_list:\n  - {metrc: acc}\n",
            4,
            "aggregate_metric_list: expected a metric",
        ),
        ("group: g\ntask: t\naggregate_metric_list: acc\n", 3, "aggregate_metric_list: expected a list, found 'acc'"),
        (
            "group: g\ntask: t\naggregate_metrics_list: []\n",
            3,
            "unknown key 'aggregate_metrics_list'. Did you mean 'aggregate_metric_list'?",
        ),
        ("group: g\ntask: t\nnum_fewshto: 3\n", 3, "unknown key 'num_fewshto'. Did you mean 'num_fewshot'?"),
        ("group: g\ntask: t\ngate:\n  acc:\n    mim: 3\n", 5, "gate.acc.mim: unknown key 'mim'"),
    ],
    ids=lambda value: None,
)
def test_mistakes_are_located(tmp_path: Path, text: str, line: int | None, message: str) -> None:
    catalogue = Catalogue([write(tmp_path / "g.yaml", text).parent])
    document = read_task_file(tmp_path / "g.yaml")
    assert document is not None
    with pytest.raises(TaskFileError) as caught:
        catalogue.load(document)
    assert caught.value.problem.startswith(message)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("written", "metric"),
    [
        ("{metric: acc}", "acc"),
        ("[{metric: acc, aggregation: !function u.f}]", "acc"),
        ("[{metric: !function bleu.smoothed, aggregation: mean}]", "smoothed"),
    ],
    ids=["no-list", "function-to-aggregate", "function-as-metric"],
)
def test_what_the_reference_accepts(tmp_path: Path, written: str, metric: str) -> None:
    document = read_task_file(write(tmp_path / "g.yaml", f"group: g\ntask: [t]\naggregate_metric_list: {written}\n"))
    assert document is not None
    assert [entry.metric for entry in parse_group(document).aggregates] == [metric]
