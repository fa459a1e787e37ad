"""A small project with task files, and a model that knows what its ``knows`` says."""

from __future__ import annotations

import json
import os
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import syrupy

CHOICE = """\
task: {name}
tag: {tag}
dataset_path: json
dataset_kwargs: {{data_files: {{test: data/{name}.jsonl}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: [north, south]
doc_to_target: answer
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
"""

GENERATION = """\
task: sums
dataset_path: json
dataset_kwargs: {data_files: {test: data/sums.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "One more than {{number}} is"
doc_to_target: "{{number + 1}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 4}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
"""

GROUP = """\
group: waters
task: [lakes, seas]
aggregate_metric_list:
  - {metric: acc, weight_by_size: true}
"""

# A backend of a third party: an entry point of a distribution on sys.path, which xdist's workers share.
# It answers document n rightly where n < knows, less forgets for each time it was asked before, and notes down each
# stream and each question with its process.
PUPIL = """
import os
import re
from collections import Counter
from dataclasses import dataclass

from pytest_lmeval.backends.fake import FakeBackend
from pytest_lmeval.backends.protocol import BackendPlugin, Usage

ASKED = {asked!r}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    knows: int = 1000
    forgets: int = 0
    window: int = 64
    breaks: str = ""
    metered: bool = False
    broken: bool = False


def note(text):
    with open(ASKED, "a", encoding="utf-8") as file:
        file.write(f"{{os.getpid()}} {{text}}\\n")


class Pupil(FakeBackend):
    def __init__(self, options):
        super().__init__(loglikelihood=self.choose, generate=self.write, window=options.window)
        self.options = options
        self.times = Counter()
        note("open")

    def choose(self, context, continuation):
        if self.options.broken:
            return float("nan"), False
        number = int(re.findall(r"\\d+", context)[-1])
        is_right = continuation.strip() == ("north", "south")[number % 2]
        return (-1.0 if is_right == self.knows(number, context, continuation) else -2.0), is_right

    def write(self, context, settings):
        number = int(re.findall(r"\\d+", context)[-1])
        return str(number + 1) if self.knows(number, context) else "unknown"

    def knows(self, number, *asked):
        self.times[asked] += 1
        return number < self.options.knows - self.options.forgets * (self.times[asked] - 1)

    def loglikelihood(self, requests):
        note("stream")
        return super().loglikelihood(map(self.noted, requests))

    def generate_until(self, requests):
        note("stream")
        return super().generate_until(map(self.noted, requests))

    def noted(self, request):
        note(f"{{request.context}}|{{getattr(request, 'continuation', '')}}")
        if self.options.breaks and self.options.breaks in request.context:
            raise RuntimeError("the engine broke")
        return request

    def close(self):
        note("close")
        super().close()


class MeteredPupil(Pupil):
    @property
    def usage(self):
        return Usage(calls=len(self.asked), prompt_tokens=10 * len(self.asked), completion_tokens=0, cost=0.5)


def open_model(name, options):
    if name == "absent":
        raise OSError("no such weights")
    return (MeteredPupil if options.metered else Pupil)(options)


plugin = BackendPlugin(summary="knows some", options=Options, open=open_model, name_required=False)
"""

ROOT_TASKS = ("tasks/rivers.yaml::rivers", "tasks/sums.yaml::sums")
GROUP_ITEMS = tuple(f"tasks/waters/waters.yaml::{name}" for name in ("lakes", "seas", "waters"))
ALL_ITEMS = (*ROOT_TASKS, *GROUP_ITEMS)


class Asked(NamedTuple):
    """A line of the pupil's notes."""

    process: int
    text: str


