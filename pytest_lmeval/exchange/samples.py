"""The documents of a task as lm-evaluation-harness logs them: a line for each document and filter."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_lmeval.baselines.format import MAX_ITEMS
from pytest_lmeval.baselines.plain import FieldError, Fields
from pytest_lmeval.errors import RunError
from pytest_lmeval.runs.tasks import MAX_LINE

#: Under this key stands what lm-evaluation-harness has no place for, in files that were exported.
OWN = "pytest_lmeval"
_MOST_FILTERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtered:
    """What one filter made of the answers, one for each request, and the document's value of each metric after it."""

    answers: tuple[Any, ...]
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One document.

    ``index`` is its position in the split, ``document`` the processed row, ``target`` its target as text. ``calls`` are
    the arguments of its requests: a context, and a continuation or generation settings after it. ``responses`` has, by
    request, an answer for each repeat: a text, a log-probability (nats), or a pair of that and whether it was greedy.
    ``own`` is what an export of ours put beside it.
    """

    index: int
    document: Mapping[str, Any]
    target: str
    calls: tuple[tuple[Any, ...], ...]
    responses: tuple[tuple[Any, ...], ...]
    filters: Mapping[str, Filtered] = field(default_factory=dict)
    own: Mapping[str, Any] | None = None


def read_samples(path: Path) -> tuple[Sample, ...]:
    """Read a file of samples, by position in the split. Raises RunError, with the line, for anything else."""
    samples: dict[int, Sample] = {}
    try:
        for at, line in enumerate(_lines(path), 1):
            _add(samples, line, f"{path}:{at}")
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise RunError(f"{path}: not samples of lm-evaluation-harness: {error}") from None
    _check_filters(path, samples)
    return tuple(samples[index] for index in sorted(samples))


def _add(samples: dict[int, Sample], line: str, place: str) -> None:
    try:
        sample = _sample(Fields(json.loads(line), ""))
        samples[sample.index] = _merged(samples.get(sample.index), sample)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{place}: not a sample of lm-evaluation-harness: {error}") from None
    if len(samples) > MAX_ITEMS:
        raise RunError(f"{place}: more than {MAX_ITEMS:,} documents")


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        for line in iter(lambda: file.readline(MAX_LINE + 1), ""):
            if len(line) > MAX_LINE:
                raise ValueError(f"a line of more than {MAX_LINE:,} characters")
            if line.strip():
                yield line


def _sample(data: Fields) -> Sample:
    filtered = Filtered(
        answers=tuple(_answer(value, "filtered_resps") for value in data.sequence("filtered_resps")),
        values={name: data.raw(name) for name in data.texts("metrics")},
    )
    return Sample(
        index=data.count("doc_id"),
        document=data.mapping("doc"),
        target=data.text("target"),
        calls=_calls(data),
        responses=tuple(_responses(value) for value in data.sequence("resps")),
        filters={data.text("filter"): filtered},
        own=data.mapping(OWN) if data.has(OWN) else None,
    )


def _calls(data: Fields) -> tuple[tuple[Any, ...], ...]:
    """Read ``{"gen_args_0": {"arg_0": …, "arg_1": …}, …}`` in the order of the numbers."""
    arguments = data.fields("arguments")
    count = len(data.mapping("arguments"))
    return tuple(_in_order(arguments.mapping(f"gen_args_{at}"), f"arguments.gen_args_{at}") for at in range(count))


def _in_order(values: Mapping[str, Any], place: str) -> tuple[Any, ...]:
    try:
        return tuple(values[f"arg_{at}"] for at in range(len(values)))
    except KeyError as error:
        raise FieldError(f"{place}.{error.args[0]} is missing") from None


def _responses(value: object) -> tuple[Any, ...]:
    if not isinstance(value, list) or not value:
        raise FieldError("resps: expected a list of answers for each request")
    return tuple(_answer(answer, "resps") for answer in value)


def _answer(value: object, place: str) -> Any:
    """Read an answer; lm-evaluation-harness writes the numbers and truth values in it as texts."""
    if isinstance(value, list) and len(value) == 2 and str(value[1]) in ("True", "False", "None"):
        return _number(value[0], place), str(value[1]) == "True"
    return value


def _number(value: object, place: str) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise FieldError(f"{place}: expected a log-probability, found {str(value)[:40]!r}") from None


def _merged(known: Sample | None, new: Sample) -> Sample:
    """Add a further filter's line to a document."""
    if known is None:
        return new
    (name,) = new.filters
    if name in known.filters:
        raise FieldError(f"document {new.index} has two lines for the filter {name[:40]!r}: two runs in one file?")
    if (new.document, new.calls) != (known.document, known.calls):
        raise FieldError(f"document {new.index} is another one than in its first line")
    if len(known.filters) >= _MOST_FILTERS:
        raise FieldError(f"more than {_MOST_FILTERS} filters")
    return replace(known, filters={**known.filters, **new.filters})


def _check_filters(path: Path, samples: Mapping[int, Sample]) -> None:
    """A document that lacks a filter's line is a sign of a file that was cut off."""
    if not samples:
        raise RunError(f"{path}: no samples in it")
    names = next(iter(samples.values())).filters.keys()
    for sample in samples.values():
        if sample.filters.keys() != names:
            raise RunError(f"{path}: document {sample.index} lacks a filter that others have: the file is not whole")
