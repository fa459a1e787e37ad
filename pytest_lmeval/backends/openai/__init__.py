"""Language models on a server with an OpenAI-compatible interface. Importing this file imports no client."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_lmeval.backends.protocol import Backend, BackendPlugin

INSTALL = "pip install 'pytest-lmeval[openai]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIOptions:
    """The keys of ``--lm-model=openai:NAME,key=value``.

    ``base_url`` is the server's address up to its version, as in http://localhost:8000/v1; by default that of the
    environment variable ``OPENAI_BASE_URL``, else OpenAI's. The key comes from the environment variable
    ``api_key_env``; a server on this machine or in a private network needs none. ``endpoint`` is ``completions``,
    ``chat``, or ``auto`` for what the server offers. ``tokenizer`` is the served model's, a hub id or a folder, where
    it is not found by the model's name; ``max_length`` are the tokens that the model reads, where the server does not
    say.
    ``revision``, ``trust_remote_code``, ``add_bos_token``, ``prefix_token_id``, ``chat_template`` and ``stride`` mean
    what they mean for ``hf``.

    At most ``max_connections`` calls are under way, fewer while the server has too much to do, and at most
    ``requests_per_minute`` begin in a minute, with ``tokens_per_minute`` read and written. A call has ``timeout``
    seconds and is tried ``max_retries`` times more where that may help.
    """

    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    endpoint: str = "auto"
    tokenizer: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    add_bos_token: bool | None = None
    prefix_token_id: int | None = None
    chat_template: str | None = None
    max_length: int | None = None
    stride: int | None = None
    max_connections: int = 64
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    timeout: float = 600.0
    max_retries: int = 5


def _open(name: str, options: OpenAIOptions) -> Backend:
    from pytest_lmeval.backends.openai.opening import open_model

    return open_model(name, options)


plugin = BackendPlugin(
    summary="a language model on a server with an OpenAI-compatible interface: the name that the server calls it by",
    options=OpenAIOptions,
    open=_open,
    requires=("openai", "transformers"),
    install=INSTALL,
)
