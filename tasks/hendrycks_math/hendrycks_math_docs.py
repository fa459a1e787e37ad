"""MATH's answers: found in a solution, found in what the model wrote, and brought to one form.

The rules are those that came with the dataset (Hendrycks et al., 2021), with the cases in which they give up: then the
two answers must be equal as they are.
"""

from __future__ import annotations

from typing import Any

from datasets import Dataset

# In this order; what is left of the arrow becomes what is right of it.
_SAME = [
    ("\n", ""),
    ("\\!", ""),
    ("\\\\", "\\"),
    ("tfrac", "frac"),
    ("dfrac", "frac"),
    ("\\left", ""),
    ("\\right", ""),
    ("^{\\circ}", ""),
    ("^\\circ", ""),
    ("\\$", ""),
]
# Twice, as the original does it: two halves may have come together.
_SAME_AFTER_UNITS = [("\\%", ""), ("\\%", ""), (" .", " 0."), ("{.", "{0.")]


class _GivesUpError(ValueError):
    """No rule says what such LaTeX means."""


def process_docs(dataset: Dataset) -> Dataset:
    """Add the column ``answer``: what the solution's last box holds."""
    return dataset.map(lambda doc: {"answer": boxed(doc["solution"])})


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, int]:
    """Compare the model's answer with the box's content."""
    return {"exact_match": int(equivalent(_stated(results[0]), boxed(doc["solution"])))}


def boxed(solution: str) -> str:
    r"""Return what the last ``\boxed{…}`` of a solution, or its last ``\boxed …$``, holds."""
    if "\\boxed " in solution:
        return solution.split("\\boxed ")[-1].split("$")[0]
    box = solution[solution.rfind("\\boxed") :]
    if not box.startswith("\\boxed{"):
        raise ValueError("the solution has no \\boxed{…}")
    content = box.removeprefix("\\boxed{")
    depth = 1
    for end, character in enumerate(content):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return content[:end]
    raise ValueError("the solution's last \\boxed{ is not closed")


def equivalent(one: str, other: str) -> bool:
    """Say whether two answers have the same normal form."""
    try:
        return normal_form(one) == normal_form(other)
    except _GivesUpError:
        return one == other


def normal_form(text: str) -> str:
    """Bring an answer to the form in which equal ones are equal. Raises _GivesUpError where no rule fits."""
    text = _without_units(_replaced(text, _SAME))
    text = _replaced(text, _SAME_AFTER_UNITS)
    text = "0" + text if text.startswith(".") else text
    text = _right_side(text)
    text = _braced_roots(text).replace(" ", "")
    text = _braced_fractions(text)
    text = "\\frac{1}{2}" if text == "0.5" else text
    return _as_fraction(text)


def _stated(response: str) -> str:
    """Return what stands between the first and the last dollar sign; all where there are not two."""
    first, last = response.find("$"), response.rfind("$")
    return response[first + 1 : last] if first < last else response


def _replaced(text: str, rules: list[tuple[str, str]]) -> str:
    for old, new in rules:
        text = text.replace(old, new)
    return text


def _without_units(text: str) -> str:
    r"""Drop the unit after a number: what ``\text{ `` begins."""
    value, *units = text.split("\\text{ ")
    if len(units) > 1:
        raise _GivesUpError
    return value


def _right_side(text: str) -> str:
    """Drop ``x =``."""
    sides = text.split("=")
    return sides[1] if len(sides) == 2 and len(sides[0]) <= 2 else text


def _braced_roots(text: str) -> str:
    r"""Turn ``\sqrt3`` into ``\sqrt{3}``."""
    before, *roots = text.split("\\sqrt")
    if not all(roots):
        raise _GivesUpError
    return before + "".join("\\sqrt" + (r if r[0] == "{" else f"{{{r[0]}}}{r[1:]}") for r in roots)


def _braced_fractions(text: str) -> str:
    r"""Turn ``\frac12`` and ``\frac1{2}`` into ``\frac{1}{2}``; one that lacks a part leaves all as they are."""
    before, *fractions = text.split("\\frac")
    parts = [before]
    for fraction in fractions:
        if not fraction:
            raise _GivesUpError
        if fraction[0] != "{" and len(fraction) < 2:
            return text
        parts += ["\\frac", _braced_fraction(fraction)]
    return "".join(parts)


def _braced_fraction(fraction: str) -> str:
    above, below, rest = fraction[0], fraction[1:2], fraction[2:]
    if above == "{":
        return fraction
    return f"{{{above}}}{below}{rest}" if below == "{" else f"{{{above}}}{{{below}}}{rest}"


def _as_fraction(text: str) -> str:
    r"""Turn ``1/2`` into ``\frac{1}{2}``."""
    parts = text.split("/")
    if len(parts) != 2:
        return text
    try:
        above, below = (int(part) for part in parts)
    except ValueError:
        raise _GivesUpError from None
    return f"\\frac{{{above}}}{{{below}}}" if text == f"{above}/{below}" else text
