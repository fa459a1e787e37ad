"""The index of folders: what it finds, that it notices every change, and that a bad cache is no answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_lmeval.tasks.index import cache, folder, manifest
from pytest_lmeval.tasks.index.build import build
from pytest_lmeval.tasks.index.entry import Entry, FolderIndex
from pytest_lmeval.tasks.index.folder import read_index

from .making import write

FILES = {
    "a.yaml": "task: a\ntag: [x, y]\noutput_type: generate_until\n",
    "b.yml": "include: deep/_base\ntask: b\n",
    "c.yaml": "class: !function c.C\ntask: c\ntag: y\n",
    "g.yaml": """
        group: g
        tag: x
        task:
          - a
          - {task: b, repeats: 2}
          - group: inner
            task: [c, {task: own, dataset_path: d}]
    """,
    "deep/_base": "tag: y\ntask: base\noutput_type: multiple_choice\n",
    "deep/z.yaml": "task: a\ntag: never\n",
    "deep/broken.yaml": "task: [\n",
    "deep/circle.yaml": "include: circle.yaml\ntask: circle\n",
    "deep/class.yaml": "class: !function c.C\n",
    "deep/notes.yaml": "notes: 1\n",
    "__pycache__/p.yaml": "task: p\n",
    ".venv/v.yaml": "task: v\n",
}


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        write(tmp_path / "tasks" / name, text)
    _age(tmp_path)
    return tmp_path / "tasks"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that keeps small folders too."""
    monkeypatch.setattr(folder, "KEPT_FROM", 0)
    monkeypatch.setenv("PYTEST_LMEVAL_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _age(root: Path, seconds: int = 10) -> None:
    """Let files be older than the clock's tick."""
    for path in root.rglob("*"):
        if path.is_file():
            status = path.stat()
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - seconds * 10**9))


