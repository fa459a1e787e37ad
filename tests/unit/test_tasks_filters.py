"""Every filter gives what lm-evaluation-harness's filter of that name gives."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.tasks.filters import FILTERS, pipelines

from .making import small_task

ANSWERS = [
    "",
    " ",
    "#### 42",
    "#### -1,234.5 and #### 7 ####9",
    "The answer is (B).",
    "the answer: C\n",
    "Answer:\n\n B",
    "  Ünïcödé \u017ftraße ǅ İ\u00a0",
    "no number here",
    "A",
    "guilty of romance",
    "«Guilty», he said: D",
    "a12b34",
    "b",
    "[('Ala', 'NOUN'), ('ma', 'VERB'), ('', '')] ('x', 'PUNCT')",
    "Person: Ada, none $$ ORG: ACME$$country : Peru\nDates: x $ TIME:noon$$",
]
DOCUMENT = {"choices": ["Guilty", "Guilty of Romance", "ünïcödé straße", "no, number"]}
STEPS: list[dict[str, Any]] = [
    {"function": "take_first"},
    {"function": "take_first_k", "k": 2},
    {"function": "majority_vote"},
    {"function": "remove_whitespace"},
    {"function": "lowercase"},
    {"function": "uppercase"},
    {"function": "map", "mapping_dict": {"A": 1, "": "empty"}},
    {"function": "map", "mapping_dict": {"b": "B"}, "default_value": "?"},
    {"function": "regex"},
    {"function": "regex", "group_select": -1},
    {"function": "regex", "regex_pattern": "(a)|(b)", "group_select": 0, "fallback": "none"},
    {"function": "regex", "regex_pattern": r"(x)?(\d*)", "group_select": -1, "fallback": " spaced "},
    {"function": "regex", "regex_pattern": r"(?i)answer(?: is|:)\s*\(?([A-D])"},
    {"function": "regex", "regex_pattern": r"\w+ß\w"},
    {"function": "regex_pos"},
    {"function": "regex_pos", "fallback": ["NONE"], "regex_pattern": "x", "group_select": 1},
    {"function": "format_span"},
    {"function": "multi_choice_regex"},
    {"function": "multi_choice_regex", "ignore_case": True, "group_select": -1},
    {
        "function": "multi_choice_regex",
        "ignore_case": True,
        "ignore_punctuation": True,
        "regex_pattern": r"(\([A-Z]\))",
    },
    {"function": "multi_choice_regex", "regexes_to_ignore": ["[öï]", "he "], "fallback": "-"},
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: "-".join(map(str, step.values())).replace("/", ""))
def test_as_the_reference(step: dict[str, Any]) -> None:
    registry = pytest.importorskip("lm_eval.api.registry", reason="the oracle, lm-eval, is not installed")
    pytest.importorskip("lm_eval.filters")
    arguments = {k: v for k, v in step.items() if k != "function"}
    responses = [[answer, answer.upper(), answer] for answer in ANSWERS]
    documents = [DOCUMENT] * len(responses)
    theirs = registry.get_filter(step["function"])(**arguments).apply(responses, documents)
    ours = list(FILTERS[step["function"]](**arguments)(responses, documents))
    assert ours == list(theirs)
    assert ours != responses


FRAGMENTS = [
    "A",
    "(B)",
    ": C",
    "#### 4",
    "-1,5",
    "guilty",
    "Guilty of Romance",
    "straße",
    " ",
    "\n",
    "$$",
    "$",
    ",",
    "none",
]
FRAGMENTS += ["person:", "Country : ", "LOC:", "date", "('a', 'NOUN')", "('b', 'VERB')", "x", "no, number", "ü", "("]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: "-".join(map(str, step.values())).replace("/", ""))
def test_as_the_reference_on_random_answers(step: dict[str, Any]) -> None:
    registry = pytest.importorskip("lm_eval.api.registry", reason="the oracle, lm-eval, is not installed")
    pytest.importorskip("lm_eval.filters")
    stream = random.Random(4)
    arguments = {k: v for k, v in step.items() if k != "function"}
    responses = [["".join(stream.choices(FRAGMENTS, k=stream.randrange(9))) for _ in range(3)] for _ in range(200)]
    documents = [{"choices": stream.sample(DOCUMENT["choices"], 3)} for _ in responses]
    theirs = registry.get_filter(step["function"])(**arguments).apply(responses, documents)
    assert list(FILTERS[step["function"]](**arguments)(responses, documents)) == list(theirs)


def test_every_filter_is_compared() -> None:
    assert {step["function"] for step in STEPS} == set(FILTERS) - {"decontaminate"}


def test_the_reserved_name_changes_nothing() -> None:
    assert FILTERS["decontaminate"](path="x")([["a"]], [{}]) == [["a"]]


@pytest.mark.parametrize("name", ["regex", "multi_choice_regex"])
def test_a_match_that_is_not_there_is_none(name: str) -> None:
    """The reference raises IndexError, so that one answer fails the whole task."""
    pipeline = FILTERS[name](regex_pattern=r"\d", group_select=2, fallback="f")
    assert pipeline([["1 2", "1 2 3", "1 2 3 4"]], [{"choices": ["x"]}]) == [["f", "3", "3"]]


def test_more_choices_than_letters() -> None:
    choices = [f"choice {i}" for i in range(40)]
    assert FILTERS["multi_choice_regex"]()([["I say: choice 31", "it is: ["]], [{"choices": choices}]) == [
        ["(`)", "([)"]
    ]


def test_majority_vote_prefers_the_first_of_equals() -> None:
    assert FILTERS["majority_vote"]()([["b", "a", "a", "b"]], [{}]) == [["b"]]


def test_regex_reads_what_is_no_text_as_empty() -> None:
    assert FILTERS["regex"](regex_pattern="x+", fallback="f")([[None, 3]], [{}]) == [["f", "f"]]


def test_a_pipeline_runs_its_steps_in_order_and_can_be_read_twice(tmp_path: Path) -> None:
    steps = [{"function": "regex", "regex_pattern": r"\d+"}, {"function": "take_first"}]
    spec = small_task(tmp_path, {"filter_list": [{"name": "number", "filter": steps}, {"name": "raw", "filter": []}]})
    both = pipelines(spec)
    assert list(both) == ["number", "raw"]
    result = both["number"]([["a 12 b 3", "no"], ["x"]], [{}, {}])
    assert (list(result), list(result)) == (["12", "[invalid]"], ["12", "[invalid]"])
    assert both["raw"]([["a"]], [{}]) == [["a"]]


def test_without_a_list_it_is_the_first_response_under_the_name_none(tmp_path: Path) -> None:
    (name, pipeline), *others = pipelines(small_task(tmp_path)).items()
    assert (name, others) == ("none", [])
    assert pipeline([["a", "b"], ["c"]], [{}, {}]) == ["a", "c"]


def test_own_classes_and_functions(tmp_path: Path) -> None:
    functions = """
    class Suffix:
        def __init__(self, suffix):
            self.suffix = suffix
        def apply(self, responses, documents):
            return [[r + self.suffix for r in row] for row in responses]

    def choose(responses, documents):
        return [[d["question"]] for d in documents]
    """
    tail = """
    filter_list:
      - name: own
        filter:
          - {function: !function utils.Suffix, suffix: "!"}
      - name: custom
        filter:
          - {function: custom, filter_fn: !function utils.choose}
    """
    both = pipelines(small_task(tmp_path, functions=functions, tail=tail))
    assert both["own"]([["a"]], [{}]) == [["a!"]]
    assert both["custom"]([["a"]], [{"question": "q"}]) == [["q"]]


@pytest.mark.parametrize(
    ("filter_list", "message"),
    [
        ([{"name": "n", "filter": [{"function": "regexp"}]}], "unknown filter 'regexp'. Did you mean 'regex'?"),
        ([{"name": "n", "filter": [{"function": "zzz"}]}], "unknown filter 'zzz'. Known filters: custom, decontam"),
        ([{"name": "n", "filter": [{"functoin": "regex"}]}], "Is 'functoin' meant to be 'function'?"),
        ([{"name": "n", "filter": ["take_first"]}], "expected a mapping with 'function', found 'take_first'"),
        ([{"name": "n", "filter": [{"function": "regex", "regex_pattern": "("}]}], "regex: missing ), unterminated"),
        (
            [{"name": "n", "filter": [{"function": "regex", "pattern": "a"}]}],
            "no argument 'pattern'. Did you mean 'regex_pattern'?",
        ),
        (
            [{"name": "n", "filter": [{"function": "take_first", "n": 1}]}],
            "take_first has no argument 'n'. It has none.",
        ),
        ([{"name": "n", "filter": [{"function": "take_first_k"}]}], "missing 1 required positional argument: 'k'"),
        ([{"filter": []}], "expected name and filter, found {'filter': []}"),
        ([{"name": "n", "filters": []}], "'filters': []}. Is 'filters' meant to be 'filter'?"),
        ([{"name": "n"}], "expected name and filter, found {'name': 'n'}"),
        (["take_first"], "expected name and filter, found 'take_first'"),
        (
            [{"name": "n", "filter": [{"function": "custom"}]}],
            "custom needs filter_fn: !function module.name, found None",
        ),
    ],
    ids=lambda value: None,
)
def test_mistakes_are_located(tmp_path: Path, filter_list: list[Any], message: str) -> None:
    spec = small_task(tmp_path, {"filter_list": filter_list})
    with pytest.raises(TaskFileError) as caught:
        pipelines(spec)
    assert caught.value.problem.startswith("filter_list: ")
    assert message in caught.value.problem
    assert (caught.value.line or 0) > spec.document.lines["filter_list"][1]


def test_too_few_responses_for_take_first_k() -> None:
    with pytest.raises(ValueError, match="3 responses needed, 2 there: raise repeats"):
        FILTERS["take_first_k"](k=3)([["a", "b"]], [{}])
