"""What a model thinks before it answers, told apart from the answer."""

from __future__ import annotations

from dataclasses import replace

from pytest_lmeval.backends.openai.replies import Reply

_THINK_START = "<think>"


def separate(reply: Reply, think_end: str | None) -> Reply:
    """Move reasoning that stands inside the text, up to the last ``think_end``, out of it.

    White space after the mark goes with it, as with lm-evaluation-harness's ``think_end_token``. Where the token limit
    came before the mark all of the text is reasoning and there is no answer.
    """
    if think_end is None or reply.text is None:
        return reply
    before, mark, after = reply.text.rpartition(think_end)
    if mark:
        return replace(reply, text=after.lstrip(), reasoning=_joined(reply.reasoning, before))
    if reply.cut and not reply.reasoning:
        return replace(reply, text=None, reasoning=_joined(None, reply.text))
    return reply


def unfinished(reply: Reply) -> bool:
    """Whether the token limit was used up by reasoning, so that there is no answer."""
    return reply.cut and not (reply.text or "").strip() and bool(reply.reasoning or reply.reasoning_tokens)


def _joined(apart: str | None, inside: str) -> str | None:
    inside = inside.strip().removeprefix(_THINK_START).strip()
    return "\n".join(part for part in (apart, inside) if part) or None
