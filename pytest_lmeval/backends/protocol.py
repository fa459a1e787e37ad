"""The contract between the evaluation and a model.

A backend takes an *iterator* of requests and yields answers as they complete, in any order, each naming its
request. It pulls as many requests as it can use at once (a token budget, free slots, open connections);
that pull is what fills batches across test items and bounds memory. A request that fails yields a
:class:`Failure` for itself; it never becomes a wrong answer and never takes other requests down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; ``role`` is ``system``, ``user`` or ``assistant``."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A context for a chat model, rendered by the backend with the model's own template.

    The model answers the last message; where that is the assistant's own, it goes on with it.
    """

    messages: tuple[Message, ...]

    @property
    def continues(self) -> bool:
        """Whether the last message is the beginning of the answer."""
        return self.messages[-1].role == "assistant"

    def as_dicts(self, *, without: str | None = None) -> list[dict[str, str]]:
        """Return the messages in the form that templates and servers read, leaving out one role."""
        return [{"role": m.role, "content": m.content} for m in self.messages if m.role != without]

    def __str__(self) -> str:
        """Show the conversation to a reader, one message after the other."""
        return "\n".join(f"{message.role}: {message.content}" for message in self.messages)


Context = str | Conversation


@dataclass(frozen=True, slots=True, kw_only=True)
class LoglikelihoodRequest:
    """Score ``continuation`` after ``context``.

    ``choices`` are all continuations among which the document's answer is chosen in this context, this one among them;
    empty where there is no choice. Only backends that cannot score text look at it.
    """

    id: int
    context: Context
    continuation: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RollingRequest:
    """Score a whole ``text``, in windows of the model's length."""

    id: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSettings:
    """How to generate. Greedy unless ``do_sample`` is set.

    ``until`` are stop strings (the answer ends before the first of them), ``max_tokens`` bounds the new
    tokens, ``extra`` are further arguments that a backend may know (``num_beams``, ``repetition_penalty`` …).
    """

    until: tuple[str, ...] = ()
    max_tokens: int = 256
    do_sample: bool = False
    temperature: float = 0.0
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    extra: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """Continue ``context`` up to a stop string or a token limit."""

    id: int
    context: Context
    settings: GenerationSettings = field(default_factory=GenerationSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoglikelihoodAnswer:
    """``logprob`` is the sum over the continuation's tokens, in nats; ``tokens`` the tokens the model read.

    ``is_greedy`` is true where each token of the continuation is the model's most probable one.
    """

    id: int
    logprob: float
    is_greedy: bool
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RollingAnswer:
    """``logprob`` of the whole text in nats; ``tokens`` the tokens the model read."""

    id: int
    logprob: float
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationAnswer:
    """``text`` without the stop string; ``tokens`` read and generated.

    ``reasoning`` is what the model wrote before the answer, where it is told apart. ``truncated`` tells that the limit
    of tokens ended it, and neither a stop string nor the model.
    """

    id: int
    text: str
    tokens: int
    reasoning: str | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The request could not be answered; ``error`` says why, for a person.

    ``kind`` tells an ``error`` of the infrastructure from an answer that the model ``refused`` or that its provider
    ``filtered``, neither of which is an empty answer, and from a log-probability that is no number (``nan``).
    """

    id: int
    error: str
    kind: Literal["error", "refused", "filtered", "nan"] = "error"


# What a backend's scores are, unless it says otherwise.
LOG_LIKELIHOOD = "log-likelihood"

Request = LoglikelihoodRequest | RollingRequest | GenerationRequest
Answer = LoglikelihoodAnswer | RollingAnswer | GenerationAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """Where answers come from: goes into reports and baselines.

    ``scoring`` is what stands for a log-likelihood: another name than the default is another metric, and results with
    different ones are never compared. ``details`` are further facts in plain values (device, engine version, tokenizer
    hash, parameters …).
    """

    backend: str
    name: str
    revision: str | None = None
    dtype: str | None = None
    max_length: int | None = None
    scoring: str = LOG_LIKELIHOOD
    details: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was used so far, as the server counts it. ``cost`` is in the currency of the prices given."""

    calls: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float | None = None


@runtime_checkable
class Metered(Protocol):
    """A backend that accounts for what it uses."""

    @property
    def usage(self) -> Usage:
        """What was used since it was opened."""


@runtime_checkable
class Backend(Protocol):
    """A model that answers requests. Implementations need not inherit from this class."""

    @property
    def info(self) -> ModelInfo:
        """What this model is and what it runs on."""

    def loglikelihood(self, requests: Iterator[LoglikelihoodRequest]) -> Iterator[LoglikelihoodAnswer | Failure]:
        """Score continuations after contexts."""

    def loglikelihood_rolling(self, requests: Iterator[RollingRequest]) -> Iterator[RollingAnswer | Failure]:
        """Score whole texts."""

    def generate_until(self, requests: Iterator[GenerationRequest]) -> Iterator[GenerationAnswer | Failure]:
        """Generate up to a stop string or a token limit."""

    def close(self) -> None:
        """Free the model's memory, processes and connections. Called once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendPlugin:
    """What an entry point of the group ``pytest_lmeval.backends`` names. Importing it must be cheap.

    ``options`` is a frozen dataclass whose fields, all with defaults, are the keys that may follow the name
    in ``--lm-model=BACKEND:NAME,key=value``. ``open`` gets the name and an instance of it; only ``open`` may
    import heavy packages. ``requires`` are the modules it needs and ``install`` the command that brings them.
    ``further`` names a field of ``options``, a mapping of text to text, that takes the keys which are no fields:
    those of an engine, checked by ``open``.
    """

    summary: str
    options: type[Any]
    open: Callable[[str, Any], Backend]
    requires: tuple[str, ...] = ()
    install: str = ""
    further: str | None = None
    name_required: bool = True
