"""From answers to a result: what is asked, how it is scored, and what is remembered of each document."""

from __future__ import annotations

import itertools
import math
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.fake import FakeBackend
from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.results import TaskResult
from pytest_lmeval.tasks.evaluation import Evaluation
from pytest_lmeval.tasks.limits import Limit
from pytest_lmeval.tasks.options import EvaluationOptions
from pytest_lmeval.tasks.task_hash import task_hash

from .making import CHOICE, CHOICE_ROWS, asked, call_of, choose, run, scored, small_task

TWO = [{**row, "choices": row["choices"][:2]} for row in CHOICE_ROWS]
GENERATE: dict[str, Any] = {"output_type": "generate_until", "doc_to_choice": None, "doc_to_target": "answer"}


def values(result: TaskResult) -> dict[str, float]:
    return {metric.key: metric.value for metric in result.metrics}


def test_accuracy(tmp_path: Path) -> None:
    result = scored(small_task(tmp_path, {}, TWO), choose(0, 1, 1))
    assert values(result) == {"acc": 2 / 3, "acc_norm": 2 / 3}
    assert [dict(item.scores) for item in result.items] == [{"acc": a, "acc_norm": a} for a in (1.0, 1.0, 0.0)]
    assert (result.n, result.total, result.tokens, result.main_metric) == (3, 3, 18, "acc_norm")
    assert result.metric("acc").stderr == pytest.approx(1 / 3)
    assert [item.answer for item in result.items] == ["two", "purple", "fish"]
    assert [item.target for item in result.items] == ["two", "purple", "bird"]
    assert result.items[0].prompt == "Q: one plus one\nA:"


def test_multiple_choice_is_scored_as_the_reference_scores(tmp_path: Path) -> None:
    """Random answers, with ties, gold out of range, by name, and several of them."""
    task = pytest.importorskip("lm_eval.api.task", reason="the oracle, lm-eval, is not installed")
    names = ("acc", "acc_norm", "acc_bytes", "exact_match")
    stream = random.Random(2)
    texts = ["yes", "nö", "maybe so", "日本"]
    rows: list[dict[str, Any]] = [
        {"question": f"q{i}", "choices": texts[: 2 + i % 3], "gold": i % 5, "name": texts[i % 4]} for i in range(60)
    ]
    for target in ("gold", "name", [0, 1]):
        keys = {"doc_to_target": target, "metric_list": [{"metric": name} for name in names]}
        spec = small_task(tmp_path, keys, rows)
        responses = [(-stream.choice([1.0, 2.0, 3.5]), stream.random() < 0.5) for _ in asked(spec)]
        result = scored(spec, responses)
        theirs = object.__new__(task.ConfigurableTask)
        theirs._config = task.TaskConfig(task="t", **CHOICE | {"doc_to_target": target})
        theirs.OUTPUT_TYPE, theirs.prompt, theirs.features = "multiple_choice", None, list(rows[0])
        theirs.multiple_input, theirs.multiple_target = 0, isinstance(target, list)
        theirs._metric_fn_list = dict.fromkeys(names)
        remaining = iter(responses)
        for row, item in zip(rows, result.items, strict=True):
            assert item.scores == theirs.process_results(row, [next(remaining) for _ in row["choices"]])
        assert 0.1 < result.metric("acc").value < 0.9


@pytest.mark.parametrize("main", ["acc", "acc_norm"])
def test_the_sign_of_the_margin_is_the_score(tmp_path: Path, main: str) -> None:
    stream = random.Random(3)
    rows = [{"question": f"q{i}", "choices": ["y", "no", "perhaps"], "label": i % 3} for i in range(80)]
    spec = small_task(tmp_path, {"metric_list": [{"metric": main}]}, rows)
    result = scored(spec, [(-stream.uniform(1, 9), False) for _ in range(240)])
    for item in result.items:
        assert item.margin is not None
        assert (item.margin > 0) == (item.scores[main] == 1.0)
    assert 0 < result.metric(main).value < 1


