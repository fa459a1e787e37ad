"""Baselines through syrupy, in whole pytest runs: what writes them, and what must never touch them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_lmeval.baselines.extension import BaselineExtension
from pytest_lmeval.baselines.format import dumps, loads

from .project import Project as WholeProject

pytest_plugins = ["pytester"]

CONFTEST = """
import hashlib, json, os
import pytest
from pytest_lmeval.baselines.extension import baseline_assertion, check_baseline
from pytest_lmeval.baselines.format import from_result
from pytest_lmeval.baselines.update import Update
from pytest_lmeval.gate.policy import parse_gate
from pytest_lmeval.gate.verdict import judge
from pytest_lmeval.results import ItemResult, MetricValue, TaskResult, TaskSettings


def pytest_addoption(parser):
    parser.addoption("--record", nargs="?", const="changed", type=Update)
    parser.addoption("--accept", action="store_true")


def pytest_collection_modifyitems(config, items):
    for item in items:
        if item.name.startswith("test_task"):
            item.lm_baseline_path = config.rootpath / "baselines" / "demo" / f"{item.name}.json"


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def evaluated(task, right, **more):
    items = tuple(
        ItemResult(index=i, document_hash=sha(f"d{i}"), prompt_hash=sha(f"p{i}"), target_hash=sha(f"t{i}"),
                   scores={"acc": float(r)}, margin=None, prompt="?", target="yes", answer="yes")
        for i, r in enumerate(right)
    )
    acc = MetricValue(name="acc", filter="none", value=sum(right) / len(right), stderr=None,
                      higher_is_better=True, n=len(right))
    settings = TaskSettings(dataset="d", dataset_config=None, split="test", num_fewshot=0, seed=1, limit=None,
                            output_type="multiple_choice", generation=None, task_hash="t")
    return TaskResult(task=task, n=len(right), total=100, metrics=(acc,), main_metric="acc", items=items,
                      settings=settings, **more)


@pytest.fixture
def check(request):
    def check(**gate):
        answers = json.loads((request.config.rootpath / "answers.json").read_text())
        result = evaluated(request.node.name, [i < answers[0] for i in range(answers[1])], stopped=os.getenv("STOPPED"))
        update = request.config.getoption("--record")
        verdict = check_baseline(
            baseline_assertion(request, update is not None),
            result,
            lambda: from_result(result, {}, {}, f"{answers}"),
            lambda baseline: judge(result, parse_gate(gate).for_model("demo"), baseline, require_baseline=False),
            update=update,
            accept_regression=request.config.getoption("--accept"),
        )
        print(f"<{request.node.name} {verdict.status}>", *verdict.reasons[:1])
        return verdict

    return check

"""

TASKS = """
import os
import pytest


def test_task_a(check):
    verdict = check()
    assert verdict.passed and os.getenv("FAIL") is None


def test_task_b(check):
    assert check().passed


@pytest.fixture
def model():
    assert os.getenv("BREAK") is None, "no model"


def test_task_c(model, check):
    assert check().passed
"""

NAMES = ("a", "b", "c")


class Project:
    """A folder with three tasks whose answers are ``right`` of ``count``."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester = pytester
        self.monkeypatch = monkeypatch
        pytester.makeconftest(CONFTEST)
        pytester.makepyfile(test_tasks=TASKS)
        self._whole = WholeProject(pytester)
        self.answer(60, 100)

    def answer(self, right: int, count: int = 100) -> None:
        (self.pytester.path / "answers.json").write_text(json.dumps([right, count]))

    def run(self, *args: str, **environment: str) -> pytest.RunResult:
        with self.monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            return self._whole.run("-rA", *args)

    def path(self, name: str) -> Path:
        return self.pytester.path / "baselines" / "demo" / f"test_task_{name}.json"

    def dated_back(self) -> dict[str, str]:
        """Give the baselines another date, so that writing the same again shows; return the files."""
        for name in NAMES:
            baseline = loads(self.path(name).read_text())
            self.path(name).write_text(dumps(replace(baseline, created="2020-01-01")))
        return self.files()

    def files(self) -> dict[str, str]:
        folder = self.pytester.path / "baselines"
        return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, _imported: None) -> Project:
    return Project(pytester, monkeypatch)


@pytest.fixture(scope="module")
def cache() -> dict[str, str]:
    """The files of one recording run, for all tests that start from one."""
    return {}


