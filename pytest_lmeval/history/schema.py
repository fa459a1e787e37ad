"""The tables of the history. A change here is a further revision in ``migrations/versions/``."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

#: The revisions there are, the oldest first. What is in a database that is not one of these is newer than this code.
REVISIONS = ("0001", "0002")
#: Not Alembic's own name: the database may be one that another application migrates.
VERSION_TABLE = "lmeval_schema_version"

METADATA = MetaData()

#: A line per run. ``started`` is in seconds since 1970 (UTC), ``tasks`` a digest of what was evaluated.
RUNS = Table(
    "lmeval_runs",
    METADATA,
    # Two runners may draw one name within a second, and neither may be lost by it: the key is a number of its own.
    Column("id", Integer, primary_key=True),
    Column("run", Text, nullable=False),
    Column("started", Double, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("model", Text, nullable=False),
    Column("revision", Text),
    Column("backend", Text),
    Column("against", Text),
    Column("commit", Text),
    Column("branch", Text),
    Column("ci", Text),
    Column("url", Text),
    Column("change", Text),
    Column("options", JSON, nullable=False),
    Column("environment", JSON, nullable=False),
    Column("exit_status", Integer, nullable=False),
    Column("verdict", Text),
    Column("failed", Boolean, nullable=False),
    Column("tasks", Text, nullable=False),
    Index("lmeval_runs_by_model", "model", "started"),
)

#: A line per metric of an evaluated task. ``main`` is the metric that decided; ``settings`` is a digest of what
#: determines the questions, so that only comparable values make a trend. ``baseline``, ``difference``, its 95 %
#: interval ``low`` to ``high``, ``p`` and ``mde`` are None where nothing was compared. ``scores`` are the documents'
#: (see :mod:`~pytest_lmeval.history.scores`), ``documents`` a digest of which documents these are.
RESULTS = Table(
    "lmeval_results",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run_id", Integer, ForeignKey("lmeval_runs.id", ondelete="CASCADE"), nullable=False),
    Column("nodeid", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("main", Boolean, nullable=False),
    Column("higher_is_better", Boolean, nullable=False),
    Column("value", Double),
    Column("stderr", Double),
    Column("n", Integer, nullable=False),
    Column("baseline", Double),
    Column("difference", Double),
    Column("low", Double),
    Column("high", Double),
    Column("p", Double),
    Column("mde", Double),
    Column("verdict", Text, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("flips_regressed", Integer, nullable=False),
    Column("flips_improved", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("settings", Text, nullable=False),
    Column("documents", Text),
    Column("scores", LargeBinary),
    Index("lmeval_results_by_run", "run_id"),
)
