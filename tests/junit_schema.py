"""The schema of JUnit files that Jenkins' xUnit plugin publishes, from the source distribution of pytest.

pytest checks its own files by it, and no wheel has it: ``make`` puts the archive beside the environment's packages.
"""

from __future__ import annotations

import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

# Read here: before each test the environment is cleaned of it.
_IN_CI = bool(os.environ.get("CI"))
_FOLDER = Path(sys.prefix) / "schemas"
_COMMAND = f"python -m pip download --no-deps --no-binary=pytest --dest={_FOLDER} pytest==9.2.0"


def junit_schema() -> Any:
    """Read the schema. In CI its absence is a failure, elsewhere a skip."""
    for archive in sorted(_FOLDER.glob("pytest-*.tar.gz")):
        with tarfile.open(archive) as tar:
            name = next(name for name in tar.getnames() if name.endswith("/junit-10.xsd"))
            file = tar.extractfile(name)
            assert file is not None
            return etree.XMLSchema(etree.parse(file))
    reason = f"the schema of JUnit files is not here: {_COMMAND}"
    if _IN_CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
