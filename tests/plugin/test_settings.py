"""Options from the command line, the environment and the ini file, and what is said of wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_lmeval.backends.spec import ModelSpec
from pytest_lmeval.errors import SettingsError
from pytest_lmeval.gate.margin import Margin
from pytest_lmeval.gate.settings import Layer, resolve
from pytest_lmeval.options import (
    Arm,
    BaselineSettings,
    GateSettings,
    Published,
    Settings,
    Stored,
    SuiteTest,
    Update,
    parse_pairs,
    read_settings,
)

from .project import Project, text_of

Read = Callable[..., Settings]


@pytest.fixture
def read(project: Project) -> Read:
    """``read(*args, ini="", **environment)``: the settings of such a run."""

    def read(*args: str, ini: str = "", **environment: str) -> Settings:
        project.write("pytest.ini", f"[pytest]\n{ini}\n")
        return read_settings(project.pytester.parseconfig(*args), environment)

    return read


@pytest.mark.parametrize(
    ("name", "values", "get"),
    [
        ("model", ("fake", "hf:a", "fake:b"), lambda s: str(s.model)),
        ("tasks", ("one", "two", "three"), lambda s: s.tasks[0]),
        ("limit", ("1", "20%", "first:3"), lambda s: s.evaluation.limit.text),
        ("num-fewshot", ("1", "2", "0"), lambda s: str(s.evaluation.num_fewshot)),
        ("gen-kwargs", ("a=1", "a=2", "a=3"), lambda s: f"a={s.evaluation.generation_kwargs['a']}"),
        ("seed", ("1", "2", "0"), lambda s: str(s.evaluation.seed)),
        ("data-dir", ("one", "two", "three"), lambda s: s.evaluation.data_dir.name),
        ("baseline", ("one", "two", "three"), lambda s: s.baseline.against.folder.name),
        ("report", ("json:1", "json:2", "json:3"), lambda s: f"json:{s.reports[0].path.name}"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_command_line_over_environment_over_ini(
    project: Project, read: Read, name: str, values: tuple[str, str, str], get: Callable[[Settings], Any]
) -> None:
    for folder in ("one", "two", "three"):
        (project.path / folder).mkdir()
    option, variable = f"--lm-{name}={values[0]}", f"PYTEST_LMEVAL_{name.replace('-', '_').upper()}"
    ini = f"lm_{name.replace('-', '_')} = {values[2]}"
    assert get(read(option, ini=ini, **{variable: values[1]})) == values[0]
    assert get(read(ini=ini, **{variable: values[1]})) == values[1]
    assert get(read(ini=ini)) == values[2]


def test_defaults(project: Project, read: Read) -> None:
    settings = read()
    assert settings.model is None
    assert settings.tasks == ()
    assert settings.reports == ()
    assert settings.task_paths == (project.path / "tasks",)
    assert settings.baseline_dir == project.path / "baselines"
    assert settings.baseline == BaselineSettings()
    assert settings.gate == GateSettings(layers=(Layer(), Layer(), Layer()))
    assert settings.evaluation.limit is None


def test_updating_baselines(read: Read) -> None:
    def update(*args: str, **environment: str) -> Update | None:
        return read(*args, **environment).baseline.update

    assert update("--lm-update-baseline") is Update.CHANGED
    assert update("--lm-update-baseline=new") is Update.NEW
    assert update(PYTEST_LMEVAL_UPDATE_BASELINE="all") is Update.ALL
    assert update(PYTEST_LMEVAL_UPDATE_BASELINE="1") is Update.CHANGED
    assert update(PYTEST_LMEVAL_UPDATE_BASELINE="false", ini="lm_update_baseline = all") is None
    assert update("--lm-update-baseline", PYTEST_LMEVAL_UPDATE_BASELINE="false") is Update.CHANGED


@pytest.mark.parametrize(("value", "required"), [("true", True), ("1", True), ("", False), ("false", False)])
def test_ci_requires_baselines(read: Read, value: str, required: bool) -> None:
    assert read(CI=value).baseline.required is required


def test_what_a_run_is_compared_with(project: Project, read: Read) -> None:
    def against(text: str) -> object:
        return read(f"--lm-baseline={text}").baseline.against

    project.write("scores.yaml", "")
    (project.path / "elsewhere").mkdir()
    assert against("main") == Stored(project.path / "baselines" / "main")
    assert against("./elsewhere") == Stored(project.path / "elsewhere")
    assert against("scores.yaml") == Published(project.path / "scores.yaml")
    assert against("hf:org/a,dtype=float16") == Arm(ModelSpec.parse("hf:org/a,dtype=float16"))
    assert against("demo:") == Arm(ModelSpec.parse("demo:"))
    assert against("demo,dtype=float16") == Arm(ModelSpec.parse("demo,dtype=float16"))
    assert against("demo") == Stored(project.path / "baselines" / "demo")
    assert read().baseline.against == Stored()


def test_each_source_of_the_gates_settings_is_a_layer_of_its_own(read: Read) -> None:
    ini = "lm_gate = strict\nlm_margin = 3pp\nlm_early_stop = false"
    gate = read("--lm-alpha=0.02", ini=ini, PYTEST_LMEVAL_GATE="quantized").gate
    assert gate.layers == (
        Layer(preset="strict", margin=Margin(3.0)),
        Layer(preset="quantized"),
        Layer(alpha=0.02),
    )
    rules = resolve(gate.layers)
    assert (rules.preset, rules.margin, rules.alpha) == ("quantized", Margin(1.0), 0.02)
    assert (gate.early_stop, gate.sequential, gate.detect) == (False, False, None)
    more = read("--lm-sequential", "--lm-detect=1pp", "--lm-suite-test=all").gate
    assert (more.sequential, more.detect, more.suite_test) == (True, Margin(1.0), SuiteTest.ALL)


def test_lists(project: Project, read: Read) -> None:
    assert read("--lm-tasks=a,b c").tasks == ("a", "b", "c")
    reports = read("--lm-report=json:a.json", "--lm-report=json:b.json").reports
    assert [target.path for target in reports] == [project.path / "a.json", project.path / "b.json"]
    assert len(read(ini="lm_report = json:a json:b").reports) == 2


def test_paths_start_where_the_run_was_started(project: Project, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project.path / "below"
    (folder / "data").mkdir(parents=True)
    monkeypatch.chdir(folder)
    settings = read(f"--rootdir={project.path}", "--lm-data-dir=data", "--lm-report=json:r.json")
    assert settings.evaluation.data_dir == folder / "data"
    assert settings.reports[0].path == folder / "r.json"
    assert settings.baseline_dir == project.path / "baselines"


def test_paths_in_the_ini_file_start_at_the_root(project: Project, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("below", "data"):
        (project.path / folder).mkdir()
    monkeypatch.chdir(project.path / "below")
    settings = read(
        f"--rootdir={project.path}",
        f"-c={project.path}/pytest.ini",
        ini="lm_data_dir = data\nlm_report = json:a json:b",
    )
    assert settings.evaluation.data_dir == project.path / "data"
    assert [target.path for target in settings.reports] == [project.path / "a", project.path / "b"]


def test_baseline_folder(project: Project, read: Read) -> None:
    assert read(ini="lm_baseline_dir = kept/here").baseline_dir == project.path / "kept" / "here"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("temperature=0.5,do_sample=true", {"temperature": 0.5, "do_sample": True}),
        ("max_gen_toks=8", {"max_gen_toks": 8}),
        ('{"until": ["\\n"], "top_p": 1}', {"until": ["\n"], "top_p": 1}),
        ("until=[a, b]", {"until": ["a", "b"]}),
    ],
    ids=["pairs", "one", "json", "list"],
)
def test_generation_settings(text: str, expected: dict[str, Any]) -> None:
    assert parse_pairs("gen-kwargs", text) == expected


@pytest.mark.parametrize("text", ["{a", "temperature", "a=[", "[1]", '{"a": 1} b'])
def test_wrong_generation_settings(text: str) -> None:
    with pytest.raises(SettingsError, match="--lm-gen-kwargs"):
        parse_pairs("gen-kwargs", text)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--lm-model=",), "--lm-model=: expected BACKEND:NAME, for example hf:gpt2"),
        (("--lm-model=:gpt2",), "--lm-model=:gpt2: expected BACKEND:NAME, for example hf:gpt2"),
        (("--lm-model=fke",), "--lm-model=fke: unknown backend 'fke'. Known backends: *fake*. Did you mean fake:?"),
        (("--lm-model=hf",), "--lm-model=hf: expected a name after the colon, as in hf:NAME"),
        (("--lm-model=fake,sed=1",), "--lm-model=fake,sed=1: backend 'fake' has no key 'sed'. Did you mean 'seed'?*"),
        (("--lm-model=fake,seed=x",), "--lm-model=fake,seed=x: seed expects a whole number, found 'x'"),
        (("--lm-model=fake,seed=1,seed=2",), "*: seed is given twice"),
        (("--lm-model=fake:a,b",), "*: expected key=value after the comma, found 'b'"),
        (("--lm-limit=many",), "*limit*: expected a number of documents (200), a share (10%) or first:200*'many'"),
        (("--lm-limit=0",), "*limit*: expected a number of documents*"),
        (("--lm-limit=1.5",), "*limit*: expected a whole number of documents*"),
        (("--lm-num-fewshot=-1",), "--lm-num-fewshot=-1: expected a whole number"),
        (("--lm-seed=x",), "--lm-seed=x: expected a whole number"),
        (("--lm-data-dir=nowhere",), "--lm-data-dir=nowhere: there is no folder */nowhere"),
        (("--lm-report=xml:a",), "--lm-report=xml:a: expected json:PATH*, for example json:report.json"),
        (("--lm-report=json",), "--lm-report=json: expected json:PATH*, for example json:report.json"),
        (("--lm-gen-kwargs=max_gen_toks=lots",), "--lm-gen-kwargs=*: max_gen_toks: expected a number, found 'lots'"),
        (("--lm-gen-kwargs=hot",), "--lm-gen-kwargs=hot: expected key=value*"),
        (("--lm-gate=losless",), "--lm-gate=losless: unknown value 'losless'; known: *Did you mean 'lossless'?"),
        (("--lm-margin=much",), "--lm-margin=much: expected points (1pp), a share (2%)*"),
        (("--lm-margin=1",), "--lm-margin=1: without a unit this would be the whole scale of an accuracy: write 1pp *"),
        (("--lm-min-effect=2",), "--lm-min-effect=2: without a unit *: write 2pp for points or 2% for a share *"),
        (("--lm-alpha=2",), "--lm-alpha=2: expected a share, as in 0.01 or 1%, found '2'"),
        (("--lm-on-drift=scream",), "--lm-on-drift=scream: unknown value 'scream'; known: pass, warn, fail, auto*"),
        (("--lm-detect=2%",), "--lm-detect=2%: expected points, as in 1pp"),
        (("--lm-suite-test=some",), "--lm-suite-test=some: expected holm or all"),
        (("--lm-early-stop=maybe",), "--lm-early-stop=maybe: expected true or false"),
        (("--lm-calibrate=3",), "--lm-calibrate: goes with --lm-update-baseline, whose baselines it describes"),
        (("--lm-baseline=none.yaml",), "--lm-baseline=none.yaml: there is no file */none.yaml"),
        (("--lm-baseline=./none",), "--lm-baseline=./none: there is no folder */none"),
        (("--lm-update-baseline=tasks",), "--lm-update-baseline=tasks: expected new, changed or all"),
        (("--lm-gen-kwargs=a=[",), "--lm-gen-kwargs=a=[[]: *"),
    ],
    ids=lambda value: value[0][5:].replace("[", "") if isinstance(value, tuple) else None,
)
def test_a_mistake_is_one_usage_error(project: Project, args: tuple[str, ...], message: str) -> None:
    result = project.run(*(() if "model" in args[0] else ("--lm-model=fake",)), *args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert "Traceback" not in text_of(result)
    assert len([line for line in result.stderr.lines if line.strip()]) <= 5


def test_a_mistake_in_the_environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_LMEVAL_UPDATE_BASELINE", "perhaps")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --lm-update-baseline=perhaps: expected new, changed or all"])


def test_the_help_names_every_option(project: Project) -> None:
    result = project.run("--help")
    for name in ("model", "tasks", "limit", "data-dir", "baseline", "update-baseline", "report", "gate", "min-effect"):
        assert f"--lm-{name}" in result.stdout.str()
        assert f"lm_{name.replace('-', '_')}" in result.stdout.str()


def test_the_header_names_the_model(project: Project) -> None:
    (project.path / "data").mkdir()
    result = project.run("--lm-model=fake:small,seed=3", "--lm-limit=10%", "--lm-data-dir=data")
    result.stdout.fnmatch_lines([f"lmeval: model fake:small,seed=3, limit 10%, data {project.path / 'data'}"])
