from __future__ import annotations

from pytest_lmeval.backends.openai.grouping import Group, Window, whole
from pytest_lmeval.backends.text.encoding import Span

ONE = Span((1, 2, 3), (3, 4))
OTHER = Span((1, 2), (5,))
ELSEWHERE = Span((0, 9), (7,))


def test_a_span_is_a_context_and_targets() -> None:
    assert ONE.context_length == 2
    assert [ONE.before(place) for place in (0, 1)] == [(1, 2), (1, 2, 3)]
    assert whole(ONE) == (1, 2, 3, 4)


def test_equal_spans_are_one_and_contexts_are_groups_in_order() -> None:
    window = Window.of([("a", ONE), ("b", ELSEWHERE), ("c", OTHER), ("d", ONE)])
    assert window.owners == {ONE: ["a", "d"], ELSEWHERE: ["b"], OTHER: ["c"]}
    assert window.groups() == [Group((0, 9), (ELSEWHERE,)), Group((1, 2), (OTHER, ONE))]
