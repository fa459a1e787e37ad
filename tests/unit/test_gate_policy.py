from __future__ import annotations

from typing import Any

import pytest
import yaml

from pytest_lmeval.errors import UserError
from pytest_lmeval.gate.margin import Margin
from pytest_lmeval.gate.policy import GateSyntaxError, MetricRule, parse_gate
from pytest_lmeval.gate.settings import Layer, Mode


def gate(text: str) -> Any:
    return yaml.safe_load(text)


def test_all_of_the_grammar() -> None:
    policy = parse_gate(
        gate(
            """
            acc_norm: {min: 0.28, max: 0.9, margin: 2pp}
            exact_match,strict-match: 0.3
            word_perplexity: {max: 25}
            preset: lossless
            cluster: passage
            slices: [subject, level]
            models:
              "hf:gpt2*": {acc_norm: {min: 0.5}}
              "hf:*": {acc_norm: {min: 0.6}, mode: off}
            """
        )
    ).for_model("demo")
    assert (policy.settings.preset, policy.cluster, policy.slices) == ("lossless", "passage", ("subject", "level"))
    assert policy.marked
    assert dict(policy.rules) == {
        "acc_norm": MetricRule(minimum=0.28, maximum=0.9, margin=Margin(2.0)),
        "exact_match,strict-match": MetricRule(bare=0.3),
        "word_perplexity": MetricRule(maximum=25),
    }


MODELS = """
acc: {min: 0.2, margin: 5pp}
f1: 0.4
models:
  "hf:gpt2*": {acc: {min: 0.3}}
  "hf:*": {acc: {min: 0.9}, mode: noninferiority}
"""


@pytest.mark.parametrize(
    ("spec", "minimum", "mode"),
    [
        ("demo", 0.2, Mode.REGRESSION),
        ("hf:gpt2-xl,dtype=float16", 0.3, Mode.REGRESSION),
        ("hf:other", 0.9, Mode.NONINFERIORITY),
        ("HF:other", 0.2, Mode.REGRESSION),
    ],
)
def test_the_first_matching_pattern_replaces_the_entry_of_its_metric(spec: str, minimum: float, mode: Mode) -> None:
    policy = parse_gate(gate(MODELS)).for_model(spec)
    assert policy.rules["acc"].minimum == minimum
    assert policy.rules["f1"] == MetricRule(bare=0.4)
    assert policy.settings.mode is mode
    # Replaced, not merged: the general margin is gone.
    assert policy.rules["acc"].margin == (Margin(5.0) if spec in ("demo", "HF:other") else None)


@pytest.mark.parametrize("mapping", [None, {}])
def test_nothing_said_fails_on_evidence_of_harm(mapping: object) -> None:
    policy = parse_gate(mapping).for_model("demo")
    assert not policy.rules
    assert (policy.settings.mode, policy.settings.margin) == (Mode.REGRESSION, Margin(1.0))
    assert policy.marked == (mapping is not None)


@pytest.mark.parametrize("text", ["mode: off", "mode: 'off'", "preset: off"])
def test_yaml_reads_off_as_false(text: str) -> None:
    assert parse_gate(gate(text)).for_model("demo").settings.mode is Mode.OFF


def test_the_margin_of_a_run_is_that_of_every_metric() -> None:
    policy = parse_gate(gate("acc: {min: 0.2, margin: 5pp}")).for_model("demo")
    assert policy.under([Layer(alpha=0.02)]).rules["acc"].margin == Margin(5.0)
    stronger = policy.under([Layer(margin=Margin(3.0))])
    assert (stronger.rules["acc"].margin, stronger.settings.margin) == (None, Margin(3.0))
    assert stronger.rules["acc"].minimum == 0.2
    assert policy.under([Layer(preset="strict")]).rules["acc"].margin is None


def test_a_rule_is_found_by_the_metrics_name() -> None:
    policy = parse_gate(gate("exact_match: {margin: 3pp}")).for_model("demo")
    assert policy.rule("exact_match,strict") == MetricRule(margin=Margin(3.0))
    assert policy.rule("acc") is None


def test_the_default_filter_needs_no_name() -> None:
    assert list(parse_gate(gate("'acc,none': 0.3")).for_model("demo").rules) == ["acc"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "acc_norm: {mim: 1}",
            "gate.acc_norm.mim: unknown key 'mim'; known: min, max, margin. Did you mean 'min'?",
        ),
        ("acc: {zebra: 1}", "gate.acc.zebra: unknown key 'zebra'; known: min, max, margin"),
        ("acc: {min: yes}", "gate.acc.min: expected a number, found True"),
        (
            "acc: yes",
            "gate.acc: expected a number, a mapping of min, max, margin, or a setting of the gate, found True",
        ),
        ("acc: {min: 1e-3}", "gate.acc.min: expected a number, found '1e-3'; YAML reads this as text, write 0.001"),
        ("acc: {min: .nan}", "gate.acc.min: expected a finite number, found nan"),
        ("acc: {min: 0.9, max: 0.1}", "gate.acc: min 0.9 is above max 0.1"),
        (
            "acc: {margin: -1pp}",
            "gate.acc.margin: expected points (1pp), a share (2%) or a number in the metric's unit",
        ),
        ("acc:", "gate.acc: expected a number, a mapping of min, max, margin, or a setting of the gate, found None"),
        (
            "mode: regresion",
            "gate.mode: unknown value 'regresion'; known: regression, noninferiority, off. Did you mean 'regression'?",
        ),
        ("mode: on", "gate.mode: unknown value True; known: regression, noninferiority, off"),
        ("preset: losless", "gate.preset: unknown value 'losless'"),
        ("alpha: 2", "gate.alpha: expected a share, as in 0.01 or 1%, found 2"),
        ("alpha: 0.7", "gate.alpha: expected a rate between 0 and 0.5, as in 0.01, found 0.7"),
        ("cluster: 3", "gate.cluster: expected the name of a column of the documents, found 3"),
        ("slices: [a, 3]", "gate.slices: expected the name of a column of the documents, found 3"),
        ("models: {demo: {cluster: a}}", "gate.models.demo.cluster: belongs to the task"),
        ("models: [demo]", "gate.models: expected a mapping, found ['demo']"),
        ("models: {demo: {acc: {mim: 1}}}", "gate.models.demo.acc.mim: unknown key 'mim'"),
        ("models: {demo: {models: {}}}", "gate.models.demo.models: patterns cannot be nested"),
        ("0.3", "gate: expected a mapping, found 0.3"),
        ("1: 0.3", "gate: expected names as keys, found 1"),
        ("'acc,': 0.3", "gate.acc,: expected a metric as 'name' or 'name,filter'"),
        ("{acc: 0.3, 'acc,none': 0.3}", "gate.acc,none: acc is given twice"),
        (f"acc: {10**400}", "gate.acc: expected a finite number"),
    ],
)
def test_mistakes_are_located(text: str, message: str) -> None:
    with pytest.raises(GateSyntaxError) as caught:
        parse_gate(gate(text))
    assert str(caught.value).startswith(message)
    assert str(caught.value) == f"{caught.value.path}: {caught.value.problem}"
    assert isinstance(caught.value, UserError)
    assert isinstance(caught.value, ValueError)
