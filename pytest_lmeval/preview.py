"""``--lm-preview=TASK[:N]``: print what a task asks, without a model, and run no tests."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_lmeval.collection import describe
from pytest_lmeval.errors import SettingsError, TaskFileError
from pytest_lmeval.options import Settings
from pytest_lmeval.report.blocks import Style
from pytest_lmeval.report.preview import Preview, format_preview
from pytest_lmeval.report.terminal import Line
from pytest_lmeval.report.visible import legend
from pytest_lmeval.tasks.catalogue import Catalogue
from pytest_lmeval.tasks.evaluation import Evaluation
from pytest_lmeval.tasks.groups import Group
from pytest_lmeval.tasks.index.build import SUFFIXES
from pytest_lmeval.tasks.python_tasks import PythonEvaluation
from pytest_lmeval.tasks.sources import open_sources
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.yaml_loader import TaskDocument, read_task_file

_DOCUMENTS = 3
#: Of a group, or of what a tag or pattern stands for, that many tasks are shown.
_TASKS = 8


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the option asks for; ``count`` documents of each task, None where it does not say."""

    name: str
    count: int | None

    @classmethod
    def parse(cls, text: str) -> _Wanted:
        match = re.fullmatch(r"(?P<name>.+?)(?::(?P<count>\d{1,9}))?", text.strip(), re.DOTALL)
        if match is None:
            raise SettingsError("--lm-preview: expected a task's name or file, as in --lm-preview=hellaswag:5")
        count = None if match["count"] is None else int(match["count"])
        if count == 0:
            raise SettingsError(f"--lm-preview={text}: expected 1 document or more")
        return cls(match["name"], count)


def show_preview(config: pytest.Config, settings: Settings, text: str) -> int:
    """Print what ``text``, as in ``hellaswag:5``, asks for. Raises UserError for mistakes in it or in the task."""
    reporter = pytest.TerminalReporter(config, sys.stdout)
    encoding = getattr(sys.stdout, "encoding", None) or ""
    style = Style(unicode="utf" in encoding.lower(), verbose=config.get_verbosity() > 0)
    try:
        for line in _lines(config, settings, _Wanted.parse(text), style):
            for piece, markup in line:
                reporter.write(piece, **markup)
            reporter.write("\n")
    except TaskFileError as error:
        raise SettingsError(describe(error, config.rootpath)) from None
    return pytest.ExitCode.OK


def _lines(config: pytest.Config, settings: Settings, wanted: _Wanted, style: Style) -> Iterator[Line]:
    tasks = _tasks(wanted.name, config, settings)
    shown = tasks[:_TASKS]
    count = wanted.count or (_DOCUMENTS if len(tasks) == 1 else 1)
    for position, spec in enumerate(shown):
        preview = _preview(spec, count, config, settings)
        if position == 0:
            yield ((legend(unicode=style.unicode), {"light": True}),)
            if len(tasks) > 1:
                yield _extent(wanted.name, count, len(shown), len(tasks), style)
        yield ()
        yield from format_preview(preview, style)


def _extent(name: str, count: int, shown: int, total: int, style: Style) -> Line:
    documents = "the first document" if count == 1 else f"the first {count} documents"
    which = "each" if shown == total else f"{shown}"
    return style.inline(f"{name}: {documents} of {which} of its {total} tasks")


def _tasks(name: str, config: pytest.Config, settings: Settings) -> list[TaskSpec]:
    """Find the task, or the leaves of a group, tag or pattern, in order and once each."""
    path = config.invocation_params.dir / Path(name).expanduser()
    named_file = path.suffix in SUFFIXES
    sources = open_sources(settings.task_sources, settings.task_paths)
    catalogue = Catalogue([*([path.parent] if named_file else []), *sources])
    documents = [_read(path, name)] if named_file else catalogue.find(name)
    found: dict[str, TaskSpec] = {}
    for document in documents:
        target = catalogue.load(document)
        for spec in target.leaves() if isinstance(target, Group) else [target]:
            found.setdefault(spec.task, spec)
    return list(found.values())


def _read(path: Path, name: str) -> TaskDocument:
    document = read_task_file(path)
    if document is None:
        raise SettingsError(f"--lm-preview={name}: the file names no task and no group; is it included by others?")
    return document


def _preview(spec: TaskSpec, count: int, config: pytest.Config, settings: Settings) -> Preview:
    root = config.rootpath
    with _no_progress_bars():
        evaluate = Evaluation if spec.python_class is None else PythonEvaluation
        evaluation = evaluate(spec, settings.evaluation)
        return Preview(
            spec=spec,
            file=str(spec.path.relative_to(root) if spec.path.is_relative_to(root) else spec.path),
            settings=evaluation.settings,
            total=evaluation.total,
            selected=evaluation.selected,
            interviews=tuple(itertools.islice(evaluation.interviews(itertools.count()), count)),
        )


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Keep the bars of ``process_docs`` out of the output: in a run pytest captures them, here nobody does."""
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
