"""What every part of the suite uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with models and data beside the repository; not part of it. In CI its absence is a failure."""
    folder = Path(os.environ.get("PYTEST_LMEVAL_SHARED", REPOSITORY.parent / "shared"))
    if (folder / "models").is_dir():
        return folder
    reason = f"needs the models and data of {folder} (set PYTEST_LMEVAL_SHARED)"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of whoever runs the suite must not reach the runs that are tested."""
    for name in [name for name in os.environ if name.startswith("PYTEST_LMEVAL_")]:
        if name != "PYTEST_LMEVAL_SHARED":
            monkeypatch.delenv(name)
    monkeypatch.delenv("CI", raising=False)
