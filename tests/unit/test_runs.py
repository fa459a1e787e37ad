"""Runs in their folders: what is written comes back, what is not ours is refused, and old ones go."""

from __future__ import annotations

import gzip
import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.errors import RunError
from pytest_lmeval.results import Flaw
from pytest_lmeval.runs.folder import find_run, new_id, prune, read_run, run_folders, samples_name
from pytest_lmeval.runs.items import item_to_json
from pytest_lmeval.runs.origin import Origin, origin_of
from pytest_lmeval.runs.tasks import read_task, write_task

from .recorded_runs import ID, baseline_from, choice_item, made_run, record_of, result_of, text_item


def test_a_run_comes_back_as_it_was(tmp_path: Path) -> None:
    run = made_run(tmp_path / ID)
    again = read_run(tmp_path / ID)
    assert again == run
    assert again.failed
    rivers, sums, lakes = again.records()
    assert (rivers.row.verdict, sums.row.verdict, lakes.row.verdict) == ("regressed", "pass", "no-baseline")
    assert len(rivers.pairs) == 60
    assert not lakes.pairs
    assert rivers.row == run.rows[0]


def test_documents_come_back_with_all_their_oddities(tmp_path: Path) -> None:
    items = [
        choice_item(0, right=True, margin=-math.inf, logprobs=(-math.inf, 0.0)),
        choice_item(1, right=False, answer="\ud800 <script>\x00\n", prompt="\U0001f30d" * 3, cluster="c"),
        choice_item(2, right=True, scores={}, margin=None, error="gone", flaw=Flaw.ERROR, counts={"bleu": (1.0, 2.0)}),
        text_item(3, right=False, scores={"acc": math.nan}),
    ]
    result = replace(result_of("odd", items), weights={"acc": (0.25, 0.75)}, stopped="why not", unscored={"acc": 1})
    record = record_of(result, None)
    write_task(tmp_path / "odd.gz", record)
    back = read_task(tmp_path / "odd.gz")
    # Compared as JSON, in which not-a-number equals itself.
    assert [item_to_json(item) for item in back.result.items] == [item_to_json(item) for item in items]
    assert repr(replace(back.result, items=())) == repr(replace(result, items=()))
    assert back.result.items[1].answer == "\ud800 <script>\x00\n"


def test_the_same_record_makes_the_same_file(tmp_path: Path) -> None:
    result = result_of("rivers", [choice_item(0, right=True)])
    record = record_of(result, baseline_from(result))
    write_task(tmp_path / "a", record)
    write_task(tmp_path / "b", record)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"plain", "cannot be read"),
        (gzip.compress(b"")[:-6], "cannot be read"),
        (gzip.compress(b""), "not a task of a recorded run"),
        (gzip.compress(b'{"format": 2}'), "format 2, and this pytest-lmeval reads format 1"),
        (gzip.compress(b"[" * 100_000), "not a task of a recorded run"),
    ],
    # Not the bytes, which hold the time.
    ids=["plain", "cut", "empty", "newer", "nested"],
)
def test_what_is_no_task_of_a_run_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(RunError, match=problem):
        read_task(tmp_path / "x")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": 0}, "format 0"),
        ({"facts": {}}, "facts.answered is missing"),
        ({"rows": [{}]}, "missing"),
        ({"suite": {"status": "good"}}, "suite.status is 'good'"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    made_run(tmp_path / ID, n=4, lost=1)
    path = tmp_path / ID / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RunError, match=problem):
        read_run(tmp_path / ID)


def test_rows_name_no_files_elsewhere(tmp_path: Path) -> None:
    made_run(tmp_path / ID, n=4, lost=1)
    path = tmp_path / ID / "run.json"
    path.write_text(path.read_text().replace("samples/", "samples/../../"))
    with pytest.raises(RunError, match=r"expected a file in samples/"):
        read_run(tmp_path / ID)


def test_runs_are_found_by_name(tmp_path: Path) -> None:
    older, newer = new_id(0.0), new_id(90_000.0)
    for name in (newer, older):
        made_run(tmp_path / name, n=4, lost=1)
    assert [folder.name for folder in run_folders(tmp_path)] == [older, newer]
    assert find_run(tmp_path, "last").facts.id == find_run(tmp_path, "19700102").facts.id == newer
    assert find_run(tmp_path, str(tmp_path / older)).facts.id == older
    with pytest.raises(RunError, match=rf"1970: 2 recorded runs in .*; the latest: {newer}, {older}"):
        find_run(tmp_path, "1970")
    with pytest.raises(RunError, match=r"x: no recorded runs in .*; the latest: none"):
        find_run(tmp_path / "nowhere", "x")


def test_of_one_second_the_last_is_the_one_that_ended_last(tmp_path: Path) -> None:
    for at, name in enumerate(("20261129-201137-ffff", "20261129-201137-0000")):
        made_run(tmp_path / name, n=2, lost=1)
        os.utime(tmp_path / name / "run.json", (at, at))
    assert find_run(tmp_path, "last").facts.id == "20261129-201137-0000"


def test_only_the_latest_are_kept(tmp_path: Path) -> None:
    names = [new_id(at * 1000.0) for at in range(4)]
    for name in names:
        made_run(tmp_path / name, n=4, lost=1)
    (tmp_path / "mine").mkdir()
    unfinished = tmp_path / new_id(5.0)
    unfinished.mkdir()
    prune(tmp_path, 2)
    assert [folder.name for folder in run_folders(tmp_path)] == names[2:]
    assert (tmp_path / "mine").is_dir()
    assert unfinished.is_dir()


def test_names_of_files() -> None:
    names = {
        samples_name("a", "x/../y"),
        samples_name("b", "x/../y"),
        samples_name("a", "x"),
        samples_name("a", "é\ud800"),
    }
    assert len(names) == 4
    assert all(name.startswith("samples/") and name.count("/") == 1 for name in names)


GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "me/it",
    "GITHUB_RUN_ID": "7",
    "GITHUB_REF": "refs/pull/12/merge",
    "GITHUB_HEAD_REF": "faster",
    "GITHUB_SHA": "0123456789",
}
GITLAB = {
    "GITLAB_CI": "true",
    "CI_COMMIT_SHA": "0123456789",
    "CI_COMMIT_REF_NAME": "faster",
    "CI_JOB_URL": "https://x/1",
}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Origin()),
        ({"CI": "true"}, Origin(ci="ci")),
        (
            GITHUB,
            Origin(
                ci="github",
                commit="0123456789",
                branch="faster",
                change="12",
                url="https://github.com/me/it/actions/runs/7",
            ),
        ),
        (GITLAB, Origin(ci="gitlab", commit="0123456789", branch="faster", url="https://x/1")),
        (GITLAB | {"CI_COMMIT_SHA": "$(reboot)"}, Origin(ci="gitlab", branch="faster", url="https://x/1")),
    ],
)
def test_where_a_run_was_made(tmp_path: Path, environment: dict[str, str], expected: Origin) -> None:
    assert origin_of(tmp_path, environment) == expected
    assert Origin.from_json(expected.to_json(), "") == expected
