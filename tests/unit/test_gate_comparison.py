from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_lmeval.baselines.format import dumps, from_result, loads
from pytest_lmeval.baselines.record import Baseline
from pytest_lmeval.gate.comparison import Comparison, compare
from pytest_lmeval.gate.pairing import pair_items
from pytest_lmeval.gate.policy import parse_gate
from pytest_lmeval.results import ItemResult, MetricValue, TaskResult, TaskSettings

SETTINGS = TaskSettings(
    dataset="d",
    dataset_config=None,
    split="test",
    num_fewshot=0,
    seed=1,
    limit=None,
    output_type="multiple_choice",
    generation={"until": ("\n", "Q:"), "max_gen_toks": 32},
    task_hash="t",
)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def item(index: int, right: bool = True, document: str = "", prompt: str = "", target: str = "") -> ItemResult:
    document = document or f"document {index}"
    return ItemResult(
        index=index,
        document_hash=sha(document),
        prompt_hash=sha(document + prompt),
        target_hash=sha(document + target),
        scores={"acc": float(right)},
        margin=1.0 if right else -1.0,
        prompt=document,
        target="yes",
        answer="yes" if right else "no",
    )


def task(items: Iterable[ItemResult], total: int | None = None, **changes: Any) -> TaskResult:
    kept = tuple(items)
    acc = math.fsum(i.scores["acc"] for i in kept) / max(1, len(kept))
    metric = MetricValue(name="acc", filter="none", value=acc, stderr=None, higher_is_better=True, n=len(kept))
    whole = TaskResult(
        task="t",
        n=len(kept),
        total=len(kept) if total is None else total,
        metrics=(metric,),
        main_metric="acc",
        items=kept,
        settings=SETTINGS,
    )
    return replace(whole, **changes)


def recorded(result: TaskResult) -> Baseline:
    """Through the file format, as in life."""
    return loads(dumps(from_result(result, {}, {}, "2026-01-01")))


def compared(now: TaskResult, then: TaskResult, **gate: object) -> Comparison:
    return compare(now, recorded(then), parse_gate(gate).for_model("demo"))


def outcomes(seed: int, count: int) -> list[bool]:
    rng = random.Random(seed)
    return [rng.random() < 0.5 for _ in range(count)]


def changed(comparison: Comparison) -> list[str]:
    return [str(change) for change in comparison.changed]


# Pairing


def true_pairs(items: Sequence[ItemResult], baseline: Baseline) -> list[tuple[int, int]]:
    return [(pair.now.index, pair.then.index) for pair in pair_items(items, baseline).pairs]


@pytest.mark.parametrize("seed", range(5))
def test_reordered_documents_find_themselves(seed: int) -> None:
    then = [item(i, right) for i, right in enumerate(outcomes(seed, 300))]
    order = random.Random(seed).sample(range(300), 300)
    now = [replace(then[old], index=new) for new, old in enumerate(order)]
    assert true_pairs(now, recorded(task(then))) == list(enumerate(order))
    comparison = compared(task(now), task(then))
    assert not comparison.changed
    assert (comparison.paired, comparison.regressed, comparison.improved) == (300, (), ())


@pytest.mark.parametrize("seed", range(5))
def test_a_subset_is_compared_on_what_it_shares(seed: int) -> None:
    right = outcomes(seed, 100)
    then = [item(i, r) for i, r in enumerate(right)]
    chosen = sorted(random.Random(seed).sample(range(100), 30))
    now = task([then[i] for i in chosen], total=100)
    comparison = compared(now, task(then))
    assert not comparison.changed
    assert (comparison.paired, comparison.n_now, comparison.n_then) == (30, 30, 100)
    # The baseline's mean is over the same thirty, not over all hundred.
    (acc,) = comparison.metrics
    assert acc.baseline == acc.value == pytest.approx(sum(right[i] for i in chosen) / 30)
    assert not comparison.gained


def test_a_larger_run_is_compared_on_what_the_baseline_has() -> None:
    then = [item(i, True) for i in range(10)]
    now = [*then, *(item(i, False) for i in range(10, 40))]
    comparison = compared(task(now), task(then, total=40))
    assert not comparison.changed
    assert comparison.paired == 10
    assert comparison.metrics[0].value == 1.0
    assert comparison.gained
    assert not comparison.holds


def test_duplicates_pair_in_place_and_then_in_order() -> None:
    then = [item(i, right, document="same") for i, right in enumerate([True, False, True, False])]
    assert true_pairs(then, recorded(task(then))) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    moved = [replace(copy, index=copy.index + 4) for copy in then]
    others = [item(i, document=f"other {i}") for i in range(4)]
    assert true_pairs([*others, *moved], recorded(task(then, total=8))) == [(4, 0), (5, 1), (6, 2), (7, 3)]
    # One copy more than before is one too many, not a partner for somebody else's.
    pairing = pair_items([*then, item(4, document="same")], recorded(task(then, total=5)))
    assert (len(pairing.pairs), pairing.added) == (4, 1)


