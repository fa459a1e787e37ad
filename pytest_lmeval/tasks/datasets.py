"""Find and read a task's documents: a local folder per hub id, files next to the task, or the hub.

``datasets`` is imported only when documents are read, so collecting tests stays cheap.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_lmeval.errors import DatasetError
from pytest_lmeval.tasks.functions import resolve
from pytest_lmeval.tasks.hub_files import HubFile
from pytest_lmeval.tasks.spec import TaskSpec
from pytest_lmeval.tasks.templates import call_for
from pytest_lmeval.tasks.yaml_loader import FunctionReference

if TYPE_CHECKING:
    from datasets import Dataset

_SUFFIXES = (".jsonl", ".parquet")
_FILE_BUILDERS = {"json": ".jsonl", "csv": ".csv", "parquet": ".parquet"}


@dataclass(slots=True)
class TaskDatasets:
    """The splits of one task's dataset, read when first asked for.

    ``data_dir`` maps hub ids to folders: ``<data_dir>/<hub id>/<config or default>/<split>.jsonl|parquet``.
    What it does not have comes from ``datasets.load_dataset``: the network or the local hub cache.
    """

    spec: TaskSpec
    data_dir: Path | None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    _splits: dict[str, Dataset] = field(default_factory=dict)
    _remote: Mapping[str, Dataset] | None = None

    def split(self, name: str) -> Dataset:
        """Return the split ``name`` as it is on disk. Raises DatasetError where it does not exist."""
        if name not in self._splits:
            self._splits[name] = self._read(name)
        return self._splits[name]

    def _read(self, name: str) -> Dataset:
        folder = self._local_folder()
        if folder is not None:
            return _read_local(folder, name, self.spec)
        if self._remote is None:
            self._remote = _load(self.spec, self.data_dir, self.metadata)
        if name not in self._remote:
            raise DatasetError(
                f"{self.spec.task}: {self._label()} has no split {name!r}; it has {', '.join(self._remote)}"
            )
        return self._remote[name]

    def _local_folder(self) -> Path | None:
        if self.spec.dataset_path is None or self.spec.custom_dataset:
            return None
        return _folder_of(self.data_dir, self.spec.dataset_path, self.spec.dataset_name)

    def _label(self) -> str:
        config = f" ({self.spec.dataset_name})" if self.spec.dataset_name else ""
        return f"dataset {self.spec.dataset_path}{config}"


def local_splits(data_dir: Path | None, path: str, name: str | None) -> dict[str, Dataset] | None:
    """Read all splits that ``data_dir`` has of a dataset; None where it has none."""
    folder = _folder_of(data_dir, path, name)
    files = sorted(p for p in folder.iterdir() if p.suffix in _SUFFIXES) if folder else []
    return {file.stem: _read_file(file) for file in files} or None


def _folder_of(data_dir: Path | None, path: str, name: str | None) -> Path | None:
    if data_dir is None:
        return None
    base = data_dir.resolve()
    folder = (base / path / (name or "default")).resolve()
    if not name and not folder.is_dir():
        folder = _only_folder(folder.parent) or folder
    # A dataset id is text from a task file: it must not lead out of the folder.
    return folder if folder.is_relative_to(base) and folder.is_dir() else None


def _only_folder(dataset: Path) -> Path | None:
    """As on the hub: of a dataset with one configuration alone its name need not be given."""
    folders = [part.resolve() for part in dataset.iterdir() if part.is_dir()] if dataset.is_dir() else []
    return folders[0] if len(folders) == 1 else None


def _read_file(path: Path) -> Dataset:
    return read_jsonl(path) if path.suffix == ".jsonl" else _read_parquet(path)


def _read_local(folder: Path, split: str, spec: TaskSpec) -> Dataset:
    for suffix in _SUFFIXES:
        path = folder / f"{split}{suffix}"
        # A split's name is text from a task file too.
        if path.parent == folder and path.is_file():
            return _read_file(path)
    have = sorted(p.stem for p in folder.iterdir() if p.suffix in _SUFFIXES)
    raise DatasetError(
        f"{spec.task}: no split {split!r} in {folder}; it has {', '.join(have) or 'no .jsonl or .parquet file'}"
    )


def read_jsonl(path: Path) -> Dataset:
    """Read one JSON object a line. Raises DatasetError with file and line of what is not one."""
    import pyarrow
    from datasets import Dataset

    with path.open("rb") as lines:
        rows = [_row(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise DatasetError(f"{path}: no documents")
    # Dataset.from_list would take the columns of the first row alone.
    columns = {name: [row.get(name) for row in rows] for name in dict.fromkeys(key for row in rows for key in row)}
    try:
        # Not pyarrow's JSON reader: it turns texts that look like dates into timestamps.
        return Dataset.from_dict(columns)
    except pyarrow.ArrowException as error:
        raise DatasetError(f"{path}: a column has values of different types: {error}") from None


def _row(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line.decode())
    except ValueError as error:
        raise DatasetError(f"{path}:{number}: not valid JSON: {error}") from None
    if not isinstance(row, dict):
        raise DatasetError(f"{path}:{number}: expected a JSON object, found a {type(row).__name__}")
    return row


def _read_parquet(path: Path) -> Dataset:
    import pyarrow
    from datasets import Dataset

    try:
        with without_progress_bars():
            return Dataset.from_parquet(str(path), keep_in_memory=True)
    except (pyarrow.ArrowException, OSError) as error:
        raise DatasetError(f"{path}: not a readable Parquet file: {error}") from None


def _load(spec: TaskSpec, data_dir: Path | None, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    if spec.custom_dataset is not None:
        return _made(spec, spec.custom_dataset, {**spec.metadata, **metadata, **spec.dataset_kwargs})
    if spec.dataset_path is None:
        raise spec.document.error("neither dataset_path nor custom_dataset is set")
    if spec.dataset_path in _FILE_BUILDERS:
        return _load_files(spec, data_dir)
    return _load_from_hub(spec, data_dir)


def _made(spec: TaskSpec, function: FunctionReference, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Call ``custom_dataset``, which returns a dataset a split, with what it can take of the arguments."""
    parameters = inspect.signature(resolve(function)).parameters.values()
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        arguments = {name: arguments[name] for name in (p.name for p in parameters) if name in arguments}
    splits = call_for(spec.document, "custom_dataset", function, **arguments)
    if not isinstance(splits, Mapping):
        problem = f"custom_dataset: expected a mapping of splits to datasets, found {type(splits).__name__}"
        raise spec.document.error(problem, "custom_dataset")
    return splits


