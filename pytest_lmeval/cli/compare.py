"""``compare A B``: was the second run worse than the first, by the gate's own tests."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from pytest_lmeval.cli.places import add_runs_dir
from pytest_lmeval.cli.printing import terminal, width_of
from pytest_lmeval.errors import SettingsError
from pytest_lmeval.gate.layers import SettingError, read_layer
from pytest_lmeval.gate.settings import Layer
from pytest_lmeval.report.kinds import REPORTS
from pytest_lmeval.report.summary import summary, write_lines
from pytest_lmeval.report.writers import write_report
from pytest_lmeval.runs.comparing import Compared, compare_runs
from pytest_lmeval.runs.folder import find_run

_SETTINGS = {"gate": "preset", "margin": "margin", "alpha": "alpha", "mode": "mode"}


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("compare", help="judge one recorded run by another")
    parser.add_argument("then", metavar="A", help="the run to compare with: an id, its beginning, last, or a folder")
    parser.add_argument("now", metavar="B", help="the run that is judged")
    for option, what in (
        ("gate", "preset: default, lossless, quantized, finetune, smoke or strict"),
        ("mode", "regression or noninferiority"),
        ("margin", "how much worse is acceptable, as in 1pp or 2%%"),
        ("alpha", "rate of false alarms, over all tasks"),
    ):
        parser.add_argument(f"--{option}", help=what)
    parser.add_argument("--report", action="append", default=[], metavar="KIND:PATH", help=f"{', '.join(REPORTS)}")
    add_runs_dir(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Compare, print, write reports; 1 where the second run is worse. Raises UserError."""
    layer = _layer(given)
    targets = [_target(text) for text in given.report]
    then, now = (find_run(given.runs_dir, name) for name in (given.then, given.now))
    with tempfile.TemporaryDirectory(prefix="lmeval-compare-") as folder:
        compared = compare_runs(then, now, [layer], Path(folder))
        _show(compared)
        for kind, path in targets:
            write_report(kind, path, compared.run)
            print(f"report written to {path}")
    return compared.run.facts.exit_status


def _show(compared: Compared) -> None:
    writer, unicode = terminal()
    run = compared.run
    for row in run.rows:
        if not row.passed:
            print(f"{row.explanation}\n")
    print(f"run {run.facts.id} of {run.facts.model}, compared with {run.facts.against}")
    write_lines(writer.write, summary(run, width=width_of(writer), unicode=unicode))
    for what, names in (("first", compared.only_then), ("second", compared.only_now)):
        if names:
            print(f"only in the {what} run: {', '.join(names)}")


def _layer(given: argparse.Namespace) -> Layer:
    said = {key: getattr(given, option) for option, key in _SETTINGS.items() if getattr(given, option)}
    try:
        return read_layer(said)
    except SettingError as error:
        option = next(option for option, key in _SETTINGS.items() if key == error.key)
        raise SettingsError(f"--{option}={said[error.key]}: {error.problem}") from None


def _target(text: str) -> tuple[str, Path]:
    kind, separator, path = text.partition(":")
    if not separator or not path or kind not in REPORTS:
        raise SettingsError(f"--report={text}: expected one of {', '.join(f'{kind}:PATH' for kind in REPORTS)}")
    return kind, Path(path).expanduser()
