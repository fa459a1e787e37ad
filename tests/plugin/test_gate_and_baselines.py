"""Verdicts of whole runs: thresholds, and the comparison with what was recorded."""

from __future__ import annotations

import json
import shlex

import pytest

from .conftest import Run
from .project import ALL_ITEMS, Project, text_of

RIVERS = "tasks/rivers.yaml::rivers"


@pytest.fixture
def recorded(project: Project) -> Project:
    """A project whose baselines say that the pupil knows everything."""
    project.everything()
    project.choice_task("rivers", range(40))
    project.run("--lm-model=pupil", "--lm-update-baseline").assert_outcomes(passed=5)
    assert list(project.baselines()) == [f"pupil/{name}.json" for name in ("lakes", "rivers", "seas", "sums", "waters")]
    return project


def test_below_a_threshold_is_a_failure(project: Project, run: Run) -> None:
    project.choice_task("rivers", extra="gate: {acc: {min: 0.9}}\n")
    result = run("--lm-model=pupil,knows=3")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["rivers: BELOW THRESHOLD: acc 0.3000 is below its min 0.9 (n=10)", "  acc  0.3000 ± 0.1528  (n=10)"]
    )
    result.stdout.fnmatch_lines(["FAILED tasks/rivers.yaml::rivers - *acc 0.3000 is below its min 0.9*"])
    assert "pytest_lmeval/" not in text_of(result)


def test_full_trace_shows_the_traceback(project: Project) -> None:
    project.choice_task("rivers", extra="gate: {acc: {min: 0.9}}\n")
    result = project.run("--lm-model=pupil,knows=3", "--full-trace")
    assert "QualityError" in text_of(result)
    assert "check.py" in text_of(result)


def test_a_threshold_of_this_model_only(project: Project) -> None:
    project.choice_task("rivers", extra="gate: {models: {'pupil*': {acc: {min: 0.9}}}}\n")
    project.run("--lm-model=pupil,knows=3").assert_outcomes(failed=1)
    project.run("--lm-model=fake").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("gate", "problem"),
    [
        ("{acc: {mim: 0.9}}", "gate.acc.mim: unknown key 'mim'; *Did you mean 'min'?"),
        ("{acc: {min: high}}", "gate.acc.min: expected a number, found 'high'"),
        ("{mode: never}", "gate.mode: unknown value 'never'; known: regression, noninferiority, off"),
    ],
    ids=["key", "value", "mode"],
)
def test_a_gate_that_cannot_be_used_is_found_before_the_model_runs(
    project: Project, run: Run, gate: str, problem: str
) -> None:
    project.choice_task("rivers", extra=f"gate: {gate}\n")
    result = run("--lm-model=pupil")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"tasks/rivers.yaml:12: {problem}"])
    assert project.asked() == []
    assert "pytest_lmeval/" not in text_of(result)


def test_a_gate_of_a_group_that_cannot_be_used(project: Project) -> None:
    project.group(extra="gate: {acc: {mim: 0.9}}\n")
    project.run("--lm-model=pupil").stdout.fnmatch_lines(["tasks/waters/waters.yaml:5: gate.acc.mim: unknown key*"])


def test_a_gate_on_a_metric_that_the_task_lacks_is_found_before_the_model_is_asked(project: Project, run: Run) -> None:
    project.choice_task("rivers", extra="gate: {f1: {min: 0.9}}\n")
    result = run("--lm-model=pupil")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["tasks/rivers.yaml:12: gate.f1: the task has no such metric. Its metrics: acc."])
    assert not project.asked()


def test_a_metric_that_only_the_result_shows_to_be_missing_does_not_cost_the_result(project: Project, run: Run) -> None:
    project.group(extra="gate: {f1: {min: 0.9}}\n")
    result = run("--lm-model=pupil", "--lm-report=json:report.json")
    result.assert_outcomes(passed=2, errors=1)
    problem = "tasks/waters/waters.yaml:5: gate.f1: waters has no 'f1'; its metrics are acc"
    result.stdout.fnmatch_lines([problem, "waters *8 *acc *1.0000 ± 0.0000 *ERROR"])
    assert problem in [row["reason"] for row in project.report()["results"]]
    assert "pytest_lmeval/" not in text_of(result)


