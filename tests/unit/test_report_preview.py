from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.report.blocks import TEXT_LIMIT, Style
from pytest_lmeval.report.preview import Preview, format_preview
from pytest_lmeval.report.terminal import Line, plain_text
from pytest_lmeval.tasks.evaluation import Evaluation
from pytest_lmeval.tasks.limits import Limit
from pytest_lmeval.tasks.options import EvaluationOptions, PromptOptions
from pytest_lmeval.tasks.spec import TaskSpec

from .making import CHOICE_ROWS, Row, small_task

PLAIN = Style(unicode=True, verbose=False)
VERBOSE = Style(unicode=True, verbose=True)
GENERATION = {"output_type": "generate_until", "doc_to_choice": None, "doc_to_target": "answer"}


def lines_of(spec: TaskSpec, style: Style = PLAIN, *, count: int = 3, **options: Any) -> list[Line]:
    evaluation = Evaluation(spec, EvaluationOptions(**options))
    preview = Preview(
        spec=spec,
        file="tasks/small.yaml",
        settings=evaluation.settings,
        total=evaluation.total,
        selected=evaluation.selected,
        interviews=tuple(itertools.islice(evaluation.interviews(itertools.count()), count)),
    )
    return list(format_preview(preview, style))


def texts(spec: TaskSpec, style: Style = PLAIN, **arguments: Any) -> list[str]:
    return [plain_text(line) for line in lines_of(spec, style, **arguments)]


def document(spec: TaskSpec, number: int = 0, style: Style = PLAIN, **arguments: Any) -> list[str]:
    """The lines of one document."""
    lines = texts(spec, style, **arguments)
    heads = [i for i, line in enumerate(lines) if line.startswith("document ")] + [len(lines) + 1]
    return lines[heads[number] + 1 : heads[number + 1] - 1]


def task(
    folder: Path, keys: Mapping[str, Any], rows: Sequence[Row] = CHOICE_ROWS, *, train: Sequence[Row] = ()
) -> TaskSpec:
    return small_task(folder, keys, rows, train=train) if train else small_task(folder, keys, rows)


def test_the_head_says_what_would_be_asked(tmp_path: Path) -> None:
    spec = task(tmp_path, {"repeats": 2, "training_split": "train", "dataset_name": "easy"}, train=CHOICE_ROWS)
    assert texts(spec, num_fewshot=2, limit=Limit.parse("first:2"), count=1)[:6] == [
        "small  tasks/small.yaml",
        "  dataset  json easy rows/test.jsonl, split test, 3 documents",
        "  output   multiple_choice, each request 2 times",
        "  shots    2, sampler default",
        "  shown    1 of the 2 that --lm-limit=first:2 chooses",
        "",
    ]
    assert texts(spec)[3:5] == ["  shots    0", "  shown    3 of 3"]


def test_choices_and_the_gold_one(tmp_path: Path) -> None:
    assert document(task(tmp_path, {}), 1) == [
        "  context",
        "    │ Q: red and blue⏎",
        "    │ A:",
        "  choices, scored after the context",
        "           0 │ ·grey",
        "      gold 1 │ ·purple",
        "           2 │ ·a very long colour",
    ]


def test_only_the_gold_choice_is_green(tmp_path: Path) -> None:
    green = [text for line in lines_of(task(tmp_path, {}), count=1) for text, markup in line if markup.get("green")]
    assert [text.strip() for text in green] == ["gold 0"]


def test_several_gold_choices(tmp_path: Path) -> None:
    lines = document(task(tmp_path, {"doc_to_target": "{{[0, 1]}}"}))
    assert [line.split(" │")[0].strip() for line in lines[4:]] == ["gold 0", "gold 1"]


@pytest.mark.parametrize("target", ["{{9}}", "no such choice", "{{none}}"])
def test_a_target_that_is_no_choice_is_told(tmp_path: Path, target: str) -> None:
    lines = document(task(tmp_path, {"doc_to_target": target}))
    assert not [line for line in lines if "gold" in line]
    assert lines[-1].endswith("is neither the index nor the text of a choice: no answer is right")


def test_choices_of_several_lines(tmp_path: Path) -> None:
    row = {"question": "q", "choices": ["one\ntwo", ""], "label": 0}
    assert document(task(tmp_path, {"target_delimiter": ""}, [row]))[4:] == [
        "      gold 0 │ one⏎",
        "             │ two",
        "           1 │ (empty)",
    ]


