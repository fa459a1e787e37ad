"""From the options to a running engine, or to one that runs already."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_lmeval.backends.checkpoints.explaining import first_line
from pytest_lmeval.backends.vllm import VLLMOptions
from pytest_lmeval.backends.vllm.pool import ENGINES, Key
from pytest_lmeval.errors import BackendError, LMEvalError, ModelSpecError

if TYPE_CHECKING:
    from pytest_lmeval.backends.vllm.adapters import Adapter
    from pytest_lmeval.backends.vllm.engine import Engine

# Rotary embeddings that are others as soon as the engine may read beyond the original length.
LENGTH_BOUND = ("longrope", "su")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An engine with one more user, its name, and how many tokens the model reads at once."""

    engine: Engine
    key: Key
    max_length: int

    def release(self) -> None:
        """Let go of the engine; its last user stops it."""
        ENGINES.release(self.key)


def run_engine(name: str, options: VLLMOptions, adapter: Adapter | None) -> Running:
    """Start the engine, or take an open one with equal arguments.

    Raises ModelSpecError for what the user can mend, BackendError otherwise.
    """
    with _explained(name):
        settings = _settings(options)
        with _dynamo_kept():
            os.environ.update(settings)
            from vllm import LLM, envs

            from pytest_lmeval.backends.vllm.arguments import engine_arguments
            from pytest_lmeval.backends.vllm.engine import Engine

            # An engine before this one may have made vLLM remember the environment of its own.
            envs.disable_envs_cache()
            arguments = engine_arguments(name, options)
            if adapter is not None:
                _allow(arguments, adapter)
            key = _key(name, options, arguments)
            max_length = _make_room(arguments)
            key = ENGINES.find(key) or key
            engine = ENGINES.get(key)
            if engine is None:
                _choose_process(options)
                engine = Engine(LLM.from_engine_args(arguments))
                ENGINES.add(key, engine)
    return Running(engine=engine, key=key, max_length=max_length)


def _allow(arguments: Any, adapter: Adapter) -> None:
    """Let the engine run the adapter, and adapters like it."""
    arguments.enable_lora = True
    arguments.max_lora_rank = max(arguments.max_lora_rank, adapter.engine_rank)
    if arguments.lora_target_modules is None:
        # vLLM prepares the layer that makes logits for adapters of sampled tokens only, and then gives no or other
        # log-probabilities of a prompt; where no adapter changes it, it is to be left alone.
        arguments.lora_target_modules = list(adapter.modules)


def _key(name: str, options: VLLMOptions, arguments: Any) -> Key:
    """Name the engine by what was asked for; vLLM's arguments hold objects that an engine changes as it starts."""
    engine = {key: value for key, value in options.engine.items() if "lora" not in key}
    lora = {key: value for key, value in vars(arguments).items() if "lora" in key}
    # What is done to texts before and after is the model's, not the engine's.
    alone = replace(
        options, lora=None, engine=engine, chat_template=None, stride=None, prefix_token_id=None, add_bos_token=None
    )
    return Key(repr((name, alone)), repr(sorted(lora.items())) if arguments.enable_lora else None)


def _settings(options: VLLMOptions) -> dict[str, str]:
    """Environment variables that numbers or speed depend on."""
    from vllm.platforms import current_platform

    chosen = {}
    if current_platform.is_cpu() and options.engine.get("enforce_eager", "true").lower() == "true":
        # Else the first log-probability compiles a helper for seconds, which gains nothing.
        chosen["TORCHDYNAMO_DISABLE"] = "1"
    if options.deterministic:
        _check_batch_invariance(current_platform)
        chosen["VLLM_BATCH_INVARIANT"] = "1"
    return chosen


def _choose_process(options: VLLMOptions) -> None:
    """Start the engine in this process or in one of its own."""
    from vllm.platforms import current_platform

    alone = options.in_process
    if alone and ENGINES.in_process:
        raise ModelSpecError(
            "in_process=true: another vLLM engine runs in this process already, and they share what the first one to "
            "stop takes away. Leave in_process out, and this one gets a process of its own."
        )
    if alone is None and (ENGINES.in_process or "VLLM_ENABLE_V1_MULTIPROCESSING" not in os.environ):
        # A process of its own gives a GPU's memory back for certain; on a CPU it costs half a minute.
        alone = current_platform.is_cpu() and not _spreads(options) and not ENGINES.in_process
    if alone is not None:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0" if alone else "1"


def _spreads(options: VLLMOptions) -> bool:
    sizes = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
    return any(options.engine.get(key, "1") != "1" for key in sizes)


def _check_batch_invariance(platform: Any) -> None:
    """As vLLM's documentation of batch invariance lists them: compute capability 8.0 of NVIDIA, some of AMD, XPU."""
    if platform.is_rocm() or platform.is_xpu() or (platform.is_cuda() and platform.has_device_capability(80)):
        return
    raise ModelSpecError(
        "deterministic=true: vLLM has batch-invariant kernels for GPUs (NVIDIA from compute capability 8.0 on, AMD, "
        f"Intel), and this is {platform.device_type}. Leave it out, or use hf:…,deterministic=true."
    )


def _make_room(arguments: Any) -> int:
    """Let the engine take one token more than the model reads: vLLM counts the one that is only predicted.

    Returns how many the model reads.
    """
    given = arguments.max_model_len
    config = arguments.create_model_config()
    length = int(config.max_model_len)
    rope = getattr(config.hf_text_config, "rope_parameters", None) or {}
    if isinstance(rope, dict) and rope.get("rope_type", rope.get("type")) in LENGTH_BOUND and given is not None:
        arguments.max_model_len = length
        return length - 1
    # It is vLLM's own check that is passed by here, after it has passed without the additional token.
    os.environ["VLLM_ALLOW_LONG_MAX_MODEL_LEN"] = "1"
    arguments.max_model_len = length + 1
    return length


@contextmanager
def _dynamo_kept() -> Iterator[None]:
    """Keep torch's compiler as it was configured; it reads its switch from the environment when first imported."""
    before = sys.modules.get("torch._dynamo.config")
    disabled = getattr(before, "disable", os.environ.get("TORCHDYNAMO_DISABLE") == "1")
    try:
        yield
    finally:
        config: Any = sys.modules.get("torch._dynamo.config")
        if config is not None:
            config.disable = disabled


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what vLLM raises into an error for its reader."""
    try:
        yield
    except LMEvalError:
        raise
    except (ValueError, OSError, ImportError, LookupError) as error:
        raise ModelSpecError(f"vLLM cannot load {name}: {_said(error)}") from None
    except Exception as error:  # an engine may raise anything
        raise BackendError(f"The vLLM engine for {name} did not start: {first_line(error)}") from error


def _said(error: Exception) -> str:
    """The first thing that a pydantic error says, or the first line of another."""
    details = getattr(error, "errors", None)
    if callable(details) and (listed := details()):
        return first_line(ValueError(str(listed[0].get("msg", "")).removeprefix("Value error, ")))
    return first_line(error)
