"""Compare one task here with the same task in lm-evaluation-harness."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.yaml_loader import read_task_file
from tests.conformance import answers, standins
from tests.conformance.build import Built, NotBuildableError, build
from tests.conformance.ours import Ours, load_spec
from tests.conformance.reference import SEED, Reference, load_config

SAME = "same"
PROMPTS = "same prompts"
DIFFERENT = "different"
KNOWN = "known difference"
NOT_RUNNABLE = "not runnable"
# Few-shot examples asked for where the file leaves the number open.
FORCED_SHOTS = 2


# Other answers are tried where the reference cannot score the first ones.
_ANSWER_SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Outcome:
    """What the comparison of a task came to.

    ``detail`` is the first difference, or why a part could not be compared. ``same prompts`` means that lm-eval
    itself could not score any of the answers, or not by the metric that a file of ours computes;
    ``known difference`` that it is a documented fault of lm-eval's.
    """

    status: str
    detail: str = ""
    requests: int = 0
    metrics: int = 0
    real: bool = False
    standins: tuple[str, ...] = ()


def first_difference(
    theirs: Sequence[Any], ours: Sequence[Any], label: str, allowed: Collection[int] = ()
) -> str | None:
    """Word where two lists of requests differ first, whitespace visible; not at the places ``allowed``."""
    for number, (expected, found) in enumerate(zip(theirs, ours, strict=False)):
        if expected != found and number not in allowed:
            return f"{label}, request {number}: {_parts(expected, found)}"
    if len(theirs) != len(ours):
        return f"{label}: {len(theirs)} requests expected, {len(ours)} found"
    return None


def _parts(expected: tuple[Any, ...], found: tuple[Any, ...]) -> str:
    if len(expected) != len(found):
        return f"expected {_short(expected)}, found {_short(found)}"
    place, (left, right) = next(
        (i, pair) for i, pair in enumerate(zip(expected, found, strict=True)) if pair[0] != pair[1]
    )
    if not isinstance(left, str) or not isinstance(right, str):
        return f"argument {place}: expected {_short(left)}, found {_short(right)}"
    at = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    start = max(0, at - 40)
    return f"argument {place}, character {at}: expected …{left[start : at + 60]!r}, found …{right[start : at + 60]!r}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"


def _each(metrics: Mapping[Any, tuple[Any, Any]]) -> dict[Any, tuple[Any, Any]]:
    """Give each entry of a value that is a mapping a name of its own, as is done here."""
    found: dict[Any, tuple[Any, Any]] = {}
    for (name, filter_name), (value, error) in metrics.items():
        if isinstance(value, Mapping):
            found.update({(f"{name}[{key}]", filter_name): (part, error) for key, part in value.items()})
        else:
            found[name, filter_name] = value, error
    return found


def metric_difference(theirs: Mapping[Any, tuple[Any, Any]], ours: Mapping[Any, tuple[Any, Any]]) -> str | None:
    """Word the first metric that differs: a missing one, a value, or a standard error that both sides give."""
    theirs = _each(theirs)
    for key in dict.fromkeys([*theirs, *ours]):
        name = ",".join(key)
        if key not in ours or key not in theirs:
            return f"metric {name}: {'only here' if key in ours else 'missing here'}"
        (expected, expected_error), (found, found_error) = theirs[key], ours[key]
        if not _equal(expected, found):
            return f"metric {name}: expected {expected!r}, found {found!r}"
        if expected_error is not None and found_error is not None and not _close(expected_error, found_error):
            return f"standard error of {name}: expected {expected_error!r}, found {found_error!r}"
    return None


def _equal(expected: Any, found: Any) -> bool:
    return bool(expected == found) or (_is_nan(expected) and _is_nan(found)) or _is_last_bit(expected, found)


def _is_last_bit(expected: Any, found: Any) -> bool:
    # numpy's sums, in ``nanmean`` and tasks' own aggregations, depend on where in the array the gaps are.
    return isinstance(expected, np.floating) and math.isclose(expected, found, rel_tol=3e-16, abs_tol=0.0)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _close(expected: float, found: float) -> bool:
    # The same formula in another order of additions: the last bits may differ.
    return _equal(expected, found) or math.isclose(expected, found, rel_tol=1e-12, abs_tol=1e-15)


def shot_counts(reference: Reference) -> list[int]:
    """The file's own number, none, and a forced one; a file that says exactly 0 allows no other."""
    if reference.locked:
        return [0]
    return list(dict.fromkeys([reference.own_num_fewshot, 0, FORCED_SHOTS]))


