"""What a server's reply says. Servers differ and may say anything: each field is checked before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_lmeval.backends.openai.accounting import count
from pytest_lmeval.backends.openai.connection import CallFailed

# Characters that one token may stand for: long runs of blanks are among the longest. A server that writes more than
# its limit allows keeps to no limit.
CHARACTERS_PER_TOKEN = 256

# How much of what was found is shown.
_SHOWN = 200

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer as the server gave it.

    ``text`` is None where the message has none but reasoning, or was cut before it. ``cut`` is whether the token limit
    ended it, ``stop`` the stop string that did, and ``token_ids`` are what was written, from servers that tell. Of the
    token counts 0 also stands for one that the server does not give.
    """

    text: str | None
    reasoning: str | None = None
    cut: bool = False
    stop: str | None = None
    token_ids: tuple[int, ...] | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Tokens read and written."""
        return self.prompt_tokens + self.completion_tokens


def read(reply: Object) -> Reply:
    """Read a reply of either endpoint. Raises CallFailed where it is no answer: refused, filtered, or not there."""
    choice = first_choice(reply)
    finish = choice.get("finish_reason")
    if finish == "content_filter":
        raise CallFailed("The provider's content filter stopped the answer.", kind="filtered")
    in_chat = "message" in choice
    source = mapping(choice["message"]) if in_chat else choice
    _check_refusal(source)
    text = _content(source.get("content")) if in_chat else _string(source.get("text"))
    reasoning = _string(source.get("reasoning_content")) or _string(source.get("reasoning"))
    if text is None and not reasoning and (finish != "length" or not source):
        raise CallFailed(f"The reply has no text{_instead(source, finish)}.")
    return Reply(
        text=text,
        reasoning=reasoning or None,
        cut=finish == "length",
        stop=_string(choice.get("stop_reason")),
        token_ids=_ids(choice.get("token_ids")),
        **token_counts(reply),
    )


def first_choice(reply: Object) -> Object:
    """Return the first of the reply's choices. Raises CallFailed where there is none."""
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise CallFailed(f"The reply has no choices; found {shown(choices if 'choices' in reply else dict(reply))}.")
    return choices[0]


def token_counts(reply: Object) -> dict[str, int]:
    """Return the counts by their names in :class:`Reply`."""
    return {
        "prompt_tokens": count(reply, "usage", "prompt_tokens"),
        "completion_tokens": count(reply, "usage", "completion_tokens"),
        "reasoning_tokens": count(reply, "usage", "completion_tokens_details", "reasoning_tokens"),
    }


def mapping(value: object) -> Object:
    """Return ``value`` where it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def shown(value: object) -> str:
    """Show what was found, shortened."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _check_refusal(message: Object) -> None:
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        raise CallFailed(f"The model refused: {shown(refusal)}", kind="refused")


def _content(content: object) -> str | None:
    """Return a message's text, which some servers give in parts."""
    if not isinstance(content, list):
        return _string(content)
    parts = [_string(part.get("text")) for part in content if isinstance(part, Mapping)]
    texts = [part for part in parts if part is not None]
    return "".join(texts) if texts else None


def _instead(message: Object, finish: object) -> str:
    if message.get("tool_calls"):
        return ": the model called a tool"
    found = message.get("content", message.get("text"))
    return f"; its content is {shown(found)} and its finish_reason {shown(finish)}"


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _ids(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, list) or not all(type(item) is int and item >= 0 for item in value):
        return None
    return tuple(value)
