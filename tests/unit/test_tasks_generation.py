from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.protocol import GenerationSettings
from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.tasks.generation import effective_kwargs, generation_settings

from .making import asked, small_task


def settings(folder: Path, given: dict[str, Any] | None, overrides: dict[str, Any] | None = None) -> GenerationSettings:
    spec = small_task(folder, {"generation_kwargs": given, "fewshot_delimiter": "\n##\n"})
    return generation_settings(spec, effective_kwargs(spec, overrides or {}), 77)


GREEDY: dict[str, Any] = {"do_sample": False, "temperature": 0.0, "seed": None}


@pytest.mark.parametrize(
    ("given", "overrides", "expected"),
    [
        (None, {}, {"until": ("\n##\n",), "max_tokens": 256}),
        ({}, {}, {"until": ("\n##\n",), "max_tokens": 256}),
        ({"until": []}, {}, {"until": ()}),
        ({"until": "Q:"}, {}, {"until": ("Q:",)}),
        ({"until": ["a", "b"]}, {"until": ["c"]}, {"until": ("c",)}),
        ({"max_gen_toks": 5, "max_new_tokens": 6}, {}, {"max_tokens": 5}),
        ({"max_tokens": 7, "max_completion_tokens": 8}, {}, {"max_tokens": 7}),
        ({"max_gen_toks": 5}, {"max_gen_toks": 9}, {"max_tokens": 9}),
        ({"do_sample": True, "temperature": 0.0}, {}, GREEDY),
        ({"do_sample": False, "temperature": 0.7}, {}, GREEDY),
        ({"do_sample": True}, {}, {"do_sample": True, "temperature": 1.0, "seed": 77}),
        ({"temperature": "0.5", "top_p": 0.9, "top_k": 4}, {}, {"temperature": 0.5, "top_p": 0.9, "top_k": 4}),
        ({"temperature": 0.5, "seed": 3}, {}, {"do_sample": True, "seed": 3}),
        ({"top_p": 0.9, "seed": 3}, {}, {"top_p": None, **GREEDY}),
        ({"num_beams": 2, "bad_words": ["x"]}, {}, {"extra": (("bad_words", ("x",)), ("num_beams", 2))}),
        (None, {"temperature": 0.5, "do_sample": True}, {"temperature": 0.5, "max_tokens": 256}),
    ],
    ids=lambda value: None,
)
def test_settings(
    tmp_path: Path, given: dict[str, Any] | None, overrides: dict[str, Any], expected: dict[str, Any]
) -> None:
    made = settings(tmp_path, given, overrides)
    assert {name: getattr(made, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_gen_toks": "many"}, "generation_kwargs: invalid literal for int"),
        ({"temperature": [1]}, "generation_kwargs: float() argument must be"),
        ({"until": 5}, "generation_kwargs: until: expected a text or a list of texts, found 5"),
    ],
)
def test_mistakes_are_located(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskFileError) as caught:
        settings(tmp_path, given)
    assert caught.value.problem.startswith(message)
    assert caught.value.line is not None


def test_repeats_are_sampled_with_different_seeds(tmp_path: Path) -> None:
    keys = {"output_type": "generate_until", "repeats": 3, "generation_kwargs": {"temperature": 1.0}}
    requests = asked(small_task(tmp_path, keys | {"doc_to_choice": None, "doc_to_target": "answer"}), seed=10)
    assert [r.settings.seed for r in requests] == [10, 11, 12] * 3  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["max_gen_toks", "max_new_tokens", "max_tokens"])
def test_the_users_limit_counts_by_any_of_its_names(tmp_path: Path, name: str) -> None:
    assert settings(tmp_path, {"max_gen_toks": 64}, {name: 8}).max_tokens == 8
