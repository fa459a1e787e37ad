"""Where the plugin keeps its state: typed keys on pytest's own stashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_lmeval.arms import BaselineArm
    from pytest_lmeval.baselines.published import PublishedScores
    from pytest_lmeval.exchange.baselines import HarnessBaselines
    from pytest_lmeval.family import Family
    from pytest_lmeval.gate.detection import Detection
    from pytest_lmeval.gate.monitor import Monitor
    from pytest_lmeval.options import Settings
    from pytest_lmeval.progress import Progress
    from pytest_lmeval.runner import Runner
    from pytest_lmeval.tasks.catalogue import Catalogue

SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
CATALOGUE: pytest.StashKey[Catalogue] = pytest.StashKey()
RUNNER: pytest.StashKey[Runner] = pytest.StashKey()
PROGRESS: pytest.StashKey[Progress] = pytest.StashKey()
RUN_ID: pytest.StashKey[str] = pytest.StashKey()
FAMILY: pytest.StashKey[Family] = pytest.StashKey()
# Only where the run chooses documents by what they have to show.
DETECTION: pytest.StashKey[Detection] = pytest.StashKey()

# Where the run is compared with another model, with published scores by task, or with a run of lm-eval.
BASELINE_ARM: pytest.StashKey[BaselineArm] = pytest.StashKey()
PUBLISHED: pytest.StashKey[Mapping[str, PublishedScores]] = pytest.StashKey()
HARNESS: pytest.StashKey[HarnessBaselines] = pytest.StashKey()

# On an item: the report rows (plain JSON values) of what it evaluated.
ROWS: pytest.StashKey[list[dict[str, Any]]] = pytest.StashKey()

# On an item: what watched its tasks while they were asked, by task.
MONITORS: pytest.StashKey[dict[str, Monitor]] = pytest.StashKey()
