"""What is printed of a run at its end, or when it is opened again: as much as was asked for with -q and -v."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pytest_lmeval.report.heading import format_heading
from pytest_lmeval.report.lines import YELLOW, Line
from pytest_lmeval.report.terminal import format_brief, format_suite, format_table, format_warnings
from pytest_lmeval.report.told import told_lines
from pytest_lmeval.report.told import wrapped as broken
from pytest_lmeval.report.verdicts import badness
from pytest_lmeval.runs.run import Run


def summary(run: Run, *, width: int, unicode: bool, verbosity: int = 0, wrapped: int | None = None) -> Iterator[Line]:
    """Lay out a run in lines of at most ``width`` columns; sentences are longer.

    With a ``verbosity`` of 0 the model, the table, the verdict on the run, and warnings; below that one line, below
    that nothing; from 1 on also the explanations of what passed. Sentences are broken after ``wrapped`` columns, and
    are as long as they are where that is None.
    """
    usage = run.facts.answered.usage if run.facts.answered is not None else None
    cost = usage.cost if usage is not None else None
    if not run.rows or verbosity < -1:
        return
    if verbosity < 0:
        yield format_brief(run.rows, run.suite, unicode=unicode, cost=cost)
        return
    adjusted = {} if run.suite is None else run.suite.adjusted
    yield from format_heading(run.facts, run.rows, width=width, unicode=unicode)
    yield from format_table(run.rows, width=width, unicode=unicode, adjusted=adjusted, cost=cost)
    sentences = [] if run.suite is None else list(format_suite(run.suite))
    sentences += [(warning, YELLOW) for warning in format_warnings(run.rows, unicode=unicode)]
    for sentence, markup in sentences:
        yield from (((line, markup),) for line in broken(sentence, wrapped))
    if verbosity > 0:
        for row in sorted(run.rows, key=badness):
            if row.passed and row.explanation:
                yield (("", {}),)
                yield from told_lines(row.explanation, passed=True, width=wrapped)


def write_lines(write: Callable[..., object], lines: Iterable[Line]) -> None:
    """Write lines by a terminal writer's ``write(text, **markup)``."""
    for line in lines:
        for text, markup in line:
            write(text, **markup)
        write("\n")
