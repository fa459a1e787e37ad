"""Every option and ini key: how they are registered and read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.spec import ModelSpec
from pytest_lmeval.errors import SettingsError
from pytest_lmeval.options.alerts import ALERT_OPTIONS, AlertSettings, read_alert_settings
from pytest_lmeval.options.baseline import BASELINE_OPTIONS, Arm, BaselineSettings, read_baseline_settings
from pytest_lmeval.options.gate import GATE_OPTIONS, GateSettings, read_gate_settings
from pytest_lmeval.options.history import HISTORY_OPTIONS, HistorySettings, read_history_settings, rooted
from pytest_lmeval.options.option import Option, boolean, integer
from pytest_lmeval.options.runs import FOLDER, RUN_OPTIONS, RunSettings, read_run_settings
from pytest_lmeval.options.surfaces import SURFACE_OPTIONS, SurfaceSettings, read_surface_settings
from pytest_lmeval.report.kinds import REPORTS
from pytest_lmeval.tasks.limits import Limit
from pytest_lmeval.tasks.options import DEFAULT_SEED, EvaluationOptions, PromptOptions
from pytest_lmeval.tasks.sources import SOURCE_NAMES

_NUMBERS = {"temperature", "max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens"}


_OPTIONS = (
    Option("model", "BACKEND:NAME[,key=value…]", "model under test, for example hf:gpt2 or demo"),
    Option("tasks", "NAME[,NAME…]", "add tasks by name, tag or pattern (arc_*): yours, built-in, or lm-eval's"),
    Option("limit", "N|10%|first:N", "ask a seeded random sample of N documents (or a share) of each task"),
    Option("num-fewshot", "K", "few-shot examples per prompt, for tasks that do not fix it at 0"),
    Option("gen-kwargs", "key=value[,…]", "override generation settings of the tasks (also as a JSON object)"),
    Option("chat-template", None, "ask in conversations, rendered by the model's own chat template"),
    Option("system", "TEXT", "system instruction before every prompt"),
    Option("fewshot-multiturn", "true|false", "in conversations, examples are turns of their own (default true)"),
    Option("metadata", "key=value[,…]", "arguments for tasks that make their own dataset (also as a JSON object)"),
    Option("unsafe-code", None, "consent to run code that the model writes, for tasks with unsafe_code: true"),
    Option("seed", "N", f"seed of samples, few-shot draws and sampling (default {DEFAULT_SEED})"),
    Option("data-dir", "DIR", "local datasets: DIR/<hub id>/<config or default>/<split>.jsonl or .parquet"),
    *BASELINE_OPTIONS,
    *GATE_OPTIONS,
    *RUN_OPTIONS,
    *SURFACE_OPTIONS,
    *HISTORY_OPTIONS,
    *ALERT_OPTIONS,
    Option("report", "KIND:PATH", f"write a report, {', '.join(REPORTS)}; may be given several times"),
)


@dataclass(frozen=True, slots=True)
class ReportTarget:
    """Where and in which form to write a report."""

    kind: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the user decided about a run."""

    model: ModelSpec | None
    tasks: tuple[str, ...]
    task_paths: tuple[Path, ...]
    task_sources: tuple[str, ...]
    baseline_dir: Path
    baseline: BaselineSettings
    gate: GateSettings
    evaluation: EvaluationOptions
    runs: RunSettings
    history: HistorySettings
    alerts: AlertSettings
    surfaces: SurfaceSettings = field(default_factory=SurfaceSettings)
    reports: tuple[ReportTarget, ...] = field(default=())

    @property
    def models(self) -> tuple[ModelSpec, ...]:
        """The model under test, and the one that is the baseline where one is."""
        against = self.baseline.against
        other = against.model if isinstance(against, Arm) else None
        return tuple(model for model in (self.model, other) if model is not None)