def test_choices_that_are_contexts(tmp_path: Path) -> None:
    rows = [{"options": ["The cat", "The dog"], "rest": "barks.", "answer": 1}] * 2
    keys = {"doc_to_text": "{{answer}}", "doc_to_choice": "options", "doc_to_target": "rest"}
    assert document(task(tmp_path, keys, rows)) == [
        "  choices: each is a context of its own, before the same continuation",
        "           0 │ The cat",
        "      gold 1 │ The dog",
        "  continuation",
        "    │ ·barks.",
    ]


def test_examples_before_choices_that_are_contexts_are_shown_once(tmp_path: Path) -> None:
    rows = [{"options": ["The cat", "The dog"], "rest": f"barks {i}.", "answer": 1} for i in range(3)]
    keys = {"doc_to_text": "{{answer}}", "doc_to_choice": "options", "doc_to_target": "rest", "training_split": "train"}
    lines = document(task(tmp_path, keys, rows, train=rows), num_fewshot=1)
    assert len([line for line in lines if "The dog barks" in line]) == 1
    assert "    … same 1 example, 18 characters …" in lines


def test_mutual_information_asks_more(tmp_path: Path) -> None:
    lines = document(task(tmp_path, {"metric_list": [{"metric": "acc_mutual_info", "aggregation": "mean"}]}))
    assert lines[-1] == "  and 2 requests of the choices without a context, for acc_mutual_info"
    assert len([line for line in lines if "gold" in line]) == 1


def test_generation(tmp_path: Path) -> None:
    spec = task(tmp_path, {**GENERATION, "generation_kwargs": {"until": ["\n", " .", "\\n"], "max_gen_toks": 7}})
    assert document(spec)[-5:] == [
        "  generates",
        '    until "⏎", "·.", "\\n"',
        "    at most 7 tokens, greedy",
        "  target",
        "    │ two",
    ]


def test_sampling_and_the_end_of_text(tmp_path: Path) -> None:
    kwargs = {"until": [], "do_sample": True, "temperature": 0.7, "top_p": 0.9, "num_beams": 2}
    lines = document(task(tmp_path, {**GENERATION, "generation_kwargs": kwargs}))
    assert lines[-4:-2] == [
        "    until the model's own end of text",
        "    at most 256 tokens, sampled at temperature 0.7, top_p=0.9, seed=1234, num_beams=2",
    ]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"doc_to_target": "{{['a', 'b ']}}"}, ["  target: any of 2", "    │ a", "    │ b·"]),
        ({"doc_to_target": "label", "doc_to_choice": "choices"}, ["  target: choice 0", "    │ two"]),
        ({"doc_to_target": "label"}, ["  target", "    │ 0"]),
        ({"doc_to_target": ""}, ["  target", "    │ (empty)"]),
    ],
    ids=["list", "choice", "number", "empty"],
)
def test_targets(tmp_path: Path, keys: dict[str, Any], expected: list[str]) -> None:
    assert document(task(tmp_path, {**GENERATION, **keys}))[-len(expected) :] == expected


def test_many_targets_are_counted(tmp_path: Path) -> None:
    lines = document(task(tmp_path, {**GENERATION, "doc_to_target": "{{range(50)|list|string}}"}))
    assert "  target: any of 50" in lines
    assert lines[-1] == "    … 30 more …"


def test_continuations_and_texts(tmp_path: Path) -> None:
    keys = {"output_type": "loglikelihood", "doc_to_choice": None, "doc_to_target": " {{answer}}"}
    assert document(task(tmp_path, keys))[-2:] == ["  continuation, scored after the context", "    │ ·two"]
    rolling = {"output_type": "loglikelihood_rolling", "doc_to_choice": None, "doc_to_target": "a\n{{answer}}"}
    assert document(task(tmp_path, rolling)) == ["  text, scored as a whole", "    │ a⏎", "    │ two"]


def test_no_context_is_said(tmp_path: Path) -> None:
    assert document(task(tmp_path, {"doc_to_text": ""}))[0] == "  context: none"


SHOTS = {"training_split": "train", "description": "Answer.\n"}
POOL = [{"question": f"number {i}", "choices": ["a", "b"], "label": 0} for i in range(9)]


