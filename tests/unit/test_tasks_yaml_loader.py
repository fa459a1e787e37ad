from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.tasks.functions import resolve
from pytest_lmeval.tasks.sources import lm_eval_tasks
from pytest_lmeval.tasks.yaml_loader import MAX_BYTES, FunctionReference, TaskDocument, read_task_file

from .making import write


def read(path: Path) -> TaskDocument:
    document = read_task_file(path)
    assert document is not None
    return document


def test_keys_and_their_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "t.yaml", "# a comment\n\ntask: t\nnested:\n  a: 1\n\nlast: [2]\n")
    document = read(path)
    assert dict(document.data) == {"task": "t", "nested": {"a": 1}, "last": [2]}
    assert dict(document.lines) == {"task": (path, 3), "nested": (path, 4), "last": (path, 7)}
    assert str(document.error("wrong", "last")) == f"{path}:7: wrong"
    assert str(document.error("wrong", "absent")) == f"{path}: wrong"


def test_includes_are_merged_shallowly_left_to_right_and_local_keys_win(tmp_path: Path) -> None:
    one = write(tmp_path / "deep" / "_one", "a: 1\nb: 1\nc: {x: 1, y: 1}\ntask_list: [z]\ninclude: ../_zero\n")
    two = write(tmp_path / "_two", "b: 2\nd: 2\n")
    zero = write(tmp_path / "_zero", "a: 0\nzero: 0\n")
    path = write(tmp_path / "t.yaml", "include: [deep/_one, _two]\ntask: t\nc: {y: 3}\n")
    document = read(path)
    assert dict(document.data) == {"a": 1, "zero": 0, "b": 2, "c": {"y": 3}, "d": 2, "task": "t"}
    assert document.lines["zero"] == (zero, 2)
    assert document.lines["a"] == (one, 1)
    assert document.lines["b"] == (two, 1)
    assert document.lines["c"] == (path, 3)
    assert document.path == path


def test_merging_is_the_references(tmp_path: Path) -> None:
    loader = pytest.importorskip("lm_eval.tasks._yaml_loader", reason="the oracle, lm-eval, is not installed")
    write(tmp_path / "_base", "metadata: {version: 1, x: 2}\nrepeats: 2\ntask: base\ntag: [a]\ntask_list: [q]\n")
    write(tmp_path / "_more", "include: _base\nrepeats: 3\n")
    write(tmp_path / "_last", "repeats: 4\ntag: b\n")
    path = write(tmp_path / "t.yaml", "include:\n  - _more\n  - _last\nmetadata: {version: 2}\nuntil: '\\n'\n")
    assert read(path).data == loader.load_yaml(path, resolve_func=False)
    assert read(path).data["repeats"] == 4


def test_a_function_belongs_to_the_file_that_names_it(tmp_path: Path) -> None:
    base = write(tmp_path / "base" / "_base", "process_docs: !function utils.f\ndeep: [{g: !function utils.f}]\n")
    write(tmp_path / "base" / "utils.py", "def f():\n    return 'base'\n")
    write(tmp_path / "utils.py", "def f():\n    return 'own'\n")
    path = write(tmp_path / "t.yaml", "task: t\ninclude: base/_base\ndoc_to_text: !function utils.f\n")
    data = read(path).data
    assert data["process_docs"] == FunctionReference(base, 1, "utils.f")
    assert data["deep"] == [{"g": FunctionReference(base, 2, "utils.f")}]
    assert data["doc_to_text"] == FunctionReference(path, 3, "utils.f")
    assert (resolve(data["process_docs"])(), resolve(data["doc_to_text"])()) == ("base", "own")
    assert str(data["doc_to_text"]) == "!function utils.f"


def test_reading_runs_no_code(tmp_path: Path) -> None:
    write(tmp_path / "utils.py", f"open({str(tmp_path / 'ran')!r}, 'w')\ndef f(): pass\n")
    read(write(tmp_path / "t.yaml", "task: t\nprocess_docs: !function utils.f\n"))
    assert not (tmp_path / "ran").exists()


def test_a_diamond_is_no_cycle(tmp_path: Path) -> None:
    write(tmp_path / "_top", "a: 1\n")
    write(tmp_path / "_left", "include: _top\nl: 1\n")
    write(tmp_path / "_right", "include: _top\nr: 1\n")
    path = write(tmp_path / "t.yaml", "task: t\ninclude: [_left, _right]\n")
    assert dict(read(path).data) == {"a": 1, "l": 1, "r": 1, "task": "t"}