def test_a_group_has_a_gate(project: Project) -> None:
    project.group(extra="gate: {acc: {min: 0.9}}\n")
    result = project.run("--lm-model=pupil,knows=3", "-rA")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["waters: BELOW THRESHOLD: acc 0.7500 is below its min 0.9 (n=8)"])


def test_a_missing_baseline_passes_with_a_hint(project: Project) -> None:
    project.choice_task("rivers")
    result = project.run("--lm-model=pupil", "--lm-report=json:report.json")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["rivers*NO BASELINE"])
    assert "--lm-update-baseline" in project.report()["results"][0]["reason"]
    assert project.baselines() == {}


def test_a_missing_baseline_is_an_error_in_ci(project: Project, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    project.choice_task("rivers")
    monkeypatch.setenv("CI", "true")
    result = run("--lm-model=pupil")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "rivers: NO BASELINE: there is no baseline, and one is required here (CI)*",
            "record it with:",
            "  pytest *--lm-model=pupil*--lm-update-baseline",
        ]
    )
    refused = run("--lm-model=pupil", "--lm-update-baseline")
    assert "--lm-update-baseline: refused under CI" in text_of(refused)
    assert project.baselines() == {}
    run("--lm-model=pupil", "--lm-update-baseline", "--lm-force").assert_outcomes(passed=1)
    project.run("--lm-model=pupil").assert_outcomes(passed=1)


def test_recorded_then_passed(project: Project, run: Run) -> None:
    project.everything()
    first = run("--lm-model=pupil,knows=3", "--lm-update-baseline")
    first.assert_outcomes(passed=5)
    first.stdout.fnmatch_lines(["rivers *RECORDED"])
    files = project.baselines()
    assert len(files) == 5
    second = run("--lm-model=pupil,knows=3")
    second.assert_outcomes(passed=5)
    second.stdout.fnmatch_lines(["rivers *0.3000* PASS"])
    assert project.baselines() == files


def test_a_worse_model_is_a_failure_that_lists_documents(recorded: Project, run: Run) -> None:
    before = recorded.baselines()
    result = run("--lm-model=pupil,knows=8", "--lm-early-stop=false", "tasks/rivers.yaml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "rivers: REGRESSED: acc fell by 80.00 points, from 1.0000 to 0.2000 on 40 documents (32 lost, 0 gained). *",
            "  acc  0.2000 ± 0.0641  (n=40)  baseline 1.0000, -80.00 points",
            "  acc: one-sided mid-p McNemar test (n = 40), p = *",
            "32 of 40 documents lost (right before, wrong now), 0 gained",
            "document 8: expected 'north'",
            "  asked 'Where does rivers 8 flow?'",
            "  then  'north', margin +1.00",
            "  now   'south', margin -1.00",
            "  log p 'south' -1, 'north' -2",
            "29 more, all shown with -vv",
            "look further with:",
            "  pytest tasks/rivers.yaml::rivers * --lm-early-stop=false -vv",
            "accept it with:",
            "  pytest tasks/rivers.yaml::rivers * --lm-early-stop=false --lm-update-baseline --lm-accept-regression",
        ]
    )
    assert recorded.baselines() == before