@pytest.mark.parametrize(("main", "expected"), [("acc", -2.0), ("acc_norm", -2.0 / 4 + 4.0 / 2)])
def test_the_margin_is_in_the_unit_of_the_main_metric(tmp_path: Path, main: str, expected: float) -> None:
    rows = [{"question": "q", "choices": ["gold", "no"], "label": 0}]
    spec = small_task(tmp_path, {"metric_list": [{"metric": main}]}, rows)
    responses = [(-2.0, False), (-4.0, False)] if main == "acc_norm" else [(-4.0, False), (-2.0, False)]
    assert scored(spec, responses).items[0].margin == pytest.approx(expected)


@pytest.mark.parametrize("label", [-1, 2, 7])
def test_a_gold_that_is_no_choice_is_wrong_and_has_no_margin(tmp_path: Path, label: int) -> None:
    rows = [{"question": "q", "choices": ["a", "b"], "label": label}]
    keys = {"metric_list": [{"metric": "acc"}, {"metric": "exact_match"}]}
    (item,) = scored(small_task(tmp_path, keys, rows), [(-5.0, True), (-1.0, True)]).items
    assert item.scores == {"acc": 0.0, "exact_match": 0}
    assert item.margin is None
    assert item.target == ""


def test_an_empty_choice_is_never_the_best_by_length(tmp_path: Path) -> None:
    rows = [{"question": "q", "choices": ["", "right"], "label": 1}] * 2
    spec = small_task(tmp_path, {"target_delimiter": ""}, rows)
    result = scored(spec, [(-1.0, False), (-50.0, False), (0.0, False), (-50.0, False)])
    assert values(result) == {"acc": 0.0, "acc_norm": 1.0}
    assert [item.answer for item in result.items] == ["right", "right"]


def test_mutual_information(tmp_path: Path) -> None:
    rows = [{"question": "q", "choices": ["a", "b"], "label": 1}]
    spec = small_task(tmp_path, {"metric_list": [{"metric": "acc_mutual_info"}, {"metric": "acc"}]}, rows)
    assert [call_of(request) for request in asked(spec)][2:] == [("", " a"), ("", " b")]
    result = scored(spec, [(-1.0, False), (-2.0, False), (-1.5, False), (-9.0, False)])
    assert values(result) == {"acc_mutual_info": 1.0, "acc": 0.0}
    assert result.main_metric == "acc"


def test_loglikelihood(tmp_path: Path) -> None:
    keys = {"output_type": "loglikelihood", "doc_to_choice": None, "doc_to_target": " {{answer}}"}
    result = scored(small_task(tmp_path, keys, TWO), [(-1.0, True), (-2.0, False), (-6.0, True)])
    assert values(result) == {"perplexity": pytest.approx(math.exp(3)), "acc": 2 / 3}
    assert [metric.higher_is_better for metric in result.metrics] == [False, True]
    assert result.items[1].scores == {"acc": 0}
    assert [item.counts for item in result.items] == [{"perplexity": (v, 1.0)} for v in (-1.0, -2.0, -6.0)]
    assert [metric.aggregation for metric in result.metrics] == ["perplexity", "mean"]
    assert (result.items[0].answer, result.items[1].answer) == ("greedy", "not greedy")
    assert result.items[0].margin is None
    assert result.main_metric == "acc"


def test_rolling_counts_words_and_bytes(tmp_path: Path) -> None:
    keys = {"output_type": "loglikelihood_rolling", "doc_to_choice": None, "doc_to_text": "", "doc_to_target": "text"}
    rows = [{"text": " two  wörds "}, {"text": "one"}]
    result = scored(small_task(tmp_path, keys, rows), [-10.0, -4.0])
    # The reference splits at whitespace: an empty text before the first and after the last word counts.
    assert values(result) == {
        "word_perplexity": pytest.approx(math.exp(14 / 5)),
        "byte_perplexity": pytest.approx(math.exp(14 / 16)),
        "bits_per_byte": pytest.approx(14 / 16 / math.log(2)),
    }
    assert result.items[0].scores == {}
    assert result.items[0].counts == {
        "word_perplexity": (-10.0, 4.0),
        "byte_perplexity": (-10.0, 13.0),
        "bits_per_byte": (-10.0, 13.0),
    }
    assert [metric.aggregation for metric in result.metrics] == [*["weighted_perplexity"] * 2, "bits_per_byte"]


