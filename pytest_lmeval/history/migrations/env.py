"""Run by Alembic: takes the steps on the connection that it is given, in that connection's transaction."""

from __future__ import annotations

from alembic import context

from pytest_lmeval.history.schema import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
