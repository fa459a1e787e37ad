from __future__ import annotations

from pathlib import Path

import pytest

from pytest_lmeval.errors import SettingsError, TaskFileError
from pytest_lmeval.tasks import catalogue as catalogue_module
from pytest_lmeval.tasks.catalogue import Catalogue, name_of
from pytest_lmeval.tasks.groups import Group
from pytest_lmeval.tasks.sources import Source, builtin_tasks, lm_eval_tasks
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.yaml_loader import TaskDocument, read_task_file

from .making import write

TASK = "task: {}\ndataset_path: d\ntest_split: test\n"


def project(folder: Path, **files: str) -> Catalogue:
    for name, text in files.items():
        write(folder / f"{name}.yaml", text)
    return Catalogue([folder])


def load(catalogue: Catalogue, name: str) -> TaskSpec | Group:
    (document,) = catalogue.find(name)
    return catalogue.load(document)


def load_group(catalogue: Catalogue, name: str) -> Group:
    loaded = load(catalogue, name)
    assert isinstance(loaded, Group)
    return loaded


def names(catalogue: Catalogue, pattern: str) -> list[str]:
    return [name_of(document) for document in catalogue.find(pattern)]


def test_names_tags_and_patterns(tmp_path: Path) -> None:
    catalogue = project(
        tmp_path,
        one=TASK.format("arc_easy") + "tag: [science, school]\n",
        two=TASK.format("arc_hard") + "tag: school\n",
        three=TASK.format("other"),
        notes="some: mapping\n",
        rows="- a\n",
    )
    write(tmp_path / "deep" / "four.yml", TASK.format("deep"))
    assert names(catalogue, "arc_easy") == ["arc_easy"]
    assert names(catalogue, "school") == ["arc_easy", "arc_hard"]
    assert names(catalogue, "science") == ["arc_easy"]
    assert names(catalogue, "arc_*") == ["arc_easy", "arc_hard"]
    assert names(catalogue, "*e*") == ["arc_easy", "deep", "other"]
    assert catalogue.broken == []


def test_the_first_root_wins(tmp_path: Path) -> None:
    write(tmp_path / "mine" / "t.yaml", TASK.format("t") + "repeats: 2\n")
    write(tmp_path / "builtin" / "t.yaml", TASK.format("t") + "repeats: 3\n")
    write(tmp_path / "builtin" / "u.yaml", TASK.format("u"))
    catalogue = Catalogue([tmp_path / "mine", tmp_path / "builtin", tmp_path / "absent"])
    spec = load(catalogue, "t")
    assert isinstance(spec, TaskSpec)
    assert spec.repeats == 2
    assert names(catalogue, "u") == ["u"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("arc_esay", "no task, group or tag is called 'arc_esay'. Did you mean arc_easy?"),
        ("zzz", "no task, group or tag is called 'zzz'. There are 2: arc_easy, school …"),
        ("x_*", "no task, group or tag is called 'x_*'"),
    ],
)
def test_unknown_names_have_a_hint(tmp_path: Path, name: str, message: str) -> None:
    catalogue = project(tmp_path, t=TASK.format("arc_easy") + "tag: school\n")
    with pytest.raises(SettingsError) as caught:
        catalogue.find(name)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("broken", ["task: [\n", "task: b\ninclude: absent\n"])
def test_a_broken_file_hides_no_other_and_is_told_when_a_name_is_missing(tmp_path: Path, broken: str) -> None:
    catalogue = project(tmp_path, a=broken, t=TASK.format("t"))
    assert names(catalogue, "t") == ["t"]
    with pytest.raises(SettingsError, match=r"\(1 task files cannot be read: .*a\.yaml:\d"):
        catalogue.find("b")


def test_a_tag_that_is_none_hides_no_other(tmp_path: Path) -> None:
    catalogue = project(tmp_path, a=TASK.format("a") + "tag: 3\n", t=TASK.format("t") + "tag: x\n")
    assert names(catalogue, "x") == ["t"]
    with pytest.raises(TaskFileError, match="tag: expected a name or a list of names, found int 3"):
        load(catalogue, "a")


NESTED = {
    "a": TASK.format("a") + "tag: pair\n",
    "b": TASK.format("b") + "tag: pair\n",
    "c": TASK.format("c"),
    "inner": "group: inner\ntask: [b, c]\n",
    "outer": "group: outer\ntask: [c, inner, pair]\n",
}