def test_a_dropped_document_shifts_nobody_onto_anothers() -> None:
    then = [item(i, right) for i, right in enumerate(outcomes(3, 200))]
    now = [replace(old, index=old.index - 1) for old in then[1:]]
    assert true_pairs(now, recorded(task(then))) == [(i, i + 1) for i in range(199)]


# What makes runs incomparable


@pytest.mark.parametrize("part", ["document", "prompt", "target"])
@pytest.mark.parametrize("limit", [None, 20])
def test_changed_content_is_named_before_any_number(part: str, limit: int | None) -> None:
    then = [item(i) for i in range(40)]
    now = [item(i, right=False, **{part: f"new {i}"}) for i in range(limit or 40)]
    comparison = compared(task(now, total=40), task(then))
    names = changed(comparison)
    assert f"{part}s" in names
    # A new document has a new prompt; a new prompt does not have a new document.
    assert part == "document" or names == [f"{part}s"]
    assert comparison.metrics == ()
    assert comparison.regressed == comparison.improved == ()
    assert not comparison.holds


def test_a_change_that_the_short_keys_do_not_see_is_seen_in_the_digests() -> None:
    then = [item(i) for i in range(5)]
    first = then[0].prompt_hash
    now = [replace(then[0], prompt_hash=first[:8] + sha("other")[8:]), *then[1:]]
    assert pair_items(now, recorded(task(then))).complete
    assert changed(compared(task(now), task(then))) == ["prompts"]


def test_prompts_swapped_between_documents_are_a_change() -> None:
    then = [item(i) for i in range(4)]
    now = [
        replace(then[0], prompt_hash=then[1].prompt_hash),
        replace(then[1], prompt_hash=then[0].prompt_hash),
        *then[2:],
    ]
    assert changed(compared(task(now), task(then))) == ["prompts"]


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"num_fewshot": 5}, "num_fewshot (0 -> 5)"),
        ({"dataset": "e"}, "dataset ('d' -> 'e')"),
        ({"dataset_config": "c"}, "dataset_config (None -> 'c')"),
        ({"split": "dev"}, "split ('test' -> 'dev')"),
        ({"seed": 2}, "seed (1 -> 2)"),
        ({"output_type": "generate_until"}, "output_type ('multiple_choice' -> 'generate_until')"),
        ({"version": "2"}, "version (None -> '2')"),
        ({"task_hash": "u"}, "task definition"),
        (
            {"generation": {"until": ["\n", "Q:"], "max_gen_toks": 64}},
            "generation settings: max_gen_toks (32 -> 64)",
        ),
        ({"generation": None}, "generation settings: max_gen_toks (32 -> None)"),
    ],
)
def test_changed_settings_are_named_with_their_values(settings: dict[str, Any], name: str) -> None:
    then = [item(i) for i in range(3)]
    now = task(then, settings=replace(SETTINGS, **settings))
    assert changed(compared(now, task(then)))[0] == name


def test_limit_and_lists_for_tuples_are_no_change() -> None:
    items = [item(i) for i in range(3)]
    same = replace(SETTINGS, limit="3", generation={"max_gen_toks": 32, "until": ["\n", "Q:"]})
    assert compared(task(items, settings=same), task(items)).holds


def test_another_task_another_split_size_or_nothing_in_common() -> None:
    items = [item(i) for i in range(4)]
    assert changed(compared(task(items, task="u"), task(items))) == ["task ('t' -> 'u')"]
    assert "documents in the split (4 -> 9)" in changed(compared(task(items, total=9), task(items)))
    apart = compared(task(items[:2], total=4), task(items[2:], total=4))
    assert changed(apart) == ["documents: none was asked in both runs"]


def test_a_gated_metric_that_the_baseline_lacks() -> None:
    items = [item(i) for i in range(4)]
    now = task(items)
    f1 = replace(now.metrics[0], name="f1")
    more = replace(now, metrics=(*now.metrics, f1))
    assert changed(compared(more, now, f1=0.1)) == ["metrics (acc -> acc, f1)"]
    # Not gated it is no obstacle, but the baseline can be recorded anew.
    ungated = compared(more, now)
    assert (ungated.changed, ungated.uncompared, ungated.holds) == ((), ("f1",), False)


# Numbers


