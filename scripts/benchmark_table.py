"""Write ``docs/benchmarks.md``: a table of the built-in benchmarks, from the header comments of their task files.

A header says what the benchmark is, then ``# source:``, ``# licence:``, ``# paper:`` and, where it takes more than this
package, ``# needs:``. A family has one, in the file that its members include or name ("See _mmlu_base for source …").
Run as ``python scripts/benchmark_table.py``, with lm-eval installed: some files include its.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_lmeval.tasks.catalogue import name_of
from pytest_lmeval.tasks.sources import LM_EVAL_REQUIREMENT
from pytest_lmeval.tasks.yaml_loader import LM_EVAL_PREFIX, TaskDocument, read_task_file

ROOT = Path(__file__).parent.parent
TASKS = ROOT / "tasks"
PAGE = ROOT / "docs" / "benchmarks.md"

FIELDS = ("source", "licence", "paper")
_FIELD = re.compile(rf"({'|'.join(FIELDS)}|needs): (.*)")
_ELSEWHERE = re.compile(r"\bsee (\S+) for source", re.IGNORECASE)
# One name, or a list of them in brackets or on lines of their own.
_INCLUDE = re.compile(r"^include:(.*(?:\n[ -].*)*)", re.MULTILINE)

# A row names this many tasks one by one.
_FEW = 9

INTRODUCTION = """\
# Built-in benchmarks

<!-- Written by scripts/benchmark_table.py from the headers of the files in tasks/. -->

`--lm-tasks` takes these names: of tasks, of groups (which add one item with the mean), of tags, or patterns such as
`xnli_*`. Each is written to ask and to score exactly as the task of the same name in lm-evaluation-harness 0.4.13 does;
the files in [`tasks/`](../tasks) say how, and where they knowingly differ.

**shots**: examples per prompt, unless `--lm-num-fewshot` says otherwise; *fixed* ones it does not change.
**licence**: of the data, which is not part of this package, as the dataset's card or its authors state it; read their
terms before you use it. **needs**: what has to be installed besides, for texts that are not ours to publish.

"""

COLUMNS = ("name", "what it asks", "shots", "metrics", "data", "licence", "paper", "needs")


@dataclass(frozen=True)
class Header:
    """What the comment at the top of ``path`` says. ``fields`` has source, licence, paper and perhaps needs."""

    path: Path
    about: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Row:
    """One benchmark or family: the groups and tasks that share a header."""

    header: Header
    groups: tuple[TaskDocument, ...]
    tasks: tuple[TaskDocument, ...]


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the page's text."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *map(cells, rows())]
    return INTRODUCTION + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def rows() -> list[Row]:
    """Return the rows in alphabetical order. Raises LookupError for a task file without a header."""
    members: dict[Path, list[TaskDocument]] = {}
    headers: dict[Path, Header] = {}
    for document in documents():
        header = header_of(document.path)
        headers[header.path] = header
        members.setdefault(header.path, []).append(document)
    return sorted((row_of(headers[path], found) for path, found in members.items()), key=first_name)


def row_of(header: Header, members: Sequence[TaskDocument]) -> Row:
    """Tell groups and tasks apart."""
    groups = tuple(document for document in members if "group" in document.data)
    return Row(header, groups, tuple(document for document in members if "group" not in document.data))


def first_name(row: Row) -> str:
    """What a row is sorted by."""
    return name_of((*row.groups, *row.tasks)[0]).lower()


def documents() -> Iterator[TaskDocument]:
    """Every task and group file."""
    for path in sorted(TASKS.rglob("*.yaml")):
        document = read_task_file(path)
        if document is not None:
            yield document


def header_of(path: Path) -> Header:
    """Return the header that holds for a file: its own, else of the file it names or includes. Raises LookupError."""
    header = read_header(path)
    if all(name in header.fields for name in FIELDS):
        return header
    for other in [*_ELSEWHERE.findall(header.about), *local_includes(path)]:
        place = Path(os.path.normpath(path.parent / other))
        if place.is_file():
            return header_of(place)
    raise LookupError(f"{path.relative_to(ROOT)}: no header with {', '.join(FIELDS)}, and none named or included")


def read_header(path: Path) -> Header:
    """Read the comment lines at the top of a file; a line that begins no field continues the one before."""
    fields: dict[str, str] = {"": ""}
    current = ""
    for line in comment_lines(path):
        begins = _FIELD.match(line)
        if begins:
            current, line = begins.groups()
        fields[current] = f"{fields.get(current, '')} {line}".strip()
    return Header(path, fields.pop(""), fields)


def comment_lines(path: Path) -> Iterator[str]:
    """The leading comment, without the notes on which script wrote the file."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            return
        yield re.sub(r"\s*Written by scripts/\S+", "", line.removeprefix("#")).strip()


