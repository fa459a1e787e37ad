"""Files of published scores: what is read of them, and where their mistakes are said to be."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_lmeval.baselines.hand_written import MAX_BYTES, read_mapping
from pytest_lmeval.baselines.published import PublishedScore, PublishedScores, missing_task, read_published
from pytest_lmeval.errors import BaselineError

GOOD = """\
# Greedy, zero-shot.
source: "model card of X, 2026-08"
scores:
  rivers: {acc_norm: 0.62}
  sums: {"exact_match,strict-match": {value: 0.71, n: 1319, stderr: 0.0125}, "acc,none": 1}
"""


def write(folder: Path, text: str, name: str = "scores.yaml") -> Path:
    path = folder / name
    path.write_text(dedent(text), encoding="utf-8")
    return path


def problem(folder: Path, text: str, name: str = "scores.yaml") -> str:
    path = write(folder, text, name)
    with pytest.raises(BaselineError) as caught:
        read_published(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    return said.removeprefix(f"{path}: ")


def test_scores_are_read(tmp_path: Path) -> None:
    source = "model card of X, 2026-08"
    assert read_published(write(tmp_path, GOOD)) == {
        "rivers": PublishedScores(task="rivers", source=source, metrics={"acc_norm": PublishedScore(value=0.62)}),
        "sums": PublishedScores(
            task="sums",
            source=source,
            metrics={
                "exact_match,strict-match": PublishedScore(value=0.71, n=1319, stderr=0.0125),
                "acc": PublishedScore(value=1.0),
            },
        ),
    }


def test_json_reads_the_same(tmp_path: Path) -> None:
    text = json.dumps({"source": "X", "scores": {"rivers": {"acc": {"value": 0.5, "n": 10}}}}, indent="\t")
    yaml = "source: X\nscores: {rivers: {acc: {value: 0.5, n: 10}}}\n"
    assert read_published(write(tmp_path, f"\ufeff{text}", "scores.json")) == read_published(write(tmp_path, yaml))


def test_the_baseline_of_published_scores_has_no_documents(tmp_path: Path) -> None:
    baseline = read_published(write(tmp_path, GOOD))["sums"].as_baseline()
    assert baseline.published == "model card of X, 2026-08"
    assert (baseline.task, baseline.n, baseline.items, baseline.noise) == ("sums", 1319, (), None)
    assert [(metric.key, metric.value, metric.stderr, metric.n) for metric in baseline.metrics] == [
        ("exact_match,strict-match", 0.71, 0.0125, 1319),
        ("acc", 1.0, None, 0),
    ]


NUMBER = "expected a number, or a mapping with value, n and stderr, found"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a mapping of keys to values, found a NoneType"),
        ("- a", "expected a mapping of keys to values, found a list"),
        ("sorce: x\nscores: {a: {acc: 1}}", "unknown key 'sorce'. Did you mean 'source'?"),
        (
            "scores: {a: {acc: 1}}",
            'source: expected where the scores come from, as in "model card of X", found nothing',
        ),
        ("source: 2026-08-01\nscores: {a: {acc: 1}}", "found a date"),
        ('source: "\\e[31m"\nscores: {a: {acc: 1}}', "source: expected one line of at most 300 characters"),
        ("source: x", "scores: expected tasks with their metrics, as in rivers: {acc: 0.62}, found nothing"),
        ("source: x\nscores: {}", "found a mapping of 0"),
        ("source: x\nscores: {a: 0.5}", "scores.a: expected metrics with their scores, as in {acc: 0.62}, found 0.5"),
        ("source: x\nscores: {a: {acc: '0.6'}}", f"scores.a.acc: {NUMBER} '0.6'"),
        ("source: x\nscores: {a: {acc: true}}", f"scores.a.acc: {NUMBER} True"),
        ("source: x\nscores: {a: {acc: .nan}}", f"scores.a.acc: {NUMBER} nan"),
        ("source: x\nscores: {a: {acc: .inf}}", f"scores.a.acc: {NUMBER} inf"),
        ("source: x\nscores: {a: {acc: [1]}}", f"scores.a.acc: {NUMBER} a list of 1"),
        ("source: x\nscores: {a: {acc: {vale: 1}}}", "scores.a.acc: unknown key 'vale'. Did you mean 'value'?"),
        ("source: x\nscores: {a: {acc: {n: 1}}}", "scores.a.acc.value: expected a number, found nothing"),
        ("source: x\nscores: {a: {acc: {value: 1, n: 1.5}}}", "scores.a.acc.n: expected how many documents"),
        ("source: x\nscores: {a: {acc: {value: 1, n: 0}}}", "scores.a.acc.n: expected how many documents"),
        ("source: x\nscores: {a: {acc: {value: 1, stderr: -1}}}", "scores.a.acc.stderr: expected a standard error"),
        ("source: x\nscores: {a: {acc: 1, 'acc,none': 1}}", "scores.a.acc,none: acc is given twice"),
        ("source: x\nscores: {a: {acc: 1, acc: 2}}", "line 2: 'acc' is given twice"),
        ("source: x\nscores: {1: {acc: 1}}", "line 2: expected a name, found 1; put it into quotes"),
        ("source: x\nscores: {a: &all {acc: 1}, b: *all}", "line 2: anchors and aliases are not read here"),
        ("source: x\nscores: {a: !!python/name:os.system 1}", "line 2: tags are not read here"),
        ("source: x\nscores: {a: !function os.system}", "line 2: tags are not read here"),
        ("source: [x", "not valid YAML: "),
        ("source: 2026-99-99", "holds a number or a date that cannot be read"),
        ("[" * 50, "line 1: nested deeper than 10 levels"),
        # How libyaml says it depends on its version.
        ("[" * 100_000, "nest"),
    ],
)
def test_a_mistake_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    assert said in problem(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"source": "x", "source": "y"}', "'source' is given twice"),
        ('{"source": }', "not valid JSON: Expecting value in line 1"),
        ('{"source": "x", "scores": {"a": {"acc": NaN}}}', f"scores.a.acc: {NUMBER} nan"),
        (f'{{"source": "x", "scores": {{"a": {{"acc": {"9" * 500}}}}}}}', "found a number that is too large"),
        (f'{{"source": {"9" * 5000}}}', "holds a number or a date that cannot be read"),
        ("[" * 100_000, "nested deeper than 10 levels"),
    ],
)
def test_mistakes_in_json_too(tmp_path: Path, text: str, said: str) -> None:
    assert said in problem(tmp_path, text, "scores.json")


def test_a_name_that_a_terminal_would_obey_is_shown_harmlessly(tmp_path: Path) -> None:
    assert "\x1b" not in problem(tmp_path, 'source: x\nscores: {"\\e[31mred": {acc: no}}')


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    large = write(tmp_path, "#" * (MAX_BYTES + 1))
    with pytest.raises(BaselineError, match="larger than 1,000,000 bytes"):
        read_mapping(large)
    large.write_bytes(b"source: \xff")
    with pytest.raises(BaselineError, match="not UTF-8 text"):
        read_mapping(large)
    with pytest.raises(BaselineError, match="cannot be read: Is a directory"):
        read_mapping(tmp_path)


def test_a_task_that_is_missing_is_told_with_what_was_perhaps_meant(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    published = read_published(path)
    assert missing_task("river", path, published) == "scores.yaml has no scores for river. Did you mean 'rivers'?"
    assert missing_task("xyz", path, published) == "scores.yaml has no scores for xyz. It has: rivers, sums."
