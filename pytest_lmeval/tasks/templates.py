"""Turn a task's fields into values for a document: a column, a Jinja template, a literal or a function.

The order of resolution is the reference's: a string that equals a column of the evaluated split is that column,
any other string is a template. Templates are compiled once.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from pytest_lmeval.errors import LMEvalError, TaskFileError
from pytest_lmeval.tasks.functions import resolve
from pytest_lmeval.tasks.spec import Field
from pytest_lmeval.tasks.yaml_loader import FunctionReference, TaskDocument

Document = Mapping[str, Any]


def _regex_replace(text: str, pattern: str, replacement: str, count: int = 0) -> str:
    return re.sub(pattern, replacement, text, count=count)


# Task files and documents come from elsewhere: the sandbox keeps templates away from Python's internals.
_environment = SandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
_environment.filters["regex_replace"] = _regex_replace


@lru_cache(maxsize=4096)
def _compiled(template: str) -> jinja2.Template:
    return _environment.from_string(template)


def render(template: str, document: Document) -> str:
    """Render ``template`` with the document's columns as variables; an unknown variable is an error."""
    return _compiled(template).render(**document)


class FieldReader:
    """Reads the fields of one task. ``columns`` are those of the evaluated split, also for examples."""

    def __init__(self, columns: Collection[str], *, has_choices: bool) -> None:
        self._columns = frozenset(columns)
        self._has_choices = has_choices

    def text(self, field: Field, document: Document) -> Any:
        """``doc_to_text``: text, or an int where the document is a multiple-input one."""
        if isinstance(field, str):
            value = document[field] if field in self._columns else render(field, document)
            if field not in self._columns and self._has_choices and value.isdigit():
                return ast.literal_eval(value)
            return value
        return self._literal_or_call(field, document, "doc_to_text")

    def target(self, field: Field, document: Document) -> Any:
        """``doc_to_target``: text, the index of a choice, or a list of either."""
        if not isinstance(field, str):
            return self._literal_or_call(field, document, "doc_to_target")
        if field in self._columns:
            return document[field]
        value = render(field, document)
        if self._has_choices and value.isdigit():
            return ast.literal_eval(value)
        if len(value) >= 2 and value[0] == "[" and value[-1] == "]":
            return _list_or_text(value)
        return value

    def choices(self, field: Field, document: Document) -> list[str]:
        """``doc_to_choice``: a list of texts. The elements of a literal list are not templates."""
        if isinstance(field, str):
            if field in self._columns:
                return list(document[field])
            return list(ast.literal_eval(render(field, document)))
        if isinstance(field, Mapping):
            return list(field.values())
        return list(self._literal_or_call(field, document, "doc_to_choice"))

    def optional(self, field: str | None, document: Document) -> str | None:
        """``description`` and ``gen_prefix``: a column, a template, or nothing."""
        if not field:
            return None
        return document[field] if field in document else render(field, document)

    def _literal_or_call(self, field: Field, document: Document, name: str) -> Any:
        if isinstance(field, FunctionReference):
            return call(field, document)
        if field is None:
            raise TypeError(f"the task sets no {name}")
        return field


def call(reference: FunctionReference, *arguments: Any, **named: Any) -> Any:
    """Call a task's own function."""
    function: Callable[..., Any] = resolve(reference)
    return function(*arguments, **named)


def call_for(source: TaskDocument, field: str, reference: FunctionReference, *arguments: Any, **named: Any) -> Any:
    """Call a task's own function; what it raises is reported at the line of ``field``, which names it."""
    try:
        return call(reference, *arguments, **named)
    except LMEvalError:
        raise
    except Exception as error:  # a task's own functions may raise anything
        raise source.error(f"{field}: {type(error).__name__}: {error}", field) from error


def _list_or_text(value: str) -> Any:
    try:
        return ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return value


def explain(source: TaskDocument, field: str, error: Exception, document: Document) -> TaskFileError:
    """Word what went wrong while ``field`` was read for a document, at the field's line."""
    columns = ", ".join(document)
    if isinstance(error, jinja2.UndefinedError):
        problem = f"{field}: {error.message}; the document has the columns {columns}"
    elif isinstance(error, jinja2.TemplateSyntaxError):
        problem = f"{field}: not a valid template: {error.message} (line {error.lineno} of the template)"
    else:
        problem = f"{field}: {type(error).__name__}: {error} (columns of the document: {columns})"
    return source.error(problem, field)
