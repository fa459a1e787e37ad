"""What a task asks, spelled out for whoever writes it: contexts, continuations, targets, stop strings.

Pure functions from a task's interviews to lines; nothing is asked of a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lmeval.backends.protocol import (
    Conversation,
    GenerationRequest,
    LoglikelihoodRequest,
    Request,
    RollingRequest,
)
from pytest_lmeval.report.blocks import FAINT, PLAIN, Style, title
from pytest_lmeval.report.contexts import ContextWriter
from pytest_lmeval.report.terminal import Line
from pytest_lmeval.results import TaskSettings
from pytest_lmeval.tasks.prompts import Shot
from pytest_lmeval.tasks.questions import Interview, Question
from pytest_lmeval.tasks.scoring import gold_indices
from pytest_lmeval.tasks.spec import TaskSpec

_COLUMN_LIMIT = 1_000
_COLUMN_WIDTH = 30
_CHOICE_WIDTH = 8
_ALTERNATIVES = 20

_BOLD, _RED = {"bold": True}, {"red": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A task and the documents of it that are shown; ``file`` is its path as the user knows it.

    ``selected`` of the ``total`` documents of the split would be asked in a run.
    """

    spec: TaskSpec
    file: str
    settings: TaskSettings
    total: int
    selected: int
    interviews: Sequence[Interview]


def format_preview(preview: Preview, style: Style) -> Iterator[Line]:
    """Spell a task: a head, then each document as it is asked."""
    yield from _head(preview, style)
    shown: tuple[Shot, ...] | None = None
    for interview in preview.interviews:
        yield ()
        yield ((f"document {interview.question.index}", _BOLD),)
        yield from _Sheet(preview.spec, interview, style, shown).lines()
        shown = preview.interviews[0].shots


def _head(preview: Preview, style: Style) -> Iterator[Line]:
    settings = preview.settings
    name = "".join(text for text, _ in style.inline(preview.spec.task))
    yield ((name, _BOLD), ("  ", PLAIN), *style.inline(preview.file))
    yield _fact("dataset", f"{_source(preview)}, split {settings.split}, {preview.total:,} documents", style)
    yield _fact("output", f"{settings.output_type}{_repeated(preview.spec)}", style)
    yield _fact("shots", _shots(preview.spec, settings.num_fewshot), style)
    yield _fact("shown", _shown(preview), style)


def _fact(label: str, text: str, style: Style) -> Line:
    return ((f"  {label:<9}", FAINT), *style.inline(text))


def _source(preview: Preview) -> str:
    spec, settings = preview.spec, preview.settings
    if spec.custom_dataset is not None:
        return str(spec.custom_dataset)
    files = spec.dataset_kwargs.get("data_files")
    if isinstance(files, Mapping):
        files = files.get(settings.split)
    named = [settings.dataset, settings.dataset_config, None if files is None else str(files)]
    return " ".join(part for part in named if part)


def _repeated(spec: TaskSpec) -> str:
    return f", each request {spec.repeats} times" if spec.repeats > 1 else ""


def _shots(spec: TaskSpec, count: int) -> str:
    if not count or spec.python_class is not None:
        return str(count)
    return f"{count}, sampler {spec.fewshot_config.sampler}"


def _shown(preview: Preview) -> str:
    limit = preview.settings.limit
    selected = f"the {preview.selected:,} that --lm-limit={limit} chooses" if limit else f"{preview.selected:,}"
    return f"{len(preview.interviews)} of {selected}"


