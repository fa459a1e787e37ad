"""The task file's content as frozen values, checked key by key.

The keys are those of lm-evaluation-harness 0.4.13 (its ``TaskConfig``); the only one added is ``gate``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_lmeval.suggestions import nearest, suggestion
from pytest_lmeval.tasks.gates import check_gate
from pytest_lmeval.tasks.yaml_loader import FunctionReference, TaskDocument

OUTPUT_TYPES = ("generate_until", "loglikelihood", "loglikelihood_rolling", "multiple_choice")

# Read, kept for the record, and without effect; so they are in the reference.
IGNORED_KEYS = ("should_decontaminate", "doc_to_decontamination_query", "use_prompt")

# What we read of a Python task; its other keys are for its class.
CLASS_KEYS = ("task", "task_alias", "tag", "gate", "metadata", "unsafe_code")

Field = str | int | float | Sequence[Any] | Mapping[str, Any] | FunctionReference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FewshotSpec:
    """``fewshot_config``: what differs for the examples from the document asked."""

    sampler: str | FunctionReference = "default"
    split: str | None = None
    process_docs: FunctionReference | None = None
    samples: Sequence[Mapping[str, Any]] | FunctionReference | None = None
    fewshot_indices: Sequence[int] | None = None
    doc_to_text: Field = None
    doc_to_choice: Field = None
    doc_to_target: Field = None
    gen_prefix: str | None = None
    fewshot_delimiter: str = "\n\n"
    target_delimiter: str = " "


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """One task as its file describes it. Names and defaults are those of the format.

    ``python_class`` is the key ``class``: a Python task, whose other keys are its class's affair.
    """

    task: str
    task_alias: str | None = None
    tag: tuple[str, ...] = ()
    custom_dataset: FunctionReference | None = None
    dataset_path: str | None = None
    dataset_name: str | None = None
    dataset_kwargs: Mapping[str, Any] = field(default_factory=dict)
    training_split: str | None = None
    validation_split: str | None = None
    test_split: str | None = None
    fewshot_split: str | None = None
    process_docs: FunctionReference | None = None
    doc_to_text: Field = None
    doc_to_target: Field = None
    doc_to_choice: Field = None
    doc_to_image: Field = None
    doc_to_audio: Field = None
    unsafe_code: bool = False
    process_results: FunctionReference | None = None
    description: str = ""
    target_delimiter: str = " "
    fewshot_delimiter: str = "\n\n"
    fewshot_config: FewshotSpec = field(default_factory=FewshotSpec)
    num_fewshot: int | None = None
    metric_list: Sequence[Mapping[str, Any]] | None = None
    output_type: str = "generate_until"
    generation_kwargs: Mapping[str, Any] | None = None
    repeats: int = 1
    filter_list: Sequence[Mapping[str, Any]] | None = None
    gen_prefix: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    gate: Mapping[str, Any] | None = None
    python_class: FunctionReference | None = None
    document: TaskDocument = field(repr=False, compare=False)

    @property
    def path(self) -> Path:
        """The file the task was read from."""
        return self.document.path

    @property
    def evaluated_split(self) -> str:
        """The split that is scored: test if the file names one, else validation."""
        split = self.test_split or self.validation_split
        if split is None:
            raise self.document.error("neither test_split nor validation_split is set: nothing to evaluate")
        return split

    @property
    def is_multimodal(self) -> bool:
        """Whether documents bring images or sound, which no backend takes."""
        return self.doc_to_image is not None or self.doc_to_audio is not None

    @property
    def version(self) -> str | None:
        """``metadata.version`` as text."""
        version = self.metadata.get("version")
        return None if version is None else str(version)


#: Every key of a task.
TASK_KEYS = frozenset({f.name for f in dataclasses.fields(TaskSpec)} - {"document", "python_class"} | {*IGNORED_KEYS})

_NEEDED_FOR_SHOTS = ("sampler", "doc_to_text", "doc_to_target", "fewshot_delimiter", "target_delimiter")

_TYPES: dict[str, tuple[type, ...]] = {
    "task_alias": (str,),
    "dataset_path": (str,),
    "dataset_name": (str,),
    "dataset_kwargs": (Mapping,),
    **dict.fromkeys(("training_split", "validation_split", "test_split", "fewshot_split"), (str,)),
    **dict.fromkeys(("process_docs", "process_results", "custom_dataset"), (FunctionReference,)),
    **dict.fromkeys(("description", "target_delimiter", "fewshot_delimiter", "gen_prefix"), (str,)),
    "fewshot_config": (Mapping,),
    "num_fewshot": (int,),
    "repeats": (int,),
    "metric_list": (list,),
    "filter_list": (list,),
    "generation_kwargs": (Mapping,),
    "metadata": (Mapping,),
    "gate": (Mapping,),
    "unsafe_code": (bool,),
}


def parse_task(document: TaskDocument) -> TaskSpec:
    """Check a task file's keys and values. Raises TaskFileError at the line of the first mistake."""
    data = {k: v for k, v in document.data.items() if k not in (*IGNORED_KEYS, "group", "include")}
    python_class = data.get("class")
    if python_class is not None:
        data = _of_class(document, data)
    known = TASK_KEYS - set(IGNORED_KEYS)
    for key, value in data.items():
        if key not in known:
            raise document.error(unknown_key(key, known), key)
        _check_type(document, key, value)
    # A key that is present and empty means its default, as `training_split: null` does.
    data = {k: v for k, v in data.items() if v is not None}
    if not isinstance(data.get("task"), str):
        raise document.error(f"task: expected a name, found {data.get('task')!r}", "task")
    _check_output_type(document, data)
    check_gate(document)
    data["tag"] = _tags(document, data.get("tag"))
    data["fewshot_config"] = _fewshot(document, data)
    return TaskSpec(document=document, python_class=python_class, **data)


