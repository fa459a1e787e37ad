from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_lmeval.baselines.format import dumps, from_result, loads
from pytest_lmeval.baselines.record import Baseline, Noise
from pytest_lmeval.gate.comparison import Comparison, Context, compare
from pytest_lmeval.gate.decision import Outcome
from pytest_lmeval.gate.evidence import Evidence
from pytest_lmeval.gate.pairing import pair_items
from pytest_lmeval.gate.policy import GateSyntaxError, parse_gate
from pytest_lmeval.gate.verdict import compared_verdict
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
    return compare(now, recorded(then), parse_gate(gate).for_model("demo"), Context())


def evidence_on(comparison: Comparison, metric: str = "acc") -> Evidence:
    found = comparison.of(metric)
    assert found is not None
    return found


def keeps(comparison: Comparison) -> bool:
    policy = parse_gate(None).for_model("demo")
    return replace(compared_verdict(comparison, policy), comparison=comparison).keeps_baseline


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
    acc = evidence_on(comparison)
    assert acc.baseline == acc.value == pytest.approx(sum(right[i] for i in chosen) / 30)
    assert not comparison.gained


def test_a_larger_run_is_compared_on_what_the_baseline_has() -> None:
    then = [item(i, True) for i in range(10)]
    now = [*then, *(item(i, False) for i in range(10, 40))]
    comparison = compared(task(now), task(then, total=40))
    assert not comparison.changed
    assert comparison.paired == 10
    assert evidence_on(comparison).value == 1.0
    assert comparison.gained
    assert comparison.coverage == 0.25
    assert not keeps(comparison)


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
    assert (comparison.decisions, comparison.shown) == ((), ())
    assert comparison.drift is None
    assert comparison.regressed == comparison.improved == ()
    assert not keeps(comparison)


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
    assert keeps(compared(task(items, settings=same), task(items)))


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
    assert (ungated.changed, ungated.uncompared, keeps(ungated)) == ((), ("f1",), False)


# Numbers


def test_flips_of_the_main_metric() -> None:
    then = task([item(0, True), item(1, True), item(2, False), item(3, False)])
    now = task([item(0, True), item(1, False), item(2, True), item(3, False)])
    comparison = compared(now, then)
    assert (comparison.regressed, comparison.improved) == ((1,), (2,))
    assert evidence_on(comparison).difference == 0


def with_metric(
    value: float, stderr: float | None, *, higher: bool = True, items: Iterable[ItemResult] = (), **facts: Any
) -> TaskResult:
    metric = MetricValue(
        name="m", filter="none", value=value, stderr=stderr, higher_is_better=higher, n=10, aggregation="custom"
    )
    return task(items, total=10, n=10, metrics=(replace(metric, **facts),), main_metric="m")


@pytest.mark.parametrize(
    ("then", "now", "stderr", "higher", "outcome"),
    [
        (0.42, 0.30, 0.01, True, Outcome.REGRESSED),
        (0.42, 0.54, 0.01, True, Outcome.IMPROVED),
        (0.42, 0.30, 0.01, False, Outcome.IMPROVED),
        (0.42, 0.41, 0.02, True, Outcome.INCONCLUSIVE),
        (0.42, 0.42, 0.001, True, Outcome.PASS),
        (0.42, 0.10, None, True, Outcome.INCONCLUSIVE),
        (20.0, 22.0, 0.1, False, Outcome.REGRESSED),
    ],
)
def test_values_without_documents(
    then: float, now: float, stderr: float | None, higher: bool, outcome: Outcome
) -> None:
    comparison = compared(with_metric(now, stderr, higher=higher), with_metric(then, stderr, higher=higher))
    assert not comparison.changed
    assert [decision.outcome for decision in comparison.decisions] == [outcome]


def test_only_the_main_metric_and_those_named_in_the_gate_decide() -> None:
    then = task([item(i) for i in range(4)])
    other = replace(then.metrics[0], name="f1", aggregation="custom", stderr=0.01)
    before = replace(then, metrics=(*then.metrics, other))
    after = replace(then, metrics=(*then.metrics, replace(other, value=0.2)))
    plain = compared(after, before)
    assert [d.metric for d in plain.decisions] == ["acc"]
    assert [shown.metric for shown in plain.shown] == ["f1"]
    gated = compared(after, before, f1={"max": 1})
    assert [(d.metric, d.outcome) for d in gated.decisions] == [("acc", Outcome.PASS), ("f1", Outcome.REGRESSED)]


def test_a_margin_that_accepts_everything_is_refused() -> None:
    items = [item(i) for i in range(4)]
    with pytest.raises(GateSyntaxError, match=r"gate.acc.margin: 1 accepts every value of acc.*write 1pp"):
        compared(task(items), task(items), acc={"margin": 1})
    for setting in ("margin", "min_effect"):
        with pytest.raises(GateSyntaxError, match=rf"gate.{setting}: 2 accepts every value of acc"):
            compared(task(items), task(items), **{setting: 2})


def test_each_metrics_margin_is_its_rules_or_the_tasks() -> None:
    items = [item(i) for i in range(4)]
    margins = [compared(task(items), task(items), **gate).decisions[0].margin for gate in ({}, {"margin": "3pp"})]
    assert margins == [0.01, 0.03]
    assert compared(task(items), task(items), margin="3pp", acc={"margin": "2pp"}).decisions[0].margin == 0.02


