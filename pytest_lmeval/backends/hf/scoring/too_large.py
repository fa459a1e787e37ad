"""What is said of texts that the memory does not hold."""

from __future__ import annotations


def too_large(length: int) -> str:
    """Say that a text of ``length`` tokens does not fit."""
    return f"The device has too little memory for this request alone ({length} tokens)."


def fixed_too_large(tokens: int | None, smallest: int) -> str:
    """Say that batches of ``tokens`` tokens do not fit, and that their size is not ours to change."""
    smaller = max(smallest, (tokens or 0) // 2)
    return (
        f"The device has too little memory for batches of {tokens} tokens. With deterministic=true the numbers depend "
        f"on this size, so it stays as it is: set a smaller one, for example batch_tokens={smaller}."
    )
