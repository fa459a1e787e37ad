"""From the keys of ``--lm-model`` to a connection and a model that is there."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit

from pytest_lmeval.backends.openai import OpenAIOptions
from pytest_lmeval.backends.openai.backend import OpenAIBackend
from pytest_lmeval.backends.openai.connection import Connection, Link
from pytest_lmeval.backends.openai.serving import find_served
from pytest_lmeval.backends.openai.writing import check as check_writing
from pytest_lmeval.errors import ModelSpecError

DEFAULT_URL = "https://api.openai.com/v1"

ENDPOINTS = ("auto", "completions", "chat")

# Servers that check no key get this one; the client sends none without.
_NO_KEY = "no-key-needed"


def open_model(name: str, options: OpenAIOptions) -> OpenAIBackend:
    """Connect to the server and find the model there. Raises ModelSpecError or BackendError."""
    check(options)
    connection = Connection(link(options))
    try:
        return OpenAIBackend(connection, find_served(connection, name), options)
    except BaseException:
        connection.close()
        raise


def check(options: OpenAIOptions) -> None:
    """Raise ModelSpecError for values that cannot be used."""
    if options.endpoint not in ENDPOINTS:
        raise ModelSpecError(f"endpoint={options.endpoint} is not known. Use one of {', '.join(ENDPOINTS)}.")
    for key in ("max_length", "stride", "max_connections", "requests_per_minute", "tokens_per_minute"):
        value = getattr(options, key)
        if value is not None and value < 1:
            raise ModelSpecError(f"{key}={value} cannot be used. Give a whole number of 1 or more.")
    if not options.timeout > 0:
        raise ModelSpecError(f"timeout={options.timeout} cannot be used. Give seconds, more than 0.")
    check_writing(options)
    if options.max_retries < 0:
        raise ModelSpecError(f"max_retries={options.max_retries} cannot be used. Give a whole number of 0 or more.")


def link(options: OpenAIOptions) -> Link:
    """Return where the server is and what opens it. Raises ModelSpecError."""
    base_url = options.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ModelSpecError(f"base_url={base_url} is no address. Give one as http://localhost:8000/v1.")
    if parts.username is not None or parts.password is not None:
        raise ModelSpecError("base_url holds a name or a password, which reports would show. Leave it out.")
    return Link(
        base_url=base_url,
        key=_key(options.api_key_env, parts.hostname),
        key_name=options.api_key_env,
        timeout=options.timeout,
        max_retries=options.max_retries,
        max_connections=options.max_connections,
        requests_per_minute=options.requests_per_minute,
        tokens_per_minute=options.tokens_per_minute,
    )


def _key(variable: str, host: str) -> str:
    if key := os.environ.get(variable, "").strip():
        return key
    if is_near(host):
        return _NO_KEY
    raise ModelSpecError(
        f"The environment variable {variable} is not set, and {host} will want a key. Set it, or name the variable "
        "that holds the key: api_key_env=NAME"
    )


def is_near(host: str) -> bool:
    """Whether a host is this machine or in a private network."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # Names without a dot, and those that are reserved for such networks.
        return "." not in host or host.endswith((".local", ".localhost", ".internal", ".lan"))
    return address.is_loopback or address.is_private or address.is_link_local
