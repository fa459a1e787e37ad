"""Freed memory stays with the process, so that using it again costs no pages."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back between layers")

# Four pieces at once, freed and taken again; what each round's pages cost is counted by the system.
ROUNDS = """
import ctypes, resource
from pytest_lmeval.backends.hf.heap import keep_freed_memory, release_freed_memory

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]

def pages(rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        pieces = [libc.malloc(10 * 2**20) for _ in range(4)]
        for piece in pieces:
            ctypes.memset(piece, 1, 10 * 2**20)
        for piece in pieces:
            libc.free(piece)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

pages(2)
default = pages(8)
keep_freed_memory()
pages(2)
kept = pages(8)
release_freed_memory()
print(default, kept, pages(8))
"""


def test_kept_memory_costs_no_new_pages_and_can_be_released() -> None:
    done = subprocess.run([sys.executable, "-c", ROUNDS], capture_output=True, text=True, check=True, timeout=60)
    default, kept, released = map(int, done.stdout.split())
    assert kept < default / 10
    assert kept < released / 10
