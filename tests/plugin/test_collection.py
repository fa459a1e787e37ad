"""Which items a project's task files become, and what selects them."""

from __future__ import annotations

import pytest

from .conftest import Run
from .project import ALL_ITEMS, GROUP_ITEMS, ROOT_TASKS, Project, text_of

RIVERS, SUMS = ROOT_TASKS


def ids_of(run: pytest.RunResult, word: str) -> set[str]:
    """The node ids that the short summary lists after ``word``, as in ``PASSED``."""
    lines = [line.split(" - ")[0].split() for line in run.stdout.lines]
    return {line[1] for line in lines if len(line) == 2 and line[0] == word}


def test_every_task_is_an_item_and_runs(project: Project, run: Run) -> None:
    project.everything()
    result = run("--lm-model=pupil", "-rA", "--junitxml=junit.xml")
    assert result.ret == 0
    assert ids_of(result, "PASSED") == set(ALL_ITEMS)
    # The files of the group's leaves are passed over; they are not made items first and dropped then.
    assert "deselected" not in text_of(result)
    rivers = project.junit()["rivers"]
    assert rivers.attrib["classname"] == "tasks.rivers.yaml"
    properties = {p.attrib["name"]: p.attrib["value"] for p in rivers.iter("property")}
    assert properties["lm.task"] == "rivers"
    assert (properties["lm.metric"], float(properties["lm.score"]), int(properties["lm.n"])) == ("acc", 1.0, 10)
    assert properties["lm.verdict"] == "no-baseline"
    assert {"lm.stderr", "lm.tokens"} <= properties.keys()


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((), ALL_ITEMS),
        (("-k", "rivers"), (RIVERS,)),
        (("-k", "rivers or lakes"), (RIVERS, GROUP_ITEMS[0])),
        (("-m", "geography"), (RIVERS,)),
        (("-m", "water"), GROUP_ITEMS[:2]),
        (("-m", "lmeval"), ALL_ITEMS),
        (("-m", "not lmeval"), ()),
        ((RIVERS,), (RIVERS,)),
        ((GROUP_ITEMS[1],), (GROUP_ITEMS[1],)),
        (("tasks/sums.yaml", RIVERS), (SUMS, RIVERS)),
        ((RIVERS, "tasks/rivers.yaml"), (RIVERS,)),
        (("tasks/waters",), GROUP_ITEMS),
        (("tasks/waters/waters.yaml",), GROUP_ITEMS),
        # A leaf that is named is an item of its own file; under its group as soon as that is collected too.
        (("tasks/waters/lakes.yaml",), ("tasks/waters/lakes.yaml::lakes",)),
        (("tasks/waters/lakes.yaml", "tasks/waters/waters.yaml"), GROUP_ITEMS),
        (("--deselect", RIVERS, "tasks/rivers.yaml", "tasks/sums.yaml"), (SUMS,)),
    ],
    ids=lambda value: None,
)
def test_selection(project: Project, args: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert tuple(project.everything().collect("--lm-model=fake", *args)) == expected


def test_collecting_reads_no_data_and_opens_no_model(project: Project) -> None:
    project.everything()
    (project.path / "tasks" / "data" / "rivers.jsonl").unlink()
    assert project.collect("--lm-model=pupil:absent", "-k", "rivers") == [RIVERS]
    assert project.asked() == []


def test_last_failed_first_failed_and_stop(project: Project, run: Run) -> None:
    project.everything()
    project.choice_task("zebras", extra="gate: {acc: {min: 0.9}}\n")
    first = run("--lm-model=pupil,knows=8", "-rA")
    first.assert_outcomes(passed=5, failed=1)
    project.asked()
    again = run("--lm-model=pupil,knows=8", "--lf", "-rA")
    again.assert_outcomes(failed=1)
    assert ids_of(again, "PASSED") == set()
    # What was deselected was not asked either, also not to fill a batch.
    assert all("zebras" in asked.text for asked in project.asked() if "|" in asked.text)


def test_failed_first_then_stop(project: Project) -> None:
    project.everything()
    project.choice_task("zebras", extra="gate: {acc: {min: 0.9}}\n")
    project.run("--lm-model=pupil,knows=8")
    ordered = project.collect("--lm-model=pupil,knows=8", "--ff")
    assert ordered == ["tasks/zebras.yaml::zebras", *ALL_ITEMS]
    result = project.run("--lm-model=pupil,knows=8", "--ff", "-x")
    result.assert_outcomes(failed=1)


def test_junit_tells_failures_from_errors(project: Project) -> None:
    project.choice_task("rivers", extra="gate: {acc: {min: 0.9}}\n")
    project.choice_task("brooks")
    (project.path / "tasks" / "data" / "brooks.jsonl").unlink()
    project.run("--lm-model=pupil,knows=3", "--junitxml=junit.xml")
    cases = project.junit()
    failure, error = cases["rivers"].find("failure"), cases["brooks"].find("error")
    assert failure is not None
    assert error is not None
    assert "acc 0.3000 is below its min 0.9" in failure.attrib["message"]
    assert "there is no file 'data/brooks.jsonl'" in f"{error.attrib['message']}{error.text}"


def test_a_group_without_aggregates_is_its_leaves(project: Project) -> None:
    project.group()
    project.write("tasks/waters/waters.yaml", "group: waters\ntask: [seas, lakes]\n")
    assert project.collect("--lm-model=fake") == ["tasks/waters/waters.yaml::seas", "tasks/waters/waters.yaml::lakes"]


def test_groups_in_groups(project: Project) -> None:
    project.everything()
    project.write(
        "tasks/world.yaml", "group: world\ntask: [waters, rivers]\naggregate_metric_list:\n  - {metric: acc}\n"
    )
    names = ["lakes", "seas", "rivers", "waters", "world"]
    assert project.collect("--lm-model=fake") == [SUMS, *(f"tasks/world.yaml::{name}" for name in names)]
    result = project.run("--lm-model=pupil,knows=2", "tasks/world.yaml", "--lm-report=json:report.json")
    result.assert_outcomes(passed=5)
    rows = {row["task"]: row for row in project.report()["results"]}
    assert rows["world"]["value"] == pytest.approx((2 + 2 + 2) / 18)
    assert (rows["world"]["n"], rows["world"]["members"]) == (18, 3)


def test_a_group_may_change_and_add_tasks(project: Project) -> None:
    project.choice_task("rivers")
    project.write(
        "tasks/variants.yaml",
        "group: variants\n"
        "task:\n"
        "  - task: rivers\n"
        "    description: 'Think of maps.'\n"
        "  - task: streams\n"
        "    dataset_path: json\n"
        "    dataset_kwargs: {data_files: {test: data/rivers.jsonl}}\n"
        "    test_split: test\n"
        "    doc_to_text: question\n"
        "    doc_to_target: answer\n",
    )
    # Two colons would split the node id in three.
    assert project.collect("--lm-model=fake") == [
        "tasks/variants.yaml::rivers",
        "tasks/variants.yaml::variants.streams",
    ]
    assert project.collect("--lm-model=fake", "tasks/variants.yaml::variants.streams") == [
        "tasks/variants.yaml::variants.streams"
    ]


def test_brackets_in_a_name_do_not_break_selection(project: Project) -> None:
    path = project.choice_task("rivers")
    path.write_text(path.read_text().replace("task: rivers", "task: rivers[long]"))
    item = "tasks/rivers.yaml::rivers(long)"
    assert project.collect("--lm-model=fake", item) == [item]
    project.run("--lm-model=fake,fail_every=1").assert_outcomes(errors=1)
    assert project.collect("--lm-model=fake", "--lf") == [item]


def test_one_name_in_two_files(project: Project) -> None:
    project.choice_task("rivers")
    project.choice_task("rivers", folder="tasks/more")
    result = project.run("--lm-model=fake")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: two files define the task 'rivers': */tasks/*rivers.yaml and */rivers.yaml.*"])
    assert "Traceback" not in text_of(result)


def test_one_name_in_two_files_on_workers(project: Project) -> None:
    project.choice_task("rivers")
    project.choice_task("rivers", folder="tasks/more")
    project.python("def test_own(): pass")
    result = project.run("--lm-model=fake", "-n", "2")
    assert result.ret not in (0, pytest.ExitCode.INTERNAL_ERROR)
    result.stdout.fnmatch_lines(["two files define the task 'rivers': */tasks/*rivers.yaml and */rivers.yaml.*"])
    result.assert_outcomes(errors=1)


def test_a_broken_file_is_told_by_file_and_line(project: Project, run: Run) -> None:
    project.everything()
    project.write("tasks/broken.yaml", "task: broken\ndataset_path: json\nnum_fewshot: several\n")
    result = run("--lm-model=fake", "--continue-on-collection-errors")
    result.stdout.fnmatch_lines(["tasks/broken.yaml:3: num_fewshot: expected int, found str 'several'"])
    result.assert_outcomes(errors=1, passed=5)
    assert "Traceback" not in text_of(result)
    assert "pytest_lmeval/" not in text_of(result)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("task: t\ntest_splitt: x\n", 2, "unknown key 'test_splitt'. Did you mean 'test_split'?"),
        ("task: t\n- a\n", 2, "not valid YAML: *"),
        ("task: t\ninclude: none.yaml\n", 2, "include: there is no file 'none.yaml' next to broken.yaml"),
        ("group: g\ntask: [nowhere]\n", 2, "task: no task, group or tag is called 'nowhere'.*"),
        ("task: t\noutput_type: poem\n", 2, "output_type: expected one of *, found 'poem'"),
    ],
    ids=["key", "yaml", "include", "group", "type"],
)
def test_mistakes_in_files(project: Project, text: str, line: int, problem: str) -> None:
    project.write("tasks/broken.yaml", text)
    result = project.run("--lm-model=fake")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    # Square brackets mean something to fnmatch.
    result.stdout.fnmatch_lines([f"tasks/broken.yaml:{line}: {problem}"])
    assert "Traceback" not in text_of(result)


