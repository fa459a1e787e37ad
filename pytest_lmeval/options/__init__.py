"""Command line, environment and ini to one frozen :class:`Settings`.

Each option ``--lm-name`` is also the ini key ``lm_name`` and the environment variable ``PYTEST_LMEVAL_NAME``.
The command line wins over the environment, the environment over the ini file.
"""

from pytest_lmeval.baselines.update import Update
from pytest_lmeval.options.baseline import CHANGED, UPDATE_BASELINE, Arm, BaselineSettings, Harness, Published, Stored
from pytest_lmeval.options.gate import GateSettings, SuiteTest
from pytest_lmeval.options.settings import ReportTarget, Settings, add_options, parse_pairs, read_settings

__all__ = [
    "CHANGED",
    "UPDATE_BASELINE",
    "Arm",
    "BaselineSettings",
    "GateSettings",
    "Harness",
    "Published",
    "ReportTarget",
    "Settings",
    "Stored",
    "SuiteTest",
    "Update",
    "add_options",
    "parse_pairs",
    "read_settings",
]
