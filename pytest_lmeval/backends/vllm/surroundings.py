"""An engine changes the process that it starts in. Here is what it changes, and how that is put back."""

from __future__ import annotations

import gc
import logging
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

# Who wants to hear more sets this logger's level; the plugin does so for -v.
VOICE = logging.getLogger("pytest_lmeval")

# Read by vLLM when it is imported: its own handler writes to the stream that was standard output then, which under
# pytest is closed by the time the engine stops. Statistics about users are nobody's business.
IMPORT_SETTINGS = {"VLLM_CONFIGURE_LOGGING": "0", "VLLM_NO_USAGE_STATS": "1"}


class Surroundings:
    """The environment, the random generators and the loggers, as they were before an engine."""

    def __init__(self) -> None:
        self._environment = dict(os.environ)
        self._level = logging.getLogger("vllm").level
        self._frozen = gc.get_freeze_count() > 0

    def restore(self) -> None:
        """Put back what the engine needed as long as it ran."""
        _put_back(self._environment, lambda key: True)
        logging.getLogger("vllm").setLevel(self._level)
        gc.unfreeze()
        if self._frozen:
            gc.freeze()

    def restore_others(self) -> None:
        """Put back what concerns others now that the engine has started; it reads ``VLLM_…`` while it runs too.

        ``LD_PRELOAD`` and its like would reach every process that a test starts.
        """
        _put_back(self._environment, lambda key: not key.startswith("VLLM_"))


def _put_back(environment: Mapping[str, str], concerns: Callable[[str], bool]) -> None:
    for key in [key for key in os.environ if key not in environment and concerns(key)]:
        del os.environ[key]
    os.environ.update({key: value for key, value in environment.items() if concerns(key)})


@contextmanager
def starting(surroundings: Surroundings) -> Iterator[None]:
    """Hold this around importing vLLM and starting an engine; then what the engine can do without is put back."""
    os.environ.update({key: value for key, value in IMPORT_SETTINGS.items() if key not in os.environ})
    try:
        with _voice(), _random_state(), _threads(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        surroundings.restore_others()


@contextmanager
def _voice() -> Iterator[None]:
    """Let the engine be heard while it starts, where that is wanted. Its level stays, the rest does not."""
    factory, logger = logging.getLogRecordFactory(), logging.getLogger("vllm")
    wanted = VOICE.isEnabledFor(logging.INFO)
    logger.setLevel(VOICE.getEffectiveLevel() if wanted else logging.CRITICAL)
    handler = logging.StreamHandler() if wanted else logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logging.setLogRecordFactory(factory)


@contextmanager
def _random_state() -> Iterator[None]:
    """Keep the random generators: an engine in this process seeds them all."""
    python, numpy = random.getstate(), np.random.get_state()
    import torch

    cpu = torch.get_rng_state()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if devices:
            torch.cuda.set_rng_state_all(devices)


@contextmanager
def _threads() -> Iterator[None]:
    """Keep torch's number of threads, the function that sets it, and who shows exceptions.

    A CPU engine replaces that function by one that does nothing, and torch's process group puts its rank before each
    line of a traceback.
    """
    import torch

    hook = sys.excepthook
    function, count = torch.set_num_threads, torch.get_num_threads()
    cores = os.sched_getaffinity(0) if sys.platform == "linux" else None
    try:
        yield
    finally:
        sys.excepthook = hook
        torch.set_num_threads = function
        if torch.get_num_threads() != count:
            torch.set_num_threads(count)
        if cores is not None and os.sched_getaffinity(0) != cores:
            os.sched_setaffinity(0, cores)
