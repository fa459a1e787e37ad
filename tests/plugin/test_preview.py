"""``--lm-preview``: what a task asks, told without a model and without running anything."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .project import Project, text_of

PYTHON_TASK = """
import datasets
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask


class Own(ConfigurableTask):
    DATASET_PATH = "made/up"

    def __init__(self):
        super().__init__(config={"metadata": {"version": 1}})

    def download(self, *args, **kwargs):
        self.dataset = {"test": datasets.Dataset.from_list([{"text": f"Item {n} is"} for n in range(3)])}

    def has_training_docs(self):
        return False

    def has_validation_docs(self):
        return False

    def has_test_docs(self):
        return True

    def test_docs(self):
        return self.dataset["test"]

    def doc_to_text(self, doc, doc_to_text=None):
        return doc["text"]

    def doc_to_target(self, doc, doc_to_target=None):
        return "right"

    def construct_requests(self, doc, ctx, metadata=None, **kwargs):
        asked = [("loglikelihood", (ctx, " right")), ("generate_until", (ctx, {"until": ["."]}))]
        return [
            Instance(request_type=kind, doc=doc, arguments=arguments, idx=i, metadata=metadata)
            for i, (kind, arguments) in enumerate(asked)
        ]
"""

LEGEND = "· space at an end or in a run   → tab   ⏎ newline"


@pytest.mark.parametrize("name", ["rivers", "tasks/rivers.yaml", "{path}/tasks/rivers.yaml"])
def test_a_task_by_name_and_by_file(project: Project, name: str) -> None:
    project.choice_task("rivers")
    project.python("def test_own(): raise SystemExit(9)")
    run = project.run("--lm-preview=" + name.format(path=project.path))
    assert run.ret == pytest.ExitCode.OK
    assert run.stdout.lines[:17] == [
        LEGEND,
        "",
        "rivers  tasks/rivers.yaml",
        "  dataset  json data/rivers.jsonl, split test, 10 documents",
        "  output   multiple_choice",
        "  shots    0",
        "  shown    3 of 10",
        "",
        "document 0",
        "  context",
        "    │ Where does rivers 0 flow?",
        "  choices, scored after the context",
        "      gold 0 │ ·north",
        "           1 │ ·south",
        "",
        "document 1",
        "  context",
    ]
    assert run.stdout.lines[-1] == "           1 │ ·south"


def test_how_many_documents(project: Project) -> None:
    project.choice_task("rivers")

    def shown(*args: str) -> list[str]:
        return [line for line in project.run(*args).stdout.lines if line.startswith("document")]

    assert shown("--lm-preview=rivers:1") == ["document 0"]
    assert len(shown("--lm-preview=rivers:100")) == 10
    assert shown("--lm-preview=rivers:2", "--lm-limit=first:1") == ["document 0"]
    drawn = shown("--lm-preview=rivers", "--lm-limit=4")
    assert len(drawn) == 3
    assert shown("--lm-preview=rivers", "--lm-limit=4", "--lm-seed=7") != drawn


def test_the_settings_of_a_run_count(project: Project) -> None:
    project.generation_task()
    project.data("data/sums/default/test.jsonl", [{"number": 41}])
    project.write("elsewhere/other.yaml", "include: ../tasks/sums.yaml\ntask: other\ndataset_path: sums\n")
    project.write("pytest.ini", "[pytest]\nlm_task_paths = elsewhere\nlm_gen_kwargs = max_gen_toks=9\n")
    run = project.run("--lm-preview=other", "--lm-data-dir=data", "-v")
    run.stdout.fnmatch_lines(
        [
            "*│ One more than 41 is",
            '*until "⏎"',
            "*at most 9 tokens, greedy",
            "*│ 42",
            "  columns of the document",
            "*number │ 41",
        ]
    )


def test_a_group_shows_a_document_of_each_task(project: Project) -> None:
    project.group()
    run = project.run("--lm-preview=waters")
    run.stdout.fnmatch_lines([LEGEND, "waters: the first document of each of its 2 tasks", "", "lakes *", "seas *"])
    assert [line for line in run.stdout.lines if line.startswith("document")] == ["document 0"] * 2


def test_of_a_large_group_some_are_shown(project: Project) -> None:
    for number in range(12):
        project.choice_task(f"task{number}", range(4), tag="many")
    run = project.run("--lm-preview=many:2")
    run.stdout.fnmatch_lines(["many: the first 2 documents of 8 of its 12 tasks"])
    assert len([line for line in run.stdout.lines if line.startswith("document")]) == 16


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("rivres", "no task, group or tag is called 'rivres'. Did you mean rivers?"),
        ("rivers:0", "--lm-preview=rivers:0: expected 1 document or more"),
        ("", "--lm-preview: expected a task's name or file, as in --lm-preview=hellaswag:5"),
        ("tasks/absent.yaml", "tasks/absent.yaml: cannot be read: No such file or directory"),
        ("tasks/part.yaml", "--lm-preview=tasks/part.yaml: the file names no task and no group; *"),
        ("tasks/typo.yaml", "tasks/typo.yaml:2: doc_to_text: * is undefined. *"),
        ("tasks/code.yaml", "tasks/code.yaml:2: doc_to_text: KeyError: 'where'*"),
        ("tasks/python.yaml", "tasks/python.yaml:1: class: expected !function module.Class, found str 'Some'"),
        ("tasks/nodata.yaml", "tasks/nodata.yaml:*: there is no file 'absent.jsonl' next to the task file"),
    ],
    ids=["unknown", "zero", "empty", "absent", "part", "column", "function", "class", "no-data"],
)
def test_mistakes_are_told_in_one_message(project: Project, option: str, message: str) -> None:
    project.choice_task("rivers")
    project.write("tasks/part.yaml", "test_split: test\n")
    project.write("tasks/python.yaml", "class: Some\n")
    project.write("tasks/typo.yaml", "task: typo\ndoc_to_text: '{{where}}'\ninclude: rivers.yaml\n")
    project.write("tasks/code.yaml", "task: code\ndoc_to_text: !function own.text\ninclude: rivers.yaml\n")
    project.write("tasks/own.py", "def text(doc):\n    return doc['where']\n")
    data = "dataset_kwargs: {data_files: {test: absent.jsonl}}"
    project.write("tasks/nodata.yaml", f"task: nodata\n{data}\ninclude: rivers.yaml\n")
    run = project.run(f"--lm-preview={option}")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert "Traceback" not in text_of(run)
    assert LEGEND not in run.stdout.lines


def test_a_python_task(project: Project) -> None:
    pytest.importorskip("lm_eval", reason="Python tasks are lm-eval's")
    project.write("tasks/own.yaml", "task: own\nclass: !function own.Own\n")
    project.write("tasks/own.py", PYTHON_TASK)
    command = [sys.executable, "-m", "pytest", "--lm-preview=own:1", "--lm-limit=first:2"]
    run = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[2:] == [
        "own  tasks/own.yaml",
        "  dataset  made/up, split test, 3 documents",
        "  output   loglikelihood+generate_until",
        "  shots    0",
        "  shown    1 of the 2 that --lm-limit=first:2 chooses",
        "",
        "document 0",
        "  context",
        "    │ Item 0 is",
        "  continuation, scored after the context",
        "    │ ·right",
        "  context",
        "    │ Item 0 is",
        "  generates",
        '    until "."',
        "    at most 256 tokens, greedy",
        "  target",
        "    │ right",
    ]


def test_a_wrong_setting_is_told_too(project: Project) -> None:
    project.choice_task("rivers")
    run = project.run("--lm-preview=rivers", "--lm-limit=some")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["ERROR: --lm-limit: expected a number of documents*"])


def test_neither_ini_nor_environment_can_turn_runs_into_previews(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.choice_task("rivers")
    monkeypatch.setenv("PYTEST_LMEVAL_PREVIEW", "rivers")
    project.run("--lm-model=fake").assert_outcomes(passed=1)


def test_colours_only_where_they_are_wanted(project: Project) -> None:
    project.choice_task("rivers")
    assert "\x1b" not in project.run("--lm-preview=rivers").stdout.str()
    assert "\x1b[1mrivers\x1b[0m" in project.run("--lm-preview=rivers", "--color=yes").stdout.str()


@pytest.mark.parametrize(
    "arguments", [(), ("-n", "2", "--collect-only", "-q", "--lm-model=hf:no-such-model")], ids=["alone", "with-others"]
)
def test_no_model_and_no_torch(project: Project, arguments: tuple[str, ...]) -> None:
    project.choice_task("rivers")
    script = (
        "import pytest, sys; code = pytest.main(['--lm-preview=rivers', *sys.argv[1:]]);"
        "print(*sys.modules, sep='\\n', file=sys.stderr); sys.exit(code)"
    )
    command = [sys.executable, "-c", script, *arguments]
    run = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=False)
    assert run.returncode == 0
    assert run.stdout.count("document ") == 3
    assert not {"torch", "transformers"} & set(run.stderr.splitlines())


def test_a_stream_that_knows_only_ascii(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.choice_task("rivers")
    project.data("tasks/data/rivers.jsonl", [{"question": "Où? ", "answer": 0}])
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    command = [sys.executable, "-m", "pytest", "--lm-preview=rivers"]
    run = subprocess.run(command, cwd=project.path, capture_output=True, check=False)
    assert run.returncode == 0
    assert rb"    | O\xf9?\x20" in run.stdout.splitlines()
    assert run.stdout.isascii()
