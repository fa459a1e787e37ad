"""Corpus metrics of generated text against reference texts, by sacreBLEU: BLEU, chrF, chrF++, TER (0 to 100).

A document's value is (reference or references, answer). Standard errors are from sacreBLEU's own bootstrap over
documents, which resamples its counts and not the texts: half its 95 % interval over 1.96. It takes its seed from
``SACREBLEU_SEED``, 12345 by default.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

from pytest_lmeval.tasks.aggregation.base import RESAMPLES, Aggregation, Counts, Estimate, Values, nothing_of

# sacreBLEU holds the counts of all resamples at once: at most two million documents, some 200 MB.
_RESAMPLED_DOCUMENTS = 2_000_000
_FEWEST_RESAMPLES = 100
_HALF_INTERVAL = 1.96


def _corpus(name: str, make: Callable[[], Any]) -> Aggregation:
    def reduce(pairs: Values) -> tuple[Estimate, Counts]:
        metric = _in_floats(make())
        kept = _keeping(metric)
        resamples = max(_FEWEST_RESAMPLES, min(RESAMPLES, _RESAMPLED_DOCUMENTS // len(pairs)))
        score = metric.corpus_score(*_columns(name, pairs), n_bootstrap=resamples)
        counts = [tuple(map(float, row)) for row in kept]
        if len(pairs) < 2:
            return (float(score.score), None), counts
        shown = score.format(width=9, signature=metric.get_signature().format(), is_json=True)
        # No interval is given around a mean of 0: then every resample has the same score.
        stderr = float(json.loads(shown).get("confidence_var", 0.0)) / _HALF_INTERVAL
        return (float(score.score), stderr), counts

    return Aggregation(
        name,
        lambda pairs: reduce(pairs)[0][0],
        lambda pairs: reduce(pairs)[0][1],
        nothing_of,
        package="sacrebleu",
        counts=lambda pairs, choices: reduce(pairs)[1],
        # Most of the time goes into counting, which all need.
        together=reduce,
    )


def _keeping(metric: Any) -> list[Any]:
    """Return a list that will hold the documents' statistics once ``metric`` has computed a score from them."""
    kept: list[Any] = []
    extract = metric._extract_corpus_statistics

    def extracted(*columns: Any) -> Any:
        kept[:] = extract(*columns)
        return kept

    metric._extract_corpus_statistics = extracted
    return kept


def _in_floats(metric: Any) -> Any:
    """Scores of Python's float alone: sacreBLEU averages those of all resamples, where 0.0 meets numpy's float32."""
    compute = metric._compute_score_from_stats

    def computed(stats: Any) -> Any:
        score = compute(stats)
        score.score = float(score.score)
        return score

    metric._compute_score_from_stats = computed
    return metric


def _columns(name: str, pairs: Values) -> tuple[list[str], list[tuple[str | None, ...]]]:
    """Return the answers, and the documents' first references, second references, and so on.

    Where documents differ in how many they have, the missing ones are None; the reference drops the surplus ones.
    """
    golds = [_texts(name, "target", gold) for gold, _ in pairs]
    answers = [_texts(name, "answer", answer) for _, answer in pairs]
    if any(len(answer) != 1 for answer in answers):
        raise TypeError(f"{name} needs one answer per document: end the filters with take_first")
    return [answer for (answer,) in answers], list(zip_longest(*golds))


def _texts(name: str, what: str, value: Any) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not texts or not all(isinstance(text, str) for text in texts):
        raise TypeError(f"{name} compares texts; found the {what} {value!r}")
    return list(texts)


def _bleu() -> Any:
    from sacrebleu.metrics import BLEU

    return BLEU()


def _chrf() -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF()


def _chrf_plus_plus() -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF(word_order=2)


def _ter() -> Any:
    from sacrebleu.metrics import TER

    return TER()


TRANSLATION = (
    _corpus("bleu", _bleu),
    _corpus("chrf", _chrf),
    _corpus("chrf++", _chrf_plus_plus),
    _corpus("ter", _ter),
)
