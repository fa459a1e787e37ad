"""``--lm-from-run``: show a recorded run again and write reports of it. No model, no tests."""

from __future__ import annotations

import pytest

from pytest_lmeval.cli.printing import terminal, width_of
from pytest_lmeval.errors import SettingsError
from pytest_lmeval.options import Settings
from pytest_lmeval.report.summary import summary, write_lines
from pytest_lmeval.report.writers import write_report
from pytest_lmeval.runs.folder import find_run


def reopen(settings: Settings, name: str) -> int:
    """Print the run and write what ``--lm-report`` asks for; the exit status is the run's own. Raises UserError."""
    if settings.model is not None:
        raise SettingsError(
            f"--lm-from-run={name} and --lm-model={settings.model}: a recorded run is shown as it was, and no model is "
            "asked; give one of them"
        )
    run = find_run(settings.runs.folder, name)
    writer, unicode = terminal()
    writer.sep("=", f"run {run.facts.id} of {run.facts.model}")
    write_lines(writer.write, summary(run, width=width_of(writer), unicode=unicode))
    for target in settings.reports:
        try:
            write_report(target.kind, target.path, run)
        except OSError as error:
            raise SettingsError(f"no report at {target.path}: {error.strerror or error}") from None
        writer.line(f"report written to {target.path}")
    return pytest.ExitCode.TESTS_FAILED if run.facts.exit_status else pytest.ExitCode.OK