def test_a_better_model_passes_and_says_so(recorded: Project) -> None:
    lower = ("--lm-model=pupil,knows=10", "--lm-update-baseline", "tasks/rivers.yaml")
    refused = recorded.run(*lower)
    refused.assert_outcomes(failed=1)
    refused.stdout.fnmatch_lines(["rivers: REGRESSED: not recorded: acc is worse than in the baseline; *"])
    recorded.run(*lower, "--lm-accept-regression").assert_outcomes(passed=1)
    result = recorded.run("--lm-model=pupil", "tasks/rivers.yaml")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["rivers *IMPROVED", "1 task is better than its baseline: --lm-update-baseline *"])


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ('{"question": "Where does rivers 7 flow?", "answer": 1}', '{"question": "And 7?", "answer": 1}', "documents"),
        (
            '{"question": "Where does rivers 7 flow?", "answer": 1}',
            '{"question": "Where does rivers 7 flow?", "answer": 0}',
            "",
        ),
        ('doc_to_text: "{{question}}"', 'doc_to_text: "Say: {{question}}"', "prompt"),
    ],
    ids=["question", "answer", "prompt"],
)
def test_changed_questions_are_incomparable(recorded: Project, old: str, new: str, changed: str) -> None:
    for name in ("tasks/rivers.yaml", "tasks/data/rivers.jsonl"):
        recorded.write(name, recorded.read(name).replace(old, new))
    result = recorded.run("--lm-model=pupil", "tasks/rivers.yaml")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [f"rivers: INCOMPARABLE: the baseline was made with other *{changed}*", "accept it with:"]
    )
    assert "pytest_lmeval/" not in text_of(result)
    recorded.run(*accepting(result)).assert_outcomes(passed=1)
    recorded.run("--lm-model=pupil", "tasks/rivers.yaml").assert_outcomes(passed=1)


def test_other_questions_do_not_excuse_a_lower_score(recorded: Project) -> None:
    before = recorded.read("baselines/pupil/rivers.json")
    recorded.write(
        "tasks/rivers.yaml", recorded.read("tasks/rivers.yaml").replace("{{question}}", "{{question}} Say: ")
    )
    worse = ("--lm-model=pupil,knows=8", "tasks/rivers.yaml")
    incomparable = recorded.run(*worse)
    assert accepting(incomparable)[-2:] == ["--lm-update-baseline", "--lm-accept-regression"]
    refused = recorded.run(*worse, "-v", "--lm-update-baseline")
    refused.assert_outcomes(failed=1)
    refused.stdout.fnmatch_lines(["rivers: REGRESSED: not recorded: acc is worse than in the baseline; *"])
    assert recorded.read("baselines/pupil/rivers.json") == before
    recorded.run(*accepting(refused)).assert_outcomes(passed=1)
    recorded.run(*worse).assert_outcomes(passed=1)


def test_a_part_of_the_documents_is_compared_on_that_part(recorded: Project) -> None:
    before = recorded.baselines()
    recorded.run("--lm-model=pupil", "--lm-limit=10", "tasks/rivers.yaml").assert_outcomes(passed=1)
    recorded.run("--lm-model=pupil,knows=0", "--lm-limit=10", "tasks/rivers.yaml").assert_outcomes(failed=1)
    recorded.run("--lm-model=pupil", "--lm-limit=10", "--lm-update-baseline", "tasks/rivers.yaml")
    assert recorded.baselines() == before


def test_a_baseline_by_name(project: Project) -> None:
    project.choice_task("rivers")
    project.run("--lm-model=pupil", "--lm-baseline=release", "--lm-update-baseline").assert_outcomes(passed=1)
    assert list(project.baselines()) == ["release/rivers.json"]
    # Another model, compared with that release.
    result = project.run("--lm-model=fake", "--lm-baseline=release")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["rivers: REGRESSED: *", "*--lm-baseline=release*"])


def test_a_name_of_no_baselines_is_told(project: Project, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    project.choice_task("rivers")
    project.run("--lm-model=pupil", "--lm-baseline=release", "--lm-update-baseline").assert_outcomes(passed=1)
    lacking = "There is no folder baselines/relaese. Did you mean 'release'?"
    result = run("--lm-model=pupil", "--lm-baseline=relaese")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"1 task has no baseline to compare with: * records it. {lacking}"])
    monkeypatch.setenv("CI", "true")
    missing = run("--lm-model=pupil", "--lm-baseline=relaese")
    missing.assert_outcomes(errors=1)
    missing.stdout.fnmatch_lines([f"  {lacking}"])


def test_a_baseline_folder(project: Project) -> None:
    project.choice_task("rivers")
    project.write("pytest.ini", "[pytest]\nlm_baseline_dir = kept\n")
    project.run("--lm-model=pupil", "--lm-update-baseline").assert_outcomes(passed=1)
    assert (project.path / "kept" / "pupil" / "rivers.json").is_file()


