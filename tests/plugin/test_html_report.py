"""``--lm-report=html:PATH`` in a run."""

from __future__ import annotations

import re

from .conftest import Run
from .project import Project


def test_a_run_writes_the_page(project: Project, run: Run) -> None:
    project.everything()
    result = run("--lm-model=pupil,knows=4", "--lm-report=html:out/report.html")
    result.stdout.fnmatch_lines(["report written to *report.html"])
    page = project.read("out/report.html")
    assert sorted(re.findall(r'<a href="#task=([^"]+)"', page)) == ["lakes", "rivers", "seas", "sums", "waters"]
    # The group has no documents of its own.
    assert len(re.findall(r'id="documents-\d+"', page)) == 4