FILTERS = [
    {"name": "strict", "filter": [{"function": "regex", "regex_pattern": r"=(\d+)"}, {"function": "take_first"}]},
    {
        "name": "vote",
        "filter": [{"function": "remove_whitespace"}, {"function": "majority_vote"}, {"function": "take_first"}],
    },
]


def test_every_filter_has_its_own_metric_and_every_repeat_its_request(tmp_path: Path) -> None:
    spec = small_task(tmp_path, GENERATE | {"repeats": 3, "filter_list": FILTERS, "doc_to_target": "{{label}}"})
    assert [call_of(r) for r in asked(spec)] == [(f"Q: {row['question']}\nA:",) for row in CHOICE_ROWS for _ in "123"]
    responses = ["=0", "x", "x", " 1", "1 ", "=1", "0", "9", "0 "]
    result = scored(spec, responses)
    assert values(result) == {"exact_match,strict": 1 / 3, "exact_match,vote": 2 / 3}
    assert [dict(item.scores) for item in result.items] == [
        {"exact_match,strict": 1.0, "exact_match,vote": 0.0},
        {"exact_match,strict": 0.0, "exact_match,vote": 1.0},
        {"exact_match,strict": 0.0, "exact_match,vote": 1.0},
    ]
    assert [item.answer for item in result.items] == ["=0", " 1", "0"]
    assert result.main_metric == "exact_match,strict"


def test_a_pipeline_may_leave_a_list_or_a_number(tmp_path: Path) -> None:
    pipelines = [
        {"name": "all", "filter": []},
        {"name": "number", "filter": [{"function": "map", "mapping_dict": {"a": 1}}, {"function": "take_first"}]},
    ]
    spec = small_task(tmp_path, GENERATE | {"repeats": 2, "filter_list": pipelines, "doc_to_target": "{{'1'}}"})
    result = scored(spec, ["1", "a", "a", "b", "1", "1"])
    assert [item.scores["exact_match,all"] for item in result.items] == [0.5, 0.0, 1.0]
    assert [item.scores["exact_match,number"] for item in result.items] == [0.0, 1.0, 0.0]


def test_any_of_several_targets_is_right(tmp_path: Path) -> None:
    rows = [{"question": "q", "golds": ["a", "b"]}, {"question": "q", "golds": []}, {"question": "q", "golds": ["c"]}]
    result = scored(small_task(tmp_path, GENERATE | {"doc_to_target": "golds"}, rows), ["b", "b", "b"])
    assert [item.scores["exact_match"] for item in result.items] == [1.0, 0.0, 0.0]


def test_the_target_may_be_an_index_into_choices(tmp_path: Path) -> None:
    keys = GENERATE | {"doc_to_choice": "choices", "doc_to_target": "label"}
    result = scored(small_task(tmp_path, keys), ["two", "grey", "bird"])
    assert [item.scores["exact_match"] for item in result.items] == [1.0, 0.0, 1.0]
    assert [item.target for item in result.items] == ["two", "purple", "bird"]


OWN = """
def process(doc, results):
    if doc["question"] == "fails":
        raise KeyError("label")
    (logprob, greedy), *_ = results
    return {"weighted": (logprob, len(doc["question"])), "share": logprob, "extra": 1.0 * greedy}

def several(references, predictions, factor=1):
    return {"left": factor * len(references[0]), "right": len(predictions[0])}

def largest(values):
    return max(values)
"""
LISTED = [
    {"metric": "weighted", "aggregation": "weighted_perplexity", "higher_is_better": False},
    {"metric": "share", "aggregation": "median"},
]


