"""Every prompt equals lm-evaluation-harness's, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import datasets
import pytest

from pytest_lmeval.backends.protocol import Context
from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.tasks.options import PromptOptions
from pytest_lmeval.tasks.prompts import joined

from .making import CHOICE, CHOICE_ROWS, asked, call_of, small_task, spec_of, task_file

pytest.importorskip("lm_eval", reason="the oracle, lm-eval==0.4.13, is not installed")

GENERATE: dict[str, Any] = {
    "output_type": "generate_until",
    "doc_to_text": "Q: {{question}}\nA:",
    "doc_to_target": "answer",
}

# Rows that differ in what makes prompts break: empty answers, whitespace at seams, numbers, brackets, unicode.
ROWS: list[dict[str, Any]] = [
    {
        "question": question,
        "Answer": f"answer of {question}",
        "answer": answer,
        "number": str(number),
        "choices": choices,
        "label": number % len(choices),
        "aliases": [answer, "alias"],
        "lead": lead,
        "ctx1": f"{question} went to",
        "ctx2": f"{question} came from",
    }
    for number, (question, answer, choices, lead) in enumerate(
        [
            ("Anna", "the lake", ["yes", "no"], "So"),
            ("Bob ", " leading space", ["no", " yes"], "So "),
            ("Çelik\n", "ünïcödé", ["ja", "nein", "vielleicht"], ""),
            ("", "nothing asked", ["a", "b"], "\nThen"),
            ("Dora", "", ["x ", "y"], "So"),
            ("Emil {{x}}", "['a', 'b']", ["{{question}}", "literal"], "So"),
            ("Finn", "12", ["1", "2"], "So"),
            ("Gina", "[broken", ["l", "r"], "So"),
            ("Anna", "the lake", ["yes", "no"], "So"),
        ]
    )
]
SPLITS = {"train": ROWS, "validation": ROWS[2:7], "test": [ROWS[0], ROWS[3], ROWS[1], ROWS[4]]}
TRAIN = {"training_split": "train"}
VALIDATION = {"validation_split": "validation"}
FUNCTIONS = """
def text(doc):
    return "From code: " + doc["question"]

def choices(doc):
    return [c.upper() for c in doc["choices"]]

def target(doc):
    return len(doc["choices"]) - 1

def samples():
    return [{"question": f"made {i}", "answer": f"answer {i}", "label": i % 2, "choices": ["p", "q"]} for i in range(4)]

def reverse(rows):
    return rows.select(list(reversed(range(len(rows)))))