class Project:
    """The folder a test works in. Files are written by name, runs happen in this process unless said otherwise."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.write("pytest.ini", "[pytest]\nstrict_markers = true\nstrict_config = true\n")

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def read(self, name: str) -> str:
        return (self.path / name).read_text(encoding="utf-8")

    def python(self, body: str, name: str = "test_own") -> Path:
        return self.write(f"{name}.py", f"import pytest\n\n{body}")

    def choice_task(
        self,
        name: str,
        numbers: Sequence[int] = range(10),
        *,
        folder: str = "tasks",
        tag: str = "geography",
        extra: str = "",
    ) -> Path:
        self.data(f"{folder}/data/{name}.jsonl", [question(name, number) for number in numbers])
        return self.write(f"{folder}/{name}.yaml", CHOICE.format(name=name, tag=tag) + extra)

    def generation_task(self, count: int = 6) -> Path:
        self.data("tasks/data/sums.jsonl", [{"number": number} for number in range(count)])
        return self.write("tasks/sums.yaml", GENERATION)

    def group(self, sizes: tuple[int, int] = (4, 4), extra: str = "") -> Path:
        for name, size in zip(("lakes", "seas"), sizes, strict=True):
            self.choice_task(name, range(size), folder="tasks/waters", tag="water")
        return self.write("tasks/waters/waters.yaml", GROUP + extra)

    def everything(self) -> Project:
        """Write two tasks and a group of two: ``ALL_ITEMS``."""
        self.choice_task("rivers")
        self.generation_task()
        self.group()
        return self

    def data(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
        return self.write(name, "".join(json.dumps(row) + "\n" for row in rows))

    def run(self, *args: str) -> pytest.RunResult:
        # Syrupy keeps its session in a global, which the run that tests us uses too.
        session, syrupy._syrupy = syrupy._syrupy, None
        kept = _KeepModules()
        try:
            return self.pytester.runpytest_inprocess(*args, plugins=[kept])
        finally:
            syrupy._syrupy = session
            sys.modules.update(kept.modules)

    def collect(self, *args: str) -> list[str]:
        """The node ids that a run selects, in order."""
        lines = self.run("--collect-only", "-q", *args).stdout.lines
        return [line for line in lines if "::" in line and " " not in line]

    def baseline(self, task: str, model: str = "pupil") -> Path:
        return self.path / "baselines" / model / f"{task}.json"

    def baselines(self) -> dict[str, str]:
        folder = self.path / "baselines"
        return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}

    def asked(self) -> list[Asked]:
        """What the pupil noted since the last call."""
        path = self.path / "asked.txt"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [Asked(int(line.split(" ", 1)[0]), line.split(" ", 1)[1]) for line in lines]

    def report(self, name: str = "report.json") -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.read(name))
        return data

    def junit(self, name: str = "junit.xml") -> dict[str, ET.Element]:
        return {case.attrib["name"]: case for case in ET.fromstring(self.read(name)).iter("testcase")}


def question(name: str, number: int) -> dict[str, Any]:
    return {"question": f"Where does {name} {number} flow?", "answer": number % 2}


def install_pupil(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the pupil's distribution where ``importlib.metadata`` finds it, here and in xdist's workers."""
    site = "site"
    project.write(f"{site}/pupil.py", PUPIL.format(asked=str(project.path / "asked.txt")))
    project.write(f"{site}/pupil-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: pupil\nVersion: 1.0\n")
    project.write(f"{site}/pupil-1.0.dist-info/entry_points.txt", "[pytest_lmeval.backends]\npupil = pupil:plugin\n")
    monkeypatch.syspath_prepend(project.path / site)
    # Workers take over what sys.path was when xdist was imported, which is before this test.
    for module in ("xdist.plugin", "xdist.workermanage"):
        monkeypatch.setattr(f"{module}._sys_path", list(sys.path))


def text_of(run: pytest.RunResult) -> str:
    return f"{run.stdout.str()}\n{run.stderr.str()}"


def worker_variables() -> Iterator[str]:
    yield from (name for name in os.environ if name.startswith("PYTEST_XDIST_"))


class _KeepModules:
    """Remembers what a run imported of packages that cannot be imported twice; pytester forgets all of it."""

    def __init__(self) -> None:
        self.modules: dict[str, ModuleType] = {}

    def pytest_unconfigure(self) -> None:
        once = (
            "torch",
            "transformers",
            "tokenizers",
            "safetensors",
            "numpy",
            "scipy",
            "pyarrow",
            "datasets",
            "accelerate",
        )
        self.modules = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in once}
