from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.scoring.comparing import Difference
from benchmarks.scoring.counting import Work
from benchmarks.scoring.job import Run
from benchmarks.scoring.measuring import Result, best
from benchmarks.scoring.table import COLUMNS, render, share, spread_of
from benchmarks.scoring.workloads import Sizes

MIB = 2**20


def timed(seconds: float, mebibytes: int, batch: int | None = None) -> Run:
    return Run(batch=batch, seconds=seconds, peak=900 * MIB, extra=mebibytes * MIB)


RESULT = Result(
    workload="w",
    operation="loglikelihood",
    sizes=Sizes(ours=20, peer=20, trial=2),
    peer_documents=20.0,
    requests=80,
    work=Work(peer=4000, distinct=1000, scored=80),
    flop=6e9,
    ours=[timed(4.0, 10), timed(2.0, 12), timed(5.0, 11)],
    peer=[timed(8.0, 20, 4), timed(10.0, 22, 4), timed(16.0, 21, 4)],
    trial=[timed(1.0, 15, 1), timed(0.5, 20, 4), timed(0.7, 80, 16)],
    rates=[(3.0, 4.0), (6.0, 7.0), (2.0, 3.0)],
    difference=Difference(documents=20, logprob=2.5e-5, choices=1, ties=1),
)


def cells(result: Result) -> dict[str, str]:
    row = render([result]).splitlines()[2]
    return dict(zip(COLUMNS, [cell.strip() for cell in row.strip("|").split("|")], strict=True))


def notes(result: Result) -> list[str]:
    return render([result]).splitlines()[4:]


def test_a_row() -> None:
    assert list(cells(RESULT).values()) == [
        "w",
        "20",
        "4,000 ÷ 1,000 = 4.00",
        "5 (4 to 10)",
        "2 (1.25 to 2.5), batch 4",
        "2.50",
        "11",
        "21, batch 16: 80",
        "50%",
        "2.5e-05 nats",
        "1 of 20 choices, 1 of them ties",
    ]
    assert notes(RESULT) == []


def test_shares_are_taken_of_each_repeat_with_its_own_rate() -> None:
    # 6 GFLOP at 3, 6 and 2 GFLOP/s take 2, 1 and 3 s.
    assert share(RESULT) == pytest.approx(0.5)
    assert share(replace(RESULT, rates=())) is None
    assert cells(replace(RESULT, rates=()))["share of ceiling"] == "-"


def test_a_peer_timed_on_fewer_documents_is_rated_by_these_and_said() -> None:
    # Its five documents are shorter than the average one.
    result = replace(RESULT, sizes=Sizes(ours=20, peer=5, trial=2), peer_documents=4.0)
    found = cells(result)
    assert (found["workload"], found["documents"]) == ("w [1]", "20, lm-eval 5")
    assert found["documents/s, lm-eval"] == "0.4 (0.25 to 0.5), batch 4"
    assert found["ratio"] == "12.50"
    assert notes(result)[0].startswith("[1] w: ours on 20 documents, lm-eval on 5 of them")


def test_fewer_documents_are_no_fair_batch_for_generating() -> None:
    result = replace(RESULT, sizes=Sizes(ours=20, peer=5, trial=2), operation="generate_until")
    assert len(notes(result)) == 2
    assert "not full" in notes(result)[1]
    assert notes(replace(RESULT, operation="generate_until")) == []


def test_without_a_peer_only_ours_is_shown() -> None:
    result = replace(RESULT, peer=(), trial=(), difference=None)
    found = cells(result)
    missing = ("documents/s, lm-eval", "ratio", "MiB, lm-eval", "largest difference", "other answers")
    assert {found[column] for column in missing} == {"-"}
    assert found["documents/s, ours"] == "5 (4 to 10)"
    assert notes(result) == []


def test_why_a_peer_has_no_figures_is_said() -> None:
    result = replace(RESULT, peer=(), difference=None, peer_error="killed by signal 9.")
    assert notes(result) == ["[1] w: lm-eval could not be run: killed by signal 9."]


def test_memory_that_may_be_too_high_is_said() -> None:
    result = replace(RESULT, ours=[replace(RESULT.ours[0], exact=False)])
    assert "too high" in notes(result)[0]


@pytest.mark.parametrize(
    ("difference", "largest", "other"),
    [
        (Difference(documents=2, logprob=1e-6), "1.0e-06 nats", "-"),
        (Difference(documents=2, relative=3e-8), "3.0e-08 relative", "-"),
        (Difference(documents=2, texts=1), "-", "1 of 2 texts"),
        (Difference(documents=2, logprob=0.0, choices=0, ties=0), "0.0e+00 nats", "0 of 2 choices"),
    ],
)
def test_differences_of_each_operation(difference: Difference, largest: str, other: str) -> None:
    found = cells(replace(RESULT, difference=difference))
    assert (found["largest difference"], found["other answers"]) == (largest, other)


def test_medians() -> None:
    assert spread_of([3.0]) == "3"
    assert spread_of([1.0, 2.0]) == "1.5 (1 to 2)"
    assert spread_of([9.0, 1.0, 2.0]) == "2 (1 to 9)"


def test_the_best_batch_is_the_fastest_that_came_to_its_end() -> None:
    runs = [timed(2.0, 1, 1), timed(1.0, 1, 4), Run(batch=16, error="out of memory")]
    assert best(runs) == 4
    assert best(runs[2:]) is None
