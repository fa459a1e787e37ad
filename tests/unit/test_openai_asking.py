from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_lmeval.backends.openai.asking import Asking, Local, worded
from pytest_lmeval.backends.openai.connection import CallFailed
from pytest_lmeval.backends.openai.manner import CHAT, COMPLETIONS, Manner, reasoning_manner
from pytest_lmeval.backends.protocol import Context, Conversation, GenerationRequest, GenerationSettings, Message
from pytest_lmeval.backends.text.chat import ChatTemplate
from pytest_lmeval.backends.text.encoding import Encoder, TokenizedModel
from pytest_lmeval.backends.text.endings import Endings

TEXT = Manner(path=COMPLETIONS)
CONVERSATION = Manner(path=CHAT)
ASKED = Conversation((Message("system", "Be brief."), Message("user", "Red and blue?")))
BEGUN = Conversation((Message("user", "Red and blue?"), Message("assistant", "It is")))
SAMPLED = GenerationSettings(do_sample=True, temperature=0.7, top_p=0.9, top_k=5, seed=3, max_tokens=8)


def request(context: Context, **settings: Any) -> GenerationRequest:
    return GenerationRequest(id=1, context=context, settings=GenerationSettings(**settings))


def failed(asking: Asking, asked: GenerationRequest) -> str:
    with pytest.raises(CallFailed) as caught:
        asking.call(asked, Counter())
    return caught.value.reason


def test_texts_go_to_completions_and_conversations_to_chat() -> None:
    asking = Asking("m", TEXT, CONVERSATION)
    text = asking.call(request("Once"), Counter())
    assert (text.manner, text.body["prompt"]) == (TEXT, "Once")
    chat = asking.call(request(ASKED), Counter())
    assert chat.manner == CONVERSATION
    assert chat.body["messages"] == ASKED.as_dicts()


def test_a_text_for_a_chat_model_is_one_message_and_that_is_said_once() -> None:
    asking = Asking("m", None, CONVERSATION)
    with pytest.warns(UserWarning, match="m is asked by the chat endpoint alone"):
        call = asking.call(request("Once"), Counter())
    assert call.body["messages"] == [{"role": "user", "content": "Once"}]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asking.call(request("Twice"), Counter())


def test_a_conversation_without_chat_or_tokenizer() -> None:
    assert "tokenizer=NAME" in failed(Asking("m", TEXT, None), request(ASKED))


def test_the_beginning_of_an_answer_is_continued_where_the_server_is_known_to() -> None:
    body = Asking("m", None, replace(CONVERSATION, vllm=True)).call(request(BEGUN), Counter()).body
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert body["messages"][-1] == {"role": "assistant", "content": "It is"}
    body = Asking("m", None, replace(CONVERSATION, prefill=True)).call(request(BEGUN), Counter()).body
    assert "continue_final_message" not in body
    reason = failed(Asking("m", None, CONVERSATION), request(BEGUN))
    assert "gen_prefix" in reason
    assert "prefill=true" in reason


def test_greedy_is_temperature_zero_and_nothing_else() -> None:
    asked = request("Once", top_p=0.9, top_k=3, seed=4, max_tokens=7, until=("\n",))
    body = Asking("m", TEXT, None).call(asked, Counter()).body
    assert body == {"model": "m", "prompt": "Once", "max_tokens": 7, "temperature": 0.0, "stop": ["\n"]}


def test_sampling() -> None:
    body = dict(Asking("m", TEXT, None).call(GenerationRequest(id=1, context="Once", settings=SAMPLED), Counter()).body)
    seed = body.pop("seed")
    assert 0 <= seed < 2**31
    assert body == {"model": "m", "prompt": "Once", "max_tokens": 8, "temperature": 0.7, "top_p": 0.9, "top_k": 5}


