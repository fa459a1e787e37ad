"""The order in which a trie runs, and which of it runs together.

Depth first: then the keys and values that are still needed are always those of a single path, however wide the trie is.
They lie in one buffer by position; a sibling overwrites the one before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pytest_lmeval.backends.hf.scoring.trie import Node, Want
from pytest_lmeval.backends.text.encoding import Tokens
from pytest_lmeval.backends.text.windows import common_length

# A run of tokens is cut in two only where the first part is worth a piece of its own: this part of a pack.
WORTH_CUTTING = 4


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens ``start`` to ``end`` of ``text`` to run next, after those before them, and what is wanted of them."""

    text: Tokens
    start: int
    end: int
    wants: tuple[Want, ...] = ()

    @property
    def length(self) -> int:
        """Tokens to run."""
        return self.end - self.start

    @property
    def outputs(self) -> int:
        """Positions whose log-probabilities are wanted."""
        return len({want.position for want in self.wants})

    def part(self, start: int, end: int) -> Segment:
        """Return the tokens from ``start`` to ``end`` of the same text, with what is wanted of these."""
        return Segment(self.text, start, end, tuple(want for want in self.wants if start <= want.position < end))


@dataclass(frozen=True, slots=True)
class Resident:
    """The text whose keys and values lie in memory, and the ends of the pieces in which it ran."""

    tokens: Tokens = ()
    cuts: Tokens = ()


class Schedule:
    """Hands out the segments of one trie in packs.

    ``resident`` is the text whose keys and values lie in memory: at first what another schedule left there, then what
    the packs handed out leave.
    """

    def __init__(self, root: Node, resident: Resident, last: Tokens = (), *, whole: bool = False) -> None:
        """``last`` is the text to end with.

        ``whole`` forbids to cut a node, and to take from memory what ran there in other pieces.
        """
        self.resident = resident
        self._waiting = deque(_depth_first(root, resident.tokens, last))
        self._whole = whole
        self._path: list[Segment] = []
        self._before: list[Segment] = []
        self._alone: int | None = None

    def take(self, tokens: int, outputs: int) -> list[Segment]:
        """Return the next segments, none at the end.

        They hold at most ``tokens`` tokens and ``outputs`` wanted positions, except that there is always one segment,
        of one token at least or, where nodes may not be cut, of one node.
        """
        pack: list[Segment] = []
        room, places = tokens, outputs
        while segment := self._next():
            if not pack:  # what was found in memory is on the path by now
                self._before = self._path
            end = segment.end if self._whole else _last_fitting(segment, room, places)
            if pack and not self._worth(segment, end, room, places, tokens):
                break
            pack.append(segment.part(segment.start, end))
            self._advance(segment, end)
            room, places = room - pack[-1].length, places - pack[-1].outputs
            if room < 1 or places < 1 or self._comes_alone(segment):
                break
        return pack

    def put_back(self, pack: Sequence[Segment], *, alone: bool = False) -> None:
        """Take back segments that did not run; what they may have overwritten of their path runs again.

        ``alone`` makes the first of them come without others.
        """
        intact = min(segment.start for segment in pack)
        above = [segment for segment in self._before if segment.start < pack[0].start]
        again = [replace(segment, wants=()) for segment in above if segment.end > intact]
        self._path = [segment for segment in above if segment.end <= intact]
        self._waiting.extendleft(reversed([*again, *pack]))
        self.resident = Resident(pack[0].text[: again[0].start if again else intact], self._cuts)
        self._alone = pack[0].start if alone else None

    def drop(self) -> set[int]:
        """Give up the first waiting segment and all that follow it in some text; return whose wants are lost.

        That is the segment put back where it was the only one of its pack: then nothing of its path runs again.
        """
        first = self._waiting[0]
        lost: set[int] = set()
        while self._waiting and self._waiting[0].text[: first.end] == first.text[: first.end]:
            lost.update(want.text for want in self._waiting.popleft().wants)
        return lost

    def _next(self) -> Segment | None:
        """Return the first waiting segment, less what lies in memory already."""
        while self._waiting:
            segment = self._waiting[0]
            start = min([self._known(segment), *(want.position for want in segment.wants[:1])])
            if self._whole and start < segment.end:
                start = segment.start
            if start <= segment.start:
                return segment
            self._take_off(segment, start)
        return None

    def _advance(self, segment: Segment, end: int) -> None:
        """Hand out the first waiting segment up to ``end``; from now on that part of it lies in memory."""
        self._take_off(segment, end)
        self.resident = Resident(segment.text[: max(end, self._known(segment))], self._cuts)

    @property
    def _cuts(self) -> Tokens:
        return tuple(segment.end for segment in self._path)

    def _known(self, segment: Segment) -> int:
        """Up to where the first waiting segment lies in memory; the path above it does."""
        known = common_length(self.resident.tokens, segment.text[: segment.end])
        if not self._whole:
            return known
        ends = [cut for cut in self.resident.cuts if segment.start < cut <= segment.end]
        return segment.end if known == segment.end and ends == [segment.end] else segment.start

    def _take_off(self, segment: Segment, end: int) -> None:
        """Move the first waiting segment up to ``end`` to the path."""
        self._waiting.popleft()
        if end < segment.end:
            self._waiting.appendleft(segment.part(end, segment.end))
        above = [earlier for earlier in self._path if earlier.start < segment.start]
        self._path = [*above, segment.part(segment.start, end)]

    def _comes_alone(self, segment: Segment) -> bool:
        """Whether ``segment`` is the one put back to come alone, or on the path to it."""
        if self._alone is None:
            return False
        if segment.start >= self._alone:
            self._alone = None
        return True

    def _worth(self, segment: Segment, end: int, room: int, places: int, tokens: int) -> bool:
        if end == segment.end:
            return segment.length <= room and segment.outputs <= places
        return not self._whole and end - segment.start >= tokens // WORTH_CUTTING


def _last_fitting(segment: Segment, room: int, places: int) -> int:
    """Where to cut ``segment`` so that it has at most ``room`` tokens and ``places`` wanted positions."""
    positions = sorted({want.position for want in segment.wants})
    end = min(segment.end, segment.start + max(1, room))
    return min(end, positions[places]) if len(positions) > places else end


def _depth_first(root: Node, resident: Tokens, last: Tokens) -> Iterator[Segment]:
    """Yield the nodes as segments; of several children first the one that is in memory, at the end the one on ``last``.

    What lies in memory would be overwritten by any other, and what is left there should be what was asked last: more of
    it may follow.
    """
    waiting = [(root, True, True)]
    while waiting:
        node, known, ends = waiting.pop()
        if node.end > node.start:
            yield Segment(node.text, node.start, node.end, tuple(sorted(node.wants, key=lambda want: want.position)))
        below = [(child, known and _on(child, resident), ends and _on(child, last)) for child in node.children]
        waiting.extend(sorted(below, key=lambda child: (not child[2], child[1])))


def _on(node: Node, text: Tokens) -> bool:
    return len(text) > node.start and text[node.start] == node.text[node.start]
