"""The README says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_every_option_and_no_other(pytester: pytest.Pytester) -> None:
    help_text = pytester.runpytest("--help").stdout.str()
    assert set(re.findall(r"--lm-[a-z-]+", README)) == set(re.findall(r"(?<=\s)--lm-[a-z-]+(?==|\s)", help_text))


def test_the_readme_lists_every_key_of_a_backend() -> None:
    from pytest_lmeval.backends.demo import DemoOptions
    from pytest_lmeval.backends.hf import HFOptions

    for options in (HFOptions, DemoOptions):
        row = " ".join(f"`{key}`" for key in options.__dataclass_fields__)
        assert sorted(re.findall(r"`\w+`", row)) == sorted(
            re.findall(r"`\w+`", _keys_column("hf" if options is HFOptions else "demo"))
        )


def _keys_column(backend: str) -> str:
    (row,) = re.findall(rf"^\| `{backend}` \|.*$", README, flags=re.MULTILINE)
    return str(row).split("|")[3]
