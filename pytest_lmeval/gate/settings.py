"""What the gate is told: by presets, the task file, the ini file, the environment, the command line.

A :class:`Layer` is what one of these says. Later layers win, and within a layer a key over its preset; the result is
one :class:`Rules` in which nothing is left open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from pytest_lmeval.gate.margin import Margin


class Mode(StrEnum):
    """What has to be shown: that there is harm, so that a task fails; or that there is none, so that it passes."""

    REGRESSION = "regression"
    NONINFERIORITY = "noninferiority"
    OFF = "off"


class Consequence(StrEnum):
    """What a verdict that is neither good nor bad does to the test.

    ``auto`` fails where the documents would suffice to show that an equal model is harmless, and warns where they
    are too few for that.
    """

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    AUTO = "auto"


class FloorMode(StrEnum):
    """What a threshold is compared with: the value itself, or the confident side of its interval."""

    POINT = "point"
    CONFIDENT = "confident"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one source says; None where it says nothing."""

    preset: str | None = None
    mode: Mode | None = None
    margin: Margin | None = None
    min_effect: Margin | None = None
    alpha: float | None = None
    alpha_warn: float | None = None
    on_inconclusive: Consequence | None = None
    on_drift: Consequence | None = None
    max_error_rate: float | None = None
    floor: FloorMode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a comparison is decided.

    ``margin`` is how much worse is acceptable, ``min_effect`` how small a drop is none, however certain. ``alpha`` is
    the false-alarm rate at which a run fails, over all its gated metrics together; ``alpha_warn`` that at which it is
    called suspect, and of the one-sided bound that is compared with the margin. ``max_error_rate`` is the share of
    documents that may go unanswered.
    """

    preset: str
    mode: Mode
    margin: Margin
    min_effect: Margin
    alpha: float
    alpha_warn: float
    on_inconclusive: Consequence
    on_drift: Consequence
    max_error_rate: float
    floor: FloorMode


_POINTS = Margin
PRESETS: Mapping[str, Layer] = MappingProxyType(
    {
        "default": Layer(
            mode=Mode.REGRESSION,
            margin=_POINTS(1.0),
            min_effect=_POINTS(0.5),
            alpha=0.01,
            alpha_warn=0.05,
            on_inconclusive=Consequence.WARN,
            on_drift=Consequence.WARN,
            max_error_rate=0.01,
            floor=FloorMode.POINT,
        ),
        "lossless": Layer(
            mode=Mode.REGRESSION, margin=_POINTS(0.0), min_effect=_POINTS(0.0), on_drift=Consequence.FAIL
        ),
        "quantized": Layer(mode=Mode.NONINFERIORITY, margin=_POINTS(1.0), alpha=0.05, on_inconclusive=Consequence.AUTO),
        "finetune": Layer(
            mode=Mode.NONINFERIORITY,
            margin=_POINTS(2.0),
            alpha=0.05,
            on_inconclusive=Consequence.AUTO,
            on_drift=Consequence.PASS,
        ),
        "smoke": Layer(
            mode=Mode.REGRESSION,
            margin=_POINTS(10.0),
            alpha=0.001,
            on_inconclusive=Consequence.PASS,
            on_drift=Consequence.PASS,
        ),
        "strict": Layer(mode=Mode.NONINFERIORITY, margin=_POINTS(0.5), on_inconclusive=Consequence.FAIL),
        "off": Layer(mode=Mode.OFF),
    }
)


def resolve(layers: Iterable[Layer]) -> Rules:
    """Put layers of rising force over the defaults.

    A mode of non-inferiority that says nothing else fails where harmlessness was not shown.
    """
    merged: dict[str, Any] = _said(PRESETS["default"]) | {"preset": "default"}
    for layer in layers:
        if layer.mode is Mode.NONINFERIORITY and layer.preset is None:
            merged["on_inconclusive"] = Consequence.FAIL
        if layer.preset is not None:
            # A preset means the same whatever was said before it.
            merged = _said(PRESETS["default"]) | _said(PRESETS[layer.preset]) | {"preset": layer.preset}
        merged |= _said(layer)
    return Rules(**merged)


def _said(layer: Layer) -> dict[str, Any]:
    values = {field.name: getattr(layer, field.name) for field in fields(layer)}
    return {name: value for name, value in values.items() if value is not None}
