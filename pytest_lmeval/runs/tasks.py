"""One evaluated task of a run in a file: a line about the task, then a line per document; JSON, gzipped."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pytest_lmeval.baselines.files import write_bytes_atomically
from pytest_lmeval.baselines.format import MAX_ITEMS, read_metric
from pytest_lmeval.baselines.plain import Fields, plain, read_count, read_number, write_number
from pytest_lmeval.baselines.reader import read_settings
from pytest_lmeval.baselines.record import BaselineItem
from pytest_lmeval.errors import RunError
from pytest_lmeval.gate.pairing import Pair
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.results import ItemResult, TaskResult
from pytest_lmeval.runs.items import item_from_json, item_to_json, then_from_json, then_to_json

FORMAT = 1
#: Bytes of one line: a megabyte of answer, prompt and choices, however it is escaped.
MAX_LINE = 64_000_000
# Twice as large at the next step down, and half the time of the default.
_LEVEL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """A task's row in the reports, its result, and what the baseline has of each of its documents.

    ``then`` maps positions in this run to the baseline's items, for the documents that were compared. A group's
    ``result`` has neither items nor leaves: these are records of their own.
    """

    row: ReportRow
    result: TaskResult
    then: Mapping[int, BaselineItem] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The documents that both have, now and then."""
        return tuple(
            Pair(now=item, then=self.then[item.index]) for item in self.result.items if item.index in self.then
        )


def write_task(path: Path, record: TaskRecord) -> None:
    """Write the file, whole or not at all."""
    lines = (json.dumps(line, separators=(",", ":"), allow_nan=False) for line in record_to_json(record))
    text = "".join(f"{line}\n" for line in lines)
    # No time in the header: the same record makes the same bytes.
    write_bytes_atomically(path, gzip.compress(text.encode("ascii"), _LEVEL, mtime=0))


def read_task(path: Path) -> TaskRecord:
    """Read what :func:`write_task` wrote. Raises RunError, naming the file, for anything else."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            lines = _bounded(iter(lambda: file.readline(MAX_LINE + 1), ""))
            return record_from_json(json.loads(next(lines, "")), map(json.loads, lines))
    except FileNotFoundError:
        raise RunError(f"{path}: there is no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise RunError(f"{path}: cannot be read: {error}") from None
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: not a task of a recorded run: {error}") from None


def record_from_json(head: object, documents: Iterable[object]) -> TaskRecord:
    """Restore from what :func:`record_to_json` yields first, and after it. Raises ValueError for anything else."""
    record = _head(head)
    entries = [_entry(document, at) for at, document in enumerate(documents)]
    result = replace(record.result, items=tuple(item for item, _ in entries))
    then = {item.index: old for item, old in entries if old is not None}
    return replace(record, result=result, then=MappingProxyType(then))


def _bounded(lines: Iterator[str]) -> Iterator[str]:
    for at, line in enumerate(lines):
        if at > MAX_ITEMS or len(line) > MAX_LINE:
            raise ValueError(f"more than {MAX_ITEMS:,} documents, or a line of more than {MAX_LINE:,} bytes")
        yield line


def record_to_json(record: TaskRecord) -> Iterator[dict[str, Any]]:
    """Yield what there is of the task in plain values, then a mapping for each of its documents."""
    result = record.result
    yield {
        "format": FORMAT,
        "row": record.row.to_json(),
        "task": result.task,
        "n": result.n,
        "total": result.total,
        "metrics": [plain(asdict(metric)) for metric in result.metrics],
        "main_metric": result.main_metric,
        "settings": plain(asdict(result.settings)),
        "tokens": result.tokens,
        "seconds": write_number(result.seconds),
        "members": list(result.members),
        "warnings": list(result.warnings),
        "unscored": dict(result.unscored),
        "alias": result.alias,
        "errors": result.errors,
        "stopped": result.stopped,
        "weights": {key: list(map(write_number, weights)) for key, weights in result.weights.items()},
    }
    for item in result.items:
        then = record.then.get(item.index)
        yield item_to_json(item) | ({} if then is None else {"then": then_to_json(then)})


def _head(data: object) -> TaskRecord:
    head = Fields(data, "")
    if (version := head.integer("format")) != FORMAT:
        raise ValueError(f"it is of format {version}, and this pytest-lmeval reads format {FORMAT}")
    weights = head.fields("weights")
    result = TaskResult(
        task=head.text("task"),
        n=head.count("n"),
        total=head.count("total"),
        metrics=head.each("metrics", read_metric),
        main_metric=head.text("main_metric"),
        items=(),
        settings=read_settings(head.fields("settings")),
        tokens=head.count("tokens"),
        seconds=head.number("seconds"),
        members=head.texts("members"),
        warnings=head.texts("warnings"),
        unscored={key: read_count(value, key) for key, value in head.mapping("unscored").items()},
        alias=head.optional_text("alias"),
        errors=head.count("errors"),
        stopped=head.optional_text("stopped"),
        weights={key: weights.each(key, read_number) for key in head.mapping("weights")},
    )
    return TaskRecord(row=ReportRow.from_json(head.mapping("row")), result=result)


def _entry(data: object, at: int) -> tuple[ItemResult, BaselineItem | None]:
    place = f"document {at + 1}"
    item = item_from_json(data, place)
    then = Fields(data, place)
    return item, then_from_json(then.mapping("then"), f"{place}.then") if then.has("then") else None
