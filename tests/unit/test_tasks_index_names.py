"""Words looked up in several sources, misspelt ones, and the listing of all."""

from __future__ import annotations

import difflib
import random
from pathlib import Path

import pytest

from pytest_lmeval.tasks.index import names as names_module
from pytest_lmeval.tasks.index.folder import read_index
from pytest_lmeval.tasks.index.listing import counted, listed, table
from pytest_lmeval.tasks.index.names import Names
from pytest_lmeval.tasks.index.near import near
from pytest_lmeval.tasks.sources import LM_EVAL, PROJECT, Source, builtin_tasks, lm_eval_tasks, open_sources

from .making import write


@pytest.fixture
def names(tmp_path: Path) -> Names:
    write(tmp_path / "own" / "arc.yaml", "task: arc_own\ntag: science\n")
    write(tmp_path / "own" / "both.yaml", "task: both\n")
    write(tmp_path / "more" / "both.yaml", "task: both\ntag: never\n")
    write(tmp_path / "more" / "quiz.yaml", "task: quiz\noutput_type: multiple_choice\n")
    write(tmp_path / "harness" / "all.yaml", "group: everything\ntask: [both, science, arc_new, {task: made, x: 1}]\n")
    write(tmp_path / "harness" / "arc.yaml", "task: arc_new\ntag: [science, new]\n")
    write(tmp_path / "harness" / "both.yaml", "task: both\ntag: new\n")
    write(tmp_path / "harness" / "own.yaml", "class: !function c.C\ntask: coded\n")
    write(tmp_path / "harness" / "loop.yaml", "group: loop\ntask: [loop, everything]\n")
    own = Source(PROJECT, (tmp_path / "own", tmp_path / "more"))
    return Names([own, Source(LM_EVAL, (tmp_path / "harness",))])


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("both", ["own/both"]),
        ("quiz", ["more/quiz"]),
        ("arc_new", ["harness/arc"]),
        # The first source that knows a tag or a pattern decides it all.
        ("science", ["own/arc"]),
        ("new", ["harness/arc", "own/both"]),
        ("arc_*", ["own/arc"]),
        ("*_n*", ["harness/arc"]),
        ("never", []),
        ("[", []),
    ],
)
def test_the_first_source_that_knows_a_word_decides(tmp_path: Path, names: Names, word: str, found: list[str]) -> None:
    assert [entry.path for entry in names.matching(word)] == [f"{tmp_path}/{path}.yaml" for path in found]


def test_a_later_source_is_not_looked_at(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def recorded(folder: Path) -> object:
        looked.append(folder.name)
        return read_index(folder)

    monkeypatch.setattr(names_module, "read_index", recorded)
    names.matching("arc_*")
    names.matching("science")
    assert looked == ["own", "more"]
    names.matching("new")
    assert looked == ["own", "more", "harness"]


def test_what_stands_below_a_group(names: Names) -> None:
    (group,) = names.named("everything")
    below = names.below(group)
    # The tag is the project's, so it stands for the project's task.
    assert below.tasks == {"both", "arc_own", "arc_new", "made"}
    (loop,) = names.named("loop")
    assert names.below(loop).groups == {"loop", "everything"}


def test_near_is_difflibs_choice() -> None:
    draw = random.Random(3)
    known = sorted(read_index(builtin_tasks()).entries)
    for _ in range(200):
        letters = list(draw.choice(known))
        letters.insert(draw.randrange(len(letters)), draw.choice("aq_"))
        del letters[draw.randrange(len(letters))]
        word = "".join(letters)
        assert near(word, known) == difflib.get_close_matches(word, known, n=3), word


def test_the_listing(tmp_path: Path, names: Names) -> None:
    rows = [(row.name, row.what, row.source) for row in listed(names)]
    assert rows == [
        ("science", "tag(1)", "project"),
        ("arc_own", "task", "project"),
        ("both", "task", "project"),
        ("quiz", "multiple_choice", "project"),
        ("everything", "group(4)", "lm_eval"),
        ("loop", "group(4)", "lm_eval"),
        ("new", "tag(2)", "lm_eval"),
        ("arc_new", "task", "lm_eval"),
        ("coded", "python", "lm_eval"),
    ]
    assert counted(listed(names)) == "2 groups, 2 tags, 5 tasks"
    assert listed(names)[1].path == f"{tmp_path}/own/arc.yaml"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("ARC", ["arc_own", "arc_new"]),
        ("*_o?n", ["arc_own"]),
        ("a*", ["arc_own", "arc_new"]),
        ("new", ["both", "new", "arc_new"]),
        # A group's or tag's own name shows what belongs to it.
        ("everything", ["arc_own", "both", "everything", "arc_new"]),
        ("science", ["science", "arc_own"]),
        ("zzz", []),
    ],
)
def test_a_pattern_chooses(names: Names, pattern: str, found: list[str]) -> None:
    assert [row.name for row in listed(names, pattern)] == found


def test_a_table_for_programs_has_all_in_one_line(tmp_path: Path, names: Names) -> None:
    assert list(table(listed(names, "arc"), None)) == [
        f"arc_own  task  project  {tmp_path}/own/arc.yaml",
        f"arc_new  task  lm_eval  {tmp_path}/harness/arc.yaml",
    ]


def test_a_table_for_a_terminal_fits(tmp_path: Path) -> None:
    long = "a_task_whose_name_is_longer_than_any_column_should_be"
    write(tmp_path / "deep" / "a_folder_with_a_name" / f"{long}.yaml", f"task: {long}\ntag: t\n")
    write(tmp_path / "deep" / "b.yaml", "task: b\noutput_type: loglikelihood_rolling\n")
    lines = list(table(listed(Names([Source(PROJECT, (tmp_path,))])), 80))
    assert lines[:2] == ["", "project: 1 tag, 2 tasks"]
    assert [line.split()[0] for line in lines[2:5]] == ["t", long, "task"]
    assert max(map(len, lines)) <= 80
    assert any(line.endswith("should_be.yaml") for line in lines)


def test_sources_are_opened_by_name(tmp_path: Path) -> None:
    harness = lm_eval_tasks()
    opened = open_sources(("lm_eval", str(tmp_path), "builtin", "project", "builtin"), [tmp_path / "absent"])
    expected = [Source(str(tmp_path), (tmp_path,)), Source("builtin", (builtin_tasks(),)), Source("project", ())]
    assert opened == [*([Source("lm_eval", (harness,))] if harness else []), *expected]


def test_the_shipped_tasks_are_not_listed_twice_in_their_own_checkout() -> None:
    opened = open_sources(("project", "builtin"), [builtin_tasks()])
    assert [source.name for source in opened] == ["project"]
