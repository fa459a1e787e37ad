"""``generation_kwargs`` of a task file as :class:`GenerationSettings`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_lmeval.backends.protocol import GenerationSettings
from pytest_lmeval.tasks.spec import TaskSpec

# In the reference's order of precedence.
_LENGTH_KEYS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_DEFAULT_MAX_TOKENS = 256
_OWN_KEYS = ("until", "do_sample", "temperature", "top_p", "top_k", "seed")


def effective_kwargs(spec: TaskSpec, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task's ``generation_kwargs`` with defaults filled and ``overrides`` replacing single keys."""
    if spec.generation_kwargs is None:
        given: dict[str, Any] = {"temperature": 0.0, "do_sample": False, "max_gen_toks": _DEFAULT_MAX_TOKENS}
    else:
        given = dict(spec.generation_kwargs)
    given.setdefault("until", [spec.fewshot_delimiter])
    if any(key in overrides for key in _LENGTH_KEYS):
        # Whichever of its names the user gives the limit, it is theirs that counts.
        given = {key: value for key, value in given.items() if key not in _LENGTH_KEYS}
    return {**given, **overrides}


def generation_settings(spec: TaskSpec, kwargs: Mapping[str, Any], seed: int) -> GenerationSettings:
    """Read ``kwargs``. Raises TaskFileError where a value has the wrong type."""
    try:
        return settings_of(kwargs, seed)
    except (TypeError, ValueError) as error:
        raise spec.document.error(f"generation_kwargs: {error}", "generation_kwargs") from None


def settings_of(kwargs: Mapping[str, Any], seed: int) -> GenerationSettings:
    """Read ``kwargs``. Raises TypeError or ValueError where a value has the wrong type."""
    until = kwargs.get("until") or []
    if not isinstance(until, str | list | tuple):
        raise TypeError(f"until: expected a text or a list of texts, found {until!r}")
    stops = [until] if isinstance(until, str) else list(until)
    lengths = [kwargs[key] for key in _LENGTH_KEYS if kwargs.get(key) is not None]
    temperature = float(kwargs.get("temperature") or 0.0)
    max_tokens = int(lengths[0]) if lengths else _DEFAULT_MAX_TOKENS
    do_sample = kwargs.get("do_sample")
    if do_sample and kwargs.get("temperature") is None:
        temperature = 1.0
    # Sampling at temperature zero is greedy decoding, whatever do_sample says.
    sampled = temperature > 0 and do_sample is not False
    extra = {k: _hashable(v) for k, v in kwargs.items() if k not in (*_LENGTH_KEYS, *_OWN_KEYS)}
    return GenerationSettings(
        until=tuple(str(stop) for stop in stops),
        max_tokens=max_tokens,
        do_sample=sampled,
        temperature=temperature if sampled else 0.0,
        top_p=kwargs.get("top_p") if sampled else None,
        top_k=kwargs.get("top_k") if sampled else None,
        seed=kwargs.get("seed", seed) if sampled else None,
        extra=tuple(sorted(extra.items())),
    )


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
