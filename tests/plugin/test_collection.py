from __future__ import annotations

from .conftest import Run
from .project import ALL_ITEMS, Project


def test_ids(project: Project) -> None:
    assert tuple(project.everything().collect("--lm-model=fake")) == ALL_ITEMS


def test_outcomes(project: Project, run: Run) -> None:
    project.everything()
    r = run("--lm-model=pupil", "-rA", "--lm-update-baseline")
    print(project.asked())
    r.assert_outcomes(passed=5)
