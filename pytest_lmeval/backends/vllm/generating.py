"""Text from a vLLM engine: requests of all tests run in its continuous batch, and answers come as they finish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vllm import SamplingParams
from vllm.exceptions import VLLMClientError

from pytest_lmeval.backends.protocol import Failure, GenerationAnswer, GenerationSettings
from pytest_lmeval.backends.text.encoding import Tokens
from pytest_lmeval.backends.text.endings import Endings
from pytest_lmeval.backends.text.prompting import Prompt
from pytest_lmeval.backends.text.seeds import seed_of
from pytest_lmeval.backends.vllm.engine import Engine, Inbox

Reply = GenerationAnswer | Failure

# What the model's own generation settings say and a request leaves open, as in transformers.
OWN = ("repetition_penalty", "top_k", "top_p", "min_p")

# Further settings that a task may give; the others are decided here or change what comes back.
FURTHER = {
    "presence_penalty", "frequency_penalty", "repetition_penalty", "min_p", "min_tokens",
    "stop_token_ids", "bad_words", "logit_bias", "allowed_token_ids", "structured_outputs", "extra_args",
    "thinking_token_budget", "repetition_detection",
}  # fmt: skip

# Of a release that does not have a setting, or of a value that it does not take.
REFUSALS = (VLLMClientError, ValueError, TypeError)

# What equal answers follow from: the prompt, its settings, and a seed of its own where it is sampled.
Key = tuple[Tokens, GenerationSettings, int | None]


@dataclass(slots=True, eq=False)
class _Text:
    """An answer under way, for all prompts that wait for it."""

    prompts: list[Prompt]
    written: list[int] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Stream:
    """What one stream has asked for: equal requests that are under way at the same time are one."""

    inbox: Inbox = field(default_factory=Inbox)
    asked: dict[Key, _Text] = field(default_factory=dict)
    seen: Counter[int] = field(default_factory=Counter)

    def key(self, prompt: Prompt) -> Key:
        settings = prompt.settings
        if not _draws(settings):
            return prompt.tokens, settings, None
        number = hash((prompt.tokens, settings.seed))
        self.seen[number] += 1
        # vLLM takes no sign.
        return prompt.tokens, settings, seed_of(settings.seed, prompt.tokens, self.seen[number] - 1) % 2**63


class EngineGenerator:
    """Generates on one engine; ``own`` are the model's own settings, ``lora`` is vLLM's name of an adapter."""

    def __init__(self, engine: Engine, endings: Endings, own: Mapping[str, Any], lora: Any = None) -> None:
        self._engine = engine
        self._endings = endings
        self._own = {key: own[key] for key in OWN if own.get(key) is not None}
        self._lora = lora

    def generate(self, prompts: Iterable[Prompt | Failure]) -> Iterator[Reply]:
        """Answer ``prompts``, which are pulled while the engine has room."""
        stream = _Stream()
        waiting = iter(prompts)
        more = True
        try:
            while more or stream.asked:
                while more and self._engine.hungry:
                    prompt = next(waiting, None)
                    more = prompt is not None
                    if isinstance(prompt, Prompt):
                        prompt = self._submit(stream, prompt)
                    if prompt is not None:
                        yield prompt
                if not stream.inbox.results and (more or stream.asked):
                    self._engine.advance()
                for key, output in stream.inbox.taken():
                    yield from self._settle(stream, key, output)
        finally:
            self._engine.abandon(stream.inbox)

    def _submit(self, stream: _Stream, prompt: Prompt) -> Failure | None:
        unknown = sorted(key for key, _ in prompt.settings.extra if key not in FURTHER)
        if unknown:
            return Failure(id=prompt.request.id, error=_unknown(unknown))
        key = stream.key(prompt)
        if key in stream.asked:
            stream.asked[key].prompts.append(prompt)
            return None
        try:
            self._write(stream, key, _Text([prompt]))
        except REFUSALS as error:
            return Failure(id=prompt.request.id, error=f"vLLM refuses the generation settings: {error}")
        return None

    def _write(self, stream: _Stream, key: Key, text: _Text) -> None:
        """Ask for what is still to be written."""
        tokens, settings, seed = key
        parameters = self._parameters(settings, seed, len(text.written))
        stream.asked[key] = text
        self._engine.submit(stream.inbox, key, (*tokens, *text.written), parameters, self._lora)

    def _parameters(self, settings: GenerationSettings, seed: int | None, written: int) -> Any:
        stops = self._endings.stops(settings)
        further = {**self._own, **dict(settings.extra)}
        if seed is not None:
            chosen = {"top_p": settings.top_p, "top_k": settings.top_k}
            further |= {key: value for key, value in chosen.items() if value is not None}
            further |= {"temperature": settings.temperature, "seed": seed}
        least = further.pop("min_tokens", 0)
        ends = [*self._endings.tokens, *(further.pop("stop_token_ids", None) or ())]
        return SamplingParams(
            **{"temperature": 0.0} | further,
            max_tokens=settings.max_tokens - written,
            min_tokens=max(0, least - written),
            stop=stops,
            stop_token_ids=ends,
            # Where nothing is looked for in the text nothing need be decoded here.
            detokenize=bool(stops),
            # A stop string may be a special token.
            skip_special_tokens=False,
        )

    def _settle(self, stream: _Stream, key: Key, output: Any | str) -> Iterator[Reply]:
        text = stream.asked.pop(key)
        if isinstance(output, str):
            yield from (Failure(id=prompt.request.id, error=output) for prompt in text.prompts)
            return
        [written] = output.outputs
        text.written += written.token_ids
        if self._too_early(text, key, written):
            self._write(stream, key, text)
            return
        limited = written.finish_reason == "length"
        yield from (self._endings.answer(prompt, text.written, limited=limited) for prompt in text.prompts)

    def _too_early(self, text: _Text, key: Key, written: Any) -> bool:
        """Whether vLLM has found a stop string that is not in the answer.

        It sees the answer behind its prompt, where some tokenizers write a space that an answer alone does not have.
        """
        settings = key[1]
        found = written.finish_reason == "stop" and isinstance(written.stop_reason, str)
        return found and len(text.written) < settings.max_tokens and not self._endings.ends(settings, text.written)


def _draws(settings: GenerationSettings) -> bool:
    return settings.do_sample and settings.temperature > 0


def _unknown(keys: list[str]) -> str:
    named = ", ".join(keys)
    known = ", ".join(sorted(FURTHER))
    return f"The vllm backend has no generation setting {named}. Besides the common ones it has {known}."
