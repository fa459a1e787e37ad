"""CPU time to build every request of five-shot MMLU: ``python benchmarks/request_building.py DATA_DIR``.

``DATA_DIR`` is laid out as ``--lm-data-dir``. Reading the documents counts; answering does not happen.
"""

from __future__ import annotations

import itertools
import resource
import sys
import time
from pathlib import Path

from pytest_lmeval.tasks.catalogue import Catalogue
from pytest_lmeval.tasks.evaluation import Evaluation
from pytest_lmeval.tasks.groups import Group
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.sources import builtin_tasks

SHOTS = 5


def main(data_dir: Path) -> None:
    """Build and count the requests; print documents, requests, CPU seconds and peak memory."""
    import datasets  # noqa: F401 - importing it is no part of building requests

    started = time.process_time()
    catalogue = Catalogue([builtin_tasks()])
    mmlu = catalogue.load(catalogue.find("mmlu")[0])
    assert isinstance(mmlu, Group)
    options = EvaluationOptions(num_fewshot=SHOTS, data_dir=data_dir)
    ids = itertools.count()
    documents = requests = 0
    for leaf in mmlu.leaves():
        evaluation = Evaluation(leaf, options)
        requests += sum(1 for _ in evaluation.requests(ids))
        documents += evaluation.selected
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{documents:,} documents  {requests:,} requests  {seconds:.2f} s CPU  {peak:,.0f} MiB peak")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
