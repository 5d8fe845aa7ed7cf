"""Device side of the index family: reading, writing and accumulating at computed places.

Every index op comes down to one form: an array of `n` places in units of elements, each with a run of `m` neighbours
(the dims that the key leaves whole at the end), and one of three kernels over it. Places are computed by an elementwise
kernel from the index arrays and the strides. Accumulation is deterministic without atomics: places are sorted
(stably), and one lane per run of equal places adds its values in their order.

An index out of range makes its place negative: such a place reads as all bits set (NaN, -1) and is not written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..device import EMULATED, as_strided, constant, cuda_index
from ._indexed import places_of
from ._launch import empty, kernel, launch
from ._op import Array
from ._shapes import broadcast_shapes

if TYPE_CHECKING:
    import triton.language as tl

BLOCK = 1024
FOLD_BLOCK = 1024 if EMULATED else 256  # a lane of the walk holds more than 1024 leave registers for


@kernel
def _gather_runs(x_ptr, at_ptr, y_ptr, n, m, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """y[i, j] = x[WIDTH * at[i] + j].

    x_ptr: memory of any size; at_ptr: (n,) int64, in elements; y_ptr: (n, m) contiguous. One program per BLOCK elements
    of y; BLOCK is a power of 2.
    """
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n * m
    row = i // m
    at = tl.load(at_ptr + row, mask=inside, other=0)
    value = tl.load(x_ptr + at * WIDTH + (i - row * m), mask=inside & (at >= 0), other=-1)
    tl.store(y_ptr + i, value, mask=inside)


@kernel
def _scatter_runs(y_ptr, at_ptr, v_ptr, n, m, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """y[WIDTH * at[i] + j] = v[i, j]; which of several equal places wins is not defined.

    y_ptr: memory of any size; at_ptr: (n,) int64, in elements; v_ptr: (n, m) contiguous. One program per BLOCK elements
    of v.
    """
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n * m
    row = i // m
    at = tl.load(at_ptr + row, mask=inside, other=0)
    value = tl.load(v_ptr + i, mask=inside, other=0)
    tl.store(y_ptr + at * WIDTH + (i - row * m), value, mask=inside & (at >= 0))


@kernel(do_not_specialize=("n", "step"))
def _count(y_ptr, n, step, BLOCK: tl.constexpr):
    """y[i] = step * i; y_ptr: (n,) int64."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, i * step, mask=i < n)


@kernel
def _fold_runs(y_ptr, at_ptr, order_ptr, v_ptr, n, m, KIND: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr):
    """y[at[i] + j] = y[at[i] + j] (+, *, max, min) v[order[i], j], over runs of equal at.

    y_ptr: memory of any size; at_ptr: (n,) int64, sorted; order_ptr: (n,) int64, the rows of v in that order; v_ptr:
    (n, m) contiguous. One lane per (i, j) where i starts a run: it walks the run alone, in order. WIDE: the type to
    compute in (0: float32, 1: float64, 2: int64).
    """
    t = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = t < n * m
    i = t // m
    j = t - i * m
    at = tl.load(at_ptr + i, mask=inside, other=-1)
    before = tl.load(at_ptr + i - 1, mask=inside & (i > 0), other=-1)
    walking = inside & (at >= 0) & (at != before)
    total = tl.load(y_ptr + at + j, mask=walking, other=0)
    if WIDE == 0:
        total = total.to(tl.float32)
    elif WIDE == 1:
        total = total.to(tl.float64)
    else:
        total = total.to(tl.int64)
    k = i
    active = walking
    while tl.max(active.to(tl.int32), 0) > 0:
        row = tl.load(order_ptr + k, mask=active, other=0)
        value = tl.load(v_ptr + row * m + j, mask=active, other=0).to(total.dtype)
        if KIND == 0:
            new = total + value
        elif KIND == 1:
            new = total * value
        elif KIND == 2:
            new = tl.where((value > total) | (value != value), value, total)
        else:
            new = tl.where((value < total) | (value != value), value, total)
        total = tl.where(active, new, total)
        k += 1
        active = active & (k < n)
        following = tl.load(at_ptr + k, mask=active, other=-2)
        active = active & (following == at)
    tl.store(y_ptr + at + j, total.to(y_ptr.dtype.element_ty), mask=walking)


