"""Read a baseline's text, trusting nothing in it."""

from __future__ import annotations

import json
from typing import Any

from pytest_lmeval.baselines.item_reader import read_items
from pytest_lmeval.baselines.layout import FORMAT_VERSION, checksum
from pytest_lmeval.baselines.plain import Fields, read_count, read_number
from pytest_lmeval.baselines.record import Baseline, Digests, Noise
from pytest_lmeval.results import MetricValue, TaskSettings


def read(text: str) -> Baseline:
    """Read a baseline. Raises ValueError, or RecursionError for absurd nesting."""
    return _baseline(_checked(_parse(text)))


def _parse(text: str) -> dict[str, Any]:
    if "\n<<<<<<< " in text or text.startswith("<<<<<<< "):
        raise ValueError("it holds an unresolved merge conflict; keep one side, or record it again")
    try:
        data = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON ({error.msg} in line {error.lineno})") from None
    if not isinstance(data, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - all refusals are one kind here
    return data


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        raise ValueError("a key appears twice")
    return data


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _checked(data: dict[str, Any]) -> Fields:
    """Check version and checksum, in this order: another version may compute another checksum."""
    top = Fields(data, "")
    version = top.integer("format")
    if version != FORMAT_VERSION:
        raise ValueError(_other_format(version))
    content = {key: value for key, value in data.items() if key != "sha256"}
    if top.text("sha256") != checksum(content):
        raise ValueError("its checksum is wrong, so it was edited or damaged; restore it, or record it again")
    return top


def _other_format(version: int) -> str:
    if version > FORMAT_VERSION:
        return f"a newer pytest-lmeval wrote it, and this one reads format {FORMAT_VERSION}; update pytest-lmeval"
    return (
        f"an older pytest-lmeval wrote it, and this one reads format {FORMAT_VERSION}; "
        "record it again with --lm-update-baseline --lm-accept-regression"
    )


def _baseline(top: Fields) -> Baseline:
    members = top.texts("members")
    total = top.count("total")
    items = read_items(top, total)
    n = top.count("n")
    if not n <= total or (items and n != len(items)):
        raise ValueError(f"n is {n}, with {len(items)} items of {total} documents")
    metrics = top.each("metrics", read_metric)
    main_metric = top.text("main_metric")
    if main_metric not in [name for metric in metrics for name in (metric.key, metric.name)]:
        raise ValueError("its main metric is not among its metrics")
    return Baseline(
        task=top.text("task"),
        created=top.text("created"),
        n=n,
        total=total,
        main_metric=main_metric,
        metrics=metrics,
        settings=read_settings(top.fields("settings")),
        items=items,
        digests=_digests(top.fields("digests")),
        members=members,
        model=top.mapping("model"),
        environment=top.mapping("environment"),
        commit=top.text("commit") if top.has("commit") else None,
        noise=_noise(top.fields("noise"), n) if top.has("noise") else None,
        published=top.text("published") if top.has("published") else None,
    )


def read_metric(data: object, place: str) -> MetricValue:
    """Read a metric that was written field by field. Raises ValueError."""
    metric = Fields(data, place)
    return MetricValue(
        name=metric.text("name"),
        filter=metric.text("filter"),
        value=metric.number("value"),
        stderr=metric.optional_number("stderr"),
        higher_is_better=metric.flag("higher_is_better"),
        n=metric.count("n"),
        aggregation=metric.text("aggregation"),
    )


def read_settings(data: Fields) -> TaskSettings:
    """Read settings that were written field by field. Raises ValueError."""
    return TaskSettings(
        dataset=data.text("dataset"),
        dataset_config=data.optional_text("dataset_config"),
        split=data.text("split"),
        num_fewshot=data.integer("num_fewshot"),
        seed=data.integer("seed"),
        limit=data.optional_text("limit"),
        output_type=data.text("output_type"),
        generation=data.optional_mapping("generation"),
        task_hash=data.text("task_hash"),
        version=data.optional_text("version"),
        scoring=data.optional_text("scoring") if data.has("scoring") else None,
    )


def _noise(data: Fields, n: int) -> Noise:
    noise = Noise(
        n=data.count("n"),
        scores=data.each("scores", read_number),
        flips=data.each("flips", read_count),
        margin_mean=data.optional_number("margin_mean"),
        margin_p95=data.optional_number("margin_p95"),
    )
    if noise.n > n or len(noise.scores) != noise.runs + 1 or max(noise.flips, default=0) > noise.n:
        raise ValueError("its noise is not that of its documents")
    return noise


def _digests(data: Fields) -> Digests:
    return Digests(documents=data.text("documents"), prompts=data.text("prompts"), targets=data.text("targets"))
