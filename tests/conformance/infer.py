"""Find out a dataset's columns and their shapes by running a task's own fields on probes."""

from __future__ import annotations

import ast
import builtins
import contextlib
import functools
import json
import linecache
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard
from unittest import mock

import jinja2
import jinja2.meta
import jinja2.nodes
from lm_eval.utils import env

from tests.conformance.probe_dataset import ProbeDataset
from tests.conformance.shapes import LENGTH, TURN, Probe, ProbeDocument, Shape

_COLUMN = re.compile(r"[A-Za-z_][\w-]*( [A-Z]\w*)*")
_TURNS = 6


def infer(config: Mapping[str, Any]) -> Shape:
    """Return the shape of a raw document of the task with lm-eval's ``config`` (functions resolved)."""
    root = Shape("document")
    for number in range(_TURNS):
        TURN.number = number
        with _recognised():
            _Run(config, root).all()
    return root


class _Run:
    """One pass over all fields. What fails is noted and passed over: the real build is the judge."""

    def __init__(self, config: Mapping[str, Any], root: Shape) -> None:
        self._config = config
        self._root = root

    def all(self) -> None:
        config = self._config
        document = self._processed(config.get("process_docs"))
        fewshot = config.get("fewshot_config")
        fewshot = fewshot if isinstance(fewshot, Mapping) else {}
        self._fields(config, document)
        if fewshot:
            again = self._processed(fewshot.get("process_docs")) if fewshot.get("process_docs") else document
            self._fields(fewshot, again)
        self._scoring(document)

    def _processed(self, function: Any) -> ProbeDocument:
        fresh = ProbeDocument(self._root)
        if not callable(function):
            return fresh
        rows = self._try(function, ProbeDataset(self._root))
        rows = rows.rows if isinstance(rows, ProbeDataset) else rows
        try:
            first = rows[0] if rows is not None and len(rows) else fresh
        except (KeyError, TypeError):
            return fresh
        return ProbeDocument(self._root, **first) if isinstance(first, Mapping) else fresh

    def _fields(self, config: Mapping[str, Any], document: ProbeDocument) -> None:
        choices = self._field(config.get("doc_to_choice"), document)
        if isinstance(choices, Probe):
            list(choices)
        elif isinstance(config.get("doc_to_choice"), str):
            self._mark(config["doc_to_choice"], document, "iterate")
        self._field(config.get("doc_to_text"), document)
        target = self._field(config.get("doc_to_target"), document)
        if config.get("doc_to_choice") is not None:
            self._label(config, document, target)
        for name in ("description", "gen_prefix"):
            value = config.get(name)
            if isinstance(value, str) and "{" in value:
                self._field(value, document)

    def _label(self, config: Mapping[str, Any], document: ProbeDocument, target: Any) -> None:
        field, choices = config.get("doc_to_target"), config["doc_to_choice"]
        shape = target.shape if isinstance(target, Probe) else None
        if shape is None and isinstance(field, str):
            shape = self._whole(field, document)
        if shape is None or shape.fields or shape.item:
            return
        shape.uses.add("label")
        if isinstance(choices, list | dict):
            shape.highest = len(choices) - 1
            listed = list(choices.values()) if isinstance(choices, dict) else choices
            if shape.name.lower().startswith("answer") and not shape.constants and "int" not in shape.uses:
                shape.add_constants(listed)

    def _field(self, field: Any, document: ProbeDocument) -> Any:
        if callable(field):
            return self._try(field, document)
        if not isinstance(field, str):
            return None
        if _COLUMN.fullmatch(field):
            return document[field]
        return self._try(lambda: self._rendered(field, document))

    def _rendered(self, field: str, document: ProbeDocument) -> Any:
        tree = _parsed(field)
        names = jinja2.meta.find_undeclared_variables(tree)
        self._lookups(tree, document)
        return env.from_string(field).render({name: document[name] for name in names - set(env.globals)})

    def _lookups(self, tree: jinja2.nodes.Template, document: ProbeDocument) -> None:
        """``{"a": 0}[column]`` and ``["a", "b"].index(column)``, which a template cannot tell when they fail."""
        for node in tree.find_all(jinja2.nodes.Getitem):
            # A literal is a constant by now: jinja2 folds it when it looks for the names.
            if isinstance(node.node, jinja2.nodes.Literal):
                with contextlib.suppress(jinja2.nodes.Impossible):
                    self._key_of(_path(node.arg, document), node.node.as_const())
        for call in tree.find_all(jinja2.nodes.Call):
            function = call.node
            if isinstance(function, jinja2.nodes.Getattr) and function.attr in ("index", "find") and call.args:
                shape = _path(call.args[0], document)
                if shape is not None:
                    self._one_of(shape, function.node, document)

    def _key_of(self, shape: Shape | None, literal: Any) -> None:
        if shape is not None and isinstance(literal, dict):
            shape.add_constants(literal)
        elif shape is not None and isinstance(literal, list | tuple):
            shape.uses.add("position")
            shape.highest = max(shape.highest, len(literal) - 1)

    def _one_of(self, shape: Shape, listed: Any, document: ProbeDocument) -> None:
        """Note what ``shape`` is looked up in: a literal, or a list of columns."""
        try:
            shape.add_constants(listed.as_const())
        except jinja2.nodes.Impossible:
            for item in getattr(listed, "items", ()):
                other = _path(item, document)
                if other is not None and other not in shape.same_as:
                    shape.same_as.append(other)
                    other.same_as.append(shape)

    def _mark(self, field: str, document: ProbeDocument, use: str) -> None:
        shape = self._whole(field, document)
        if shape is not None:
            shape.uses.add(use)
            shape.element()

    def _whole(self, field: str, document: ProbeDocument) -> Shape | None:
        """The column or field that a template consists of, as ``{{choices.text}}`` does."""
        parts = [node for output in _parsed(field).body for node in getattr(output, "nodes", [output])]
        return _path(parts[0], document) if len(parts) == 1 else None

    def _scoring(self, document: ProbeDocument) -> None:
        config = self._config
        answers: list[Any] = ["The answer is A."]
        if config.get("output_type") in ("multiple_choice", "loglikelihood"):
            answers = [(-1.0 - i, i == 0) for i in range(LENGTH)]
        elif config.get("output_type") == "loglikelihood_rolling":
            answers = [-1.0]
        if callable(config.get("process_results")):
            self._try(config["process_results"], document, answers)
            self._try(config["process_results"], document, [answers])
        for pipeline in config.get("filter_list") or []:
            for step in pipeline["filter"]:
                self._filter(step, document)

    def _filter(self, step: Mapping[str, Any], document: ProbeDocument) -> None:
        function, arguments = step["function"], {k: v for k, v in step.items() if k != "function"}
        if function == "multi_choice_regex":
            list(document["choices"])
        elif function == "custom":
            self._try(arguments["filter_fn"], [["The answer is A."]], [document])
        elif callable(function):
            self._try(lambda: list(function(**arguments).apply([["The answer is A."]], [document])))

    def _try(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception as error:  # noqa: BLE001 - task code meets values it was not written for
            learn(error, self._root)
            return None


@functools.lru_cache(maxsize=1000)
def _parsed(field: str) -> jinja2.nodes.Template:
    tree: jinja2.nodes.Template = env.parse(field)
    return tree


def learn(error: BaseException, root: Shape) -> bool:
    """Add to ``root`` what an exception tells about the columns; False where it tells nothing."""
    before = _size(root)
    if isinstance(error, jinja2.UndefinedError):
        match = re.match(r"'([^']+)' is undefined", str(error))
        if match:
            root.child(match[1])
    key = error.args[0] if isinstance(error, KeyError) and error.args else None
    if isinstance(key, str) and not isinstance(key, Probe):
        root.child(key)
    _learn_from_line(error)
    return _size(root) != before


def _size(shape: Shape | None) -> int:
    if shape is None:
        return 0
    below = [*shape.fields.values(), shape.item, shape.parsed, shape.key]
    return 1 + len(shape.constants) + len(shape.uses) + sum(_size(s) for s in below)


def _learn_from_line(error: BaseException) -> None:
    """A failed lookup of a probe in a dict or a text: its keys, or the text's letters, are the values."""
    frames = list(traceback.walk_tb(error.__traceback__))
    for frame, number in reversed(frames):
        for node in ast.walk(_statement(frame, number)):
            if isinstance(node, ast.Subscript):
                _known_keys(frame, node.value, node.slice)
            elif isinstance(node, ast.Call) and node.args and _looks_up(node.func):
                _known_keys(frame, node.func.value, node.args[0])


def _looks_up(function: ast.expr) -> TypeGuard[ast.Attribute]:
    return isinstance(function, ast.Attribute) and function.attr in ("index", "find")


def _statement(frame: Any, number: int) -> ast.AST:
    """The smallest statement of the source file that covers line ``number``."""
    covering = [
        node
        for node in ast.walk(_source(frame.f_code.co_filename))
        if isinstance(node, ast.stmt) and node.lineno <= number <= (node.end_lineno or node.lineno)
    ]
    return max(covering, key=lambda node: node.lineno, default=ast.Module([], []))


@functools.cache
def _source(file: str) -> ast.AST:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return ast.Module([], [])


def _known_keys(frame: Any, container: ast.expr, key: ast.expr) -> None:
    try:
        probe, values = (_value(frame, node) for node in (key, container))
    except Exception:  # noqa: BLE001 - the line is evaluated a second time, out of its context
        return
    if isinstance(probe, Probe) and not isinstance(values, Probe) and isinstance(values, Mapping | str | list):
        probe.shape.add_constants(values)


def _value(frame: Any, node: ast.expr) -> Any:
    return eval(compile(ast.Expression(node), "<line>", "eval"), frame.f_globals, frame.f_locals)


def _path(node: Any, document: ProbeDocument) -> Shape | None:
    if isinstance(node, jinja2.nodes.Name):
        value = document[node.name]
        return value.shape if isinstance(value, Probe) else None
    if isinstance(node, jinja2.nodes.Getattr | jinja2.nodes.Getitem):
        parent = _path(node.node, document)
        key = node.attr if isinstance(node, jinja2.nodes.Getattr) else getattr(node.arg, "value", None)
        return parent.child(key) if parent is not None and isinstance(key, str) else None
    if isinstance(node, jinja2.nodes.Call | jinja2.nodes.Filter):
        inner = node.node.node if isinstance(node.node, jinja2.nodes.Getattr) else node.node
        return _path(inner, document) if inner is not None else None
    return None


@contextlib.contextmanager
def _recognised() -> Iterator[None]:
    """Functions written in C cannot ask a probe what it is: here they do."""
    with contextlib.ExitStack() as stack:
        for module, name, replacement in (
            (json, "loads", _parsing("json", json.loads)),
            (ast, "literal_eval", _parsing("literal", ast.literal_eval)),
            (builtins, "eval", _parsing("literal", builtins.eval)),
            (builtins, "ord", _ord(builtins.ord)),
        ):
            stack.enter_context(mock.patch.object(module, name, replacement))
        yield


def _parsing(use: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def parse(text: Any, *arguments: Any, **named: Any) -> Any:
        if not isinstance(text, Probe):
            return original(text, *arguments, **named)
        text.shape.uses.add(use)
        return Probe(text.shape.text())

    return parse


def _ord(original: Callable[..., int]) -> Callable[..., int]:
    def letter(text: Any) -> int:
        if isinstance(text, Probe) and str.__len__(text) != 1:
            text.shape.add_constants("ABCD")
            return original("A")
        return original(text)

    return letter
