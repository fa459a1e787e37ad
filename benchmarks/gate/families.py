"""The families of rows, in the order of the table. A new one is a module with ``rows`` and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from benchmarks.gate import (
    binary,
    clusters,
    continuous,
    corpus,
    margins,
    presets,
    sequential,
    suite,
    unpaired,
    whole_run,
)
from benchmarks.gate.rows import Effort, Row

FAMILIES: Mapping[str, Callable[[Effort], Iterable[Row]]] = MappingProxyType(
    {
        "binary": binary.rows,
        "continuous": continuous.rows,
        "clusters": clusters.rows,
        "corpus": corpus.rows,
        "unpaired": unpaired.rows,
        "margins": margins.rows,
        "suite": suite.rows,
        "sequential": sequential.rows,
        "presets": presets.rows,
        "run": whole_run.rows,
    }
)