def _load_files(spec: TaskSpec, data_dir: Path | None) -> Mapping[str, Any]:
    """``dataset_path: json`` (csv, parquet) with ``data_files``: next to the task file, or a dataset's on the hub."""
    import datasets

    arguments = dict(spec.dataset_kwargs)
    files = arguments.pop("data_files", None)
    by_split = files if isinstance(files, Mapping) else {"train": files}
    paths = {split: _all_files(spec, names, data_dir) for split, names in by_split.items()}
    single = [found[0] for found in paths.values() if len(found) == 1]
    plain = spec.dataset_path == "json" and not arguments and len(single) == len(paths)
    if plain and all(path.suffix == ".jsonl" for path in single):
        return {split: read_jsonl(found[0]) for split, found in paths.items()}
    names = {split: [str(path) for path in found] for split, found in paths.items()}
    try:
        with quiet_hub():
            return datasets.load_dataset(spec.dataset_path, data_files=names, **arguments)  # type: ignore[no-any-return]
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        # The generation error only says that there was one; its cause says which.
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        found = ", ".join(path.name for paths_of_split in paths.values() for path in paths_of_split)
        raise DatasetError(f"{spec.task}: {found} cannot be read as {spec.dataset_path}: {reason}") from None


def _all_files(spec: TaskSpec, names: object, data_dir: Path | None) -> list[Path]:
    return [_file(spec, name, data_dir) for name in (names if isinstance(names, list) and names else [names])]


def _file(spec: TaskSpec, name: object, data_dir: Path | None) -> Path:
    on_hub = HubFile.parse(name)
    if on_hub is None:
        return _beside(spec, name)
    with quiet_hub():
        return on_hub.fetch(spec.task, data_dir)


def _beside(spec: TaskSpec, name: object) -> Path:
    if not isinstance(name, str):
        raise spec.document.error(f"dataset_kwargs.data_files: expected a file name, found {name!r}", "dataset_kwargs")
    candidates = (spec.document.lines.get("dataset_kwargs", (spec.path, 0))[0].parent / name, Path(name))
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise spec.document.error(f"there is no file {name!r} next to the task file", "dataset_kwargs")


def _load_from_hub(spec: TaskSpec, data_dir: Path | None) -> Mapping[str, Any]:
    import datasets
    from huggingface_hub.errors import HfHubHTTPError

    arguments = {k: v for k, v in spec.dataset_kwargs.items() if k != "trust_remote_code"}
    try:
        with quiet_hub():
            loaded = datasets.load_dataset(spec.dataset_path, spec.dataset_name, **arguments)
    except (OSError, ValueError, HfHubHTTPError, datasets.exceptions.DatasetsError) as error:
        _hub.unreachable |= isinstance(error, ConnectionError)
        raise DatasetError(_not_found(spec, data_dir, error)) from None
    return loaded  # type: ignore[no-any-return]


@dataclass(slots=True)
class _Hub:
    """What was learnt of the hub in this process."""

    unreachable: bool = False


_hub = _Hub()


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Keep retry warnings and progress bars out of test output; the error says what went wrong.

    An unreachable hub costs half a minute of retries: after the first time only its cache is asked.
    """
    import datasets

    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    offline = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = offline or _hub.unreachable
    logger.setLevel(logging.ERROR)
    try:
        with without_progress_bars():
            yield
    finally:
        logger.setLevel(level)
        datasets.config.HF_HUB_OFFLINE = offline


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Let no bar of datasets' into test output, where it would stand among the lines of a failure."""
    import datasets

    progress = datasets.utils.logging.is_progress_bar_enabled()
    datasets.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if progress:
            datasets.utils.logging.enable_progress_bar()


def _not_found(spec: TaskSpec, data_dir: Path | None, error: Exception) -> str:
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    layout = f"{spec.dataset_path}/{spec.dataset_name or 'default'}/<split>.jsonl"
    where = f"It is not in {data_dir} either" if data_dir else "No --lm-data-dir is set"
    return (
        f"{spec.task}: dataset {spec.dataset_path} cannot be loaded: {first_line}\n"
        f"{where}: to run without a hub, put its rows at <lm_data_dir>/{layout} (or .parquet)."
    )
