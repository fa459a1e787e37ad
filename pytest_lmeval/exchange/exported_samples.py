"""A document of ours as lm-evaluation-harness logs one.

A recorded run has of a document what was asked, not the row of the data set: in ``doc`` stands that. Prompts are the
ends that were kept. Whether a choice would have been written greedily is not known: ``None`` stands in its place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_lmeval.baselines.plain import plain
from pytest_lmeval.exchange.samples import OWN
from pytest_lmeval.results import ItemResult, MetricValue
from pytest_lmeval.runs.tasks import TaskRecord


def samples_of(record: TaskRecord, documents: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the lines of a task's file: all documents for one filter, then for the next.

    ``documents`` are the items in plain values; each stands beside the document's first line.
    """
    filters = list(dict.fromkeys(metric.filter for metric in record.result.metrics))
    for position, name in enumerate(filters):
        metrics = [metric for metric in record.result.metrics if metric.filter == name]
        for item, own in zip(record.result.items, documents, strict=True):
            line = _sample(record, item, name, metrics)
            yield line | ({OWN: own} if position == 0 else {})


def hash_text(text: str) -> str:
    """SHA-256 in hex, as lm-evaluation-harness hashes; a lone surrogate, which UTF-8 lacks, counts as its escape."""
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def _sample(record: TaskRecord, item: ItemResult, filter_name: str, metrics: Sequence[MetricValue]) -> dict[str, Any]:
    document = _document(item)
    arguments = {
        f"gen_args_{at}": {f"arg_{place}": part for place, part in enumerate(call)}
        for at, call in enumerate(_calls(record, item))
    }
    responses = _responses(record, item)
    values = {metric.name: value for metric in metrics if (value := _value(item, metric)) is not None}
    return {
        "doc_id": item.index,
        "doc": document,
        "target": item.target,
        "arguments": arguments,
        "resps": [[response] for response in responses],
        "filtered_resps": _filtered(record, item, filter_name, responses),
        "filter": filter_name,
        "metrics": list(values),
        "doc_hash": hash_text(json.dumps(document, indent=2, ensure_ascii=False)),
        "prompt_hash": hash_text(item.examples + item.prompt),
        "target_hash": hash_text(item.target),
        **values,
    }


def _document(item: ItemResult) -> dict[str, Any]:
    found: dict[str, Any] = {"prompt": item.prompt, "target": item.target}
    if item.choices:
        found["choices"] = list(item.choices)
    return found | ({"facets": dict(item.facets)} if item.facets else {})


def _calls(record: TaskRecord, item: ItemResult) -> list[tuple[Any, ...]]:
    prompt, settings = item.examples + item.prompt, record.result.settings
    match settings.output_type:
        case "multiple_choice":
            return [(prompt, choice) for choice in item.choices] or [(prompt,)]
        case "generate_until":
            return [(prompt, plain(settings.generation or {}))]
        case "loglikelihood":
            return [(prompt, item.target)]
        case _:
            return [(prompt,)]


def _responses(record: TaskRecord, item: ItemResult) -> list[Any]:
    match record.result.settings.output_type:
        case "multiple_choice":
            return [[str(logprob), "None"] for logprob in item.logprobs]
        case "loglikelihood":
            return [[str(logprob), str(item.answer == "greedy")] for logprob in item.logprobs]
        case "loglikelihood_rolling":
            return [str(logprob) for logprob in item.logprobs]
        case _:
            return [item.answer]


def _filtered(record: TaskRecord, item: ItemResult, filter_name: str, responses: list[Any]) -> list[Any]:
    """What the main metric's filter found is kept; what another one did is not, and the answer stands in its place."""
    main = next((m for m in record.result.metrics if m.key == record.result.main_metric), None)
    if item.extracted is not None and main is not None and main.filter == filter_name:
        return [item.extracted]
    return responses


def _value(item: ItemResult, metric: MetricValue) -> Any:
    """The document's value of a metric: its own, or the pair from whose sums a perplexity follows."""
    for key in (metric.key, f"{metric.key}/item"):
        if key in item.scores:
            return item.scores[key]
    counts = item.counts.get(metric.key)
    if counts is not None and metric.aggregation == "perplexity":
        return counts[0]
    if counts is not None and metric.aggregation in ("weighted_perplexity", "bits_per_byte"):
        return list(counts)
    return None
