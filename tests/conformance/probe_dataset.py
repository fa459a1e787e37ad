"""A dataset of probes: what ``process_docs`` may call, as far as tasks do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.conformance.shapes import Probe, ProbeDocument, Shape


class ProbeDataset:
    """Stands for ``datasets.Dataset``; every row is of the same shape."""

    def __init__(self, shape: Shape, rows: list[Any] | None = None) -> None:
        self.shape = shape
        self.rows = rows if rows is not None else [ProbeDocument(shape) for _ in range(3)]

    @property
    def column_names(self) -> list[str]:
        """Those known so far."""
        return list(self.rows[0]) if self.rows else []

    @property
    def features(self) -> Mapping[str, Any]:
        """By column; types are not told."""
        return dict.fromkeys(self.column_names)

    @property
    def num_rows(self) -> int:
        """As many as there are."""
        return len(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return [row[key] for row in self.rows]
        if isinstance(key, slice):
            return _Batch(self.rows[key])
        return self.rows[key]

    def map(self, function: Callable[..., Any], *_: Any, **options: Any) -> ProbeDataset:
        """Apply to each row, or to all as one batch."""
        named = options.get("fn_kwargs") or {}
        if options.get("batched"):
            return self._batched(function(_Batch(self.rows), **named))
        rows = []
        for number, row in enumerate(self.rows):
            extra = (number,) if options.get("with_indices") else ()
            rows.append(self._merged(row, function(row, *extra, **named)))
        return ProbeDataset(self.shape, rows)

    def _merged(self, row: Any, result: Any) -> Any:
        return ProbeDocument(self.shape, **{**row, **(result or {})})

    def _batched(self, result: Mapping[str, list[Any]]) -> ProbeDataset:
        count = max((len(column) for column in result.values()), default=0)
        rows = [{k: v[i] for k, v in result.items() if i < len(v)} for i in range(count)]
        return ProbeDataset(self.shape, [ProbeDocument(self.shape, **row) for row in rows])

    def filter(self, function: Callable[..., Any], *_: Any, **options: Any) -> ProbeDataset:
        """Ask the function and keep every row."""
        for number, row in enumerate(self.rows):
            function(row, *((number,) if options.get("with_indices") else ()), **(options.get("fn_kwargs") or {}))
        return self

    def rename_column(self, old: str, new: str) -> ProbeDataset:
        """Rename one column."""
        return self.rename_columns({old: new})

    def rename_columns(self, names: Mapping[str, str]) -> ProbeDataset:
        """Rename columns."""
        return ProbeDataset(self.shape, [self._renamed(row, names) for row in self.rows])

    def _renamed(self, row: Any, names: Mapping[str, str]) -> Any:
        moved = {new: row[old] for old, new in names.items()}
        return ProbeDocument(self.shape, **{**row, **moved})

    def add_column(self, name: str, column: list[Any], **_: Any) -> ProbeDataset:
        """Add a column."""
        pairs = zip(self.rows, column, strict=False)
        return ProbeDataset(self.shape, [ProbeDocument(self.shape, **{**row, name: value}) for row, value in pairs])

    def unique(self, column: str) -> list[Any]:
        """The values of a column."""
        return [row[column] for row in self.rows]

    def to_list(self) -> list[Any]:
        """The rows."""
        return self.rows

    def __getattr__(self, name: str) -> Any:
        # select, shuffle, sort, cast, remove_columns …: the shape does not change.
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *arguments, **options: self


class _Batch(dict[str, Any]):
    """Rows as columns."""

    def __init__(self, rows: list[Any]) -> None:
        super().__init__({name: [row[name] for row in rows] for name in (rows[0] if rows else {})})
        self.rows = rows

    def __missing__(self, key: str) -> Any:
        self[key] = [row[key] for row in self.rows]
        return self[key]


def is_probed(rows: Any) -> bool:
    """Whether a function gave probes back."""
    return isinstance(rows, ProbeDataset) or any(isinstance(v, Probe) for row in rows for v in row.values())
