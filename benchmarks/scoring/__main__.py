"""``python -m benchmarks.scoring``: measure, print the table, keep the figures."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.scoring.machine import device, facts, installed
from benchmarks.scoring.measuring import Bench, Result
from benchmarks.scoring.model import Model, invent, prepare
from benchmarks.scoring.options import Settings, parse
from benchmarks.scoring.process import Children
from benchmarks.scoring.skeleton import read
from benchmarks.scoring.table import EXPLANATION, render, share
from benchmarks.scoring.workloads import Workload, build
from pytest_lmeval.backends.spec import ModelSpec
from pytest_lmeval.errors import BackendError, DatasetError, LMEvalError, SettingsError


def main(arguments: Sequence[str]) -> None:
    """Measure every workload; after each, what is known so far is on disk."""
    settings = parse(arguments)
    settings.output.mkdir(parents=True, exist_ok=True)
    model = _model(settings)
    with tempfile.TemporaryDirectory() as folder:
        bench = _bench(settings, model, Path(folder))
        head = facts(model, bench.skeleton, settings.threads or torch.get_num_threads())
        results: list[Result] = []
        for workload in settings.workloads:
            result = _measured(bench, workload, settings)
            if result is not None:
                results.append(result)
                _keep(settings.output, head, results)
    if not results:
        raise SettingsError("nothing was measured; the lines above say why. Data in another folder: --data-dir")
    print(_text(head, results))


def _model(settings: Settings) -> Model:
    folder = settings.output / "models"
    if settings.random is not None:
        model = invent(settings.random, folder)
    else:
        model = prepare(ModelSpec.parse(settings.model), folder)
    wanted = settings.device if settings.device != "auto" else model.options.device
    return replace(model, options=replace(model.options, device=device(wanted)))


def _bench(settings: Settings, model: Model, folder: Path) -> Bench:
    batches = settings.batches_on(model.options.device)
    if installed("lm_eval") is None:
        _tell("lm-eval is not installed (pip install 'lm-eval[hf]==0.4.13'), so only our figures follow")
        batches = []
    return Bench(
        children=Children(folder=folder, threads=settings.threads),
        model=model,
        skeleton=read(model),
        batches=batches,
        repeats=settings.repeats,
        tell=_tell,
    )


def _measured(bench: Bench, workload: Workload, settings: Settings) -> Result | None:
    """Measure one workload; say why where it cannot be, so that the others are."""
    sizes = settings.sizes(workload)
    try:
        return bench.measure(workload.name, build(workload, sizes.ours, settings.data_dir), sizes)
    except (DatasetError, BackendError) as error:
        _tell(f"{workload.name}: left out: {str(error).splitlines()[0]}")
        return None


def _keep(output: Path, head: dict[str, str], results: Sequence[Result]) -> None:
    raw = {**head, "workloads": [_raw(result) for result in results]}
    (output / "results.json").write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    (output / "table.md").write_text(_text(head, results), encoding="utf-8")


def _raw(result: Result) -> dict[str, Any]:
    """All figures of a result; the answers are not kept."""
    runs = {name: [run.figures for run in getattr(result, name)] for name in ("ours", "peer", "trial")}
    return {**asdict(result), **runs, "share_of_ceiling": share(result)}


def _text(head: dict[str, str], results: Sequence[Result]) -> str:
    lines = [f"- {key}: {value}" for key, value in head.items()]
    lines += [f"- matrix products: {_rates(results)}"]
    return "\n".join([*lines, "", render(results), EXPLANATION])


def _rates(results: Sequence[Result]) -> str:
    found = sorted(rates for result in results for rates in result.rates)
    if not found:
        return "not measured"
    rate, hot = found[len(found) // 2]
    return f"{rate:,.0f} GFLOP/s over the model's linear layers, {hot:,.0f} of one product repeated"


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LMEvalError as error:
        sys.exit(f"bench: {error}")
