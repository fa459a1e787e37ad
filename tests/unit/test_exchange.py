"""Files that may come from anywhere: what is read of them, what is refused, and where nothing is written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.cli.main import main
from pytest_lmeval.errors import RunError
from pytest_lmeval.exchange.exporting import export_run
from pytest_lmeval.exchange.importing import import_run
from pytest_lmeval.exchange.layout import find_output, is_output
from pytest_lmeval.exchange.samples import read_samples
from pytest_lmeval.exchange.tasks import HarnessRun
from pytest_lmeval.runs.folder import run_folders

from .recorded_runs import ID, baseline_from, made_run, record_of, result_of, text_item, write_made_run

DATE = "2026-08-02T10-15-00.250000"


def results(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "results": {"rivers": {"alias": "rivers", "acc,none": 0.5, "acc_stderr,none": "N/A"}},
        "configs": {
            "rivers": {
                "task": "rivers",
                "output_type": "multiple_choice",
                "doc_to_target": "answer",
                "doc_to_choice": ["north", "south"],
                "target_delimiter": " ",
                "metric_list": [{"metric": "acc"}],
            }
        },
        "n-samples": {"rivers": {"original": 10, "effective": 2}},
        "config": {"model": "hf", "fewshot_seed": 1234},
        "date": 1785665700.25,
    }
    return found | changes


def sample(index: int, **changes: Any) -> dict[str, Any]:
    prompt = f"Where does {index} flow?"
    found: dict[str, Any] = {
        "doc_id": index,
        "doc": {"question": prompt, "answer": index % 2},
        "target": str(index % 2),
        "arguments": {f"gen_args_{at}": {"arg_0": prompt, "arg_1": f" {c}"} for at, c in enumerate(("north", "south"))},
        "resps": [[["-1.0", "True"]], [["-2.5", "False"]]],
        "filtered_resps": [["-1.0", "True"], ["-2.5", "False"]],
        "filter": "none",
        "metrics": ["acc"],
        "acc": float(index % 2 == 0),
    }
    return found | changes


def write(folder: Path, content: dict[str, Any], samples: list[Any], date: str = DATE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"results_{date}.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
    lines = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in samples)
    (folder / f"samples_rivers_{date}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def test_a_task(tmp_path: Path) -> None:
    run = HarnessRun.open(write(tmp_path / "model", results(), [sample(1), sample(0)]).parent)
    result = run.result("rivers")
    first, second = result.items
    assert (first.index, second.index) == (0, 1)
    assert (first.choice, first.answer, first.target, first.margin) == (0, "north", "north", 1.5)
    assert (second.answer, second.target, second.margin) == ("north", "south", -1.5)
    assert first.logprobs == (-1.0, -2.5)
    assert (result.n, result.total, result.metric("acc").stderr) == (2, 10, None)


def test_the_latest_results_of_one_model(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", results(), [sample(0), sample(1)])
    later = write(folder, results(), [sample(0), sample(1)], "2026-08-03T10-15-00")
    assert find_output(tmp_path).results == later / "results_2026-08-03T10-15-00.json"
    assert find_output(folder / f"results_{DATE}.json").samples["rivers"].name == f"samples_rivers_{DATE}.jsonl"
    write(tmp_path / "another", results(), [])
    with pytest.raises(RunError, match=r"the results of 2 models: name the folder of one of them \(.*another"):
        find_output(tmp_path)


def test_what_is_none_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "results_2026-08-03T10-15-00.json").write_text('{"scores": {}}', encoding="utf-8")
    assert not is_output(tmp_path)
    assert not is_output(tmp_path / "absent")
    for path, told in ((tmp_path, "no results of lm-evaluation-harness"), (tmp_path / "absent", "no such file")):
        with pytest.raises(RunError, match=told):
            find_output(path)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([sample(0)], "1 documents, and 2 in results_.*: they are not of one run"),
        ([sample(0), sample(0)], "jsonl:2: .*document 0 has two lines for the filter 'none'"),
        ([sample(0), sample(1, filter="other")], "document 1 lacks a filter that others have: the file is not whole"),
        ([sample(0), sample(0, filter="other", doc={})], "jsonl:2: .*document 0 is another one than in its first line"),
        ([sample(0), json.dumps(sample(1))[:-40]], "jsonl:2: not a sample"),
        ([sample(0), "[]\n"], "jsonl:2: .* the file is of type list, expected an object"),
        ([sample(0), sample(-1)], "jsonl:2: .*doc_id is out of range"),
        ([sample(0), sample(1, target=3)], "jsonl:2: .*target is of type int, expected a text"),
        ([sample(0), sample(1, metrics=["lost"])], "jsonl:2: .*lost is missing"),
        ([sample(0), sample(1, arguments={"gen_args_1": {}})], "jsonl:2: .*arguments.gen_args_0 is missing"),
        ([sample(0), sample(1, arguments={"gen_args_0": {"arg_1": ""}})], "arguments.gen_args_0.arg_0 is missing"),
        ([sample(0), sample(1, arguments={})], "document 1: not a sample of its task: arguments: expected the text"),
        ([sample(0), sample(1, resps=[["north"], ["south"]])], "document 1: not a sample of its task: could not conv"),
        ([sample(0), sample(1, resps=[[["x", "True"]]])], "jsonl:2: .*expected a log-probability, found 'x'"),
        ([], "no samples in it"),
        (["[" * 100_000], "jsonl:1: not a sample"),
    ],
    ids=str,
)
def test_samples_that_cannot_be_used(tmp_path: Path, lines: list[Any], told: str) -> None:
    folder = write(tmp_path / "model", results(), lines)
    with pytest.raises(RunError, match=told):
        import_run(folder, tmp_path / "runs")
    # Nothing half is left behind.
    assert list((tmp_path / "runs").glob("2*")) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"config": []}, "config is of type list, expected an object"),
        ({"results": {"rivers": 3}}, "results.rivers is of type int, expected an object"),
        ({"date": "yesterday"}, "date is of type str, expected a number"),
        ({"n-samples": {"rivers": {"original": 10}}}, "n-samples.rivers.effective is missing"),
        ({"configs": {"rivers": 1}}, "configs.rivers is of type int"),
        ({"results": {"rivers": {"alias": "rivers"}}}, "rivers has no metric"),
    ],
    ids=str,
)
def test_results_that_cannot_be_used(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    folder = write(tmp_path, results(**changes), [sample(0), sample(1)])
    with pytest.raises(RunError, match=told):
        import_run(folder, tmp_path / "runs")


def test_a_group_below_itself_ends(tmp_path: Path) -> None:
    both = {"rivers": results()["results"]["rivers"], "waters": {"acc,none": 0.5}, "seas": {"acc,none": 0.5}}
    groups = {"waters": ["seas", "rivers"], "seas": ["waters", "rivers"]}
    folder = write(tmp_path, results(results=both, group_subtasks=groups), [sample(0), sample(1)])
    rows = {row.task: row.leaves for row in import_run(folder, tmp_path / "runs").rows}
    assert rows == {"rivers": (), "waters": ("rivers",), "seas": ("rivers",)}


def test_a_value_that_is_no_number_is_none(tmp_path: Path) -> None:
    lines = [sample(0, acc=math.nan), sample(1, acc=None)]
    run = import_run(write(tmp_path, results(), lines), tmp_path / "runs")
    (record,) = run.records()
    assert [dict(item.scores) for item in record.result.items] == [{}, {}]


def test_names_are_no_paths(tmp_path: Path) -> None:
    run = made_run(tmp_path / "runs" / ID)
    assert run.folder is not None
    text = (run.folder / "run.json").read_text(encoding="utf-8")
    (run.folder / "run.json").write_text(text.replace('"demo"', '"demo:../../out"'), encoding="utf-8")
    assert main(["export", str(run.folder), str(tmp_path / "exported")]) == 0
    (folder,) = (tmp_path / "exported").iterdir()
    assert folder.name == "__..__out"
    # What an export says of itself is not trusted either.
    path = next(folder.glob("results_*.json"))
    content = json.loads(path.read_text(encoding="utf-8"))
    content["pytest_lmeval"]["run"]["facts"]["id"] = "../../../elsewhere"
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
    again = import_run(folder, tmp_path / "others")
    assert [each.name for each in run_folders(tmp_path / "others")] == [again.facts.id]
    assert not list(tmp_path.rglob("elsewhere*"))


def test_hostile_answers_survive_the_round_trip(tmp_path: Path) -> None:
    answer = "<script>\x1b[2J\u2028\udc80 ## 7\x00"
    items = [text_item(index, right=False, answer=answer, prompt=f"{answer} {index}") for index in range(3)]
    result = result_of("../sums", items, ("exact_match", "strict-match"))
    run = write_made_run(tmp_path / "runs" / ID, [record_of(result, baseline_from(result))])
    records = {record.row.task: record for record in run.records()}
    export_run(run, tmp_path / "exported")
    again = import_run(tmp_path / "exported", tmp_path / "others")
    assert again.facts.id == ID
    assert {record.row.task: record for record in again.records()} == records
    (file,) = tmp_path.glob("exported/*/samples_*.jsonl")
    # Under its own id it was there: the next one has another.
    assert import_run(file.parent, tmp_path / "others").facts.id != ID
    assert len(read_samples(file)) == 3


def test_mistakes_are_told_on_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(tmp_path / "absent")]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'absent'}: there is no such file or folder")
    run = made_run(tmp_path / "runs" / ID)
    assert run.folder is not None
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    assert main(["export", str(run.folder), str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err
