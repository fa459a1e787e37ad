"""From ``key=value`` to the arguments of vLLM's engine, read by vLLM's own parser."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NoReturn

import psutil
from vllm.engine.arg_utils import EngineArgs
from vllm.platforms import current_platform
from vllm.utils.argparse_utils import FlexibleArgumentParser

from pytest_lmeval.backends.vllm import VLLMOptions
from pytest_lmeval.errors import ModelSpecError
from pytest_lmeval.suggestions import nearest

# Set by the name and by keys of our own.
OURS = ("model", "use_tqdm_on_load", "disable_log_stats", "task", "runner", "convert")

# On a CPU vLLM's own choice is 128, and each choice of a question recomputes up to a block of its context; its kernels
# need multiples of 32. Compiling takes a minute and gains 7 % of a generation; with a size for the keys and values no
# trial run is needed.
CPU_BLOCK, CPU_TOKENS = 32, 2048
CPU_MEMORY, CPU_SHARE = 4 * 2**30, 0.25


class _Parser(FlexibleArgumentParser):  # type: ignore[misc]  # vllm is not checked
    def error(self, message: str) -> NoReturn:
        raise ModelSpecError(f"An argument of vLLM's engine cannot be read: {message}")


def engine_arguments(name: str, options: VLLMOptions) -> Any:
    """Return vLLM's ``EngineArgs``. Raises ModelSpecError for a key that is none of them, or a wrong value."""
    parser = _Parser(add_help=False)
    EngineArgs.add_cli_args(parser)
    known = {action.dest: action for action in parser._actions}
    allowed = sorted({field.name for field in fields(EngineArgs)} & set(known) - set(OURS))
    given = {**_defaults(options.engine), **_shared(options), **options.engine}
    for key in options.engine:
        if key not in allowed:
            raise ModelSpecError(
                f"vllm has no key {key!r}.{nearest(key, allowed)} Its keys are those of this backend "
                f"({', '.join(sorted(field.name for field in fields(VLLMOptions) if field.name != 'engine'))}) and "
                f"the arguments of vLLM's engine: {', '.join(allowed)}"
            )
    words = [word for key, value in given.items() for word in _words(known[key], value)]
    arguments = EngineArgs.from_cli_args(parser.parse_args(["--model", name, *words]))
    arguments.use_tqdm_on_load = False
    arguments.disable_log_stats = True
    return arguments


def _shared(options: VLLMOptions) -> dict[str, str]:
    """Keys that are the tokenizer's as well as the engine's."""
    shared = {"tokenizer": options.tokenizer, "revision": options.revision}
    chosen = {key: value for key, value in shared.items() if value is not None}
    return chosen | ({"trust_remote_code": "true"} if options.trust_remote_code else {})


def _defaults(given: Mapping[str, str]) -> dict[str, str]:
    """What is chosen here where the user says nothing, and vLLM's own default does not suit."""
    if not current_platform.is_cpu():
        return {}
    chosen = {"block_size": str(CPU_BLOCK), "enforce_eager": "true", "max_num_batched_tokens": str(CPU_TOKENS)}
    if "gpu_memory_utilization" not in given:
        chosen["kv_cache_memory_bytes"] = str(int(min(CPU_MEMORY, CPU_SHARE * psutil.virtual_memory().available)))
    return chosen


def _words(action: argparse.Action, value: str) -> list[str]:
    """Spell an argument as on vLLM's command line, where booleans are two options without a value."""
    if action.nargs in ("+", "*"):
        return [action.option_strings[0], *value.split()]
    if action.nargs != 0:
        return [f"{action.option_strings[0]}={value}"]
    wanted = value.lower() in ("true", "yes", "1")
    if not wanted and value.lower() not in ("false", "no", "0"):
        raise ModelSpecError(f"{action.dest} expects true or false, found {value!r}")
    off = [word for word in action.option_strings if word.startswith("--no-")]
    on = [word for word in action.option_strings if not word.startswith("--no-")]
    return on[:1] if wanted else off[:1]
