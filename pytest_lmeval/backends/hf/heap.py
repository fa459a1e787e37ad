"""Keep the C library from giving memory back between the layers of a model.

Layer by layer a CPU run allocates and frees the same few megabytes. glibc returns such pieces to the system at once,
and each time the system hands out zeroed pages anew: measured, a tenth of the time of a pass.
"""

from __future__ import annotations

import ctypes
import platform

# From glibc's malloc.h. Above 32 MiB it always maps memory of its own.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 2**25
KEEP, DEFAULT_TRIM = 2**31 - 1, 2**17


def keep_freed_memory() -> None:
    """Let freed memory stay with the process; does nothing where the C library is not glibc."""
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, LARGEST_KEPT)
        library.mallopt(TRIM_THRESHOLD, KEEP)


def release_freed_memory() -> None:
    """Go back to glibc's default and return what is free now."""
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(TRIM_THRESHOLD, DEFAULT_TRIM)
        library.malloc_trim(0)
