"""Language models through transformers. Importing this file imports neither torch nor transformers."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_lmeval.backends.protocol import Backend, BackendPlugin
from pytest_lmeval.errors import BackendError

INSTALL = "pip install 'pytest-lmeval[hf]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class HFOptions:
    """The keys of ``--lm-model=hf:NAME,key=value``.

    ``batch_tokens`` is how many tokens a batch may hold, padding and tokens to be generated included; by default
    it depends on the device. ``batch_size`` caps a batch's rows as well. ``deterministic`` makes each answer depend on
    its request alone, bit for bit, and takes longer. ``add_bos_token`` and
    ``prefix_token_id`` override what the tokenizer says, and ``chat_template`` names another template for
    ``--lm-chat-template``: one of the tokenizer's, or a Jinja file. ``peft`` is an adapter on top of the model.
    ``stride`` is how many tokens each window of a rolling log-likelihood predicts after the first. Log-probabilities
    are taken in float32 whatever ``dtype`` is, so there is no option for that.
    """

    dtype: str = "auto"
    device: str = "auto"
    device_map: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    tokenizer: str | None = None
    max_length: int | None = None
    batch_tokens: int | None = None
    batch_size: int | None = None
    add_bos_token: bool | None = None
    prefix_token_id: int | None = None
    attn_implementation: str | None = None
    gguf_file: str | None = None
    chat_template: str | None = None
    peft: str | None = None
    stride: int | None = None
    deterministic: bool = False


def _open(name: str, options: HFOptions) -> Backend:
    from pytest_lmeval.backends.checkpoints.explaining import first_line
    from pytest_lmeval.backends.hf.backend import HFBackend
    from pytest_lmeval.backends.hf.model import load

    loaded = load(name, options)
    try:
        return HFBackend(loaded, options)
    except RuntimeError as error:  # it is tried on a few tokens, which packed weights may have no kernel for
        raise BackendError(f"The model {name} is loaded and does not run here: {first_line(error)}") from error


plugin = BackendPlugin(
    summary="a language model through transformers: a hub id, a folder or a .gguf file",
    options=HFOptions,
    open=_open,
    requires=("torch", "transformers"),
    install=INSTALL,
)
