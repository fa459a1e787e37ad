"""Files that lm-evaluation-harness itself wrote: as a run, as a baseline of a run of ours, and written again by us."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.cli.main import main
from pytest_lmeval.exchange.exporting import export_run
from pytest_lmeval.exchange.importing import import_run
from pytest_lmeval.exchange.layout import find_output
from pytest_lmeval.exchange.samples import OWN
from pytest_lmeval.runs.folder import find_run
from pytest_lmeval.runs.run import Run
from tests.plugin.project import Project

from .harness_run import LIMIT
from .harness_tasks import ALL, TASKS, write_tasks

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Harness:
    """A folder of tasks, the model, and where the harness's run of them lies."""

    tasks: Path
    output: Path
    model: Path

    @property
    def results(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(find_output(self.output).results.read_text(encoding="utf-8"))
        return data


def in_another_process(*arguments: str) -> str:
    """What the harness imports it also patches: it stays out of this process."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.conformance.harness_run", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory, shared_dir: Path) -> Harness:
    pytest.importorskip("lm_eval", reason="the oracle, lm-eval==0.4.13, is not installed")
    # Before pytester looks at what is imported: it forgets what comes later, and this cannot be imported twice.
    importlib.import_module("datasets")
    folder = tmp_path_factory.mktemp("harness")
    made = Harness(folder / "tasks", folder / "output", shared_dir / "models" / "stories260K")
    write_tasks(made.tasks)
    tasks = [name for name in ALL if name not in ("animals", "places")]
    in_another_process("run", str(made.model), str(made.tasks), str(made.output), *tasks)
    return made


@pytest.fixture(scope="module")
def imported(harness: Harness, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return import_run(harness.output, tmp_path_factory.mktemp("runs"))


def samples(output: Path, task: str) -> list[dict[str, Any]]:
    lines = find_output(output).samples[task].read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_the_numbers_are_the_harness_s(harness: Harness, imported: Run) -> None:
    rows = {row.task: row for row in imported.rows}
    assert rows.keys() == set(ALL)
    for name, found in harness.results["results"].items():
        values = {f"{m.name},{m.filter}": (m.value, m.stderr) for m in rows[name].metrics}
        for key, value in found.items():
            metric, comma, filter_name = key.partition(",")
            if comma and not metric.endswith("_stderr"):
                stderr = found[f"{metric}_stderr,{filter_name}"]
                now, error = values[key]
                assert now == pytest.approx(value, rel=1e-12)
                assert error == (None if stderr == "N/A" else pytest.approx(stderr, rel=1e-12))
    assert rows["zoo"].leaves == ("animals", "places")


def test_so_are_the_documents(harness: Harness, imported: Run) -> None:
    for record in imported.records():
        items = {item.index: item for item in record.result.items}
        assert len(items) == LIMIT
        for sample in samples(harness.output, record.row.task):
            item = items[sample["doc_id"]]
            assert sample["arguments"]["gen_args_0"]["arg_0"] == item.prompt
            for metric in sample["metrics"]:
                key = metric if sample["filter"] == "none" else f"{metric},{sample['filter']}"
                value = sample[metric]
                kept = item.scores.get(key, item.scores.get(f"{key}/item", item.counts.get(key)))
                counts = tuple(value) if isinstance(value, list) else (value, 1.0)
                assert kept in (value, counts)
            if item.logprobs:
                resps = [response[0] for response in sample["resps"]]
                found = [float(r[0] if isinstance(r, list) else r) for r in resps]
                assert list(item.logprobs) == found
            else:
                assert item.answer == sample["resps"][0][0]


@pytest.fixture
def ours(pytester: pytest.Pytester, harness: Harness) -> Any:
    """Run the same tasks, in another folder; a real model in a process of its own, as its packages stay there."""
    project = Project(pytester)
    write_tasks(pytester.path / "tasks")

    def run(model: str, baseline: Path) -> tuple[pytest.RunResult, Run]:
        start = project.run if model == "fake" else pytester.runpytest_subprocess
        result = start(f"--lm-model={model}", f"--lm-limit=first:{LIMIT}", f"--lm-baseline={baseline}")
        return result, find_run(pytester.path / ".lmeval" / "runs", "last")

    return run


def test_what_the_harness_ran_yesterday_gates_today(
    ours: Any, harness: Harness, imported: Run, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    result, run = ours(f"hf:{harness.model},dtype=float32,device=cpu", harness.output)
    result.assert_outcomes(passed=len(ALL))
    records = {record.row.task: record for record in run.records()}
    assert records.keys() == set(TASKS)
    for record in records.values():
        # Every document is paired, with itself and with its own answer, and none is judged otherwise.
        assert [(pair.now.index, pair.then.index) for pair in record.pairs] == [(at, at) for at in range(LIMIT)]
        assert all(dict(pair.then.scores) == pytest.approx(dict(pair.now.scores), rel=1e-5) for pair in record.pairs)
        assert (record.row.flips_regressed, record.row.flips_improved) == (0, 0)
    group = next(row for row in run.rows if row.task == "zoo")
    assert (group.verdict, group.difference) == ("pass", 0.0)
    for pair in records["animals"].pairs:
        assert pair.then.margin == pytest.approx(pair.now.margin, abs=2e-3)
    # As two recorded runs they compare as well, also from where they lie; but what a function of the task's chose as
    # right stands in no log, and is not taken for the same.
    assert imported.folder is not None
    assert run.folder is not None
    capsys.readouterr()
    for then in (imported.folder, harness.output):
        assert main(["compare", str(then), str(run.folder)]) == 1
        told = capsys.readouterr().out
        assert "places: INCOMPARABLE: the baseline was made with other targets" in told
        assert f"1 incomparable · {len(TASKS) - 1} pass" in told
    # What is exported of ours is a baseline, too, and comes back as it was.
    exported = pytester.path / "exported"
    assert main(["export", str(run.folder), str(exported)]) == 0
    back = import_run(exported, pytester.path / "again")
    assert (back.facts, back.rows, back.suite) == (run.facts, run.rows, run.suite)
    assert list(back.records()) == list(run.records())
    _, other = ours("fake", exported)
    assert {record.row.task: len(record.pairs) for record in other.records()} == dict.fromkeys(TASKS, LIMIT)


CHANGES = [
    ("animals.yaml", "Q: {{", "Question: {{"),
    ("places.yaml", "lives there", "lived there"),
    ("numbers.yaml", "[a-z]+", "[A-Z]+"),
    ("words.yaml", "max_gen_toks: 6", "max_gen_toks: 7"),
    ("stories.jsonl", "had 3 toys", "had 4 toys"),
    ("functions.py", 'return doc["answer"]', 'return 2 - doc["answer"]'),
]
TOLD = {
    "animals": "other prompts",
    "places": "other prompts; targets",
    "numbers": "other task definition",
    "words": "other generation settings: max_gen_toks (6 -> 7)",
    "endings": "other documents",
    "texts": "other documents",
}


def test_what_is_not_the_same_is_not_compared(ours: Any, harness: Harness, pytester: pytest.Pytester) -> None:
    for file, old, new in CHANGES:
        path = pytester.path / "tasks" / file
        before = path.read_text(encoding="utf-8")
        assert old in before
        path.write_text(before.replace(old, new), encoding="utf-8")
    _, run = ours("fake", harness.output)
    rows = {row.task: row for row in run.rows}
    for task, told in TOLD.items():
        assert (rows[task].verdict, rows[task].baseline, rows[task].passed) == ("incomparable", None, False)
        assert told in rows[task].reason
    assert rows["zoo"].verdict == "incomparable"


def test_round_trip(imported: Run, tmp_path: Path) -> None:
    export_run(imported, tmp_path / "exported")
    again = import_run(tmp_path / "exported", tmp_path / "runs")
    assert again.folder is not None
    assert imported.folder is not None
    for name in ("run.json", "results.json", "environment.json", *(row.samples for row in imported.rows)):
        if name is not None:
            assert (again.folder / name).read_bytes() == (imported.folder / name).read_bytes()


def test_exported_files_have_the_harness_s_keys(harness: Harness, imported: Run, tmp_path: Path) -> None:
    path = export_run(imported, tmp_path)
    ours, theirs = json.loads(path.read_text(encoding="utf-8")), harness.results
    assert ours.keys() - {OWN} == theirs.keys()
    for part in ("results", "groups", "versions", "n-shot", "higher_is_better", "n-samples", "configs", "config"):
        assert ours[part].keys() == theirs[part].keys(), part
    assert ours["group_subtasks"] == theirs["group_subtasks"]
    for name, found in theirs["results"].items():
        assert ours["results"][name].keys() == found.keys()
    for task in TASKS:
        mine, other = samples(tmp_path, task), samples(harness.output, task)
        assert [line["doc_id"] for line in mine] == [line["doc_id"] for line in other]
        for one, two in zip(mine, other, strict=True):
            assert one.keys() - {OWN} == two.keys()
            assert (one["filter"], one["metrics"]) == (two["filter"], two["metrics"])
            assert one["arguments"].keys() == two["arguments"].keys()
            assert [one[metric] for metric in one["metrics"]] == [two[metric] for metric in two["metrics"]]
    # The harness's own table of it is that of its own file.
    table = in_another_process("table", str(path))
    assert table == in_another_process("table", str(find_output(harness.output).results))
