from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from pytest_lmeval.baselines.files import read_baseline, write_atomically
from pytest_lmeval.baselines.format import MAX_BYTES, dumps, loads
from pytest_lmeval.baselines.margins import stored_margin
from pytest_lmeval.baselines.record import Baseline, Noise, from_result
from pytest_lmeval.errors import BaselineError
from pytest_lmeval.results import Flaw, ItemResult, MetricValue, TaskResult, TaskSettings

MODEL = {
    "backend": "hf",
    "name": "organisation/a-model-of-7b-instruct",
    "revision": "0123456789abcdef0123456789abcdef01234567",
    "dtype": "bfloat16",
    "max_length": 4096,
    "details": {"device": "cuda:0 NVIDIA H200", "parameters": 7_241_732_096, "tokenizer": "ab" * 32},
}
ENVIRONMENT = {
    "python": "3.11.15",
    "platform": "Linux-6.8.0-1017-aws-x86_64-with-glibc2.39",
    **dict.fromkeys(("pytest", "pytest-lmeval", "torch", "transformers", "numpy", "datasets"), "2.13.0+cpu"),
}


def sha(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def item(index: int, scores: dict[str, float], margin: float | None = None, **more: Any) -> ItemResult:
    plain = ItemResult(
        index=index,
        document_hash=sha("document", index),
        prompt_hash=sha("prompt", index),
        target_hash=sha("target", index),
        scores=MappingProxyType(scores),
        margin=margin,
        prompt="?",
        target="yes",
        answer="no",
    )
    return replace(plain, **more)


def task(items: list[ItemResult], total: int | None = None, **changes: Any) -> TaskResult:
    keys = sorted({key for i in items for key in i.scores}) or ["acc"]
    metrics = tuple(
        MetricValue(
            name=key,
            filter="none",
            value=sum(i.scores.get(key, 0.0) for i in items) / max(1, len(items)),
            stderr=0.123456789012345,
            higher_is_better=True,
            n=len(items),
        )
        for key in keys
    )
    whole = TaskResult(
        task="rivers",
        n=len(items),
        total=len(items) if total is None else total,
        metrics=metrics,
        main_metric=keys[0],
        items=tuple(items),
        settings=TaskSettings(
            dataset="organisation/rivers",
            dataset_config=None,
            split="validation",
            num_fewshot=5,
            seed=1234,
            limit=None,
            output_type="multiple_choice",
            generation=MappingProxyType({"until": ("\n", "Q:"), "temperature": 0.0, "do_sample": False}),
            task_hash=sha("task"),
            version="1.0",
        ),
    )
    return replace(whole, **changes)


def choices(count: int, seed: int = 0) -> list[ItemResult]:
    rng = random.Random(seed)
    return [
        item(
            i,
            {"acc": float(rng.random() < 0.4), "acc_norm": float(rng.random() < 0.5)},
            rng.gauss(0, 5),
            choice=rng.randrange(4),
        )
        for i in range(count)
    ]


def writings(count: int, answer: str = "The answer is 42 because the question says so. " * 6) -> list[ItemResult]:
    rng = random.Random(count)
    return [
        item(i, {"exact_match": float(rng.random() < 0.4)}, answer=f"{i} {answer}", extracted=f"{i}" * 3)
        for i in range(count)
    ]


def written(items: list[ItemResult]) -> TaskResult:
    """The result of a task whose answers the model writes."""
    result = task(items)
    return replace(result, settings=replace(result.settings, output_type="generate_until"))


def baseline(result: TaskResult, **more: Any) -> Baseline:
    return from_result(result, MODEL, ENVIRONMENT, "2026-08-02T12:34:56+00:00", **more)


def test_ten_thousand_items_stay_below_100_kilobytes() -> None:
    text = dumps(baseline(task(choices(10_000), total=10_042)))
    assert len(text.encode()) < 88_000
    assert len(loads(text).items) == 10_000


@pytest.mark.parametrize("answer", ["x" * 300, "\n\t\x00" * 100, "水" * 300, "\x1b\u202e" * 100, "🌊" * 300])
def test_a_thousand_texts_stay_below_400_kilobytes_whatever_they_are(answer: str) -> None:
    text = dumps(baseline(written(writings(1_319, answer))))
    assert len(text.encode()) < 400_000
    assert loads(text) == baseline(written(writings(1_319, answer)))


@pytest.mark.parametrize("count", [0, 1, 23, 24, 25, 49, 500])
def test_round_trip(count: int) -> None:
    recorded = baseline(task(choices(count, seed=count), total=count + 1))
    text = dumps(recorded)
    assert loads(text) == recorded
    assert dumps(loads(text)) == text
    assert text.isascii()


def test_everything_is_kept() -> None:
    result = task(choices(30), members=("a", "b"))
    kept = loads(dumps(baseline(result)))
    assert kept.metrics == result.metrics  # to the last digit
    assert (kept.task, kept.n, kept.total, kept.main_metric) == ("rivers", 30, 30, "acc")
    assert (kept.members, kept.created) == (("a", "b"), "2026-08-02T12:34:56+00:00")
    assert (kept.model, kept.environment) == (MODEL, ENVIRONMENT)
    assert kept.settings.generation == {"until": ["\n", "Q:"], "temperature": 0.0, "do_sample": False}
    assert replace(kept.settings, generation=None) == replace(result.settings, generation=None)
    for old, new in zip(result.items, kept.items, strict=True):
        assert new.index == old.index
        assert dict(new.scores) == dict(old.scores)
        assert old.margin is not None
        assert new.margin == pytest.approx(old.margin, rel=2**-11) == stored_margin(old.margin)
        assert new.choice == old.choice
        assert (new.answer, new.extracted, new.flaw, dict(new.counts)) == (None, None, None, {})


def test_where_it_comes_from_is_kept() -> None:
    noise = Noise(n=30, scores=(0.5, 0.4, math.nan), flips=(3, 0), margin_mean=0.01, margin_p95=None)
    recorded = baseline(task(choices(30)), commit="91ab3f0", noise=noise)
    kept = loads(dumps(recorded))
    assert kept == recorded
    assert (kept.commit, kept.noise, kept.published) == ("91ab3f0", noise, None)
    assert kept.noise is not None
    assert (kept.noise.runs, kept.noise.flip_rate) == (2, 0.05)
    plain = loads(dumps(baseline(task(choices(30)))))
    assert (plain.commit, plain.noise, plain.published) == (None, None, None)


def test_scores_that_somebody_published_have_no_items() -> None:
    recorded = replace(baseline(task([])), n=1319, total=1319, published="a paper, table 3")
    assert loads(dumps(recorded)) == recorded


def test_aggregations_are_kept() -> None:
    result = task(choices(3))
    metrics = (replace(result.metrics[0], aggregation="perplexity"), *result.metrics[1:])
    kept = loads(dumps(baseline(replace(result, metrics=metrics))))
    assert [metric.aggregation for metric in kept.metrics] == ["perplexity", "mean"]


def test_texts_are_kept_in_their_beginnings_and_only_where_the_model_wrote_them() -> None:
    items = [
        item(0, {"acc": 1.0}, answer="so: 7\n" * 100, extracted="7" * 100),
        item(1, {"acc": 0.0}, answer="", flaw=Flaw.EMPTY),
        item(2, {"acc": 1.0}, answer="水は\u202e\x1b[1m", extracted="水"),
        item(3, {}, answer="", error="the server broke"),
    ]
    recorded = baseline(written(items))
    text = dumps(recorded)
    kept = loads(text)
    assert kept == recorded
    assert [i.answer for i in kept.items] == [("so: 7\n" * 100)[:172], "", "水は\u202e\x1b[1m", None]
    assert [i.extracted for i in kept.items] == ["7" * 60, None, "水", None]
    assert '"水は\\u202e\\u001b[1m",' in text.splitlines()
    chosen = loads(dumps(baseline(task(items))))
    assert [i.answer for i in chosen.items] == [None] * 4


def test_an_error_is_neither_right_nor_wrong() -> None:
    items = choices(60)
    for at in (3, 40):
        items[at] = item(at, {}, None, answer="", error="the server broke", flaw=Flaw.ERROR)
    # Whoever scores what never came is not believed.
    items[41] = item(41, {"acc": 0.0}, 1.0, answer="", error="the server broke")
    recorded = baseline(task(items))
    kept = loads(dumps(recorded))
    assert kept == recorded
    for at in (3, 40, 41):
        failed = kept.items[at]
        assert (dict(failed.scores), failed.margin, failed.choice, failed.flaw) == ({}, None, None, Flaw.ERROR)
    assert (kept.n, kept.answered) == (60, 57)
    columns = json.loads(dumps(recorded))["columns"]
    assert columns == [
        *("keys", "margins", "choices", "flaws"),
        *("score acc", "scored acc", "score acc_norm", "scored acc_norm"),
    ]


def test_columns_that_nothing_needs_are_not_there() -> None:
    content = json.loads(dumps(baseline(task([item(i, {"acc": 1.0}) for i in range(3)]))))
    assert content["columns"] == ["keys", "score acc"]
    assert content.keys().isdisjoint({"answers", "extracted", "choices", "noise", "commit", "published"})


@pytest.mark.parametrize("name", ["keys", "margins", "acc,none", "score acc", "scored", "two words", ""])
def test_no_name_of_a_metric_is_taken_for_a_column(name: str) -> None:
    recorded = baseline(task([item(0, {name: 1.0}, 2.0), item(1, {"other": 0.0})]))
    assert loads(dumps(recorded)) == recorded


def test_many_choices_are_numbers() -> None:
    chosen = [0, 62, None, *range(40)]
    short = baseline(task([item(i, {"acc": 1.0}, choice=choice) for i, choice in enumerate(chosen)]))
    assert "choices" in json.loads(dumps(short))["columns"]
    long = baseline(task([item(i, {"acc": 1.0}, choice=choice) for i, choice in enumerate([*chosen, 63, 100_000])]))
    assert "choices" not in json.loads(dumps(long))["columns"]
    assert loads(dumps(short)) == short
    assert loads(dumps(long)) == long


def test_statistics_of_corpus_metrics_are_exact() -> None:
    counts = [{"ppl": (-123.45678901234567 * i, 17.0), "bleu": (float(i), 0.0)} for i in range(30)]
    items = [item(i, {"acc": 1.0}, counts=count) for i, count in enumerate(counts)]
    items[7] = replace(items[7], counts={"bleu": ()})
    kept = loads(dumps(baseline(task(items))))
    assert [dict(i.counts) for i in kept.items] == [dict(i.counts) for i in items]


def test_a_broken_margin_is_not_a_missing_one() -> None:
    items = [
        item(i, {"acc": 0.0}, margin, flaw=Flaw.NOT_A_NUMBER) for i, margin in enumerate([math.nan, None, math.inf])
    ]
    text = dumps(baseline(task(items)))
    broken, missing, infinite = (i.margin for i in loads(text).items)
    assert broken is not None
    assert math.isnan(broken)
    assert (missing, infinite) == (None, math.inf)
    assert dumps(loads(text)) == text


def test_a_subset_keeps_its_indices_whatever_the_order_of_the_items() -> None:
    items = choices(100)
    chosen = [items[i] for i in (99, 3, 4, 5, 50)]
    text = dumps(baseline(task(chosen, total=100)))
    assert [i.index for i in loads(text).items] == [3, 4, 5, 50, 99]
    assert '"documents": "3-5,50,99"' in text
    assert '"documents": "all"' in dumps(baseline(task(items)))


def test_continuous_missing_and_broken_scores() -> None:
    scores: list[dict[str, float]] = [
        {"acc": 1.0, "f1": 0.123456789, "em,strict": 1.0},
        {"acc": 0.0, "f1": 1.0},
        {"acc": 1.0, "f1": math.inf, "em,strict": 0.0},
        *({"acc": 0.0, "f1": i / 7, "em,strict": 1.0} for i in range(40)),
    ]
    recorded = baseline(task([item(i, s) for i, s in enumerate(scores)]))
    kept = loads(dumps(recorded))
    assert kept == recorded
    assert [dict(i.scores) for i in kept.items[:3]] == [
        {"acc": 1.0, "em,strict": 1.0, "f1": 0.123457},
        {"acc": 0.0, "f1": 1.0},
        {"acc": 1.0, "em,strict": 0.0, "f1": math.inf},
    ]
    assert max(len(line) for line in dumps(recorded).splitlines()) < 160


def test_metrics_that_are_no_numbers_survive() -> None:
    result = task(choices(3))
    broken = replace(result.metrics[0], value=math.nan, stderr=-math.inf)
    kept = loads(dumps(baseline(replace(result, metrics=(broken, *result.metrics[1:])))))
    assert math.isnan(kept.metrics[0].value)
    assert kept.metrics[0].stderr == -math.inf


def test_a_changed_item_changes_one_line_of_the_items() -> None:
    items = choices(200)
    flipped = replace(items[77], scores={**items[77].scores, "acc": 1 - items[77].scores["acc"]}, margin=-7.5)
    before = dumps(baseline(task(items))).splitlines()
    after = dumps(baseline(task([*items[:77], flipped, *items[78:]]))).splitlines()
    differing = [old for old, new in zip(before, after, strict=True) if old != new]
    assert [line[:10] for line in differing] == [
        '{"aggregat',
        before[before.index('"items": [') + 4][:10],
        '"sha256": ',
    ]


def test_order_does_not_change_the_digests_and_content_does() -> None:
    items = choices(20)
    digests = baseline(task(items)).digests
    assert baseline(task(items[::-1])).digests == digests
    other = replace(items[0], prompt_hash=sha("new"))
    changed = baseline(task([other, *items[1:]])).digests
    assert (changed.documents, changed.targets) == (digests.documents, digests.targets)
    assert changed.prompts != digests.prompts


def test_line_ends_are_no_tampering() -> None:
    text = dumps(baseline(task(choices(30))))
    assert loads(text.replace("\n", "\r\n")) == loads(text)


def test_hand_edits_are_noticed() -> None:
    """Each character that carries content is covered: by the checksum, or by the parser."""
    text = dumps(baseline(task(choices(30))))
    rng = random.Random(4)
    changed = 0
    for _ in range(300):
        at = rng.randrange(len(text))
        if not text[at].isalnum():
            continue
        edited = text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1 :]
        changed += 1
        with pytest.raises(BaselineError):
            loads(edited)
    assert changed > 200