def local_includes(path: Path) -> list[str]:
    """The files in this repository that a task file includes."""
    return [name for name in includes(path) if not name.startswith(LM_EVAL_PREFIX)]


def includes(path: Path) -> list[str]:
    """The names after ``include:``."""
    match = _INCLUDE.search(path.read_text(encoding="utf-8"))
    return [name for name in re.split(r"[\s\[\],\"']+", match.group(1)) if name.strip("-")] if match else []


def cells(row: Row) -> tuple[str, ...]:
    """Return a row's cells, in the order of COLUMNS."""
    fields = row.header.fields
    about = row.header.about.partition(": ")[2] or row.header.about
    return tuple(
        text.replace("|", "\\|")
        for text in (
            names(row),
            about[:1].upper() + about[1:].rstrip("."),
            shots(row.tasks),
            ", ".join(dict.fromkeys(metric for task in row.tasks for metric in metrics(task))),
            fields["source"],
            fields["licence"],
            fields["paper"],
            needs(row),
        )
    )


def names(row: Row) -> str:
    """Return what ``--lm-tasks`` takes: groups, tasks or a pattern for many, and the tags they share."""
    groups, tasks = [name_of(group) for group in row.groups], [name_of(task) for task in row.tasks]
    many = len(tasks) > _FEW
    listed = ", ".join(f"`{name}`" for name in (groups if many else [*groups, *tasks]))
    pattern = f"{len(tasks)} tasks `{shared_start(tasks)}*`" if many else ""
    tagged = ", ".join(f"tag `{tag}`" for tag in tags(row.tasks))
    return "; ".join(part for part in (listed, pattern, tagged) if part)


def shared_start(names: Sequence[str]) -> str:
    """Return what all names begin with."""
    first, last = min(names), max(names)
    return first[: next((i for i, letter in enumerate(first) if last[i : i + 1] != letter), len(first))]


def tags(tasks: Sequence[TaskDocument]) -> tuple[str, ...]:
    """The tags that all of the tasks have."""
    listed = [[tag] if isinstance(tag := task.data.get("tag"), str) else tag or [] for task in tasks]
    return tuple(tag for tag in (listed[0] if listed else ()) if all(tag in others for others in listed))


def shots(tasks: Sequence[TaskDocument]) -> str:
    """Return the number of examples, ``fixed`` where the file locks it."""
    counts = dict.fromkeys(task.data.get("num_fewshot") for task in tasks)
    return " or ".join({None: "0", 0: "0, fixed"}.get(count, str(count)) for count in counts)


def metrics(task: TaskDocument) -> list[str]:
    """Return the names of a task's metrics."""
    # A function of the task's own goes by its name.
    return [str(entry["metric"]).rpartition(".")[2] for entry in task.data.get("metric_list") or ()]


def needs(row: Row) -> str:
    """Return what the header says, else whether a file includes one of lm-eval."""
    if "needs" in row.header.fields:
        return row.header.fields["needs"]
    included = any(from_lm_eval(task.path) for task in row.tasks)
    return LM_EVAL_REQUIREMENT if included else ""


def from_lm_eval(path: Path) -> bool:
    """Whether a file or one that it includes includes a file of lm-eval."""
    listed = includes(path)
    local = (path.parent / name for name in listed if not name.startswith(LM_EVAL_PREFIX))
    return any(name.startswith(LM_EVAL_PREFIX) for name in listed) or any(map(from_lm_eval, local))


if __name__ == "__main__":
    main()
