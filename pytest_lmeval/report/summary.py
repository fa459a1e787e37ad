"""What is printed of a run at its end, or when it is opened again: the table, the verdict on the run, the warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pytest_lmeval.report.terminal import Line, format_suite, format_table, format_warnings
from pytest_lmeval.runs.run import Run


def summary(run: Run, *, width: int, unicode: bool) -> Iterator[Line]:
    """Lay out a run in lines of at most ``width`` columns; sentences may be longer, so that they wrap."""
    adjusted = {} if run.suite is None else run.suite.adjusted
    yield from format_table(run.rows, width=width, unicode=unicode, adjusted=adjusted)
    if run.suite is not None:
        yield from (((sentence, markup),) for sentence, markup in format_suite(run.suite))
    yield from (((warning, {"yellow": True}),) for warning in format_warnings(run.rows, unicode=unicode))


def write_lines(write: Callable[..., object], lines: Iterable[Line]) -> None:
    """Write lines by a terminal writer's ``write(text, **markup)``."""
    for line in lines:
        for text, markup in line:
            write(text, **markup)
        write("\n")