def add_options(parser: pytest.Parser) -> None:
    """Register every option and ini key."""
    group = parser.getgroup("lmeval", "language model evaluation (pytest-lmeval)")
    for option in _OPTIONS:
        destination = option.ini
        if option.metavar is None:
            group.addoption(option.flag, action="store_true", default=None, dest=destination, help=option.help)
        elif option.bare is not None:
            group.addoption(
                option.flag,
                nargs="?",
                const=option.bare,
                default=None,
                dest=destination,
                metavar=option.metavar,
                help=option.help,
            )
        else:
            action = "append" if option.name in ("report", "notify") else "store"
            group.addoption(
                option.flag, action=action, default=None, dest=destination, metavar=option.metavar, help=option.help
            )
        parser.addini(option.ini, f"{option.help} (same as {option.flag})", type="string", default=None)
    # Not a setting: from an ini file or the environment it would let every run pass with nothing run.
    group.addoption(
        "--lm-preview",
        default=None,
        dest="lm_preview",
        metavar="TASK[:N]",
        help="print what a task (a name or a file) asks about N documents (default 3), without a model; run no tests",
    )
    group.addoption(
        "--lm-plan",
        action="store_true",
        dest="lm_plan",
        help="print what the run would ask (documents, tokens, time, smallest detectable drop) and run no tests",
    )
    group.addoption(
        "--lm-list",
        nargs="?",
        const="",
        default=None,
        dest="lm_list",
        metavar="PATTERN",
        help="show the tasks, groups and tags there are (all, or those with this in their name) and exit",
    )
    group.addoption(
        "--lm-from-run",
        default=None,
        dest="lm_from_run",
        metavar="RUN",
        help="show a recorded run (its id, the beginning of it, last, or its folder) and write --lm-report of it",
    )
    parser.addini("lm_task_paths", "folders with task files", type="paths", default=None)
    sources = "where --lm-tasks looks for tasks, in this order: project, builtin, lm_eval (all by default), or folders"
    parser.addini("lm_task_sources", sources, type="args", default=None)
    parser.addini("lm_baseline_dir", "folder of the baselines (default: baselines)", type="string", default="baselines")
    parser.addini("lm_runs_dir", f"folder of what runs leave behind (default: {FOLDER})", type="string", default=FOLDER)


def read_settings(config: pytest.Config, environment: Mapping[str, str] = os.environ) -> Settings:
    """Collect the settings of this run. Raises SettingsError or ModelSpecError for values that cannot be used."""
    given = {option.name: _given(config, option, environment) for option in _OPTIONS}
    root = config.rootpath
    if given["limit"] and given["detect"]:
        raise SettingsError(
            f"--lm-limit={given['limit']} and --lm-detect={given['detect']}: both choose how many documents are asked; "
            "give one of them"
        )
    # Given and empty is a mistake, as of a CI variable without a value: nothing would be tested, and pass.
    model = ModelSpec.parse(given["model"]) if given["model"] is not None else None
    data_dir = _path(config, given["data-dir"])
    if data_dir is not None and not data_dir.is_dir():
        raise SettingsError(f"--lm-data-dir={given['data-dir']}: there is no folder {data_dir}")
    return Settings(
        model=model,
        tasks=_names(given["tasks"]),
        task_paths=tuple(Path(p) for p in config.getini("lm_task_paths") or [root / "tasks"]),
        task_sources=_sources(config),
        baseline_dir=root / str(config.getini("lm_baseline_dir")),
        baseline=read_baseline_settings(
            given, environment, root=root / str(config.getini("lm_baseline_dir")), invoked=config.invocation_params.dir
        ),
        gate=read_gate_settings(given, [dict(_said(config, source, environment)) for source in _SOURCES]),
        evaluation=EvaluationOptions(
            limit=Limit.parse(given["limit"], where="--lm-limit") if given["limit"] else None,
            num_fewshot=integer("num-fewshot", given["num-fewshot"]),
            generation_kwargs=_generation(given["gen-kwargs"]),
            seed=DEFAULT_SEED if not given["seed"] else integer("seed", given["seed"]) or 0,
            data_dir=data_dir,
            prompt=PromptOptions(
                system=given["system"] or "",
                chat_template=boolean("chat-template", given["chat-template"]),
                multiturn=boolean("fewshot-multiturn", given["fewshot-multiturn"] or "true"),
            ),
            metadata=_model_arguments(model) | parse_pairs("metadata", given["metadata"]),
            unsafe_code=boolean("unsafe-code", given["unsafe-code"]),
        ),
        runs=read_run_settings(given, root / str(config.getini("lm_runs_dir"))),
        surfaces=read_surface_settings(given, environment),
        history=read_history_settings(given, root=root, invoked=config.invocation_params.dir),
        alerts=read_alert_settings(given),
        reports=tuple(_report(config, text) for text in given["report"] or ()),
    )


