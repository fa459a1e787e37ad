"""A real Chromium, one for each module, that opens reports from files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .browser import Browser, open_browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """In CI a missing browser is a failure."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        reason = "needs Chromium and its driver (Debian: apt-get install chromium chromium-driver)"
        if IN_CI:
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    opened = open_browser(Path(chromium), Path(driver), tmp_path_factory.mktemp("profile"))
    yield opened
    opened.driver.quit()


# Read before the suite's own fixture takes it away.
IN_CI = bool(os.environ.get("CI"))
