"""The C library's allocator, told to hand large blocks back."""

from __future__ import annotations

import contextlib
import ctypes
import sys

__all__ = ["hand_back_large_blocks"]

_MMAP_THRESHOLD = -3  # of mallopt(3)
_LARGE = 1 << 20


def hand_back_large_blocks() -> None:
    """Asks glibc to give each block of a megabyte or more back to the system once it is free.

    By itself it keeps them, after the first few, within its heap, where small objects come to
    stand between them: a run then holds up to half as much again as it uses. Other C libraries
    are left as they are. It holds for the whole process, so it is the command's to ask for,
    not the library's.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE)
