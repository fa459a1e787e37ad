from __future__ import annotations

from typing import Any

import pytest

from pytest_lmeval.baselines.surroundings import changed_surroundings

DETAILS = {
    "transformers": "5.23.0",
    "device": "cpu",
    "tokenizer_sha256": "a" * 64,
    "chat_template_sha256": "b" * 64,
}
MODEL = {
    "backend": "hf",
    "name": "organisation/small",
    "revision": "0123",
    "dtype": "float32",
    "max_length": 2048,
    "scoring": "log-likelihood",
    "details": DETAILS,
}


def model(details: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {**MODEL, **changes, "details": {**DETAILS, **(details or {})}}


def told(*args: Any, **kwargs: Any) -> list[tuple[str, bool]]:
    return [(str(changed), changed.incomparable) for changed in changed_surroundings(*args, **kwargs)]


def test_the_same_has_not_changed() -> None:
    assert changed_surroundings(MODEL, MODEL) == ()


def test_another_tokenizer_asks_other_questions() -> None:
    now = model({"tokenizer_sha256": "c" * 64})
    assert told(now, MODEL) == [("tokenizer aaaaaaaa… -> cccccccc…", True)]
    assert told(now, MODEL, chat_template=False) == [("tokenizer aaaaaaaa… -> cccccccc…", True)]


def test_another_chat_template_does_where_there_are_conversations() -> None:
    now = model({"chat_template_sha256": "c" * 64})
    assert told(now, MODEL) == [("chat template bbbbbbbb… -> cccccccc…", True)]
    assert told(now, MODEL, chat_template=False) == [("chat template bbbbbbbb… -> cccccccc…", False)]


@pytest.mark.parametrize("name", ["/models/small", "./small/", r"C:\models\small", "small"])
def test_a_model_is_the_same_wherever_it_lies(name: str) -> None:
    now = model({"tokenizer_sha256": "c" * 64}, name=name)
    assert [changed.name for changed in changed_surroundings(now, MODEL) if changed.incomparable] == ["tokenizer"]


def test_another_model_has_another_tokenizer() -> None:
    now = model({"tokenizer_sha256": "c" * 64, "chat_template_sha256": "d" * 64}, name="organisation/other")
    assert told(now, MODEL) == [
        ("tokenizer aaaaaaaa… -> cccccccc…", False),
        ("chat template bbbbbbbb… -> dddddddd…", False),
        ("model organisation/small -> organisation/other", False),
    ]


def test_what_is_compared_on_purpose_is_told() -> None:
    now = model({"device": "cuda:0", "transformers": "5.24.0"}, dtype="bfloat16", backend="vllm", revision="4567")
    assert told(now, MODEL) == [
        ("backend hf -> vllm", False),
        ("revision of the model 0123 -> 4567", False),
        ("dtype float32 -> bfloat16", False),
        ("device cpu -> cuda:0", False),
        ("transformers 5.23.0 -> 5.24.0", False),
    ]


def test_what_makes_them_incomparable_comes_first() -> None:
    now = model({"chat_template_sha256": "c" * 64}, dtype="bfloat16")
    assert [changed.incomparable for changed in changed_surroundings(now, MODEL)] == [True, False]
    only_template = changed_surroundings(
        model({"tokenizer_sha256": "c" * 64, "chat_template_sha256": "d" * 64}), MODEL, chat_template=False
    )
    assert [changed.name for changed in only_template] == ["tokenizer", "chat template"]


@pytest.mark.parametrize("unknown", [None, {}, [], "x", {"tokenizer_sha256": None}])
def test_only_what_both_know_counts(unknown: Any) -> None:
    assert told({**MODEL, "details": unknown}, MODEL) == []
    assert told(MODEL, {**MODEL, "details": unknown}) == []
    assert told({"name": "organisation/small"}, MODEL) == []


def test_a_long_or_unprintable_value_is_shown_on_one_short_line() -> None:
    now = model({"device": "x" * 500, "transformers": "5\n\x1b[2J"})
    shown = [str(changed) for changed in changed_surroundings(now, MODEL)]
    assert all(line.isprintable() and len(line) < 100 for line in shown)