@pytest.fixture
def recorded(project: Project, cache: dict[str, str]) -> Project:
    if not cache:
        run = project.run("--record")
        run.assert_outcomes(passed=3)
        assert "Can not relate" not in run.stdout.str()
        cache.update(project.files())
    assert sorted(cache) == [f"demo/test_task_{name}.json" for name in NAMES]
    for name, text in cache.items():
        path = project.pytester.path / "baselines" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return project


def test_a_plain_run_writes_nothing(project: Project) -> None:
    run = project.run()
    run.assert_outcomes(passed=3)
    run.stdout.fnmatch_lines(["<test_task_a no-baseline>*"])
    assert project.files() == {}
    # Also where syrupy is told to write whatever it has.
    project.run("--snapshot-update").assert_outcomes(passed=3)
    assert project.files() == {}


def test_recorded_then_compared(recorded: Project) -> None:
    before = recorded.files()
    run = recorded.run()
    run.assert_outcomes(passed=3)
    run.stdout.fnmatch_lines(["<test_task_a pass>*"])
    recorded.answer(40)
    run = recorded.run("--snapshot-update")
    run.assert_outcomes(failed=3)
    run.stdout.fnmatch_lines(["<test_task_a regressed>*"])
    assert recorded.files() == before


@pytest.mark.parametrize(
    ("args", "answer", "verdict", "rewritten"),
    [
        (("--record",), (60, 100), "pass", False),
        (("--record",), (61, 100), "inconclusive", False),  # as good as the same: no noise commits
        (("--record",), (80, 100), "recorded", True),
        (("--record", "--accept"), (40, 100), "recorded", True),
        (("--record",), (50, 50), "pass", False),  # half of the documents, as good as before on these
        (("--record=new",), (80, 100), "improved", False),
        (("--record=all",), (60, 100), "recorded", True),
        (("--record=all",), (61, 100), "recorded", True),
        (("--record=all", "--accept"), (59, 100), "recorded", True),
    ],
)
def test_what_an_update_writes(
    recorded: Project, args: tuple[str, ...], answer: tuple[int, int], verdict: str, rewritten: bool
) -> None:
    recorded.answer(*answer)
    before = recorded.dated_back()
    run = recorded.run(*args, "-k", "test_task_a")
    run.assert_outcomes(passed=1, deselected=2)
    run.stdout.fnmatch_lines([f"<test_task_a {verdict}>*"])
    after = recorded.files()
    assert (after != before) is rewritten
    assert all(after[name] == before[name] for name in before if name != "demo/test_task_a.json")


LOWER = "not recorded: acc is worse than in the baseline; *add --lm-accept-regression"
FEWER = "not recorded: this run has answers about 50 documents and the baseline about 100; *--lm-update-baseline=all"
STOPPED = "not recorded: the run was stopped before its end (it answers nothing)*"


@pytest.mark.parametrize(
    ("args", "answer", "environment", "said"),
    [
        (("--record",), (40, 100), {}, f"<test_task_a regressed> {LOWER}"),
        (("--record=all",), (59, 100), {}, f"<test_task_a regressed> {LOWER}"),
        (("--record", "--accept"), (10, 50), {}, f"<test_task_a error> {FEWER}"),
        (("--record=all", "--accept"), (60, 100), {"STOPPED": "it answers nothing"}, f"<test_task_a error> {STOPPED}"),
    ],
    ids=["regression", "lower", "fewer", "stopped"],
)
def test_what_an_update_refuses_fails(
    recorded: Project, args: tuple[str, ...], answer: tuple[int, int], environment: dict[str, str], said: str
) -> None:
    recorded.answer(*answer)
    before = recorded.files()
    run = recorded.run(*args, "-k", "test_task_a", **environment)
    run.assert_outcomes(failed=1, deselected=2)
    run.stdout.fnmatch_lines([said])
    assert recorded.files() == before


def test_a_stopped_run_makes_no_first_baseline(project: Project) -> None:
    project.run("--record=new", STOPPED="it answers nothing").assert_outcomes(failed=3)
    assert project.files() == {}


def test_new_baselines_leave_the_others_alone(recorded: Project) -> None:
    before = recorded.files()
    recorded.path("b").unlink()
    recorded.answer(80, 100)
    run = recorded.run("--record=new")
    run.assert_outcomes(passed=3)
    run.stdout.fnmatch_lines(["<test_task_a improved>*"])
    run.stdout.fnmatch_lines(["<test_task_b recorded>*"])
    after = recorded.files()
    assert after.keys() == before.keys()
    assert [name for name in before if after[name] != before[name]] == ["demo/test_task_b.json"]


