from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import transformers

pytest.importorskip("openai")

from pytest_lmeval.backends.openai import OpenAIOptions
from pytest_lmeval.backends.openai.connection import Connection
from pytest_lmeval.backends.openai.serving import Served
from pytest_lmeval.backends.openai.tokenizing import SENTENCE, RemoteTokenizer, Texts, Tokenizing, find_tokenizer
from pytest_lmeval.backends.text.encoding import Encoder, Span, TokenizedModel
from pytest_lmeval.errors import BackendError, ModelSpecError
from tests.unit.answering import Reply, connected

NOTHING = Reply(status=404)
BOS = 1


def bytewise(path: str, body: Any) -> Reply:
    """A server whose tokens are bytes, after a BOS."""
    if path == "/tokenize":
        start = [BOS] if body["add_special_tokens"] else []
        return Reply({"tokens": start + [2 + byte for byte in body["prompt"].encode()], "max_model_len": 77})
    if path == "/detokenize":
        return Reply({"prompt": "".join("<s>" if t == BOS else chr(t - 2) for t in body["tokens"])})
    return NOTHING


@pytest.fixture
def folder(shared_dir: Path) -> str:
    return str(shared_dir / "models" / "stories260K")


def found(connection: Connection, *, root: str | None = None, **options: Any) -> Tokenizing:
    return find_tokenizer(connection, Served(name="served-model", root=root), OpenAIOptions(**options))


def test_a_folder_that_the_server_names_has_the_tokenizer(folder: str) -> None:
    with connected(lambda *_: NOTHING) as (connection, _):
        tokenizing = found(connection, root=folder)
    assert (tokenizing.origin, tokenizing.remote) == (folder, False)


def test_the_users_tokenizer_comes_first(folder: str) -> None:
    with connected(lambda *_: NOTHING) as (connection, _):
        assert found(connection, root="elsewhere/model", tokenizer=folder).origin == folder


def test_another_tokenizer_than_the_servers_is_refused(folder: str) -> None:
    with connected(bytewise) as (connection, _), pytest.raises(ModelSpecError, match="not that of the served model"):
        found(connection, tokenizer=folder)


def test_the_same_tokenizer_is_taken_with_the_servers_length(folder: str) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def answer(path: str, body: Any) -> Reply:
        tokens = tokenizer(body["prompt"], add_special_tokens=False)["input_ids"]
        return Reply({"tokens": tokens, "max_model_len": 99}) if path == "/tokenize" else NOTHING

    with connected(answer) as (connection, _):
        assert found(connection, root=folder).max_length == 99


def test_without_a_tokenizer_one_is_asked_for() -> None:
    with connected(lambda *_: NOTHING) as (connection, _), pytest.raises(ModelSpecError, match="tokenizer=NAME"):
        found(connection, root="no/such-model")


def test_the_servers_tokenizer_stands_in() -> None:
    with connected(bytewise) as (connection, _):
        tokenizing = found(connection)
        assert (tokenizing.remote, tokenizing.max_length) == (True, 77)
        tokenizer = tokenizing.tokenizer
        assert (tokenizer.bos_token_id, tokenizer.bos_token) == (BOS, "<s>")
        encoder = Encoder(TokenizedModel(tokenizer=tokenizer, max_length=77, prefix_token_id=BOS))
        assert encoder.pairs([("ab", " c"), ("", "d")]) == [
            Span((BOS, 99, 100, 34), (34, 101)),
            Span((BOS,), (102,)),
        ]


def test_a_server_that_stops_tokenizing_is_a_failure_of_the_backend() -> None:
    with connected(lambda *_: NOTHING, max_retries=0) as (connection, _):
        tokenizer = RemoteTokenizer(connection, "m")
        assert tokenizer.try_out() is None
        with pytest.raises(BackendError, match="404"):
            tokenizer(["a"])


@pytest.mark.parametrize("tokens", [None, "abc", [1, None], [-1], [1.5]])
def test_what_are_no_tokens(tokens: object) -> None:
    with connected(lambda *_: Reply({"tokens": tokens})) as (connection, _):
        assert RemoteTokenizer(connection, "m").try_out() is None


def test_tokens_are_said_as_text_where_that_has_the_same_tokens(folder: str) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = Texts(tokenizer)
    tokens = tuple(tokenizer([SENTENCE])["input_ids"][0])
    text = texts.text(tokens)
    assert text is not None
    assert tuple(tokenizer([text])["input_ids"][0]) == tokens
    assert texts.text(tokens[3:]) is None  # without the BOS that a text has before it
