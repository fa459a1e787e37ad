"""The ``gate:`` mapping of a task file: which values are good enough, and how a baseline is compared.

::

    gate:
      acc_norm: {min: 0.28, max: 0.9, margin: 1pp}
      exact_match,strict-match: 0.3       # shorthand: min, or max where lower is better
      preset: quantized                   # any setting of gate/settings.py, under its own name
      cluster: passage                    # the document column whose values belong together
      slices: [subject, level]            # columns by which a drop is broken down
      models:                             # patterns on the model spec; the first that matches wins
        "demo": {acc_norm: {min: 0.30}}   # replaces the general entry of acc_norm
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from pytest_lmeval.errors import UserError
from pytest_lmeval.gate.layers import SETTING_KEYS, SettingError, read_layer
from pytest_lmeval.gate.margin import Margin
from pytest_lmeval.gate.settings import Layer, Rules, resolve

RULE_KEYS = ("min", "max", "margin")
COLUMN_KEYS = ("cluster", "slices")
OTHER_KEYS = (*SETTING_KEYS, *COLUMN_KEYS, "models")


class GateSyntaxError(UserError, ValueError):
    """A ``gate:`` that cannot be used; ``path`` is the place in it, as in ``gate.acc.min``."""

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path}: {problem}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRule:
    """The bounds of one metric, in the metric's own unit; None where the file says nothing.

    ``bare`` is the shorthand ``acc: 0.3``: its direction is known only with the metric's.
    """

    minimum: float | None = None
    maximum: float | None = None
    margin: Margin | None = None
    bare: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPolicy:
    """The gate of one task for one model.

    ``rules`` maps metric keys to their bounds, ``layers`` are the settings of the comparison by rising force.
    ``cluster`` and ``slices`` name columns of the documents. ``marked`` tells that the task's file has a gate.
    """

    rules: Mapping[str, MetricRule] = field(default_factory=lambda: MappingProxyType({}))
    layers: tuple[Layer, ...] = ()
    cluster: str | None = None
    slices: tuple[str, ...] = ()
    marked: bool = False

    @property
    def settings(self) -> Rules:
        """The settings with every layer applied."""
        return resolve(self.layers)

    def rule(self, key: str) -> MetricRule | None:
        """Find what is said of one metric, by ``name`` or ``name,filter``."""
        name = key.partition(",")[0]
        return self.rules.get(key) or self.rules.get(name)

    def under(self, layers: Iterable[Layer]) -> ModelPolicy:
        """Put stronger settings over these. Where they say a margin, it is that of every metric."""
        stronger = tuple(layers)
        says_margin = any(layer.margin is not None or layer.preset is not None for layer in stronger)
        rules = {key: replace(rule, margin=None) for key, rule in self.rules.items()} if says_margin else self.rules
        return replace(self, rules=MappingProxyType(dict(rules)), layers=(*self.layers, *stronger))

    def for_scoring(self, scoring: str | None) -> ModelPolicy:
        """Let a rule for ``acc@letters`` stand in place of that for ``acc``, which such a model does not have."""
        if scoring is None:
            return self
        own = [key for key in self.rules if f"@{scoring}" in key]
        replaced = {key.replace(f"@{scoring}", "") for key in own}
        rules = {key: rule for key, rule in self.rules.items() if key not in replaced}
        return replace(self, rules=MappingProxyType(rules))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOverride:
    """What a task's gate says differently for the models that ``pattern`` matches."""

    pattern: str
    rules: Mapping[str, MetricRule]
    layer: Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """The gate of one task for every model."""

    general: ModelPolicy = ModelPolicy()
    models: tuple[ModelOverride, ...] = ()

    def for_model(self, spec: str) -> ModelPolicy:
        """Apply the first override whose pattern matches ``spec``, the value of ``--lm-model``."""
        override = next((m for m in self.models if fnmatchcase(spec, m.pattern)), None)
        if override is None:
            return self.general
        general = self.general.under([override.layer])
        return replace(general, rules=MappingProxyType({**general.rules, **override.rules}))


