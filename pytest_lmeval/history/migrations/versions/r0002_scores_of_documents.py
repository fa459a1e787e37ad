"""The documents' scores: two runs are compared document by document, which sees what two values do not."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns. What was recorded before has no scores, and stays in the trends."""
    op.add_column("lmeval_results", sa.Column("documents", sa.Text))
    op.add_column("lmeval_results", sa.Column("scores", sa.LargeBinary))
