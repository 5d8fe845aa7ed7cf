"""Elements of NumPy arrays by index arrays: read, written, combined with others.

NumPy walks x[i, j], x[:, i] and `np.add.at` of several dims element by element, at 4 to 12 ns each. What it does fast is one
index into one long dim: `np.take` that wraps (0.5 ns), v[i] = w and `ufunc.at` of vectors (1 ns). So keys and indices
become places in memory, in blocks that stay in cache. Threads read wherever they like, and write only where the dim that
is cut is not the dim that is indexed: what falls on one place is combined in the order of the indices, by one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ._op import Array
from ._rows import LONG_RUN
from ._strides import dense
from ._threads import parallel

_BLOCK = 1 << 17  # places at a time: 1 MB of them; shorter calls make threads wait for the interpreter
_GRAIN = 1 << 18  # elements that are worth a thread
_FEW = 4096  # elements up to which NumPy's own way costs less
_LONG = 64  # elements of a row from which rows are added, not numbers
_OFTEN = 8  # times that a row comes from which its values are summed on their own


def places_of(mask: Array) -> tuple[Array, ...]:
    """`mask.nonzero()`: the indices of what is not 0, one int64 array per dim, in C order."""
    if mask.ndim < 2 or mask.size <= _FEW:
        return (mask if mask.ndim else mask.reshape(1)).nonzero()
    rest = np.flatnonzero(mask if mask.dtype.char == "?" else mask != 0)
    found = []
    for n in mask.shape[:0:-1]:
        lead = rest // max(n, 1)
        found.append(rest - lead * n)
        rest = lead
    return (rest, *found[::-1])


class _Key(NamedTuple):
    """A key of neighbouring index arrays: the array it is for as (lead, size, run), the indices into `size`."""

    lead: int
    size: int
    run: int
    at: Array
    shape: tuple[int, ...]


def _key(shape: tuple[int, ...], key: tuple) -> _Key | None:
    """None for a key that NumPy has to treat itself."""
    parts: list = []
    for k in key:
        parts.extend(places_of(k) if k.__class__ is not slice and k.dtype.char == "?" else (k,))
    dims = [d for d, k in enumerate(parts) if k.__class__ is not slice]
    if not dims or dims[-1] - dims[0] + 1 != len(dims) or not prod(shape):
        return None
    first, stop = dims[0], dims[-1] + 1
    sizes = shape[first:stop]
    at = None
    for n, k in zip(sizes, parts[first:stop], strict=True):
        k = _positive(k, n)
        at = k if at is None else at * n + k
    at = np.asarray(at, np.int64)
    whole = (*shape[:first], *at.shape, *shape[stop:])
    return _Key(prod(shape[:first]), prod(sizes), prod(shape[stop:]), np.ascontiguousarray(at).reshape(-1), whole)


def _positive(i: Array, n: int) -> Array:
    """Indices that count from the end as indices from the start."""
    i = np.asarray(i, np.int64)
    return i + (i < 0) * np.int64(n) if i.size and i.min() < 0 else i


def _many(x: Array, key: tuple) -> bool:
    """Does the key reach so many elements of x that a plan pays."""
    if x.size <= _FEW:
        return False
    n, rest = 0, x.size
    for d, k in enumerate(key):
        if k.__class__ is not slice:
            if k.dtype.char == "?":
                return True
            n = max(n, k.size)
            rest //= x.shape[d]
    return n * rest > _FEW


def read(x: Array, key: tuple) -> Array:
    """x[key] as a contiguous copy, for a key of index arrays and full slices whose indices are in range."""
    if len(key) == 1 and x.size and x.flags.c_contiguous and key[0].dtype.kind == "i":
        if key[0].size * x.size <= 2 * _GRAIN * len(x):
            return x.take(key[0], 0, None, "wrap")  # rows, the most frequent case
    plan = _key(x.shape, key) if _many(x, key) else None
    if plan is None or not plan.at.size:
        return np.ascontiguousarray(x[key]) if x.ndim else np.asarray(x[key])
    lead, size, run, at, shape = plan
    if not x.flags.c_contiguous:
        if 2 * prod(shape) < x.size:
            return np.ascontiguousarray(x[key])
        x = dense(x)
    y = np.empty((lead, at.size, run), x.dtype)
    x = x.reshape(lead, size, run)
    if lead == 1:
        _over(lambda i, j: np.take(x[0], at[i:j], 0, y[0, i:j], "wrap"), at.size, y.size)
    else:
        _over(lambda i, j: np.take(x[i:j], at, 1, y[i:j], "wrap"), lead, y.size)
    return y.reshape(shape)


def _over(fn: Callable[[int, int], Any], n: int, size: int) -> None:
    """`fn(start, stop)` over `n` parts of equal work, `size` elements in all."""
    parallel(fn, n, max(1, _GRAIN * n // max(size, 1)))


def _spread(v: Array, shape: tuple[int, ...], y: Array) -> Array:
    """v broadcast to `shape`; dims of size 1 that `shape` has not are left out. It shares no memory with y."""
    v = v.copy() if np.may_share_memory(v, y) else v
    return v.reshape(shape) if v.size == prod(shape) else np.broadcast_to(v, shape)


def write(y: Array, key: tuple, v: Array) -> None:
    """y[key] = v, broadcast; of several values for one place the last one stays."""
    rows = len(key) == 1 and key[0].dtype.char != "?"  # which NumPy does well
    plan = _key(y.shape, key) if not rows and y.flags.c_contiguous and _many(y, key) else None
    if plan is None:
        y[key] = v
        return
    lead, size, run, at, shape = plan
    if not at.size:
        return
    values = None if v.size == 1 else _spread(v, shape, y).reshape(lead, at.size, run)
    flat = y.reshape(-1) if run == 1 else y.reshape(-1, run)

    def some(start: int, stop: int) -> None:
        step = max(1, _BLOCK // at.size)
        for i in range(start, stop, step):
            j = min(i + step, stop)
            to = (np.arange(i, j)[:, None] * size + at).reshape(-1)
            flat[to] = v.reshape(()) if values is None else values[i:j].reshape(to.size, *flat.shape[1:])

    _over(some, lead, lead * at.size * run)


def add(y: Array, key: tuple, v: Array) -> None:
    """y[key] += v, broadcast, where what falls on one place is added up."""
    plan = _key(y.shape, key) if y.flags.c_contiguous and _many(y, key) else None
    if plan is None:
        np.add.at(y, key, v)
        return
    lead, size, run, at, shape = plan
    if not at.size:
        return
    v = _spread(v, shape, y).reshape(lead, at.size, run)
    if run >= _LONG:
        groups = _Groups(at, size)
        for to, values in zip(y.reshape(lead, size, run), v, strict=True):
            groups.add(to, values)
        return
    flat = y.reshape(-1)
    inner = np.arange(run)
    leads = max(1, _BLOCK // max(at.size * run, 1))
    slices = at.size if leads > 1 else max(1, _BLOCK // run)

    def some(start: int, stop: int) -> None:
        for i in range(start, stop, leads):
            before = np.arange(i, min(i + leads, stop))[:, None] * size
            for k in range(0, at.size, slices):
                rows = (before + at[k : k + slices]).reshape(-1)
                to = rows if run == 1 else (rows[:, None] * run + inner).reshape(-1)
                np.add.at(flat, to, v[i : i + len(before), k : k + slices].reshape(-1))

    _over(some, lead, lead * at.size * run)


class _Groups:
    """Rows that come several times, together: how often each comes decides how its values are added up."""

    def __init__(self, at: Array, size: int):
        # NumPy sorts 16 bits by counting
        self.order = np.argsort(at.astype(np.uint16) if size <= 1 << 16 else at, kind="stable")
        ordered = at[self.order]
        start = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        count = np.diff(start, append=at.size)
        self.seldom = start[count <= _OFTEN], count[count <= _OFTEN]
        often = count > _OFTEN
        self.often = list(zip(start[often].tolist(), (start + count)[often].tolist(), strict=True))
        self.at = at

    def add(self, y: Array, v: Array) -> None:
        """y[at] += v for the rows of y (size, run); v (n, run). Threads have different rows."""
        start, count = self.seldom
        k = 0
        while start.size:  # the k-th time of all that come so often
            here = self.order[start + k]
            y[self.at[here]] += v[here]
            k += 1
            start, count = start[count > k], count[count > k]

        def sums(first: int, last: int) -> None:
            for i, j in self.often[first:last]:
                here = self.order[i:j]
                y[self.at[here[0]]] += np.add.reduce(v[here], 0)

        _over(sums, len(self.often), v.size)


# --------------------------------------------------------------------------------------------------- gather, scatter


def along(i: Array, dim: int) -> tuple:
    """The key that reads, for every element of `i`, its own place with `dim` replaced by the element."""
    last = i.ndim - 1
    return tuple([i if d == dim else np.arange(n).reshape(-1, *(1,) * (last - d)) for d, n in enumerate(i.shape)])


def read_along(x: Array, dim: int, i: Array) -> Array:
    """y[..., j, ...] = x[..., i[..., j, ...], ...]."""
    if i.size <= _FEW // 4 or not x.flags.c_contiguous and 2 * i.size < x.size:
        return np.asarray(x[along(i, dim)])
    y = np.empty(i.shape, x.dtype)
    flat = (x if x.flags.c_contiguous else dense(x)).reshape(-1)
    _blocks(lambda at, part: np.take(flat, at, 0, y[part], "wrap"), i, dim, x.shape, 0)
    return y


def write_along(y: Array, dim: int, i: Array, v: Array) -> None:
    """y[..., i[..., j, ...], ...] = v[..., j, ...] for a contiguous y; v at least as large as i."""
    if i.size <= _FEW // 4:
        y[along(i, dim)] = v[tuple([slice(n) for n in i.shape])]
        return
    flat = y.reshape(-1)

    def put(at: Array, part: tuple) -> None:
        flat[at.reshape(-1)] = v[part].reshape(-1)

    v = v[tuple([slice(n) for n in i.shape])]
    _blocks(put, i, dim, y.shape, 1 if dim == 0 else 0)


def combine_along(ufunc: np.ufunc, y: Array, dim: int, i: Array, v: Array) -> None:
    """y = ufunc(y, v) at the places that `write_along` writes to, one after the other."""
    if i.size <= _FEW // 4:
        ufunc.at(y, along(i, dim), v[tuple([slice(n) for n in i.shape])])
        return
    flat = y.reshape(-1)
    v = v[tuple([slice(n) for n in i.shape])]
    _blocks(lambda at, part: ufunc.at(flat, at.reshape(-1), v[part].reshape(-1)), i, dim, y.shape, 1 if dim == 0 else 0)


def _blocks(fn: Callable[[Array, tuple], Any], i: Array, dim: int, shape: tuple[int, ...], cut: int) -> None:
    """`fn(places, part)` for parts of `i`: where their elements are in an array of `shape`; threads get parts of the dim
    `cut`, 0 or 1."""
    if not i.size:
        return
    strides = [prod(shape[d + 1 :]) for d in range(len(shape))]
    terms = [
        np.arange(0, n * s, s).reshape([-1 if a == d else 1 for a in range(i.ndim)])
        for d, (n, s) in enumerate(zip(i.shape, strides, strict=True))
        if d != dim and n > 1
    ]
    base = sum(terms[1:], terms[0]) if terms else np.zeros((1,) * i.ndim, np.int64)
    parts = i.shape[cut] if cut < i.ndim else 1  # a vector of places to write: nothing to cut

    def some(start: int, stop: int) -> None:
        rows = (start, stop) if cut == 0 else (0, len(i))
        own = (slice(None),) if cut == 0 or parts == 1 else (slice(None), slice(start, stop))
        step = max(1, _BLOCK * len(i) * parts // (i.size * (stop - start))) if cut else max(1, _BLOCK * parts // i.size)
        with np.errstate():  # which takes NumPy's buffer size back, too: it would copy `base` for want of long rows
            np.setbufsize(LONG_RUN)
            for k in range(*rows, step):
                part = (slice(k, min(k + step, rows[1])), *own[1:])
                at = _positive(i[part], shape[dim])
                before = base[tuple([s if n > 1 else slice(None) for s, n in zip(part, base.shape)])]
                fn(at + before if strides[dim] == 1 else at * strides[dim] + before, part)

    _over(some, parts, i.size)
