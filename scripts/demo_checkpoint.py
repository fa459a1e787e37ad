"""Write the demo model in a form that every engine reads: ``python scripts/demo_checkpoint.py OUT``.

It comes as a compressed ``.gguf`` file. OUT becomes a folder of 540 MB in the layout of transformers: float32 weights,
configuration, tokenizer and chat template.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from pytest_lmeval.backends.demo import checkpoint
from pytest_lmeval.errors import UserError


def write(out: Path) -> None:
    """Write the checkpoint to ``out``, unless it is there. Raises ModelSpecError where the demo model is not installed.

    Several processes may do this at once: the first that is ready wins.
    """
    if (out / "config.json").is_file():
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when complete: a run that was interrupted leaves nothing that looks finished.
    unfinished = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        _save(checkpoint(), unfinished)
        unfinished.rename(out)
    except OSError:
        if not (out / "config.json").is_file():
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _save(gguf: Path, folder: Path) -> None:
    import transformers

    from pytest_lmeval.backends.checkpoints.quiet import quiet
    from pytest_lmeval.backends.hf import HFOptions
    from pytest_lmeval.backends.hf.model import load

    loaded = load(str(gguf), HFOptions(dtype="float32", device="cpu"))
    # A model that was read from a .gguf file remembers that; one made from its configuration does not.
    plain = transformers.AutoModelForCausalLM.from_config(loaded.model.config, dtype=loaded.model.dtype)
    plain.load_state_dict(loaded.model.state_dict())
    with quiet():
        plain.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/demo_checkpoint.py OUT")
    try:
        write(Path(sys.argv[1]))
    except UserError as error:
        sys.exit(f"demo checkpoint: {error}")
    print(f"the demo model as a float32 checkpoint -> {sys.argv[1]}")
