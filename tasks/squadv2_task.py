"""SQuAD 2.0 as lm-eval asks it, scored without the download of a metric.

The scores are those of the official script (Rajpurkar, Jia, Liang, 2018), in percent. An answer of nothing says that
there is none, and "no answer" is the right one where people gave no other.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lm_eval.tasks.squadv2.task import SQuAD2 as Reference

Pairs = Sequence[tuple[dict[str, Any], dict[str, Any]]]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


class SQuAD2(Reference):  # type: ignore[misc]
    """The reference's task; examples work too, for which its methods lack an argument."""

    def doc_to_text(self, doc: dict[str, Any], doc_to_text: Any = None) -> str:
        """Return title, paragraph and question."""
        return str(super().doc_to_text(doc))

    def doc_to_target(self, doc: dict[str, Any], doc_to_target: Any = None) -> str:
        """Return the first answer."""
        return str(super().doc_to_target(doc))

    def aggregation(self) -> dict[str, Callable[[Pairs], float]]:
        """Return how each metric is computed from all documents."""
        means = {
            f"{prefix}{name}": partial(_mean, getter, wanted)
            for prefix, wanted in (("", (True, False)), ("HasAns_", (True,)), ("NoAns_", (False,)))
            for name, getter in (("exact", Scored.of_exact), ("f1", Scored.of_f1))
        }
        return {**means, "best_exact": partial(_best, Scored.of_exact), "best_f1": partial(_best, Scored.of_f1)}


@dataclass(frozen=True, slots=True)
class Scored:
    """One document: how well the text agrees with an answer, and how probable the model finds that there is none."""

    has_answer: bool
    says_nothing: bool
    exact: float
    f1: float
    no_answer: float

    @classmethod
    def of(cls, prediction: dict[str, Any], reference: dict[str, Any]) -> Scored:
        """Score the text against the answer that it fits best."""
        text = prediction["prediction_text"]
        answers = [answer for answer in reference["answers"]["text"] if _normalised(answer)]
        return cls(
            has_answer=bool(reference["answers"]["text"]),
            says_nothing=not text,
            exact=max(float(_normalised(answer) == _normalised(text)) for answer in answers or [""]),
            f1=max(_f1(answer, text) for answer in answers or [""]),
            no_answer=prediction["no_answer_probability"],
        )

    def of_exact(self) -> float:
        """1 where an answer is matched."""
        return self.exact

    def of_f1(self) -> float:
        """The F1 of the words."""
        return self.f1


def _mean(value: Callable[[Scored], float], wanted: tuple[bool, ...], pairs: Pairs) -> float:
    """Return the mean over the documents with, or without, an answer; 0 where there are none."""
    values = [value(scored) for scored in _all(pairs) if scored.has_answer in wanted]
    return 100.0 * sum(values) / len(values) if values else 0.0


def _best(value: Callable[[Scored], float], pairs: Pairs) -> float:
    """Return the mean at the best threshold: documents above it count as answered with nothing."""
    documents = _all(pairs)
    best = current = float(sum(not scored.has_answer for scored in documents))
    for scored in sorted(documents, key=lambda scored: scored.no_answer):
        # Where there is no answer, text takes the point away again that silence had.
        current += value(scored) if scored.has_answer else (0 if scored.says_nothing else -1)
        best = max(best, current)
    return 100.0 * best / len(documents)


def _all(pairs: Pairs) -> list[Scored]:
    return [Scored.of(prediction, reference) for prediction, reference in pairs]


def _f1(answer: str, text: str) -> float:
    """Return the F1 of two bags of words; of nothing and nothing, 1."""
    expected, found = _normalised(answer).split(), _normalised(text).split()
    if not expected or not found:
        return float(expected == found)
    common = (Counter(expected) & Counter(found)).total()
    if common == 0:
        return 0.0
    precision, recall = common / len(found), common / len(expected)
    return 2 * precision * recall / (precision + recall)


def _normalised(text: str) -> str:
    """Return the words without case, punctuation and articles."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_WITHOUT_PUNCTUATION)).split())
