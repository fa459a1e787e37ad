from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.errors import TaskFileError
from pytest_lmeval.tasks.index.scanner import KEYS, scan
from pytest_lmeval.tasks.sources import builtin_tasks, lm_eval_tasks
from pytest_lmeval.tasks.yaml_loader import parse_file


def parsed(path: Path) -> dict[str, Any] | None:
    """What the YAML parser says; None where it refuses."""
    try:
        data, _ = parse_file(path)
    except TaskFileError:
        return None
    return {key: True if key == "class" else data[key] for key in KEYS if key in data}


PLAIN = {
    "words": ("task: a_b-1.0\noutput_type: multiple_choice\n", {"task": "a_b-1.0", "output_type": "multiple_choice"}),
    "no newline at the end": ("task: a", {"task": "a"}),
    "comments": ("# c\n\ntask: a # 'c\n  # \"c\ntag: b\n", {"task": "a", "tag": "b"}),
    "quoted": ('"task": "a b"\ntag: \'é: #\'\n', {"task": "a b", "tag": "é: #"}),
    "lists": ("tag:\n  - a\n  - 'b'\ninclude:\n- ../x\n- y/z.yaml # c\n", {"tag": ["a", "b"]}),
    "empty": ("task: a\ntag:\ninclude:\n", {"task": "a", "tag": None, "include": None}),
    "the last of a key counts": ("task: a\ntask: b\n", {"task": "b"}),
    "class": ("class: !function x.Y\ntask: a\n", {"class": True, "task": "a"}),
    "block": ("description: |\n  task: no\n\n   'x\n  [\ntask: a\n", {"task": "a"}),
    "folded": ("description: >-\n  task: no\n# c\ntask: a\n", {"task": "a"}),
    "text over lines": ("description: it's\n  'x\n  [y\n\n  task- no\ntask: a\n", {"task": "a"}),
    "quotes over lines": ("description: 'a\ntask: no\n  it''s'\ntask: a\n", {"task": "a"}),
    "double quotes over lines": ('d: "\\"\ntask: no\n\n"\ntask: a\n', {"task": "a"}),
    "quotes below their key": ("description:\n  'a\n\n  b'\ntask: a\n", {"task": "a"}),
    "nested quotes over lines": ("m:\n  x: 'a\ntask: no\n    b'\n  y: z\ntask: a\n", {"task": "a"}),
    "nested": ("metric_list:\n  - metric: acc\n    x: [1, 'a']\n  - metric: b\ntask: a\n", {"task": "a"}),
    "a quote in a nested text": ("m:\n  - it's\n  - 5'\ntask: a\n", {"task": "a"}),
    "function": ("process_docs: !function 'u.f'\ntask: a\n", {"task": "a"}),
    "another kind": ("services:\n  web: x\n", {}),
}

UNCLEAR = {
    "nothing": "",
    "comments alone": "# a\n",
    "brackets over lines": "x: [1,\ntask: no\n]\ntask: a\n",
    "braces": "x: {a: 1,\ntask: no}\ntask: a\n",
    "braces on a line": "task: a\nx: {a: 1}\n",
    "a continued text that opens no quote": "m:\n  - a\n    'x\n  - b\ntask: a\nd: it's\n",
    "nested block": "m:\n  x: |\n    'a\ntask: a\n",
    "a number": "task: 1\n",
    "a truth": "task: yes\n",
    "nothing at all": "task: ~\n",
    "text with a colon": "task: a:b\n",
    "text with spaces": "task: a b\n",
    "text over lines": "task: a\n  b\n",
    "an escape": 'task: "a\\nb"\n',
    "a quote in quotes": "task: 'it''s'\n",
    "an anchor": "task: &x a\n",
    "an alias": "x: &x a\ntask: *x\n",
    "a merge": "b: &b {task: x}\n<<: *b\n",
    "a tag": "task: !!str 1\n",
    "an inline task": "group: g\ntask:\n  - task: a\n    x: 1\n",
    "a list in a list": "tag:\n  - - a\n",
    "a text that goes on like a list": "tag:\n  - a\n    - b\n",
    "brackets": "tag: [a, b]\n",
    "a document mark": "---\ntask: a\n",
    "two documents": "task: a\n---\ntask: b\n",
    "a directive": "%YAML 1.1\n---\ntask: a\n",
    "indented": "  task: a\n",
    "a space before the colon": "task : a\n",
    "a complex key": "? task\n: a\n",
    "a tab": "task:\ta\n",
    "carriage returns": "x: 'a\r\ntask: b'\r\n",
    "a next line character": "x: a\u0085task: b\n",
    "a line separator": "x: a\u2028task: b\n",
    "a byte order mark": "\ufefftask: a\n",
    "a list": "- task: a\n",
    "no key": "task\n",
    "an open quote": "task: a\nx: 'b\n",
    "an unknown indentation": "task: a\n  b: c\n",
}


@pytest.mark.parametrize(("text", "found"), PLAIN.values(), ids=PLAIN)
def test_what_is_plain_is_read(tmp_path: Path, text: str, found: dict[str, Any]) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(text, encoding="utf-8")
    scanned = scan(text)
    assert scanned == parsed(path)
    assert scanned is not None
    assert scanned.items() >= found.items()


@pytest.mark.parametrize("text", UNCLEAR.values(), ids=UNCLEAR)
def test_what_is_not_plain_is_left_to_the_parser(text: str) -> None:
    assert scan(text) is None


PIECES = (
    """
task: a|tag: b|tag:|include:|x:|m:|- a|- 'b'|  - a|  - "x y"|  - 'b|    c'|  y: z|  y: 'a|  - k: "q|  - k: v
|    w: [1, 'a']|x: >|  y: >|    # 'h|  # "c|# c'||  it's a|   'open|  'closed'|x: it's|x: [a, 'b|']|x: 'm|n'
|x: "\\|"|  - [a|  b]|- k: !function u.f|  - - a|x: !function 'u.f'|tag: [a]|   - d| e|x: a # 'b|x: &a b|*a|{|}
""".replace("\n|", "|")
    .strip("\n")
    .split("|")
)


def test_made_up_files_are_read_as_the_parser_reads_them(tmp_path: Path) -> None:
    draw = random.Random(1)
    path = tmp_path / "t.yaml"
    read = 0
    for _ in range(10_000):
        text = "".join(f"{line}\n" for line in draw.choices(PIECES, k=draw.randint(1, 9)))
        found = scan(text)
        if found is None:
            continue
        path.write_text(text, encoding="utf-8")
        # Of a file that the parser refuses nothing is promised; reading the task tells.
        if (expected := parsed(path)) is not None:
            assert found == expected, text
            read += 1
    assert read > 400


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.suffix in ("", ".yaml") and path.is_file())


def test_every_builtin_file_is_read_as_the_parser_reads_it() -> None:
    _agree(_files(builtin_tasks()))


def test_every_file_of_the_reference_is_read_as_the_parser_reads_it() -> None:
    tasks = lm_eval_tasks()
    if tasks is None:
        pytest.skip("lm-eval is not installed")
    files = _files(tasks)
    assert len(files) > 14_000
    # All 14,561 agree, as benchmarks/catalogue_index.py checks; here each fourth.
    unclear = _agree(files[::4])
    assert unclear < 100


def _agree(files: list[Path]) -> int:
    scanned = {path: scan(path.read_text(encoding="utf-8")) for path in files}
    plain = {path: found for path, found in scanned.items() if found is not None}
    assert {path: parsed(path) for path in plain} == plain
    return len(files) - len(plain)
