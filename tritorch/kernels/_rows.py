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

BLOCK = 1 << 19
"""Elements of one block. Long calls, so that threads rarely meet at the interpreter's lock: one that waits for it sleeps,
and takes longer to wake than a pass over a small block. Layer norm of 4096 x 768 on two threads: 2.3 ms with blocks of
2^17 (no gain over one thread), 2.0 with 2^18, 1.0 with 2^19."""
ALONE = 1 << 13  # elements up to which the BLAS itself stays on one thread
FEW = 1 << 12  # elements up to which a plain broadcast is the fastest way
GRAIN = 1 << 17  # elements that are worth a thread of their own
LONG_RUN = 512
"""From this length on, a loop per row costs less than what NumPy does about short rows: where operands differ in
strides (a column or row that is broadcast, rows with gaps), it copies them, 8192 elements at a time, to make its inner
loop longer. Measured per element of x - m[:, None] with rows of 1024: 0.16 ns with those copies, 0.08 without."""


class long_runs(np.errstate):
    """Without NumPy's remarks on infinities and NaN, which are results here; and without those copies, where the
    elements come in runs of at least LONG_RUN."""

    def __init__(self, run: int = LONG_RUN):
        super().__init__(all="ignore")
        self.run = run

    def __enter__(self) -> None:
        super().__enter__()
        if self.run >= LONG_RUN:
            np.setbufsize(LONG_RUN)  # undone with the error state, of which NumPy makes it a part


def sizes(shape: tuple[int, ...], ndim: int) -> tuple[int, int]:
    """Rows and columns of an array seen as a matrix whose rows are its last `ndim` dims."""
    lead = len(shape) - ndim
    return prod(shape[:lead]), prod(shape[lead:])


def block_rows(n_rows: int, n_cols: int, block: int = BLOCK) -> int:
    """Rows of one of `over_blocks`' blocks: at most `block` elements or one row, and an even number of blocks.

    >>> block_rows(100, 8), block_rows(4096, 128), block_rows(3000, 100, 1 << 17)
    (100, 2048, 750)
    """
    n = n_rows * n_cols
    if n < 2 * min(GRAIN, block):
        return max(1, n_rows)
    pairs = -(-n // (2 * block))
    return max(1, -(-n_rows // (2 * pairs)))


def over_blocks(
    fn: Callable[[int, int], object], n_rows: int, n_cols: int, step: int = 0, block: int = BLOCK, run: int = 0
) -> None:
    """Call `fn(start, stop)` for blocks of rows [start, stop), on all threads when they are worth it.

    Args:
        fn: the work on a block; it must write to places of its own.
        n_rows, n_cols: the matrix.
        step: rows of a block; else `block_rows` of about `block` elements.
        run: how many neighbouring elements share the numbers that are broadcast in `fn`; else a whole row.
    """
    if n_rows * n_cols < ALONE and (not step or n_rows <= step):
        fn(0, n_rows)
        return
    step = step or block_rows(n_rows, n_cols, block)

    def several(first: int, last: int) -> None:
        for i in range(first, last):
            fn(i * step, min((i + 1) * step, n_rows))

    single_enter()  # also where the blocks are too few for the pool: the BLAS would start its own
    try:
        with long_runs(run or n_cols):
            parallel(several, -(-n_rows // step), max(1, GRAIN // max(step * n_cols, 1)))
    finally:
        single_exit()


@lru_cache(maxsize=256)
def averaging(n: int, kind: str) -> Array:
    """n times 1 / n: `rows @ averaging(n, kind)` are the rows' means; `kind` is a NumPy dtype character."""
    row = np.full(n, 1 / n, kind)
    row.flags.writeable = False
    return row


LOCKED = 500
"""NumPy's products and dot products (matmul, vecdot ...) keep the interpreter's lock where they have up to so many
results, however long the sums are: two threads then take turns. The method `dot` of arrays lets go of it."""


@lru_cache(maxsize=512)
def _pieces(results: int, n: int) -> int:
    """How many parts of n summands, of one length if that can be, make more than LOCKED results."""
    least = -(-(LOCKED + 1) // results)
    return next((p for p in range(least, 2 * least) if n % p == 0), least)


def vecdot(x: Array, y: Array, out: Array | None = None) -> Array:
    """The dot products along the last dim, nothing conjugated, without the interpreter's lock; y broadcasts to x.

    >>> vecdot(np.ones((2, 3)), np.arange(3.0))
    array([3., 3.])
    """
    if x.dtype.kind == "c":  # np.vecdot conjugates it again
        x = x.conj()
    n = x.shape[-1]
    results = x.size // max(n, 1)
    if x.size <= ALONE or results > LOCKED:
        return np.vecdot(x, y, out=out)
    p = min(n, _pieces(results, n))
    whole = n - n % p
    parts = (a[..., :whole].reshape(*a.shape[:-1], p, whole // p) for a in (x, y))
    total = np.add.reduce(np.vecdot(*parts), -1, out=out)
    if whole < n:
        total += np.vecdot(x[..., whole:], y[..., whole:])
    return total


NEAR = 4.0
"""Means of at most so many standard deviations: E[x^2] - E[x]^2 then cancels four bits at most, and spares a pass."""


def moments(rows: Array, mean_of: Array) -> tuple[Array, Array, Array]:
    """(rows, mean, biased variance) of each row; centred rows, with means of 0, where a mean is far from 0.

    Args:
        rows: contiguous (R, n).
        mean_of: `averaging(n, kind)`.
    """
    mean = rows.dot(mean_of)
    square = mean * mean
    var = vecdot(rows, rows)
    var /= rows.shape[1]
    var -= square
    if not (square <= NEAR * NEAR * var).all():
        rows = np.subtract(rows, mean[:, None])
        var = vecdot(rows, rows)
        var /= rows.shape[1]
        mean[...] = 0
    return rows, mean, var


@lru_cache(maxsize=256)
def _ones_over_zeros(n: int, kind: str) -> Array:
    rows = np.zeros((2, n), kind)
    rows[0] = 1
    rows.flags.writeable = False
    return rows


def by_column(ufunc: np.ufunc, x: Array, column: Array, out: Array) -> None:
    """out = ufunc(x, column[:, None]) for a contiguous x (R, n) and a column (R,).

    Many short rows get the column as a product of matrices, from which NumPy makes one long loop.
    """
    n = x.shape[1]
    if n >= LONG_RUN or n == 1 or x.size <= FEW:
        ufunc(x, column[:, None], out=out)
        return
    left = np.zeros((column.size, 2), column.dtype)
    left[:, 0] = column
    ufunc(x, left @ _ones_over_zeros(n, x.dtype.char), out=out)


def tiled(row: Array, n_rows: int) -> Array:
    """What `by_row` takes for a row, against n_rows of them: as many copies of it as make the inner loop long."""
    return row[None] if n_rows * row.size <= FEW else np.tile(row, (max(1, FEW // max(row.size, 1)), 1))


def by_row(ufunc: np.ufunc, x: Array, rows: Array, out: Array) -> None:
    """out = ufunc(x, row) for contiguous x, out (R, n) and `rows = tiled(row, R or more)`."""
    k, n = rows.shape
    if k == 1:
        ufunc(x, rows, out=out)
        return
    whole = len(x) - len(x) % k
    if whole:
        ufunc(x[:whole].reshape(-1, k * n), rows.reshape(-1), out=out[:whole].reshape(-1, k * n))
    if whole < len(x):
        ufunc(x[whole:], rows[: len(x) - whole], out=out[whole:])


def wide(x: Array) -> Array:
    """x in the dtype it is computed in: float32 for half precision, its own otherwise."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x