def test_examples_are_shown_once(tmp_path: Path) -> None:
    spec = task(tmp_path, {**SHOTS, "fewshot_config": {"sampler": "first_n"}}, train=POOL)
    first, second = document(spec, 0, num_fewshot=2), document(spec, 1, num_fewshot=2)
    assert first[1:4] == ["    │ Answer.⏎", "    │ Q: number 0⏎", "    │ A: a⏎"]
    assert second[:4] == [
        "  context",
        "    │ Answer.⏎",
        "    … same 2 examples, 36 characters …",
        "    │ Q: red and blue⏎",
    ]


def test_examples_that_differ_are_counted_and_shown_if_verbose(tmp_path: Path) -> None:
    spec = task(tmp_path, SHOTS, train=POOL)
    folded = document(spec, 1, num_fewshot=2)
    assert "    … 2 other examples, 36 characters …" in folded
    assert not [line for line in folded if "number" in line]
    assert len([line for line in document(spec, 1, VERBOSE, num_fewshot=2) if "Q: number" in line]) == 2


CHAT = PromptOptions(chat_template=True, system="Be brief.")


def test_conversations(tmp_path: Path) -> None:
    spec = task(tmp_path, {**SHOTS, "fewshot_config": {"sampler": "first_n"}}, train=POOL)
    first, second = (document(spec, i, num_fewshot=1, prompt=CHAT) for i in (0, 1))
    assert first == [
        "  conversation, written out by the model's own chat template",
        "       system │ Be brief.⏎",
        "              │ ⏎",
        "              │ Answer.⏎",
        "              │ ",
        "         user │ Q: number 0⏎",
        "              │ A:",
        "    assistant │ a",
        "         user │ Q: one plus one⏎",
        "              │ A:",
        "  choices, scored after the context",
        "      gold 0 │ two",
        "           1 │ three",
    ]
    assert second[5:8] == [
        "    … same 1 example, 15 characters …",
        "         user │ Q: red and blue⏎",
        "              │ A:",
    ]


def test_conversations_of_a_single_turn(tmp_path: Path) -> None:
    spec = task(tmp_path, {**SHOTS, "fewshot_config": {"sampler": "first_n"}}, train=POOL)
    options = PromptOptions(chat_template=True, multiturn=False)
    lines = document(spec, 1, num_fewshot=2, prompt=options)
    assert lines[3:5] == ["    … same 2 examples, 36 characters …", "         user │ Q: red and blue⏎"]


def test_conversations_that_are_choices(tmp_path: Path) -> None:
    rows = [{"options": ["The cat", "The dog"], "rest": "barks.", "answer": 1}] * 2
    keys = {"doc_to_text": "{{answer}}", "doc_to_choice": "options", "doc_to_target": "rest"}
    assert document(task(tmp_path, keys, rows), prompt=PromptOptions(chat_template=True))[1:] == [
        "  choice 0",
        "         user │ The cat",
        "  choice 1, gold",
        "         user │ The dog",
        "  continuation",
        "    │ barks.",
    ]


def test_long_texts_keep_their_ends(tmp_path: Path) -> None:
    words = " ".join(f"w{i}" for i in range(4000))
    spec = task(tmp_path, {"doc_to_text": "question"}, [{"question": words, "choices": ["a"], "label": 0}])
    lines = document(spec)
    hidden = len(words) - TEXT_LIMIT
    assert f"    … {hidden:,} characters, shown with -v …" in lines
    assert lines[1].startswith("    │ w0 w1 ")
    assert lines[3].endswith(" w3999")
    assert f"    │ {words}" in document(spec, style=VERBOSE)


def test_columns_are_shown_if_verbose(tmp_path: Path) -> None:
    row = {"question": "q ", "choices": ["a", "b"], "label": 1, "a\tcolumn": "x" * 2000}
    lines = document(task(tmp_path, {}, [row]), style=VERBOSE)
    at = lines.index("  columns of the document")
    assert lines[at + 1 : at + 4] == [
        "    question │ q·",
        "     choices │ ['a', 'b']",
        "       label │ 1",
    ]
    assert lines[at + 4].startswith("    a→column │ xxx")
    assert lines[at + 5] == "    … 1,000 characters …"
    assert "columns of the document" not in "\n".join(document(task(tmp_path, {}, [row])))


def test_what_the_data_hides_is_spelled_out_in_ascii(tmp_path: Path) -> None:
    row = {"question": "\x1b]0;title\x07 é\u202e", "choices": ["\x9b31m", "\r"], "label": 0}
    lines = texts(task(tmp_path, {"task": "smáll"}, [row]), Style(unicode=False, verbose=True))
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert r"    | Q: \x1b]0;title\x07 \xe9\u202e\n" in lines
