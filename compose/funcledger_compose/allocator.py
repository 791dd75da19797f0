"""Keeps the C library from mapping and unmapping memory for every payload."""

import ctypes

#: glibc's names for its settings (mallopt(3)).
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
#: Blocks up to the largest payload and what is around it come from the heap, in bytes.
_FROM_HEAP = 16 * 1024 * 1024
#: So much free memory at the heap's end is kept for the next payload, in bytes.
_KEPT = 64 * 1024 * 1024


def keep_memory() -> None:
    """Serve payload-sized blocks from memory that is mapped already.

    By default glibc maps and unmaps each block over 128 KiB: a 1 MB payload then costs some hundred page
    faults at every copy. With a C library that has no such setting this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _FROM_HEAP)
        mallopt(_TRIM_THRESHOLD, _KEPT)