def test_process_results_with_pairs_and_unlisted_metrics(tmp_path: Path) -> None:
    rows = [{**TWO[0], "question": text} for text in ("four", "sixsix")]
    tail = "process_results: !function utils.process\n"
    spec = small_task(tmp_path, {"metric_list": LISTED}, rows, functions=OWN, tail=tail)
    result = scored(spec, [(-2.0, True), (-9.0, False), (-3.0, False), (-9.0, False)])
    # What the file does not list is a mean, whatever the aggregation of what it lists.
    assert values(result) == {"weighted": pytest.approx(math.exp(0.5)), "share": -2.0, "extra": 0.5}
    assert result.metric("weighted").higher_is_better is False
    assert result.metric("weighted").stderr is not None
    assert result.items[1].scores == {"share/item": -3.0, "extra": 0.0}
    assert result.items[1].counts == {"weighted": (-3.0, 6.0)}
    assert [metric.aggregation for metric in result.metrics] == ["weighted_perplexity", "median", "mean"]
    assert result.items[0].margin is None


def test_a_metric_function_may_return_several(tmp_path: Path) -> None:
    tail = """
    metric_list:
      - {metric: !function utils.several, aggregation: !function utils.largest, factor: 10}
    """
    result = scored(small_task(tmp_path, GENERATE, functions=OWN, tail=tail), ["a", "bb", "cccc"])
    assert values(result) == {"left": 60.0, "right": 4.0}
    assert [metric.aggregation for metric in result.metrics] == ["custom", "custom"]


FAILING = """
def fail(*args, **kwargs):
    raise KeyError("label")

def fail_second(doc):
    return {"one plus one": doc["question"]}[doc["question"]]

def target_second(doc):
    return {"one plus one": 0}[doc["question"]]

def choices_second(doc):
    return {"one plus one": ["a", "b"]}[doc["question"]]
"""


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("process_results", "!function utils.fail", "process_results: KeyError: 'label'"),
        ("filter_list", "[{name: n, filter: [{function: custom, filter_fn: !function utils.fail}]}]", "KeyError: 'lab"),
        ("filter_list", "[{name: n, filter: [{function: take_first_k, k: 2}]}]", "ValueError: take_first_k: 2 respon"),
        ("metric_list", "[{metric: !function utils.absent, aggregation: mean}]", "has no 'absent'"),
        ("metric_list", "[{metric: !function utils.fail, aggregation: mean}]", "metric_list: KeyError: 'label'"),
        ("doc_to_text", "!function utils.fail_second", "doc_to_text: KeyError: 'red and blue'"),
        ("doc_to_text", "'{{answer.missing}}'", "has no attribute 'missing'. The document has the columns question, c"),
        ("doc_to_text", "'{{answer'", "doc_to_text: not a valid template: unexpected end of template"),
        ("doc_to_target", "!function utils.target_second", "doc_to_target: KeyError: 'red and blue'"),
        ("description", "'{{nothing}}'", "description: 'nothing' is undefined. The document has the columns question"),
        ("gen_prefix", "'{{nothing}}'", "gen_prefix: 'nothing' is undefined. The document has the columns question"),
    ],
    ids=lambda value: None,
)
def test_what_fails_is_located(tmp_path: Path, field: str, value: str, message: str) -> None:
    keys = GENERATE | {"doc_to_target": None if field == "doc_to_target" else "answer"}
    keys |= {field: None} if field in CHOICE else {}
    spec = small_task(tmp_path, keys, functions=FAILING, tail=f"{field}: {value}\n")
    with pytest.raises(TaskFileError) as caught:
        scored(spec, ["a", "b", "c"])
    assert message in caught.value.problem
    assert caught.value.line == spec.document.lines[field][1]


