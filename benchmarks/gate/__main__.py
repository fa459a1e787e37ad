"""``python -m benchmarks.gate``: measure, print the table, fail where a rate is not what it has to be."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from benchmarks.gate.families import FAMILIES
from benchmarks.gate.rows import Effort, Row
from benchmarks.gate.table import EXPLANATION, render


def main(arguments: Sequence[str]) -> int:
    """Return the exit status: 1 where a rate is not what it has to be."""
    given = _parser().parse_args(arguments)
    rows = measure(given.only or list(FAMILIES), Effort(quick=given.quick))
    print(f"{render(rows)}\n{EXPLANATION}", end="")
    return 0 if all(row.holds for row in rows) else 1


def measure(names: Sequence[str], effort: Effort) -> list[Row]:
    """Measure some families; progress goes to stderr."""
    rows: list[Row] = []
    for name in names:
        start = time.monotonic()
        rows += FAMILIES[name](effort)
        print(f"{name}: {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gate", description="False-alarm rates and power of the regression gate."
    )
    parser.add_argument("--quick", action="store_true", help="a fortieth of the simulations")
    parser.add_argument("--only", nargs="+", choices=list(FAMILIES), metavar="FAMILY", help=", ".join(FAMILIES))
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
