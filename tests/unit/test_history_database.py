"""The history on SQLite and on a PostgreSQL server that this module starts."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, inspect, select, text

from pytest_lmeval.errors import HistoryError
from pytest_lmeval.history import database as database_module
from pytest_lmeval.history.database import Database, upgrade
from pytest_lmeval.history.entries import settings_of
from pytest_lmeval.history.remembering import remember
from pytest_lmeval.history.schema import METADATA, RESULTS, REVISIONS, RUNS, VERSION_TABLE
from pytest_lmeval.runs.run import Run

from .history_writer import write_at_once
from .postgresql_server import Server, binaries, running
from .recorded_runs import made_run

Where = Path | str


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Server]:
    found = binaries()
    if found is None:
        reason = "needs PostgreSQL's server (on Debian: apt-get install postgresql)"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with running(found) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    """A database that does not exist yet, or has nothing in it."""
    if request.param == "sqlite":
        return tmp_path / ".lmeval" / "history.db"
    server: Server = request.getfixturevalue("postgresql")
    return server.url(server.new_database())


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return made_run(tmp_path / "20260802-101500-ab12")


def later(run: Run, number: int, **origin: Any) -> Run:
    facts = run.facts
    name = f"20260802-101500-{number:04x}"
    return replace(
        run, facts=replace(facts, id=name, started=facts.started + number, origin=replace(facts.origin, **origin))
    )


def counted(where: Where) -> tuple[int, int]:
    with Database(where).reading() as connection:
        runs, results = (connection.scalar(select(func.count()).select_from(table)) for table in (RUNS, RESULTS))
    return int(runs or 0), int(results or 0)


def test_what_a_run_leaves(where: Where, run: Run) -> None:
    assert remember(run, where).trends[("rivers", "acc")] == ()
    with Database(where).reading() as connection:
        line = connection.execute(select(RUNS)).one()
        row = connection.execute(select(RESULTS).where(RESULTS.c.task == "rivers")).one()
    assert (line.run, line.model, line.backend, line.branch) == (run.facts.id, "demo", "fake", "main")
    assert (line.commit, line.failed, line.verdict) == (run.facts.origin.commit, True, "regressed")
    assert line.options == {"limit": None, "seed": 1234}
    assert line.environment == {"python": "3.11.7", "torch": "2.13.0"}
    assert (row.value, row.baseline, row.difference) == pytest.approx((2 / 3, 1.0, -1 / 3))
    assert (row.n, row.verdict, row.passed, row.flips_regressed, row.main) == (60, "regressed", False, 20, True)
    assert row.low < row.difference < row.high < 0 < row.p < 1e-5
    # Answers and prompts are not in it.
    assert "river" not in str({**row._mapping, "task": "", "nodeid": ""}).lower()


def test_past_values_reach_the_reports(where: Where, run: Run) -> None:
    for number in range(3):
        remember(later(run, number), where)
    # Another pull request's run is no part of the past; one of this branch's is, and so is an older one written later.
    remember(later(run, 5, change="17"), where)
    remember(later(run, 9), where)
    points = remember(later(run, 7), where).trends[("rivers", "acc")]
    assert [point.run[-4:] for point in points] == ["0000", "0001", "0002"]
    assert {(point.n, point.verdict, point.branch) for point in points} == {(60, "regressed", "main")}
    assert [point.value for point in points] == pytest.approx([2 / 3] * 3)
    assert [p.run[-4:] for p in remember(later(run, 6, change="17"), where).trends[("rivers", "acc")]][-1] == "0005"


def test_what_is_asked_otherwise_is_in_another_trend(where: Where, run: Run) -> None:
    remember(run, where)
    options = {**run.facts.options, "system": "Be brief."}
    other = later(replace(run, facts=replace(run.facts, options=options)), 1)
    assert remember(other, where).trends[("rivers", "acc")] == ()
    rows = tuple(replace(row, settings="of another task file") for row in run.rows)
    assert remember(later(replace(run, rows=rows), 2), where).trends[("rivers", "acc")] == ()


def test_runners_that_write_at_once_lose_nothing(where: Where) -> None:
    """Four processes begin together on a database without tables, each with several runs."""
    processes, runs = 4, 6
    assert write_at_once(where, processes, runs) == [0] * processes
    assert counted(where) == (processes * runs, 3 * processes * runs)
    with Database(where).reading() as connection:
        names = connection.scalars(select(RUNS.c.run)).all()
    assert len(set(names)) == processes * runs


def test_an_older_schema_is_brought_up_to_date_and_keeps_its_rows(where: Where, run: Run, request: Any) -> None:
    statements = Path(__file__).with_name("history_0001.sql").read_text(encoding="utf-8")
    statements = statements.replace("SETTINGS", settings_of(run, run.rows[0]))
    if isinstance(where, Path):
        where.parent.mkdir()
        with sqlite3.connect(where) as connection:
            connection.executescript(statements)
    else:
        server: Server = request.getfixturevalue("postgresql")
        name = re.search(r"/(history_\w+)", where)
        assert name is not None
        # As the revision itself makes them: with PostgreSQL's own counter for the keys.
        with Database(where)._engine.begin() as connection:
            upgrade(connection, "0001")
        rows = [f"INSERT INTO{part.rsplit(';', 1)[0]}" for part in statements.split("INSERT INTO")[2:]]
        server.execute(*rows, database=name[1])
        server.execute(
            *(f"SELECT setval('lmeval_{table}_id_seq', 1)" for table in ("runs", "results")), database=name[1]
        )
    (point,) = remember(run, where).trends[("rivers", "acc")]
    assert (point.run, point.value, point.commit) == ("20260701-080000-0001", 0.9, "0a1b2c3d4e")
    assert counted(where) == (2, 4)
    with Database(where).reading() as connection:
        assert connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == REVISIONS[-1]


def test_a_newer_schema_is_left_alone(where: Where, run: Run) -> None:
    remember(run, where)
    with Database(where).writing() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0099'"))
    with pytest.raises(HistoryError, match=r"revision '0099', and this pytest-lmeval knows them up to .* upgrade"):
        remember(run, where)
    with Database(where)._engine.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(RUNS)) == 1


def test_steps_that_fail_leave_nothing_behind(where: Where, run: Run) -> None:
    database = Database(where)
    if isinstance(where, Path):
        where.parent.mkdir()
    with database._engine.execution_options(lmeval_writes=True).begin() as connection:
        connection.execute(text("CREATE TABLE lmeval_results (somebody TEXT)"))
    with pytest.raises(HistoryError, match="already exists"):
        remember(run, where)
    with database._engine.begin() as connection:
        assert inspect(connection).get_table_names() == ["lmeval_results"]


def test_a_run_is_written_whole_or_not_at_all(where: Where, run: Run) -> None:
    remember(run, where)
    broken = pytest.raises(HistoryError, match=r"(?i)not.null")
    with broken, Database(where).writing() as connection:
        values = connection.execute(select(RUNS)).mappings().one()
        connection.execute(insert(RUNS).values({**values, "id": None, "run": "half"} | {"id": 77}))
        connection.execute(text("INSERT INTO lmeval_results (run_id) VALUES (77)"))
    assert counted(where) == (1, 3)


def test_the_steps_make_the_tables_that_the_code_describes(where: Where, run: Run) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(database_module._MIGRATIONS))
    assert tuple(step.revision for step in script.walk_revisions())[::-1] == REVISIONS
    remember(run, where)
    with Database(where).reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, METADATA) == []


def test_texts_that_a_database_refuses_are_stored_without(where: Where, run: Run) -> None:
    facts = replace(run.facts, model="hf:./m\udcff\0", options={"system": "\0\ud800", "top": float("inf")})
    rows = tuple(replace(row, value=float("nan"), tokens=2**40) for row in run.rows)
    remember(replace(run, facts=facts, rows=rows), where)
    with Database(where).reading() as connection:
        line = connection.execute(select(RUNS.c.model, RUNS.c.options)).one()
    assert line == ("hf:./m?", {"system": "?", "top": "inf"})


def test_an_error_tells_where_and_no_password(postgresql: Server, run: Run) -> None:
    with pytest.raises(
        HistoryError, match=r"^postgresql\+psycopg://postgres:\*\*\*@/postgres: .*authentication"
    ) as error:
        remember(run, postgresql.url(password="hunter2-hunter2"))
    assert "hunter2" not in str(error.value)
    with pytest.raises(HistoryError, match="--lm-history: not a URL") as error:
        remember(run, "postgresql+psycopg://me:hunter2@host:port/x")
    assert "hunter2" not in str(error.value)
    with pytest.raises(HistoryError, match="does not exist"):
        remember(run, postgresql.url("elsewhere"))


def test_a_server_that_does_not_answer_is_not_waited_for(run: Run) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(HistoryError, match=f"{address}/x: .*timeout"):
            remember(run, f"postgresql+psycopg://{address}/x?connect_timeout=2")
    with pytest.raises(HistoryError, match="refused"):
        remember(run, f"postgresql+psycopg://{address}/x")


def test_a_driver_that_is_missing_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(HistoryError, match=r"psycopg is not installed: pip install 'pytest-lmeval\[postgresql\]'"):
        Database("postgresql+psycopg://host/x")


def _not_a_database(folder: Path) -> Path:
    path = folder / "text.db"
    path.write_text("no database " * 100)
    return path


def _below_a_file(folder: Path) -> Path:
    return _not_a_database(folder) / "history.db"


@pytest.mark.parametrize(
    ("make", "told"), [(_not_a_database, "file is not a database"), (_below_a_file, "(Not a directory|File exists)")]
)
def test_a_file_that_cannot_be_used(make: Callable[[Path], Path], told: str, tmp_path: Path, run: Run) -> None:
    path = make(tmp_path)
    with pytest.raises(HistoryError, match=f"^{path}: {told}"):
        remember(run, path)


def test_a_file_that_another_process_holds(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.db"
    remember(run, path)
    monkeypatch.setattr(database_module, "WAITING", 0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(HistoryError, match="database is locked"):
        remember(later(run, 1), path)
    other.execute("ROLLBACK")
    other.close()
    remember(later(run, 1), path)
    assert counted(path) == (2, 6)


def test_only_our_own_folder_is_hidden_from_git(tmp_path: Path, run: Run) -> None:
    remember(run, tmp_path / ".lmeval" / "history.db")
    remember(run, tmp_path / "team" / "history.db")
    assert (tmp_path / ".lmeval" / ".gitignore").read_text() == "/.gitignore\n/history.db*\n"
    assert [path.name for path in (tmp_path / "team").iterdir()] == ["history.db"]
    assert {path.name for path in (tmp_path / ".lmeval").iterdir()} == {".gitignore", "history.db"}
