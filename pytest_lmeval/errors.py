"""The exceptions of this package.

::

    LMEvalError
    ├── UserError                something the user wrote or asked for; shown without a traceback
    │   ├── SettingsError        a command line option, ini key or environment variable
    │   ├── ModelSpecError       --lm-model: unknown backend, unknown key, missing extra
    │   ├── TaskFileError        a task file: path, line, what was found, what was expected
    │   ├── DatasetError         a dataset that cannot be found or read
    │   ├── BaselineError        a baseline file that is missing, unreadable or of another format
    │   ├── RunError             a recorded run that does not exist or cannot be read
    │   └── HistoryError         the database of past runs: it cannot be reached, read or written
    └── BackendError             the model or its engine failed: infrastructure, not quality

    QualityError(AssertionError) the model answered, and not well enough
"""

from __future__ import annotations

from pathlib import Path


class LMEvalError(Exception):
    """Anything that this package raises on purpose, quality apart."""


class UserError(LMEvalError):
    """A mistake of the user's; its text says where, what was found and what to do."""


class SettingsError(UserError):
    """An option, ini key or environment variable has a value that cannot be used."""


class ModelSpecError(UserError):
    """``--lm-model`` names a backend, key or package that does not exist here."""


class DatasetError(UserError):
    """A dataset or a split of it cannot be found or read."""


class BaselineError(UserError):
    """A baseline file is missing where one is required, unreadable, or of another format."""


class RunError(UserError):
    """A recorded run does not exist, or a file of it cannot be read."""


class HistoryError(UserError):
    """The database of past runs cannot be reached, read or written."""


class TaskFileError(UserError):
    """A task file cannot be used."""

    def __init__(self, path: Path | str, line: int | None, problem: str) -> None:
        self.path = Path(path)
        self.line = line
        self.problem = problem
        super().__init__(self._said(self.path))

    def below(self, root: Path) -> str:
        """The message with the path relative to ``root``, where it lies below."""
        return self._said(self.path.relative_to(root) if self.path.is_relative_to(root) else self.path)

    def _said(self, path: Path) -> str:
        return f"{path}:{self.line}: {self.problem}" if self.line is not None else f"{path}: {self.problem}"


class BackendError(LMEvalError):
    """The model, its engine or its server failed on one or more requests."""


class QualityError(AssertionError):
    """The model answered and the answers are not good enough: a test failure, not an error."""
