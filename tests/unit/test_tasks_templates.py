from __future__ import annotations

from typing import Any

import jinja2
import pytest
from jinja2.exceptions import SecurityError

from pytest_lmeval.tasks.templates import FieldError, FieldReader, render

DOCUMENT: dict[str, Any] = {"q": "a b", "n": 7, "words": ["x", "y"], "d": {"k": " v "}, "none": None, "column": "value"}

TEMPLATES = [
    "{{q}}\n",
    "{{q}} {# gone #}",
    "{{q.strip().split(' ')[1]|upper}}",
    "{{words.index('y')}}{{words|length}}{{words|join(', ')}}",
    "{% if n > 3 %}big{% else %}small{% endif %}",
    "{% for w in words %}{{loop.index}}{{w}};{% endfor %}",
    "{% set x = n * 2 %}{{x}}{{x|string}}",
    "{{q[:1]}}{{q[-1]}}",
    "{{d.k|trim}}{{d['k']}}",
    "{{q|regex_replace('[ab]', '<>')}}{{q|regex_replace(' ', '_', 1)}}",
    "{{none}}{{none is none}}{{unknown is defined}}",
    "{{range(3)|list}}{{words|map('upper')|list}}",
    "{{q | replace('a', 'ä')}}{{'\\n'}}",
    "{{n / 2}} {{7 // 2}} {{[n, 'x']}}",
]


@pytest.mark.parametrize("template", TEMPLATES)
def test_rendering_is_the_references(template: str) -> None:
    utils = pytest.importorskip("lm_eval.utils", reason="the oracle, lm-eval, is not installed")
    assert render(template, DOCUMENT) == utils.apply_template(template, DOCUMENT)


def test_an_unknown_variable_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="'unknown' is undefined"):
        render("{{unknown}}", DOCUMENT)


@pytest.mark.parametrize(
    "template", ["{{q.__class__.__mro__}}", "{{words.__init__.__globals__}}", "{{''.format.__self__.__class__}}"]
)
def test_templates_do_not_reach_pythons_internals(template: str) -> None:
    with pytest.raises(SecurityError):
        render(template, DOCUMENT)


READER = FieldReader(DOCUMENT, has_choices=True)
PLAIN = FieldReader(DOCUMENT, has_choices=False)


@pytest.mark.parametrize(
    ("reader", "field", "expected"),
    [
        (READER, "q", "a b"),
        (READER, "n", 7),
        (READER, "{{n}}", 7),
        (PLAIN, "{{n}}", "7"),
        (READER, "-1", "-1"),
        (READER, "['a', 'b']", ["a", "b"]),
        (PLAIN, "{{words}}", ["x", "y"]),
        (PLAIN, "[broken", "[broken"),
        (PLAIN, "[broken]", "[broken]"),
        (READER, ["a"], ["a"]),
        (READER, 1, 1),
    ],
)
def test_targets(reader: FieldReader, field: Any, expected: Any) -> None:
    assert reader.target(field, DOCUMENT) == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("words", ["x", "y"]),
        ("{{words + [q]}}", ["x", "y", "a b"]),
        (["{{q}}", "b"], ["{{q}}", "b"]),
        ({"a": "A", "b": "B"}, ["A", "B"]),
    ],
)
def test_choices(field: Any, expected: list[str]) -> None:
    assert READER.choices(field, DOCUMENT) == expected


def test_columns_are_those_of_the_evaluated_split() -> None:
    # `later` is a column of the example alone: there it is a template.
    assert READER.text("later", {"later": "value"}) == "later"
    assert READER.optional("description", "later", {"later": "value"}) == "value"


def test_the_field_that_failed_is_named() -> None:
    for name, read in (
        ("doc_to_text", READER.text),
        ("doc_to_target", READER.target),
        ("doc_to_choice", READER.choices),
    ):
        with pytest.raises(FieldError) as caught:
            read(None, DOCUMENT)
        assert caught.value.name == name
