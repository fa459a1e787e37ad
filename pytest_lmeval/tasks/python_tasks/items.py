"""What is kept of each document of a Python task. Its choices, where there are any, are the class's own affair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_lmeval.backends.protocol import GenerationAnswer
from pytest_lmeval.results import Flaw, ItemResult, metric_key
from pytest_lmeval.tasks.facets import Columns
from pytest_lmeval.tasks.filters.finding import extracted
from pytest_lmeval.tasks.python_tasks.metrics import ClassMetrics
from pytest_lmeval.tasks.replies import Reply
from pytest_lmeval.tasks.scoring.flaws import flaw_of_choices, flaw_of_text
from pytest_lmeval.unanswered import first_line

#: Per filter, per document: the values by metric.
Rows = Mapping[str, Mapping[int, Mapping[str, Any]]]


def make_items(
    replies: Sequence[Reply],
    rows: Rows,
    counts: Mapping[int, Mapping[str, tuple[float, ...]]],
    filtered: Mapping[int, Any],
    metrics: ClassMetrics,
    columns: Columns,
    documents: Sequence[Mapping[str, Any]],
) -> Iterator[ItemResult]:
    """Yield an item per reply.

    ``counts`` are the documents' additive statistics by metric, ``filtered`` is what the main metric's filter made of
    their first answer.
    """
    facets = columns.facets(documents, [reply.question.prompt_length for reply in replies])
    for reply, document, labels in zip(replies, documents, facets, strict=True):
        question = reply.question
        facts = _failed(reply) if reply.failures else _answered(reply, rows, filtered[question.index], metrics)
        yield ItemResult(
            index=question.index,
            document_hash=question.document_hash,
            prompt_hash=question.prompt_hash,
            target_hash=question.target_hash,
            margin=None,
            prompt=question.prompt,
            examples=question.examples,
            target=str(question.gold),
            facets=labels,
            cluster=columns.cluster_of(document),
            counts=counts.get(question.index, {}),
            **facts,
        )


def _failed(reply: Reply) -> dict[str, Any]:
    return {"scores": {}, "answer": "", "error": first_line(reply.failures[0]), "flaw": Flaw.ERROR}


def _answered(reply: Reply, rows: Rows, filtered: Any, metrics: ClassMetrics) -> dict[str, Any]:
    scores: dict[str, float] = {}
    for filter_name, scored in rows.items():
        for name, value in scored[reply.question.index].items():
            scores.update(metrics.per_document(metric_key(name, filter_name), name, value))
    first = reply.first[0]
    facts: dict[str, Any] = {"scores": scores, "answer": str(reply.responses[0][0])}
    if isinstance(first, GenerationAnswer):
        return facts | {
            "extracted": extracted(filtered, first.text),
            "flaw": flaw_of_text(first.text, truncated=first.truncated),
        }
    logprobs = tuple(a.logprob for a in reply.first if not isinstance(a, GenerationAnswer))
    return facts | {"logprobs": logprobs, "flaw": flaw_of_choices(logprobs)}
