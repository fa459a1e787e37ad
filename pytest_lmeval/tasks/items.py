"""What is kept of each document: its hashes, scores and margin, its answer, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lmeval.backends.protocol import GenerationAnswer, LoglikelihoodAnswer
from pytest_lmeval.results import Flaw, ItemResult, MetricValue, metric_key
from pytest_lmeval.tasks.aggregating import Aggregated
from pytest_lmeval.tasks.aggregation import is_gap
from pytest_lmeval.tasks.facets import Columns
from pytest_lmeval.tasks.filters.finding import Finding, extracted
from pytest_lmeval.tasks.questions import Question
from pytest_lmeval.tasks.replies import Reply
from pytest_lmeval.tasks.scoring import Scorer, chosen, gold_indices, margin
from pytest_lmeval.tasks.scoring.flaws import flaw_of_choices, flaw_of_text
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.unanswered import first_line


@dataclass(frozen=True, slots=True)
class Scored:
    """One pipeline's ``results`` per document and request, the ``rows`` of values by metric, and what these make."""

    results: list[list[Any]]
    rows: list[dict[str, Any]]
    found: Aggregated


class Items:
    """Makes the items of one task."""

    def __init__(self, spec: TaskSpec, scorer: Scorer, main: MetricValue) -> None:
        self._scorer = scorer
        self._main = main
        self._finding = Finding(spec, main.filter)
        self._chooses = spec.output_type == "multiple_choice"
        self._has_margin = self._chooses and spec.process_results is None

    def make(
        self,
        replies: Sequence[Reply],
        scored: Mapping[str, Scored],
        columns: Columns,
        documents: Sequence[Mapping[str, Any]],
    ) -> Iterator[ItemResult]:
        """Yield an item per reply; ``documents`` are theirs. ``scored`` has, by filter, those without failures."""
        facets = columns.facets(documents, [reply.question.prompt_length for reply in replies])
        position = -1
        for reply, document, labels in zip(replies, documents, facets, strict=True):
            position += not reply.failures
            facts = self._failed(reply) if reply.failures else self._answered(reply, position, scored)
            question = reply.question
            yield ItemResult(
                index=question.index,
                document_hash=question.document_hash,
                prompt_hash=question.prompt_hash,
                target_hash=question.target_hash,
                prompt=question.prompt,
                examples=question.examples,
                target=shown_target(question),
                choices=question.choices if self._chooses else (),
                facets=labels,
                cluster=columns.cluster_of(document),
                **facts,
            )

    def _failed(self, reply: Reply) -> dict[str, Any]:
        first = reply.failures[0]
        flaw = Flaw.NOT_A_NUMBER if first.kind == "nan" else Flaw.ERROR
        return {"scores": {}, "margin": None, "answer": "", "error": first_line(first), "flaw": flaw}

    def _answered(self, reply: Reply, position: int, scored: Mapping[str, Scored]) -> dict[str, Any]:
        scores = self._scores(position, scored)
        filtered = scored[self._main.filter].results[position]
        counts = {key: value for one in scored.values() for key, value in one.found.counts[position].items()}
        facts: dict[str, Any] = {"scores": scores, "counts": counts, "margin": None, "answer": _shown_answer(reply)}
        if isinstance(reply.first[0], GenerationAnswer):
            found = filtered[0] if filtered else None
            facts["extracted"] = extracted(found, reply.first[0].text)
            facts["flaw"] = self._flaw_of_text(reply.first[0], found, scores)
            return facts
        logprobs = [a.logprob for a in reply.first if not isinstance(a, GenerationAnswer)]
        facts["flaw"] = flaw_of_choices(logprobs)
        # What acc_mutual_info asks without a context comes after the choices.
        facts["logprobs"] = tuple(logprobs[: len(reply.question.choices) or None] if self._chooses else logprobs)
        if self._chooses:
            results = [request[0] for request in reply.responses]
            facts["choice"] = chosen(reply.question, results, self._main.name)
            facts["answer"] = reply.question.choices[facts["choice"]]
            facts["margin"] = margin(reply.question, results, self._main.name) if self._has_margin else None
        return facts

    def _scores(self, position: int, scored: Mapping[str, Scored]) -> dict[str, float]:
        scores: dict[str, float] = {}
        for filter_name, one in scored.items():
            for name, value in one.rows[position].items():
                if not is_gap(value):
                    aggregation = self._scorer.metric(name).aggregation
                    scores.update(aggregation.per_document(metric_key(name, filter_name), value))
        return scores

    def _flaw_of_text(self, answer: GenerationAnswer, found: Any, scores: Mapping[str, float]) -> Flaw | None:
        flaw = flaw_of_text(answer.text, truncated=answer.truncated)
        if flaw is not None:
            return flaw
        right = scores.get(self._main.key) == (1.0 if self._main.higher_is_better else 0.0)
        return Flaw.NOT_EXTRACTED if not right and self._finding.found_nothing(found, answer.text) else None


def shown_target(question: Question) -> str:
    """Spell what is right about a document: the right choices, or its target."""
    if question.choices and not isinstance(question.gold, str):
        choices = [question.choices[i] for i in gold_indices(question) if i >= 0]
        return " | ".join(choices)
    return str(question.gold)


def _shown_answer(reply: Reply) -> str:
    first = reply.first[0]
    if isinstance(first, GenerationAnswer):
        return first.text
    return "greedy" if isinstance(first, LoglikelihoodAnswer) and first.is_greedy else "not greedy"
