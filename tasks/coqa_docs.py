"""CoQA's conversations as prompts, and how an answer agrees with those that people gave."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable
from typing import Any

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def prompt(doc: dict[str, Any]) -> str:
    """Return story and conversation up to the last question."""
    questions, answers = doc["questions"]["input_text"], doc["answers"]["input_text"]
    answered = zip(questions[:-1], answers, strict=False)
    turns = "".join(f"Q: {question}\n\nA: {answer}\n\n" for question, answer in answered)
    return f"{doc['story']}\n\n{turns}Q: {questions[-1]}\n\nA:"


def accepted(doc: dict[str, Any]) -> list[str]:
    """Return what people answered to the last question, once where they differ in case alone."""
    last = len(doc["questions"]["input_text"]) - 1
    answers = [doc["answers"]["input_text"][last]]
    for others in (doc.get("additional_answers") or {}).values():
        other = others["input_text"][last]
        if other.lower() not in (answer.lower() for answer in answers):
            answers.append(other)
    return answers


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Score the first line: as people are, each of whose answers is left out in turn and compared with the others."""
    said = results[0].strip().split("\n")[0]
    answers = accepted(doc)
    return {"em": _as_people(_exact, answers, said), "f1": _as_people(_f1, answers, said)}


def _as_people(score: Callable[[str, str], float], answers: list[str], said: str) -> float:
    total = 0.0
    for i in range(len(answers)):
        others = answers[:i] + answers[i + 1 :] or answers
        total += max(score(other, said) for other in others)
    return total / len(answers)


def _exact(answer: str, said: str) -> float:
    return float(_normalised(answer) == _normalised(said))


def _f1(answer: str, said: str) -> float:
    """Return the F1 of two bags of words, as SQuAD defines it (Rajpurkar et al., 2016); of nothing and nothing, 1."""
    expected, found = _normalised(answer).split(), _normalised(said).split()
    if not expected or not found:
        return float(expected == found)
    common = (Counter(expected) & Counter(found)).total()
    if common == 0:
        return 0.0
    precision, recall = common / len(found), common / len(expected)
    return 2 * precision * recall / (precision + recall)


def _normalised(text: str) -> str:
    """Return the words without case, punctuation and articles."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_WITHOUT_PUNCTUATION)).split())