def test_a_cycle_is_named(tmp_path: Path) -> None:
    write(tmp_path / "b.yaml", "include: c.yaml\n")
    write(tmp_path / "c.yaml", "include: b.yaml\n")
    with pytest.raises(TaskFileError, match=r"include cycle: t\.yaml -> b\.yaml -> c\.yaml -> b\.yaml"):
        read_task_file(write(tmp_path / "t.yaml", "task: t\ninclude: b.yaml\n"))


@pytest.mark.parametrize("text", ["services: {web: 1}\n", "- a\n- b\n", "just text\n", "", "# nothing\n", "3\n"])
def test_yaml_of_another_kind_is_no_task(tmp_path: Path, text: str) -> None:
    assert read_task_file(write(tmp_path / "other.yaml", text)) is None


@pytest.mark.parametrize("kind", ["task", "group", "class"])
def test_kinds(tmp_path: Path, kind: str) -> None:
    assert read(write(tmp_path / "t.yaml", f"{kind}: name\n")).data == {kind: "name"}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("task: t\ntext: [1, 2\nb: 3\n", 3, "not valid YAML: did not find expected ',' or ']' (while parsing a flow"),
        ("task: t\n  b: 1\n", 2, "not valid YAML: mapping values are not allowed in this context"),
        ("task: t\n\tb: 1\n", 2, "not valid YAML: found a tab character that violates indentation"),
        ("task: t\na: !other x\n", 2, "not valid YAML: could not determine a constructor for the tag '!other'"),
        ("task: t\na: !!python/object/apply:os.getcwd []\n", 2, "could not determine a constructor"),
        ("task: t\n---\ntask: u\n", 2, "not valid YAML: but found another document"),
        ("task: t\na: *x\n", 2, "undefined alias"),
        ("task: t\ninclude: absent.yaml\n", 2, "include: there is no file 'absent.yaml' next to t.yaml"),
        ("task: t\n\ninclude: {a: 1}\n", 3, "include: "),
        ("task: t\ninclude: [3]\n", 2, "include: expected a file name or a list of them, found 3"),
        ("task: t\ninclude: .\n", 2, "include: there is no file '.' next to t.yaml"),
    ],
)
def test_mistakes_are_located(tmp_path: Path, text: str, line: int, message: str) -> None:
    path = write(tmp_path / "t.yaml", text)
    with pytest.raises(TaskFileError) as caught:
        read_task_file(path)
    assert message in caught.value.problem
    assert (caught.value.path, caught.value.line) == (path, line)


def test_an_included_list_is_an_error(tmp_path: Path) -> None:
    base = write(tmp_path / "_base", "[1]\n")
    with pytest.raises(TaskFileError, match="expected a mapping of keys to values, found a list") as caught:
        read_task_file(write(tmp_path / "t.yaml", "task: t\ninclude: _base\n"))
    assert caught.value.path == base


