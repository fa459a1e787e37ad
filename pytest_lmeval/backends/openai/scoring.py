"""Scores of spans from a server: calls are filled while connections are free, and follow each other without a pause."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

from pytest_lmeval.backends.openai.connection import CallFailed, Connection
from pytest_lmeval.backends.openai.grouping import Group, Window
from pytest_lmeval.backends.openai.routes.asking import Route, Scores, unusable
from pytest_lmeval.backends.openai.rows import Malformed
from pytest_lmeval.backends.text.encoding import Span
from pytest_lmeval.backends.text.scores import Score

OwnerT = TypeVar("OwnerT")

# Spans that are put in order together: their prefixes stay near each other.
WINDOW = 1024

# Statuses by which a server refuses a call for what is in it: then its parts are tried alone.
_REFUSED = frozenset({400, 413, 422})

# A call under way: whose spans they are, and their scores.
_Key = tuple[Window[OwnerT], list[Group]]


class ServerScorer:
    """Scores spans by one route."""

    def __init__(self, connection: Connection, route: Route) -> None:
        self._connection = connection
        self._route = route

    def score(self, spans: Iterable[tuple[OwnerT, Span]]) -> Iterator[tuple[OwnerT, Score | str]]:
        """Yield each owner with its score, as they are found; spans are pulled while the server has room."""
        for (window, groups), result in self._connection.run(self._calls(iter(spans))):
            for span in (span for group in groups for span in group.spans):
                found = result if isinstance(result, CallFailed) else result[span]
                score = found.reason if isinstance(found, CallFailed) else found
                yield from ((owner, score) for owner in window.owners.pop(span))

    def _calls(
        self, spans: Iterator[tuple[OwnerT, Span]]
    ) -> Iterator[tuple[_Key[OwnerT], Callable[[], Awaitable[Scores]]]]:
        while (window := Window.of(islice(spans, WINDOW))).owners:
            for groups in self._packed(window.groups()):
                yield (window, groups), partial(self._scores, groups)

    def _packed(self, groups: Iterable[Group]) -> Iterator[list[Group]]:
        """Put groups together until they are worth a call; none is divided."""
        pack: list[Group] = []
        for group in groups:
            if pack and sum(len(one.spans) for one in (*pack, group)) > self._route.prompts:
                yield pack
                pack = []
            pack.append(group)
        if pack:
            yield pack

    async def _scores(self, groups: Sequence[Group]) -> Scores:
        try:
            return await self._route.score(groups)
        except Malformed as malformed:
            raise unusable(malformed) from None
        except CallFailed as failed:
            if failed.status not in _REFUSED or sum(len(group.spans) for group in groups) == 1:
                raise
        # What is refused may be one of them.
        return {span: await self._alone(Group(group.context, (span,))) for group in groups for span in group.spans}

    async def _alone(self, group: Group) -> Score | CallFailed:
        try:
            return (await self._scores([group]))[group.spans[0]]
        except CallFailed as failed:
            return failed
