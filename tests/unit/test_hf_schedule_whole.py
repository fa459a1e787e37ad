"""The order in which a trie runs, and what is taken from memory."""

from __future__ import annotations

from pytest_lmeval.backends.hf.scoring.schedule import Resident, Schedule
from pytest_lmeval.backends.hf.scoring.trie import Text, build

START = (1, 2, 3, 4, 5)
ONE = (*START, 6, 7, 8, 9, 10)
OTHER = (*START, 30, 31)


def _pieces(schedule: Schedule, tokens: int = 100) -> list[tuple[int, int]]:
    return [(segment.start, segment.end) for segment in schedule.take(tokens, tokens)]


def test_what_lies_in_memory_does_not_run() -> None:
    schedule = Schedule(build([Text(ONE, (0,)), Text(OTHER, (0,))]), Resident(ONE[:8], (8,)))
    assert _pieces(schedule) == [(8, 10), (5, 7)]


def test_a_pack_put_back_runs_again_with_what_it_overwrote() -> None:
    schedule = Schedule(build([Text(ONE, (0,)), Text(OTHER, (0,))]), Resident(ONE[:8], (8,)))
    pack = schedule.take(100, 100)
    schedule.put_back(pack)
    # The second segment may have written on positions 5 and 6, which the first one sees.
    assert schedule.resident.tokens == START
    assert _pieces(schedule) == [(5, 8), (8, 10), (5, 7)]


def test_memory_is_known_below_a_piece_that_is_known() -> None:
    cuts = (2, 4, 6, 8, 10)
    schedule = Schedule(build([Text(ONE, (0,), cuts)]), Resident(ONE[:6], (2, 4, 6)), whole=True)
    assert _pieces(schedule) == [(6, 8), (8, 10)]


def test_whole_pieces_are_not_taken_from_memory_where_they_ran_in_others() -> None:
    cuts = (2, 4, 6, 8, 10)
    schedule = Schedule(build([Text(ONE, (0,), cuts)]), Resident(ONE[:8], (2, 6, 8)), whole=True)
    assert _pieces(schedule) == [(2, 4), (4, 6), (6, 8), (8, 10)]
    assert schedule.resident == Resident(ONE, cuts)


def test_texts_cut_in_different_places_part_at_their_last_common_cut() -> None:
    texts = [Text(ONE, (0,), (2, 4, 10)), Text(ONE, (0, 0, 0, 0), (2, 7, 10))]
    schedule = Schedule(build(texts), Resident(), whole=True)
    assert _pieces(schedule) == [(0, 2), (2, 7), (7, 10), (2, 4), (4, 10)]
