"""What a task's module loads over the network or from elsewhere, as the same stand-in for both sides.

A stand-in measures nothing of worth; it depends on its input alone, so that the way there and back is compared.
"""

from __future__ import annotations

import re
import string
import sys
import zlib
from collections import Counter
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import evaluate
import nltk
import nltk.data
import nltk.tokenize
import numpy as np
import torch
from rouge_score.scoring import BootstrapAggregator
from sklearn.metrics import accuracy_score, f1_score

_USED: set[str] = set()


def install() -> None:
    """Put the stand-ins in place, for the rest of this process."""
    evaluate.load = _load
    nltk.download = lambda *_, **__: True
    # Gone in numpy 2; several tasks' scoring still names it.
    vars(np)["NAN"] = np.nan
    for name in ("bert_score", "tinyBenchmarks"):
        sys.modules.setdefault(name, _module(name))
    # Of a single score; a thousand resamples of it take seconds for each document.
    BootstrapAggregator.__init__.__defaults__ = (0.95, 10)
    _sentences()
    _squad_metrics()


def used() -> list[str]:
    """The metrics that were replaced since the last call, by name."""
    names = sorted(_USED)
    _USED.clear()
    return names


def in_use() -> bool:
    """Whether a metric was replaced since the last call of :func:`used`."""
    return bool(_USED)


def _load(path: str, *_: Any, **__: Any) -> Any:
    return _KNOWN.get(path, _Metric)(path)


def _module(name: str) -> ModuleType:
    """A package that its authors give away outside the registries, or that would bring a model."""
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    vars(module).update(evaluate=_item_response, score=_bert_score)
    return module


def _item_response(scores: Any, benchmark: str) -> dict[str, dict[str, float]]:
    value = zlib.crc32(repr([float(score) for score in scores]).encode()) % 1000 / 1000
    return {benchmark: dict.fromkeys(("irt", "pirt", "gpirt"), value)}


def _bert_score(candidates: Sequence[str], references: Sequence[str], **_: Any) -> tuple[torch.Tensor, ...]:
    value = zlib.crc32(repr((list(candidates), list(references))).encode()) % 1000 / 1000
    return (torch.tensor([value]),) * 3


def _sentences() -> None:
    """NLTK's tokenizers need a model from the network: sentences end at a full stop here, words at a space."""
    nltk.data.load = lambda *_, **__: SimpleNamespace(tokenize=_split)
    for module in (nltk, nltk.tokenize):
        module.sent_tokenize, module.word_tokenize = _split, lambda text, *_, **__: text.split()


def _split(text: str, *_: Any, **__: Any) -> list[str]:
    return re.split(r"(?<=[.!?])\s+", text)


class _Metric:
    """A metric that is on the hub alone."""

    def __init__(self, name: str) -> None:
        self._name = name

    def compute(self, predictions: Any = None, references: Any = None, **_: Any) -> Any:
        """Return a number made from what is given."""
        _USED.add(self._name)
        score = zlib.crc32(repr((predictions, references)).encode()) % 1000 / 1000
        if self._name == "code_eval":
            return {f"pass@{k}": score for k in (1, 2, 8, 10, 64, 100)}, {}
        names = (self._name, "score", "rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "exact", "f1")
        listed = {name: [score] for name in ("scores", "precision", "recall")}
        if self._name == "bertscore":
            listed["f1"] = [score]
        return {**dict.fromkeys(names, score), **listed, "precisions": [score] * 4}


class _F1(_Metric):
    """scikit-learn's, as the hub's is."""

    def compute(self, predictions: Any = None, references: Any = None, **named: Any) -> Any:
        return {"f1": float(f1_score(references, predictions, **named))}


class _Accuracy(_Metric):
    def compute(self, predictions: Any = None, references: Any = None, **named: Any) -> Any:
        return {"accuracy": float(accuracy_score(references, predictions, **named))}


_KNOWN = {"f1": _F1, "accuracy": _Accuracy}


def _squad_metrics() -> None:
    """transformers dropped the module that several tasks import; the measures are those of SQuAD."""
    module, package = ModuleType("transformers.data.metrics.squad_metrics"), ModuleType("transformers.data.metrics")
    module.normalize_answer, module.get_tokens = _normalised, _tokens  # type: ignore[attr-defined]
    module.compute_exact, module.compute_f1 = _exact, _overlap  # type: ignore[attr-defined]
    package.squad_metrics = module  # type: ignore[attr-defined]
    sys.modules[package.__name__], sys.modules[module.__name__] = package, module


def _normalised(text: str) -> str:
    bare = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def _tokens(text: str) -> list[str]:
    return _normalised(text).split() if text else []


def _exact(gold: str, predicted: str) -> int:
    return int(_normalised(gold) == _normalised(predicted))


def _overlap(gold: str, predicted: str) -> float:
    left, right = _tokens(gold), _tokens(predicted)
    if not left or not right:
        return int(left == right)
    return _harmonic(left, right)


def _harmonic(left: Sequence[str], right: Sequence[str]) -> float:
    common = sum((Counter(left) & Counter(right)).values())
    if not common:
        return 0
    precision, recall = common / len(right), common / len(left)
    return 2 * precision * recall / (precision + recall)
