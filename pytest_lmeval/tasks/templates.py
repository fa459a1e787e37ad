"""Turn a task's fields into values for a document: a column, a Jinja template, a literal or a function.

The order of resolution is the reference's: a string that equals a column of the evaluated split is that column,
any other string is a template. Templates are compiled once.
"""

from __future__ import annotations

import ast
import re
import traceback
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from pytest_lmeval.errors import LMEvalError
from pytest_lmeval.suggestions import listed, nearest
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


class FieldError(Exception):
    """Reading the field ``name`` failed with ``error``."""

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(f"{name}: {error}")
        self.name = name
        self.error = error


class _NotSetError(Exception):
    """A field is needed that the task file does not have."""


class FieldReader:
    """Reads the fields of one task. ``columns`` are those of the evaluated split, also for examples.

    Task files, their functions and documents may be wrong in any way: every method raises FieldError for it.
    """

    def __init__(self, columns: Collection[str], *, has_choices: bool) -> None:
        self._columns = frozenset(columns)
        self._has_choices = has_choices

    def text(self, field: Field, document: Document) -> Any:
        """``doc_to_text``: text, or an int where the document is a multiple-input one."""
        try:
            return self._text(field, document)
        except Exception as error:
            raise FieldError("doc_to_text", error) from error

    def target(self, field: Field, document: Document) -> Any:
        """``doc_to_target``: text, the index of a choice, or a list of either."""
        try:
            return self._target(field, document)
        except Exception as error:
            raise FieldError("doc_to_target", error) from error

    def choices(self, field: Field, document: Document) -> list[str]:
        """``doc_to_choice``: a list of texts. The elements of a literal list are not templates."""
        try:
            return self._choices(field, document)
        except Exception as error:
            raise FieldError("doc_to_choice", error) from error

    def optional(self, name: str, field: str | None, document: Document) -> str | None:
        """``description`` and ``gen_prefix``: a column, a template, or nothing."""
        try:
            return None if not field else document[field] if field in document else render(field, document)
        except Exception as error:
            raise FieldError(name, error) from error

    def _text(self, field: Field, document: Document) -> Any:
        if not isinstance(field, str):
            return _literal_or_call(field, document)
        if field in self._columns:
            return document[field]
        value = render(field, document)
        return ast.literal_eval(value) if self._has_choices and value.isdigit() else value

    def _target(self, field: Field, document: Document) -> Any:
        if not isinstance(field, str):
            return _literal_or_call(field, document)
        if field in self._columns:
            return document[field]
        value = render(field, document)
        if self._has_choices and value.isdigit():
            return ast.literal_eval(value)
        if len(value) >= 2 and value[0] == "[" and value[-1] == "]":
            return _list_or_text(value)
        return value

    def _choices(self, field: Field, document: Document) -> list[str]:
        if isinstance(field, str):
            return list(document[field] if field in self._columns else ast.literal_eval(render(field, document)))
        if isinstance(field, Mapping):
            return list(field.values())
        return list(_literal_or_call(field, document))


def _literal_or_call(field: Field, document: Document) -> Any:
    if isinstance(field, FunctionReference):
        return call(field, document)
    if field is None:
        raise _NotSetError
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


def explain(source: TaskDocument, field: str, error: Exception, document: Document) -> LMEvalError:
    """Word what went wrong while ``field`` was read for a document, at the field's line."""
    if isinstance(error, FieldError):
        field, error = error.name, error.error
    if isinstance(error, LMEvalError):
        return error
    columns = listed(map(str, document))
    number = _template_line(error)
    where = "" if number is None or number == 1 else f" (line {number} of the template)"
    if isinstance(error, _NotSetError):
        problem = f"{field}: the task does not set it, and its output_type needs it"
    elif isinstance(error, jinja2.UndefinedError):
        hint = _likely_column(str(error.message), document)
        problem = f"{field}: {error.message}{where}.{hint} The document has the columns {columns}"
    elif isinstance(error, jinja2.TemplateSyntaxError):
        problem = f"{field}: not a valid template: {error.message}{where}"
    else:
        problem = f"{field}: {type(error).__name__}: {error}{where} (columns of the document: {columns})"
    return source.error(problem, field, text_line=number)


def _likely_column(message: str, document: Document) -> str:
    """Ask for the nearest column, where the message names a variable."""
    name = re.match(r"'(\w+)' is undefined", message)
    return nearest(name[1], map(str, document)) if name else ""


def _template_line(error: Exception) -> int | None:
    """Return the line of the template on which it failed: Jinja makes its traceback one of the template's lines."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if frame.filename == "<template>"), None)
