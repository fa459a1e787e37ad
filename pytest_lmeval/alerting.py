"""Tell a team of a run's verdict, where it asked to be told."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_lmeval.errors import HistoryError, SettingsError
from pytest_lmeval.options import Settings
from pytest_lmeval.runs.run import Run
from pytest_lmeval.state import SETTINGS


class AlertPlugin:
    """Registered where ``--lm-notify`` was given. What it cannot send is a yellow line, and changes no outcome."""

    def __init__(self, config: pytest.Config) -> None:
        self._settings: Settings = config.stash[SETTINGS]
        self._remarks: list[str] = []

    def pytest_lmeval_run_finished(self, run: Run) -> None:
        """Send the alert, if there is anything to tell."""
        from pytest_lmeval.alerts.message import message_of
        from pytest_lmeval.alerts.outcome import Outcome, is_due
        from pytest_lmeval.alerts.sending import send

        settings = self._settings.alerts
        then = self._before(run)
        if not is_due(settings.on, Outcome.of(run), then):
            return
        try:
            self._remarks += send(settings.urls, message_of(run, then))
        except SettingsError as error:
            self._remarks.append(f"no alert was sent: {error}")

    def _before(self, run: Run) -> Any:
        """The outcome of the run before this one, None where none is known."""
        where = self._settings.history.where
        if where is None:
            return None
        from pytest_lmeval.history.previous import previous_outcome

        try:
            return previous_outcome(run, where)
        except HistoryError:
            # Told already where this run was to be appended.
            return None

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what was not sent."""
        for remark in self._remarks:
            terminalreporter.write_line(remark, yellow=True)
