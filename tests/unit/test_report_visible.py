from __future__ import annotations

import pytest

from pytest_lmeval.report.terminal import plain_text
from pytest_lmeval.report.visible import legend, visible, visible_inline


def shown(text: str, *, unicode: bool = True) -> list[str]:
    return [plain_text(line) for line in visible(text, unicode=unicode)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("one two", ["one two"]),
        (" begins", ["·begins"]),
        ("ends  ", ["ends··"]),
        ("ends \nof lines ", ["ends·⏎", "of lines·"]),
        ("two  spaces", ["two··spaces"]),
        ("def f():\n    return 1", ["def f():⏎", "    return 1"]),
        ("   ", ["···"]),
        ("a\n   \nb", ["a⏎", "···⏎", "b"]),
        ("a\n", ["a⏎", ""]),
        ("a\tb", ["a→b"]),
        ("\r\n", ["\\x0d⏎", ""]),
        ("no\xa0break", ["no\\xa0break"]),
        ("\x1b[31mred", ["\\x1b[31mred"]),
        ("zero\u200bwidth \u202ereversed", ["zero\\u200bwidth \\u202ereversed"]),
        ("\ud800", ["\\ud800"]),
        ("\U000e0001", ["\\U000e0001"]),
        ("Ñandú 鳥 🐦", ["Ñandú 鳥 🐦"]),
    ],
    ids=ascii,
)
def test_nothing_is_hidden(text: str, lines: list[str]) -> None:
    assert shown(text) == lines


def test_marks_of_the_text_are_not_taken_for_ours() -> None:
    assert shown("a→b⏎") == [r"a\u2192b\u23ce"]
    assert shown("col·lega") == ["col·lega"]
    assert shown("a · b·") == [r"a \xb7 b\xb7"]
    assert shown(r"\x1b \u200b") == [r"\x5cx1b \x5cu200b"]
    assert shown(r"\frac{1}{2} C:\x") == [r"\frac{1}{2} C:\x"]


def test_ascii() -> None:
    lines = shown(" Ñ \t\n\x1b→\\n \\frac", unicode=False)
    assert lines == [r"\x20\xd1 \t\n", r"\x1b\u2192\x5cn \frac"]
    assert all(line.isascii() for line in [*lines, legend(unicode=False)])


def test_marks_are_coloured_and_the_text_is_not() -> None:
    assert visible_inline(" a\nb", unicode=True) == (
        ("·", {"cyan": True}),
        ("a", {}),
        ("⏎", {"cyan": True}),
        ("b", {}),
    )


@pytest.mark.parametrize("unicode", [True, False])
def test_every_text_is_spelled_in_its_own_way(unicode: bool) -> None:
    pieces = ("a", " ", "  ", "\t", "\n", "·", "→", "⏎", "\\", "\\n", "\\x20", "\\xb7", "\x1b", "é")
    texts = {first + second + third for first in pieces for second in pieces for third in pieces}
    spelled = {"\n".join(shown(f"a{text}b", unicode=unicode)): text for text in texts}
    assert len(spelled) == len(texts)
    assert all(line.isprintable() for key in spelled for line in key.split("\n"))
