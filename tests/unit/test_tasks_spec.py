from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.tasks.spec import FewshotSpec, TaskSpec
from pytest_lmeval.tasks.yaml_loader import FunctionReference

from .making import spec_of, write


def spec(folder: Path, text: str) -> TaskSpec:
    return spec_of(write(folder / "t.yaml", "task: t\n" + text))


def test_defaults_are_the_references(tmp_path: Path) -> None:
    config = pytest.importorskip("lm_eval.config.task", reason="the oracle, lm-eval, is not installed")
    ours, theirs = spec(tmp_path, ""), config.TaskConfig(task="t")
    for name in ("output_type", "target_delimiter", "fewshot_delimiter", "repeats", "description", "num_fewshot"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.fewshot_config == FewshotSpec(
        **{name: getattr(theirs.fewshot_config, name) for name in FewshotSpec.__dataclass_fields__}
    )


def test_every_key_of_the_reference_is_read(tmp_path: Path) -> None:
    config = pytest.importorskip("lm_eval.config.task", reason="the oracle, lm-eval, is not installed")
    keys = [key for key in config.TaskConfig.__dataclass_fields__ if key not in ("task", "output_type")]
    assert spec(tmp_path, "".join(f"{key}:\n" for key in keys)).task == "t"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("doc_to_txt: a\n", "unknown key 'doc_to_txt'. Did you mean 'doc_to_text'?"),
        ("zzz: a\n", "unknown key 'zzz'. Known keys: custom_dataset, dataset_kwargs"),
        ("dataset_path: [a]\n", "dataset_path: expected str, found list ['a']"),
        ("dataset_kwargs: a\n", "dataset_kwargs: expected mapping, found str 'a'"),
        ("test_split: 3\n", "test_split: expected str, found int 3"),
        ("process_docs: utils.f\n", "process_docs: expected !function, found str 'utils.f'"),
        ("num_fewshot: true\n", "num_fewshot: expected int, found bool True"),
        ("num_fewshot: '5'\n", "num_fewshot: expected int, found str '5'"),
        ("num_fewshot: -1\n", "num_fewshot: expected 0 or more, found -1"),
        ("repeats: 0\n", "repeats: expected 1 or more, found 0"),
        ("repeats: yes\n", "repeats: expected int, found bool True"),
        ("unsafe_code: 1\n", "unsafe_code: expected bool, found int 1"),
        ("metric_list: {metric: acc}\n", "metric_list: expected list, found dict {'metric': 'acc'}"),
        ("filter_list: none\n", "filter_list: expected list, found str 'none'"),
        ("output_type: multiple-choice\n", "output_type: expected one of generate_until, loglikelihood, logl"),
        (
            "output_type: multiple_choise\n",
            "output_type: expected one of generate_until, loglikelihood, loglikelihood_",
        ),
        ("tag: [1]\n", "tag: expected a name or a list of names, found list [1]"),
        ("tag: {a: 1}\n", "tag: expected a name or a list of names, found dict {'a': 1}"),
        ("gate: 0.5\n", "gate: expected mapping, found float 0.5"),
        ("fewshot_config: {smpler: x}\n", "fewshot_config: unknown key 'smpler'. Did you mean 'sampler'?"),
        ("fewshot_config: []\n", "fewshot_config: expected mapping, found list []"),
        ("description: " + "[" + "a, " * 60 + "]\n", "description: expected str, found list ['a', 'a'"),
    ],
    ids=lambda value: value.split(":")[0] if "\n" in value else None,
)
def test_mistakes_are_at_their_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TaskFileError) as caught:
        spec(tmp_path, text)
    assert caught.value.problem.startswith(message)
    assert caught.value.line == 2
    assert len(caught.value.problem) < 800


def test_the_likely_output_type_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(TaskFileError, match=r"found 'multiple_choise'\. Did you mean 'multiple_choice'\?$"):
        spec(tmp_path, "output_type: multiple_choise\n")


@pytest.mark.parametrize("text", ["task: 3\n", "task: [a]\n", "task:\n"])
def test_a_task_needs_a_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(TaskFileError, match="task: expected a name, found"):
        spec_of(write(tmp_path / "t.yaml", text))


@pytest.mark.parametrize(("text", "tags"), [("tag: a\n", ("a",)), ("tag: [a, b]\n", ("a", "b")), ("tag:\n", ())])
def test_tags(tmp_path: Path, text: str, tags: tuple[str, ...]) -> None:
    assert spec(tmp_path, text).tag == tags


def test_a_mistake_inside_a_key_is_at_its_own_line(tmp_path: Path) -> None:
    with pytest.raises(TaskFileError, match="unknown key 'smpler'") as caught:
        spec(tmp_path, "fewshot_config:\n  split: train\n  smpler: x\n")
    assert caught.value.line == 4


def test_null_is_the_default(tmp_path: Path) -> None:
    read = spec(tmp_path, "repeats:\ndescription: null\ntest_split: ~\nvalidation_split: v\ngeneration_kwargs:\n")
    assert (read.repeats, read.description, read.generation_kwargs) == (1, "", None)
    assert read.evaluated_split == "v"


def test_the_test_split_is_preferred_and_one_is_needed(tmp_path: Path) -> None:
    assert spec(tmp_path, "test_split: t\nvalidation_split: v\n").evaluated_split == "t"
    with pytest.raises(TaskFileError, match="neither test_split nor validation_split is set"):
        _ = spec(tmp_path, "training_split: t\n").evaluated_split


@pytest.mark.parametrize(("text", "version"), [("metadata: {version: 2.0}\n", "2.0"), ("metadata: {}\n", None)])
def test_version(tmp_path: Path, text: str, version: str | None) -> None:
    assert spec(tmp_path, text).version == version


def test_dead_keys_are_read_and_dropped(tmp_path: Path) -> None:
    read = spec(tmp_path, "should_decontaminate: true\ndoc_to_decontamination_query: x\nuse_prompt: y\ngroup: g\n")
    assert read == spec(tmp_path, "")


OWN = """
target_delimiter: T
fewshot_delimiter: F
gen_prefix: G
doc_to_text: X
doc_to_choice: [a]
doc_to_target: Y
fewshot_split: s
process_docs: !function m.f
"""


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        ("", {}),
        ("{num_fewshot: 3}", {}),
        (
            "{split: o, target_delimiter: '', doc_to_choice: [b], sampler: first_n}",
            {"split": "o", "target_delimiter": "", "doc_to_choice": ["b"], "sampler": "first_n"},
        ),
        (
            "{doc_to_choice: null, gen_prefix: null, process_docs: null, split: null}",
            {"doc_to_choice": None, "gen_prefix": None, "process_docs": None, "split": None},
        ),
        (
            "{doc_to_text: null, doc_to_target: null, target_delimiter: null, fewshot_delimiter: null, sampler: null}",
            {},
        ),
    ],
    ids=["nothing", "number", "own", "switched-off", "cannot-be-switched-off"],
)
def test_examples_inherit_what_they_do_not_say(tmp_path: Path, config: str, changes: dict[str, Any]) -> None:
    read = spec(tmp_path, f"{OWN}fewshot_config: {config}\n")
    inherited: dict[str, Any] = {
        "target_delimiter": "T",
        "fewshot_delimiter": "F",
        "gen_prefix": "G",
        "doc_to_text": "X",
        "doc_to_choice": ["a"],
        "doc_to_target": "Y",
        "split": "s",
        "process_docs": FunctionReference(tmp_path / "t.yaml", 10, "m.f"),
    }
    assert read.fewshot_config == FewshotSpec(**(inherited | changes))