def _of_class(document: TaskDocument, data: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what we need to know of a Python task."""
    if not isinstance(data["class"], FunctionReference):
        raise document.error(f"class: expected !function module.Class, found {shown(data['class'])}", "class")
    return {key: data[key] for key in CLASS_KEYS if key in data}


def unknown_key(key: str, known: Collection[str]) -> str:
    """Word the complaint about an unknown key, with the nearest known one."""
    return f"unknown key {key!r}.{suggestion(key, known, 'Known keys')}"


def _check_type(document: TaskDocument, key: str, value: Any) -> None:
    expected = _TYPES.get(key)
    if value is None or expected is None:
        return
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        names = " or ".join("!function" if t is FunctionReference else t.__name__.lower() for t in expected)
        raise document.error(f"{key}: expected {names}, found {shown(value)}", key)


def shown(value: Any) -> str:
    """Show a value in a message, with its type, cut to a readable length."""
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def _check_output_type(document: TaskDocument, data: Mapping[str, Any]) -> None:
    output_type = data.get("output_type", "generate_until")
    if output_type not in OUTPUT_TYPES:
        expected = ", ".join(OUTPUT_TYPES)
        hint = nearest(output_type, OUTPUT_TYPES)
        problem = f"output_type: expected one of {expected}, found {output_type!r}{'.' if hint else ''}{hint}"
        raise document.error(problem, "output_type")
    if data.get("repeats", 1) < 1:
        raise document.error(f"repeats: expected 1 or more, found {data['repeats']}", "repeats")
    if data.get("num_fewshot", 0) < 0:
        raise document.error(f"num_fewshot: expected 0 or more, found {data['num_fewshot']}", "num_fewshot")


def _tags(document: TaskDocument, value: Any) -> tuple[str, ...]:
    tags = [value] if isinstance(value, str) else value or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise document.error(f"tag: expected a name or a list of names, found {shown(value)}", "tag")
    return tuple(tags)


def _fewshot(document: TaskDocument, data: Mapping[str, Any]) -> FewshotSpec:
    """Fill ``fewshot_config`` from the task where it is silent, as the format defines."""
    own = {k: v for k, v in (data.get("fewshot_config") or {}).items() if k != "num_fewshot"}
    known = {f.name for f in dataclasses.fields(FewshotSpec)}
    for key in own:
        if key not in known:
            raise document.error(f"fewshot_config: {unknown_key(key, known)}", "fewshot_config", key)
    inherited = {key: data[key] for key in known - {"split", "sampler"} if key in data}
    if "fewshot_split" in data:
        inherited["split"] = data["fewshot_split"]
    # An explicit null switches an inherited setting off, except where something is needed.
    own = {k: v for k, v in own.items() if v is not None or k not in _NEEDED_FOR_SHOTS}
    return FewshotSpec(**{**inherited, **own})
