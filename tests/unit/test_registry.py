from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

import pytest

from pytest_lmeval.backends import registry
from pytest_lmeval.backends.fake import FakeBackend
from pytest_lmeval.backends.protocol import BackendPlugin
from pytest_lmeval.backends.registry import open_backend, resolve_plugin
from pytest_lmeval.backends.spec import ModelSpec
from pytest_lmeval.errors import ModelSpecError


@dataclass(frozen=True)
class Options:
    text: str = "auto"
    maybe_text: str | None = None
    flag: bool = False
    maybe_flag: bool | None = None
    whole: int = 1
    maybe_whole: int | None = None
    share: float = 0.5
    either: int | str = "x"
    dtype: Literal["float16", "int8"] = "float16"


opened: list[tuple[str, Any]] = []


def _open(name: str, options: Any) -> FakeBackend:
    opened.append((name, options))
    return FakeBackend(name=name)


plugin = BackendPlugin(summary="s", options=Options, open=_open)
nameless = BackendPlugin(summary="s", options=Options, open=_open, name_required=False)
needy = BackendPlugin(
    summary="s",
    options=Options,
    open=_open,
    requires=("json", "surely_absent", "surely_absent.sub"),
    install="pip install 'x[needy]'",
)
no_plugin = 3

Install = Callable[..., None]


@pytest.fixture(autouse=True)
def _entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"good": "plugin", "nameless": "nameless", "needy": "needy", "odd": "no_plugin", "gone": "absent"}
    found = [EntryPoint(name, f"{__name__}:{attribute}", registry.GROUP) for name, attribute in names.items()]
    found.append(EntryPoint("broken", "surely_absent.module:plugin", registry.GROUP))

    def points(*, group: str) -> list[EntryPoint]:
        assert group == "pytest_lmeval.backends"
        return found

    monkeypatch.setattr(registry, "entry_points", points)
    monkeypatch.setattr(EntryPoint, "load", _load)


def _load(entry: EntryPoint) -> Any:
    # This module has no name that can be imported.
    if entry.module != __name__:
        raise ModuleNotFoundError(f"No module named {entry.module!r}")
    try:
        return globals()[entry.attr]
    except KeyError:
        raise AttributeError(f"no attribute {entry.attr!r}") from None


@pytest.mark.parametrize(
    ("text", "backend", "name", "arguments"),
    [
        ("hf:gpt2", "hf", "gpt2", {}),
        (" hf:org/model ", "hf", "org/model", {}),
        ("demo", "demo", "", {}),
        ("demo,key=v", "demo", "", {"key": "v"}),
        ("hf:m,a=1,b=x=y,c=", "hf", "m", {"a": "1", "b": "x=y", "c": ""}),
        ("hf:m,stops=a,b,size=2", "hf", "m", {"stops": "a,b", "size": "2"}),
        ("hf:C:/models/x", "hf", "C:/models/x", {}),
        ("openai:m,base_url=http://h:80/v1", "openai", "m", {"base_url": "http://h:80/v1"}),
        ("my-back.end_2:m", "my-back.end_2", "m", {}),
    ],
)
def test_parsing(text: str, backend: str, name: str, arguments: dict[str, str]) -> None:
    spec = ModelSpec.parse(text)
    assert (spec.backend, spec.name, dict(spec.arguments)) == (backend, name, arguments)
    assert str(spec) == text.strip()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--lm-model=: expected BACKEND:NAME, for example hf:gpt2"),
        (":gpt2", "--lm-model=:gpt2: expected BACKEND:NAME"),
        ("org/model", "--lm-model=org/model: expected BACKEND:NAME"),
        ("hf:m,a=1,a=2", "--lm-model=hf:m,a=1,a=2: a is given twice"),
        ("hf:m,float16", "--lm-model=hf:m,float16: expected key=value after the comma, found 'float16'"),
        ("hf:m,9=x", "expected key=value after the comma, found '9=x'"),
    ],
)
def test_malformed(text: str, message: str) -> None:
    with pytest.raises(ModelSpecError) as caught:
        ModelSpec.parse(text)
    assert message in str(caught.value)


def test_opening_with_options_by_their_types() -> None:
    text = "good:m,text=12,maybe_text=no,flag=Yes,maybe_flag=0,whole=-3,maybe_whole=4,share=1e-3,either=5,dtype=int8"
    backend = open_backend(ModelSpec.parse(text))
    assert backend.info.name == "m"
    assert opened.pop() == (
        "m",
        Options(
            text="12",
            maybe_text="no",
            flag=True,
            maybe_flag=False,
            whole=-3,
            maybe_whole=4,
            share=0.001,
            either="5",
            dtype="int8",
        ),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "god:m",
            "--lm-model=god:m: unknown backend 'god'. Known backends: broken, gone, good, nameless, needy, odd. ",
        ),
        ("god:m", "Did you mean good:m?"),
        ("gpt2", "Did you mean hf:gpt2?"),
        ("good", "--lm-model=good: expected a name after the colon, as in good:NAME"),
        (
            "good:m,whol=3",
            "backend 'good' has no key 'whol'. Did you mean 'whole'? Keys: dtype, either, flag, maybe_fl",
        ),
        ("good:m,zzzz=3", "backend 'good' has no key 'zzzz'. Keys: "),
        ("good:m,flag=perhaps", "--lm-model=good:m,flag=perhaps: flag expects true or false, found 'perhaps'"),
        ("good:m,maybe_flag=", "maybe_flag expects true or false, found ''"),
        ("good:m,whole=1.5", "whole expects a whole number, found '1.5'"),
        ("good:m,maybe_whole=None", "maybe_whole expects a whole number, found 'None'"),
        ("good:m,share=half", "share expects a number, found 'half'"),
        (
            "needy:m",
            "backend 'needy' needs surely_absent, surely_absent.sub, which are not installed here.\nInstall with: p",
        ),
        ("odd:m", f"--lm-model=odd:m: {__name__}:no_plugin is not a BackendPlugin"),
        ("gone:m", "--lm-model=gone:m: backend 'gone' cannot be imported: "),
        ("broken:m", "backend 'broken' cannot be imported: No module named 'surely_absent"),
    ],
    ids=lambda value: None,
)
def test_mistakes_are_explained(text: str, message: str) -> None:
    with pytest.raises(ModelSpecError) as caught:
        resolve_plugin(ModelSpec.parse(text))
    assert message in str(caught.value)
    assert opened == []


def test_a_name_may_be_optional() -> None:
    _, options = resolve_plugin(ModelSpec.parse("nameless,whole=2"))
    assert options == Options(whole=2)


def test_keys_of_an_engine_go_to_the_field_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class EngineOptions:
        flag: bool = False
        engine: Mapping[str, str] = field(default_factory=dict)

    engine = BackendPlugin(summary="s", options=EngineOptions, open=_open, further="engine")
    monkeypatch.setattr(registry, "_plugin", lambda spec: engine)
    _, options = resolve_plugin(ModelSpec.parse("x:m,flag=true,max_model_len=16k,engine=no"))
    assert options == EngineOptions(flag=True, engine={"max_model_len": "16k", "engine": "no"})


def test_resolving_opens_nothing() -> None:
    found, options = resolve_plugin(ModelSpec.parse("good:m"))
    assert (found, options, opened) == (plugin, Options(), [])


def test_the_packages_own_backends_are_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert {"hf", "demo", "fake"} <= {entry.name for entry in entry_points(group=registry.GROUP)}
    found, options = resolve_plugin(ModelSpec.parse("fake,window=3"))
    assert isinstance(found.open("", options), FakeBackend)
    assert options.window == 3