def forged(change: Callable[[dict[str, Any]], object]) -> str:
    """A file by somebody who knows how to compute the checksum."""
    content = json.loads(dumps(baseline(task(choices(30), total=40))))
    del content["sha256"]
    change(content)
    canonical = json.dumps(content, sort_keys=True)
    return json.dumps({**content, "sha256": hashlib.sha256(canonical.encode()).hexdigest()})


def put(*path: Any) -> Callable[[dict[str, Any]], object]:
    """``put(a, b, value)`` sets ``content[a][b] = value``."""
    *way, last, value = path

    def change(content: Any) -> None:
        for key in way:
            content = content[key]
        content[last] = value

    return change


def row(keys: str = "A" * 96, margins: str = "A" * 64, choices: str = "A" * 24, bits: str = "AAAA") -> str:
    return f"{keys} {margins} {choices} {bits} AAAA"


def noise(**changes: Any) -> dict[str, Any]:
    return {"n": 30, "scores": [0.5, 0.4], "flips": [3], "margin_mean": 0.1, "margin_p95": None} | changes


@pytest.mark.parametrize(
    "change",
    [
        put("created", "2020"),
        put("items", 0, row()),
        put("noise", noise()),
        put("answers", ["a"] * 30),
        put("counts", {"f1": [";" * 11, ";" * 11, "1;2;3;4;5;-"]}),
        put("values", {"f1": [0.5] * 30}),
    ],
    ids=["date", "row", "noise", "answers", "counts", "values"],
)
def test_the_forger_can_forge(change: Callable[[dict[str, Any]], object]) -> None:
    assert loads(forged(change)).n == 30


