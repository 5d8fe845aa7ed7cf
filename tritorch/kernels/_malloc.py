"""Keeps freed memory in the process, so that large arrays are not paid for page by page again and again.

glibc hands blocks of some MB back to the system when they are freed and fetches zeroed pages for the next one: a page
fault every 4 KiB, which takes longer than most elementwise ops on those bytes (a training step of a small
convolutional network: 23 ms with, 9 ms without). Importing this module tells glibc to keep up to 2 GiB of freed memory
and to take large blocks from it. It holds for the whole process, so it can be switched off: TRITORCH_KEEP_MEMORY=0 in
the environment. A user who has set glibc's own variables (MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_,
GLIBC_TUNABLES) or who runs on another allocator (LD_PRELOAD) has decided: then nothing is done.
"""

from __future__ import annotations

import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_DECIDED = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")


def _keep() -> bool:
    if os.environ.get("TRITORCH_KEEP_MEMORY", "1") == "0" or any(os.environ.get(name) for name in _DECIDED):
        return False
    try:
        glibc = os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, ValueError, OSError):  # not on Windows; not a name of other systems
        return False
    if not glibc or not glibc.startswith("glibc"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    return bool(mallopt(_M_MMAP_THRESHOLD, 1 << 30) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))


KEPT = _keep()
"""Whether freed memory is kept."""
