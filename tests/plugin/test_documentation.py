"""The README says what the code does."""

from __future__ import annotations

import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_every_option_and_no_other(pytester: pytest.Pytester) -> None:
    help_text = pytester.runpytest("--help").stdout.str()
    assert set(re.findall(r"--lm-[a-z-]+", README)) == set(re.findall(r"(?<=\s)--lm-[a-z-]+(?==|\s)", help_text))


@pytest.mark.parametrize("backend", ["hf", "vllm", "openai", "demo"])
def test_the_readme_lists_every_key_of_a_backend(backend: str) -> None:
    plugin = import_module(f"pytest_lmeval.backends.{backend}").plugin
    keys = {option.name for option in fields(plugin.options)} - {plugin.further}
    assert set(re.findall(r"`(\w+)`", _keys_column(backend))) == keys


@pytest.mark.parametrize("backend", ["hf", "vllm", "openai"])
def test_the_guides_to_models_list_every_key_with_its_default(backend: str) -> None:
    plugin = import_module(f"pytest_lmeval.backends.{backend}").plugin
    guide = "models" if backend == "hf" else backend
    text = (Path(__file__).parents[2] / "docs" / f"{guide}.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `?([\w.]+)`? \| \S", text, flags=re.MULTILINE)
    options = [option for option in fields(plugin.options) if option.name != plugin.further]
    found = [(name, default.lower()) for name, default in rows]
    assert found == [(option.name, str(option.default).lower()) for option in options]


def _keys_column(backend: str) -> str:
    (row,) = re.findall(rf"^\| `{backend}` \|.*$", README, flags=re.MULTILINE)
    return str(row).split("|")[3]


FORMAT = (Path(__file__).parents[2] / "docs" / "task-format.md").read_text(encoding="utf-8")


def test_the_format_lists_every_key_and_no_other() -> None:
    from pytest_lmeval.gate.layers import SETTING_KEYS
    from pytest_lmeval.gate.policy import COLUMN_KEYS
    from pytest_lmeval.schema import descriptions as texts

    keys = {*texts.TASK, *texts.OTHER, *texts.FEWSHOT, *texts.GROUP, *texts.AGGREGATE}
    keys |= {*SETTING_KEYS, *COLUMN_KEYS, "models", "metric", "aggregation", "higher_is_better", "hf_evaluate"}
    listed = {key for row in _first_columns(("key", "key of")) for key in re.findall(r"`(\w+)`", row)}
    assert listed - {"acc"} == keys - {"metric_list", "gate", *DEAD}
    assert all(f"`{key}`" in FORMAT for key in ("metric_list", "gate", *DEAD, *texts.GENERATION))


DEAD = ("should_decontaminate", "doc_to_decontamination_query", "use_prompt")


def test_the_format_lists_every_filter_metric_and_aggregation() -> None:
    from pytest_lmeval.tasks.aggregation import AGGREGATIONS
    from pytest_lmeval.tasks.filters import FILTERS
    from pytest_lmeval.tasks.metrics.listed import KNOWN

    def listed(head: str) -> set[str]:
        return {name for row in _first_columns((head,)) for name in re.findall(r"`([\w+]+)`", row)}

    assert listed("filter") == {*FILTERS, "custom"}
    assert listed("metric") == set(KNOWN)
    (aggregations,) = re.findall(r"^Aggregations: (.*?)\.\n\n", FORMAT, flags=re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`([\w+]+)`", aggregations)) == set(AGGREGATIONS)


def _first_columns(heads: tuple[str, ...]) -> list[str]:
    """The first cells of the tables whose first head is one of ``heads``, or begins with it and goes on."""
    rows: list[str] = []
    for table in re.findall(r"(?:^\|.*\n)+", FORMAT, flags=re.MULTILINE):
        head, _, *body = [line.split("|")[1].strip() for line in table.splitlines()]
        if any(head == wanted or head.startswith(f"{wanted} ") for wanted in heads):
            rows += body
    return rows
