from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.tasks.functions import resolve
from pytest_lmeval.tasks.yaml_loader import FunctionReference

from .making import write


def reference(folder: Path, name: str) -> FunctionReference:
    return FunctionReference(folder / "t.yaml", 4, name)


def test_beside_the_task_file_and_below(tmp_path: Path) -> None:
    write(tmp_path / "utils.py", "def f(): return __name__\n")
    write(tmp_path / "sub" / "more.py", "def f(): return 'below'\n")
    write(tmp_path / "sub" / "utils.py", "def f(): return 'other'\n")
    assert resolve(reference(tmp_path, "sub.more.f"))() == "below"
    # Two folders may both have a utils.py.
    assert resolve(reference(tmp_path / "sub", "utils.f"))() == "other"
    assert resolve(reference(tmp_path, "utils.f"))().startswith("pytest_lmeval_task_utils_")


def test_a_module_runs_once(tmp_path: Path) -> None:
    write(tmp_path / "utils.py", "state = []\ndef f(): return state\ndef g(): return state\n")
    assert resolve(reference(tmp_path, "utils.f"))() is resolve(reference(tmp_path, "utils.g"))()


def test_dataclasses_find_their_module(tmp_path: Path) -> None:
    write(
        tmp_path / "utils.py",
        """
        from __future__ import annotations
        from dataclasses import dataclass
        from typing import ClassVar

        @dataclass
        class Point:
            x: int
            kind: ClassVar[str] = "p"
        """,
    )
    assert [field.name for field in dataclasses.fields(resolve(reference(tmp_path, "utils.Point"))(1))] == ["x"]


def test_the_installed_catalogue(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="the catalogue, lm-eval, is not installed")
    from lm_eval.tasks.hellaswag.utils import process_docs

    assert resolve(reference(tmp_path, "lm_eval.tasks.hellaswag.utils.process_docs")) is process_docs
    assert process_docs.__code__.co_filename.endswith("hellaswag/utils.py")
    # Under its own file's reference it is the same module, not a second copy.
    path = Path(process_docs.__code__.co_filename).parent / "hellaswag.yaml"
    assert resolve(FunctionReference(path, 1, "utils.process_docs")) is process_docs


@pytest.mark.parametrize("name", ["os.system", "subprocess.run", "https://example.org/utils.f", "//host/share/utils.f"])
def test_code_from_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(TaskFileError, match="Code loads only from files next to the task"):
        resolve(reference(tmp_path, name))


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside.py", f"open({str(tmp_path / 'ran')!r}, 'w')\ndef f(): pass\n")
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "utils.py").symlink_to(outside)
    with pytest.raises(TaskFileError, match="Code loads only from files next to the task"):
        resolve(reference(folder, "utils.f"))
    # Two dots become a slash each: an absolute path.
    dotted = "." + str(outside.with_suffix("")).replace("/", ".") + ".f"
    with pytest.raises(TaskFileError, match="Code loads only from files next to the task"):
        resolve(reference(folder, dotted))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        ("x = 1\n", "utils.f", "!function utils.f: {path} has no 'f'"),
        ("f = 1\n", "utils.f", "!function utils.f: 'f' in {path} is not callable"),
        ("", "f", "!function f: expected 'module.function'"),
        ("", ".f", "!function .f: expected 'module.function'"),
        ("", "absent_module.f", "there is no absent_module.py for it below "),
        ("", "..utils.f", "Code loads only from files next to the task"),
        ("", "lm_eval.tasks.absent.f", "No module named 'lm_eval.tasks.absent'"),
        ("import lm_eval_absent, sklearn\n", "utils.f", "utils.py imports 'lm_eval_absent'"),
        ("import surely_absent.sub\n", "utils.f", "utils.py imports 'surely_absent': pip install surely_absent"),
        ("from os import nothing_like_it\n", "utils.f", "utils.py: cannot import name 'nothing_like_it'"),
        ("1 / 0\n", "utils.f", "utils.py cannot be imported: ZeroDivisionError: division by zero"),
    ],
    ids=lambda value: None,
)
def test_mistakes_are_at_the_line_that_names_the_function(tmp_path: Path, source: str, name: str, message: str) -> None:
    path = write(tmp_path / "utils.py", source)
    with pytest.raises(TaskFileError) as caught:
        resolve(reference(tmp_path, name))
    assert message.format(path=path) in caught.value.problem
    assert (caught.value.path, caught.value.line) == (tmp_path / "t.yaml", 4)


def test_a_syntax_error_is_at_its_own_line(tmp_path: Path) -> None:
    path = write(tmp_path / "utils.py", "x = 1\n\ndef f(:\n")
    with pytest.raises(TaskFileError, match="not valid Python: invalid syntax") as caught:
        resolve(reference(tmp_path, "utils.f"))
    assert (caught.value.path, caught.value.line) == (path, 3)
