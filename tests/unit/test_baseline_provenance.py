from __future__ import annotations

import datetime
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.baselines.provenance import age_in_days, commit_of, is_old, provenance
from pytest_lmeval.baselines.record import Baseline, Digests
from pytest_lmeval.results import TaskSettings

TODAY = datetime.date(2026, 11, 24)


def baseline(**changes: Any) -> Baseline:
    settings = TaskSettings(
        dataset="d",
        dataset_config=None,
        split="test",
        num_fewshot=0,
        seed=1,
        limit=None,
        output_type="multiple_choice",
        generation=None,
        task_hash="t",
    )
    whole = Baseline(
        task="rivers",
        created="2026-08-02",
        n=0,
        total=0,
        main_metric="acc",
        metrics=(),
        settings=settings,
        items=(),
        digests=Digests(documents="", prompts="", targets=""),
        members=(),
        model={"backend": "vllm", "dtype": "float16", "details": {"vllm": "0.32.0", "transformers": "5.23.0"}},
        environment={},
        commit="91ab3f0",
    )
    return replace(whole, **changes)


def test_one_line_tells_where_it_comes_from() -> None:
    assert (
        provenance(baseline(), TODAY) == "baseline of 2026-08-02 (114 days old, commit 91ab3f0, vllm 0.32.0, float16)"
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"commit": None, "model": {}}, "baseline of 2026-08-02 (114 days old)"),
        ({"created": "2026-11-24", "commit": None, "model": {}}, "baseline of 2026-11-24 (recorded today)"),
        ({"created": "2026-11-23", "commit": None, "model": {}}, "baseline of 2026-11-23 (1 day old)"),
        ({"created": "2027-01-01", "commit": None, "model": {}}, "baseline of 2027-01-01 (recorded today)"),
        ({"created": "2026-11-23T23:00:00+00:00", "commit": None, "model": {}}, "baseline of 2026-11-23 (1 day old)"),
        ({"created": "long ago", "commit": None, "model": {}}, "baseline of long ago"),
        ({"commit": None, "model": {"backend": "openai"}}, "baseline of 2026-08-02 (114 days old, openai)"),
        (
            {"created": "", "commit": None, "model": {}, "published": "a paper, table 3"},
            "published scores, a paper, table 3",
        ),
        (
            {"created": "2026-05-01", "commit": None, "model": {}},
            "baseline of 2026-05-01 (207 days old: record it again)",
        ),
    ],
    ids=["bare", "today", "yesterday", "future", "time", "undated", "server", "published", "old"],
)
def test_what_is_unknown_is_left_out(changes: dict[str, Any], line: str) -> None:
    assert provenance(baseline(**changes), TODAY) == line


def test_without_a_day_it_is_today() -> None:
    today = datetime.date.today().isoformat()
    assert "today" in provenance(baseline(created=today))


@pytest.mark.parametrize(("created", "old"), [("2026-05-28", False), ("2026-05-27", True), ("never", False)])
def test_after_half_a_year_it_is_old(created: str, old: bool) -> None:
    assert is_old(baseline(created=created), TODAY) is old
    assert ("old: record it again" in provenance(baseline(created=created), TODAY)) is old


def test_an_age_is_none_where_there_is_no_date() -> None:
    assert age_in_days(baseline(created="2026-13-01"), TODAY) is None
    assert age_in_days(baseline(), TODAY) == 114


def test_nothing_that_is_shown_can_act_on_a_terminal() -> None:
    evil = "\x1b[2J\n" * 30
    model = {"dtype": evil, "backend": evil, "details": {"vllm": evil}}
    line = provenance(baseline(created=evil, commit=evil, model=model), TODAY)
    assert line.isprintable()
    assert len(line) < 700


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    # What git was told about the repository of these very tests, where they run in one of its hooks.
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def asked_anew(folder: Path) -> str | None:
    # A run asks once; here the repository changes.
    commit_of.cache_clear()
    return commit_of(folder)


def test_the_commit_is_that_of_the_folder(repository: Path) -> None:
    assert asked_anew(repository) is None
    git(repository, "init", "-q")
    assert asked_anew(repository) is None
    git(repository, "commit", "-q", "--allow-empty", "-m", "first")
    (repository / "tests").mkdir()
    assert asked_anew(repository / "tests") == git(repository, "rev-parse", "--short", "HEAD")


def test_without_git_there_is_no_commit(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(repository, "init", "-q")
    git(repository, "commit", "-q", "--allow-empty", "-m", "first")
    monkeypatch.setenv("PATH", str(repository))
    assert asked_anew(repository) is None


def test_a_git_that_hangs_or_talks_is_no_commit(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = repository / "git"
    monkeypatch.setenv("PATH", f"{repository}:/usr/bin:/bin")
    script.write_text("#!/bin/sh\necho welcome to git\n")
    script.chmod(0o755)
    assert asked_anew(repository) is None
    script.write_text("#!/bin/sh\nexec sleep 30\n")
    monkeypatch.setattr("pytest_lmeval.baselines.provenance._GIT_SECONDS", 0.1)
    assert asked_anew(repository) is None


def test_no_folder_no_commit(tmp_path: Path) -> None:
    assert asked_anew(tmp_path / "nowhere") is None
