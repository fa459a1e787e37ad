"""What vLLM answers to a request for scores, read with care.

Logits of prompt tokens whose keys and values came from the prefix cache are not computed: one of vLLM's runners leaves
out their rows, the other returns memory that nobody has written. The rows are therefore counted from the end, and
taken only where ``num_cached_tokens`` says that they were computed and they name the token that was asked for.
"""

from __future__ import annotations

from typing import Any

from pytest_lmeval.backends.text.encoding import Span
from pytest_lmeval.backends.text.scores import Row


def rows_within(span: Span, output: Any) -> dict[int, Row] | None:
    """Return the rows of all targets but the last that ``output`` has, by their place among the targets.

    The prompt was ``span.inputs``. None where the output contradicts itself: then nothing in it can be relied on.
    """
    computed = output.num_cached_tokens
    if computed is None or output.prompt_logprobs is None:
        return None
    start = span.context_length
    # The row of the target at ``place`` is computed at the position before it.
    first = max(0, computed - start + 1)
    rows: dict[int, Row] = {}
    for place in range(first, len(span.targets) - 1):
        row = _row(output.prompt_logprobs, place - (len(span.targets) - 1), span.targets[place])
        if row is None:
            return None
        rows[place] = row
    return rows


def chosen_within(span: Span, output: Any) -> dict[int, Row] | None:
    """Return the same for a request that named the targets (``prompt_logprob_token_ids``), or for any other.

    Only vLLM's second model runner has it. There is no rank, so nothing is greedy; what the cache swallowed is None.
    """
    chosen = getattr(output, "prompt_token_id_logprobs", None)
    if chosen is None:
        return rows_within(span, output)
    if len(chosen) != len(span.targets) - 1:
        return None
    return {place: Row(float(row[0]), False) for place, row in enumerate(chosen)}


def _row(rows: Any, place: int, token: int) -> Row | None:
    """Return the row at ``place``, counted from the end, if it is that of ``token``."""
    if -place > len(rows.start_indices):
        return None
    start, end = rows.start_indices[place], rows.end_indices[place]
    if start == end or rows.token_ids[start] != token:
        return None
    best = max(rows.logprobs[start:end])
    logprob, rank = rows.logprobs[start], rows.ranks[start]
    if logprob > _ROUNDING or rank is None or rank < 1:
        return None
    # With the best token beside it, as for half precision where ties happen, a tie for the first place is greedy.
    return Row(logprob, rank == 1 or (end - start > 1 and logprob >= best))


# A log-probability above 0 by more than its own rounding is none.
_ROUNDING = 1e-3


def row_after(output: Any, token: int) -> Row | None:
    """Return the row of ``token`` as the one after the prompt, None where the output does not have it."""
    [written] = output.outputs
    rows = written.logprobs
    if not rows or not written.token_ids:
        return None
    start, end = rows.start_indices[0], rows.end_indices[0]
    try:
        place = rows.token_ids.index(token, start, end)
    except ValueError:
        return None
    return Row(rows.logprobs[place], written.token_ids[0] == token)