HOSTILE: list[Callable[[dict[str, Any]], object]] = [
    put("format", 1),
    put("format", 3),
    put("format", "1"),
    put("format", True),
    put("n", 31),
    put("n", -1),
    put("n", 10**400),
    put("n", 30.0),
    put("total", 3),
    put("total", None),
    put("task", 7),
    put("task", {"a": []}),
    put("created", None),
    put("main_metric", "other"),
    put("metrics", {}),
    put("metrics", [3]),
    put("metrics", 0, "value", True),
    put("metrics", 0, "value", "high"),
    put("metrics", 0, "value", 10**400),
    put("metrics", 0, "higher_is_better", 1),
    put("settings", []),
    put("settings", "num_fewshot", "5"),
    put("settings", "generation", [1]),
    put("digests", "documents", 5),
    put("documents", "0-999999999999"),
    put("documents", "0-28"),
    put("documents", "10-39,40"),
    put("documents", "20-49"),
    put("documents", "all"),
    put("documents", None),
    put("columns", []),
    put("columns", ["acc"]),
    put("columns", "keys"),
    put("columns", ["keys"]),
    put("columns", 4, "margins"),
    put("columns", 3, "choice acc"),
    put("columns", 3, "scored f1"),
    put("columns", ["margins", "keys", *["choices", "score acc", "score acc_norm"]]),
    put("items", [""]),
    put("items", ["A" * 96]),
    put("items", "AAAA"),
    put("items", 0, row(keys="!" * 96)),
    put("items", 0, row(keys="é" * 96)),
    put("items", 0, row(keys="A" * 9600)),
    put("items", 0, row(keys="A" * 92)),
    put("items", 0, row(margins="A" * 63)),
    put("items", 0, row(margins="__8" + "A" * 61)),
    put("items", 0, row(choices="A" * 23)),
    put("items", 0, row(choices="A" * 23 + "é")),
    put("items", 0, row(bits="AAAAA")),
    put("items", 1, ["nested"]),
    put("items", ["AAAA AAA A AA AA"] * 60_000),
    put("choices", [1.5] * 30),
    put("choices", [True] * 30),
    put("choices", [-1] * 30),
    put("choices", [0] * 29),
    put("choices", [0] * 30),
    put("answers", "text"),
    put("answers", ["a"] * 29),
    put("answers", ["a" * 201] * 30),
    put("answers", ["\ud800"] * 30),
    put("extracted", ["a" * 61] * 30),
    put("extracted", [1] * 30),
    put("counts", ["f1"]),
    put("counts", {"f1": "1"}),
    put("counts", {"f1": []}),
    put("counts", {"f1": [";" * 11, ";" * 11, ";" * 6]}),
    put("counts", {"f1": [";" * 11, ";" * 11, "1;2;3;4;5;x"]}),
    put("values", {"acc": [0.5] * 30}),
    put("commit", 7),
    put("noise", None),
    put("noise", {}),
    put("noise", noise(n=31)),
    put("noise", noise(n=True)),
    put("noise", noise(flips=[-1])),
    put("noise", noise(flips=[31])),
    put("noise", noise(flips=[1, 2])),
    put("noise", noise(scores=["high", 0.5])),
    put("noise", noise(margin_mean="low")),
    put("published", None),
    put("metrics", 0, "aggregation", None),
    put("values", {"f1": [1.0]}),
    put("values", {"f1": [[]] * 30}),
    put("values", {"f1": 3}),
    put("values", ["f1"]),
    put("members", [None]),
    put("model", "demo"),
    put("environment", None),
    lambda content: content.pop("items"),
    lambda content: content.pop("format"),
    lambda content: content["settings"].pop("seed"),
]