"""

CASES: dict[str, dict[str, Any]] = {
    "generate": GENERATE | TRAIN,
    "no-train-split": GENERATE | VALIDATION,
    "only-test-split": GENERATE,
    "only-validation-split": GENERATE | VALIDATION | {"test_split": None},
    "choices-column": CHOICE | TRAIN,
    "choices-list": CHOICE | TRAIN | {"doc_to_choice": ["{{question}}", "no", "maybe"]},
    "choices-mapping": CHOICE | TRAIN | {"doc_to_choice": {"a": "first", "b": "second", "c": "third"}},
    "choices-template": CHOICE | TRAIN | {"doc_to_choice": "{{[question ~ '!', answer, 'it\\'s']}}"},
    "target-is-text-of-a-choice": CHOICE | TRAIN | {"doc_to_target": "{{choices[label]}}"},
    "target-is-digits": CHOICE | TRAIN | {"doc_to_target": "{{label}}"},
    "target-is-an-int": CHOICE | TRAIN | {"doc_to_target": 1},
    "target-is-a-list": GENERATE | TRAIN | {"doc_to_target": "aliases"},
    "target-looks-like-a-list": GENERATE | TRAIN | {"doc_to_target": "{{answer}}"},
    "target-is-a-literal-list": GENERATE | TRAIN | {"doc_to_target": ["either", "or"]},
    "digits-without-choices-stay-text": GENERATE | TRAIN | {"doc_to_target": "{{number}}"},
    "text-is-a-column": GENERATE | TRAIN | {"doc_to_text": "question"},
    "text-is-no-column-in-other-case": GENERATE | TRAIN | {"doc_to_text": "Question"},
    "text-ends-in-space": GENERATE | TRAIN | {"doc_to_text": "Q:{{question}} "},
    "text-is-empty": GENERATE | TRAIN | {"doc_to_text": ""},
    "text-keeps-its-last-newline": GENERATE | TRAIN | {"doc_to_text": "Q:{{question}}\n"},
    "description": GENERATE | TRAIN | {"description": "Answer about {{question}}.\n\n"},
    "description-is-a-column": GENERATE | TRAIN | {"description": "Answer"},
    "delimiters": CHOICE | TRAIN | {"target_delimiter": "", "fewshot_delimiter": "\n###\n"},
    "target-delimiter-newline": CHOICE | TRAIN | {"target_delimiter": "\n"},
    "gen-prefix": GENERATE | TRAIN | {"gen_prefix": "Well,"},
    "gen-prefix-ends-in-space": GENERATE | TRAIN | {"gen_prefix": "Well, "},
    "gen-prefix-starts-with-newline": GENERATE | TRAIN | {"gen_prefix": "\n{{question}}:"},
    "gen-prefix-is-a-column": GENERATE | TRAIN | {"gen_prefix": "lead"},
    "gen-prefix-after-space": GENERATE | TRAIN | {"gen_prefix": "Well,", "doc_to_text": "question"},
    "gen-prefix-with-choices": CHOICE | TRAIN | {"gen_prefix": "I choose", "target_delimiter": "_"},
    "several-inputs": CHOICE
    | TRAIN
    | {"doc_to_text": "{{label % 2}}", "doc_to_choice": "{{[ctx1, ctx2]}}", "doc_to_target": "answer"},
    "several-inputs-with-gen-prefix": CHOICE
    | TRAIN
    | {
        "doc_to_text": "{{label % 2}}",
        "doc_to_choice": "{{[ctx1, ctx2]}}",
        "doc_to_target": "answer",
        "gen_prefix": "and",
        "description": "Who? ",
    },
    "mutual-information": CHOICE | TRAIN | {"metric_list": [{"metric": "acc"}, {"metric": "acc_mutual_info"}]},
    "loglikelihood": GENERATE
    | TRAIN
    | {"output_type": "loglikelihood", "doc_to_target": "{{' ' + answer}}", "target_delimiter": "_"},
    "rolling": GENERATE | TRAIN | {"output_type": "loglikelihood_rolling", "doc_to_target": "Answer"},
    "fewshot-split": GENERATE | {"fewshot_split": "train"},
    "fewshot-from-the-evaluated-split": GENERATE | {"fewshot_split": "test"},
    "fewshot-from-the-evaluated-split-first": GENERATE
    | {"fewshot_split": "test", "fewshot_config": {"sampler": "first_n"}},
    "fewshot-first": GENERATE | {"fewshot_split": "train", "fewshot_config": {"sampler": "first_n"}},
    "fewshot-samples": GENERATE
    | {"fewshot_config": {"samples": [{"question": f"s{i}", "answer": f"a{i}"} for i in range(4)]}},
    "fewshot-own-fields": CHOICE
    | TRAIN
    | {
        "fewshot_config": {
            "doc_to_text": "Shot {{question}}",
            "doc_to_choice": ["ZERO", "ONE", "TWO"],
            "doc_to_target": "{{label}}",
            "target_delimiter": "->",
            "fewshot_delimiter": ";",
            "gen_prefix": "say",
        }
    },
    "fewshot-target-is-text": CHOICE
    | TRAIN
    | {"fewshot_config": {"doc_to_target": "answer", "doc_to_choice": None, "doc_to_text": None}},
    "fewshot-split-in-its-config": GENERATE | {"fewshot_config": {"split": "validation"}},
    "filters-of-templates": GENERATE | TRAIN | {"doc_to_text": "{{question|regex_replace('[aeiou]', '_')|trim}}:"},
}
TAILS: dict[str, dict[str, Any]] = {
    "functions": CHOICE | TRAIN | {"doc_to_text": None, "doc_to_choice": None, "doc_to_target": None},
    "process-docs": GENERATE | TRAIN,
    "fewshot-process-docs": GENERATE | {"fewshot_split": "train"},
    "fewshot-samples-function": GENERATE,
}
TAIL_TEXT = {
    "functions": "doc_to_text: !function utils.text\n"
    "doc_to_choice: !function utils.choices\n"
    "doc_to_target: !function utils.target\n",
    "process-docs": "process_docs: !function utils.reverse\n",
    "fewshot-process-docs": "fewshot_config: {process_docs: !function utils.reverse}\n",
    "fewshot-samples-function": "fewshot_config: {samples: !function utils.samples}\n",
}


def reference(path: Path, num_fewshot: int, **style: Any) -> list[tuple[Any, ...]]:
    """The arguments of lm-eval's requests; of generations only the context."""
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    def load(path: str, name: str | None, data_files: dict[str, str]) -> Any:
        return datasets.DatasetDict(
            {
                split: datasets.Dataset.from_list([json.loads(line) for line in (folder / file).open(encoding="utf-8")])
                for split, file in data_files.items()
            }
        )

    folder = path.parent
    with mock.patch.object(datasets, "load_dataset", load):
        task = ConfigurableTask(config=load_yaml(path, resolve_func=True))
        task.set_config("num_fewshot", num_fewshot)
        task.set_fewshot_seed(seed=1234)
        task.build_all_requests(rank=0, world_size=1, **style)
    arguments = [tuple(instance.arguments) for instance in task.instances]
    return [a[:1] if len(a) == 2 and isinstance(a[1], dict) else a for a in arguments]


# The reference shows a document its own answer here.
LEAKING = "only-test-split"


