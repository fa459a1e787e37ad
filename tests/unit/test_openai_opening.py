from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("openai")

from pytest_lmeval.backends.openai import OpenAIOptions
from pytest_lmeval.backends.openai.opening import check, is_near, link, open_model
from pytest_lmeval.errors import BackendError, ModelSpecError
from tests.unit.answering import Reply, answering

MODELS = Reply({"data": [{"id": "gold"}, {"id": "silver", "max_model_len": 100}]})


def options(**values: Any) -> OpenAIOptions:
    return OpenAIOptions(**{"max_retries": 0, **values})


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("192.168.0.9", True),
        ("gpu-box", True),
        ("gpu.local", True),
        ("api.openai.com", False),
        ("8.8.8.8", False),
    ],
)
def test_hosts_that_need_no_key(host: str, near: bool) -> None:
    assert is_near(host) is near


def test_a_server_elsewhere_wants_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelSpecError, match=r"OPENAI_API_KEY.*api_key_env"):
        link(options(base_url="https://api.example.com/v1"))
    monkeypatch.setenv("MY_KEY", "sk-1")
    made = link(options(base_url="https://api.example.com/v1", api_key_env="MY_KEY"))
    assert made.key == "sk-1"
    assert "sk-1" not in repr(made)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/v1", "http:///v1", "http://user:word@host/v1"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ModelSpecError, match="base_url") as caught:
        link(options(base_url=url))
    assert "user:word" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [{"endpoint": "both"}, {"max_connections": 0}, {"timeout": 0.0}, {"max_retries": -1}, {"requests_per_minute": 0}],
)
def test_values_that_cannot_be_used(values: dict[str, Any]) -> None:
    [key] = values
    with pytest.raises(ModelSpecError, match=key):
        check(options(**values))


def test_a_model_is_found_with_what_the_server_says_of_it() -> None:
    with answering(lambda *_: MODELS) as server:
        backend = open_model("silver", options(base_url=server.base_url))
        backend.close()
    assert backend.info.name == "silver"
    assert [path for path, _ in server.asked] == ["/v1/models"]


def test_a_wrong_name_is_told_what_there_is() -> None:
    def answer(path: str, _body: Any) -> Reply:
        return MODELS if path == "/v1/models" else Reply(status=404)

    with answering(answer) as server, pytest.raises(ModelSpecError, match=r"'silber'.*'silver'.*'gold'"):
        open_model("silber", options(base_url=server.base_url))


def test_a_model_need_not_be_listed() -> None:
    def answer(path: str, body: Any) -> Reply:
        return MODELS if path == "/v1/models" else Reply() if body["model"] == "copper" else Reply(status=404)

    with answering(answer) as server:
        open_model("copper", options(base_url=server.base_url)).close()


def test_an_address_without_its_version() -> None:
    def answer(path: str, _body: Any) -> Reply:
        return MODELS if path == "/v1/models" else Reply(status=404)

    with answering(answer) as server:
        base_url = server.base_url.removesuffix("/v1")
        with pytest.raises(ModelSpecError, match=f"{base_url}/v1 has"):
            open_model("gold", options(base_url=base_url))


def test_a_wrong_key() -> None:
    with answering(lambda *_: Reply(status=401)) as server, pytest.raises(ModelSpecError, match="OPENAI_API_KEY"):
        open_model("gold", options(base_url=server.base_url))


def test_a_server_that_fails() -> None:
    with answering(lambda *_: Reply(status=500)) as server, pytest.raises(BackendError, match=r"/v1/models.*500"):
        open_model("gold", options(base_url=server.base_url))