def test_flips_of_the_main_metric() -> None:
    then = task([item(0, True), item(1, True), item(2, False), item(3, False)])
    now = task([item(0, True), item(1, False), item(2, True), item(3, False)])
    comparison = compared(now, then)
    assert (comparison.regressed, comparison.improved) == ((1,), (2,))
    assert comparison.metrics[0].difference == 0
    assert comparison.holds


def with_metric(value: float, name: str, higher: bool, items: Iterable[ItemResult] = ()) -> TaskResult:
    metric = MetricValue(name=name, filter="none", value=value, stderr=None, higher_is_better=higher, n=10)
    return task(items, total=10, n=10, metrics=(metric,), main_metric=name)


@pytest.mark.parametrize(
    ("then", "now", "higher", "gate", "worse", "better"),
    [
        (0.42, 0.41, True, {}, False, False),  # exactly the tolerance
        (0.42, 0.4099, True, {}, True, False),
        (0.42, 0.4301, True, {}, False, True),
        (0.42, 0.40, True, {"m": {"tolerance": 0.02}}, False, False),
        (0.42, 0.4199, True, {"m": {"tolerance": 0}}, True, False),
        (20.0, 20.2, False, {}, False, False),  # one percent
        (20.0, 20.3, False, {}, True, False),
        (20.0, 19.7, False, {}, False, True),
        (20.0, 20.3, False, {"m": {"tolerance": 0.5}}, False, False),
        (0.99, 1.02, False, {}, True, False),  # not a fraction any more: one percent
        (0.42, math.nan, True, {}, True, False),
        (20.0, math.inf, False, {}, True, False),
        (math.nan, 0.42, True, {}, True, False),
        (math.inf, 20.0, False, {}, False, True),
        (0.02, -0.02, True, {}, True, False),  # correlations go below 0
        (0.012, 0.008, True, {}, False, False),
    ],
)
def test_tolerances(then: float, now: float, higher: bool, gate: dict[str, object], worse: bool, better: bool) -> None:
    comparison = compared(with_metric(now, "m", higher), with_metric(then, "m", higher), **gate)
    assert not comparison.changed
    assert (bool(comparison.worse), bool(comparison.better)) == (worse, better)
    assert comparison.holds is not (worse or better)


def test_only_the_main_metric_and_those_named_in_the_gate_decide() -> None:
    then = task([item(i) for i in range(4)])
    other = replace(then.metrics[0], name="f1")
    before = replace(then, metrics=(*then.metrics, other))
    after = replace(then, metrics=(*then.metrics, replace(other, value=0.2)))
    assert not compared(after, before).worse
    assert [c.metric for c in compared(after, before).metrics] == ["acc", "f1"]
    assert [c.metric for c in compared(after, before, f1={"max": 1}).worse] == ["f1"]


def test_a_corpus_metric_is_not_averaged_over_a_part() -> None:
    """A perplexity's per-document values do not average to it: refuse instead of inventing a number."""
    items = [item(i) for i in range(4)]
    then = with_metric(20.0, "acc", False, items)
    part = replace(then, items=tuple(items[:2]), n=2, total=10)
    full = replace(then, n=4, total=10)
    expected = "documents, and acc cannot be computed for the shared ones alone (4 -> 2)"
    assert changed(compared(part, full)) == [expected]
    # Shown only, it is left out and said to be.
    accuracy = replace(full.metrics[0], name="exact", value=1.0, higher_is_better=True)
    with_both = [
        replace(
            run,
            metrics=(accuracy, run.metrics[0]),
            main_metric="exact",
            items=tuple(replace(i, scores={**i.scores, "exact": 1.0}) for i in run.items),
        )
        for run in (part, full)
    ]
    comparison = compared(*with_both)
    assert (comparison.changed, comparison.uncompared) == ((), ("acc",))
    assert comparison.metrics[0].value == 1.0


def test_groups_compare_as_a_whole_or_not_at_all() -> None:
    group = with_metric(0.5, "acc", True)
    group = replace(group, members=("a", "b"))
    assert compared(group, group).holds
    assert changed(compared(replace(group, members=("a",)), group)) == ["members of the group"]
    assert "cannot be computed" in changed(compared(replace(group, n=5), group))[0]
    assert changed(compared(task([item(0)], total=10, n=1), group))


def test_a_mean_over_fewer_documents_than_before_is_not_compared() -> None:
    """A model that makes half of its answers unscorable must not pass by the other half."""
    items = [item(i, right=i % 2 == 0) for i in range(10)]
    then = task(items)
    scored = [replace(i, scores=i.scores if i.scores["acc"] else {}) for i in items]
    metric = replace(then.metrics[0], value=1.0, n=5)
    comparison = compared(replace(then, items=tuple(scored), metrics=(metric,), unscored={"acc": 5}), then)
    assert changed(comparison) == ["documents that acc could score (10 -> 5)"]
    assert not comparison.holds
