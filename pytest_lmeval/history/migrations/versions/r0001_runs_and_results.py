"""Runs and their results."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "lmeval_runs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("revision", sa.Text),
        sa.Column("backend", sa.Text),
        sa.Column("against", sa.Text),
        sa.Column("commit", sa.Text),
        sa.Column("branch", sa.Text),
        sa.Column("ci", sa.Text),
        sa.Column("url", sa.Text),
        sa.Column("change", sa.Text),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("environment", sa.JSON, nullable=False),
        sa.Column("exit_status", sa.Integer, nullable=False),
        sa.Column("verdict", sa.Text),
        sa.Column("failed", sa.Boolean, nullable=False),
        sa.Column("tasks", sa.Text, nullable=False),
    )
    op.create_index("lmeval_runs_by_model", "lmeval_runs", ["model", "started"])
    op.create_table(
        "lmeval_results",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.Integer, sa.ForeignKey("lmeval_runs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("nodeid", sa.Text, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("main", sa.Boolean, nullable=False),
        sa.Column("higher_is_better", sa.Boolean, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("stderr", sa.Double),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("baseline", sa.Double),
        sa.Column("difference", sa.Double),
        sa.Column("low", sa.Double),
        sa.Column("high", sa.Double),
        sa.Column("p", sa.Double),
        sa.Column("mde", sa.Double),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("flips_regressed", sa.Integer, nullable=False),
        sa.Column("flips_improved", sa.Integer, nullable=False),
        sa.Column("errors", sa.Integer, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
    )
    op.create_index("lmeval_results_by_run", "lmeval_results", ["run_id"])
