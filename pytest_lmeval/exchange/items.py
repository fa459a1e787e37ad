"""From a logged document to an item of ours, with the hashes that the same document has in a run of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pytest_lmeval.exchange.readings import Meaning, Reading
from pytest_lmeval.exchange.samples import Sample
from pytest_lmeval.results import Flaw, ItemResult, MetricValue
from pytest_lmeval.tasks.filters.finding import extracted
from pytest_lmeval.tasks.generation import settings_of
from pytest_lmeval.tasks.items import shown_target
from pytest_lmeval.tasks.questions import Question, content_hash, prompt_hash, split
from pytest_lmeval.tasks.scoring import chosen, margin
from pytest_lmeval.tasks.scoring.flaws import flaw_of_choices, flaw_of_text

#: What lm-evaluation-harness's own filters put where they find no answer.
_NOT_FOUND = "[invalid]"


@dataclass(frozen=True, slots=True)
class Values:
    """A document's scores and additive statistics by metric key."""

    scores: dict[str, float]
    counts: dict[str, tuple[float, ...]]


def item_of(sample: Sample, reading: Reading, main: MetricValue, values: Values) -> ItemResult:
    """Make the item. Raises ValueError or TypeError for a sample that is not of the task's kind."""
    meaning = reading.meaning(sample)
    question = _question(sample, meaning, reading)
    facts = _wrote(sample, main, values) if _writes(reading) else _scored(sample, question, meaning, reading, main)
    return ItemResult(
        index=sample.index,
        document_hash=question.document_hash,
        prompt_hash=question.prompt_hash,
        target_hash=question.target_hash,
        scores=MappingProxyType(values.scores),
        counts=MappingProxyType(values.counts),
        prompt=question.prompt,
        examples=question.examples,
        target=sample.target if meaning.gold is None else shown_target(question),
        **facts,
    )


def _writes(reading: Reading) -> bool:
    return reading.settings.output_type == "generate_until"


def _question(sample: Sample, meaning: Meaning, reading: Reading) -> Question:
    if not sample.calls or not sample.calls[0] or not isinstance(sample.calls[0][0], str):
        raise TypeError("arguments: expected the text that was asked")
    prompt = sample.calls[0][0]
    # Where the examples end and the document begins is not logged.
    examples, own = split(prompt)
    return Question(
        index=sample.index,
        calls=len(sample.calls),
        choices=meaning.choices,
        gold=meaning.gold,
        examples=examples,
        prompt=own,
        prompt_length=len(prompt),
        document_hash=content_hash(sample.document),
        prompt_hash=_prompt_hash(sample, reading),
        target_hash=content_hash(sample.target if meaning.gold is None else meaning.gold),
    )


def _prompt_hash(sample: Sample, reading: Reading) -> str:
    if not _writes(reading):
        return prompt_hash(sample.calls, None)
    context, *settings = sample.calls[0]
    if len(settings) != 1 or not isinstance(settings[0], dict):
        raise TypeError("arguments: expected a context and generation settings")
    return prompt_hash([(context,)], settings_of(settings[0], reading.seed))


def _wrote(sample: Sample, main: MetricValue, values: Values) -> dict[str, Any]:
    text = str(sample.responses[0][0])
    found = sample.filters[main.filter].answers if main.filter in sample.filters else ()
    flaw = flaw_of_text(text, truncated=False)
    right = values.scores.get(main.key) == (1.0 if main.higher_is_better else 0.0)
    if flaw is None and not right and _NOT_FOUND in found and _NOT_FOUND not in text:
        flaw = Flaw.NOT_EXTRACTED
    return {
        "margin": None,
        "answer": text,
        "extracted": extracted(found[0], text) if found else None,
        "flaw": flaw,
    }


def _scored(
    sample: Sample, question: Question, meaning: Meaning, reading: Reading, main: MetricValue
) -> dict[str, Any]:
    results = [_result(responses) for responses in sample.responses]
    logprobs = [logprob for logprob, _ in results]
    count = len(meaning.choices)
    facts: dict[str, Any] = {
        "margin": None,
        "answer": "greedy" if results[0][1] else "not greedy",
        "flaw": flaw_of_choices(logprobs),
        "logprobs": tuple(logprobs[: count or None]),
    }
    if count and len(results) >= count:
        choice = chosen(question, results, main.name)
        facts |= {"choices": meaning.choices, "choice": choice, "answer": meaning.choices[choice]}
        if reading.has_margins and _is_choice(meaning.gold):
            facts["margin"] = margin(question, results, main.name)
    return facts


def _result(responses: Sequence[Any]) -> tuple[float, bool]:
    """A pair for a continuation, a number, as text, for a whole text."""
    first = responses[0]
    return first if isinstance(first, tuple) else (float(first), False)


def _is_choice(gold: Any) -> bool:
    return isinstance(gold, int | str) or (isinstance(gold, list) and all(isinstance(g, int | str) for g in gold))
