"""What is remembered of each document beside its scores."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.protocol import Answer, Failure, GenerationAnswer
from pytest_lmeval.errors import BackendError, TaskFileError
from pytest_lmeval.results import Flaw, TaskResult
from pytest_lmeval.tasks.clusters import default_cluster
from pytest_lmeval.tasks.evaluation import Evaluation
from pytest_lmeval.tasks.facets import Columns
from pytest_lmeval.tasks.options import EvaluationOptions, PromptOptions
from pytest_lmeval.tasks.questions import KEPT, split
from pytest_lmeval.tasks.spec import TaskSpec

from .making import CHOICE_ROWS, answer_to, choose, run, scored, small_task

TWO = [{**row, "choices": row["choices"][:2]} for row in CHOICE_ROWS]
GENERATE: dict[str, Any] = {"output_type": "generate_until", "doc_to_choice": None, "doc_to_target": "answer"}


def replied(spec: TaskSpec, responses: Sequence[Any]) -> TaskResult:
    """Score made-up responses; a Failure or an answer stands for itself."""
    evaluation = Evaluation(spec, EvaluationOptions())
    requests = list(evaluation.requests(itertools.count()))
    pairs = zip(requests, responses, strict=True)
    return evaluation.score([r if isinstance(r, Failure | Answer) else answer_to(q, r) for q, r in pairs])


EXAMPLES = {"num_fewshot": 1, "training_split": "train", "description": "Be brief."}


@pytest.mark.parametrize(
    ("options", "examples", "prompt"),
    [
        ({}, "Be brief.Q: {0}\nA: {1}\n\n", "Q: {2}\nA:"),
        ({"chat_template": True}, "system: Be brief.\nuser: Q: {0}\nA:\nassistant: {1}\n", "user: Q: {2}\nA:"),
        (
            {"chat_template": True, "multiturn": False},
            "system: Be brief.\nuser: Q: {0}\nA: {1}\n\n",
            "Q: {2}\nA:",
        ),
    ],
)
def test_a_prompt_is_parted_from_what_stands_before_it(
    tmp_path: Path, options: dict[str, Any], examples: str, prompt: str
) -> None:
    spec = small_task(tmp_path, GENERATE | EXAMPLES, TWO, train=TWO[:1])
    item = run(spec, prompt=PromptOptions(**options)).items[1]
    rows = [TWO[0]["question"], TWO[0]["answer"], TWO[1]["question"]]
    assert (item.examples, item.prompt) == (examples.format(*rows), prompt.format(*rows))


def test_long_prompts_are_kept_by_their_ends() -> None:
    assert split("ab" * KEPT, 3) == (f"…{('ab' * KEPT)[:-3][1 - KEPT :]}", "bab")
    assert split("all of it") == ("", "all of it")


def test_log_probabilities_are_those_of_the_choices(tmp_path: Path) -> None:
    (item, *_) = scored(small_task(tmp_path, {}, TWO), choose(1, 0, 0)).items
    assert len(item.logprobs) == len(item.choices) == 2
    assert item.logprobs[1] > item.logprobs[0]


def lost(reason: str, kind: Any = "error") -> Failure:
    return Failure(id=0, error=reason, kind=kind)


def test_a_document_that_was_not_answered_is_neither_right_nor_wrong(tmp_path: Path) -> None:
    responses: list[Any] = choose(0, 0, 1)
    responses[2] = lost("connection reset\nby peer")
    result = replied(small_task(tmp_path, {}, TWO), responses)
    assert (result.n, result.errors, result.tokens) == (3, 1, 15)
    assert {m.key: (m.value, m.n) for m in result.metrics} == {"acc": (0.5, 2), "acc_norm": (0.5, 2)}
    assert result.unscored == {"acc": 1, "acc_norm": 1}
    assert result.warnings == ("1 of 3 documents was not answered: connection reset",)
    right, failed, wrong = result.items
    assert (failed.error, failed.flaw, failed.scores, failed.margin) == ("connection reset", Flaw.ERROR, {}, None)
    assert (failed.answer, failed.choice, failed.target) == ("", None, "purple")
    assert [item.scores["acc"] for item in (right, wrong)] == [1.0, 0.0]
    assert (right.error, right.flaw) == (None, None)
    # It is still known which document it was, so that it has its pair in another run.
    whole = scored(small_task(tmp_path / "b", {}, TWO), choose(0, 0, 1)).items[1]
    assert (failed.document_hash, failed.prompt_hash) == (whole.document_hash, whole.prompt_hash)


def test_one_failed_repeat_is_enough_and_filters_do_not_see_the_document(tmp_path: Path) -> None:
    functions = """
    def seen(responses, documents):
        assert len(responses) == len(documents) == 2, documents
        return [row[0] for row in responses]
    """
    tail = "filter_list: [{name: own, filter: [{function: custom, filter_fn: !function utils.seen}]}]\n"
    spec = small_task(tmp_path, GENERATE | {"repeats": 2}, functions=functions, tail=tail)
    refused = lost("The model refused: 'no'", "refused")
    result = replied(spec, ["two", "x", "purple", refused, "bird", "x"])
    assert [item.error is None for item in result.items] == [True, False, True]
    assert result.metric("exact_match,own").value == 1.0
    assert result.unscored == {"exact_match,own": 1}
    told = "1 of 3 documents was not answered (1 refused by the model): The model refused: 'no'"
    assert result.warnings == (told,)


def test_a_task_without_any_answer_cannot_be_scored(tmp_path: Path) -> None:
    spec = small_task(tmp_path, {}, TWO)
    # Of each document one request was answered, which is not enough.
    responses = [response for pair in zip(choose(0, 0, 0)[::2], [lost("gone")] * 3, strict=True) for response in pair]
    with pytest.raises(BackendError, match=r"^small: 3 of 6 requests were not answered:\n  gone$"):
        replied(spec, responses)


def test_documents_that_failed_and_those_that_say_nothing_lack_a_value_alike(tmp_path: Path) -> None:
    functions = """
    def process(doc, results):
        return {} if doc["label"] else {"own": 1.0}
    """
    tail = "process_results: !function utils.process\n"
    spec = small_task(
        tmp_path, GENERATE, [{**TWO[0], "label": n} for n in (0, 0, 1, 0)], functions=functions, tail=tail
    )
    result = replied(spec, ["a", lost("gone"), "c", "d"])
    assert result.unscored == {"own": 2}
    assert (result.errors, result.metric("own").n) == (1, 2)


@pytest.mark.parametrize(
    ("metric", "chosen"),
    [("acc", 0), ("acc_norm", 1), ("acc_bytes", 2), ("acc_mutual_info", 3)],
)
def test_the_choice_is_the_main_metrics(tmp_path: Path, metric: str, chosen: int) -> None:
    choices = ["a", "bbbbbbbbbb", "ññññññññ", "dd"]
    rows = [{"question": "q", "choices": choices, "label": n} for n in range(4)]
    conditional = [(logprob, False) for logprob in (-3.0, -4.0, -4.5, -9.0)]
    unconditional = [(logprob, False) for logprob in (-3.0, -4.0, -4.5, -99.0)]
    spec = small_task(tmp_path, {"metric_list": [{"metric": metric}], "target_delimiter": ""}, rows)
    asked = conditional + (unconditional if metric == "acc_mutual_info" else [])
    result = scored(spec, asked * 4)
    assert [item.choice for item in result.items] == [chosen] * 4
    assert {item.answer for item in result.items} == {choices[chosen]}
    assert [item.scores[metric] for item in result.items] == [float(n == chosen) for n in range(4)]
    # The margin is in the metric's own unit, so that its sign is the score.
    assert [item.margin is not None and item.margin > 0 for item in result.items] == [n == chosen for n in range(4)]
    assert result.items[0].choices == tuple(choices)


def test_a_log_probability_that_is_no_number(tmp_path: Path) -> None:
    responses = choose(0, 0, 0)
    responses[3] = (float("nan"), False)
    assert [item.flaw for item in scored(small_task(tmp_path, {}, TWO), responses).items] == [
        None,
        Flaw.NOT_A_NUMBER,
        None,
    ]


def number_after(pattern: str = r"=(\d+)", **more: Any) -> list[dict[str, Any]]:
    steps = [{"function": "regex", "regex_pattern": pattern, **more}, {"function": "take_first"}]
    return [{"name": "strict", "filter": steps}]


def test_what_was_extracted_and_what_was_not(tmp_path: Path) -> None:
    rows = [{"question": f"q{n}", "answer": "7"} for n in range(6)]
    spec = small_task(tmp_path, GENERATE | {"filter_list": number_after()}, rows)
    cut = GenerationAnswer(id=0, text="so it is", tokens=9, truncated=True)
    result = replied(spec, ["=7 then", "=8", "seven", " ", cut, "it says [invalid] here"])
    assert [item.extracted for item in result.items] == ["7", "8", *["[invalid]"] * 4]
    # What was cut could not have an answer yet; an answer that is wrong is no flaw.
    assert [item.flaw for item in result.items] == [
        None,
        None,
        Flaw.NOT_EXTRACTED,
        Flaw.EMPTY,
        Flaw.TRUNCATED,
        None,
    ]
    assert [item.answer for item in result.items][:3] == ["=7 then", "=8", "seven"]


@pytest.mark.parametrize(
    ("steps", "text", "flaw"),
    [
        ([{"function": "regex", "regex_pattern": "=(.*)", "fallback": "None"}], "x", Flaw.NOT_EXTRACTED),
        ([{"function": "regex", "regex_pattern": "=(.*)", "fallback": "0"}], "=0", None),
        ([{"function": "regex", "regex_pattern": "=(.*)", "fallback": ""}], "x", Flaw.NOT_EXTRACTED),
        ([{"function": "regex", "regex_pattern": "=(.*)"}, {"function": "uppercase"}], "x", Flaw.NOT_EXTRACTED),
        ([{"function": "map", "mapping_dict": {"a": "b"}}], "x", Flaw.NOT_EXTRACTED),
        ([{"function": "regex_pos"}], "x", Flaw.NOT_EXTRACTED),
        ([{"function": "lowercase"}], "x", None),
        (None, "x", None),
    ],
    ids=["text", "found", "empty", "changed", "map", "tags", "no-search", "no-filter"],
)
def test_a_stand_in_is_no_answer(tmp_path: Path, steps: Any, text: str, flaw: Flaw | None) -> None:
    pipeline = None if steps is None else [{"name": "n", "filter": [*steps, {"function": "take_first"}]}]
    keys = {"filter_list": pipeline, "metric_list": [{"metric": "exact_match"}], "doc_to_target": "{{'other'}}"}
    if steps and steps[0]["function"] == "regex_pos":
        keys["doc_to_target"] = "{{['other']}}"
    (item,) = scored(small_task(tmp_path, GENERATE | keys, TWO[:1]), [text]).items
    assert item.flaw is flaw


def test_a_stand_in_that_is_the_right_answer_is_no_flaw(tmp_path: Path) -> None:
    keys = GENERATE | {"filter_list": number_after(fallback="unknown"), "doc_to_target": "{{'unknown'}}"}
    (item,) = scored(small_task(tmp_path, keys, TWO[:1]), ["nothing to see"]).items
    assert (item.scores["exact_match,strict"], item.flaw, item.extracted) == (1.0, None, "unknown")


ROWS: list[dict[str, Any]] = [
    {
        "question": f"q{n} " + "long " * n,
        "choices": ["yes", "no"],
        "label": n % 2,
        "level": n // 20,
        "passage": f"passage {n // 4} " + "text " * 40,
        "nested": {"paragraph": n // 5},
        "number": n,
        "score": n % 2 + 0.5,
        "only": "one",
    }
    for n in range(40)
]


def test_facets_are_short_columns_with_few_values(tmp_path: Path) -> None:
    items = run(small_task(tmp_path, {}, ROWS)).items
    assert [sorted(item.facets) for item in items] == [["label", "level", "prompt length"]] * 40
    assert [items[n].facets["level"] for n in (0, 19, 20, 39)] == ["0", "0", "1", "1"]
    quarters = [item.facets["prompt length"] for item in items]
    assert quarters == [f"{n // 10 + 1} of 4" for n in range(40)]
    assert {item.cluster for item in items} == {None}


def test_named_slices_come_first_and_may_be_anything(tmp_path: Path) -> None:
    keys = {"gate": {"slices": ["passage", "nested.paragraph", "score"]}}
    items = run(small_task(tmp_path, keys, ROWS)).items
    assert list(items[7].facets) == ["passage", "nested.paragraph", "score", "label", "level", "prompt length"]
    assert (items[7].facets["nested.paragraph"], items[7].facets["score"]) == ("1", "1.5")
    # A long value is cut, and equal ones stay equal.
    labels = [item.facets["passage"] for item in items]
    assert len(set(labels)) == 10
    assert max(map(len, labels)) == 64


def test_at_most_eight_facets(tmp_path: Path) -> None:
    rows = [{**row, **{f"c{i}": row["level"] for i in range(9)}} for row in ROWS]
    for name, gate in (("a", {}), ("b", {"slices": ["c8", "level"]})):
        items = run(small_task(tmp_path / name, {"gate": gate}, rows)).items
        assert len(items[0].facets) == 8
        assert "prompt length" in items[0].facets
    assert list(items[0].facets)[:2] == ["c8", "level"]


def test_few_documents_have_no_facets(tmp_path: Path) -> None:
    assert [dict(item.facets) for item in run(small_task(tmp_path)).items] == [{}] * 3


def test_the_cluster_is_a_column(tmp_path: Path) -> None:
    items = run(small_task(tmp_path, {"gate": {"cluster": "nested.paragraph"}}, ROWS)).items
    assert [item.cluster for item in items] == [str(n // 5) for n in range(40)]
    long = run(small_task(tmp_path / "b", {"gate": {"cluster": "passage"}}, ROWS)).items
    clusters = [item.cluster for item in long]
    assert [clusters.index(cluster) for cluster in clusters] == [n // 4 * 4 for n in range(40)]
    assert all(cluster is not None and len(cluster) <= 64 for cluster in clusters)


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ({"cluster": "pasage"}, "gate.cluster: the documents have no column 'pasage'. Did you mean 'passage'?"),
        ({"slices": ["level", "lable"]}, "gate.slices: the documents have no column 'lable'. Did you mean 'label'?"),
        ({"cluster": "xyz"}, "no column 'xyz'. Their columns: choices, label, level, nested"),
        ({"cluster": "nested.absent"}, "no column 'nested.absent'"),
    ],
)
def test_a_column_that_does_not_exist_is_told_before_anything_is_asked(
    tmp_path: Path, gate: dict[str, Any], message: str
) -> None:
    spec = small_task(tmp_path, {"gate": gate}, ROWS)
    with pytest.raises(TaskFileError) as caught:
        Evaluation(spec, EvaluationOptions())
    assert message in caught.value.problem
    assert caught.value.line == spec.document.lines["gate"][1] + 1


@pytest.mark.parametrize(
    ("dataset", "config", "column"),
    [
        ("EleutherAI/race", "high", "article"),
        ("rajpurkar/squad_v2", None, "context"),
        ("super_glue", "multirc", "idx.paragraph"),
        ("aps/super_glue", "record", "idx.passage"),
        ("aps/super_glue", "rte", None),
        ("cais/mmlu", "anatomy", None),
        ("someone/embrace", None, None),
        (None, None, None),
    ],
)
def test_known_data_sets_have_clusters(dataset: str | None, config: str | None, column: str | None) -> None:
    assert default_cluster(dataset, config) == column


def test_a_known_cluster_is_used_where_its_column_is_there(tmp_path: Path) -> None:
    spec = replace(small_task(tmp_path), dataset_path="aps/super_glue", dataset_name="multirc")
    document = {"question": "q", "idx": {"paragraph": 3, "question": 14}}
    columns = Columns.of(spec, ["question", "idx"], document)
    assert (columns.cluster, columns.cluster_of(document)) == ("idx.paragraph", "3")
    assert Columns.of(spec, ["question"], {"question": "q"}).cluster is None
    # What the gate says is stronger.
    named = replace(spec, gate={"cluster": "question"})
    assert Columns.of(named, ["question", "idx"], document).cluster_of(document) == "q"
