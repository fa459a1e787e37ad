"""How the history's tables came about, step by step, by Alembic."""
