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

    ``reasoning`` is for models that reason before they answer: they get no stop strings, temperature or seed, and
    ``max_completion_tokens``; ``reasoning_effort`` is passed on, and ``reasoning_tokens`` are the tokens for it besides
    an answer's limit. ``think_end`` is the mark that ends reasoning where it stands inside the text, as ``</think>``.
    An answer that is cut inside its reasoning is a failure, or with ``unfinished=empty`` an empty answer. ``prefill``
    says that the server goes on with a last message of the assistant.

    ``choices=letters`` lets a model that gives no log-probabilities of texts choose by the probabilities of letters for
    the options, ``choices=constrained`` by an answer that the server holds to them; with ``rotate`` it is asked once
    for each rotation of the options. Both are other metrics than a log-likelihood. ``input_price``, ``output_price``
    and ``cached_price`` (by default that of the input) are per million tokens and give a run's cost.

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
    reasoning: bool = False
    reasoning_effort: str | None = None
    reasoning_tokens: int = 0
    think_end: str | None = None
    unfinished: str = "error"
    prefill: bool = False
    choices: str = "off"
    rotate: bool = False
    input_price: float | None = None
    output_price: float | None = None
    cached_price: float | None = None
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