@pytest.mark.parametrize("change", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_content_is_one_sentence(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(BaselineError) as caught:
        loads(forged(change))
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


VALID = dumps(baseline(task(choices(3))))


HOSTILE_TEXTS = [
    ("", "not JSON"),
    ("null", "not a JSON object"),
    ("[" * 100_000, "nested too deeply"),
    ('{"a":' * 100_000, "nested too deeply"),
    ('{"format": ' + "9" * 10_000 + "}", "not a usable baseline"),
    ('{"format": NaN}', "NaN is not JSON"),
    ('{"format": 1, "format": 1}', "a key appears twice"),
    ('{"format": 2}', "sha256 is missing"),
    ('{"format": 2, "sha256": "0", "x": 1e999}', "not a usable baseline"),
    ('{"format": 2, "sha256": "\\ud800"}', "checksum is wrong"),
    ('{"format": 1, "sha256": "0"}', "an older pytest-lmeval wrote it.*again with --lm-update-baseline"),
    ('{"format": 3, "sha256": "0"}', "a newer pytest-lmeval wrote it.*update pytest-lmeval"),
    (VALID[:-40], "not JSON"),
    (VALID.replace('"n": 3', '"n": 2'), "checksum is wrong"),
    (VALID.replace('"n": 3', '<<<<<<< ours\n"n": 3\n=======\n"n": 4\n>>>>>>> theirs'), "merge conflict"),
    (" " * (MAX_BYTES + 1), "larger than 16,000,000 bytes"),
]


@pytest.mark.parametrize(("text", "message"), HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_hostile_text(text: str, message: str) -> None:
    with pytest.raises(BaselineError, match=message):
        loads(text)


# Files


def test_a_file_that_is_not_there_is_no_baseline(tmp_path: Path) -> None:
    assert read_baseline(tmp_path / "none.json") is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfe{}", "not UTF-8"),
        (b"{", "not JSON"),
        (b" " * (MAX_BYTES + 1), "larger than"),
    ],
    ids=["encoding", "json", "size"],
)
def test_an_unusable_file_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(data)
    with pytest.raises(BaselineError, match=message) as caught:
        read_baseline(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="cannot be read"):
        read_baseline(tmp_path)


def test_writing_replaces_whole_files_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a" / "t.json"
    write_atomically(path, VALID)
    assert read_baseline(path) == loads(VALID)
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "half\ud800")
    assert path.read_text() == VALID
    assert list(path.parent.iterdir()) == [path]
