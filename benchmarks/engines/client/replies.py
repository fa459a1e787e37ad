"""What the server that computes nothing replies: the shapes of a vLLM server, with scores made of the tokens' numbers.

Only what the clients read is there. An answer is always the same text; a token's log-probability depends on the token
alone, so that a client which took another token's would be found out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

MODEL = "model"
MAX_LENGTH = 2048
# Before any path: the same server with the token-level route.
SCALE_OUT = "/scale-out"
ANSWER = " forty-two, as was to be shown."

Body = Mapping[str, Any]
Encode = Callable[[str], Sequence[int]]


class RefusedError(Exception):
    """The request makes no sense here: status 400, or 404 for another path."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Replies:
    """``encode`` makes tokens of texts as the served model's tokenizer does."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._answer = list(encode(ANSWER))
        self._routes: Mapping[str, Callable[[Body], Body]] = {
            "GET /v1/models": self._models,
            "GET /version": lambda body: {"version": "0.32.0"},
            "GET /health": lambda body: {},
            "POST /v1/completions": self._completions,
            "POST /v1/chat/completions": self._chat,
            "POST /tokenize": self._tokenize,
            f"POST {SCALE_OUT}/inference/v1/generate": self._generate,
        }

    def reply(self, method: str, path: str, body: bytes) -> Body:
        """Return the reply. Raises RefusedError."""
        route = self._routes.get(f"{method} {path}") or self._routes.get(f"{method} {path.removeprefix(SCALE_OUT)}")
        if route is None:
            raise RefusedError(404, f"there is no {method} {path} here")
        given = json.loads(body) if body else {}
        return route(given)

    def _models(self, body: Body) -> Body:
        card = {"id": MODEL, "object": "model", "owned_by": "vllm", "root": MODEL, "max_model_len": MAX_LENGTH}
        return {"object": "list", "data": [card]}

    def _tokenize(self, body: Body) -> Body:
        tokens = list(self._encode(str(body.get("prompt", ""))))
        return {"count": len(tokens), "max_model_len": MAX_LENGTH, "tokens": tokens}

    def _completions(self, body: Body) -> Body:
        prompts = [self._tokens(prompt) for prompt in _prompts(body.get("prompt"))]
        choices = [self._completion(number, tokens, body) for number, tokens in enumerate(prompts)]
        return {**_head("text_completion"), "choices": choices, "usage": self._usage(sum(map(len, prompts)), body)}

    def _completion(self, number: int, tokens: Sequence[int], body: Body) -> Body:
        written = self._written(body)
        choice: dict[str, Any] = {"index": number, "text": ANSWER, "finish_reason": "stop", "logprobs": None}
        if body.get("return_token_ids"):
            choice |= {"token_ids": written, "prompt_token_ids": list(tokens)}
        if body.get("prompt_logprobs") is not None:
            choice["prompt_logprobs"] = [None, *({str(token): _entry(token)} for token in tokens[1:])]
        if body.get("logprobs") is not None:
            asked = [*body.get("logprob_token_ids", ()), written[0]]
            scored = [*(tokens if body.get("echo") else ()), written[0]]
            choice["logprobs"] = {
                "tokens": [f"token_id:{token}" for token in scored],
                "token_logprobs": [None if body.get("echo") and not n else score(t) for n, t in enumerate(scored)],
                "top_logprobs": [
                    *({f"token_id:{token}": score(token)} for token in scored[:-1]),
                    {f"token_id:{token}": score(token) for token in asked},
                ],
                "text_offset": [0] * len(scored),
            }
        return choice

    def _chat(self, body: Body) -> Body:
        if not body.get("messages"):
            raise RefusedError(400, "messages are missing")
        message = {"role": "assistant", "content": ANSWER}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        read = sum(len(str(turn.get("content"))) for turn in body["messages"]) // 4
        return {**_head("chat.completion"), "choices": [choice], "usage": self._usage(read, body)}

    def _generate(self, body: Body) -> Body:
        tokens, settings = body["token_ids"], body.get("sampling_params", {})
        choice: dict[str, Any] = {"index": 0, "token_ids": self._answer[:1], "finish_reason": "length"}
        if settings.get("logprobs") is not None:
            asked = [*(settings.get("logprob_token_ids") or ()), self._answer[0]]
            top = [{"token_id": token, "logprob": score(token)} for token in asked]
            choice["logprobs"] = {"content": [{**top[-1], "top_logprobs": top}]}
        prompt = None
        if settings.get("prompt_logprobs") is not None:
            prompt = [None, *({str(token): _entry(token)} for token in tokens[1:])]
        return {
            "request_id": "0",
            "choices": [choice],
            "prompt_logprobs": prompt,
            "usage": {**self._usage(len(tokens), {"max_tokens": 1}), "prompt_tokens_details": {"cached_tokens": 0}},
        }

    def _tokens(self, prompt: str | Sequence[int]) -> Sequence[int]:
        return self._encode(prompt) if isinstance(prompt, str) else prompt

    def _written(self, body: Body) -> list[int]:
        return self._answer[: max(1, int(body.get("max_tokens") or len(self._answer)))]

    def _usage(self, read: int, body: Body) -> Body:
        written = len(self._written(body))
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def score(token: int) -> float:
    """A log-probability that is the token's own, in nats."""
    return -1.0 - token % 977 / 100


def _entry(token: int) -> Body:
    return {"logprob": score(token), "rank": 2, "decoded_token": None}


def _prompts(prompt: Any) -> Sequence[str | Sequence[int]]:
    """One prompt or several, texts or tokens, as the completions endpoint takes them."""
    if isinstance(prompt, str):
        return [prompt]
    if not isinstance(prompt, list) or not prompt:
        raise RefusedError(400, "the prompt is missing")
    return [prompt] if isinstance(prompt[0], int) else prompt


def _head(kind: str) -> Body:
    return {"id": "0", "object": kind, "created": 0, "model": MODEL}