def _builds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Record each time that a folder is indexed anew."""
    made: list[Path] = []

    def recorded(root: Path, files: list[str]) -> object:
        made.append(root)
        return build(root, files)

    monkeypatch.setattr(folder, "build", recorded)
    return made


def _same(one: FolderIndex, other: FolderIndex) -> bool:
    return one.entries == other.entries and [str(e) for e in one.broken] == [str(e) for e in other.broken]


def test_what_is_found(tasks: Path) -> None:
    index = read_index(tasks)
    assert index.entries == {
        "a": Entry("a", "task", f"{tasks}/a.yaml", ["x", "y"], "generate_until", []),
        "b": Entry("b", "task", f"{tasks}/b.yml", ["y"], "multiple_choice", []),
        "c": Entry("c", "class", f"{tasks}/c.yaml", ["y"], None, []),
        "g": Entry("g", "group", f"{tasks}/g.yaml", ["x"], None, ["a", "b", ["g::inner", ["c", "own"]]]),
    }
    # Tags of groups, and of a task whose name another file had first, are no tags.
    assert index.tags == {"x": ["a"], "y": ["a", "b", "c"]}
    assert [(error.path.name, error.line) for error in index.broken] == [("broken.yaml", 2), ("circle.yaml", None)]


def test_a_folder_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    assert read_index(tmp_path / "absent").entries == {}


@pytest.mark.parametrize("text", ["task: [a, b]\n", "task:\n", "task: {a: 1}\n", "group: [a]\ntask: [b]\n"])
def test_what_has_no_name_is_left_out(tmp_path: Path, text: str) -> None:
    write(tmp_path / "t.yaml", text)
    assert read_index(tmp_path).entries == {}


def test_a_number_is_a_name(tmp_path: Path) -> None:
    write(tmp_path / "t.yaml", "task: 2024\n")
    assert list(read_index(tmp_path).entries) == ["2024"]


def test_an_unchanged_folder_is_not_read_again(tasks: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = _builds(monkeypatch)
    first = read_index(tasks)
    second = read_index(tasks)
    assert len(made) == 1
    assert _same(first, second)
    assert len(list(kept.iterdir())) == 1


def _append(path: Path) -> None:
    path.write_text(path.read_text() + "\n")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a task": lambda tasks: _append(tasks / "a.yaml"),
    "a template without a suffix": lambda tasks: _append(tasks / "deep" / "_base"),
    "the time alone": lambda tasks: os.utime(tasks / "a.yaml", ns=(1, 1)),
    "a new file": lambda tasks: write(tasks / "deep" / "new.yaml", "task: new\n"),
    "a removed file": lambda tasks: (tasks / "a.yaml").unlink(),
    "a renamed file": lambda tasks: (tasks / "a.yaml").rename(tasks / "aa.yaml"),
    "a moved folder": lambda tasks: (tasks / "deep").rename(tasks / "deeper"),
    "a link": lambda tasks: (tasks / "link.yaml").symlink_to(tasks / "a.yaml"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.usefixtures("kept")
def test_every_change_is_noticed(
    tasks: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    made = _builds(monkeypatch)
    read_index(tasks)
    change(tasks)
    index = read_index(tasks)
    assert len(made) == 2
    fresh = build(tasks, manifest.take(tasks).paths)
    assert {entry.path for entry in index.entries.values()} <= {f"{tasks}/{entry.path}" for entry in fresh.entries}
    assert set(index.entries) == {entry.name for entry in fresh.entries}


@pytest.mark.usefixtures("kept")
def test_a_template_elsewhere_is_watched_too(tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = write(tmp_path / "outside", "tag: one\n")
    write(tasks / "o.yaml", "task: o\ninclude: ../outside\n")
    write(tasks / "m.yaml", "task: m\ninclude: ../missing\n")
    _age(tmp_path)
    made = _builds(monkeypatch)
    assert read_index(tasks).tags["one"] == ["o"]
    assert "m" not in read_index(tasks).entries
    assert len(made) == 1
    write(outside, "tag: two\n")
    assert read_index(tasks).tags["two"] == ["o"]
    write(tmp_path / "missing", "tag: three\n")
    assert read_index(tasks).tags["three"] == ["m"]


@pytest.mark.usefixtures("tasks")
def test_what_may_change_within_the_clocks_tick_is_not_kept(tasks: Path, kept: Path) -> None:
    write(tasks / "a.yaml", "task: a\n")
    read_index(tasks)
    assert not kept.exists()


def test_a_small_folder_is_not_kept(tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_LMEVAL_CACHE_DIR", str(tmp_path / "cache"))
    read_index(tasks)
    assert not (tmp_path / "cache").exists()


def _sealed(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change the content of a kept index and give it the hash that fits."""
    first, content = path.read_bytes().split(b"\n")
    data, header = json.loads(content), json.loads(first)
    change(data)
    content = json.dumps(data).encode()
    header["sha256"] = cache._header("", content)["sha256"]
    path.write_bytes(json.dumps(header).encode() + b"\n" + content)


def _replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


ROW: list[object] = ["a", "task", "a.yaml", [], None, []]
DEEP: list[object] = []
for _ in range(300):
    DEEP = [["n", DEEP]]

DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "empty": lambda path: path.write_bytes(b""),
    "one byte": lambda path: path.write_bytes(path.read_bytes().replace(b'"a"', b'"q"', 1)),
    "no JSON": lambda path: path.write_bytes(b"\x80\x04K\x01.\n"),
    "another format": lambda path: path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 0', 1)),
    "a list": lambda path: path.write_bytes(b"[]\n[]"),
    "a folder": _replace_by_a_folder,
    "no entries": lambda path: _sealed(path, lambda data: data.pop("entries")),
    "a path outside": lambda path: _sealed(path, lambda d: d.update(entries=[[*ROW[:2], "../secret.yaml", *ROW[3:]]])),
    "an unknown kind": lambda path: _sealed(path, lambda data: data.update(entries=[["a", "model", *ROW[2:]]])),
    "a name that is none": lambda path: _sealed(path, lambda data: data.update(entries=[[["a"], *ROW[1:]]])),
    "tags that are none": lambda path: _sealed(path, lambda d: d.update(entries=[[*ROW[:3], "xy", *ROW[4:]]])),
    "members without end": lambda path: _sealed(path, lambda data: data.update(entries=[[*ROW[:5], DEEP]])),
    "a short row": lambda path: _sealed(path, lambda data: data.update(entries=[ROW[:4]])),
    "a long row": lambda path: _sealed(path, lambda data: data.update(entries=[[*ROW, 1]])),
    "an error that is none": lambda path: _sealed(path, lambda data: data.update(broken=[[1]])),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_or_foreign_cache_counts_as_none(
    tasks: Path, kept: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], object]
) -> None:
    expected = read_index(tasks)
    (path,) = kept.iterdir()
    damage(path)
    made = _builds(monkeypatch)
    assert _same(read_index(tasks), expected)
    assert len(made) == 1
    assert not list(kept.glob(".*"))


def test_a_cache_that_cannot_be_written_is_done_without(tasks: Path, kept: Path) -> None:
    # A file where the directory should be: unlike permissions it stops the superuser too.
    kept.write_text("no directory")
    assert "a" in read_index(tasks).entries


def test_several_processes_may_keep_it_at_once(tasks: Path, kept: Path) -> None:
    expected = read_index(tasks)
    (path,) = kept.iterdir()
    script = (
        "import sys; from pathlib import Path; from pytest_lmeval.tasks.index import folder\n"
        "folder.KEPT_FROM = 0\n"
        "for _ in range(20):\n"
        "    Path(sys.argv[2]).unlink(missing_ok=True)\n"
        "    print(len(folder.read_index(Path(sys.argv[1])).entries))\n"
    )
    command = [sys.executable, "-c", script, str(tasks), str(path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert outputs == [[str(len(expected.entries))] * 20] * 3
    assert list(kept.iterdir()) == [path]
    assert _same(read_index(tasks), expected)


def test_where_it_is_kept(tmp_path: Path) -> None:
    (own,) = {cache.cache_file(tmp_path, {"PYTEST_LMEVAL_CACHE_DIR": "/own", "XDG_CACHE_HOME": "/x"})}
    assert own is not None
    assert own.parent == Path("/own")
    xdg = cache.cache_file(tmp_path, {"XDG_CACHE_HOME": "/x"})
    assert xdg == Path("/x/pytest-lmeval") / own.name
    relative = cache.cache_file(tmp_path, {"XDG_CACHE_HOME": "x"})
    assert relative is not None
    assert relative.is_relative_to(Path.home())
    assert cache.cache_file(tmp_path / "other", {"XDG_CACHE_HOME": "/x"}) != xdg


def test_the_whole_reference_has_the_names_that_it_gives_itself() -> None:
    manager = pytest.importorskip("lm_eval.tasks", reason="the oracle, lm-eval, is not installed").TaskManager()
    root = Path(pytest.importorskip("lm_eval.tasks").__file__).parent
    built = build(root, manifest.take(root).paths)
    entries: dict[str, Entry] = {}
    for entry in built.entries:
        entries.setdefault(entry.name, entry)
    index = FolderIndex(entries, built.broken)
    kinds = {"TASK": "task", "PY_TASK": "class", "GROUP": "group"}
    expected = {
        name: (kinds[entry.kind.name], str(entry.yaml_path.relative_to(root)))
        for name, entry in manager.task_index.items()
        if entry.kind.name != "TAG"
    }
    assert {name: (entry.kind, entry.path) for name, entry in entries.items()} == expected
    tags = {name: sorted(e.tags) for name, e in manager.task_index.items() if e.kind.name == "TAG"}
    assert index.tags == tags
    assert len(expected) + len(tags) == 14_683
    assert built.broken == []
