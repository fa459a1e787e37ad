"""``hf_evaluate: true``: metrics of the ``evaluate`` package by name, the common ones without it and without network.

The native ones take the arguments of their namesakes there, which hand them to scikit-learn.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

from pytest_lmeval.errors import UserError
from pytest_lmeval.tasks.metrics.matching import exact_match

Classes = Sequence[Any]
Compute = Callable[..., Any]


def _accuracy(*, predictions: Classes, references: Classes, normalize: bool = True) -> dict[str, float]:
    from sklearn.metrics import accuracy_score

    return {"accuracy": float(accuracy_score(_whole(references), _whole(predictions), normalize=normalize))}


def _of_classes(name: str, function: str) -> Compute:
    """F1, precision and recall share their arguments, and give a number a class where ``average`` is null."""

    def compute(
        *,
        predictions: Classes,
        references: Classes,
        labels: Sequence[int] | None = None,
        pos_label: int = 1,
        average: str | None = "binary",
    ) -> dict[str, Any]:
        from sklearn import metrics

        golds, guesses = _whole(references), _whole(predictions)
        arguments: dict[str, Any] = {"labels": labels, "pos_label": pos_label, "average": average}
        score = getattr(metrics, function)(golds, guesses, zero_division=0.0, **arguments)
        return {name: float(score) if average is not None else score}

    return compute


def _matthews_correlation(*, predictions: Classes, references: Classes) -> dict[str, float]:
    from sklearn.metrics import matthews_corrcoef

    return {"matthews_correlation": float(matthews_corrcoef(_whole(references), _whole(predictions)))}


def _exact_match(
    *,
    predictions: Sequence[Any],
    references: Sequence[Any],
    regexes_to_ignore: Sequence[str] | None = None,
    ignore_case: bool = False,
    ignore_punctuation: bool = False,
    ignore_numbers: bool = False,
) -> dict[str, float]:
    scores = [
        exact_match(
            prediction,
            reference,
            regexes_to_ignore=regexes_to_ignore,
            ignore_case=ignore_case,
            ignore_punctuation=ignore_punctuation,
            ignore_numbers=ignore_numbers,
        )
        for prediction, reference in zip(predictions, references, strict=True)
    ]
    return {"exact_match": sum(scores) / len(scores)}


#: name: (function, the package it needs)
NATIVE: dict[str, tuple[Compute, str | None]] = {
    "accuracy": (_accuracy, "sklearn"),
    "exact_match": (_exact_match, None),
    "f1": (_of_classes("f1", "f1_score"), "sklearn"),
    "matthews_correlation": (_matthews_correlation, "sklearn"),
    "precision": (_of_classes("precision", "precision_score"), "sklearn"),
    "recall": (_of_classes("recall", "recall_score"), "sklearn"),
}

#: Other names that a task may use without saying ``hf_evaluate``, as the reference allows.
ELSEWHERE = frozenset(
    {"bertscore", "bleurt", "cer", "character", "chrf", "code_eval", "comet", "frugalscore", "glue", "google_bleu"}
    | {"mae", "mape", "meteor", "mse", "nist_mt", "rouge", "sacrebleu", "sari", "seqeval", "squad", "squad_v2"}
    | {"super_glue", "wer", "wiki_split", "xtreme_s"}
)


def load(name: str) -> Compute:
    """Load a metric with the ``evaluate`` package, which gets it from the hub. Raises UserError where it cannot."""
    native = ", ".join(sorted(NATIVE))
    if importlib.util.find_spec("evaluate") is None:
        raise UserError(f"{name!r} is not built in (of hf_evaluate's these are: {native}): pip install evaluate")
    import evaluate

    try:
        compute: Compute = evaluate.load(name).compute
    except (OSError, ImportError, ValueError) as error:  # no network, or no such metric; a package that it needs
        first = str(error).strip().splitlines()[0]
        raise UserError(f"{name!r} is not built in ({native} are), and evaluate cannot load it: {first}") from None
    return compute


def _whole(values: Sequence[Any]) -> list[int]:
    """Read classes as whole numbers, which is what the metrics there are declared for: "3" is 3."""
    try:
        return [int(value) for value in values]
    except (TypeError, ValueError):
        raise TypeError(f"expected whole numbers as classes, found {list(values)!r}") from None