@pytest.mark.parametrize(
    ("template", "message", "line"),
    [
        (
            "|\n  Question:\n  {{questoin}}\n",
            "'questoin' is undefined (line 2 of the template). Did you mean 'quest",
            3,
        ),
        ("|\n  {% if %}\n  {{question}}\n", "not a valid template: Expected an expression", 2),
        ("|\n  a\n  {{question\n", "not a valid template: unexpected end of template", 3),
        ('"a\\n{{questoin}}"\n', "'questoin' is undefined (line 2 of the template)", 1),
    ],
    ids=["undefined", "first-line", "second-line", "not-in-lines"],
)
def test_a_line_of_a_template_is_located(tmp_path: Path, template: str, message: str, line: int) -> None:
    spec = small_task(tmp_path, {"doc_to_text": None}, tail=f"doc_to_text: {template}")
    with pytest.raises(TaskFileError) as caught:
        asked(spec)
    assert message in caught.value.problem
    assert caught.value.line == spec.document.lines["doc_to_text"][1] + line - 1


def test_choices_that_fail_are_located(tmp_path: Path) -> None:
    tail = "doc_to_choice: !function utils.choices_second\n"
    spec = small_task(tmp_path, {"doc_to_choice": None}, functions=FAILING, tail=tail)
    with pytest.raises(TaskFileError, match="doc_to_choice: KeyError: 'red and blue'"):
        asked(spec)


def test_total_requests(tmp_path: Path) -> None:
    spec = small_task(tmp_path, {"repeats": 2})
    evaluation = Evaluation(spec, EvaluationOptions())
    assert evaluation.total_requests is None
    requests = evaluation.requests(itertools.count())
    next(requests)
    assert evaluation.total_requests == 2 * 2 * 3
    assert len(list(requests)) + 1 == evaluation.total_requests == 2 * (2 + 3 + 2)


def test_requests_take_their_ids_and_are_built_lazily(tmp_path: Path) -> None:
    broken_last = [*TWO, {**TWO[0], "label": 0, "question": None}]
    spec = small_task(tmp_path, {"doc_to_text": "{{question.upper()}}"}, broken_last)
    requests = Evaluation(spec, EvaluationOptions()).requests(itertools.count(40))
    assert [next(requests).id for _ in range(6)] == [40, 41, 42, 43, 44, 45]
    with pytest.raises(TaskFileError, match="has no attribute 'upper'"):
        next(requests)


def test_the_limit_chooses_the_documents(tmp_path: Path) -> None:
    result = run(small_task(tmp_path), limit=Limit.parse("first:2"))
    assert (result.n, result.total, [item.index for item in result.items]) == (2, 3, [0, 1])
    assert result.settings.limit == "first:2"
    sampled = run(small_task(tmp_path), limit=Limit.parse("2"))
    chosen = Limit.parse("2").choose(3, seed=1234, task="small")
    assert [item.index for item in sampled.items] == list(chosen)


@pytest.mark.parametrize(
    ("given", "override", "expected"), [(None, None, 0), (2, None, 2), (2, 1, 1), (0, 2, 0), (None, 2, 2)]
)
def test_number_of_examples(tmp_path: Path, given: int | None, override: int | None, expected: int) -> None:
    keys = {"num_fewshot": given, "training_split": "train"}
    result = run(small_task(tmp_path, keys, train=TWO), num_fewshot=override)
    assert result.settings.num_fewshot == expected
    item = result.items[0]
    assert (item.examples.count("Q: "), item.prompt.count("Q: ")) == (expected, 1)


def hashes(folder: Path, change: dict[str, Any], row: dict[str, Any], **options: Any) -> tuple[str, ...]:
    spec = small_task(folder, GENERATE | change, [{**TWO[0], **row}])
    result = scored(spec, ["x"], **options)
    item = result.items[0]
    return (item.document_hash, item.prompt_hash, item.target_hash, result.settings.task_hash)


