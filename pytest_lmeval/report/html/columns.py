"""The documents of a task as columns: a fraction of the size of objects, and read faster.

A column whose values recur is a table of them and the places in it (``of`` and ``at``); any other is a plain list.
Texts that recur within a document stand once: an expected or given answer that is one of the choices is its number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

from pytest_lmeval.baselines.plain import write_number
from pytest_lmeval.baselines.record import BaselineItem
from pytest_lmeval.baselines.texts import kept_answer
from pytest_lmeval.gate.causes.account import Account
from pytest_lmeval.gate.causes.measure import Measure
from pytest_lmeval.gate.pairing import Pair
from pytest_lmeval.report.html.changes import change_of, is_right
from pytest_lmeval.results import ItemResult

# Log-probabilities of a half-precision model have fewer digits than this.
_DIGITS = 5
# Few-shot examples are drawn from one pool: the parts between empty lines recur, the whole need not.
_PART = re.compile(r".*?\n\n+|.+\Z", re.DOTALL)
# The longest spelling of one character: what room a text that was cut may have left.
_ROOM = "x" * 12


def columns(items: Sequence[ItemResult], pairs: Sequence[Pair], measure: Measure, account: Account | None) -> Any:
    """Make the columns of all documents, in their order; ``then`` has those of the baseline."""
    paired = {pair.now.index: pair for pair in pairs}
    of_items = [paired.get(item.index) for item in items]
    kinds = {flip.index: flip.kind.value for flip in account.flips} if account else {}
    gains = [None if pair is None else measure.gain(pair) for pair in of_items]
    return {
        "n": len(items),
        "index": [item.index for item in items],
        "change": pack(change_of(item, pair, measure).value for item, pair in zip(items, of_items, strict=True)),
        "kind": pack(kinds.get(item.index) for item in items),
        "right": pack(is_right(item, measure) for item in items),
        "gain": pack(map(_number, gains)),
        "prompt": pack(item.prompt for item in items),
        "examples": _examples(items),
        "target": pack(_among(item.target, item.choices) for item in items),
        "answer": pack(_among(item.answer, item.choices) for item in items),
        "choices": pack(item.choices for item in items),
        "logprobs": [list(map(_number, item.logprobs)) for item in items],
        "scores": _mapped(items, lambda item: item.scores, _exact),
        "facets": _mapped(items, lambda item: item.facets, str),
        **{name: pack(getattr(item, name) for item in items) for name in ("extracted", "error", "cluster", "choice")},
        **_common(items),
        **{name: pack(getattr(item, name) for item in items) for name in _HASHES},
        "then": None if not paired else _then(of_items),
    }


_HASHES = ("document_hash", "prompt_hash", "target_hash")


def pack(values: Iterable[Hashable]) -> Any:
    """Make a column: a list, or where at most half of the values are different, a table and the places in it."""
    kept = list(values)
    # By type as well: 1 and True are equal, and are not the same.
    places: dict[tuple[type, Hashable], int] = {}
    at = [places.setdefault((type(value), value), len(places)) for value in kept]
    if 2 * len(places) > len(kept):
        return kept
    return {"of": [value for _, value in places], "at": at}


def _examples(items: Sequence[ItemResult]) -> Any:
    """What stood before the prompts: ``parts`` is the table of texts, ``of`` and ``at`` lists of places in it."""
    parts: dict[str, int] = {}
    split: dict[str, tuple[int, ...]] = {"": ()}
    for item in items:
        if item.examples not in split:
            found = _PART.findall(item.examples)
            split[item.examples] = tuple(parts.setdefault(part, len(parts)) for part in found)
    return {"parts": list(parts), "places": pack(split[item.examples] for item in items)}


def _then(pairs: Sequence[Pair | None]) -> dict[str, Any]:
    thens = [None if pair is None else pair.then for pair in pairs]
    return {
        "index": [None if then is None else then.index for then in thens],
        "answer": pack(None if then is None else then.answer for then in thens),
        "extracted": pack(None if then is None else then.extracted for then in thens),
        "choice": pack(None if then is None else then.choice for then in thens),
        "scores": _mapped(thens, lambda then: {} if then is None else then.scores, _exact),
        "compared": pack(None if pair is None else _compared(pair) for pair in pairs),
        "changed": pack(None if pair is None else _answered_otherwise(pair) for pair in pairs),
        **_common(thens),
    }


def _common(items: Sequence[ItemResult | BaselineItem | None]) -> dict[str, Any]:
    return {
        "margin": [None if item is None or item.margin is None else _number(item.margin) for item in items],
        "flaw": pack(None if item is None or item.flaw is None else item.flaw.value for item in items),
    }


def _compared(pair: Pair) -> int | None:
    """How much of the new text can be compared, in UTF-16 units as the page counts; None where all can.

    Of the old one a file keeps the beginning.
    """
    then = pair.then.answer
    if then is None or kept_answer(then + _ROOM) == then + _ROOM:
        return None
    return len(kept_answer(pair.now.answer).encode("utf-16-le", "surrogatepass")) // 2


def _answered_otherwise(pair: Pair) -> bool | None:
    """Whether the answer is another one than before, as far as that was recorded."""
    if pair.now.choices or pair.then.answer is None:
        then, now = pair.then.choice, pair.now.choice
        return None if then is None or now is None else then != now
    return kept_answer(pair.now.answer) != pair.then.answer


def _among(text: str, choices: Sequence[str]) -> str | int:
    return choices.index(text) if text in choices else text


def _mapped(
    items: Sequence[Any], values_of: Callable[[Any], Mapping[str, Any]], plain: Callable[[Any], Hashable]
) -> dict[str, Any]:
    values = [values_of(item) for item in items]
    names = dict.fromkeys(name for each in values for name in each)
    return {name: pack(plain(each[name]) if name in each else None for each in values) for name in names}


def _number(value: float | None) -> float | str | None:
    return None if value is None else write_number(round(value, _DIGITS))


def _exact(value: float) -> float | str:
    return write_number(value)
