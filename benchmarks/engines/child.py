"""A process that opens an engine and stays: ``python -m benchmarks.engines.child``.

Its first line of input says what to open, each further one what to answer; it replies to each with a line.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

from benchmarks.engines.engines import Engine, open_engine
from benchmarks.engines.meters import Meter
from benchmarks.engines.order import Measured, Order, read_opening, read_order, write
from benchmarks.scoring.child import warm_up
from benchmarks.scoring.memory import Memory, first_to_go

OPENED = "opened\n"


def main() -> None:
    """Serve until the input ends."""
    replies = _own_output()
    first_to_go()
    engine, meter = open_engine(read_opening(sys.stdin.readline()))
    memory = Memory("cpu")
    _say(replies, OPENED)
    for line in sys.stdin:
        _say(replies, write(_measured(engine, meter, memory, read_order(line))))
    engine.close()


def _measured(engine: Engine, meter: Meter, memory: Memory, order: Order) -> Measured:
    short = warm_up(order.operation)
    engine.answer(order.operation, engine.prepare(short), [len(short)], order.peer)
    prepared = engine.prepare(order.requests)
    meter.restart()
    memory.restart()
    started, cpu = time.perf_counter(), time.process_time()
    answers = engine.answer(order.operation, prepared, order.tasks, order.peer)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak, count = memory.peak, meter.read()
    return Measured(seconds=seconds, cpu=cpu, answers=answers, peak=peak, sent=count.sent, computed=count.computed)


def _own_output() -> TextIO:
    """Keep standard output for replies; what engines print to it goes to standard error."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return replies


def _say(replies: TextIO, line: str) -> None:
    replies.write(line)
    replies.flush()


if __name__ == "__main__":
    main()