def test_not_text(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(b"task: caf\xe9\n")
    with pytest.raises(TaskFileError, match=r"not UTF-8 text \(byte 9\)"):
        read_task_file(path)


def test_too_large(tmp_path: Path) -> None:
    path = write(tmp_path / "t.yaml", "task: t\n#" + "x" * MAX_BYTES)
    with pytest.raises(TaskFileError, match="larger than 4,000,000 bytes: not a task file"):
        read_task_file(path)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(TaskFileError, match="cannot be read: No such file or directory"):
        read_task_file(tmp_path / "absent.yaml")


def test_a_byte_order_mark_is_no_part_of_a_key(tmp_path: Path) -> None:
    assert read(write(tmp_path / "t.yaml", "\ufefftask: t\n")).data == {"task": "t"}


NESTED = {"flow": "a: " + "[" * 100_000, "block": "a:\n " + "- " * 100_000 + "x", "mapping": "a: " + "{b: " * 100_000}


@pytest.mark.parametrize("text", NESTED.values(), ids=NESTED)
def test_deep_nesting_is_refused(tmp_path: Path, text: str) -> None:
    """Composed by libyaml it would end the process."""
    with pytest.raises(TaskFileError, match="nested too deeply to be a task file"):
        read_task_file(write(tmp_path / "t.yaml", f"task: t\n{text}"))


def test_a_long_file_is_not_a_deep_one(tmp_path: Path) -> None:
    samples = "".join(f"- {{a: [{i}, -1], b: x}}\n" for i in range(500))
    assert len(read(write(tmp_path / "t.yaml", f"task: t\nsamples:\n{samples}")).data["samples"]) == 500


def test_merge_keys_at_the_top(tmp_path: Path) -> None:
    path = write(tmp_path / "t.yaml", "base: &b {repeats: 2}\n<<: *b\ntask: t\n")
    document = read(path)
    assert document.data["repeats"] == 2
    assert document.lines["repeats"] == (path, 1)


def test_a_lattice_of_includes_is_read_in_linear_time(tmp_path: Path) -> None:
    write(tmp_path / "_0", "a: 0\n")
    for i in range(1, 60):
        write(tmp_path / f"_{i}", f"include: [_{i - 1}, _{i - 1}]\n")
    assert dict(read(write(tmp_path / "t.yaml", "task: t\ninclude: _59\n")).data) == {"a": 0, "task": "t"}


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed lm-eval of three files, found as the real one is."""
    tasks = tmp_path / "site" / "lm_eval" / "tasks"
    write(tmp_path / "site" / "lm_eval" / "__init__.py", "raise AssertionError('imported')\n")
    write(tasks / "arc" / "easy.yaml", "include: _base\ntask: arc\nprocess_docs: !function utils.f\n")
    write(tasks / "arc" / "_base", "repeats: 2\n")
    write(tasks / "arc" / "utils.py", "def f():\n    return 'harness'\n")
    write(tmp_path / "site" / "lm_eval" / "secret.yaml", "a: 1\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "lm_eval", raising=False)
    lm_eval_tasks.cache_clear()
    return tasks.resolve()


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    lm_eval_tasks.cache_clear()


def test_a_file_of_the_installed_harness_is_included(tmp_path: Path, harness: Path) -> None:
    path = write(tmp_path / "t.yaml", "include: lm_eval:arc/easy.yaml\ntask: t\ngate: {acc: 0.3}\n")
    document = read(path)
    assert dict(document.data) == {
        "repeats": 2,
        "task": "t",
        "process_docs": FunctionReference(harness / "arc" / "easy.yaml", 3, "utils.f"),
        "gate": {"acc": 0.3},
    }
    assert document.lines["repeats"] == (harness / "arc" / "_base", 1)
    assert resolve(document.data["process_docs"])() == "harness"


@pytest.mark.usefixtures("harness")
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("lm_eval:arc/absent.yaml", "include: there is no file 'lm_eval:arc/absent.yaml' in "),
        ("lm_eval:../secret.yaml", "include: 'lm_eval:../secret.yaml' lies outside the task files of lm-eval"),
        ("lm_eval:/etc/passwd", "include: 'lm_eval:/etc/passwd' lies outside the task files of lm-eval"),
        ("lm_eval:", "include: there is no file 'lm_eval:' in "),
    ],
)
def test_an_include_stays_inside_the_harness(tmp_path: Path, name: str, problem: str) -> None:
    path = write(tmp_path / "t.yaml", f"task: t\ninclude:\n  - '{name}'\n")
    with pytest.raises(TaskFileError) as caught:
        read_task_file(path)
    assert caught.value.problem.startswith(problem)
    assert (caught.value.path, caught.value.line) == (path, 2)


def test_a_link_does_not_lead_out_of_the_harness(tmp_path: Path, harness: Path) -> None:
    (harness / "link.yaml").symlink_to(harness.parent / "secret.yaml")
    with pytest.raises(TaskFileError, match="lies outside the task files of lm-eval"):
        read_task_file(write(tmp_path / "t.yaml", "task: t\ninclude: lm_eval:link.yaml\n"))


def test_without_the_harness_the_command_that_installs_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [PathFinder])
    monkeypatch.delitem(sys.modules, "lm_eval", raising=False)
    lm_eval_tasks.cache_clear()
    path = write(tmp_path / "t.yaml", "task: t\n\ninclude: lm_eval:arc/easy.yaml\n")
    with pytest.raises(TaskFileError) as caught:
        read_task_file(path)
    assert str(caught.value) == (
        f"{path}:3: include: 'lm_eval:arc/easy.yaml' is a file of lm-eval, which is not installed: "
        "pip install lm-eval==0.4.13"
    )


def test_includes_do_not_go_on_without_end(tmp_path: Path) -> None:
    for i in range(300):
        write(tmp_path / f"_{i}", f"include: _{i + 1}\n")
    path = write(tmp_path / "t.yaml", "task: t\ninclude: _0\n")
    with pytest.raises(TaskFileError, match="includes more than 100 files in a row") as caught:
        read_task_file(path)
    assert caught.value.path == path


def test_a_template_that_has_changed_is_read_again(tmp_path: Path) -> None:
    base = write(tmp_path / "_base", "repeats: 1\n")
    path = write(tmp_path / "t.yaml", "task: t\ninclude: _base\n")
    assert read(path).data["repeats"] == 1
    write(base, "repeats: 20\n")
    assert read(path).data["repeats"] == 20
