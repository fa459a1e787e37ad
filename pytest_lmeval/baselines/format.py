"""The text of a baseline file: JSON, small, and readable in a diff.

Ten thousand multiple-choice items must stay under 100,000 bytes, and one changed item must change one line of
them. So items stand in rows of 24, one string per line, its columns separated by blanks::

    "keys                     margins       choices     score acc    score acc_norm"
     4 characters per item    2.67 each     1 each      0.17         0.17

24, because there every column is whole base64 without padding (72, 48 and 3 bytes), near the width at which a
line is still read; a row is a complete unit, nothing runs on into the next. Outcomes in hexadecimal would
cost 1.7 kB more and be no more readable. Compression would be smaller and would turn every diff into noise.

Columns that few files need are there where one item needs them: ``flaws``, one letter each, and ``scored acc``,
which tells a document without a score from one whose score is 0.

Scores other than 0 and 1 stand apart as decimal numbers, 12 to a line, and so do the additive statistics of corpus
metrics, exactly. Of what a model wrote the beginning is kept, one text to a line; of what it chose, the number:
choices are their dataset's. Apart from those texts the file is ASCII, and its checksum is over the content, so line
ends do not matter.
"""

from __future__ import annotations

from pytest_lmeval.baselines.layout import FORMAT_VERSION, MAX_BYTES, MAX_ITEMS
from pytest_lmeval.baselines.reader import read, read_metric
from pytest_lmeval.baselines.record import Baseline, BaselineItem, from_result
from pytest_lmeval.baselines.writer import write
from pytest_lmeval.errors import BaselineError

__all__ = [
    "FORMAT_VERSION",
    "MAX_BYTES",
    "MAX_ITEMS",
    "Baseline",
    "BaselineItem",
    "dumps",
    "from_result",
    "loads",
    "read_metric",
]


def dumps(baseline: Baseline) -> str:
    """Write a baseline as text; equal baselines give equal texts."""
    return write(baseline)


def loads(text: str) -> Baseline:
    """Read a baseline. Raises BaselineError, with one sentence, for whatever :func:`dumps` did not write."""
    if len(text) > MAX_BYTES:
        raise BaselineError(f"larger than {MAX_BYTES:,} bytes: not a baseline of ours")
    try:
        return read(text)
    except RecursionError:
        raise BaselineError("nested too deeply: not a baseline of ours") from None
    except ValueError as error:
        raise BaselineError(f"not a usable baseline: {error}") from None
