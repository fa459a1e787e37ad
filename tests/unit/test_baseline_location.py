from __future__ import annotations

import random
from pathlib import Path

import pytest

from pytest_lmeval.baselines.location import baseline_key, baseline_path, safe_name


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        ("demo", "demo"),
        ("demo,seed=3", "demo"),
        ("hf:gpt2", "hf-gpt2"),
        ("hf:gpt2,dtype=float16,revision=a/b", "hf-gpt2"),
        ("hf:org/name", "hf-org--name"),
        ("hf:gpt2,dtype=float16,peft=./runs/lora,revision=x", "hf-gpt2-peft-lora"),
        ("hf:gpt2,peft=org/lora", "hf-gpt2-peft-org--lora"),
        ("hf:/models/stories15M", "hf-stories15M"),
        ("hf:/models/stories15M/", "hf-stories15M"),
        ("hf:./stories15M", "hf-stories15M"),
        ("hf:~/m/stories15M", "hf-stories15M"),
        ("hf:shared/models/stories15M", "hf-stories15M"),
        ("hf:C:\\models\\stories15M", "hf-stories15M"),
        ("hf:.", "hf-local"),
        ("hf:../..", "hf-local"),
        ("hf:/", "hf-local"),
        ("openai:gpt 4:o", "openai-gpt_4_o"),
        ("", "unnamed"),
        ("..", "unnamed"),
        (",x", "unnamed"),
        ("hf:модель", "hf-_"),
    ],
)
def test_model_keys(spec: str, key: str) -> None:
    assert baseline_key(spec) == key


def test_the_place_of_a_baseline() -> None:
    assert baseline_path(Path("b/hf-gpt2"), "rivers_north") == Path("b/hf-gpt2/rivers_north.json")
    assert baseline_path(Path("b/m"), "../../etc/passwd") == Path("b/m/--..--etc--passwd.json")


def test_no_name_leaves_its_folder() -> None:
    rng = random.Random(0)
    for _ in range(3000):
        name = "".join(rng.choice("./\\~:,aé\0\n -_") for _ in range(rng.randrange(9)))
        path = baseline_path(Path("/srv/b") / baseline_key(name), name)
        assert path.parent.parent == Path("/srv/b")
        assert all(part not in ("", ".", "..") and not part.startswith(".") for part in path.parts[3:])


def test_long_names_are_cut_and_stay_different() -> None:
    one, two = safe_name("a" * 500), safe_name("a" * 499 + "b")
    assert one != two
    assert max(len(one), len(two)) < 200
