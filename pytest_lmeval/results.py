"""What an evaluated task is: values handed from scoring to the gate, the baseline and the reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Flaw(StrEnum):
    """What is wrong with an answer apart from its content.

    ``ERROR``: none came. ``NOT_A_NUMBER``: a log-probability that is none. ``EMPTY``: no text. ``REPETITION``: a text
    that goes round in circles. ``TRUNCATED``: the token limit ended it. ``NOT_EXTRACTED``: the task's filters found no
    answer in it.
    """

    ERROR = "error"
    NOT_A_NUMBER = "not a number"
    EMPTY = "empty"
    REPETITION = "repetition"
    TRUNCATED = "truncated"
    NOT_EXTRACTED = "not extracted"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricValue:
    """One aggregated metric.

    ``value`` and ``stderr`` are in the metric's own unit (accuracies between 0 and 1); ``stderr`` is None where
    no estimate exists. ``filter`` is the answer filter the metric was computed after, "none" for the default.
    ``aggregation`` names what made one value of all documents' (``mean``, ``perplexity``, ``bleu`` …): by it the gate
    chooses its test.
    """

    name: str
    filter: str
    value: float
    stderr: float | None
    higher_is_better: bool
    n: int
    aggregation: str = "mean"

    @property
    def key(self) -> str:
        """``name`` for the default filter, else ``name,filter``."""
        return metric_key(self.name, self.filter)


def metric_key(name: str, filter_name: str) -> str:
    """Spell a metric as users do: ``acc_norm``, or ``exact_match,strict-match`` after a named filter."""
    return name if filter_name == "none" else f"{name},{filter_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """One document: how it was asked, what came back, how it scored.

    ``index`` is the document's position in the evaluated split. The hashes are SHA-256 in hex: of the document,
    of everything sent to the model for it, and of the expected answer. ``scores`` maps metric keys to per-document
    values where the metric is their mean (0 or 1 for accuracies); what a median or a task's own aggregation is made of
    stands under ``key/item``. A document that was not scored has none.
    ``counts`` maps the keys of corpus metrics (bleu, chrf, ter, f1, mcc, perplexities) to the document's additive
    statistics, from whose sums over documents the metric follows. ``margin`` is the log-probability of the gold choice
    minus that of the best other, in nats, divided by the choice's length where the main metric does; None where there
    are no choices.

    ``prompt`` is the document's own part of what was asked, ``examples`` what stood before it (instructions, few-shot
    examples); of very long ones the ends.

    ``answer`` is what came back, ``extracted`` what the main metric's filter made of a text, None where it is the same.
    ``choice`` is the index of the chosen one of ``choices``. ``logprobs`` are the log-probabilities (nats) of the
    choices in their order, or the one of what was scored; empty where a text was generated. ``error`` says why nothing
    came back: such a document has neither scores nor margin. ``facets`` are the document's columns by which results can
    be broken down, ``cluster`` the value of the column whose equal values belong together.
    """

    index: int
    document_hash: str
    prompt_hash: str
    target_hash: str
    scores: Mapping[str, float]
    margin: float | None
    prompt: str
    target: str
    answer: str
    extracted: str | None = None
    choice: int | None = None
    choices: tuple[str, ...] = ()
    logprobs: tuple[float, ...] = ()
    flaw: Flaw | None = None
    error: str | None = None
    counts: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: MappingProxyType({}))
    facets: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    cluster: str | None = None
    examples: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """What determines the questions: recorded so that two results are compared only if this agrees.

    ``scoring`` is what stood for a log-likelihood where the model gives none, else None. ``task_hash`` is empty where
    the task's definition is not known.
    """

    dataset: str
    dataset_config: str | None
    split: str
    num_fewshot: int
    seed: int
    limit: str | None
    output_type: str
    generation: Mapping[str, Any] | None
    task_hash: str
    version: str | None = None
    scoring: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """One evaluated task. ``n`` documents were asked out of ``total`` in the split.

    ``unscored`` counts, by metric key, documents that should have a value and have none; the metric is over the others.
    ``alias`` is the name under which the task wants to be shown, None where that is its own. ``errors`` counts the
    documents about which the model did not answer; they are in ``items``, with their error.

    ``stopped`` says why the rest of the documents was not asked, None where all were.

    A group's aggregate is a result too: it has ``members`` (its leaf tasks), their results in ``leaves`` and no items
    of its own; ``weights`` gives the share of each leaf in a metric, 0 for one that lacks it. ``warnings`` are for
    people, in particular about documents that were not scored.
    """

    task: str
    n: int
    total: int
    metrics: tuple[MetricValue, ...]
    main_metric: str
    items: tuple[ItemResult, ...]
    settings: TaskSettings
    tokens: int = 0
    seconds: float = 0.0
    members: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unscored: Mapping[str, int] = field(default_factory=dict)
    alias: str | None = None
    errors: int = 0
    stopped: str | None = None
    leaves: tuple[TaskResult, ...] = ()
    weights: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def metric(self, key: str) -> MetricValue:
        """Find a metric by ``name`` or ``name,filter``.

        A bare name also finds the metric after a named filter where there is only one such.
        Raises KeyError, with the keys that exist, where nothing or more than one thing matches.
        """
        exact = [m for m in self.metrics if key in (m.key, f"{m.name},{m.filter}")]
        loose = exact or [m for m in self.metrics if m.name == key]
        if len(loose) == 1:
            return loose[0]
        found = "several filters of" if loose else "no"
        raise KeyError(f"{self.task} has {found} {key!r}; its metrics are {', '.join(m.key for m in self.metrics)}")
