from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.hf import HFOptions, plugin
from pytest_lmeval.backends.protocol import Backend, Conversation, GenerationSettings, Message
from pytest_lmeval.errors import BackendError, ModelSpecError

from .asking import score, texts

ASK = Conversation((Message("system", "Be kind."), Message("user", "Once upon a time")))
BEGUN = Conversation((*ASK.messages, Message("assistant", "there was")))

TEMPLATE = (
    "{% for m in messages %}{{ m.role + '> ' + m.content }}"
    "{% if not loop.last or add_generation_prompt %}{{ '\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant> ' }}{% endif %}"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TEMPLATE
BROKEN = "{{ raise_exception('never') }}"


def opened(shared_dir: Path, template: Path | str | None) -> Backend:
    name = None if template is None else str(template)
    options = HFOptions(dtype="float32", device="cpu", chat_template=name)
    return plugin.open(str(shared_dir / "models" / "stories260K"), options)


def template(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "template.jinja"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_conversation_is_what_the_template_makes_of_it(shared_dir: Path, tmp_path: Path) -> None:
    backend = opened(shared_dir, template(tmp_path, TEMPLATE))
    asked = "system> Be kind.\nuser> Once upon a time\nassistant> "
    begun = "system> Be kind.\nuser> Once upon a time\nassistant> there was"
    assert score(backend, ASK, "a cat").logprob == near(score(backend, asked, "a cat").logprob)
    assert score(backend, BEGUN, " a cat").logprob == near(score(backend, begun, " a cat").logprob)
    assert score(backend, ASK, "a cat").logprob != near(score(backend, "Once upon a time", "a cat").logprob)
    how = GenerationSettings(max_tokens=12)
    spoken = [texts(backend, [(context, how)])[0] for context in (ASK, asked, BEGUN, begun)]
    assert spoken[0] == spoken[1]
    assert spoken[2] == spoken[3]


def test_a_template_that_takes_no_system_message_gets_none(shared_dir: Path, tmp_path: Path) -> None:
    backend = opened(shared_dir, template(tmp_path, NO_SYSTEM))
    with pytest.warns(UserWarning, match="the chat template takes no system message; it is left out") as said:
        found = [score(backend, ASK, word).logprob for word in ("a", "b")]
    assert len(said) == 1
    asked = "user> Once upon a time\nassistant> "
    assert found == near([score(backend, asked, word).logprob for word in ("a", "b")])


PICKY = "{% if messages[-1].content == 'odd' %}{{ raise_exception('odd') }}{% endif %}" + NO_SYSTEM.replace(
    "messages[0].role == 'system'", "messages[0].role == 'system' and messages[-1].content == 'even'"
)


def test_one_refusal_does_not_cost_the_others_their_system_message(shared_dir: Path, tmp_path: Path) -> None:
    chat = opened(shared_dir, template(tmp_path, PICKY))._parts.chat  # type: ignore[attr-defined]
    with pytest.warns(UserWarning, match="takes no system message"):
        chat.render(Conversation((ASK.messages[0], Message("user", "even"))))
    assert "system> Be kind." in chat.render(ASK)
    with pytest.raises(BackendError, match="cannot be applied: odd"):
        chat.render(Conversation((ASK.messages[0], Message("user", "odd"))))


def test_the_oracle_renders_the_same(shared_dir: Path, tmp_path: Path) -> None:
    huggingface = pytest.importorskip("lm_eval.models.huggingface", reason="lm_eval is not installed")
    for text in (TEMPLATE, NO_SYSTEM):
        path = template(tmp_path, text)
        theirs = huggingface.HFLM(pretrained=str(shared_dir / "models" / "stories260K"), dtype="float32", device="cpu")
        theirs.tokenizer.chat_template = text
        ours = opened(shared_dir, path)._parts.chat  # type: ignore[attr-defined]
        ours._told = True
        for conversation in (ASK, BEGUN):
            expected = theirs.apply_chat_template(
                conversation.as_dicts(), add_generation_prompt=not conversation.continues
            )
            assert ours.render(conversation) == expected


def test_one_of_the_tokenizers_templates_by_name(shared_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in (shared_dir / "models" / "stories260K").iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "tokenizer_config.json").unlink()
    config = json.loads((shared_dir / "models" / "stories260K" / "tokenizer_config.json").read_text())
    config["chat_template"] = [{"name": "default", "template": BROKEN}, {"name": "mine", "template": TEMPLATE}]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    backend = plugin.open(str(folder), HFOptions(device="cpu", chat_template="mine"))
    assert len(str(backend.info.details["chat_template_sha256"])) == 64
    assert opened(shared_dir, None).info.details["chat_template_sha256"] is None
    assert texts(backend, [(ASK, GenerationSettings(max_tokens=2))])
    with pytest.raises(ModelSpecError, match=r"expected a file or one of the tokenizer's: default, mine"):
        plugin.open(str(folder), HFOptions(device="cpu", chat_template="other"))


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "has no chat template. Leave --lm-chat-template out"), (BROKEN, "cannot be applied: never")],
    ids=["none", "broken"],
)
def test_a_template_that_cannot_be_used(shared_dir: Path, tmp_path: Path, text: str | None, message: str) -> None:
    backend = opened(shared_dir, None if text is None else template(tmp_path, text))
    with pytest.raises(BackendError, match=message):
        score(backend, ASK, "a")
    assert score(backend, "Once", " upon").logprob < 0


def near(value: Any) -> Any:
    """Equal up to rounding: what lies in memory already does not run with the rest."""
    return pytest.approx(value, abs=1e-4)
