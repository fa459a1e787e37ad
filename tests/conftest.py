"""What every part of the suite uses."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

# The engines' environment has no hypothesis, and no test that needs it.
if os.environ.get("CI") and find_spec("hypothesis") is not None:
    from hypothesis import settings

    # The same examples each time: what is found on a machine of one's own is no reason for another's change to fail.
    settings.register_profile("ci", derandomize=True)
    settings.load_profile("ci")

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
    for name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