def compare(path: Path, data: Path | None, ours: Path | None = None) -> Outcome:
    """Compare the task of one file of lm-eval's, read here from the same file or from ``ours``.

    ``data`` holds real documents for some datasets.
    """
    standins.used()
    try:
        reason = _out_of_reach(path)
        if reason:
            return Outcome(NOT_RUNNABLE, reason)
        built = build(path, data)
    except NotBuildableError as error:
        return Outcome(NOT_RUNNABLE, f"no documents made up for it: {_named(error.__cause__ or error)}")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a task's module may do anything when it is imported
        return Outcome(NOT_RUNNABLE, _named(error))
    try:
        return replace(_compared(path, ours or path, built), real=built.real, standins=tuple(standins.used()))
    except Exception as error:  # noqa: BLE001 - the reference built it, so whatever is raised here is ours
        return Outcome(DIFFERENT, f"error here: {_named(error)}", real=built.real)


def _out_of_reach(path: Path) -> str:
    """Why a task is not compared at all; empty where it is."""
    document = read_task_file(path)
    data = {} if document is None else document.data
    if any(data.get(f"doc_to_{kind}") for kind in ("image", "audio")):
        return "not a text task: it asks about images or sounds"
    files = (data.get("dataset_kwargs") or {}).get("data_files")
    if isinstance(files, Mapping) and any(str(name).startswith("/") for name in files.values()):
        return "its documents are files on its author's machine"
    return ""


def _named(error: BaseException) -> str:
    text = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {text}"[:300]


def _compared(reference_path: Path, path: Path, built: Built) -> Outcome:
    spec, reference, total, leaks = load_spec(path), built.reference, 0, 0
    rows = {**built.rows, **_splits_of_ours(spec, built)}
    as_written = False
    # The file's own number comes last: it is the one that is scored.
    for count in reversed(shot_counts(reference)):
        theirs = _requests(reference, count)
        if theirs is None:
            continue
        ours = Ours(spec, rows, count)
        leaked = reference.leaked(count)
        requests = ours.requests()
        difference = first_difference(theirs, requests, f"{count} shots", leaked)
        if difference and _is_random(reference_path, built, count):
            return Outcome(KNOWN, "the task draws at random: lm-eval too gets other documents or prompts each time")
        if difference:
            return Outcome(DIFFERENT, difference, total)
        total += len(theirs)
        found = sum(theirs[place] != requests[place] for place in leaked)
        leaks += found
        as_written |= bool(found) and count == reference.own_num_fewshot
    outcome = _scored(reference, ours, total, own=path != reference_path)
    if leaks and outcome.status == SAME:
        where = "with the shots of its file" if as_written else "with more shots than its file has"
        detail = f"lm-eval shows a document as its own example in {leaks} prompts, {where}"
        return replace(outcome, status=KNOWN, detail=detail)
    return outcome


def _splits_of_ours(spec: TaskSpec, built: Built) -> dict[str, Any]:
    """Splits that a file of ours takes examples from where lm-eval's writes them out: they are the same examples."""
    named = (spec.training_split, spec.validation_split, spec.test_split, spec.fewshot_config.split)
    missing = [name for name in named if name and name not in built.rows]
    return {name: datasets.Dataset.from_list(list(built.reference.task.fewshot_docs())) for name in missing}


def _is_random(path: Path, built: Built, count: int) -> bool:
    """Whether lm-eval's own requests depend on the state of the global generators."""
    other = Reference(load_config(path), built.rows, seed=SEED + 1)
    return other.requests(count) != built.reference.requests(count)


def _requests(reference: Reference, count: int) -> list[tuple[Any, ...]] | None:
    """None where lm-eval cannot draw that many examples from these documents."""
    try:
        return reference.requests(count)
    except Exception:
        if count in (0, reference.own_num_fewshot):
            raise
        return None


def _scored(reference: Reference, ours: Ours, total: int, *, own: bool) -> Outcome:
    reason, theirs = "", {}
    for seed in _ANSWER_SEEDS:
        given = answers.fixed(reference.asked(), seed)
        try:
            theirs = reference.metrics(given)
        except Exception as error:  # noqa: BLE001 - the task's own code, on answers it was not written for
            reason = reason or _named(error)
            continue
        difference = metric_difference(theirs, ours.metrics(given))
        if difference and own and standins.in_use():
            return Outcome(PROMPTS, f"lm-eval's metric is on the hub alone, and ours is another: {difference}", total)
        if difference:
            return Outcome(DIFFERENT, difference, total, len(theirs))
    if reason and not theirs:
        return Outcome(PROMPTS, f"lm-eval cannot score: {reason}", total)
    return Outcome(SAME, "", total, len(theirs))
