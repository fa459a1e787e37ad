"""What is asked of both engines: documents of real benchmarks, as this package builds their requests."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_lmeval.backends.protocol import GenerationRequest, LoglikelihoodRequest, Request, RollingRequest
from pytest_lmeval.errors import SettingsError
from pytest_lmeval.suggestions import nearest
from pytest_lmeval.tasks.catalogue import Catalogue
from pytest_lmeval.tasks.evaluation import Evaluation
from pytest_lmeval.tasks.limits import Limit
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.sources import Source, builtin_tasks
from pytest_lmeval.tasks.spec import TaskSpec, parse_task
from pytest_lmeval.tasks.yaml_loader import TaskDocument

Document = Sequence[Request]

FIRST_N = {"fewshot_config": {"sampler": "first_n"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many documents: ``ours`` in all, ``peer`` of them timed with lm-eval, ``trial`` of these for its batch."""

    ours: int
    peer: int
    trial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Tasks with their number of shots. ``overrides`` are keys of the task file, replaced whole.

    ``sizes`` are the defaults: about 9,000 tokens for the peer, half a minute on 2 CPU cores with 135M parameters.
    """

    name: str
    tasks: tuple[str, ...]
    shots: int
    sizes: Sizes
    overrides: Mapping[str, Any] = field(default_factory=dict)


MMLU = ("mmlu_astronomy", "mmlu_professional_law", "mmlu_high_school_psychology")

WORKLOADS = (
    Workload(name="hellaswag-0shot", tasks=("hellaswag",), shots=0, sizes=Sizes(ours=24, peer=24, trial=8)),
    # From the split that is evaluated: the only one that local copies have. No document is its own example.
    Workload(
        name="hellaswag-10shot",
        tasks=("hellaswag",),
        shots=10,
        sizes=Sizes(ours=3, peer=3, trial=2),
        overrides={"fewshot_split": "validation"},
    ),
    Workload(name="mmlu-5shot", tasks=MMLU, shots=5, sizes=Sizes(ours=300, peer=9, trial=6)),
    Workload(name="arc_challenge-25shot", tasks=("arc_challenge",), shots=25, sizes=Sizes(ours=3, peer=3, trial=2)),
    Workload(
        name="arc_challenge-25shot-first_n",
        tasks=("arc_challenge",),
        shots=25,
        sizes=Sizes(ours=100, peer=3, trial=2),
        overrides=FIRST_N,
    ),
    Workload(name="lambada", tasks=("lambada_openai",), shots=0, sizes=Sizes(ours=100, peer=100, trial=32)),
    Workload(name="wikitext", tasks=("wikitext",), shots=0, sizes=Sizes(ours=2, peer=2, trial=2)),
    Workload(name="gsm8k-8shot", tasks=("gsm8k",), shots=8, sizes=Sizes(ours=8, peer=8, trial=4), overrides=FIRST_N),
)


def chosen(names: Sequence[str], workloads: Sequence[Workload] = WORKLOADS) -> list[Workload]:
    """Find ``workloads`` by name, all of them for no name. Raises SettingsError."""
    known = {workload.name: workload for workload in workloads}
    for name in names:
        if name not in known:
            raise SettingsError(f"--workloads: there is no {name!r}.{nearest(name, known)} Known: {', '.join(known)}")
    return [known[name] for name in names] if names else list(workloads)


def resized(sizes: Sizes, documents: int | None, peer: int | None) -> Sizes:
    """Apply the user's counts. The peer never gets more than ours, nor the trial more than the peer.

    Where by default the peer is timed on fewer documents, ``documents`` alone leaves that as it is.
    """
    ours = documents or sizes.ours
    default = ours if sizes.peer == sizes.ours else sizes.peer
    theirs = min(peer or default, ours)
    return Sizes(ours=ours, peer=theirs, trial=min(sizes.trial, theirs))


def build(
    workload: Workload, documents: int, data_dir: Path | None, sources: Sequence[Source | Path] = ()
) -> list[Document]:
    """Return the requests of ``documents`` documents, drawn with a seed and spread evenly over the tasks.

    Raises DatasetError where the data cannot be had.
    """
    catalogue = Catalogue(sources or [Source("builtin", (builtin_tasks(),))])
    ids = itertools.count()
    share = math.ceil(documents / len(workload.tasks))
    options = EvaluationOptions(limit=Limit.parse(share), num_fewshot=workload.shots, data_dir=data_dir)
    built: list[list[Document]] = []
    for name in workload.tasks:
        evaluation = Evaluation(_spec(catalogue, name, workload.overrides), options)
        built.append([interview.requests for interview in evaluation.interviews(ids)])
    # Task after task, as a run of tests asks them, and of each as many as of the others.
    turns = [document for turn in itertools.zip_longest(*built) for document in turn if document is not None]
    kept = {id(document) for document in turns[:documents]}
    return [document for task in built for document in task if id(document) in kept]


def _spec(catalogue: Catalogue, name: str, overrides: Mapping[str, Any]) -> TaskSpec:
    document = catalogue.find(name)[0]
    return parse_task(TaskDocument(document.path, {**document.data, **overrides}, document.lines))


def spread(count: int, wanted: int) -> list[int]:
    """Return ``wanted`` of ``count`` positions, evenly spaced, the first among them."""
    return [place * count // wanted for place in range(min(count, wanted))] if wanted < count else list(range(count))


def for_trial(documents: Sequence[Document], wanted: int) -> list[Document]:
    """Return documents from the longest down, evenly spaced: what fits the memory here fits it later too."""
    ordered = sorted(documents, key=lambda document: -sum(map(_characters, document)))
    return [ordered[place] for place in spread(len(ordered), wanted)]


def operation(documents: Sequence[Document]) -> str:
    """The backend's operation that answers these requests."""
    match documents[0][0]:
        case LoglikelihoodRequest():
            return "loglikelihood"
        case RollingRequest():
            return "loglikelihood_rolling"
        case GenerationRequest():
            return "generate_until"


def _characters(request: Request) -> int:
    match request:
        case LoglikelihoodRequest():
            return len(str(request.context)) + len(request.continuation)
        case RollingRequest():
            return len(request.text)
        case GenerationRequest():
            return len(str(request.context))
