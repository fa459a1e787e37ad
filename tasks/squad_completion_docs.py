"""How SQuAD's completions are scored."""

from __future__ import annotations

import re
from typing import Any


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, int]:
    """Say whether the answer holds the span, whatever its case."""
    return {"contains": int(re.search(re.escape(doc["value"].strip()), results[0], re.IGNORECASE) is not None)}
