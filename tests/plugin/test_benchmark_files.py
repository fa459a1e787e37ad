"""The built-in benchmarks say where they come from, and what scripts write of them is what the scripts write now."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"


@pytest.fixture
def script(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script of this repository, imported and not run."""
    path = SCRIPTS / f"{request.param}.py"
    monkeypatch.syspath_prepend(SCRIPTS)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("script", ["benchmark_table"], indirect=True)
def test_every_file_has_a_header_with_source_licence_and_paper(script: ModuleType) -> None:
    rows = script.rows()
    assert len(rows) > 20
    for row in rows:
        assert row.header.about, row.header.path
        assert all(row.header.fields[name] for name in script.FIELDS), row.header.path


@pytest.mark.parametrize("script", ["benchmark_table"], indirect=True)
def test_a_file_without_a_header_is_found(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "ROOT", tmp_path)
    path = tmp_path / "t.yaml"
    path.write_text("# T: a task. See _base for source and licence.\ninclude: _other\ntask: t\n")
    (tmp_path / "_other").write_text("# source: here\n# licence: MIT\nrepeats: 1\n")
    with pytest.raises(LookupError, match=r"^t\.yaml: no header|^_other: no header"):
        script.header_of(path)
    (tmp_path / "_base").write_text(
        "# T's data, and\n# more.\n# source: here,\n# and there\n# licence: MIT\n# paper: P\na: 1\n"
    )
    header = script.header_of(path)
    assert (header.path, header.about) == (tmp_path / "_base", "T's data, and more.")
    assert header.fields == {"source": "here, and there", "licence": "MIT", "paper": "P"}


@pytest.mark.parametrize("script", ["benchmark_table"], indirect=True)
def test_the_page_is_what_the_headers_say(script: ModuleType) -> None:
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), "run scripts/benchmark_table.py"


@pytest.mark.parametrize(("script", "files"), [("benchmark_families", 400), ("math_tasks", 20)], indirect=["script"])
def test_families_are_what_their_script_writes(
    script: ModuleType, files: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = script.TASKS
    for folder in committed.iterdir():
        (tmp_path / folder.name).mkdir()
    monkeypatch.setattr(script, "TASKS", tmp_path)
    _compare_written(script, tmp_path, committed, files)


@pytest.mark.parametrize(
    ("script", "files"),
    [("mmlu_tasks", 62), ("mmlu_pro_tasks", 15), ("bbh_tasks", 113), ("mgsm_tasks", 33)],
    indirect=["script"],
)
def test_a_family_is_what_its_script_writes(
    script: ModuleType, files: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = script.FOLDER
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    _compare_written(script, tmp_path, committed, files)


def _compare_written(script: ModuleType, folder: Path, committed: Path, files: int) -> None:
    """Run the script, which writes ``files`` files or more to ``folder``."""
    script.main()
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert len(written) >= files
    for path in written:
        expected = (committed / path.relative_to(folder)).read_text(encoding="utf-8")
        assert path.read_text(encoding="utf-8") == expected, f"run scripts/{script.__name__}.py"
