"""Data sets whose documents share a text that is read: questions about one passage do not err independently.

Their columns are the default for the gate's ``cluster`` (Miller, arXiv 2411.00640, appendix A). Subjects are no
clusters but strata, and so are languages.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

# (data set, configuration) patterns and the column, as in ``idx.paragraph`` for one inside another.
_COLUMNS = (
    ("*/race", "*", "article"),
    ("race", "*", "article"),
    ("*squad*", "*", "context"),
    ("*/drop", "*", "passage"),
    ("drop", "*", "passage"),
    ("*coqa*", "*", "id"),
    ("*super_glue*", "multirc", "idx.paragraph"),
    ("*super_glue*", "record", "idx.passage"),
    ("*super_glue*", "boolq", "passage"),
    ("*belebele*", "*", "flores_passage"),
)


def default_cluster(dataset: str | None, config: str | None) -> str | None:
    """Return the column whose equal values belong together in a known data set, None for any other."""
    names = (dataset or "").lower(), config or ""
    found = (c for path, name, c in _COLUMNS if fnmatchcase(names[0], path) and fnmatchcase(names[1], name))
    return next(found, None)
