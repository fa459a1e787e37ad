from __future__ import annotations

from typing import Any

import pytest
import yaml

from pytest_lmeval.errors import UserError
from pytest_lmeval.gate.policy import Compare, GateSyntaxError, MetricRule, parse_gate


def gate(text: str) -> Any:
    return yaml.safe_load(text)


def test_all_of_the_grammar() -> None:
    policy = parse_gate(
        gate(
            """
            acc_norm: {min: 0.28, max: 0.9, tolerance: 0.02}
            exact_match,strict-match: 0.3
            word_perplexity: {max: 25}
            compare: equal
            models:
              "hf:gpt2*": {acc_norm: {min: 0.5}}
              "hf:*": {acc_norm: {min: 0.6}, compare: off}
            """
        )
    ).for_model("demo")
    assert policy.compare is Compare.EQUAL
    assert dict(policy.rules) == {
        "acc_norm": MetricRule(minimum=0.28, maximum=0.9, tolerance=0.02),
        "exact_match,strict-match": MetricRule(bare=0.3),
        "word_perplexity": MetricRule(maximum=25),
    }


MODELS = """
acc: {min: 0.2, tolerance: 0.05}
f1: 0.4
models:
  "hf:gpt2*": {acc: {min: 0.3}}
  "hf:*": {acc: {min: 0.9}, compare: equal}
"""


@pytest.mark.parametrize(
    ("spec", "minimum", "compare"),
    [
        ("demo", 0.2, Compare.NO_WORSE),
        ("hf:gpt2-xl,dtype=float16", 0.3, Compare.NO_WORSE),
        ("hf:other", 0.9, Compare.EQUAL),
        ("HF:other", 0.2, Compare.NO_WORSE),
    ],
)
def test_the_first_matching_pattern_replaces_the_entry_of_its_metric(
    spec: str, minimum: float, compare: Compare
) -> None:
    policy = parse_gate(gate(MODELS)).for_model(spec)
    assert policy.rules["acc"].minimum == minimum
    assert policy.rules["f1"] == MetricRule(bare=0.4)
    assert policy.compare is compare
    # Replaced, not merged: the general tolerance is gone.
    assert policy.rules["acc"].tolerance == (0.05 if spec in ("demo", "HF:other") else None)


@pytest.mark.parametrize("mapping", [None, {}])
def test_nothing_said_is_no_worse_than_the_baseline(mapping: object) -> None:
    policy = parse_gate(mapping).for_model("demo")
    assert not policy.rules
    assert policy.compare is Compare.NO_WORSE


@pytest.mark.parametrize("text", ["compare: off", "compare: 'off'"])
def test_yaml_reads_off_as_false(text: str) -> None:
    assert parse_gate(gate(text)).for_model("demo").compare is Compare.OFF


def test_the_default_filter_needs_no_name() -> None:
    assert list(parse_gate(gate("'acc,none': 0.3")).for_model("demo").rules) == ["acc"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "acc_norm: {mim: 1}",
            "gate.acc_norm.mim: unknown key 'mim'; known: min, max, tolerance. Did you mean 'min'?",
        ),
        ("acc: {zebra: 1}", "gate.acc.zebra: unknown key 'zebra'; known: min, max, tolerance"),
        ("acc: {min: yes}", "gate.acc.min: expected a number, found True"),
        ("acc: yes", "gate.acc: expected a number or a mapping of min, max, tolerance, found True"),
        (
            "acc: {tolerance: 1e-3}",
            "gate.acc.tolerance: expected a number, found '1e-3'; YAML reads this as text, write 0.001",
        ),
        ("acc: {min: .nan}", "gate.acc.min: expected a finite number, found nan"),
        ("acc: {min: 0.9, max: 0.1}", "gate.acc: min 0.9 is above max 0.1"),
        ("acc: {tolerance: -0.1}", "gate.acc.tolerance: -0.1 is negative"),
        ("acc:", "gate.acc: expected a number or a mapping of min, max, tolerance, found None"),
        (
            "compare: no-wurse",
            "gate.compare: unknown value 'no-wurse'; known: no-worse, equal, off. Did you mean 'no-worse'?",
        ),
        ("compare: on", "gate.compare: unknown value True; known: no-worse, equal, off"),
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
