"""What ``deterministic=true`` costs: ``python benchmarks/deterministic.py --data-dir=DATA_DIR``.

The demo model scores the same documents with and without the option, in turn, in one process. ``DATA_DIR`` is laid out
as ``--lm-data-dir``. Log-probabilities of both are compared as well.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from pytest_lmeval.backends.demo import DemoOptions
from pytest_lmeval.backends.demo import plugin as demo_plugin
from pytest_lmeval.backends.protocol import Backend, LoglikelihoodAnswer, LoglikelihoodRequest
from pytest_lmeval.tasks.catalogue import Catalogue
from pytest_lmeval.tasks.evaluation import Evaluation
from pytest_lmeval.tasks.groups import Group
from pytest_lmeval.tasks.limits import Limit
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.sources import builtin_tasks


def requests(task: str, shots: int, documents: int, data_dir: Path) -> list[LoglikelihoodRequest]:
    """Return the requests of the first documents of a task; of a group's tasks in turn, 12 of each."""
    catalogue = Catalogue([builtin_tasks()])
    found = catalogue.load(catalogue.find(task)[0])
    leaves = found.leaves() if isinstance(found, Group) else [found]
    each = 12 if isinstance(found, Group) else documents
    options = EvaluationOptions(num_fewshot=shots, data_dir=data_dir, limit=Limit.parse(f"first:{each}"))
    ids = itertools.count()
    asked = (Evaluation(leaf, options).requests(ids) for leaf in itertools.islice(leaves, -(-documents // each)))
    return [request for part in asked for request in part if isinstance(request, LoglikelihoodRequest)]


def seconds(backend: Backend, asked: Sequence[LoglikelihoodRequest]) -> tuple[tuple[float, float], dict[int, float]]:
    """Answer everything; return wall and CPU seconds, and log-probabilities."""
    wall, cpu = time.perf_counter(), time.process_time()
    answers = list(backend.loglikelihood(iter(asked)))
    took = time.perf_counter() - wall, time.process_time() - cpu
    return took, {answer.id: answer.logprob for answer in answers if isinstance(answer, LoglikelihoodAnswer)}


def compare(name: str, asked: Sequence[LoglikelihoodRequest], backends: dict[bool, Backend], rounds: int) -> None:
    """Measure in turn and print one line."""
    times: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    values: dict[bool, dict[int, float]] = {}
    for number in range(rounds):
        for chosen in (False, True) if number % 2 else (True, False):
            took, values[chosen] = seconds(backends[chosen], asked)
            times[chosen].append(took)
    apart = max(abs(values[False][key] - values[True][key]) for key in values[True])
    print(f"{name}: {len(asked)} requests, largest difference {apart:.1e} nats")
    for kind, clock in enumerate(("wall", "CPU")):
        plain, fixed = (statistics.median(took[kind] for took in times[chosen]) for chosen in (False, True))
        print(f"  {clock}: without {plain:.1f} s, with {fixed:.1f} s, x{fixed / plain:.2f}", flush=True)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--batch-tokens", type=int, help="of the deterministic model")
    chosen = parser.parse_args()
    asked = {
        f"{task} {shots}-shot": requests(task, shots, chosen.documents, chosen.data_dir)
        for task, shots in (("hellaswag", 0), ("mmlu", 5))
    }
    backends = {
        fixed: demo_plugin.open(
            "",
            DemoOptions(deterministic=fixed, dtype=chosen.dtype, batch_tokens=chosen.batch_tokens if fixed else None),
        )
        for fixed in (False, True)
    }
    print({key: backends[True].info.details[key] for key in ("engine", "batch_tokens", "threads", "torch")}, flush=True)
    for name, some in asked.items():
        compare(name, some, backends, chosen.rounds)


if __name__ == "__main__":
    main()