def test_other_yaml_is_no_test(project: Project) -> None:
    project.choice_task("rivers")
    project.write("tasks/settings.yaml", "colour: blue\n")
    project.write("tasks/empty.yml", "")
    project.write("deploy.yaml", "task: not ours, it lies elsewhere\n")
    assert project.collect("--lm-model=fake") == [RIVERS]
    assert project.run("--lm-model=fake", "tasks/settings.yaml").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_an_unknown_marker_is_still_refused(project: Project) -> None:
    project.choice_task("rivers")
    result = project.run("--lm-model=fake", "-m", "geograffy")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    project.python("@pytest.mark.geograffy\ndef test_own(): pass")
    project.run("--lm-model=fake", "test_own.py").assert_outcomes(errors=1)


def test_users_fixtures_work_with_task_items(project: Project, run: Run) -> None:
    project.choice_task("rivers")
    project.write(
        "conftest.py",
        "import pytest\n\n"
        "@pytest.fixture(scope='module', autouse=True)\n"
        "def per_module(request):\n"
        "    assert request.module is None or request.module\n"
        "    yield\n"
        "    with open('closed.txt', 'a') as file:\n"
        "        file.write(request.node.nodeid)\n\n"
        "@pytest.fixture(scope='package', autouse=True)\n"
        "def per_package(): yield\n\n"
        "@pytest.fixture(autouse=True)\n"
        "def per_test(request, tmp_path): assert request.node.name\n",
    )
    run("--lm-model=fake").assert_outcomes(passed=1)
    assert project.read("closed.txt") == "tasks/rivers.yaml"