def accepting(result: pytest.RunResult) -> list[str]:
    """The arguments of the command that the only failure says to accept it with."""
    lines = [line.strip() for line in result.stdout.lines]
    command = shlex.split(lines[lines.index("accept it with:") + 1])
    assert command[0] == "pytest"
    return command[1:]


def test_the_accept_command_accepts_this_task_and_no_other(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    # A part of the other's name, which -k would find in both.
    for name in ("rivers", "rivers_deep"):
        project.choice_task(name, range(40))
    project.run("--lm-model=pupil", "--lm-update-baseline").assert_outcomes(passed=2)
    other = project.read("baselines/pupil/rivers_deep.json")
    # Elsewhere than at the root, where node ids start.
    monkeypatch.chdir(project.path / "tasks")
    worse = ("--lm-model=pupil,knows=8", "--rootdir=..", "--lm-tasks=rivers,rivers_deep")
    result = project.run(*worse, "-k", "rivers and not deep", "rivers.yaml")
    assert accepting(result)[-3:] == ["--lm-tasks=", "--lm-update-baseline", "--lm-accept-regression"]
    project.run(*accepting(result)).assert_outcomes(passed=1)
    assert project.read("baselines/pupil/rivers_deep.json") == other
    project.run(*worse, "rivers.yaml::rivers", "--lm-tasks=").assert_outcomes(passed=1)


def test_the_accept_command_of_an_update_of_all_updates_all(recorded: Project) -> None:
    # Worse by so little that an update of what changed would leave the file as it is.
    result = recorded.run("--lm-model=pupil,knows=39", "--lm-update-baseline=all", "tasks/rivers.yaml")
    result.assert_outcomes(failed=1)
    recorded.run(*accepting(result)).assert_outcomes(passed=1)
    assert '"value": 0.975' in recorded.read("baselines/pupil/rivers.json")


def test_the_accept_command_of_a_group_records_what_the_group_is_compared_by(project: Project) -> None:
    project.group((40, 40))
    project.choice_task("waters_deep")
    project.run("--lm-model=pupil", "--lm-update-baseline").assert_outcomes(passed=4)
    # Its tasks were not selected, and have to be recorded.
    result = project.run("--lm-model=pupil,knows=20", "-k", "waters.yaml and not lakes and not seas and not deep")
    result.assert_outcomes(failed=1)
    command = accepting(result)
    assert "tasks/waters/waters.yaml" in command
    project.run(*command).assert_outcomes(passed=3)
    project.run("--lm-model=pupil,knows=20", "tasks/waters").assert_outcomes(passed=3)


def test_a_group_that_has_no_baseline_decides_for_none_of_its_tasks(project: Project, run: Run) -> None:
    project.group((40, 40))
    project.run("--lm-model=pupil", "--lm-update-baseline").assert_outcomes(passed=3)
    project.baseline("seas").unlink()
    result = run("--lm-model=pupil,knows=20")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["lakes *REGRESSED", "seas *NO BASELINE", "waters *NO BASELINE"])
    # Its own file is not what it is compared by.
    assert project.baseline("waters").exists()


def test_a_group_that_compares_nothing_decides_for_none_of_its_tasks(project: Project) -> None:
    project.group((40, 40), extra="gate: {mode: 'off'}\n")
    project.run("--lm-model=pupil", "--lm-update-baseline").assert_outcomes(passed=3)
    project.run("--lm-model=pupil,knows=20").assert_outcomes(passed=1, failed=2)


def test_a_group_is_a_member_of_the_family_without_a_file_of_its_own(project: Project) -> None:
    project.group((100, 100))
    project.choice_task("rivers", range(40))
    project.run("--lm-model=pupil", "--lm-update-baseline").assert_outcomes(passed=4)
    project.baseline("waters").unlink()
    # p = 2^-7: below 0.01 alone, and above it among three tests.
    result = project.run("--lm-model=pupil,knows=97")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["suite: SUSPECT: *"])