def test_an_update_adds_documents(project: Project) -> None:
    project.answer(30, 30)
    project.run("--record")
    few = project.files()
    project.answer(60, 100)
    project.run("--record").stdout.fnmatch_lines(["<test_task_a recorded>*"])
    assert all(len(text) > len(few[name]) for name, text in project.files().items())


@pytest.mark.parametrize(
    ("args", "environment"),
    [
        (("-x",), {"FAIL": "1"}),
        ((), {"BREAK": "1"}),
        (("-k", "test_task_a"), {}),
        (("test_tasks.py::test_task_b",), {}),
        (("--collect-only",), {}),
        (("-n", "2"), {}),
        (("-n", "2", "-x"), {"FAIL": "1"}),
        (("--deselect", "test_tasks.py::test_task_b"), {"BREAK": "1"}),
    ],
    ids=["stop", "setup", "keyword", "nodeid", "collect", "workers", "workers-stop", "deselect"],
)
def test_what_did_not_run_is_kept(recorded: Project, args: tuple[str, ...], environment: dict[str, str]) -> None:
    before = recorded.files()
    run = recorded.run("--snapshot-update", *args, **environment)
    assert recorded.files() == before
    output = run.stdout.str()
    assert "unused" not in output
    assert "deleted" not in output
    assert "Can not relate" not in output


def test_a_plain_run_of_a_part_does_not_fail_for_the_rest(recorded: Project) -> None:
    assert recorded.run("-k", "test_task_a").ret == 0


def test_deleting_deletes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text("kept")
    BaselineExtension().delete_snapshots(snapshot_location=str(path), snapshot_names={"t"})
    assert path.read_text() == "kept"


def test_workers_record(project: Project) -> None:
    project.run("--record", "-n", "2").assert_outcomes(passed=3)
    assert sorted(project.files()) == [f"demo/test_task_{name}.json" for name in NAMES]


def test_a_users_own_snapshots_keep_working_beside_ours(recorded: Project) -> None:
    recorded.pytester.makepyfile(test_own="def test_own(snapshot):\n    assert snapshot == [1]\n")
    before = recorded.files()
    recorded.run("--snapshot-update").assert_outcomes(passed=4)
    assert (recorded.pytester.path / "__snapshots__" / "test_own.ambr").exists()
    assert recorded.files() == before
    recorded.run().assert_outcomes(passed=4)


def test_a_damaged_file_is_an_error_until_it_is_recorded_again(recorded: Project) -> None:
    path = recorded.path("b")
    path.write_text(path.read_text().replace('"n": 100', '"n": 99'))
    run = recorded.run()
    run.assert_outcomes(passed=2, failed=1)
    run.stdout.fnmatch_lines(["*BaselineError*test_task_b.json: not a usable baseline: its checksum is wrong*"])
    # A file that is there is not new, whatever is in it.
    recorded.run("--record=new").assert_outcomes(passed=2, failed=1)
    # What it scored is not known: a file that may have been better is given up by consent alone.
    refused = recorded.run("--record")
    refused.stdout.fnmatch_lines(["<test_task_b error> not recorded: *cannot be read*add --lm-accept-regression*"])
    recorded.run("--record", "--accept").assert_outcomes(passed=3)
    recorded.run().assert_outcomes(passed=3)


def test_a_file_that_cannot_be_written_is_an_error(project: Project) -> None:
    (project.pytester.path / "baselines").mkdir()
    (project.pytester.path / "baselines" / "demo").write_text("a file where a folder should be")
    run = project.run("--record")
    run.assert_outcomes(failed=3)
    run.stdout.fnmatch_lines(["*BaselineError*test_task_a.json: cannot be*"])


def test_thresholds_fail_although_the_baseline_is_recorded(project: Project) -> None:
    project.pytester.makepyfile(test_tasks="def test_task_a(check):\n    assert check(acc=0.9).passed\n")
    run = project.run("--record")
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["<test_task_a below-threshold>*"])
    assert project.path("a").exists()


def test_what_is_missing_is_said(project: Project) -> None:
    project.pytester.makepyfile(test_tasks="def test_other(check):\n    check()\n")
    project.run().stdout.fnmatch_lines(["*BaselineError: test_tasks.py::test_other has no baseline*"])
    project.pytester.makepyfile(test_tasks="def test_task_a(check):\n    check()\n")
    run = project.run("-p", "no:syrupy")
    run.stdout.fnmatch_lines(["*SettingsError: baselines need the syrupy plugin; remove '-p no:syrupy'*"])
