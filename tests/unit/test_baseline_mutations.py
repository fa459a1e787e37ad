"""Whatever is done to a valid file: it is refused in words, or it still says the same."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lmeval.baselines.format import Baseline, dumps, loads
from pytest_lmeval.baselines.layout import checksum
from pytest_lmeval.baselines.record import Noise, from_result
from pytest_lmeval.errors import BaselineError
from pytest_lmeval.results import Flaw, ItemResult, MetricValue, TaskResult, TaskSettings


def _item(index: int) -> ItemResult:
    failed = index == 5
    return ItemResult(
        index=index,
        document_hash=f"{index:02x}" * 32,
        prompt_hash=f"{index + 1:02x}" * 32,
        target_hash=f"{index + 2:02x}" * 32,
        scores={} if failed else {"acc": float(index % 2), "f1": index / 7},
        margin=None if failed else index / 3 - 2,
        prompt="?",
        target="yes",
        answer="" if failed else f"水 {index}\n",
        extracted=None if index % 3 else "水",
        choice=None if failed else index % 4,
        flaw=Flaw.ERROR if failed else Flaw.TRUNCATED if index == 6 else None,
        counts={} if failed else {"bleu": (index, 2.5, -0.1)},
    )


def _baseline() -> Baseline:
    items = tuple(map(_item, range(40)))
    acc = MetricValue(name="acc", filter="none", value=0.5, stderr=math.nan, higher_is_better=True, n=39)
    task = TaskSettings(
        dataset="rivers",
        dataset_config=None,
        split="test",
        num_fewshot=0,
        seed=1,
        limit="40",
        output_type="generate_until",
        generation={"until": ["\n"], "temperature": 0.0},
        task_hash="0",
        scoring="letters",
    )
    result = TaskResult(
        task="rivers", n=40, total=90, metrics=(acc,), main_metric="acc", items=items, settings=task, members=("a",)
    )
    noise = Noise(n=40, scores=(0.5, 0.4), flips=(4,), margin_mean=0.1, margin_p95=0.3)
    recorded = from_result(result, {"name": "m"}, {"python": "3"}, "2026-08-02", commit="91ab3f0", noise=noise)
    return replace(recorded, published="a paper")


VALID = dumps(_baseline())

characters = st.sampled_from('0159AEx._-="[]{},: \\\n;é\x00\ud800') | st.characters(exclude_categories=())
values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(characters, max_size=8)
    | st.sampled_from(["nan", "-inf", "all", "keys", "score acc", "A" * 96, "0-39", 10**400, 2**63, -1, 40]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def _read(text: str) -> Baseline | None:
    """Read a file, None where it is refused with a sentence; any other exception is a fault."""
    try:
        return loads(text)
    except BaselineError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 400
    return None


def _refused_or_sound(text: str) -> None:
    """What is accepted can be written and read again without a change: it is a baseline."""
    read = _read(text)
    assert read is None or dumps(loads(dumps(read))) == dumps(read)


def test_the_valid_file_is_read() -> None:
    assert dumps(loads(VALID)) == VALID


@given(st.integers(0, len(VALID)), st.integers(0, 3), st.text(characters, max_size=3))
@settings(max_examples=300, deadline=None)
def test_changed_characters(at: int, removed: int, added: str) -> None:
    text = VALID[:at] + added + VALID[at + removed :]
    assert _read(text) in (None, loads(VALID))


@st.composite
def forgeries(draw: st.DrawFn) -> str:
    """Content with one value replaced, removed, doubled or edited, and a checksum that fits."""
    content = json.loads(VALID)
    del content["sha256"]
    node: Any = content
    while True:
        key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if not node[key] or not isinstance(node[key], dict | list) or draw(st.booleans()):
            break
        node = node[key]
    action = draw(st.sampled_from(["replace", "remove", "double", "edit"]))
    if action == "remove":
        del node[key]
    elif action == "double" and isinstance(node, list):
        node.insert(key, node[key])
    elif action == "edit" and isinstance(node[key], str):
        at = draw(st.integers(0, len(node[key])))
        added = draw(st.text(characters, max_size=2))
        node[key] = node[key][:at] + added + node[key][at + draw(st.integers(0, 2)) :]
    else:
        node[key] = draw(values)
    plain = json.loads(json.dumps(content))
    return json.dumps({**plain, "sha256": checksum(plain)})


@given(forgeries())
@settings(max_examples=600, deadline=None)
def test_forgeries(text: str) -> None:
    _refused_or_sound(text)


@given(values)
@settings(max_examples=100, deadline=None)
def test_any_json(value: Any) -> None:
    _refused_or_sound(json.dumps(value))