@dataclass(frozen=True, slots=True)
class _Sheet:
    """One document's lines. ``shown`` are the examples shown before, None for the first document."""

    spec: TaskSpec
    interview: Interview
    style: Style
    shown: tuple[Shot, ...] | None

    def lines(self) -> Iterator[Line]:
        calls = self.interview.requests[:: self.spec.repeats]
        if self.spec.output_type == "multiple_choice" and self.spec.python_class is None:
            yield from self._choices([call for call in calls if isinstance(call, LoglikelihoodRequest)])
        else:
            for position, call in enumerate(calls):
                yield from self._call(call, again=position > 0)
            # A continuation is the target, a text that is scored as a whole has none.
            if self.spec.python_class is not None or self.spec.output_type == "generate_until":
                yield from self._target(self.interview.question)
        if self.style.verbose:
            yield from self._columns()

    def _context(self, *, again: bool = False) -> ContextWriter:
        """A context that is not the document's first need not show the examples again."""
        shots = self.interview.shots
        return ContextWriter(self.style, shots, shots if again else self.shown)

    def _call(self, call: Request, *, again: bool) -> Iterator[Line]:
        if isinstance(call, RollingRequest):
            yield from self._titled("text, scored as a whole", call.text)
            return
        yield from self._context(again=again).lines(call.context)
        if isinstance(call, GenerationRequest):
            yield from _stopping(call, self.style)
        else:
            yield from self._titled("continuation, scored after the context", call.continuation)

    def _target(self, question: Question) -> Iterator[Line]:
        gold = question.gold
        if question.choices and isinstance(gold, int) and 0 <= gold < len(question.choices):
            yield from self._titled(f"target: choice {gold}", question.choices[gold])
        elif isinstance(gold, list):
            yield title(f"target: any of {len(gold)}")
            for text in gold[:_ALTERNATIVES]:
                yield from self.style.block(_plain(text))
            if len(gold) > _ALTERNATIVES:
                yield self.style.aside(f"{len(gold) - _ALTERNATIVES} more")
        else:
            yield from self._titled("target", _plain(gold))

    def _choices(self, calls: Sequence[LoglikelihoodRequest]) -> Iterator[Line]:
        question = self.interview.question
        count, golds = len(question.choices), _golds(question)
        if len({call.context for call in calls[:count]}) > 1:
            yield from self._inputs(calls[:count], golds)
        elif calls:
            yield from self._context().lines(calls[0].context)
            yield title("choices, scored after the context")
            for index, call in enumerate(calls[:count]):
                yield from self.style.block(call.continuation, self._numbered(index, golds))
        if len(calls) > count:
            yield title(f"and {len(calls) - count} requests of the choices without a context, for acc_mutual_info")
        if not golds:
            gold = self.style.inline(_plain(question.gold)[:_COLUMN_LIMIT])
            problem = " is neither the index nor the text of a choice: no answer is right"
            yield (("  target ", _RED), *gold, (problem, _RED))

    def _inputs(self, calls: Sequence[LoglikelihoodRequest], golds: Sequence[int]) -> Iterator[Line]:
        yield title("choices: each is a context of its own, before the same continuation")
        for index, call in enumerate(calls):
            writer = self._context(again=index > 0)
            if isinstance(call.context, Conversation):
                yield title(f"choice {index}{', gold' if index in golds else ''}")
                yield from writer.conversation(call.context)
            else:
                yield from writer.text(call.context, self._numbered(index, golds))
        yield from self._titled("continuation", calls[0].continuation)

    def _numbered(self, index: int, golds: Sequence[int]) -> Line:
        gold = index in golds
        return self.style.gutter(f"gold {index}" if gold else f"{index}", width=_CHOICE_WIDTH, gold=gold)

    def _columns(self) -> Iterator[Line]:
        yield title("columns of the document")
        document = self.interview.document
        labels = ["".join(text for text, _ in self.style.inline(str(name))) for name in document]
        width = min(max(map(len, labels), default=0), _COLUMN_WIDTH)
        for label, value in zip(labels, document.values(), strict=True):
            yield from self.style.block(_plain(value), self.style.gutter(label, width=width), limit=_COLUMN_LIMIT)

    def _titled(self, text: str, content: str) -> Iterator[Line]:
        yield title(text)
        yield from self.style.block(content)


def _stopping(request: GenerationRequest, style: Style) -> Iterator[Line]:
    settings = request.settings
    yield title("generates")
    stops: list[Any] = [("    until ", PLAIN)]
    for number, stop in enumerate(settings.until):
        stops += [(', "' if number else '"', PLAIN), *style.inline(stop), ('"', PLAIN)]
    yield tuple(stops) if settings.until else (("    until the model's own end of text", PLAIN),)
    how = f"sampled at temperature {settings.temperature:g}" if settings.do_sample else "greedy"
    rest = "".join(f", {key}={value}" for key, value in _further(request))
    yield (("    ", PLAIN), *style.inline(f"at most {settings.max_tokens} tokens, {how}{rest}"))


def _further(request: GenerationRequest) -> Iterable[tuple[str, Any]]:
    settings = request.settings
    known = {"top_p": settings.top_p, "top_k": settings.top_k, "seed": settings.seed}
    return [*((key, value) for key, value in known.items() if value is not None), *settings.extra]


def _golds(question: Question) -> list[int]:
    try:
        return [index for index in gold_indices(question) if index >= 0]
    except TypeError:  # a target of another type than an index is no choice
        return []


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