@pytest.mark.parametrize(
    ("change", "row", "options", "expected"),
    [
        ({}, {}, {}, ""),
        ({}, {"answer": "three"}, {}, "document target"),
        ({}, {"note": "unused"}, {}, "document"),
        ({}, {"question": "else"}, {}, "document prompt"),
        ({"doc_to_text": "Q: {{question}}\nA: "}, {}, {}, "prompt task"),
        ({"doc_to_text": "Q: {{ question }}\nA:"}, {}, {}, "task"),
        ({"doc_to_target": "{{answer}}."}, {}, {}, "target task"),
        ({"generation_kwargs": {"until": ["x"]}}, {}, {}, "prompt task"),
        ({}, {}, {"generation_kwargs": {"max_gen_toks": 9}}, "prompt"),
        ({"gate": {"exact_match": 0.5}, "task_alias": "A", "tag": "t", "metadata": {"version": 2}}, {}, {}, ""),
    ],
)  # fmt: skip
def test_hashes_tell_what_changed(
    tmp_path: Path, change: dict[str, Any], row: dict[str, Any], options: dict[str, Any], expected: str
) -> None:
    before = hashes(tmp_path, {}, {})
    after = hashes(tmp_path, change, row, **options)
    names = ("document", "prompt", "target", "task")
    assert [n for n, a, b in zip(names, before, after, strict=True) if a != b] == expected.split()
    assert len({*before}) == 4


def test_a_default_that_is_written_out_is_no_other_definition(tmp_path: Path) -> None:
    """Nor is a key that a later version of the format adds."""
    written = {"repeats": 1, "description": "", "gen_prefix": None, "fewshot_config": {"sampler": "default"}}
    plain, spelled = (small_task(tmp_path / name, keys, TWO) for name, keys in (("a", {}), ("b", written)))
    assert task_hash(plain) == task_hash(spelled)
    assert task_hash(plain) != task_hash(small_task(tmp_path / "c", {"repeats": 2}, TWO))
    assert task_hash(plain) != task_hash(small_task(tmp_path / "d", {"fewshot_config": {"sampler": "first_n"}}, TWO))


def test_the_task_hash_covers_the_source_of_its_functions(tmp_path: Path) -> None:
    tail = "process_results: !function utils.process\n"
    keys = {"metric_list": LISTED}
    made = [
        scored(small_task(tmp_path / name, keys, TWO, functions=source, tail=tail), choose(0, 0, 0)).settings.task_hash
        for name, source in (("a", OWN), ("b", OWN), ("c", OWN + "# changed\n"))
    ]
    assert made[0] == made[1] != made[2]
    assert all(len(h) == 16 for h in made)


def test_settings(tmp_path: Path) -> None:
    spec = small_task(tmp_path, GENERATE | {"metadata": {"version": 1}})
    settings = run(spec, seed=5, generation_kwargs={"max_gen_toks": 3}).settings
    assert (settings.dataset, settings.split, settings.seed, settings.version) == ("json", "test", 5, "1")
    assert settings.generation == {"temperature": 0.0, "do_sample": False, "max_gen_toks": 3, "until": ["\n\n"]}
    assert run(small_task(tmp_path)).settings.generation is None


def test_the_same_model_gives_the_same_result(tmp_path: Path) -> None:
    spec = small_task(tmp_path)
    assert run(spec) == run(spec, FakeBackend(window=1))
    assert run(spec) != run(spec, FakeBackend(seed=1))


def test_memory_does_not_grow_with_the_length_of_what_is_asked(tmp_path: Path) -> None:
    """Documents stay where they were read from, prompts with whoever asked for them; of these the ends are kept."""
    text, count = "word " * 40_000, 30
    rows = [{"question": f"{n} {text}", "choices": ["a", "b", "c", "d"], "label": n % 4} for n in range(count)]
    evaluation = Evaluation(small_task(tmp_path, rows=rows), EvaluationOptions())
    tracemalloc.start()
    try:
        asked = sum(1 for _ in evaluation.requests(itertools.count()))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert asked == 4 * count
    # One copy of every document alone would be 6 MB, one prompt a request 24 MB.
    assert kept < 0.1 * count * len(text)


@pytest.mark.parametrize("field", ["doc_to_text", "doc_to_target", "doc_to_choice"])
def test_a_field_that_the_task_needs_and_lacks(tmp_path: Path, field: str) -> None:
    with pytest.raises(TaskFileError, match=f"{field}: the task does not set it, and its output_type needs it"):
        asked(small_task(tmp_path, {field: None}))
