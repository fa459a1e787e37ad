from __future__ import annotations

import pytest

from pytest_lmeval.xdist import work_unit


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
