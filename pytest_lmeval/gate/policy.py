"""The ``gate:`` mapping of a task file: which values are good enough, and how a baseline is compared.

::

    gate:
      acc_norm: {min: 0.28, max: 0.9, tolerance: 0.01}
      exact_match,strict-match: 0.3       # shorthand: min, or max where lower is better
      compare: no-worse                   # or equal, or off
      models:                             # patterns on the model spec; the first that matches wins
        "demo": {acc_norm: {min: 0.30}}   # replaces the general entry of acc_norm
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from pytest_lmeval.errors import UserError

RULE_KEYS = ("min", "max", "tolerance")


class GateSyntaxError(UserError, ValueError):
    """A ``gate:`` that cannot be used; ``path`` is the place in it, as in ``gate.acc.min``."""

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path}: {problem}")


class Compare(StrEnum):
    """What a difference from the baseline means."""

    NO_WORSE = "no-worse"
    EQUAL = "equal"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRule:
    """The bounds of one metric, in the metric's own unit; None where the file says nothing.

    ``bare`` is the shorthand ``acc: 0.3``: its direction is known only with the metric's.
    """

    minimum: float | None = None
    maximum: float | None = None
    tolerance: float | None = None
    bare: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPolicy:
    """The gate of one task for one model. ``rules`` maps metric keys to their bounds."""

    rules: Mapping[str, MetricRule] = field(default_factory=lambda: MappingProxyType({}))
    compare: Compare = Compare.NO_WORSE

    def for_scoring(self, scoring: str | None) -> ModelPolicy:
        """Let a rule for ``acc@letters`` stand in place of that for ``acc``, which such a model does not have."""
        if scoring is None:
            return self
        own = [key for key in self.rules if f"@{scoring}" in key]
        replaced = {key.replace(f"@{scoring}", "") for key in own}
        rules = {key: rule for key, rule in self.rules.items() if key not in replaced}
        return ModelPolicy(rules=MappingProxyType(rules), compare=self.compare)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOverride:
    """What a task's gate says differently for the models that ``pattern`` matches."""

    pattern: str
    rules: Mapping[str, MetricRule]
    compare: Compare | None = None


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
        return ModelPolicy(
            rules=MappingProxyType({**self.general.rules, **override.rules}),
            compare=override.compare or self.general.compare,
        )


def parse_gate(mapping: object) -> GatePolicy:
    """Read the value of a task file's ``gate:`` key; None, for no such key, is the default policy.

    Raises GateSyntaxError.
    """
    data = {} if mapping is None else _mapping(mapping, "gate")
    models = _mapping(data.get("models", {}), "gate.models")
    general = ModelPolicy(rules=_rules(data, "gate"), compare=_compare(data, "gate") or Compare.NO_WORSE)
    return GatePolicy(
        general=general,
        models=tuple(_override(pattern, value) for pattern, value in models.items()),
    )


def _override(pattern: str, value: object) -> ModelOverride:
    path = f"gate.models.{pattern}"
    data = _mapping(value, path)
    if "models" in data:
        raise GateSyntaxError(f"{path}.models", "patterns cannot be nested")
    return ModelOverride(pattern=pattern, rules=_rules(data, path), compare=_compare(data, path))


def _rules(data: Mapping[str, Any], path: str) -> Mapping[str, MetricRule]:
    rules: dict[str, MetricRule] = {}
    for key, value in data.items():
        if key in ("compare", "models"):
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
        return MetricRule(bare=_number(value, path, "a number or a mapping of min, max, tolerance"))
    for key in value:
        if key not in RULE_KEYS:
            raise GateSyntaxError(f"{path}.{key}", _unknown(key, RULE_KEYS))
    numbers = {key: _number(value[key], f"{path}.{key}", "a number") for key in RULE_KEYS if key in value}
    rule = MetricRule(minimum=numbers.get("min"), maximum=numbers.get("max"), tolerance=numbers.get("tolerance"))
    _check_bounds(rule, path)
    return rule


def _check_bounds(rule: MetricRule, path: str) -> None:
    if rule.minimum is not None and rule.maximum is not None and rule.minimum > rule.maximum:
        raise GateSyntaxError(path, f"min {rule.minimum:g} is above max {rule.maximum:g}")
    if rule.tolerance is not None and rule.tolerance < 0:
        raise GateSyntaxError(f"{path}.tolerance", f"{rule.tolerance:g} is negative")


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


def _compare(data: Mapping[str, Any], path: str) -> Compare | None:
    if "compare" not in data:
        return None
    value = data["compare"]
    # A bare `off` is the boolean false to YAML 1.1.
    if value is False:
        return Compare.OFF
    known = tuple(mode.value for mode in Compare)
    if not isinstance(value, str) or value not in known:
        raise GateSyntaxError(f"{path}.compare", _unknown(value, known, "value"))
    return Compare(value)


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
