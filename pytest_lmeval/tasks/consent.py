"""Tasks whose scoring runs code that the model wrote: refused unless the user has said yes.

There is no sandbox here: such code runs with the rights of the test process. Run it where it can harm nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.spec import TaskSpec

# What the metrics that run code ask for, the evaluate package's ``code_eval`` among them.
_VARIABLE = "HF_ALLOW_CODE_EVAL"


def check_consent(spec: TaskSpec, options: EvaluationOptions) -> None:
    """Raise TaskFileError where the task runs a model's code and the user has not consented."""
    if spec.unsafe_code and not options.unsafe_code:
        problem = (
            f"unsafe_code: {spec.task} runs code that the model writes, with the rights of this process. "
            "Give --lm-unsafe-code where that can harm nothing (a container without secrets and network)"
        )
        raise spec.document.error(problem, "unsafe_code")


@contextmanager
def code_allowed(spec: TaskSpec, options: EvaluationOptions) -> Iterator[None]:
    """Pass the consent on to the task's own functions, for as long as they are loaded or run."""
    if not (spec.unsafe_code and options.unsafe_code):
        yield
        return
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before
