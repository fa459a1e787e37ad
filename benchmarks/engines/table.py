"""The results as Markdown tables, one for each part."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import groupby

from benchmarks.engines.measuring import Result, described
from benchmarks.engines.order import Measured
from benchmarks.engines.workloads import PLAIN, TOKENS, VLLM
from benchmarks.scoring.comparing import TIE
from benchmarks.scoring.table import MIB, MISSING, largest, other, row, spread_of

TITLES = {
    VLLM: "vLLM in the process: the vllm backend and lm-eval's vllm",
    PLAIN: "One vLLM server: the openai backend and lm-eval's local-completions",
    TOKENS: "The same with the server's token-level route (`--enable-scale-out`)",
}
SPLIT = "Many tasks in one run: the vllm backend, the same documents as so many tasks and as one"

COLUMNS = (
    "workload",
    "documents",
    "documents/s, ours",
    "documents/s, {other}",
    "ratio",
    "wanted",
    "tokens sent per document, ours / {other}",
    "tokens computed per document, ours / {other}",
    "peak MiB, ours / {other}",
    "largest difference",
    "other answers",
)

EXPLANATION = f"""\
Documents/s: median of the repeats (least to most), tokenization included, loading not; the engine's prefix cache is
emptied before each. The ratio is that of the medians. Tokens computed: those of prompts that were not read from the
cache, and those generated. Peak: the most memory of the process that asks, the engine's included where it runs in it.
Ties: choices less than {TIE} nats apart.
"""


def render(results: Sequence[Result]) -> str:
    """Return a table for each part and what must be said about its rows."""
    ordered = [result for result in results if result.split == 1], [result for result in results if result.split > 1]
    parts = [(TITLES[part], "lm-eval", list(found)) for part, found in groupby(ordered[0], lambda r: r.part)]
    if ordered[1]:
        parts.append((SPLIT, "as one task", ordered[1]))
    return "\n".join(_part(*part) for part in parts)


def _part(title: str, name: str, results: Sequence[Result]) -> str:
    columns = [column.format(other=name) for column in COLUMNS]
    lines = [f"**{title}**", "", row(columns), row(["---", *["---:"] * (len(columns) - 1)])]
    lines += [row(_cells(result, number)) for number, result in enumerate(results, 1)]
    notes = [f"[{number}] {note}" for number, result in enumerate(results, 1) for note in _notes(result)]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def _cells(result: Result, number: int) -> list[str]:
    mark = f" [{number}]" if _notes(result) else ""
    ours = [result.sizes.ours / run.seconds for run in result.ours]
    return [
        result.workload + mark,
        _documents(result),
        spread_of(ours),
        spread_of(_other_rates(result)) if result.other else MISSING,
        MISSING if ratio(result) is None else f"{ratio(result):.2f}",
        MISSING if result.target is None else f"{result.target:g}",
        _pair(_sent(result.ours, result.sizes.ours), _sent(result.other, result.other_documents)),
        _pair(_computed(result.ours, result.sizes.ours), _computed(result.other, result.other_documents)),
        _pair(_peak(result.ours), _peak(result.other)),
        largest(result.difference),
        other(result.difference),
    ]


def ratio(result: Result) -> float | None:
    """Our median rate by the other's, None where there is no other."""
    if not result.other:
        return None
    ours = [result.sizes.ours / run.seconds for run in result.ours]
    return statistics.median(ours) / statistics.median(_other_rates(result))


def _other_rates(result: Result) -> list[float]:
    return [result.other_documents / run.seconds for run in result.other]


def _documents(result: Result) -> str:
    sizes = result.sizes
    if result.split > 1:
        return f"{sizes.ours} in {result.split}"
    return f"{sizes.ours}" if not result.other or sizes.ours == sizes.peer else f"{sizes.ours}, lm-eval {sizes.peer}"


def _sent(runs: Sequence[Measured], documents: float) -> float | None:
    known = [run.sent for run in runs if run.sent is not None]
    return statistics.median(known) / documents if known else None


def _computed(runs: Sequence[Measured], documents: float) -> float | None:
    known = [run.computed for run in runs if run.computed is not None]
    return statistics.median(known) / documents if known else None


def _peak(runs: Sequence[Measured]) -> float | None:
    known = [run.peak for run in runs if run.peak is not None]
    return max(known) / MIB if known else None


def _pair(one: float | None, two: float | None) -> str:
    return " / ".join(MISSING if value is None else f"{value:,.0f}" for value in (one, two))


def _notes(result: Result) -> list[str]:
    sizes, notes = result.sizes, []
    if result.other and sizes.peer < sizes.ours:
        notes.append(
            f"{result.workload}: ours on {sizes.ours} documents, lm-eval on {sizes.peer} of them: it shares nothing "
            "between documents, so its time grows with what it reads and its rate stays. Its documents/s are its "
            "tokens/s by the tokens of our average document. Answers are compared on its documents."
        )
    if result.settings:
        notes.append(f"{result.workload}: lm-eval's fastest settings in a trial were {described(result.settings)}.")
    if result.error:
        notes.append(f"{result.workload}: lm-eval could not be run: {result.error.rstrip('.')}.")
    return notes
