"""How long the HTML report of a large run takes to write and to open, and how large it is.

``python -m benchmarks.report`` makes two runs: one task of 20,000 documents, and the shape of MMLU, 14,042 five-shot
documents in 57 tasks under a group. Texts are made up of seeded random words, as many as the benchmarks' have. Each
report is written ``--repeats`` times from the run's folder, as after a run, and opened as often in headless Chromium
with an empty profile. A page is interactive once the table of tasks is there and, of a task's address, its documents
are listed; then the filter for lost documents is clicked, and the time until the list has changed is added.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_lmeval.report.html.write import write_html
from pytest_lmeval.results import ItemResult
from pytest_lmeval.runs.run import Run
from pytest_lmeval.runs.tasks import TaskRecord
from tests.browser.browser import Browser, open_browser
from tests.unit.recorded_runs import ID, baseline_from, choice_item, record_of, result_of, write_made_run

_DOCUMENTS, _MMLU, _SUBJECTS = 20_000, 14_042, 57
_VOCABULARY = 20_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args(arguments).repeats
    print(f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {_machine()}, medians of {repeats} (least to most)\n")
    print(
        "| run | seconds to write | of CPU time | size, MB "
        "| ms to interactive, table | ms to interactive, a task's documents |"
    )
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, made, task in (("20,000 documents", _one_task, "many"), ("MMLU's shape", _mmlu, "subject_0")):
            print(_row(name, made(Path(folder, task, ID)), task, repeats), flush=True)


def _row(name: str, run: Run, task: str, repeats: int) -> str:
    path = Path(str(run.folder)).with_suffix(".html")
    written = [_seconds(lambda: write_html(path, run)) for _ in range(repeats)]
    wall, cpu = zip(*written, strict=True)
    table = [_opened(path, "") for _ in range(repeats)]
    documents = [_opened(path, f"#task={task}") for _ in range(repeats)]
    return (
        f"| {name} | {_told(wall, '.2f')} | {_told(cpu, '.2f')} | {path.stat().st_size / 1e6:.1f} | "
        f"{_told(table, '.0f')} | {_told(documents, '.0f')} |"
    )


def _told(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def _seconds(work: Callable[[], None]) -> tuple[float, float]:
    started, worked = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - worked


def _opened(path: Path, address: str) -> float:
    """Open in a fresh browser; milliseconds from the start of the page's loading, a first click included."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise SystemExit("needs Chromium and its driver (Debian: apt-get install chromium chromium-driver)")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = open_browser(Path(chromium), Path(driver), Path(profile))
        try:
            browser.open(path, address)
            ready = float(browser.script("return performance.getEntriesByName('ready')[0].startTime"))
            return ready + (_clicked(browser) if address else 0.0)
        finally:
            browser.driver.quit()


def _clicked(browser: Browser) -> float:
    """Click the filter for lost documents, until the browser has drawn the changed list."""
    clicked = browser.script(
        "const started = performance.now();"
        "document.querySelector('.chip[data-show=regressed]').click();"
        "document.querySelector('.list').getBoundingClientRect();"
        "return performance.now() - started"
    )
    assert "show=regressed" in browser.driver.current_url
    return float(clicked)


def _one_task(folder: Path) -> Run:
    words = _Words()
    return write_made_run(folder, [_record("many", [words.item(index, "") for index in range(_DOCUMENTS)])])


def _mmlu(folder: Path) -> Run:
    words = _Words()
    sizes = [_MMLU // _SUBJECTS + (subject < _MMLU % _SUBJECTS) for subject in range(_SUBJECTS)]
    records = []
    for subject, size in enumerate(sizes):
        examples = "".join(f"{words.text(60)}\nAnswer: A\n\n" for _ in range(5))
        records.append(_record(f"subject_{subject}", [words.item(index, examples) for index in range(size)]))
    return write_made_run(folder, [_group(records), *records])


def _group(records: Sequence[TaskRecord]) -> TaskRecord:
    result = replace(records[0].result, task="subjects", items=(), members=tuple(r.result.task for r in records))
    row = replace(records[0].row, task="subjects", members=len(records), samples="samples/group.jsonl.gz", findings=())
    return TaskRecord(row=row, result=result)


def _record(task: str, items: Sequence[ItemResult]) -> TaskRecord:
    """Compare with a past in which one document in ten was answered otherwise."""
    then = [item if item.index % 10 else _other(item) for item in items]
    return record_of(result_of(task, items), baseline_from(result_of(task, then)))


def _other(item: ItemResult) -> ItemResult:
    right = not item.scores["acc"]
    return replace(item, scores={"acc": float(right)}, margin=-(item.margin or 0.0), choice=0 if right else 1)


class _Words:
    def __init__(self) -> None:
        self._random = random.Random(1)
        letters = "etaoinshrdlcumwfgypbvk"
        self._words = ["".join(self._random.choices(letters, k=self._random.randint(2, 9))) for _ in range(_VOCABULARY)]

    def text(self, count: int) -> str:
        return " ".join(self._random.choices(self._words, k=count))

    def item(self, index: int, examples: str) -> ItemResult:
        choices = tuple(self.text(6) for _ in range(4))
        right = self._random.random() < 0.6
        logprobs = tuple(sorted((-20 * self._random.random() for _ in choices), reverse=right))
        digest = f"{self._random.getrandbits(256):064x}"
        return choice_item(
            index,
            right=right,
            prompt=f"{self.text(60)}\nAnswer:",
            examples=examples,
            choices=choices,
            target=choices[0],
            answer=choices[0 if right else 3],
            choice=0 if right else 3,
            logprobs=logprobs,
            margin=logprobs[0] - max(logprobs[1:]),
            document_hash=digest,
            prompt_hash=digest[::-1],
            facets={"subject": f"s{index % 20}", "prompt length": f"{index % 4 + 1} of 4"},
        )


def _machine() -> str:
    return f"{os.cpu_count()} CPU cores ({platform.machine()}), Python {platform.python_version()}"


if __name__ == "__main__":
    main()