def test_values_of_other_documents_are_not_compared() -> None:
    """Two values of a metric that does not follow from the shared documents say nothing about the model."""
    items = [item(i) for i in range(4)]
    part = replace(with_metric(20.0, 0.1, higher=False, items=items[:2]), n=2)
    full = replace(with_metric(20.0, 0.1, higher=False, items=items), n=4)
    assert changed(compared(part, full)) == ["documents, and m cannot be computed for the shared ones alone (4 -> 2)"]
    # Shown only, it is left out and said to be.
    accuracy = task(items).metrics[0]
    both = [replace(run, metrics=(accuracy, *run.metrics), main_metric="acc") for run in (part, full)]
    comparison = compared(*both)
    assert (comparison.changed, comparison.uncompared) == ((), ("m",))
    assert evidence_on(comparison).value == 1.0


def test_documents_that_could_not_be_scored_are_bounded() -> None:
    """A model that makes half of its answers unscorable must not pass by the other half."""
    items = [item(i, right=i % 2 == 0) for i in range(10)]
    scored = [replace(i, scores=i.scores if i.scores["acc"] else {}) for i in items]
    then = task(items)
    metric = replace(then.metrics[0], value=1.0, n=5)
    comparison = compared(replace(then, items=tuple(scored), metrics=(metric,), unscored={"acc": 5}), then)
    (decision,) = comparison.decisions
    assert (decision.evidence.missing, decision.evidence.value, decision.outcome) == (5, 1.0, Outcome.INCONCLUSIVE)


# Margins


def with_margins(shift: float, seed: int = 0) -> TaskResult:
    rng = random.Random(seed)
    items = [item(i, right) for i, right in enumerate(outcomes(1, 200))]
    return task(replace(i, margin=rng.gauss(0.2, 0.5) + shift) for i in items)


def test_margins_that_moved_are_seen_where_no_answer_changed() -> None:
    same, moved = compared(with_margins(0.0), with_margins(0.0)), compared(with_margins(-0.05), with_margins(0.0))
    assert (same.drift and same.drift.moved, same.identical) == (False, True)
    assert (moved.drift and moved.drift.moved, moved.identical) == (True, False)
    assert moved.regressed == ()


def test_identical_answers_are_identical_through_the_file() -> None:
    comparison = compared(with_margins(0.0), with_margins(0.0))
    assert comparison.decisions[0].outcome is Outcome.PASS
    texts = [replace(item(i), answer=f"{'long ' * 100}{i}", margin=None) for i in range(5)]
    settings = replace(SETTINGS, output_type="generate_until")
    now, then = (
        task(items, settings=settings) for items in (texts, [replace(i, answer=i.answer + "x") for i in texts])
    )
    assert compared(now, then).identical  # the same as far as it was recorded
    other = task([replace(texts[0], answer="other"), *texts[1:]], settings=settings)
    assert not compared(other, then).identical


# What answered


def test_what_answered_is_named_and_counts_where_the_same_was_to_be_asked() -> None:
    items = [item(i) for i in range(4)]
    then = {"backend": "hf", "name": "a", "details": {"tokenizer_sha256": "1" * 64, "torch": "2"}}
    now = {"backend": "vllm", "name": "a", "details": {"tokenizer_sha256": "1" * 64, "torch": "3"}}
    baseline = loads(dumps(from_result(task(items), then, {}, "2026-01-01")))
    policy = parse_gate(None).for_model("demo")

    def against(model: dict[str, Any], *, chosen: bool) -> Comparison:
        return compare(task(items), baseline, policy, Context(model=model, chosen=chosen))

    assert changed(against(now, chosen=False)) == ["backend (hf -> vllm)"]
    chosen = against(now, chosen=True)
    assert (chosen.changed, chosen.notes) == ((), ("backend hf -> vllm", "torch 2 -> 3"))
    other = {**then, "details": {"tokenizer_sha256": "2" * 64}}
    assert changed(against(other, chosen=True)) == ["tokenizer (11111111… -> 22222222…)"]


# Noise


@pytest.mark.parametrize(
    ("flips", "gate", "told"),
    [
        (1, {"preset": "lossless"}, False),
        (12, {"preset": "lossless"}, True),
        # Where something may change, it may change more than by chance.
        (12, {}, False),
    ],
)
def test_more_flips_than_noise_are_told_where_nothing_may_change(
    flips: int, gate: dict[str, object], told: bool
) -> None:
    right = outcomes(4, 400)
    then = [replace(item(i, r), margin=None) for i, r in enumerate(right)]
    # As many to the better as to the worse: no accuracy shows it.
    lost, won = [[i for i, r in enumerate(right) if r is side][:flips] for side in (True, False)]
    now = [replace(i, scores={"acc": 1 - i.scores["acc"]}) if i.index in {*lost, *won} else i for i in then]
    noise = Noise(n=400, scores=(0.5, 0.5), flips=(1,), margin_mean=None, margin_p95=None)
    baseline = replace(recorded(task(then)), noise=noise)
    policy = parse_gate(gate).for_model("demo")
    comparison = compare(task(now), baseline, policy, Context())
    assert (comparison.restless is not None) == told
    verdict = compared_verdict(comparison, policy)
    assert verdict.passed != told
    assert (verdict.status.value == "drift") == told
    if told:
        assert "24 of 400 documents changed sides, and no more than 1." in verdict.reasons[0]
