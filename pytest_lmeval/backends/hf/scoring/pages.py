"""Where a text is cut so that each piece has the same shape whatever is asked besides."""

from __future__ import annotations

# Tokens from one cut to the next. Texts share whole pieces only, so a page should not be long, and each piece is an
# attention call of its own, so it should not be short.
PAGE = 64


def page_cuts(tokens: int, targets: int) -> tuple[int, ...]:
    """Cut a text at each page's end, and where the context ends: there the choices of one document part.

    The last ``targets`` of the ``tokens`` that the model reads predict something.
    """
    return tuple(sorted({*range(PAGE, tokens, PAGE), tokens - targets + 1, tokens}))
