"""Prepare the next window while the model runs on this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def prefetched(windows: Iterator[T], prepare: Callable[[T], R]) -> Iterator[tuple[T, R]]:
    """Yield each window with what ``prepare`` makes of it in another thread, one window ahead.

    Windows are pulled in the caller's thread, so that what makes them need not know of threads. Tokenizers and torch
    let go of the interpreter while they work.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch") as pool:
        ahead = None
        for window in windows:
            following = (window, pool.submit(prepare, window))
            if ahead is not None:
                yield ahead[0], ahead[1].result()
            ahead = following
        if ahead is not None:
            yield ahead[0], ahead[1].result()
