"""The options of the gate: how the run's comparisons are decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pytest_lmeval.errors import SettingsError
from pytest_lmeval.gate.layers import SETTING_KEYS, SettingError, read_layer
from pytest_lmeval.gate.margin import Margin, Unit
from pytest_lmeval.gate.settings import Layer
from pytest_lmeval.options.option import Option, boolean

GATE_OPTIONS = (
    Option("gate", "PRESET", "how to compare: default, lossless, quantized, finetune, smoke, strict or off"),
    Option("mode", "MODE", "regression: fail on evidence of harm; noninferiority: fail unless harmlessness is shown"),
    Option("margin", "1pp|2%", "how much worse than the baseline is acceptable"),
    Option("min-effect", "0.5pp", "a drop that is smaller is none, however certain"),
    Option("alpha", "RATE", "rate of false alarms at which a run fails, over all its gated metrics (0.01)"),
    Option("alpha-warn", "RATE", "the same for a warning, and the level of the bound against the margin (0.05)"),
    Option("on-inconclusive", "pass|warn|fail|auto", "what becomes of a task whose documents are too few to tell"),
    Option("on-drift", "pass|warn|fail", "what becomes of a task whose margins moved and whose accuracy did not"),
    Option("max-error-rate", "1%", "how many documents may go unanswered before a task is an error"),
    Option("floor", "point|confident", "compare thresholds with the value, or with its confident side"),
    Option("early-stop", "true|false", "stop asking once a task has certainly failed (default true)"),
    Option("sequential", None, "stop asking as well once the rest of the documents cannot change a pass"),
    Option(
        "suite-test", "holm|all", "what the suite verdict is of: pooled and Holm, or Fisher's and the largest drop too"
    ),
    Option("detect", "1pp", "ask as many documents of each task as show a drop of this size"),
)


class SuiteTest(StrEnum):
    """What the verdict on the whole run is made of."""

    HOLM = "holm"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """``layers`` are the run's settings of the comparison by rising force: ini, environment, command line.

    ``detect`` is a drop in points that each task's sample shall show.
    """

    layers: tuple[Layer, ...] = ()
    early_stop: bool = True
    sequential: bool = False
    suite_test: SuiteTest = SuiteTest.HOLM
    detect: Margin | None = None


def read_gate_settings(given: Mapping[str, Any], sources: Sequence[Mapping[str, Any]]) -> GateSettings:
    """Read what was given; ``sources`` are the gate's own options as each source has them, the weakest first.

    Raises SettingsError.
    """
    suite = given["suite-test"] or SuiteTest.HOLM.value
    if suite not in list(SuiteTest):
        raise SettingsError(f"--lm-suite-test={suite}: expected holm or all")
    return GateSettings(
        layers=tuple(_layer(source) for source in sources),
        early_stop=boolean("early-stop", given["early-stop"] or "true"),
        sequential=boolean("sequential", given["sequential"]),
        suite_test=SuiteTest(suite),
        detect=_detectable(given["detect"]),
    )


def _layer(source: Mapping[str, Any]) -> Layer:
    names = {"preset" if key == "gate" else key.replace("-", "_"): key for key, value in source.items() if value}
    try:
        layer = read_layer({name: source[key] for name, key in names.items() if name in SETTING_KEYS})
    except SettingError as error:
        key = names[error.key]
        raise SettingsError(f"--lm-{key}={source[key]}: {error.problem}") from None
    for key, distance in (("margin", layer.margin), ("min-effect", layer.min_effect)):
        if distance is not None and distance.unit is Unit.OWN and distance.number >= 1:
            raise SettingsError(
                f"--lm-{key}={source[key]}: without a unit this would be the whole scale of an accuracy: write "
                f"{distance}pp for points or {distance}% for a share of the baseline. In a perplexity's own unit it is "
                "set in the gate of its task"
            )
    return layer


def _detectable(text: str | None) -> Margin | None:
    if not text:
        return None
    try:
        margin = Margin.parse(text)
    except ValueError as error:
        raise SettingsError(f"--lm-detect={text}: {error}") from None
    if margin.unit is not Unit.POINTS or not 0 < margin.number < 100:
        raise SettingsError(f"--lm-detect={text}: expected points, as in 1pp")
    return margin
