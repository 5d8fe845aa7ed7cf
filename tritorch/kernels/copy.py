"""Ops that move data without computing: copies, casts, concatenation, repetition, triangles, flips."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..device import as_strided
from ._halves import F16, F32, convert
from ._launch import empty, kernel, launch
from ._op import Array, op
from ._select import where as _where
from ._shapes import broadcast_shapes
from ._strides import FEW, assign, dense
from .view import sum_to, unbroadcast

if TYPE_CHECKING:
    import triton.language as tl


@op
class clone:
    """A contiguous copy."""

    upcast = False
    grad_on_arrays = True

    def cpu(x: Array) -> Array:
        return np.array(x, order="C") if x.size < FEW else dense(x)

    def gpu(x: Array) -> Array:
        from ._pointwise import copy_into

        y = empty(x.shape, x.dtype)
        if y.size:
            copy_into(y, x)
        return y

    def grad(g):
        return g

    def samples(rng):
        yield (rng.normal(size=(3, 5)).T,), ()
        yield (rng.normal(size=()),), ()

    def cost(x):
        return 2 * x.nbytes, 0


def _halves(z: Array) -> tuple[Array, Array]:
    """Real and imaginary part of a complex device array, as views."""
    half = z.dtype.itemsize // 2
    part = np.dtype(f"f{half}")
    return as_strided(z, z.shape, z.strides, 0, part), as_strided(z, z.shape, z.strides, half, part)


def _cast_complex(x: Array, to: Any) -> Array:
    """From complex, to complex or both, on the device."""
    from ._pointwise import copy_into, fill

    y = empty(x.shape, to)
    if not y.size:
        return y
    source = _halves(x) if x.dtype.kind == "c" else (x, None)
    if y.dtype.kind != "c":
        copy_into(y, source[0])
        return y
    real, imaginary = _halves(y)
    copy_into(real, source[0])
    if source[1] is None:
        fill(imaginary, 0)
    else:
        copy_into(imaginary, source[1])
    return y


def _cast(x: Array, to: Any) -> Array:
    """x.astype(to), on threads when it is large: NumPy rounds to half precision one number after the other."""
    if x.dtype == F16 and to == F32 or x.dtype == F32 and to == F16:
        return convert(x, to)
    if x.size < 1 << 18:
        return x.astype(to)
    y = np.empty_like(x, to)
    assign(y, x, 1 << 17 if x.dtype.itemsize == 2 or to.itemsize == 2 else 1 << 20)
    return y


@op
class cast:
    """x in another dtype; complex to real takes the real part, as PyTorch."""

    upcast = False

    def cpu(x: Array, to: Any) -> Array:
        if x.dtype.kind == "c" and to.np.kind != "c":
            x = x.real
        return _cast(x, to.np)

    def gpu(x: Array, to: Any) -> Array:
        from ._pointwise import cast as device_cast

        if x.dtype.kind == "c" or to.np.kind == "c":
            return _cast_complex(x, to.np)
        return device_cast(x, to.np)

    def grad(g, x_dtype):
        return cast(g, x_dtype)

    def cpu_grad(g, x_dtype):
        return _cast(g.real if g.dtype.kind == "c" and x_dtype.np.kind != "c" else g, x_dtype.np)

    def samples(rng):
        yield (rng.normal(size=(3, 4)),), (dtypes.float64,)
        yield (rng.integers(0, 9, (3, 4)),), (dtypes.float32,)
        yield (rng.normal(size=(3, 4)),), (dtypes.complex128,)

    def cost(x, to):
        return x.nbytes + x.size * to.itemsize, x.size


@op
class cat:
    """Arrays joined along `dim`."""

    upcast = False

    def cpu(xs: list[Array], dim: int) -> Array:
        return _joined(xs, dim)

    def gpu(xs: list[Array], dim: int) -> Array:
        from ._pointwise import copy_into

        shape = list(xs[0].shape)
        shape[dim] = sum(x.shape[dim] for x in xs)
        y = empty(tuple(shape), xs[0].dtype)
        start = 0
        for x in xs:
            if x.size:
                copy_into(y[(slice(None),) * dim + (slice(start, start + x.shape[dim]),)], x)
            start += x.shape[dim]
        return y

    def grad(g, xs_shape, dim):
        return _parts(g, xs_shape, dim)

    def cpu_grad(g, xs_shape, dim):
        return _parts(g, xs_shape, dim)

    def gpu_grad(g, xs_shape, dim):
        return _parts(g, xs_shape, dim)

    def samples(rng):
        yield ([rng.normal(size=(2, 3)), rng.normal(size=(2, 1)), rng.normal(size=(2, 0))],), (1,)
        yield ([rng.normal(size=(2, 3)), rng.normal(size=(4, 3))],), (0,)

    def cost(xs, dim):
        return 2 * sum(x.nbytes for x in xs), 0


def _joined(xs: Any, dim: int) -> Array:
    """np.concatenate, with long copies over threads."""
    if len(xs) > 64 or sum([x.size for x in xs]) < 1 << 20:
        return np.concatenate(xs, dim)
    n = sum([x.shape[dim] for x in xs])
    shape = (*xs[0].shape[:dim], n, *xs[0].shape[dim + 1 :])
    y = np.empty(shape, xs[0].dtype)
    start = 0
    for x in xs:
        assign(y[(slice(None),) * dim + (slice(start, start + x.shape[dim]),)], x)
        start += x.shape[dim]
    return y


def _parts(g: Any, shapes: Any, dim: int) -> tuple:
    parts, start = [], 0
    for s in shapes:
        parts.append(g[(slice(None),) * dim + (slice(start, start + s[dim]),)])
        start += s[dim]
    return tuple(parts)


@op
class stack:
    """Arrays of one shape joined along a new `dim`."""

    upcast = False

    def cpu(xs: list[Array], dim: int) -> Array:
        return _joined([x.reshape((*x.shape[:dim], 1, *x.shape[dim:])) for x in xs], dim)

    def gpu(xs: list[Array], dim: int) -> Array:
        return cat.gpu([x.reshape((*x.shape[:dim], 1, *x.shape[dim:])) for x in xs], dim)  # type: ignore[misc]

    def grad(g, xs_shape, dim):
        return tuple([g[(slice(None),) * dim + (i,)] for i in range(len(xs_shape))])

    def cpu_grad(g, xs_shape, dim):
        return tuple([g[(slice(None),) * dim + (i, ...)] for i in range(len(xs_shape))])

    def gpu_grad(g, xs_shape, dim):
        return tuple([g[(slice(None),) * dim + (i, ...)] for i in range(len(xs_shape))])

    def samples(rng):
        yield ([rng.normal(size=(2, 3)), rng.normal(size=(2, 3))],), (1,)
        yield ([rng.normal(size=()), rng.normal(size=())],), (0,)

    def cost(xs, dim):
        return 2 * sum(x.nbytes for x in xs), 0


@op
class split:
    """x cut along `dim` into pieces of the given sizes; each piece is a view of x."""

    upcast = False

    def cpu(x: Array, sizes: tuple[int, ...], dim: int) -> tuple[Array, ...]:
        pieces, start = [], 0
        for n in sizes:
            pieces.append(x[(slice(None),) * dim + (slice(start, start + n),)])
            start += n
        return tuple(pieces)

    def gpu(x: Array, sizes: tuple[int, ...], dim: int) -> tuple[Array, ...]:
        return split.cpu(x, sizes, dim)

    def grad(g, dim):
        return cat(list(g), dim)

    def cpu_grad(g, dim):
        return _joined(g, dim)

    def samples(rng):
        yield (rng.normal(size=(2, 7)),), ((3, 3, 1), 1)


@op
class unbind:
    """The slices of x along `dim`, without that dim; each is a view of x."""

    upcast = False

    def cpu(x: Array, dim: int) -> tuple[Array, ...]:
        key = (slice(None),) * dim
        return tuple([x[(*key, i, ...)] for i in range(x.shape[dim])])

    def gpu(x: Array, dim: int) -> tuple[Array, ...]:
        return unbind.cpu(x, dim)

    def grad(g, dim):
        return stack(list(g), dim)

    def cpu_grad(g, dim):
        return np.stack(g, dim)

    def samples(rng):
        yield (rng.normal(size=(2, 3, 2)),), (1,)


def _mirrored(ndim: int, dims: tuple[int, ...]) -> tuple[slice, ...]:
    """The key that reverses the order along `dims`."""
    return tuple([slice(None, None, -1) if d in dims else slice(None) for d in range(ndim)])


@op
class flip:
    """x with the order along `dims` reversed."""

    upcast = False

    def cpu(x: Array, dims: tuple[int, ...]) -> Array:
        return dense(x[_mirrored(x.ndim, dims)])

    def gpu(x: Array, dims: tuple[int, ...]) -> Array:
        from ._pointwise import copy_into

        y = empty(x.shape, x.dtype)
        if y.size:
            copy_into(y, x[_mirrored(x.ndim, dims)])
        return y

    def grad(g, dims):
        return flip(g, dims)

    def cpu_grad(g, dims):
        return dense(g[_mirrored(g.ndim, dims)])

    def samples(rng):
        yield (rng.normal(size=(2, 3, 2)),), ((0, 2),)

    def cost(x, dims):
        return 2 * x.nbytes, 0


@op
class roll:
    """x shifted cyclically by `shifts` along `dims`."""

    upcast = False

    def cpu(x: Array, shifts: tuple[int, ...], dims: tuple[int, ...]) -> Array:
        y = np.empty(x.shape, x.dtype)
        for source, target in _turned(x.shape, shifts, dims):
            assign(y[target], x[source])
        return y

    def gpu(x: Array, shifts: tuple[int, ...], dims: tuple[int, ...]) -> Array:
        from ._pointwise import copy_into

        y = empty(x.shape, x.dtype)
        for source, target in _turned(x.shape, shifts, dims) if y.size else ():
            copy_into(y[target], x[source])
        return y

    def grad(g, shifts, dims):
        return roll(g, tuple([-s for s in shifts]), dims)

    def cpu_grad(g, shifts, dims):
        return roll.cpu(g, tuple([-s for s in shifts]), dims)

    def samples(rng):
        yield (rng.normal(size=(4, 5)),), ((1, -2), (0, 1))

    def cost(x, shifts, dims):
        return 2 * x.nbytes, 0


def _turned(shape: tuple[int, ...], shifts: tuple[int, ...], dims: tuple[int, ...]) -> list[tuple[tuple, tuple]]:
    """The pieces of a cyclic shift: (where from, where to), one slice per dim."""
    pieces: list[tuple[tuple, tuple]] = [((), ())]
    for d, n in enumerate(shape):
        k = sum(s for s, e in zip(shifts, dims, strict=True) if e == d) % n if n else 0
        cuts = (
            [(slice(None), slice(None))] if k == 0 else [(slice(0, n - k), slice(k, n)), (slice(n - k, n), slice(0, k))]
        )
        pieces = [((*a, source), (*b, target)) for a, b in pieces for source, target in cuts]
    return pieces


@op
class repeat:
    """x tiled `times` along each dim (new dims in front)."""

    upcast = False

    def cpu(x: Array, times: tuple[int, ...]) -> Array:
        if x.size < FEW:
            return np.tile(x, times)
        sizes = (1,) * (len(times) - x.ndim) + x.shape
        y = np.empty(tuple([t * n for t, n in zip(times, sizes, strict=True)]), x.dtype)
        if y.size:
            to = y.reshape([n for pair in zip(times, sizes, strict=True) for n in pair])
            assign(to, np.broadcast_to(x.reshape([n for s in sizes for n in (1, s)]), to.shape))
        return y

    def gpu(x: Array, times: tuple[int, ...]) -> Array:
        from ._pointwise import copy_into

        sizes = (1,) * (len(times) - x.ndim) + x.shape
        y = empty(tuple([t * n for t, n in zip(times, sizes, strict=True)]), x.dtype)
        if y.size:
            pairs = [n for pair in zip(times, sizes, strict=True) for n in pair]
            copy_into(y.reshape(pairs), x.reshape([n for s in sizes for n in (1, s)]))
        return y

    def grad(g, x_shape, times):
        shape = (1,) * (len(times) - len(x_shape)) + tuple(x_shape)
        split_shape = [n for pair in zip(times, shape, strict=True) for n in pair]
        return g.reshape(split_shape).sum(tuple(range(0, 2 * len(times), 2))).reshape(x_shape) if times else g

    def samples(rng):
        yield (rng.normal(size=(2, 3)),), ((2, 1, 3),)
        yield (rng.normal(size=(2,)),), ((3,),)

    def cost(x, times):
        return x.nbytes + x.nbytes * prod(times), 0


@kernel(do_not_specialize=("k",))
def _keep_triangle(x_ptr, y_ptr, n, rows, cols, k, LOWER: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """y = x on and below (LOWER) or above diagonal k of each rows x cols matrix, else 0; what becomes 0 is not read.

    x_ptr, y_ptr: n words of contiguous matrices, WIDTH to an element. One program per BLOCK words, a power of two.
    """
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    e = at // WIDTH
    j = e % cols
    i = (e // cols) % rows
    if LOWER:
        kept = j - i <= k
    else:
        kept = j - i >= k
    v = tl.load(x_ptr + at, mask=kept & (at < n), other=0)
    tl.store(y_ptr + at, v, mask=at < n)


def _triangle(x: Array, k: int, lower: bool) -> Array:
    """A triangle of a device array."""
    from ._gather import contiguous, memory_words

    y = empty(x.shape, x.dtype)
    if y.size:
        to, width = memory_words(y)
        source, _ = memory_words(contiguous(x))
        launch(
            _keep_triangle, (-(-to.size // 1024),), source, to, to.size, *x.shape[-2:], k,
            LOWER=lower, WIDTH=width, BLOCK=1024,
        )  # fmt: skip
    return y


def _triangle_array(x: Array, k: int, lower: bool) -> Array:
    """np.tril or np.triu in bands of rows, of which only the columns that meet the diagonal need a mask."""
    n_rows, n_columns = x.shape[-2:]
    if x.size <= 4096:
        return np.where(_kept_mask(n_rows, n_columns, k, lower), x, x.dtype.type(0))
    y = np.empty(x.shape, x.dtype)
    bits = np.dtype(f"i{x.dtype.itemsize}") if x.dtype.itemsize <= 8 else None
    for i in range(0, n_rows, _BAND):
        band = slice(i, min(i + _BAND, n_rows))
        first = min(max(i + k + lower, 0), n_columns)  # columns up to here are below the diagonal in all rows
        last = min(max(band.stop + k - (not lower), first), n_columns)  # and from here on above
        below, middle, above = slice(0, first), slice(first, last), slice(last, n_columns)
        kept, gone = (below, above) if lower else (above, below)
        y[..., band, kept] = x[..., band, kept]
        y[..., band, gone] = 0
        ones = np.tri(band.stop - i, last - first, i + k - first - (not lower), np.bool_)
        mask = ones if lower else ~ones
        if bits is None:
            y[..., band, middle] = np.where(mask, x[..., band, middle], x.dtype.type(0))
        else:  # all bits of a number or none: many times as fast as a choice
            np.bitwise_and(x[..., band, middle].view(bits), -mask.astype(bits), out=y[..., band, middle].view(bits))
    return y


_BAND = 64  # rows


@lru_cache(maxsize=64)
def _kept_mask(n_rows: int, n_columns: int, k: int, lower: bool) -> np.ndarray:
    return np.tri(n_rows, n_columns, k, np.bool_) if lower else ~np.tri(n_rows, n_columns, k - 1, np.bool_)


def _kept(x: Array, k: int, lower: bool) -> int:
    """How many elements a triangle keeps, which are those that have to be read."""
    n_rows, n_columns = x.shape[-2:]
    below = int(np.clip(np.arange(n_rows) + k + lower, 0, n_columns).sum())
    return prod(x.shape[:-2]) * (below if lower else n_rows * n_columns - below)


@op
class tril:
    """x with the elements above diagonal `k` of the last two dims set to 0."""

    upcast = False

    def cpu(x: Array, k: int) -> Array:
        return _triangle_array(x, k, True)

    def gpu(x: Array, k: int) -> Array:
        return _triangle(x, k, True)

    def grad(g, k):
        return tril(g, k)

    def cpu_grad(g, k):
        return _triangle_array(g, k, True)

    def samples(rng):
        yield (rng.normal(size=(3, 4)),), (0,)
        yield (rng.normal(size=(2, 4, 3)),), (-1,)

    def cost(x, k):
        return x.nbytes + _kept(x, k, True) * x.itemsize, 0


@op
class triu:
    """x with the elements below diagonal `k` of the last two dims set to 0."""

    upcast = False

    def cpu(x: Array, k: int) -> Array:
        return _triangle_array(x, k, False)

    def gpu(x: Array, k: int) -> Array:
        return _triangle(x, k, False)

    def grad(g, k):
        return triu(g, k)

    def cpu_grad(g, k):
        return _triangle_array(g, k, False)

    def samples(rng):
        yield (rng.normal(size=(3, 4)),), (0,)
        yield (rng.normal(size=(2, 4, 3)),), (1,)

    def cost(x, k):
        return x.nbytes + _kept(x, k, False) * x.itemsize, 0


@op
class pad_constant:
    """x with (before, after) elements of `value` per dim; negative numbers crop."""

    upcast = False

    def cpu(x: Array, widths: tuple[tuple[int, int], ...], value: float) -> Array:
        inner, outer = _overlap(x.shape, widths)
        if all(a <= 0 >= b for a, b in widths):
            return dense(x[inner])
        shape = tuple([n + a + b for n, (a, b) in zip(x.shape, widths, strict=True)])
        y = np.full(shape, value, x.dtype) if value else np.zeros(shape, x.dtype)
        assign(y[outer], x[inner])
        return y

    def gpu(x: Array, widths: tuple[tuple[int, int], ...], value: float) -> Array:
        from ._pointwise import copy_into, fill

        y = empty(tuple([n + a + b for n, (a, b) in zip(x.shape, widths, strict=True)]), x.dtype)
        if y.size:
            fill(y, value)
            inner, outer = _overlap(x.shape, widths)
            if x[inner].size:
                copy_into(y[outer], x[inner])
        return y

    def grad(g, widths):
        return pad_constant(g, tuple([(-a, -b) for a, b in widths]), 0)

    def cpu_grad(g, widths):
        return pad_constant.cpu(g, tuple([(-a, -b) for a, b in widths]), 0)

    def samples(rng):
        yield (rng.normal(size=(3, 4)),), (((1, 2), (0, 1)), 0.5)
        yield (rng.normal(size=(3, 4)),), (((-1, 2), (1, -2)), 0.0)

    def cost(x, widths, value):
        inner, _ = _overlap(x.shape, widths)
        read = prod(max(0, s.stop - s.start) for s in inner)
        return (read + prod(n + a + b for n, (a, b) in zip(x.shape, widths, strict=True))) * x.itemsize, 0


def _overlap(shape: tuple[int, ...], widths: Any) -> tuple[tuple, tuple]:
    """The part of an array that stays when it is padded by `widths`, and where it comes to lie."""
    inner, outer = [], []
    for n, (a, b) in zip(shape, widths, strict=True):
        first, last, at = max(-a, 0), n - max(-b, 0), max(a, 0)
        inner.append(slice(first, last))
        outer.append(slice(at, at + last - first))
    return tuple(inner), tuple(outer)


@op
class where:
    """x where the mask is True, else z; broadcast."""

    upcast = False

    def cpu(mask: Array, x: Array, z: Array) -> Array:
        return np.asarray(_where(mask, x, z))

    def gpu(mask: Array, x: Array, z: Array) -> Array:
        from ._pointwise import pointwise

        return pointwise("where", ("where(m, a, b)",), ("m", "a", "b"), (mask, x, z), (x.dtype,))[0]

    def grad(g, mask, x_shape, z_shape, needs):
        zero = g.new_zeros(())
        gx = sum_to(where(mask, g, zero), x_shape) if needs[1] else None
        gz = sum_to(where(mask, zero, g), z_shape) if needs[2] else None
        return None, gx, gz

    def cpu_grad(g, mask, x_shape, z_shape, needs):
        zero = np.zeros((), g.dtype)
        gx = unbroadcast(_where(mask, g, zero), x_shape) if needs[1] else None
        gz = unbroadcast(_where(mask, zero, g), z_shape) if needs[2] else None
        return None, gx, gz

    def samples(rng):
        yield (rng.random((3, 4)) > 0.5, rng.normal(size=(3, 4)), rng.normal(size=(4,))), ()
        yield (rng.random((3, 1)) > 0.5, rng.normal(size=()), rng.normal(size=(3, 4))), ()

    def cost(mask, x, z):
        y = prod(broadcast_shapes(mask.shape, x.shape, z.shape))
        return mask.nbytes + x.nbytes + z.nbytes + y * x.itemsize, y


@op
class conj:
    """The complex conjugate."""

    upcast = False

    def cpu(x: Array) -> Array:
        return np.asarray(np.conj(x))

    def gpu(x: Array) -> Array:
        from ._pointwise import copy_into, pointwise

        y = empty(x.shape, x.dtype)
        if y.size and x.dtype.kind != "c":
            copy_into(y, x)
        elif y.size:
            (x_re, x_im), (y_re, y_im) = _halves(x), _halves(y)
            copy_into(y_re, x_re)
            pointwise("conj", ("-a",), ("a",), (x_im,), (x_im.dtype,), None, (y_im,))
        return y

    def grad(g):
        return conj(g)

    def cpu_grad(g):
        return np.asarray(np.conj(g))

    def samples(rng):
        yield (rng.normal(size=(3,)),), ()
        yield (rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4)),), ()

    def cost(x):
        return 2 * x.nbytes, 0


AOT = [
    ("tril bf16 64 x 1024 x 1024", lambda array: tril.gpu(array((64, 1024, 1024), "bf16"), 0)),
    ("triu fp32 1000 x 999", lambda array: triu.gpu(array((1000, 999)), 1)),
]
