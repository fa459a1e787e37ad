from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pytest_lmeval.errors import UserError
from pytest_lmeval.gate.policy import parse_gate
from pytest_lmeval.schema import descriptions
from pytest_lmeval.schema.generate import PATH, task_schema, task_schema_text
from pytest_lmeval.tasks.catalogue import Catalogue
from pytest_lmeval.tasks.spec import FewshotSpec, TaskSpec, parse_task
from pytest_lmeval.tasks.yaml_loader import FunctionReference, TaskDocument, read_task_file

from .making import write

TASKS = Path(__file__).parents[2] / "tasks"
VALIDATOR = jsonschema.Draft202012Validator(task_schema())


class _Editor(yaml.SafeLoader):
    """Reads as an editor does that was told of the tag: a function is its name."""


_Editor.add_constructor("!function", lambda loader, node: str(node.value))


def accepts(data: Any) -> bool:
    return bool(VALIDATOR.is_valid(data))


def as_an_editor_sees(value: Any) -> Any:
    if isinstance(value, FunctionReference):
        return value.qualified_name
    if isinstance(value, Mapping):
        return {key: as_an_editor_sees(part) for key, part in value.items()}
    return [as_an_editor_sees(part) for part in value] if isinstance(value, list) else value


def test_the_committed_file_is_what_the_code_generates() -> None:
    hint = "python -m pytest_lmeval.schema --write"
    assert PATH.read_text(encoding="utf-8") == task_schema_text(), f"generate it anew: {hint}"


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(PATH.read_text(encoding="utf-8")))


SHIPPED = sorted(p for p in TASKS.rglob("*") if p.suffix == ".yaml" or (p.name[0] == "_" and p.is_file()))


# The ids leave the names out: `-k` with a benchmark's name in the repository's root means the benchmark alone.
@pytest.mark.parametrize("path", SHIPPED, ids=[f"file{number}" for number, _ in enumerate(SHIPPED)])
def test_shipped_files_are_valid_alone_and_with_their_includes(path: Path) -> None:
    assert list(VALIDATOR.iter_errors(yaml.load(path.read_text(encoding="utf-8"), _Editor))) == []
    merged = read_task_file(path)
    if merged is not None:
        assert list(VALIDATOR.iter_errors(as_an_editor_sees(merged.data))) == []


GOOD = [
    "include: base.yaml",
    "{task: t, include: [a, b]}",
    "{task: t, tag: x}",
    "{task: t, tag: [x, y], test_split: null, num_fewshot: 0}",
    "{task: t, doc_to_target: 0, doc_to_choice: [a, b], process_docs: !function u.f}",
    "{task: t, fewshot_config: {sampler: first_n, samples: [{a: 1}], num_fewshot: 2}}",
    "{task: t, metric_list: [{metric: acc, aggregation: !function u.f, higher_is_better: true, k: 1}]}",
    "{task: t, filter_list: [{name: n, filter: [{function: regex, regex_pattern: x}]}]}",
    "{task: t, generation_kwargs: {until: [a], num_beams: 2}}",
    "{task: t, gate: {acc: 0.5, mode: off, models: {'hf:*': {acc: {min: 0.5, max: 0.9, margin: 1pp}}}}}",
    "{task: t, gate: {mode: 'off'}}",
    "{group: g, task: [a, {task: b, num_fewshot: 2}, {group: h, task: [c]}], num_fewshot: 5}",
    "{group: g, task: [{group: h, num_fewshot: 5}]}",
    "{group: g, task: a, aggregate_metric_list: [{metric: acc, filter_list: [x], weight_by_size: false}]}",
    "{group: g, task: [a], aggregate_metric_list: {metric: acc}}",
    "{class: !function own.Class, recipe: x, task: t, gate: {acc: 0.5}}",
]

# Mistakes that both the schema and the reader of task files refuse.
BAD = [
    "{task: t, doc_to_txt: x}",
    "{task: 3}",
    "{task: t, output_type: multiple-choice}",
    "{task: t, num_fewshot: -1}",
    "{task: t, num_fewshot: '5'}",
    "{task: t, num_fewshot: true}",
    "{task: t, repeats: 0}",
    "{task: t, unsafe_code: 1}",
    "{task: t, tag: [1]}",
    "{task: t, dataset_kwargs: x}",
    "{task: t, metric_list: {metric: acc}}",
    "{task: t, filter_list: none}",
    "{task: t, fewshot_config: {smpler: x}}",
    "{task: t, gate: 0.5}",
    "{task: t, gate: {acc: {minimum: 0.5}}}",
    "{task: t, gate: {acc: high}}",
    "{task: t, gate: {acc: {margin: -1}}}",
    "{task: t, gate: {compare: better}}",
    "{task: t, gate: {models: {x: {models: {}}}}}",
    "{class: 3, task: t}",
    "{class: !function own.Class, task: t, gate: 3}",
    "{group: 3, task: [a]}",
    "{group: g, task: 3}",
    "{group: g, task: [{num_fewshot: 3}]}",
    "{group: g, task: [a], aggregate_metric_list: [{weight_by_size: true}]}",
    "{group: g, task: [a], aggregate_metric_list: [{metric: acc, aggregation: median}]}",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_can_be_read_is_valid(text: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(yaml.load(text, _Editor))] == []


@pytest.mark.parametrize("text", BAD)
def test_mistakes_are_found_here_and_by_the_reader(tmp_path: Path, text: str) -> None:
    assert not accepts(yaml.load(text, _Editor))
    write(tmp_path / "a.yaml", "task: a\n")
    document = read_task_file(write(tmp_path / "mistake.yaml", f"{text}\n"))
    assert document is not None
    with pytest.raises(UserError):
        _read(tmp_path, document)


def _read(folder: Path, document: TaskDocument) -> None:
    parse_gate(document.data.get("gate"))
    if "group" in document.data:
        Catalogue([folder]).load(document)
    else:
        parse_task(document)


def test_every_key_is_described_and_no_other() -> None:
    assert set(descriptions.TASK) == {field.name for field in dataclasses.fields(TaskSpec)} - {
        "document",
        "python_class",
    }
    assert set(descriptions.FEWSHOT) == {field.name for field in dataclasses.fields(FewshotSpec)} | {"num_fewshot"}


def test_every_property_has_a_description_of_one_sentence() -> None:
    for name, schema in _properties(task_schema()):
        if "$ref" not in schema:
            assert schema["description"][-1] == ".", name
            assert len(schema["description"]) < 130, name


def _properties(schema: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(schema, list):
        for part in schema:
            yield from _properties(part)
    elif isinstance(schema, dict):
        for name, part in schema.get("properties", {}).items():
            if part is not False:
                yield name, part
        for part in schema.values():
            yield from _properties(part)


def test_the_command_tells_where_it_is() -> None:
    run = subprocess.run([sys.executable, "-m", "pytest_lmeval.schema"], capture_output=True, text=True, check=True)
    assert run.stdout == f"{PATH}\n"