@pytest.mark.parametrize("gate", ["{acc_norm: {margin: 1pp}}", "{models: {'pupil*': {acc_norm: {margin: 1pp}}}}"])
def test_the_main_metric_of_a_group_is_gated_beside_those_that_are_named(project: Project, gate: str) -> None:
    project.group((30, 30), extra=f"  - {{metric: acc_norm, weight_by_size: true}}\ngate: {gate}\n")
    for name in ("lakes", "seas"):
        path = f"tasks/waters/{name}.yaml"
        project.write(path, project.read(path) + "  - {metric: acc_norm, aggregation: mean, higher_is_better: true}\n")
    project.run("--lm-model=pupil", "--lm-update-baseline").assert_outcomes(passed=3)
    # Six lost of either metric: p is 2^-7, below 0.01 alone and above it as one of two.
    lost = project.run("--lm-model=pupil,knows=27", "--lm-on-drift=pass", "--lm-report=json:report.json")
    lost.assert_outcomes(passed=3)
    assert project.report()["run"]["suite"]["status"] == "suspect"


def test_no_comparison(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.choice_task("rivers", extra="gate: {mode: 'off'}\n")
    project.run("--lm-model=pupil", "--lm-update-baseline").assert_outcomes(passed=1)
    assert project.baselines() == {}
    monkeypatch.setenv("CI", "true")
    project.run("--lm-model=pupil,knows=0").assert_outcomes(passed=1)


def test_a_recorded_result_below_its_threshold_still_fails(project: Project) -> None:
    project.choice_task("rivers", extra="gate: {acc: {min: 0.9}}\n")
    result = project.run("--lm-model=pupil,knows=3", "--lm-update-baseline")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the baseline was recorded all the same*"])
    assert list(project.baselines()) == ["pupil/rivers.json"]


def test_a_damaged_baseline_is_an_error(recorded: Project) -> None:
    path = recorded.baseline("rivers")
    path.write_text(path.read_text()[:-20])
    recorded.asked()
    result = recorded.run("--lm-model=pupil", "tasks/rivers.yaml")
    result.assert_outcomes(errors=1)
    # Found before the model has worked for hours on what cannot be judged.
    assert recorded.asked() == []
    result.stdout.fnmatch_lines(["*rivers.json: not a usable baseline: *"])
    assert "pytest_lmeval/" not in text_of(result)
    # What it scored is not known, so nobody can say that this is not worse.
    damaged = path.read_text()
    update = ("--lm-model=pupil,knows=8", "tasks/rivers.yaml", "--lm-update-baseline")
    recorded.run(*update).assert_outcomes(errors=1)
    assert path.read_text() == damaged
    recorded.run(*update, "--lm-accept-regression").assert_outcomes(passed=1)


def test_a_baseline_says_where_it_came_from(recorded: Project) -> None:
    data = json.loads(recorded.baseline("rivers").read_text())
    text = json.dumps(data)
    assert "python" in text
    assert "pytest-lmeval" in text


@pytest.mark.parametrize(
    "args",
    [
        ("-x",),
        ("-k", "lakes"),
        (RIVERS,),
        ("--snapshot-update",),
        ("-k", "lakes", "--snapshot-update"),
        ("-x", "--snapshot-update"),
        ("--snapshot-update", "--deselect", ALL_ITEMS[1]),
        ("-n", "2", "--snapshot-update", "-x"),
        ("--collect-only", "--snapshot-update"),
    ],
    ids=["stop", "keyword", "item", "update", "keyword-update", "stop-update", "deselect", "workers", "collect"],
)
def test_nothing_deletes_or_changes_a_baseline(recorded: Project, args: tuple[str, ...]) -> None:
    before = recorded.baselines()
    # The first task breaks in its setup, the others are worse than recorded.
    (recorded.path / "tasks" / "data" / "rivers.jsonl").write_text("")
    recorded.run("--lm-model=pupil,knows=0", *args)
    assert recorded.baselines() == before


def test_workers_record_every_baseline(project: Project) -> None:
    project.everything()
    project.run("--lm-model=pupil", "--lm-update-baseline").assert_outcomes(passed=5)
    serial = project.baselines()
    for path in (project.path / "baselines" / "pupil").iterdir():
        path.unlink()
    project.run("--lm-model=pupil", "--lm-update-baseline", "-n", "2").assert_outcomes(passed=5)
    assert project.baselines() == serial