def parse_pairs(option: str, text: str | None) -> dict[str, Any]:
    """Read ``key=value,key=value`` (values as YAML scalars) or a JSON object. Raises SettingsError."""
    if not text:
        return {}
    import yaml  # not at the top: a run without these options does not pay for it

    text = text.strip()
    try:
        if text.startswith("{"):
            return dict(json.loads(text))
        pairs = [pair.partition("=") for pair in re.split(r",(?=\w+=)", text) if pair]
        if all(separator for _, separator, _ in pairs):
            return {key.strip(): yaml.safe_load(value) for key, _, value in pairs}
    except (ValueError, yaml.YAMLError) as error:
        raise SettingsError(f"--lm-{option}={text}: {error}") from None
    raise SettingsError(f"--lm-{option}={text}: expected key=value[,key=value…], or a JSON object")


def _generation(text: str | None) -> dict[str, Any]:
    """Read ``--lm-gen-kwargs``. A wrong number is told here: later the task's file would get the blame."""
    pairs = parse_pairs("gen-kwargs", text)
    for key in _NUMBERS & pairs.keys():
        try:
            float(pairs[key] or 0)  # null takes a key back
        except (TypeError, ValueError):
            raise SettingsError(f"--lm-gen-kwargs={text}: {key}: expected a number, found {pairs[key]!r}") from None
    return pairs


def _model_arguments(model: ModelSpec | None) -> dict[str, Any]:
    """What tasks that make their own dataset are told of the model, under the reference's names (RULER's tokenizer)."""
    return {"pretrained": model.name, **model.arguments} if model is not None and model.name else {}


def _given(config: pytest.Config, option: Option, environment: Mapping[str, str]) -> Any:
    value = config.getoption(option.ini)
    if value is None:
        value = environment.get(option.variable) or _from_ini(config, option) or None
        if option.name == "report" and value is not None:
            value = [part for part in re.split(r"[\s,]+", value) if part]
    return value


_SOURCES = ("ini", "environment", "command line")


def _said(config: pytest.Config, source: str, environment: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Give the gate's options as one source has them: a stronger source's preset replaces a weaker one's keys."""
    for option in GATE_OPTIONS:
        if source == "ini":
            yield option.name, config.getini(option.ini)
        elif source == "environment":
            yield option.name, environment.get(option.variable)
        else:
            yield option.name, config.getoption(option.ini)


def _from_ini(config: pytest.Config, option: Option) -> Any:
    """The ini file's value; paths in it start at the project's root, wherever the run was started."""
    value = config.getini(option.ini)
    if option.name == "history":
        return rooted(value, config.rootpath)
    if not value or option.name not in ("data-dir", "report"):
        return value
    if option.name == "data-dir":
        return str(config.rootpath / Path(value).expanduser())
    kinds = "|".join(REPORTS)
    return re.sub(
        rf"\b({kinds}):([^\s,]+)", lambda found: f"{found[1]}:{config.rootpath / Path(found[2]).expanduser()}", value
    )


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name for name in re.split(r"[\s,]+", text or "") if name)


def _sources(config: pytest.Config) -> tuple[str, ...]:
    """Read ``lm_task_sources``: the known names, and folders, which start at the project's root."""
    given = [word for part in config.getini("lm_task_sources") or SOURCE_NAMES for word in part.split(",") if word]
    base = config.rootpath
    for name in given:
        if name not in SOURCE_NAMES and not (base / name).is_dir():
            raise SettingsError(
                f"lm_task_sources: {name!r} is none of {', '.join(SOURCE_NAMES)}, and no folder in {base}"
            )
    return tuple(name if name in SOURCE_NAMES else str(base / name) for name in given)


def _path(config: pytest.Config, text: str | None) -> Path | None:
    return None if not text else (config.invocation_params.dir / Path(text).expanduser())


def _report(config: pytest.Config, text: str) -> ReportTarget:
    kind, separator, path = text.partition(":")
    if not separator or not path or kind not in REPORTS:
        kinds = " or ".join(f"{kind}:PATH" for kind in REPORTS)
        raise SettingsError(f"--lm-report={text}: expected {kinds}, for example {REPORTS[0]}:report.{REPORTS[0]}")
    target = _path(config, path)
    assert target is not None
    return ReportTarget(kind, target)
