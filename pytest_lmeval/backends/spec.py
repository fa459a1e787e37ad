"""``--lm-model=BACKEND:NAME,key=value`` taken apart. Apart from the registry: every pytest run imports this."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_lmeval.errors import ModelSpecError

_ARGUMENTS = re.compile(r",(?=[A-Za-z_][A-Za-z0-9_]*=)")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A parsed ``BACKEND:NAME[,key=value…]``; ``text`` is what the user wrote, ``option`` where."""

    text: str
    backend: str
    name: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    option: str = field(default="--lm-model", compare=False)

    @classmethod
    def parse(cls, text: str, option: str = "--lm-model") -> ModelSpec:
        """Split the parts. Raises ModelSpecError where one is malformed."""
        head, *pairs = _ARGUMENTS.split(text.strip())
        backend, _, name = head.partition(":")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", backend):
            raise ModelSpecError(f"{option}={text}: expected BACKEND:NAME, for example hf:gpt2")
        arguments: dict[str, str] = {}
        for key, _, value in (pair.partition("=") for pair in pairs):
            if key in arguments:
                raise ModelSpecError(f"{option}={text}: {key} is given twice")
            arguments[key] = value
        if "," in name:
            stray = name.split(",", 1)[1]
            raise ModelSpecError(f"{option}={text}: expected key=value after the comma, found {stray!r}")
        return cls(text.strip(), backend, name, arguments, option)

    def __str__(self) -> str:
        return self.text