def test_a_conftest_beside_the_tasks_counts(project: Project) -> None:
    project.choice_task("rivers")
    project.write("tasks/conftest.py", "import pytest\n\ndef pytest_runtest_setup(item): pytest.skip('not today')\n")
    project.run("--lm-model=fake").assert_outcomes(skipped=1)


def test_fixture_displays_work(project: Project) -> None:
    project.choice_task("rivers")
    assert project.run("--lm-model=fake", "--setup-plan").ret == 0
    assert project.run("--lm-model=fake", "--fixtures-per-test").ret == 0


def test_task_paths(project: Project) -> None:
    project.choice_task("rivers")
    project.choice_task("brooks", folder="evals/deep")
    project.choice_task("ponds", folder="more")
    project.write("pytest.ini", "[pytest]\nstrict_markers = true\nlm_task_paths = evals more\n")
    assert project.collect("--lm-model=fake") == ["evals/deep/brooks.yaml::brooks", "more/ponds.yaml::ponds"]
    # A file may still be named wherever it lies.
    assert project.collect("--lm-model=fake", "tasks/rivers.yaml") == [RIVERS]


def test_testpaths_do_not_hide_the_tasks(project: Project) -> None:
    project.choice_task("rivers")
    project.write("pytest.ini", "[pytest]\ntestpaths = tests\n")
    project.python("def test_own(): pass", "tests/test_own")
    own = "tests/test_own.py::test_own"
    assert project.collect("--lm-model=fake") == [own, RIVERS]
    assert project.collect("--lm-model=fake", "tests") == [own]
    assert project.collect() == [own]
    project.write("pytest.ini", "[pytest]\ntestpaths = tests tasks\n")
    assert project.collect("--lm-model=fake") == [own, RIVERS]


def test_from_a_folder_below_the_root(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.everything()
    monkeypatch.chdir(project.path / "tasks" / "waters")
    assert project.collect("--lm-model=fake") == list(GROUP_ITEMS)
