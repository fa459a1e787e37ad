from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("openai")

from pytest_lmeval.backends.openai.capabilities import Capabilities
from pytest_lmeval.backends.openai.connection import Connection
from pytest_lmeval.backends.openai.probing import probe, refused
from pytest_lmeval.backends.openai.routes.asking import Route
from pytest_lmeval.backends.openai.routes.echo import EchoRoute
from pytest_lmeval.backends.openai.routes.prompts import PromptRoute
from pytest_lmeval.backends.openai.routes.token_level import TokenRoute
from pytest_lmeval.backends.openai.scoring import ServerScorer
from pytest_lmeval.backends.text.encoding import Span
from pytest_lmeval.backends.text.scores import Score
from pytest_lmeval.errors import BackendError
from tests.unit.answering import Reply, connected
from tests.unit.imitation import BLOCK, VOCABULARY, Imitation, Words, expected

Make = Callable[[Connection], Route]

ROUTES: dict[str, Make] = {
    "token level": lambda connection: TokenRoute(connection, "m"),
    "prompts by id": lambda connection: PromptRoute(connection, "m", by_id=True, prompts=8),
    "prompts": lambda connection: PromptRoute(connection, "m", by_id=False, prompts=8),
    "echo": lambda connection: EchoRoute(connection, "m", Words(), ids=True, prompts=8),
    "echo of text": lambda connection: EchoRoute(connection, "m", Words(), ids=False, prompts=1),
}

# Parts of a reply that a route does not look at.
UNNEEDED = {"prompts": ("logprobs",), "echo": ("prompt_logprobs",), "echo of text": ("prompt_logprobs",)}


@pytest.fixture(params=ROUTES)
def make(request: pytest.FixtureRequest) -> Make:
    return ROUTES[request.param]


def spans(seed: int = 0, documents: int = 12) -> list[Span]:
    """Choices of several lengths after contexts of which some fill whole blocks, and texts without a context."""
    rng = random.Random(seed)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(rng.randrange(VOCABULARY) for _ in range(count))

    shared = tokens(BLOCK * 3)
    made = []
    for number in range(documents):
        context = shared + tokens(number % (2 * BLOCK) + 1)
        for length in (1, 1, 2, 3, 9):
            targets = tokens(length)
            made.append(Span((*context, *targets)[:-1], targets))
    text = tokens(30)
    return [*made, Span((1, *text[:-1]), text), Span((1,), (2,))]


def scores(connection: Connection, route: Route, wanted: list[Span]) -> list[Score | str]:
    found = dict(ServerScorer(connection, route).score(enumerate(wanted)))
    return [found[number] for number in range(len(wanted))]


def check(found: list[Score | str], wanted: list[Span]) -> None:
    for score, span in zip(found, wanted, strict=True):
        assert isinstance(score, Score), score
        assert score.logprob == pytest.approx(expected(span).logprob)
        assert score.is_greedy == expected(span).is_greedy


def test_each_route_gives_the_models_scores(make: Make) -> None:
    wanted = spans()
    with connected(Imitation()) as (connection, _):
        check(scores(connection, make(connection), wanted), wanted)


def test_equal_spans_are_asked_once(make: Make) -> None:
    wanted = [span for span in spans(documents=2) for _ in range(5)]
    with connected(Imitation()) as (connection, server):
        found = scores(connection, make(connection), wanted)
        asked = len(server.asked)
        scores(connection, make(connection), wanted[::5])
        assert len(server.asked) == 2 * asked or isinstance(make(connection), TokenRoute)
    check(found, wanted)


@pytest.mark.parametrize("leaves_out", [True, False])
@pytest.mark.parametrize("garbage", [{"244224": {"logprob": 1e12, "rank": 7}}, {}, None])
def test_what_the_cache_has_swallowed_is_asked_again(leaves_out: bool, garbage: Any) -> None:
    imitation = Imitation(leaves_out=leaves_out, garbage=garbage)
    wanted = spans()
    with connected(imitation) as (connection, _):
        for _ in range(2):  # the second time even the continuations are in the cache
            check(scores(connection, TokenRoute(connection, "m"), wanted), wanted)


def test_stale_rows_are_not_mistaken_for_scores() -> None:
    """Unwritten memory may hold another prompt's rows, of the same tokens."""

    class Stale(Imitation):
        def _rows(self, tokens: Any, cached: int) -> Any:
            rows = super()._rows(tokens, 0)
            stale = [{str(token): {"logprob": -0.5, "rank": 1}} for token in tokens[: cached + 1]]
            return [None, *stale[1:], *rows[cached + 1 :]]

    wanted = spans()
    with connected(Stale()) as (connection, _):
        for _ in range(2):
            check(scores(connection, TokenRoute(connection, "m"), wanted), wanted)


def test_a_reply_that_the_server_cannot_write_is_asked_for_without_the_cache() -> None:
    class Unwritable(Imitation):
        def _generate(self, body: Any) -> Reply:
            asked = body["sampling_params"]
            if (
                "prompt_logprobs" in asked
                and not asked["skip_reading_prefix_cache"]
                and self._cached(body["token_ids"])
            ):
                return Reply({"error": {"message": "Out of range float values are not JSON compliant"}}, status=400)
            return super()._generate(body)

    wanted = spans()
    with connected(Unwritable()) as (connection, _):
        check(scores(connection, TokenRoute(connection, "m"), wanted), wanted)


