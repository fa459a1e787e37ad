"""Single files of datasets on the hub, as task files name them: ``hf://datasets/OWNER/NAME[@REVISION]/PATH``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_lmeval.errors import DatasetError

_PREFIX = "hf://datasets/"


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a dataset repository; ``revision`` is a branch, tag or commit, None for the newest."""

    repository: str
    path: str
    revision: str | None

    @classmethod
    def parse(cls, name: object) -> HubFile | None:
        """Return what ``name`` stands for; None where it is no such address."""
        if not isinstance(name, str) or not name.startswith(_PREFIX):
            return None
        owner, _, rest = name.removeprefix(_PREFIX).partition("/")
        repository, _, path = rest.partition("/")
        repository, _, revision = repository.partition("@")
        return cls(f"{owner}/{repository}", path, revision or None)

    def fetch(self, task: str, data_dir: Path | None) -> Path:
        """Return the file: ``<data_dir>/OWNER/NAME/PATH``, else from the hub or its local cache.

        Raises DatasetError, which says where ``task`` looked.
        """
        local = self._below(data_dir) if data_dir is not None else None
        return local or self._download(task, data_dir)

    def _below(self, data_dir: Path) -> Path | None:
        base = data_dir.resolve()
        path = (base / self.repository / self.path).resolve()
        # An address is text from a task file: it must not lead out of the folder.
        return path if path.is_relative_to(base) and path.is_file() else None

    def _download(self, task: str, data_dir: Path | None) -> Path:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError

        try:
            found = hf_hub_download(self.repository, self.path, repo_type="dataset", revision=self.revision)
        except (OSError, ValueError, HfHubHTTPError) as error:
            raise DatasetError(self._not_found(task, data_dir, error)) from None
        return Path(found)

    def _not_found(self, task: str, data_dir: Path | None, error: Exception) -> str:
        first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        where = f"It is not in {data_dir} either" if data_dir else "No --lm-data-dir is set"
        return (
            f"{task}: {self.path} of dataset {self.repository} cannot be loaded: {first_line}\n"
            f"{where}: to run without a hub, put it at <lm_data_dir>/{self.repository}/{self.path}."
        )