def grid() -> list[tuple[str, int]]:
    """Without examples and with three; where the draw itself is the matter, every number up to there."""
    numbers = [
        (name, n) for name in (*CASES, *TAILS) for n in range(4) if n in (0, 3) or "fewshot" in name or "split" in name
    ]
    return [(name, n) for name, n in numbers if name != LEAKING or n == 0]


@pytest.mark.parametrize(("name", "num_fewshot"), grid())
def test_requests_are_the_references(tmp_path: Path, name: str, num_fewshot: int) -> None:
    keys = CASES.get(name) or TAILS[name]
    path = task_file(tmp_path, keys, SPLITS, functions=FUNCTIONS, tail=TAIL_TEXT.get(name, ""))
    ours = [call_of(request) for request in asked(spec_of(path), num_fewshot=num_fewshot)]
    assert ours == reference(path, num_fewshot)
    assert len(ours) >= len(SPLITS["test"])


@pytest.mark.parametrize("num_fewshot", [1, 2, 3])
def test_examples_that_leak_in_the_reference_are_replaced_and_the_rest_is_equal(
    tmp_path: Path, num_fewshot: int
) -> None:
    path = task_file(tmp_path, CASES[LEAKING], {"test": ROWS[:8]})
    ours = [call_of(request)[0] for request in asked(spec_of(path), num_fewshot=num_fewshot)]
    theirs = [call[0] for call in reference(path, num_fewshot)]
    leaked = [context.count(f"Q: {row['question']}\nA:") > 1 for context, row in zip(theirs, ROWS, strict=False)]
    assert any(leaked)
    for own, other, leaks, row in zip(ours, theirs, leaked, ROWS, strict=False):
        assert (own == other) is not leaks
        assert own.count(f"Q: {row['question']}\nA:") == 1


def as_json(messages: list[dict[str, str]], *, add_generation_prompt: bool) -> str:
    """A chat template under which no two conversations look alike."""
    return json.dumps([messages, add_generation_prompt])


def rendered(context: Context) -> str:
    if isinstance(context, str):
        return context
    return as_json(context.as_dicts(), add_generation_prompt=not context.continues)


@pytest.mark.parametrize("system", ["", "Be brief."], ids=["no-system", "system"])
@pytest.mark.parametrize("chat", ["text", "turns", "one-turn"])
@pytest.mark.parametrize("name", [name for name in (*CASES, *TAILS) if name != LEAKING])
def test_conversations_and_system_instructions_are_the_references(
    tmp_path: Path, name: str, chat: str, system: str
) -> None:
    path = task_file(
        tmp_path, CASES.get(name) or TAILS[name], SPLITS, functions=FUNCTIONS, tail=TAIL_TEXT.get(name, "")
    )
    style = PromptOptions(system=system, chat_template=chat != "text", multiturn=chat == "turns")
    for num_fewshot in (0, 2):
        calls = [call_of(request) for request in asked(spec_of(path), num_fewshot=num_fewshot, prompt=style)]
        assert [(rendered(call[0]), *call[1:]) for call in calls] == reference(
            path,
            num_fewshot,
            system_instruction=system or None,
            apply_chat_template=style.chat_template,
            fewshot_as_multiturn=style.multiturn,
            chat_template=as_json if style.chat_template else None,
        )


def test_the_number_of_examples_matters(tmp_path: Path) -> None:
    """The table above compares equal things: here is what it would be blind to."""
    path = task_file(tmp_path, CASES["generate"], SPLITS)
    spec = spec_of(path)
    lengths = [sum(len(call_of(r)[0]) for r in asked(spec, num_fewshot=n)) for n in range(4)]
    assert lengths == sorted(set(lengths))
    assert call_of(asked(spec)[0]) == ("Q: Anna\nA:",)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("a", "b", "a-b"),
        ("a ", "b", "a b"),
        ("a", "\nb", "a\nb"),
        ("", "b", "b"),
        ("a", "", "a"),
        (None, "b", "b"),
        ("a", None, "a"),
        (None, None, ""),
        ("a\u00a0", "b", "a\u00a0b"),
    ],
)
def test_joined(left: str | None, right: str | None, expected: str) -> None:
    assert joined(left, right, "-") == expected


def test_an_int_answer_without_choices_is_refused(tmp_path: Path) -> None:
    spec = small_task(tmp_path, GENERATE | TRAIN | {"doc_to_target": "label", "doc_to_choice": None}, train=CHOICE_ROWS)
    with pytest.raises(TaskFileError, match="expected text, found int 1"):
        asked(spec, num_fewshot=1)


def test_what_is_missing_in_a_template_is_named_with_the_columns(tmp_path: Path) -> None:
    spec = small_task(tmp_path, {"doc_to_text": "{{questoin}}"})
    with pytest.raises(
        TaskFileError,
        match=r"'questoin' is undefined. Did you mean 'question'\? The document has the columns question, choices",
    ):
        asked(spec)
