"""RACE articles as one prompt each: the questions before the last one are shown with their answers."""

from __future__ import annotations

import ast
from typing import Any

# How the data writes a sentence that ends in a blank to be filled.
_ENDS_IN_BLANK = "  _  ."


def article_and_question(doc: dict[str, Any]) -> str:
    """Return the article, its answered questions, and the question that is asked."""
    *answered, asked = _problems(doc)
    return f"Article: {doc['article']}\n\n" + "".join(map(_with_answer, answered)) + str(asked["question"])


def choices(doc: dict[str, Any]) -> list[str]:
    """Return the four answers to the last question."""
    return list(_problems(doc)[-1]["options"][:4])


def gold_index(doc: dict[str, Any]) -> int:
    """Return which answer to the last question is right."""
    return _index(_problems(doc)[-1])


def _problems(doc: dict[str, Any]) -> list[dict[str, Any]]:
    """Read the questions, which the data stores as the text of a Python list."""
    return list(ast.literal_eval(doc["problems"]))


def _with_answer(problem: dict[str, Any]) -> str:
    question, answer = problem["question"], problem["options"][_index(problem)]
    if question.endswith(_ENDS_IN_BLANK):
        # The answer stands where the blank and the full stop were; one space of the data's two before it stays.
        return f"{question[: -len(_ENDS_IN_BLANK) + 1]}{answer}\n"
    return f"Question: {question}\nAnswer: {answer}\n"


def _index(problem: dict[str, Any]) -> int:
    return "ABCD".index(problem["answer"])
