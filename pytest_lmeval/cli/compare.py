"""``compare A B``: was the second run worse than the first, by the gate's own tests."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from pytest_lmeval.cli.places import add_runs_dir
from pytest_lmeval.cli.printing import terminal, width_of
from pytest_lmeval.errors import SettingsError
from pytest_lmeval.exchange.layout import is_output
from pytest_lmeval.gate.layers import SettingError, read_layer
from pytest_lmeval.gate.settings import Layer
from pytest_lmeval.report.kinds import REPORTS
from pytest_lmeval.report.summary import summary, write_lines
from pytest_lmeval.report.writers import write_report
from pytest_lmeval.runs.comparing import Compared, compare_runs
from pytest_lmeval.runs.folder import find_run
from pytest_lmeval.runs.run import Run

_SETTINGS = {"gate": "preset", "margin": "margin", "alpha": "alpha", "mode": "mode"}
_NAMED = "an id, its beginning, last, a folder, or what lm-evaluation-harness wrote"


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("compare", help="judge one recorded run by another")
    parser.add_argument("then", metavar="A", help=f"the run to compare with: {_NAMED}")
    parser.add_argument("now", metavar="B", help=f"the run that is judged: {_NAMED}")
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
    with tempfile.TemporaryDirectory(prefix="lmeval-compare-") as scratch:
        folder = Path(scratch)
        then, now = (_open(given.runs_dir, name, folder / "imported") for name in (given.then, given.now))
        compared = compare_runs(then, now, [layer], folder)
        _show(compared)
        for kind, path in targets:
            write_report(kind, path, compared.run)
            print(f"report written to {path}")
    return compared.run.facts.exit_status


def _open(runs: Path, name: str, scratch: Path) -> Run:
    """Open a recorded run, or what lm-evaluation-harness wrote, as it lies."""
    path = Path(name).expanduser()
    if not is_output(path):
        return find_run(runs, name)
    from pytest_lmeval.exchange.importing import import_run

    return import_run(path, scratch)


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
