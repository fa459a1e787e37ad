"""One process that compares tasks: name, lm-eval's file and ours a line in, an outcome as JSON a line out."""

from __future__ import annotations

import functools
import itertools
import json
import logging
import os
import sys
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

# Ours from here on; what a task's module prints goes nowhere.
_ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")


def quiet() -> None:
    """Settings of both libraries that only slow a comparison down or talk."""
    import datasets
    import lm_eval.api.task
    import lm_eval.utils

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    datasets.disable_progress_bars()
    datasets.disable_caching()
    lm_eval.api.task.tqdm = lambda items, **_: items
    # lm-eval compiles a template anew for each document; and a fingerprint of data that is not kept serves nothing.
    compiled = functools.lru_cache(maxsize=10_000)(lm_eval.utils.env.from_string)
    lm_eval.utils.env.from_string = compiled
    numbers = itertools.count()
    datasets.fingerprint.Hasher.hash = classmethod(lambda cls, value: f"{next(numbers):016x}")


def main(data: Path | None, lines: TextIO) -> None:
    """Answer line by line until the input ends."""
    from tests.conformance.catalogue import ReferenceTask
    from tests.conformance.compare import compare
    from tests.conformance.standins import install

    quiet()
    install()
    for line in lines:
        name, file, ours = json.loads(line)
        started = time.perf_counter()
        outcome = compare(ReferenceTask(name, file).path, data, Path(ours) if ours else None)
        row = {"task": name, "file": file, **asdict(outcome), "seconds": round(time.perf_counter() - started, 3)}
        print(json.dumps(row), file=_ANSWERS, flush=True)


if __name__ == "__main__":
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device, not a path of ours
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None, sys.stdin)
