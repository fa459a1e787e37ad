"""What writes and chooses on a real server, and what it needs of the model's tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_lmeval.backends.openai import OpenAIOptions
from pytest_lmeval.backends.openai.asking import Local
from pytest_lmeval.backends.openai.connection import Connection, Link
from pytest_lmeval.backends.openai.writing import Writing, open_writing
from pytest_lmeval.backends.text.chat import ChatTemplate
from pytest_lmeval.backends.text.encoding import Encoder
from pytest_lmeval.backends.text.endings import Endings

from .servers import Server


@dataclass(frozen=True)
class Tokenizing:
    tokenizer: Any
    max_length: int
    prefix_token_id: int


def local_parts(checkpoint: Path, max_length: int) -> Local:
    """Return the tokenizer's parts, as for a local model."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    return Local(
        encoder=Encoder(Tokenizing(tokenizer, max_length, tokenizer.eos_token_id)),
        endings=Endings(tokenizer),
        template=ChatTemplate(tokenizer, checkpoint.name),
    )


@contextmanager
def connection_to(server: Server) -> Iterator[Connection]:
    connection = Connection(Link(base_url=server.base_url, key="none"))
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def writing_on(
    server: Server, endpoint: str = "auto", *, local: Local | None = None, vllm: bool = True, **options: Any
) -> Iterator[Writing]:
    """Learn what the server takes and write on it."""
    chosen = OpenAIOptions(endpoint=endpoint, **options)
    with connection_to(server) as connection:
        yield open_writing(connection, server.model, chosen, vllm=vllm, local=local)
