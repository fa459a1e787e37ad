"""Write docs/reference/ from the code: ``python scripts/docs_reference.py``.

Options come from what is registered with pytest, keys of task files from their JSON Schema, and the interface from its
signatures and docstrings. A test compares the pages with what this writes.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pytest_lmeval.options.settings import add_options
from pytest_lmeval.schema.generate import PATH

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
_WRITTEN = "*Written from the code by `scripts/docs_reference.py`.*\n"

#: What plugins, backends and tests may rely on, by subject.
INTERFACE: Mapping[str, tuple[str, ...]] = {
    "Fixtures": tuple(f"pytest_lmeval.fixtures:{name}" for name in ("lm", "lm_evaluate", "lm_result", "lm_verdict")),
    "The model in a test": ("pytest_lmeval.language_model:LanguageModel",),
    "Hooks": ("pytest_lmeval.newhooks:*",),
    "What a run found": (
        "pytest_lmeval.runs.run:Run",
        "pytest_lmeval.runs.run:RunFacts",
        "pytest_lmeval.runs.tasks:TaskRecord",
        "pytest_lmeval.report.rows:ReportRow",
        "pytest_lmeval.results:TaskResult",
        "pytest_lmeval.results:ItemResult",
        "pytest_lmeval.results:MetricValue",
    ),
    "A backend of your own": tuple(
        f"pytest_lmeval.backends.protocol:{name}"
        for name in (
            "BackendPlugin", "Backend", "Metered", "ModelInfo", "Usage", "LoglikelihoodRequest", "RollingRequest",
            "GenerationRequest", "GenerationSettings", "Conversation", "Message", "LoglikelihoodAnswer",
            "RollingAnswer", "GenerationAnswer", "Failure",
        )
    ),
    "A model for tests": ("pytest_lmeval.backends.fake:FakeBackend",),
}  # fmt: skip


class Flag(NamedTuple):
    """An option of the command line as it was registered."""

    flag: str
    destination: str
    metavar: str | None
    optional: bool
    help: str


class Registered:
    """Stands for pytest's parser and notes down what is registered."""

    def __init__(self) -> None:
        self.flags: list[Flag] = []
        self.ini: dict[str, str] = {}

    def getgroup(self, *_: Any, **__: Any) -> Registered:
        """Return itself: the group."""
        return self

    def addoption(self, flag: str, **settings: Any) -> None:
        """Note down an option."""
        optional = settings.get("nargs") == "?"
        self.flags.append(Flag(flag, settings["dest"], settings.get("metavar"), optional, settings["help"]))

    def addini(self, name: str, help: str, **_: Any) -> None:  # noqa: A002  # pytest's name
        """Note down a key of the ini file."""
        self.ini[name] = help


def options_page() -> str:
    """Return the page of all options and ini keys."""
    found = Registered()
    add_options(found)  # type: ignore[arg-type]
    of_options = {flag.destination for flag in found.flags}
    lines = [
        "# Options",
        "",
        _WRITTEN,
        "The command line wins over the environment, the environment over the ini file. An option without an ini key",
        "is for the command line only. `pytest --help` has the same list.",
        "",
        "| option | ini key | environment | meaning |",
        "|---|---|---|---|",
        *(_option_row(flag, found.ini) for flag in found.flags),
        "",
        "## Keys of the ini file alone",
        "",
        "| key | meaning |",
        "|---|---|",
        *(f"| `{name}` | {_cell(text)} |" for name, text in found.ini.items() if name not in of_options),
    ]
    return "\n".join(lines) + "\n"


def _option_row(flag: Flag, ini: Mapping[str, str]) -> str:
    value = "" if flag.metavar is None else f"={flag.metavar}"
    spelled = f"`{flag.flag}`, `{flag.flag}{value}`" if flag.optional else f"`{flag.flag}{value}`"
    key = f"`{flag.destination}`" if flag.destination in ini else ""
    variable = f"`PYTEST_LMEVAL_{flag.destination.removeprefix('lm_').upper()}`" if key else ""
    return f"| {_cell(spelled)} | {key} | {variable} | {_cell(flag.help)} |"


