"""Choose the sample of ``test_catalogue.py`` from a run of the whole catalogue, by family and by feature.

python -m tests.conformance.choose .lmeval/conformance/rows.jsonl > tests/conformance/sample.txt
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_lmeval.tasks.yaml_loader import FunctionReference, read_task_file
from tests.conformance.catalogue import ROOT
from tests.conformance.run import read_rows

COUNT = 300
_SECONDS = 0.8
_KINDS = ("doc_to_text", "doc_to_target", "doc_to_choice", "description", "gen_prefix", "process_docs")
_PRESENT = ("custom_dataset", "process_results", "unsafe_code", "fewshot_split", "training_split", "test_split")


def choose(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One task a family, then whatever adds most features that are rare in the sample, seeded."""
    shuffled = sorted((row for row in rows if _usable(row)), key=lambda row: str(row["task"]))
    random.Random(0).shuffle(shuffled)
    features = {row["task"]: frozenset(_features(row)) for row in shuffled}
    seen: dict[str, int] = {}
    chosen: list[Mapping[str, Any]] = []
    while shuffled and len(chosen) < COUNT:
        best = max(shuffled, key=lambda row: sum(2.0 ** -(3 * seen.get(f, 0)) for f in features[row["task"]]))
        shuffled.remove(best)
        chosen.append(best)
        for feature in features[best["task"]]:
            seen[feature] = seen.get(feature, 0) + 1
    return sorted(chosen, key=lambda row: str(row["task"]))


def _usable(row: Mapping[str, Any]) -> bool:
    return row["status"] in ("same", "same prompts", "known difference") and row["seconds"] < _SECONDS


def _features(row: Mapping[str, Any]) -> Iterator[str]:
    document = read_task_file(ROOT / row["file"])
    assert document is not None
    data = document.data
    yield f"family {Path(row['file']).parts[0]}"
    yield f"outcome {row['status']}"
    yield f"output_type {data.get('output_type')}"
    yield f"shots {data.get('num_fewshot')}"
    yield f"repeats {data.get('repeats', 1)}"
    yield f"target_delimiter {data.get('target_delimiter')!r}"
    yield f"fewshot_delimiter {data.get('fewshot_delimiter')!r}"
    yield from (f"{key} {_kind(data.get(key))}" for key in _KINDS)
    yield from (f"has {key}" for key in _PRESENT if data.get(key))
    yield from (f"fewshot {key} {_kind(value)}" for key, value in (data.get("fewshot_config") or {}).items())
    yield from (f"generation {key}" for key in data.get("generation_kwargs") or {})
    yield from _scoring(data)


def _scoring(data: Mapping[str, Any]) -> Iterator[str]:
    for metric in data.get("metric_list") or []:
        own = isinstance(metric.get("metric"), FunctionReference)
        yield f"metric {'of its own' if own else metric.get('metric')}"
        yield f"aggregation {_kind(metric.get('aggregation'))} {metric.get('aggregation')!s:.20}"
        yield from (f"metric option {key}" for key in metric if key not in ("metric", "aggregation"))
    for pipeline in data.get("filter_list") or []:
        yield f"pipeline {' '.join(str(step['function'])[:12] for step in pipeline['filter'])}"


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "template" if "{" in value else "empty" if not value else "text"
    return "absent" if value is None else type(value).__name__


if __name__ == "__main__":
    for chosen in choose(read_rows(Path(sys.argv[1]))):
        print(f"{chosen['task']}\t{chosen['file']}")
