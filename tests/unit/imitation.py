"""A server with the interface of vLLM's and a made-up model, whose cache holds blocks of a few tokens.

As vLLM's, it has no log-probabilities of prompt tokens that came from the cache: it sends ``garbage`` in their place,
or leaves them out. What it can do may be taken away, as from servers that ignore what they do not know.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_lmeval.backends.text.encoding import Span
from pytest_lmeval.backends.text.scores import Score
from tests.unit.answering import Reply

VOCABULARY = 40
BLOCK = 4

# As seen on a real server.
GARBAGE = {"244224": {"logprob": 1812029505536.0, "rank": 1852797043}}

Row = dict[str, Any]


def logprobs(before: Sequence[int]) -> list[float]:
    """Of each token after those; made up, and the same each time."""
    rng = random.Random(str(tuple(before)))
    logits = [rng.gauss(0, 2) for _ in range(VOCABULARY)]
    total = math.log(sum(map(math.exp, logits)))
    return [logit - total for logit in logits]


def expected(span: Span) -> Score:
    """The score that the model gives a span."""
    total, greedy = 0.0, True
    for place, target in enumerate(span.targets):
        row = logprobs(span.inputs[: len(span.inputs) - len(span.targets) + 1 + place])
        total += row[target]
        greedy &= row[target] == max(row)
    return Score(total, greedy)


def best(before: Sequence[int]) -> int:
    row = logprobs(before)
    return row.index(max(row))


@dataclass
class Imitation:
    token_level: bool = True
    cached_counts: bool = True
    by_id: bool = True
    prompt_logprobs: bool = True
    echo: bool = True
    ids: bool = True
    leaves_out: bool = False
    garbage: Row | None = field(default_factory=lambda: dict(GARBAGE))
    forbidden: int | None = None
    blocks: set[tuple[int, ...]] = field(default_factory=set)
    computed: int = 0

    def __call__(self, path: str, body: Any) -> Reply:
        if path == "/inference/v1/generate":
            return self._generate(body) if self.token_level else Reply(status=404)
        return self._completions(body)

    def _generate(self, body: Mapping[str, Any]) -> Reply:
        asked, tokens = body["sampling_params"], body["token_ids"]
        if self.forbidden in tokens:
            return Reply({"error": {"message": "no such token"}}, status=400)
        cached = 0 if asked.get("skip_reading_prefix_cache") else self._cached(tokens)
        self._keep(tokens)
        self.computed += len(tokens) - cached
        rows = None
        if "prompt_logprobs" in asked:
            rows = self._rows(tokens, cached)
        written, row = best(tokens), logprobs(tokens)
        ids = dict.fromkeys([written, *asked["logprob_token_ids"]])
        # The written token takes one of the places that were asked for.
        top = [{"token_id": token, "logprob": row[token]} for token in ids][: asked["logprobs"]]
        details = {"prompt_tokens_details": {"cached_tokens": cached}} if self.cached_counts else {}
        content = [{"token_id": written, "logprob": row[written], "top_logprobs": top}]
        return Reply({
            "choices": [{"index": 0, "token_ids": [written], "logprobs": {"content": content}}],
            "prompt_logprobs": rows,
            "usage": {"prompt_tokens": len(tokens), "completion_tokens": 1, **details},
        })  # fmt: skip

    def _rows(self, tokens: Sequence[int], cached: int) -> list[Row | None]:
        rows: list[Row | None] = [None]
        for place in range(1, len(tokens)):
            if place > cached:
                row, top = logprobs(tokens[:place]), best(tokens[:place])
                ids = (tokens[place], top)
                rows.append({str(token): {"logprob": row[token], "rank": 1 + (token != top)} for token in ids})
            elif not self.leaves_out:
                rows.append(self.garbage)
        return rows

    def _completions(self, body: Mapping[str, Any]) -> Reply:
        prompts = body["prompt"]
        prompts = [prompts] if isinstance(prompts, str) or isinstance(prompts[0], int) else prompts
        if not self.ids and not all(isinstance(prompt, str) for prompt in prompts):
            return Reply({"error": {"message": "prompt must be a string"}}, status=400)
        encoded = [encode(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
        if any(self.forbidden in tokens for tokens in encoded):
            return Reply({"error": {"message": "no such token"}}, status=400)
        choices = [{"index": place, "text": "", **self._choice(body, tokens)} for place, tokens in enumerate(encoded)]
        used = {"prompt_tokens": sum(map(len, encoded)), "completion_tokens": len(encoded)}
        return Reply({"choices": choices, "usage": used})

    def _choice(self, body: Mapping[str, Any], tokens: Sequence[int]) -> Row:
        choice: Row = {"logprobs": None}
        written, row = best(tokens), logprobs(tokens)
        if self.by_id and "logprob_token_ids" in body:
            ids = [written, *body["logprob_token_ids"]]
            top = {f"token_id:{token}": row[token] for token in ids}
            choice["logprobs"] = {"tokens": [f"token_id:{written}"], "top_logprobs": [top]}
        if self.prompt_logprobs and "prompt_logprobs" in body:
            choice["prompt_logprobs"] = self._rows(tokens, 0)
        if self.echo and body.get("echo"):
            choice["logprobs"] = self._echoed([*tokens, written])
        return choice

    def _echoed(self, tokens: Sequence[int]) -> Row:
        places = range(1, len(tokens))
        return {
            "tokens": [shown(token) for token in tokens],
            "token_logprobs": [None, *(logprobs(tokens[:place])[tokens[place]] for place in places)],
            "top_logprobs": [None, *({"top": max(logprobs(tokens[:place]))} for place in places)],
        }

    def _cached(self, tokens: Sequence[int]) -> int:
        most = (len(tokens) - 1) // BLOCK * BLOCK
        return next((end for end in range(most, 0, -BLOCK) if tuple(tokens[:end]) in self.blocks), 0)

    def _keep(self, tokens: Sequence[int]) -> None:
        self.blocks |= {tuple(tokens[:end]) for end in range(BLOCK, len(tokens) + 1, BLOCK)}


class Words:
    """A tokenizer for texts as "w3 w17"."""

    def text(self, tokens: Sequence[int]) -> str | None:
        return " ".join(map(shown, tokens))

    def shown(self, token: int) -> str:
        return shown(token)


def shown(token: int) -> str:
    return f"w{token}"


def encode(text: str) -> list[int]:
    return [int(word[1:]) for word in text.split()]
