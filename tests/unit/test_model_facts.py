"""What a worker of xdist's tells of its model at the end of a run."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import execnet
import torch

from pytest_lmeval.backends.fake import FakeBackend
from pytest_lmeval.backends.protocol import ModelInfo, Usage
from pytest_lmeval.model_facts import ModelFacts


class Odd(FakeBackend):
    @property
    def info(self) -> ModelInfo:
        details: dict[str, Any] = {"torch": torch.__version__, "folder": PurePosixPath("a"), "layers": 2, "exact": True}
        return ModelInfo(backend="odd", name="x", details=details)

    @property
    def usage(self) -> Usage:
        return Usage(calls=3, cost=0.5)


def test_a_worker_can_send_what_its_model_is() -> None:
    # xdist's own serialisation, which knows text and no kinds of it.
    sent = execnet.loads(execnet.dumps(ModelFacts.of(Odd()).to_json()))
    facts = ModelFacts.from_json(sent)
    assert facts.info["details"] == {"torch": str(torch.__version__), "folder": "a", "layers": 2, "exact": True}
    assert facts.usage == Usage(calls=3, cost=0.5)
