"""Untrusted text in Markdown, HTML and the log of a CI job: it is shown and never obeyed.

Names of tasks and models, documents and answers come from elsewhere. On GitHub and GitLab text can mention people,
close issues, load images, end a table or a block; a line in GitHub's log can be a command.
"""

from __future__ import annotations

import re

from pytest_lmeval.gate.causes.quoting import spelled

# All of ASCII's punctuation but the hyphen. Entities have no meaning in Markdown, whatever character they stand for.
_MARKS = re.compile(r"[!-,./:-@\[-`{-~]")
# In text, GitHub makes links of addresses after entities are resolved; a word joiner is not seen and ends them.
_JOINER = "&#8288;"
_FENCE = re.compile(r"`{3,}")


def code(text: str, width: int = 200) -> str:
    """Spell the beginning of ``text`` as code on one line, in at most ``width`` columns.

    It is the same in Markdown, in a cell of a table and in HTML. References to people and issues are not looked for in
    code; everything that Markdown or HTML could read is an entity.
    """
    return f"<code>{entities(spelled(text, width))}</code>"


def entities(text: str) -> str:
    """Replace all that Markdown and HTML could read, of one line of printable text."""
    replaced = _MARKS.sub(lambda found: _entity(found[0]), text)
    return replaced.replace(_entity("@"), _entity("@") + _JOINER)


def fenced(text: str) -> str:
    """Put a text of several lines into a block that shows it as it is, and that nothing in it can end."""
    lines = [printable(line) for line in re.split(r"\r\n|\r|\n", text)]
    longest = max((len(found) for line in lines for found in _FENCE.findall(line)), default=2)
    fence = "`" * (longest + 1)
    return "\n".join([f"{fence}text", *lines, fence])


def printable(line: str) -> str:
    """Escape what is not printable: control characters, line ends, those that turn the direction of the text."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in line)


def command(name: str, message: str, **properties: str | int) -> str:
    """Spell a command of GitHub's log, such as ``::error file=a.yaml,line=3::told``.

    Values and message come back as they are: what would end them is escaped.
    """
    given = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    return f"::{name}{' ' if given else ''}{given}::{_data(message)}"


def _entity(char: str) -> str:
    return f"&#{ord(char)};"


def _data(text: str) -> str:
    lines = "\n".join(printable(line) for line in re.split(r"\r\n|\r|\n", text))
    return lines.replace("%", "%25").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