_OUTSIDE = -(2**59)  # so far down that a place of 8 dims stays negative, and in 64 bits
KINDS = {"sum": 0, "prod": 1, "max": 2, "min": 3}


def on_device(a: Any) -> Array:
    """An index array as device memory (int64), whether it came from the host or was there."""
    if cuda_index(a) is None:
        return constant(np.ascontiguousarray(a, np.int64))
    if a.dtype != np.int64:
        from ._pointwise import cast

        return cast(a, np.int64)
    return a


def counted(n: int, step: int = 1) -> Array:
    """0, step, 2 step, ...: n of them (int64), made on the device."""
    y = empty((n,), np.int64)
    launch(_count, (-(-n // BLOCK),), y, n, step, BLOCK=BLOCK)
    return y


def of_mask(mask: Array) -> tuple[Array, ...]:
    """The index arrays of a mask's True elements, one per dim, where the mask is: on the device or on the host."""
    if cuda_index(mask) is None:
        return places_of(mask)
    from .nonzero import nonzero

    y = nonzero.gpu(mask.reshape((1,)) if not mask.ndim else mask)
    return tuple(y[:, d] for d in range(y.shape[1])) if mask.ndim else (y.reshape(-1),)


def places(shape: tuple[int, ...], key: tuple) -> tuple[Array, int, tuple[int, ...]]:
    """The places (n,) that a key of full slices and index arrays reads in a contiguous array of `shape`.

    Returns (places, m, shape of the result): each place is followed by a run of m elements that the key leaves whole.
    """
    parts: list = []
    for k in key:  # masks stand for the index arrays of their True elements
        if k.__class__ is not slice and k.dtype == np.bool_:
            parts.extend(of_mask(k))
        else:
            parts.append(k)
    strides = [1] * len(shape)
    for d in range(len(shape) - 2, -1, -1):
        strides[d] = strides[d + 1] * shape[d + 1]
    m = strides[len(parts) - 1] if parts else 1
    tail = tuple(shape[len(parts) :])
    dims = [d for d, k in enumerate(parts) if k.__class__ is not slice]
    joint = broadcast_shapes(*[parts[d].shape for d in dims])
    together = dims[-1] - dims[0] + 1 == len(dims)
    whole = [d for d, k in enumerate(parts) if k.__class__ is slice]
    front = [d for d in whole if together and d < dims[0]]
    back = [d for d in whole if d not in front]
    lead = (*[shape[d] for d in front], *joint, *[shape[d] for d in back])
    terms = []
    for d in whole:
        axis = front.index(d) if d in front else len(front) + len(joint) + back.index(d)
        sizes = [shape[d] if a == axis else 1 for a in range(len(lead))]
        terms.append(counted(shape[d], strides[d]).reshape(sizes))
    exprs = [f"t{i}" for i in range(len(terms))]
    numbers: dict[str, float | int] = {}
    for d in dims:
        a = on_device(parts[d])
        a = a.reshape((1,) * (len(joint) - a.ndim) + a.shape + (1,) * len(back))
        i = len(terms)
        t, n, s = f"t{i}", f"n{i}", f"s{i}"
        numbers |= {n: shape[d], s: strides[d]}
        exprs.append(f"where(({t} >= -{n}) & ({t} < {n}), where({t} < 0, {t} + {n}, {t}) * {s}, {_OUTSIDE})")
        terms.append(a.reshape((1,) * (len(lead) - a.ndim) + a.shape))
    out = empty(lead, np.int64)
    if out.size:
        from ._pointwise import pointwise

        names = tuple(f"t{i}" for i in range(len(terms)))
        pointwise("places", (" + ".join(exprs),), names, tuple(terms), (np.dtype(np.int64),), numbers, (out,))
    return out.reshape(-1), m, lead + tail


def along(i: Array, dim: int, shape: tuple[int, ...]) -> Array:
    """The places that gather and scatter name in a contiguous array of `shape`: i replaces the index of `dim`."""
    key = [
        i if d == dim else counted(n).reshape([n if a == d else 1 for a in range(i.ndim)])
        for d, n in enumerate(i.shape)
    ]
    return places(shape, tuple(key))[0]


def contiguous(x: Array) -> Array:
    """x, or a contiguous copy."""
    return x if x.flags.c_contiguous else copy_of(x)


def copy_of(x: Array) -> Array:
    from ._pointwise import copy_into

    y = empty(x.shape, x.dtype)
    if y.size:
        copy_into(y, x)
    return y


def memory_words(a: Array) -> tuple[Array, int]:
    """The same memory as whole numbers, and how many of them an element is: two for 16 bytes (complex128)."""
    size = a.dtype.itemsize
    if size < 16:
        return a.view(np.dtype(f"i{size}")), 1
    word = np.dtype(np.int64)
    return as_strided(a, (2 * a.size,), (8,), 0, word), 2


def gather_runs(x: Array, at: Array, m: int, shape: tuple[int, ...]) -> Array:
    """The runs of x at `at`, as a new array of `shape`."""
    y = empty(shape, x.dtype)
    if y.size:
        to, width = memory_words(y)
        source, _ = memory_words(contiguous(x))
        launch(_gather_runs, (-(-to.size // BLOCK),), source, at, to, at.size, m * width, WIDTH=width, BLOCK=BLOCK)
    return y


def scatter_runs(y: Array, at: Array, v: Array, m: int) -> None:
    """Write v, (places, m) or fewer dims that broadcast to it, into contiguous y."""
    if at.size and m:
        to, width = memory_words(y)
        source, _ = memory_words(contiguous(v))
        grid = (-(-at.size * m * width // BLOCK),)
        launch(_scatter_runs, grid, to, at, source, at.size, m * width, WIDTH=width, BLOCK=BLOCK)


def fold_runs(y: Array, at: Array, v: Array, m: int, kind: str = "sum") -> None:
    """Accumulate v into contiguous y at `at`: kind sum, prod, max or min."""
    if not at.size or not m:
        return
    from .sort import sort_gpu

    ordered, order = sort_gpu(at, 0, at.size, False)
    wide = 1 if y.dtype == np.float64 else 2 if y.dtype.kind in "iub" else 0
    n = at.size
    launch(
        _fold_runs, (-(-n * m // FOLD_BLOCK),), y, ordered, order, contiguous(v), n, m,
        KIND=KINDS[kind], WIDE=wide, BLOCK=FOLD_BLOCK,
    )  # fmt: skip


def spread(v: Array, shape: tuple[int, ...]) -> Array:
    """A contiguous copy of v broadcast to `shape`."""
    from ._pointwise import copy_into

    if v.shape == shape:
        return contiguous(v)
    y = empty(shape, v.dtype)
    if y.size:
        copy_into(y, v)
    return y


AOT = [
    ("gather runs fp32", lambda array: gather_runs(array((4096, 64), "fp32"), array((512,), "i64"), 64, (512, 64))),
    ("scatter runs bf16", lambda array: scatter_runs(array((4096, 64), "bf16"), array((512,), "i64"), array((512, 64), "bf16"), 64)),
    ("fold runs fp32", lambda array: _fold_case(array, "fp32")),
    ("fold runs bf16", lambda array: _fold_case(array, "bf16")),
]  # fmt: skip


def _fold_case(array: Any, dtype: str) -> None:
    at = array((512,), "i64")
    y, v = array((4096, 64), dtype), array((512, 64), dtype)
    launch(_fold_runs, (128,), y, at, at, v, 512, 64, KIND=0, WIDE=0, BLOCK=FOLD_BLOCK)
