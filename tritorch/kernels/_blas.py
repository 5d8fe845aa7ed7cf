"""The BLAS that NumPy is linked to: how many threads it takes.

A BLAS that starts its own threads inside ours, or for a product of a millisecond, loses far more to spinning
than it wins. So: one BLAS thread while our pool runs and for single products, which are cut over our pool from
`LARGE_PRODUCT` flops on. Outside of our calls the count stays what it was, and a user who has set OPENBLAS_NUM_THREADS (or
OMP_NUM_THREADS, MKL_NUM_THREADS ...) has decided: then it is left alone.
"""

from __future__ import annotations

import ctypes
import glob
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

LARGE_PRODUCT = 100_000_000  # flops (2 m n k) from which a single product pays for several threads
TINY_PRODUCT = 500_000  # flops up to which OpenBLAS itself stays on one thread, so that nothing need be set
TINY_VECTOR_PRODUCT = 18_000  # the same when one side is a vector

_T = TypeVar("_T")

_ENVIRONMENT = (
    "OPENBLAS_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

try:
    from numpy._core import _multiarray_umath as _extension
except ImportError:
    from numpy.core import _multiarray_umath as _extension  # type: ignore[no-redef]


def _libraries() -> list[ctypes.PyDLL]:
    folder = os.path.dirname(np.__file__)
    # a look-up in the extension module also searches the libraries it is linked to (not so on Windows)
    paths = [_extension.__file__, *glob.glob(os.path.join(folder, "..", "numpy.libs", "*openblas*"))]
    found = []
    for path in paths:
        try:
            found.append(ctypes.PyDLL(path))  # keeps the interpreter lock: these calls take under a microsecond
        except OSError:
            continue
    return found


def _symbol(name: str) -> Any:
    """A function of the BLAS under any of the names it goes by, None where it is not there."""
    for library in _libraries():
        for prefix in ("scipy_openblas", "openblas"):
            for suffix in ("64_", "", "_64"):
                found = getattr(library, f"{prefix}_{name}{suffix}", None)
                if found is not None:
                    return found
    return None


_blas: tuple[Callable[[int], Any], Callable[[], int]] | None = None
_known = False
_lock = threading.Lock()
_single_depth = 0  # how many calls ask for one BLAS thread right now, over all Python threads
_outside = 1  # the count to go back to


def _control() -> tuple[Callable[[int], Any], Callable[[], int]] | None:
    global _blas, _known
    if not _known:
        _known = True
        if not any(os.environ.get(name) for name in _ENVIRONMENT):
            setter, getter = _symbol("set_num_threads"), _symbol("get_num_threads")
            if setter is not None and getter is not None:
                setter.argtypes, setter.restype = (ctypes.c_int,), None
                getter.argtypes, getter.restype = (), ctypes.c_int
                _blas = setter, getter
    return _blas


def controlled() -> bool:
    """Whether the thread count is ours to set: the BLAS lets itself be asked, and the user has not decided."""
    return _control() is not None


def threads() -> int | None:
    """The BLAS's thread count now, None where it is not ours to control."""
    control = _control()
    return control[1]() if control else None


def single_enter() -> None:
    """From here to `single_exit` the BLAS has one thread; may be nested and used by several Python threads."""
    global _single_depth, _outside
    if _known and _blas is None:
        return
    with _lock:
        control = _control()
        if control is None:
            return
        _single_depth += 1
        if _single_depth == 1:
            _outside = control[1]()
            if _outside != 1:
                control[0](1)


def single_exit() -> None:
    """End of `single_enter`."""
    global _single_depth
    if _blas is None:
        return
    with _lock:
        _single_depth -= 1
        if _single_depth == 0 and _outside != 1:
            _blas[0](_outside)


def stepwise(steps: Iterable[_T], flops: int) -> Iterator[_T]:
    """`steps`, with one BLAS thread while the loop over them runs, when a step multiplies fewer than LARGE_PRODUCT."""
    if flops >= LARGE_PRODUCT:
        yield from steps
        return
    single_enter()
    try:
        yield from steps
    finally:
        single_exit()


def _after_fork() -> None:
    """In a child nobody holds the parent's locks, and no parent's thread will come back to restore the count."""
    global _lock, _single_depth
    _lock = threading.Lock()
    if _single_depth and _blas is not None:
        _blas[0](_outside)
    _single_depth = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