def test_groups_in_groups_and_tags_in_groups(tmp_path: Path) -> None:
    catalogue = project(tmp_path, **NESTED)
    group = load_group(catalogue, "outer")
    assert [leaf.task for leaf in group.leaves()] == ["c", "b", "a"]
    assert [sub.spec.group for sub in group.groups()] == ["inner", "outer"]
    assert catalogue.group_files("c") == [tmp_path / "inner.yaml", tmp_path / "outer.yaml"]
    assert catalogue.group_files("inner") == [tmp_path / "outer.yaml"]
    assert catalogue.group_files("outer") == []


def test_overrides_of_the_group_and_of_the_entry(tmp_path: Path) -> None:
    group = load_group(
        project(
            tmp_path,
            a=TASK.format("a") + "repeats: 2\nnum_fewshot: 1\nmetadata: {x: 1}\ndescription: a\n",
            g="""
            group: g
            group_alias: G
            num_fewshot: 3
            metadata: {y: 1}
            repeats: 4
            task:
              - task: a
                repeats: 5
            """,
        ),
        "g",
    )
    (leaf,) = group.leaves()
    # Entry over group over file, each key whole; what describes the group itself is not the task's.
    assert (leaf.task, leaf.repeats, leaf.num_fewshot, leaf.description) == ("a", 5, 3, "a")
    assert dict(leaf.metadata) == {"x": 1}


def test_a_mistake_in_a_groups_override_is_at_its_line(tmp_path: Path) -> None:
    catalogue = project(tmp_path, a=TASK.format("a"), g="group: g\ntask: [a]\naggregate_metrics_list: []\n")
    with pytest.raises(TaskFileError, match="unknown key 'aggregate_metrics_list'") as caught:
        load(catalogue, "g")
    assert (caught.value.path, caught.value.line) == (tmp_path / "g.yaml", 3)


def test_tasks_and_groups_written_in_a_group(tmp_path: Path) -> None:
    catalogue = project(
        tmp_path,
        a=TASK.format("a"),
        g="""
        group: g
        task:
          - task: own
            dataset_path: d
            repeats: 3
          - group: sub
            task: [a]
            aggregate_metric_list: [{metric: acc}]
        """,
    )
    group = load_group(catalogue, "g")
    assert [(leaf.task, leaf.repeats) for leaf in group.leaves()] == [("g::own", 3), ("a", 1)]
    assert [sub.spec.group for sub in group.groups()] == ["g::sub", "g"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("group: g\ntask:\n  - absent\n", "task: no task, group or tag is called 'absent'."),
        ("group: g\ntask: [h]\n", "group cycle: g -> h -> g"),
        ("group: g\ntask: [g]\n", "group cycle: g -> g"),
        ("group: g\ntask: [3]\n", "task: expected a name or a mapping with 'task' or 'group', found int 3"),
        (
            "group: g\ntask: [{repeats: 3}]\n",
            "task: expected a name or a mapping with 'task' or 'group', found dict {'repeats': 3}",
        ),
    ],
)
def test_mistakes_are_located(tmp_path: Path, text: str, message: str) -> None:
    catalogue = project(tmp_path, g=text, h="group: h\ntask: [g]\n", t=TASK.format("t"))
    with pytest.raises(TaskFileError) as caught:
        load(catalogue, "g")
    assert message in caught.value.problem
    assert caught.value.line == 2
    # The other tasks stand on their own.
    assert catalogue.group_files("t") == []


def test_every_builtin_task_loads_and_has_a_folder_of_its_own_name_only_once() -> None:
    catalogue = Catalogue([builtin_tasks()])
    documents = catalogue.find("*")
    loaded = [catalogue.load(document) for document in documents]
    assert catalogue.broken == []
    assert {"gsm8k", "arc_easy", "wikitext", "mmlu"} <= {name_of(document) for document in documents}
    tasks = [task for task in loaded if isinstance(task, TaskSpec) and task.python_class is None]
    assert all(task.evaluated_split for task in tasks)


