"""Language models on a vLLM engine in this process. Importing this file imports neither torch nor vllm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_lmeval.backends.protocol import Backend, BackendPlugin

INSTALL = "pip install 'pytest-lmeval[vllm]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class VLLMOptions:
    """The keys of ``--lm-model=vllm:NAME,key=value`` that are not the engine's alone.

    ``lora`` is an adapter on top of the model. ``deterministic`` runs the engine's batch-invariant kernels.
    ``in_process`` keeps the engine out of processes of its own; by default it does so on a CPU, where it starts many
    times faster. The others mean what they mean for ``hf``. ``engine`` takes every other key: an argument of vLLM's
    engine by its own name.
    """

    tokenizer: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    add_bos_token: bool | None = None
    prefix_token_id: int | None = None
    chat_template: str | None = None
    stride: int | None = None
    lora: str | None = None
    deterministic: bool = False
    in_process: bool | None = None
    engine: Mapping[str, str] = field(default_factory=dict)


def _open(name: str, options: VLLMOptions) -> Backend:
    from pytest_lmeval.backends.vllm.pool import ENGINES

    # Also around the imports: some packages draw random numbers or set variables then.
    with ENGINES.starting():
        from pytest_lmeval.backends.vllm.backend import open_model

        return open_model(name, options)


plugin = BackendPlugin(
    summary="a language model on a vLLM engine in this process: a hub id or a folder",
    options=VLLMOptions,
    open=_open,
    requires=("vllm", "transformers"),
    install=INSTALL,
    further="engine",
)