def parse_gate(mapping: object) -> GatePolicy:
    """Read the value of a task file's ``gate:`` key; None, for no such key, is the default policy.

    Raises GateSyntaxError.
    """
    data = {} if mapping is None else _mapping(mapping, "gate")
    models = _mapping(data.get("models", {}), "gate.models")
    general = ModelPolicy(
        rules=_rules(data, "gate"),
        layers=(_layer(data, "gate"),),
        cluster=_column(data["cluster"], "gate.cluster") if "cluster" in data else None,
        slices=_columns(data.get("slices", ()), "gate.slices"),
        marked=mapping is not None,
    )
    return GatePolicy(
        general=general,
        models=tuple(_override(pattern, value) for pattern, value in models.items()),
    )


def _override(pattern: str, value: object) -> ModelOverride:
    path = f"gate.models.{pattern}"
    data = _mapping(value, path)
    for key in ("models", *COLUMN_KEYS):
        if key in data:
            problem = "patterns cannot be nested" if key == "models" else "belongs to the task: set it for all models"
            raise GateSyntaxError(f"{path}.{key}", problem)
    return ModelOverride(pattern=pattern, rules=_rules(data, path), layer=_layer(data, path))


def _layer(data: Mapping[str, Any], path: str) -> Layer:
    texts = {key: data[key] for key in SETTING_KEYS if key in data}
    try:
        return read_layer(texts)
    except SettingError as error:
        raise GateSyntaxError(f"{path}.{error.key}", error.problem) from None


def _column(value: object, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise GateSyntaxError(path, f"expected the name of a column of the documents, found {value!r}")
    return value


def _columns(value: object, path: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        value = [value]
    return tuple(_column(name, path) for name in value)


def _rules(data: Mapping[str, Any], path: str) -> Mapping[str, MetricRule]:
    rules: dict[str, MetricRule] = {}
    for key, value in data.items():
        if key in OTHER_KEYS:
            continue
        metric = _metric(key, f"{path}.{key}")
        if metric in rules:
            raise GateSyntaxError(f"{path}.{key}", f"{metric} is given twice")
        rules[metric] = _rule(value, f"{path}.{key}")
    return MappingProxyType(rules)


def _metric(key: str, path: str) -> str:
    """Normalise a metric key: ``acc,none`` and ``acc`` are one metric."""
    name, comma, filter_name = (part.strip() for part in key.partition(","))
    if not name or (comma and not filter_name):
        raise GateSyntaxError(path, "expected a metric as 'name' or 'name,filter'")
    return name if filter_name in ("", "none") else f"{name},{filter_name}"


def _rule(value: object, path: str) -> MetricRule:
    if not isinstance(value, Mapping):
        expected = "a number, a mapping of min, max, margin, or a setting of the gate"
        return MetricRule(bare=_number(value, path, expected))
    for key in value:
        if key not in RULE_KEYS:
            raise GateSyntaxError(f"{path}.{key}", _unknown(key, RULE_KEYS))
    numbers = {key: _number(value[key], f"{path}.{key}", "a number") for key in ("min", "max") if key in value}
    rule = MetricRule(
        minimum=numbers.get("min"),
        maximum=numbers.get("max"),
        margin=_margin(value["margin"], f"{path}.margin") if "margin" in value else None,
    )
    if rule.minimum is not None and rule.maximum is not None and rule.minimum > rule.maximum:
        raise GateSyntaxError(path, f"min {rule.minimum:g} is above max {rule.maximum:g}")
    return rule


def _margin(value: object, path: str) -> Margin:
    try:
        return Margin.parse(value)
    except ValueError as error:
        raise GateSyntaxError(path, str(error)) from None


def _number(value: object, path: str, expected: str) -> float:
    # bool is an int to Python, but `min: yes` is a mistake.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise GateSyntaxError(path, f"expected {expected}, found {value!r}{_number_hint(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise GateSyntaxError(path, f"expected a finite number, found {number}")
    return number


def _number_hint(value: object) -> str:
    """YAML 1.1 reads ``1e-3`` as text, which nobody expects."""
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        number = math.nan
    return f"; YAML reads this as text, write {number!r}" if math.isfinite(number) else ""


def _mapping(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise GateSyntaxError(path, f"expected a mapping, found {value!r}")
    for key in value:
        if not isinstance(key, str):
            raise GateSyntaxError(path, f"expected names as keys, found {key!r}")
    return value


def _unknown(found: object, known: Iterable[str], what: str = "key") -> str:
    names = tuple(known)
    close = difflib.get_close_matches(str(found), names, n=1)
    hint = f". Did you mean {close[0]!r}?" if close else ""
    return f"unknown {what} {found!r}; known: {', '.join(names)}{hint}"