def test_overrides_reach_what_is_below_a_group_in_a_group(tmp_path: Path) -> None:
    catalogue = project(
        tmp_path,
        **NESTED,
        top="""
        group: top
        num_fewshot: 1
        repeats: 2
        task:
          - group: inner
            repeats: 3
          - task: pair
            repeats: 4
          - group: own
            task: [{task: c, repeats: 5}]
            num_fewshot: 6
        """,
    )
    group = load_group(catalogue, "top")
    members = [member for member in group.members if isinstance(member, Group)]
    assert [member.spec.group for member in members] == ["inner", "top::own"]
    settings = [(leaf.task, leaf.repeats, leaf.num_fewshot) for leaf in group._all_leaves()]
    # The outer group over the inner one, as in the reference; an entry over the group that it stands in.
    assert settings == [("b", 3, 1), ("c", 3, 1), ("a", 4, 1), ("b", 4, 1), ("c", 5, 1)]


def test_a_mistake_in_an_entrys_override_is_at_the_groups_line(tmp_path: Path) -> None:
    catalogue = project(tmp_path, a=TASK.format("a"), g="group: g\n\ntask:\n  - {task: a, repeat: 2}\n")
    with pytest.raises(TaskFileError, match=r"unknown key 'repeat'\. Did you mean 'repeats'") as caught:
        load(catalogue, "g")
    assert (caught.value.path, caught.value.line) == (tmp_path / "g.yaml", 3)


def test_a_group_that_cannot_be_loaded_hides_none_of_its_tasks(tmp_path: Path) -> None:
    catalogue = project(tmp_path, a=TASK.format("a"), g="group: g\ntask: [a, absent]\n", h="group: h\ntask: [a]\n")
    assert catalogue.group_files("a") == [tmp_path / "h.yaml"]


def test_only_what_is_asked_for_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = project(tmp_path, **{**NESTED, "base": "tag: x\n", "c": TASK.format("c") + "include: base.yaml\n"})
    read: list[str] = []

    def recorded(path: Path) -> TaskDocument | None:
        read.append(path.name)
        return read_task_file(path)

    monkeypatch.setattr(catalogue_module, "read_task_file", recorded)
    assert names(catalogue, "x") == ["c"]
    load(catalogue, "inner")
    assert read == ["c.yaml", "inner.yaml", "b.yaml"]


def test_a_fault_further_down_is_told_when_the_task_is_asked_for(tmp_path: Path) -> None:
    catalogue = project(tmp_path, a="task: a\nx: y\n  z: 1\n", t=TASK.format("t"))
    assert names(catalogue, "t") == ["t"]
    with pytest.raises(TaskFileError, match="not valid YAML: mapping values are not allowed") as caught:
        catalogue.find("a")
    assert (caught.value.path, caught.value.line) == (tmp_path / "a.yaml", 3)


def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    catalogue = project(tmp_path, a=TASK.format("a"), b=TASK.format("b"))
    assert names(catalogue, "b") == ["b"]
    write(tmp_path / "a.yaml", "notes: 1\n")
    with pytest.raises(TaskFileError, match=r"a\.yaml: 'a' is no longer in it"):
        catalogue.find("a")


def test_a_class_goes_by_its_task(tmp_path: Path) -> None:
    catalogue = project(tmp_path, a="class: !function c.C\ntask: coded\ngroup: x\ntag: t\n", g="group: g\ntask: [t]\n")
    spec = load(catalogue, "coded")
    assert isinstance(spec, TaskSpec)
    assert (spec.task, names(catalogue, "t")) == ("coded", ["coded"])
    assert [leaf.task for leaf in load_group(catalogue, "g").leaves()] == ["coded"]


def test_the_references_groups_load(tmp_path: Path) -> None:
    tasks = lm_eval_tasks()
    if tasks is None:
        pytest.skip("lm-eval is not installed")
    catalogue = Catalogue([tmp_path, Source("lm_eval", (tasks,))])
    # One metric that is no list, one whose function aggregates, one that is a function, tasks written inside.
    for name, leaves in (("arab_culture", 13), ("lingoly", 2), ("code2text", 6), ("flan_held_in", None)):
        found = load_group(catalogue, name)
        assert leaves is None or len(list(found.leaves())) == leaves, name
    # It has tasks without a name, and the reference refuses it too.
    with pytest.raises(TaskFileError, match=r"t0_eval\.yaml:2: task: expected a name or a mapping with 'task'"):
        load(catalogue, "t0_eval")
