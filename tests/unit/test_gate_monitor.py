"""When a task need not be asked any further: told document by document."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.gate.sequential import noninferior
from pytest_lmeval.baselines.codec import item_key
from pytest_lmeval.baselines.record import Baseline, BaselineItem, digests
from pytest_lmeval.gate.discordance import Discordance
from pytest_lmeval.gate.monitor import Monitor, Settled, Stop, StopKind, monitor_for
from pytest_lmeval.gate.outcomes import Partners
from pytest_lmeval.gate.statistics.sequential import discordance_evidence
from pytest_lmeval.results import Flaw, ItemResult, MetricValue, TaskSettings

SETTINGS = TaskSettings(
    dataset="d",
    dataset_config=None,
    split="test",
    num_fewshot=0,
    seed=1,
    limit=None,
    output_type="generate_until",
    generation=None,
    task_hash="t",
)


def item(index: int, right: float | None, flaw: Flaw | None = None, **fields: Any) -> ItemResult:
    texts = [hashlib.sha256(f"{part} {index}".encode()).hexdigest() for part in ("document", "prompt", "target")]
    return ItemResult(
        index=index,
        document_hash=texts[0],
        prompt_hash=texts[1],
        target_hash=texts[2],
        scores={} if right is None else {"em": right},
        margin=None,
        prompt="",
        target="",
        answer="",
        flaw=flaw,
        **fields,
    )


def baseline_of(items: Sequence[ItemResult], *, higher_is_better: bool = True) -> Baseline:
    kept = tuple(BaselineItem(index=i.index, key=item_key(i), margin=None, scores=i.scores, flaw=i.flaw) for i in items)
    metric = MetricValue(
        name="em", filter="none", value=0.5, stderr=None, higher_is_better=higher_is_better, n=len(items)
    )
    return Baseline(
        task="t",
        created="2026-01-01",
        n=len(items),
        total=len(items),
        main_metric="em",
        metrics=(metric,),
        settings=SETTINGS,
        items=kept,
        digests=digests(items),
        members=(),
        model={},
        environment={},
    )


def watch(then: Sequence[ItemResult] | None, total: int = 1319, **changes: Any) -> Monitor:
    given: dict[str, Any] = {"alpha": 0.01, "margin_points": 1.0, "metric_key": "em", "total": total} | changes
    return monitor_for(None if then is None else baseline_of(then), **given)


def told(monitor: Monitor, items: Iterable[ItemResult]) -> Stop | None:
    """Tell until it stops."""
    return next((stop for one in items if (stop := monitor.tell(one)) is not None), None)


def mixed(
    count: int, rights: Callable[[int], float | None], flaw: Callable[[int], Flaw | None] = lambda i: None
) -> Any:
    return [item(i, rights(i), flaw(i)) for i in range(count)]


THEN = mixed(1319, lambda i: float(i % 10 < 7))


def test_the_same_answers_are_never_stopped() -> None:
    monitor = watch(THEN)
    assert told(monitor, THEN) is None
    assert monitor.p_value == 1.0


def test_a_model_that_knows_nothing_is_stopped_after_some_tens_of_documents() -> None:
    order = random.Random(1).sample(range(1319), 1319)
    monitor = watch(THEN)
    stop = told(monitor, (replace(THEN[at], scores={"em": 0.0}) for at in order))
    assert stop is not None
    assert stop is monitor.stop
    assert (stop.kind, stop.total) == (StopKind.WORSE, 1319)
    assert 10 < stop.asked < 40
    # Each document that was right is a regression: 2^(N+1)/(N+1) > 1000 at 13 of them, in either of two processes.
    assert str(stop) == (
        f"after {stop.asked} of 1,319 documents: 13 documents that the baseline has right are wrong now and 0 the "
        "other way round; a model that is as good gets there in fewer than 1 of 585 runs"
    )
    assert monitor.p_value == pytest.approx(2 * 14 / (2**14 - 1))


def test_a_larger_family_asks_for_more_evidence() -> None:
    def asked(**changes: Any) -> int:
        stop = told(watch(THEN, **changes), (replace(one, scores={"em": 0.0}) for one in THEN))
        assert stop is not None
        return stop.asked

    assert asked() < asked(family_size=20) < asked(family_size=20, alpha=0.001)


def test_the_order_in_which_a_model_got_better_and_worse_counts_for_nothing_but_harm() -> None:
    better = [replace(one, scores={"em": 1.0}) for one in THEN]
    monitor = watch(THEN)
    assert told(monitor, better) is None
    assert monitor.p_value == 1.0


def test_lower_may_be_better() -> None:
    worse = [replace(one, scores={"em": 1.0}) for one in THEN]
    given: dict[str, Any] = {"metric_key": "em", "total": 1319, "alpha": 0.01, "margin_points": 0.0}
    assert told(monitor_for(baseline_of(THEN), **given), worse) is None
    stop = told(monitor_for(baseline_of(THEN, higher_is_better=False), **given), worse)
    assert stop is not None
    assert stop.kind is StopKind.WORSE


def test_a_drop_within_the_margin_stops_nothing() -> None:
    # 40 of 1319 got worse, none better: as certain as can be, and three points.
    now = [replace(one, scores={"em": 0.0}) if i % 33 == 0 and i % 10 < 7 else one for i, one in enumerate(THEN)]
    assert told(watch(THEN, margin_points=1.0), now) is not None
    monitor = watch(THEN, margin_points=5.0)
    assert told(monitor, now) is None
    # The final verdict is told of it all the same.
    assert monitor.p_value < 1e-5


def test_partners_are_found_by_content_wherever_they_stand() -> None:
    moved = [replace(one, index=1318 - one.index) for one in THEN]
    monitor = watch(THEN)
    assert told(monitor, reversed(moved)) is None
    stop = told(watch(THEN), (replace(one, scores={"em": 0.0}) for one in moved))
    assert stop is not None
    # What the baseline does not have is compared with nothing.
    strangers = [item(i, 0.0) for i in range(5000, 5300)]
    assert told(watch(THEN), strangers) is None


def test_each_item_of_the_baseline_is_the_partner_of_one_document() -> None:
    twins = [replace(item(0, 1.0), index=i) for i in range(3)]
    partners = Partners(baseline_of(twins))
    taken = [partners.take(replace(twins[0], index=at)) for at in (2, 7, 0, 1)]
    assert [None if one is None else one.index for one in taken] == [2, 0, 1, None]


def test_values_between_right_and_wrong_are_no_evidence() -> None:
    then = mixed(300, lambda i: 0.5)
    monitor = watch(then, total=300)
    assert told(monitor, (replace(one, scores={"em": 0.0}) for one in then)) is None
    assert monitor.p_value == 1.0


def test_degenerate_answers_count_where_scores_tell_nothing() -> None:
    then = mixed(300, lambda i: 0.5)
    now = [replace(one, flaw=Flaw.TRUNCATED if i % 2 else None) for i, one in enumerate(then)]
    stop = told(watch(then, total=300), now)
    assert stop is not None
    assert stop.kind is StopKind.WORSE
    assert stop.reason.startswith(
        "13 answers are degenerate where the baseline's are not (13 cut off by the token limit) and 0 the other way"
    )
    # The other way round, in both, or where the answer is right all the same, it is no harm.
    assert told(watch(now, total=300), then) is None
    assert told(watch(now, total=300), now) is None
    rights = mixed(300, lambda i: 1.0, lambda i: Flaw.TRUNCATED)
    assert told(watch(mixed(300, lambda i: 1.0), total=300), rights) is None


def test_some_more_degenerate_answers_stop_nothing() -> None:
    then = mixed(1000, lambda i: 0.5)
    now = [replace(one, flaw=Flaw.EMPTY if i % 20 == 0 else None) for i, one in enumerate(then)]
    monitor = watch(then, total=1000)
    assert told(monitor, now) is None
    # Nor are they evidence about the metric.
    assert monitor.p_value == 1.0


def test_not_a_number_is_seen_at_once() -> None:
    stop = told(watch(None), mixed(50, lambda i: 1.0, lambda i: Flaw.NOT_A_NUMBER if i == 2 else None))
    assert stop is not None
    assert str(stop) == "after 3 of 1,319 documents: the model gives a log-probability that is not a number"
    same = mixed(100, lambda i: 0.0, lambda i: Flaw.NOT_A_NUMBER)
    assert told(watch(same, total=100), same) is None


@pytest.mark.parametrize("flaw", [Flaw.EMPTY, Flaw.REPETITION])
def test_a_broken_model_is_seen_without_a_baseline(flaw: Flaw) -> None:
    stop = told(watch(None), mixed(50, lambda i: 0.0, lambda i: flaw if i % 12 else None))
    assert stop is not None
    words = {Flaw.EMPTY: "empty", Flaw.REPETITION: "going round in circles"}[flaw]
    assert stop.kind is StopKind.BROKEN
    assert str(stop) == (f"after 32 of 1,319 documents: 29 of the first 32 answers are degenerate (29 {words})")
    # A quarter of sound answers is no canary, and neither are answers that are right.
    assert told(watch(None), mixed(50, lambda i: 0.0, lambda i: flaw if i % 4 else None)) is None
    assert told(watch(None), mixed(50, lambda i: 1.0, lambda i: flaw)) is None


def test_what_the_baseline_does_too_is_not_broken() -> None:
    same = mixed(300, lambda i: 0.0, lambda i: Flaw.EMPTY)
    assert told(watch(same, total=300), same) is None
    stop = told(watch(mixed(300, lambda i: 0.0, lambda i: Flaw.EMPTY if i % 5 == 0 else None), total=300), same)
    assert stop is not None


@pytest.mark.parametrize(("has_stops", "known"), [(True, True), (True, False), (False, True), (False, False)])
def test_cut_off_answers_are_broken_only_where_they_can_end(has_stops: bool, known: bool) -> None:
    now = mixed(32, lambda i: None, lambda i: Flaw.TRUNCATED)
    # So large a family that the comparison alone is not certain so soon.
    monitor = watch(mixed(32, lambda i: None) if known else None, has_stops=has_stops, family_size=10**9)
    stop = told(monitor, now)
    assert (stop is not None) == (has_stops and known)
    if stop is not None:
        assert stop.reason == (
            "32 of the first 32 answers are degenerate (32 cut off by the token limit); of the baseline's 0 were so"
        )
        assert monitor.tell(now[0]) is stop


def test_nobody_answers() -> None:
    items = [item(i, None, Flaw.ERROR, error="the server is gone\nreally") for i in range(40)]
    stop = told(watch(THEN), items)
    assert stop is not None
    assert stop.reason == "none of the first 32 documents was answered: the server is gone"
    assert told(watch(THEN), [*items[:31], THEN[31], *items[32:]]) is None


def passes(margin: float) -> Settled:
    return lambda regressed, improved, n: noninferior(regressed, improved, n, margin)


def test_a_pass_that_is_certain_is_stopped_only_where_that_was_asked_for() -> None:
    assert told(watch(THEN), THEN) is None
    monitor = watch(THEN, settled=passes(2.0), margin_points=2.0)
    stop = told(monitor, THEN)
    assert stop is not None
    assert stop.kind is StopKind.SETTLED
    assert 200 < stop.asked < 700
    left = 1319 - stop.asked
    assert stop.reason == f"it passes whatever the other {left} say, with a probability of 99 %"


def test_what_was_not_judged_is_counted_against_a_pass() -> None:
    now = [
        replace(one, scores={}, flaw=Flaw.ERROR, error="timeout") if i % 20 == 0 else one for i, one in enumerate(THEN)
    ]
    assert told(watch(THEN, settled=passes(2.0), margin_points=2.0), now) is None


def test_a_pass_is_not_stopped_for_without_a_metric_to_compare() -> None:
    assert told(watch(None, settled=passes(2.0)), THEN) is None
    assert told(watch(THEN, settled=passes(2.0), metric_key="other"), THEN) is None


def test_documents_of_a_cluster_are_one_observation() -> None:
    found = Discordance()
    for cluster, changes in (("a", [-1, -1, -1]), ("b", [-1, 1, 1]), ("c", [1, -1]), ("a", [-1, -1]), ("d", [-1])):
        for change in changes:
            found.count(change, cluster)
    # d has not ended yet, c is even, and the second part of a is not counted.
    assert (found.worse, found.better, found.pairs) == (8, 3, 11)
    assert found.evidence == discordance_evidence(1, 0)
    for _ in range(4):
        found.count(-1)
    assert found.evidence == discordance_evidence(6, 1)
    assert found.points == pytest.approx(100 * 9 / 15)


def test_clusters_keep_the_promise_that_their_documents_alone_would_break() -> None:
    """Passages with five questions each, all of which flip together."""
    stream = random.Random(5)
    stopped = {True: 0, False: 0}
    for _ in range(60):
        signs = [stream.choice([-1, 0, 0, 1]) for _ in range(60)]
        for clustered in stopped:
            found = Discordance()
            for label, sign in enumerate(signs):
                for _ in range(5):
                    found.count(sign, str(label) if clustered else None)
            stopped[clustered] += found.evidence > 3.0
    assert stopped[True] <= 60 * 0.05 + 5 < stopped[False]