def keys_page() -> str:
    """Return the page of the keys of task files."""
    definitions = json.loads(PATH.read_text(encoding="utf-8"))["$defs"]
    lines = ["# Keys of task files", "", _WRITTEN, "[The task format](../task-format.md) explains them in context.", ""]
    titles = {"task": "Task", "class": "Python task", "group": "Group", "aggregate": "Group: `aggregate_metric_list`",
              "gate": "`gate`", "rule": "`gate`: a metric"}  # fmt: skip
    for name, title in titles.items():
        lines += [f"## {title}", "", "| key | value | meaning |", "|---|---|---|"]
        lines += [_key_row(*row) for row in _keys(definitions[name].get("properties", {}))] + [""]
    return "\n".join(lines)


def _keys(properties: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give each key with its schema, those of mappings and of lists of mappings behind a dot."""
    for key, schema in properties.items():
        if schema is False:
            continue
        yield f"{above}{key}", schema
        inner = schema.get("properties") or (schema.get("items") or {}).get("properties") or {}
        yield from _keys(inner, f"{above}{key}.")


def _key_row(key: str, schema: Mapping[str, Any]) -> str:
    return f"| `{key}` | {_cell(_values(schema))} | {_cell(schema.get('description', ''))} |"


def _values(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value) if not isinstance(value, str) else value}`" for value in schema["enum"])
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    names = {"object": "mapping", "array": "list", "string": "text", "boolean": "true or false"}
    said = " or ".join(names.get(kind, kind) for kind in kinds if kind != "null")
    return f"{said} ({json.dumps(schema['default'])})" if "default" in schema else said


def interface_page() -> str:
    """Return the page of the Python interface."""
    parts = ["# Python interface", "", _WRITTEN]
    for subject, names in INTERFACE.items():
        parts += [f"## {subject}", ""]
        for name in names:
            for module, found in _objects(name):
                parts += [_described(module, found)]
    return "\n".join(parts)


def _objects(name: str) -> Iterator[tuple[str, Any]]:
    module, _, wanted = name.partition(":")
    loaded = importlib.import_module(module)
    if wanted != "*":
        yield module, getattr(loaded, wanted)
        return
    for found in vars(loaded).values():
        if inspect.isfunction(found) and found.__module__ == module:
            yield module, found


def _described(module: str, found: Any) -> str:
    found = getattr(found, "__wrapped__", getattr(found, "_get_wrapped_function", lambda: found)())
    lines = [f"### {found.__name__}", "", f"`{module}.{found.__name__}`", "", _text(found), ""]
    if not inspect.isclass(found):
        return "\n".join([*lines[:4], f"```python\n{_signature(found)}\n```", "", *lines[4:]])
    fields = [_field(field) for field in dataclasses.fields(found)] if dataclasses.is_dataclass(found) else []
    if fields:
        lines += ["```python", f"class {found.__name__}:", *fields, "```", ""]
    members = [(name, member) for name, member in vars(found).items() if not name.startswith("_")]
    for name, member in members:
        target = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if inspect.isfunction(target):
            shown = name if isinstance(member, property) else _signature(target)
            lines += [f"- `{shown}`: {_text(target, one_line=True)}"]
    return "\n".join([*lines, ""])


def _field(field: dataclasses.Field[Any]) -> str:
    default = "" if field.default is dataclasses.MISSING else f" = {_literal(field.default)}"
    return f"    {field.name}: {field.type}{default}".replace("'", '"')


def _literal(value: Any) -> str:
    """The value as ruff, which also formats the blocks of pages, would spell it."""
    return json.dumps(value) if type(value) is str else repr(value)


def _signature(function: Any) -> str:
    """The signature as it is written, without ``self``."""
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")]
    shown = str(inspect.Signature(parameters)).replace("'", "")
    returned = typing.cast("dict[str, str]", function.__annotations__).get("return")
    return f"{function.__name__}{shown}" + (f" -> {returned}" if returned else "")


def _text(found: Any, *, one_line: bool = False) -> str:
    """The docstring; roles and double backquotes of reStructuredText become Markdown."""
    text = re.sub(r":\w+:``?~?([^`]+)``?|:\w+:`~?([^`]+)`", r"`\1\2`", inspect.getdoc(found) or "")
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    text = re.sub(r"::$", ":", text, flags=re.MULTILINE)
    return " ".join(text.split()) if one_line else text


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES = {"options.md": options_page, "yaml-keys.md": keys_page, "api.md": interface_page}


def main() -> None:
    """Write the pages."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
        print(FOLDER / name)


if __name__ == "__main__":
    main()
