"""The results as a Markdown table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.scoring.comparing import TIE, Difference
from benchmarks.scoring.job import Run
from benchmarks.scoring.measuring import Result

MIB = 2**20
MISSING = "-"
# The batch whose memory is shown beside that of the peer's best one.
LARGE_BATCH = 16

COLUMNS = (
    "workload",
    "documents",
    "tokens read by the peer ÷ distinct",
    "documents/s, ours",
    "documents/s, lm-eval",
    "ratio",
    "MiB, ours",
    "MiB, lm-eval",
    "share of ceiling",
    "largest difference",
    "other answers",
)


def render(results: Sequence[Result]) -> str:
    """Return the table and what must be said about its rows."""
    lines = [row(COLUMNS), row(["---", *["---:"] * (len(COLUMNS) - 1)])]
    lines += [row(_cells(result, number)) for number, result in enumerate(results, 1)]
    notes = [note for number, result in enumerate(results, 1) for note in _notes(result, number)]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def row(cells: Sequence[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def _cells(result: Result, number: int) -> list[str]:
    work = result.work
    fewer = f" [{number}]" if _notes(result, number) else ""
    return [
        result.workload + fewer,
        _documents(result),
        f"{work.peer:,} ÷ {work.distinct:,} = {work.peer / work.distinct:.2f}",
        spread_of(rates(result.ours, result.sizes.ours)),
        _peer_rate(result),
        _ratio(result),
        _mebibytes(result.ours),
        _peer_memory(result),
        _share(result),
        largest(result.difference),
        other(result.difference),
    ]


def rates(runs: Sequence[Run], documents: float) -> list[float]:
    """Documents per second of each run."""
    return [documents / run.seconds for run in runs]


def spread_of(values: Sequence[float]) -> str:
    """The median, and the least and the most where there are several."""
    middle = f"{statistics.median(values):.3g}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.3g} to {max(values):.3g})"


def _documents(result: Result) -> str:
    sizes = result.sizes
    return f"{sizes.ours}" if not result.peer or sizes.ours == sizes.peer else f"{sizes.ours}, lm-eval {sizes.peer}"


def _peer_rate(result: Result) -> str:
    if not result.peer:
        return MISSING
    return f"{spread_of(rates(result.peer, result.peer_documents))}, batch {result.peer[0].batch}"


def _ratio(result: Result) -> str:
    if not result.peer:
        return MISSING
    ours, peer = rates(result.ours, result.sizes.ours), rates(result.peer, result.peer_documents)
    return f"{statistics.median(ours) / statistics.median(peer):.2f}"


def _mebibytes(runs: Sequence[Run]) -> str:
    known = [run.extra for run in runs if run.extra is not None]
    return f"{statistics.median(known) / MIB:,.0f}" if known else MISSING


def _peer_memory(result: Result) -> str:
    large = [run for run in result.trial if run.batch == LARGE_BATCH and run.error is None]
    shown = _mebibytes(result.peer)
    if not result.peer or not large or result.peer[0].batch == LARGE_BATCH:
        return shown
    return f"{shown}, batch {LARGE_BATCH}: {_mebibytes(large)}"


def share(result: Result) -> float | None:
    """The time that the matrix products alone would take, as a part of the time measured; each repeat by its rate."""
    pairs = zip(result.ours, result.rates, strict=False)
    shares = [result.flop / (rate * 1e9) / run.seconds for run, (rate, _) in pairs]
    return statistics.median(shares) if shares else None


def _share(result: Result) -> str:
    found = share(result)
    return MISSING if found is None else f"{found:.0%}"


def largest(difference: Difference | None) -> str:
    """The largest difference of a log-probability."""
    if difference is None:
        return MISSING
    if difference.relative is not None:
        return f"{difference.relative:.1e} relative"
    return MISSING if difference.logprob is None else f"{difference.logprob:.1e} nats"


def other(difference: Difference | None) -> str:
    """How many texts or choices differ."""
    if difference is None:
        return MISSING
    if difference.texts is not None:
        return f"{difference.texts} of {difference.documents} texts"
    if difference.choices is None:
        return MISSING
    ties = f", {difference.ties} of them ties" if difference.ties else ""
    return f"{difference.choices} of {difference.documents} choices{ties}"


def _notes(result: Result, number: int) -> list[str]:
    sizes, notes = result.sizes, []
    if result.peer and sizes.peer < sizes.ours:
        notes.append(
            f"ours on {sizes.ours} documents, lm-eval on {sizes.peer} of them: it shares nothing between documents, "
            "so its time grows with what it reads and its rate stays. Its documents/s are its tokens/s by the tokens "
            "of our average document. Answers are compared on its documents."
        )
    if result.peer and sizes.peer < sizes.ours and result.operation == "generate_until":
        notes.append("a batch that is not full generates fewer documents/s, so lm-eval may be faster on as many.")
    if not result.peer and result.peer_error:
        notes.append(f"lm-eval could not be run: {result.peer_error.rstrip('.')}.")
    if not all(run.exact for run in result.ours):
        notes.append("the kernel keeps the peak of loading, so the memory shown may be too high.")
    return [f"[{number}] {result.workload}: {note}" for note in notes]


EXPLANATION = f"""\
Documents/s: median of the repeats (least to most), tokenization included, loading not. MiB: the most memory beyond
what was there after loading; for lm-eval at its fastest batch, and at {LARGE_BATCH} in a trial on some of its longest
documents. Share of ceiling: matrix products of the distinct tokens at the rate that the model's linear layers alone
reach on this machine, measured between the repeats, as a part of our time. Ties: choices less than {TIE} nats apart.
"""
