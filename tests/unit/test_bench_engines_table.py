from __future__ import annotations

from dataclasses import replace

from benchmarks.engines.measuring import Result
from benchmarks.engines.order import Measured
from benchmarks.engines.table import COLUMNS, ratio, render
from benchmarks.engines.workloads import PLAIN, VLLM
from benchmarks.scoring.comparing import Difference
from benchmarks.scoring.workloads import Sizes

MIB = 2**20


def run(seconds: float, sent: int | None = 2000, computed: int | None = 500) -> Measured:
    return Measured(seconds=seconds, cpu=seconds, peak=900 * MIB, sent=sent, computed=computed)


RESULT = Result(
    part=VLLM,
    workload="w",
    operation="loglikelihood",
    split=1,
    target=8.0,
    sizes=Sizes(ours=20, peer=20, trial=2),
    other_documents=20.0,
    ours=[run(4.0), run(2.0), run(5.0)],
    other=[run(8.0, 4000, 4000), run(40.0, 4000, 4000), run(10.0, 4000, 4000)],
    difference=Difference(documents=20, logprob=2.5e-5, choices=1, ties=1),
)


def cells(result: Result) -> dict[str, str]:
    line = render([result]).splitlines()[4]
    return dict(zip(COLUMNS, [cell.strip() for cell in line.strip("|").split("|")], strict=True))


def test_a_row() -> None:
    assert list(cells(RESULT).values()) == [
        "w",
        "20",
        "5 (4 to 10)",
        "2 (0.5 to 2.5)",
        "2.50",
        "8",
        "100 / 200",
        "25 / 200",
        "900 / 900",
        "2.5e-05 nats",
        "1 of 20 choices, 1 of them ties",
    ]


def test_a_peer_timed_on_fewer_documents_is_rated_by_these_and_said() -> None:
    # Its five documents are shorter than the average one.
    result = replace(RESULT, sizes=Sizes(ours=20, peer=5, trial=2), other_documents=4.0)
    found = cells(result)
    assert (found["workload"], found["documents"]) == ("w [1]", "20, lm-eval 5")
    assert found["documents/s, {other}"] == "0.4 (0.1 to 0.5)"
    assert (found["ratio"], found["tokens sent per document, ours / {other}"]) == ("12.50", "100 / 1,000")
    assert "[1] w: ours on 20 documents, lm-eval on 5 of them" in render([result])


def test_without_a_peer_only_ours_is_shown() -> None:
    result = replace(RESULT, other=[], difference=None, error="killed by signal 9.")
    found = cells(result)
    assert (found["ratio"], found["documents/s, {other}"], found["largest difference"]) == ("-", "-", "-")
    assert found["tokens computed per document, ours / {other}"] == "25 / -"
    assert ratio(result) is None
    assert "[1] w: lm-eval could not be run: killed by signal 9." in render([result])


def test_what_is_not_known_is_not_shown() -> None:
    found = cells(replace(RESULT, ours=[run(1.0, None, None)], target=None))
    assert (found["wanted"], found["tokens sent per document, ours / {other}"]) == ("-", "- / 200")


def test_the_settings_of_the_peers_client_are_said() -> None:
    text = render([replace(RESULT, part=PLAIN, settings={"num_concurrent": 4, "batch_size": 2})])
    assert "[1] w: lm-eval's fastest settings in a trial were num_concurrent=4, batch_size=2." in text


def test_each_part_has_a_table_and_split_workloads_one_of_their_own() -> None:
    split = replace(RESULT, split=10)
    text = render([RESULT, split, replace(RESULT, part=PLAIN)])
    titles = [line for line in text.splitlines() if line.startswith("**")]
    assert [title.split(":")[0] for title in titles] == [
        "**vLLM in the process",
        "**One vLLM server",
        "**Many tasks in one run",
    ]
    rows = [line for line in text.splitlines() if line.startswith("| w ")]
    assert [line.split("|")[2].strip() for line in rows] == ["20", "20", "20 in 10"]
    assert "documents/s, as one task" in text
