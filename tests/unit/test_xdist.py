from __future__ import annotations

import pytest

from pytest_lmeval.xdist import without_places, work_unit


@pytest.mark.parametrize(
    ("nodeid", "unit"),
    [
        ("tasks/rivers.yaml::rivers", "tasks/rivers.yaml"),
        ("tasks/rivers.yml::rivers", "tasks/rivers.yml"),
        ("tests/test_a.py::test_b[x.yaml]", "tests/test_a.py::test_b[x.yaml]"),
        ("tests/test_a.py::TestC::test_b", "tests/test_a.py::TestC::test_b"),
        ("README.md::x", "README.md::x"),
    ],
)
def test_the_items_of_a_task_file_stay_together(nodeid: str, unit: str) -> None:
    assert work_unit(nodeid) == unit


@pytest.mark.parametrize(
    ("words", "places", "kept"),
    [
        ("-x tasks --lm-model=demo", ["tasks"], "-x --lm-model=demo"),
        ("a.yaml b.yaml::b -v", ["a.yaml", "b.yaml::b"], "-v"),
        ("-k tasks tasks -v", ["tasks"], "-k tasks -v"),
        ("--lm-baseline base -m lmeval", [], "--lm-baseline base -m lmeval"),
    ],
)
def test_files_and_node_ids_are_told_from_the_values_of_options(words: str, places: list[str], kept: str) -> None:
    assert without_places(words.split(), places) == kept.split()
