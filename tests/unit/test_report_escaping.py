"""Untrusted text, as the parsers read it that GitHub has: its Markdown's and its runner's."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options

from pytest_lmeval.gate.causes.quoting import spelled
from pytest_lmeval.report.escaping import code, command, fenced, printable

from .hostile import HOSTILE


class Page(HTMLParser):
    """What a browser makes of a page: its tags, and its texts with the tag they stand in."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.comments: list[str] = []
        # With raw HTML, which GitHub's own sanitizer sees only after it.
        self.feed(cmarkgfm.github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def within(self, tag: str) -> str:
        return "".join(text for parent, text in self.texts if parent == tag)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_code_is_code_wherever_it_stands(text: str) -> None:
    shown = spelled(text, 200)
    for place in ("{}", "# {}", "- {}", "| a | b |\n| - | - |\n| {} | x |", "<details><summary>{}</summary>\n"):
        page, plain = Page(place.format(code(text))), Page(place.format(code("plain")))
        assert page.tags == plain.tags
        assert page.within("code").replace("\u2060", "") == shown
        assert page.comments == []


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_ends_a_block(text: str) -> None:
    page = Page(f"before\n\n{fenced(text)}\n\nafter")
    assert page.tags == ["p", "pre", "code", "p"]
    lines = re.split(r"\r\n|\r|\n", text)
    assert page.within("code") == "\n".join(map(printable, lines)) + "\n"


def test_of_a_long_text_the_beginning() -> None:
    assert len(code("x" * 10_000_000, 50)) < 80


def run_by_github(line: str) -> tuple[str, dict[str, str], str] | None:
    """Read a line as GitHub's runner does, which knows a command by its name."""
    found = re.match(r"\s*::(\w[\w-]*)(?: (.*?))?::(.*)$", line)
    if found is None:
        return None
    given = (pair.split("=", 1) for pair in (found[2] or "").split(","))
    properties = {pair[0]: _unescaped(pair[1], ":,") for pair in given if len(pair) == 2}
    return found[1], properties, _unescaped(found[3], "")


def _unescaped(text: str, more: str) -> str:
    for char in ["\r", "\n", *more, "%"]:
        text = text.replace(f"%{ord(char):02X}", char)
    return text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_command_is_one_line_and_gives_back_what_it_tells(text: str) -> None:
    line = command("error", text, file="tasks/a,b.yaml", line=3, title=text)
    assert len(line.splitlines()) == 1
    shown = "\n".join(map(printable, re.split(r"\r\n|\r|\n", text)))
    assert run_by_github(line) == ("error", {"file": "tasks/a,b.yaml", "line": "3", "title": shown}, shown)