def test_rows_are_not_taken_where_it_is_not_told_what_came_from_the_cache() -> None:
    wanted = spans()
    with connected(Imitation(cached_counts=False)) as (connection, _):
        for _ in range(2):
            check(scores(connection, TokenRoute(connection, "m"), wanted), wanted)


def test_contexts_are_read_from_the_cache() -> None:
    context = tuple(range(BLOCK * 8))
    wanted = [Span((*context, first, 3), (first, 3, 4)) for first in range(8)]
    imitation = Imitation()
    with connected(imitation) as (connection, _):
        check(scores(connection, TokenRoute(connection, "m"), wanted), wanted)
    assert imitation.computed < 2 * len(context) + len(wanted) * (BLOCK + 3)


def test_choices_of_one_token_are_one_call() -> None:
    context = tuple(range(10))
    wanted = [Span(context, (choice,)) for choice in range(4)]
    with connected(Imitation()) as (connection, server):
        check(scores(connection, TokenRoute(connection, "m"), wanted), wanted)
        assert len(server.asked) == 1


def test_what_a_server_refuses_is_one_spans_failure(make: Make) -> None:
    wanted = [Span((1, 2, 3), (4,)), Span((1, 2, 3, 33), (33, 5)), Span((1, 2), (6,)), Span((7, 8), (33,))]
    with connected(Imitation(forbidden=33)) as (connection, _):
        found = scores(connection, make(connection), wanted)
    check([found[0], found[2]], [wanted[0], wanted[2]])
    assert "no such token" in str(found[1])


@pytest.mark.parametrize("without", ["logprobs", "prompt_logprobs", "choices"])
@pytest.mark.parametrize("name", ROUTES)
def test_a_reply_without_its_parts_is_a_failure(name: str, without: str) -> None:
    imitation = Imitation()

    def answer(path: str, body: Any) -> Reply:
        reply: Any = imitation(path, body).body
        if without == "choices":
            return Reply({**reply, "choices": []})
        choices = [{key: value for key, value in choice.items() if key != without} for choice in reply["choices"]]
        return Reply({key: value for key, value in reply.items() if key != without} | {"choices": choices})

    wanted = spans(documents=1)
    with connected(answer) as (connection, _):
        found = scores(connection, ROUTES[name](connection), wanted)
    for score, span in zip(found, wanted, strict=True):
        assert isinstance(score, str) or score.logprob == pytest.approx(expected(span).logprob)
    assert any(isinstance(score, str) for score in found) == (without not in UNNEEDED.get(name, ()))


def test_rows_of_other_tokens_are_a_failure() -> None:
    imitation = Imitation()

    def answer(path: str, body: Any) -> Reply:
        return imitation(path, {**body, "prompt": [[token ^ 1 for token in tokens] for tokens in body["prompt"]]})

    with connected(answer) as (connection, _):
        route = PromptRoute(connection, "m", by_id=False, prompts=8)
        found = scores(connection, route, spans(documents=1))
    assert all("no log-probability of token" in str(score) for score in found)


def test_another_count_of_tokens_is_a_failure() -> None:
    def answer(path: str, body: Any) -> Reply:
        return Imitation()(path, {**body, "prompt": f"w1 {body['prompt']}"})

    with connected(answer) as (connection, _):
        route = EchoRoute(connection, "m", Words(), ids=False, prompts=1)
        [found] = scores(connection, route, [Span((1, 2), (3,))])
    assert "4 tokens where there are 3" in str(found)


SENTENCE = (5, 6, 7, 8, 9, 10)


def probed(imitation: Any) -> Capabilities:
    with connected(imitation, max_retries=0) as (connection, _):
        return probe(connection, "m", SENTENCE, Words())


@pytest.mark.parametrize(
    ("missing", "route"),
    [
        ({}, "inference/v1/generate"),
        ({"cached_counts": False}, "completions, prompt_logprobs"),
        ({"token_level": False}, "completions, prompt_logprobs"),
        ({"token_level": False, "prompt_logprobs": False}, "completions, echo"),
        ({"token_level": False, "prompt_logprobs": False, "echo": False}, None),
    ],
)
def test_the_route_is_the_best_that_the_server_has(missing: dict[str, bool], route: str | None) -> None:
    assert probed(Imitation(**missing)).route == route  # type: ignore[arg-type]


def test_a_server_that_takes_texts_alone() -> None:
    found = probed(Imitation(token_level=False, ids=False))
    assert (found.echo, found.echo_text, found.route) == (False, True, "completions, echo")


def test_a_server_that_drops_log_probabilities_is_refused_with_the_reasons() -> None:
    nothing = Imitation(token_level=False, by_id=False, prompt_logprobs=False, echo=False)
    found = probed(nothing)
    assert found.route is None
    said = str(refused("m", "http://here/v1", found))
    for part in ("there are no logprobs", "prompt_logprobs", "404", "choices=letters", "http://here/v1"):
        assert part in said


@pytest.mark.parametrize("status", [401, 429, 503])
def test_a_server_that_does_not_answer_is_not_judged(status: int) -> None:
    with pytest.raises(BackendError, match=str(status)):
        probed(lambda *_: Reply(status=status))