def test_equal_requests_draw_differently_and_again_the_same() -> None:
    def seeds(*contexts: Context, seed: int | None = 3) -> list[Any]:
        asking = Asking("m", TEXT, CONVERSATION)
        seen: Counter[int] = Counter()
        asked = [GenerationRequest(id=1, context=text, settings=replace(SAMPLED, seed=seed)) for text in contexts]
        return [asking.call(one, seen).body["seed"] for one in asked]

    first = seeds("Once", "Once", "Twice", ASKED, ASKED)
    assert len(set(first)) == 5
    assert seeds("Once", "Once", "Twice", ASKED, ASKED) == first
    # A text's seed does not depend on its neighbours.
    assert seeds("Twice") == first[2:3]
    assert set(seeds("Once", seed=None)).isdisjoint(first)


def test_a_reasoning_model_gets_its_own_words() -> None:
    manner = replace(reasoning_manner(CHAT), effort="low", reasoning_tokens=1000)
    body = Asking("m", None, manner).call(GenerationRequest(id=1, context=ASKED, settings=SAMPLED), Counter()).body
    assert body == {
        "model": "m",
        "messages": ASKED.as_dicts(),
        "max_completion_tokens": 1008,
        "reasoning_effort": "low",
    }


def test_no_more_stops_than_the_server_takes() -> None:
    settings = GenerationSettings(until=tuple("abcdef"))
    assert worded(settings, TEXT)["stop"] == ["a", "b", "c", "d"]
    assert "stop" not in worded(settings, replace(TEXT, stops=0))
    assert "stop" not in worded(GenerationSettings(until=("",)), TEXT)


def test_further_settings_are_passed_on() -> None:
    extra = (("min_p", 0.1), ("num_beams", 1), ("stop_token_ids", (2, 3)))
    body = worded(GenerationSettings(extra=extra), TEXT)
    assert (body["min_p"], body["stop_token_ids"]) == (0.1, (2, 3))
    assert "num_beams" not in body


def test_settings_that_no_server_knows_are_named() -> None:
    reason = failed(Asking("m", TEXT, None), request("Once", extra=(("min_p", 0.1), ("num_beams", 4), ("zeal", 1))))
    assert "no generation setting num_beams, zeal." in reason
    assert "min_p" in reason


def test_no_room_for_an_answer() -> None:
    assert "max_tokens is 0" in failed(Asking("m", TEXT, None), request("Once", max_tokens=0))


@pytest.fixture(scope="module")
def local(shared_dir: Path) -> Local:
    """A tokenizer without a chat template."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(shared_dir / "models" / "stories260K")
    return Local(
        encoder=Encoder(TokenizedModel(tokenizer=tokenizer, max_length=32, prefix_token_id=tokenizer.bos_token_id)),
        endings=Endings(tokenizer),
        template=ChatTemplate(tokenizer, "stories"),
    )


IDS = replace(TEXT, ids=True, vllm=True)


def test_prompts_are_tokens_where_the_server_takes_them(local: Local) -> None:
    call = Asking("m", IDS, None, local).call(request("Once upon a time", max_tokens=8), Counter())
    assert call.prompt is not None
    assert call.body["prompt"] == call.prompt.tokens
    assert call.body["return_token_ids"] is True
    text = Asking("m", replace(IDS, ids=False), None, local).call(request("Once upon a time"), Counter())
    assert text.body["prompt"] == "Once upon a time"


def test_a_long_prompt_loses_its_beginning(local: Local) -> None:
    call = Asking("m", IDS, None, local).call(request("Once upon a time. " * 20 + "The end", max_tokens=8), Counter())
    assert call.prompt is not None
    assert len(call.prompt.tokens) == 24
    assert "no room for a prompt" in failed(Asking("m", IDS, None, local), request("Once", max_tokens=32))


def test_answers_with_reasoning_come_as_text(local: Local) -> None:
    asking = Asking("m", replace(IDS, think_end="</think>"), None, local)
    assert "return_token_ids" not in asking.call(request("Once", max_tokens=8), Counter()).body


def test_a_conversation_without_a_template(local: Local) -> None:
    assert "has no chat template" in failed(Asking("m", IDS, None, local), request(ASKED, max_tokens=8))
