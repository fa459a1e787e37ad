"""A model's tokenizer, as transformers loads it, and what identifies it."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Protocol

import transformers

from pytest_lmeval.backends.checkpoints.source import Source, find
from pytest_lmeval.errors import ModelSpecError


class TokenizerOptions(Protocol):
    """The keys of ``--lm-model`` that choose a tokenizer; they mean the same for every backend."""

    @property
    def tokenizer(self) -> str | None:
        """Another tokenizer than the model's own: a hub id or a folder."""

    @property
    def revision(self) -> str | None:
        """A branch, tag or commit on the hub."""

    @property
    def trust_remote_code(self) -> bool:
        """Whether code that comes with it may run."""

    @property
    def add_bos_token(self) -> bool | None:
        """Whether texts begin with BOS; None leaves it to the tokenizer."""


def load_tokenizer(place: Source, options: TokenizerOptions) -> Any:
    """Load the tokenizer in ``place``, or the one that the options name instead."""
    kwargs: dict[str, Any] = {}
    if options.tokenizer is not None:
        place = find(options.tokenizer, revision=options.revision)
    elif place.gguf_file:
        kwargs["gguf_file"] = place.gguf_file
    if options.add_bos_token is not None:
        kwargs["add_bos_token"] = options.add_bos_token
    common = hub_arguments(place, options.trust_remote_code)
    return transformers.AutoTokenizer.from_pretrained(place.location, **common, **kwargs)


def hub_arguments(source: Source, trust_remote_code: bool) -> dict[str, Any]:
    """What each ``from_pretrained`` must be told. A folder is complete: asking the hub could only cost time-outs."""
    common: dict[str, Any] = {"trust_remote_code": trust_remote_code, "local_files_only": source.local}
    return common if source.revision is None else common | {"revision": source.revision}


def prefix_token(name: str, tokenizer: Any, given: int | None) -> int:
    """The token that stands before a text without context: the ``given`` one, BOS, or EOS. Raises ModelSpecError."""
    for token in (given, tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    raise ModelSpecError(
        f"The tokenizer of {name} has neither a BOS nor an EOS token to start a text with. "
        "Name one by its number: prefix_token_id=…"
    )


def tokenizer_hash(tokenizer: Any) -> str:
    """SHA-256 of what decides how the tokenizer splits text; padding and truncation are ours to set."""
    if backend := getattr(tokenizer, "backend_tokenizer", None):
        facts = json.loads(backend.to_str())
        facts.pop("padding", None)
        facts.pop("truncation", None)
    else:
        facts = tokenizer.get_vocab()
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def template_hash(tokenizer: Any) -> str | None:
    """SHA-256 of the tokenizer's chat templates, None where it has none."""
    templates = tokenizer.chat_template
    return hashlib.sha256(json.dumps(templates, sort_keys=True).encode()).hexdigest() if templates else None
