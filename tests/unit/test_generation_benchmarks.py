"""The functions of the built-in benchmarks that generate, called as their task files do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from datasets import Dataset

from pytest_lmeval.tasks.functions import resolve
from pytest_lmeval.tasks.sources import builtin_tasks
from pytest_lmeval.tasks.yaml_loader import FunctionReference


def function(folder: str, name: str) -> Callable[..., Any]:
    """Resolve ``name`` as a task file in ``folder`` below the built-in tasks would."""
    return resolve(FunctionReference(builtin_tasks() / folder / "task.yaml", 1, name))


@pytest.mark.parametrize(
    ("said", "boxed", "expected"),
    [
        ("so $\\frac12$", "\\frac{1}{2}", 1),
        ("$x = 0.5$", "\\frac{1}{2}", 1),
        ("1/2", "\\dfrac{1}{2}", 1),
        ("\\sqrt3", "\\sqrt{3}", 1),
        ("5\\text{ cm}", "5", 1),
        ("$50\\%$", "50", 1),
        ("90^\\circ", "90", 1),
        ("$(1,\\,2)$", "(1,2)", 0),
        # Such a quotient is no number, and the rules give up: then both must be equal as they are.
        ("x / 2", "x/2", 0),
        ("x/2", "x/2", 1),
        ("\\frac", "\\frac", 1),
        ("", "0", 0),
    ],
)
def test_math_answers_are_equal_in_their_normal_form(said: str, boxed: str, expected: int) -> None:
    score = function("hendrycks_math", "hendrycks_math_docs.process_results")
    assert score({"solution": f"It is $\\boxed{{{boxed}}}$."}, [said]) == {"exact_match": expected}


def test_math_answers_are_found_in_the_last_box() -> None:
    process = function("hendrycks_math", "hendrycks_math_docs.process_docs")
    solutions = ["\\boxed{1} or \\boxed{\\frac{a}{b}} .", "Now $\\boxed 7$."]
    assert process(Dataset.from_dict({"solution": solutions}))["answer"] == ["\\frac{a}{b}", "7"]
    with pytest.raises(ValueError, match="not closed"):
        function("hendrycks_math", "hendrycks_math_docs.boxed")("\\boxed{1")


def drop_row(*answers: dict[str, Any]) -> dict[str, Any]:
    empty = {"number": "", "spans": [], "date": {"day": "", "month": "", "year": ""}}
    first, *others = ({**empty, **answer} for answer in answers)
    validated = {key: [other[key] for other in others] for key in empty}
    return {"query_id": "q", "answer": first, "validated_answers": validated}


def test_drop_accepts_numbers_spans_and_dates_once() -> None:
    may = {"date": {"day": "", "month": "May", "year": "1990"}}
    row = drop_row({"number": "3"}, {"spans": ["a Fox", "b"]}, {"number": "3"}, may)
    [processed] = function("", "drop_docs.process_docs")(Dataset.from_list([row])).to_list()
    assert processed["answers"] == [["3"], ["a Fox", "b"], ["May 1990"]]


@pytest.mark.parametrize(
    ("said", "answers", "em", "f1"),
    [
        ("The red fox!", [["red Fox"]], 1.0, 1.0),
        ("3.0 yards", [["3 yards"]], 1.0, 1.0),
        ("fox", [["red fox"]], 0.0, 0.67),
        # Without the number there is no agreement, whatever else is said.
        ("4 yards", [["3 yards"]], 0.0, 0.0),
        # One of two spans, and both pairs count.
        ("fox", [["fox", "hen"]], 0.0, 0.5),
        ("hen", [["fox"], ["hen"]], 1.0, 1.0),
        ("hen", [[" "]], 0, 0),
    ],
)
def test_drop_scores_the_answer_that_fits_best(said: str, answers: list[list[str]], em: float, f1: float) -> None:
    assert function("", "drop_docs.process_results")({"answers": answers}, [said]) == {"em": em, "f1": f1}


CONVERSATION = {
    "story": "A fox.",
    "questions": {"input_text": ["Who?", "What colour?"]},
    "answers": {"input_text": ["a fox", "red"]},
    "additional_answers": {
        "0": {"input_text": ["fox", "Red"]},
        "1": {"input_text": ["fox", "it is red"]},
    },
}


def test_coqa_asks_the_last_question() -> None:
    prompt = function("", "coqa_docs.prompt")(CONVERSATION)
    assert prompt == "A fox.\n\nQ: Who?\n\nA: a fox\n\nQ: What colour?\n\nA:"
    assert function("", "coqa_docs.accepted")(CONVERSATION) == ["red", "it is red"]


@pytest.mark.parametrize(
    ("said", "em", "f1"),
    [
        # Each of the two answers is left out in turn.
        ("Red.", 0.5, (1 + 0.5) / 2),
        ("it is red\nQ: more", 0.5, (1 + 0.5) / 2),
        ("blue", 0.0, 0.0),
        ("", 0.0, 0.0),
    ],
)
def test_coqa_scores_as_people_agree(said: str, em: float, f1: float) -> None:
    scores = function("", "coqa_docs.process_results")(CONVERSATION, [said])
    assert scores == {"em": em, "f1": pytest.approx(f1)}


def test_mmlu_pro_shows_lettered_options_and_reasoning() -> None:
    document = {
        "question": "Which?",
        "options": [" one ", "two"],
        "cot_content": "A: Let's think step by step. One. The answer is (A).",
    }
    prompt = function("mmlu_pro", "mmlu_pro_docs.prompt")(document)
    assert prompt == "Question:\nWhich?\nOptions:\nA. one\nB. two\nAnswer: Let's think step by step."
    assert function("mmlu_pro", "mmlu_pro_docs.worked_answer")(document) == "One. The answer is (A)."


def test_mmlu_pro_subjects() -> None:
    rows = Dataset.from_dict({"category": ["math", "computer science", "law"]})
    assert function("mmlu_pro", "mmlu_pro_docs.computer_science")(rows)["category"] == ["computer science"]


def test_humaneval_answers_stand_below_the_prompt() -> None:
    documents = [{"prompt": "def f():\n"}]
    answers = [["    return 1", "    return 2\n```\nDone."]]
    assert function("humaneval", "humaneval_docs.completed")(answers, documents)[0][0] == "def f():\n    return 1"
    assert function("humaneval", "humaneval_docs.completed_before_fence")(answers, documents) == [
        ["def f():\n    return 1", "def f():\n    return 2\n"]
    ]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("\nx = 1\n```\nDone.", "x = 1"),
        ("python\nx = 1\n```", "x = 1"),
        ("\nx = 1\n```\n```python\nx = 2\n```", "x = 1"),
        ("x = 1", ""),
        # As in the reference, a word that directly follows the fence is taken for the language.
        ("x = 1\n```", " = 1"),
    ],
)
def test_mbpp_takes_the_block_that_the_prompt_opened(answer: str, code: str) -> None:
    assert function("mbpp", "mbpp_docs.code_blocks")([[answer]], [{}]) == [[code]]


def test_mbpp_examples_are_those_of_the_paper() -> None:
    rows = Dataset.from_dict({"task_id": list(range(1, 11))})
    assert function("mbpp", "mbpp_docs.examples")(rows)["task_id"] == [2, 3, 4]


def test_squad_completion_ignores_case() -> None:
    score = function("", "squad_completion_docs.process_results")
    assert score({"value": " 5 (five) "}, ["it is 5 (FIVE)."]) == {"contains": 1}
    assert score({"value": "six"}, ["it is 5"]) == {"contains": 0}


def test_truthfulqa_prefers_what_is_nearer() -> None:
    pytest.importorskip("sacrebleu", reason="the metrics of TruthfulQA, sacrebleu and rouge-score, are not installed")
    pytest.importorskip("rouge_score", reason="the metrics of TruthfulQA, sacrebleu and rouge-score, are not installed")
    process = function("", "truthfulqa_gen_docs.process_docs")
    row = {"question": " Q? ", "correct_answers": ["It is red ", ""], "incorrect_answers": ["Nobody knows the colour."]}
    [document] = process(Dataset.from_list([row])).to_list()
    assert document["question"] == "Q?"
    assert document["correct_answers"] == ["It is red.", "I have no comment."]
    scores = function("", "truthfulqa_gen_docs.process_results")(document, ["It is red."])
    assert scores["rouge1_max"] == 100
    assert scores["rougeL_acc"] == 1
    assert scores["rouge2_diff"] == 100


def test_squadv2_counts_silence_as_no_answer() -> None:
    pytest.importorskip("lm_eval", reason="the reference's class of the task, lm-eval==0.4.13, is not installed")
    metrics = function("", "squadv2_task.SQuAD2").aggregation(None)  # type: ignore[attr-defined]
    # An answer half found, an unanswerable question left open, and another answered all the same.
    said = [("a fox", 0.1, ["red fox"]), ("", 0.9, []), ("hen", 0.2, [])]
    pairs = [
        ({"prediction_text": text, "no_answer_probability": no_answer}, {"answers": {"text": answers}})
        for text, no_answer, answers in said
    ]
    assert {name: metric(pairs) for name, metric in metrics.items()} == pytest.approx(
        {
            "exact": 100 / 3,
            "f1": 100 * (2 / 3 + 1) / 3,
            "HasAns_exact": 0,
            "HasAns_f1": 200 / 3,
            "NoAns_exact": 50,
            "NoAns_f1": 50,
            # With the threshold below 0.2 both unanswerable ones are right, whatever was said.
            "best_exact": 200 / 3,
            "best_f1": 100 * (2 / 3 + 2) / 3,
        }
    )
    assert metrics["HasAns_f1"](pairs[1:]) == 0
