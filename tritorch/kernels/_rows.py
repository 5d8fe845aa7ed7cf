"""Row blocks for the CPU side of the fused ops: several passes over a block while it is in cache, blocks over threads.

Blocks have a fixed size, and sums over blocks are added in block order: the result's bits depend neither on the number
of threads nor on the run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod

import numpy as np

from ._op import Array
from ._threads import parallel, single_enter, single_exit

BLOCK = 1 << 17  # elements of one block: long calls, so that threads rarely meet at the interpreter's lock
ALONE = 1 << 13  # elements up to which the BLAS itself stays on one thread
GRAIN = 2  # blocks a thread should get at least before a second thread pays


def sizes(shape: tuple[int, ...], ndim: int) -> tuple[int, int]:
    """Rows and columns of an array seen as a matrix whose rows are its last `ndim` dims."""
    lead = len(shape) - ndim
    return prod(shape[:lead]), prod(shape[lead:])


def block_rows(n_cols: int) -> int:
    """Rows of one block."""
    return max(1, BLOCK // max(n_cols, 1))


def over_blocks(fn: Callable[[int, int, int], None], n_rows: int, n_cols: int, step: int = 0) -> int:
    """Call `fn(i, start, stop)` for each block i of `step` rows [start, stop); returns the number of blocks."""
    step = step or block_rows(n_cols)
    n_blocks = -(-n_rows // step)
    if n_blocks == 1 and n_rows * n_cols < ALONE:
        with np.errstate(all="ignore"):
            fn(0, 0, n_rows)
        return 1

    def run(first: int, last: int) -> None:
        for i in range(first, last):
            fn(i, i * step, min((i + 1) * step, n_rows))

    single_enter()  # also where the blocks are too few for the pool: the BLAS would start its own
    try:
        with np.errstate(all="ignore"):  # infinities and NaN are results, not remarks
            parallel(run, n_blocks, GRAIN)
    finally:
        single_exit()
    return n_blocks


def n_blocks(n_rows: int, n_cols: int) -> int:
    """How many blocks `over_blocks` makes."""
    return -(-n_rows // block_rows(n_cols))


@lru_cache(maxsize=256)
def averaging(n: int, kind: str) -> Array:
    """n times 1 / n: `rows @ averaging(n, kind)` are the rows' means; `kind` is a NumPy dtype character."""
    row = np.full(n, 1 / n, kind)
    row.flags.writeable = False
    return row


def outer_factor(row: Array | None, n: int, kind: str) -> Array:
    """What `outer` takes for a row of n elements: the row over zeros, (2, n); None stands for a row of ones."""
    if row is None:
        return _ones_over_zeros(n, kind)
    rows = np.zeros((2, n), kind)
    rows[0] = row
    return rows


@lru_cache(maxsize=256)
def _ones_over_zeros(n: int, kind: str) -> Array:
    rows = np.zeros((2, n), kind)
    rows[0] = 1
    rows.flags.writeable = False
    return rows


def outer(a: Array, factor: Array, out: Array | None = None) -> Array:
    """a[:, None] * row for a (R,), as a product of matrices: NumPy's broadcasts start a loop for every row."""
    left = np.zeros((a.size, 2), a.dtype)
    left[:, 0] = a
    return np.matmul(left, factor, out=out)


def wide(x: Array) -> Array:
    """x in the dtype it is computed in: float32 for half precision, its own otherwise."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x
