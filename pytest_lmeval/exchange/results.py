"""The results file of lm-evaluation-harness: who answered, under which settings, and every metric."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_lmeval.baselines.plain import Fields
from pytest_lmeval.errors import RunError
from pytest_lmeval.exchange.samples import OWN

_MAX_BYTES = 256_000_000
#: Where a task says nothing of its version, this stands in its place.
_NO_VERSION = ("Yaml", "N/A")
_NO_NUMBER = "N/A"
_LONGEST = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A metric after a filter; ``stderr`` is None where none was estimated."""

    name: str
    filter: str
    value: float
    stderr: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessTask:
    """A task or a group of the results file.

    ``config`` is the task's YAML as it was read, functions in it as their source. ``n`` of ``total`` documents were
    asked. ``higher_is_better`` is by metric. A group has ``members``, the tasks below it, and no config.
    """

    name: str
    alias: str | None
    config: Mapping[str, Any]
    scores: tuple[Score, ...]
    higher_is_better: Mapping[str, bool]
    n: int
    total: int
    num_fewshot: int
    version: str | None
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessResults:
    """One run. ``date`` is in seconds since 1970 (UTC); ``own`` is what an export of ours put into it.

    ``backend`` is lm-evaluation-harness's kind of model (``hf``), ``model`` its name, ``seed`` that of few-shot draws.
    ``chat_template`` is the template that conversations were rendered with, None where prompts were plain texts.
    """

    tasks: Mapping[str, HarnessTask]
    backend: str
    model: str
    revision: str | None
    dtype: str | None
    max_length: int | None
    version: str
    transformers: str | None
    date: float
    seconds: float
    seed: int
    limit: str | None
    generation_kwargs: Mapping[str, Any]
    system: str | None
    chat_template: str | None
    own: Mapping[str, Any] | None


def read_results(path: Path) -> HarnessResults:
    """Read a results file. Raises RunError for anything else."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise RunError(f"{path}: larger than {_MAX_BYTES:,} bytes: not results of lm-evaluation-harness")
        return _results(Fields(json.loads(path.read_text(encoding="utf-8")), ""))
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: not results of lm-evaluation-harness: {error}") from None


def _results(data: Fields) -> HarnessResults:
    config = data.fields("config")
    limit = _optional(config, "limit")
    return HarnessResults(
        tasks={name: _task(name, data) for name in data.mapping("results")},
        backend=config.text("model")[:_LONGEST],
        model=_text(data, "model_name") or config.text("model")[:_LONGEST],
        revision=_text(config, "model_sha") or None,
        dtype=(_text(config, "model_dtype") or "").removeprefix("torch.") or None,
        max_length=_count(data, "max_length"),
        version=_text(data, "lm_eval_version") or "unknown",
        transformers=_text(data, "transformers_version"),
        date=data.number("date"),
        seconds=_seconds(data),
        seed=_count(config, "fewshot_seed") or 0,
        limit=None if limit is None else f"first:{limit:g}" if isinstance(limit, int | float) else str(limit),
        generation_kwargs=_mapping(config, "gen_kwargs"),
        system=_text(data, "system_instruction"),
        chat_template=data.optional_text("chat_template") if data.has("chat_template") else None,
        own=data.mapping(OWN) if data.has(OWN) else None,
    )


def _task(name: str, data: Fields) -> HarnessTask:
    found = data.fields("results").fields(name)
    members = tuple(_leaves(name, _subtasks(data)))
    configs, counts = _mapping(data, "configs"), _mapping(data, "n-samples")
    alias = _text(found, "alias")
    better = _mapping(_mapping_fields(data, "higher_is_better"), name)
    counted = Fields(counts[name], f"n-samples.{name}") if name in counts else None
    shots = _mapping(data, "n-shot").get(name)
    version = _mapping(data, "versions").get(name)
    return HarnessTask(
        name=name,
        alias=None if alias is None or alias.strip(" -") == name else alias,
        config=Fields(configs.get(name, {}), f"configs.{name}").data,
        scores=tuple(_scores(found)),
        higher_is_better={metric: flag is not False for metric, flag in better.items()},
        n=counted.count("effective") if counted else 0,
        total=counted.count("original") if counted else 0,
        num_fewshot=shots if isinstance(shots, int) and shots >= 0 else 0,
        version=None if version is None or version in _NO_VERSION else str(version)[:_LONGEST],
        members=members,
    )


def _scores(found: Fields) -> Iterator[Score]:
    """Read ``"acc,none": 0.5`` with its ``"acc_stderr,none": 0.1``; what else is there has no filter, or is text."""
    for key, value in found.data.items():
        name, comma, filter_name = key.partition(",")
        if not comma or name.endswith("_stderr") or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        stderr = found.data.get(f"{name}_stderr,{filter_name}", _NO_NUMBER)
        number = float(stderr) if isinstance(stderr, int | float) else None
        yield Score(name=name, filter=filter_name, value=float(value), stderr=number)


def _subtasks(data: Fields) -> Mapping[str, list[Any]]:
    groups = _mapping(data, "group_subtasks")
    return {name: members for name, members in groups.items() if isinstance(members, list) and members}


def _leaves(name: str, groups: Mapping[str, list[Any]], above: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the tasks below a group, once each, in order; a group below itself is passed over."""
    seen: set[str] = set()
    for member in map(str, groups.get(name, ())):
        below = _leaves(member, groups, (*above, name)) if member in groups else iter((member,))
        for leaf in () if member in (*above, name) else below:
            if leaf not in seen:
                seen.add(leaf)
                yield leaf


def _optional(data: Fields, name: str) -> object:
    return data.raw(name) if data.has(name) else None


def _text(data: Fields, name: str) -> str | None:
    value = _optional(data, name)
    return value[:_LONGEST] if isinstance(value, str) else None


def _count(data: Fields, name: str) -> int | None:
    value = _optional(data, name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**10 else None


def _mapping(data: Fields, name: str) -> dict[str, Any]:
    value = _optional(data, name)
    return value if isinstance(value, dict) else {}


def _mapping_fields(data: Fields, name: str) -> Fields:
    return Fields(_mapping(data, name), name)


def _seconds(data: Fields) -> float:
    try:
        return max(0.0, float(_text(data, "total_evaluation_time_seconds") or 0))
    except ValueError:
        return 0.0
