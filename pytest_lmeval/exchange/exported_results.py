"""The results file of lm-evaluation-harness, made of a run of ours.

It has every key that lm-evaluation-harness writes, null where nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_lmeval.baselines.plain import plain
from pytest_lmeval.exchange.names import file_name, model_name
from pytest_lmeval.report.rows import ReportRow
from pytest_lmeval.results import MetricValue
from pytest_lmeval.runs.run import Run

_NO_NUMBER = "N/A"


def results_to_json(run: Run, heads: Mapping[str, Mapping[str, Any]], hashes: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of the file.

    ``heads`` is what there is of each task in plain values, by its name in the export, ``hashes`` one over its samples.
    """
    groups = [row for row in run.rows if row.members]
    tasks = {name: _scores(name, head["metrics"], head["n"], head["alias"]) for name, head in heads.items()}
    grouped = {row.task: _group(row) for row in groups}
    versions = {name: _version(head) or "Yaml" for name, head in heads.items()}
    return {
        "results": tasks | grouped,
        "groups": grouped,
        "group_subtasks": {row.task: list(row.leaves) for row in groups},
        "configs": {name: _config(head) for name, head in heads.items()},
        "versions": versions | {row.task: _NO_NUMBER for row in groups},
        "n-shot": {name: head["settings"]["num_fewshot"] for name, head in heads.items()},
        "higher_is_better": {
            **{name: _directions(head["metrics"]) for name, head in heads.items()},
            **{row.task: _directions([_plain(metric) for metric in row.metrics]) for row in groups},
        },
        "n-samples": {name: {"original": head["total"], "effective": head["n"]} for name, head in heads.items()},
        **_run(run),
        "task_hashes": dict(hashes),
        **_model(run),
    }


def _scores(name: str, metrics: list[Mapping[str, Any]], n: int, alias: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "alias": alias or name, "sample_len": n}
    for metric in metrics:
        stderr = metric["stderr"]
        found[f"{metric['name']},{metric['filter']}"] = metric["value"]
        found[f"{metric['name']}_stderr,{metric['filter']}"] = _NO_NUMBER if stderr is None else stderr
    return found


def _group(row: ReportRow) -> dict[str, Any]:
    counts = {f"{metric.name},{metric.filter}": metric.n for metric in row.metrics}
    return _scores(row.task, [_plain(m) for m in row.metrics], row.n, row.alias) | {"sample_count": counts}


def _plain(metric: MetricValue) -> dict[str, Any]:
    names = MetricValue.__dataclass_fields__
    value: dict[str, Any] = plain({name: getattr(metric, name) for name in names})
    return value


def _version(head: Mapping[str, Any]) -> Any:
    """A number where it is one, as it was in the task's file."""
    version: str | None = head["settings"]["version"]
    try:
        return version and (float(version) if "." in version else int(version))
    except ValueError:
        return version


def _directions(metrics: list[Mapping[str, Any]]) -> dict[str, bool]:
    return {metric["name"]: metric["higher_is_better"] for metric in metrics}


def _config(head: Mapping[str, Any]) -> dict[str, Any]:
    settings, metrics = head["settings"], {metric["name"]: metric for metric in head["metrics"]}
    config = {
        "task": head["task"],
        "dataset_path": settings["dataset"],
        "dataset_name": settings["dataset_config"],
        "test_split": settings["split"],
        "target_delimiter": "",
        "num_fewshot": settings["num_fewshot"],
        "metric_list": [
            {
                "metric": name,
                "aggregation": metric["aggregation"],
                "higher_is_better": metric["higher_is_better"],
            }
            for name, metric in metrics.items()
        ],
        "output_type": settings["output_type"],
        "generation_kwargs": settings["generation"],
        "repeats": 1,
        "metadata": {"version": _version(head)},
    }
    # As in its files: what is not set does not stand there.
    return {key: value for key, value in config.items() if value is not None}


def _run(run: Run) -> dict[str, Any]:
    facts, options = run.facts, run.facts.options
    info = {} if facts.answered is None else facts.answered.info
    return {
        "config": {
            "model": facts.model.partition(":")[0],
            "model_args": {"pretrained": model_name(facts.model)},
            "model_num_parameters": None,
            "model_dtype": info.get("dtype"),
            "model_revision": info.get("revision"),
            "model_sha": info.get("revision") or "",
            "batch_size": None,
            "batch_sizes": [],
            "device": None,
            "use_cache": None,
            "limit": options.get("limit"),
            "bootstrap_iters": 0,
            "gen_kwargs": plain(options.get("generation_kwargs") or {}),
            "random_seed": options.get("seed"),
            "numpy_seed": options.get("seed"),
            "torch_seed": options.get("seed"),
            "fewshot_seed": options.get("seed"),
        },
        "git_hash": facts.origin.commit,
        "date": facts.started,
        "pretty_env_info": "\n".join(f"{name}: {value}" for name, value in facts.environment.items()),
        "transformers_version": facts.environment.get("transformers"),
        "lm_eval_version": facts.environment.get("lm-eval"),
        "upper_git_hash": None,
        "tokenizer_pad_token": None,
        "tokenizer_eos_token": None,
        "tokenizer_bos_token": None,
        "eot_token_id": None,
        "max_length": info.get("max_length"),
    }


def _model(run: Run) -> dict[str, Any]:
    facts, options = run.facts, run.facts.options
    name = model_name(facts.model)
    return {
        "model_source": facts.model.partition(":")[0],
        "model_name": name,
        "model_name_sanitized": file_name(name),
        "system_instruction": options.get("system"),
        "system_instruction_sha": None,
        "fewshot_as_multiturn": options.get("fewshot_multiturn"),
        "chat_template": None,
        "chat_template_sha": None,
        "total_evaluation_time_seconds": str(facts.seconds),
    }
