"""Views: ops whose output shares the input's memory (reshape, permute, expand, slices, diagonals, windows).

Their NumPy definition serves all devices, since device arrays have NumPy's view interface; nothing is launched.
The rules run on arrays and on Tensors alike where they can; scatter-like rules go through `unview`.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..device import as_strided as _as_strided
from ._op import OPS, Array, op
from ._threads import product

Ints = tuple[int, ...]


@op
class view:
    """The same elements under another shape; the layout must allow it (checked by the caller)."""

    view = True
    grad_on_arrays = True

    def cpu(x: Array, shape: tuple[int, ...]) -> Array:
        if x.__class__ is np.ndarray:  # ValueError where it is no view
            return x.reshape(shape) if x.flags.c_contiguous else x.reshape(shape, copy=False)
        y = x.view()
        try:
            y.shape = shape
            return y
        except AttributeError:
            raise ValueError("not a view") from None

    def grad(g, x_shape):
        return g.reshape(x_shape)

    def samples(rng):
        yield (rng.normal(size=(2, 6)),), ((3, 4),)
        yield (rng.normal(size=(0, 6)),), ((2, 0),)
        yield (rng.normal(size=()),), ((1, 1),)


@op
class permute:
    """y's dim i is x's dim dims[i]."""

    view = True

    def cpu(x: Array, dims: tuple[int, ...]) -> Array:
        return x.transpose(dims)

    def grad(g, dims):
        return permute(g, inverse(dims))

    def cpu_grad(g, dims):
        return g.transpose(inverse(dims))

    def samples(rng):
        yield (rng.normal(size=(2, 3, 4)),), ((2, 0, 1),)
        yield (rng.normal(size=(2, 3)),), ((1, 0),)
        yield (rng.normal(size=()),), ((),)


def inverse(dims: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes `dims`."""
    back = [0] * len(dims)
    for i, d in enumerate(dims):
        back[d] = i
    return tuple(back)


def _inside(x: Array, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> Array:
    """`as_strided` of a view that does not leave x, for which NumPy takes a third of the time."""
    if x.__class__ is np.ndarray and x.flags.c_contiguous and x.dtype.kind in "fiubc":
        return np.ndarray(shape, x.dtype, x, offset, strides)
    return _as_strided(x, shape, strides, offset)


@op
class expand:
    """Dims of size 1 repeated with stride 0, new dims in front."""

    view = True

    def cpu(x: Array, shape: tuple[int, ...]) -> Array:
        n = len(shape) - x.ndim
        if n:
            x = x.reshape((1,) * n + x.shape)
        strides = tuple(
            [0 if have == 1 != want else s for have, want, s in zip(x.shape, shape, x.strides, strict=True)]
        )
        return _inside(x, shape, strides)

    def grad(g, x_shape):
        return sum_to(g, x_shape)

    def cpu_grad(g, x_shape):
        return unbroadcast(g, x_shape)

    def samples(rng):
        yield (rng.normal(size=(3, 1)),), ((2, 3, 4),)
        yield (rng.normal(size=(1,)),), ((5,),)
        yield (rng.normal(size=()),), ((2, 2),)


def unbroadcast(g: Array, shape: tuple[int, ...]) -> Array:
    """Sum a raw gradient down to the shape that was broadcast to it."""
    if g.shape == shape:
        return g
    n = g.ndim - len(shape)
    dims = tuple([*range(n)] + [i + n for i, s in enumerate(shape) if s == 1 and g.shape[i + n] != 1])
    if dims:
        g = (
            column_sums(g, dims)
            if g.dtype.itemsize != 2
            else g.astype(np.float32).sum(dims, keepdims=True).astype(g.dtype)
        )
    return g.reshape(shape)


def column_sums(g: Array, dims: tuple[int, ...]) -> Array:
    """g summed over `dims`, kept as 1; leading dims of a float matrix go through BLAS as ones @ g."""
    k = len(dims)
    if dims == tuple(range(k)) and k < g.ndim and g.size > 4096 and g.dtype.char in "fd" and g.flags.c_contiguous:
        rows = 1
        for s in g.shape[:k]:
            rows *= s
        flat = g.reshape(rows, -1)
        return product(np.ones((1, rows), g.dtype), flat).reshape((1,) * k + g.shape[k:])
    return g.sum(dims, keepdims=True)


def sum_to(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum a Tensor gradient down to the shape that was broadcast to it."""
    have = tuple(g.shape)
    if have == shape:
        return g
    n = len(have) - len(shape)
    dims = [*range(n)] + [i + n for i, s in enumerate(shape) if s == 1 and have[i + n] != 1]
    if dims:
        g = g.sum(dims, keepdim=True)
    return g.reshape(shape)


@op
class slice_:
    """Basic indexing: integers, slices with positive steps, None and one Ellipsis at the end."""

    view = True

    def cpu(x: Array, key: tuple) -> Array:
        return x[key]

    def grad(g, x_shape, key):
        return unview(g, x_shape, "slice", (key,))

    def cpu_grad(g, x_shape, key):
        z = np.zeros(x_shape, g.dtype)
        z[key] = g
        return z

    def samples(rng):
        yield (rng.normal(size=(4, 5)),), ((slice(1, None, 2), 2, ...),)
        yield (rng.normal(size=(4, 5)),), ((None, slice(0, 0), ...),)
        yield (rng.normal(size=(6,)),), ((3, ...),)


@op
class diagonal:
    """The diagonal of dims (dim1, dim2), as the last dim."""

    view = True

    def cpu(x: Array, offset: int, dim1: int, dim2: int) -> Array:
        rows, columns = x.shape[dim1], x.shape[dim2]
        n = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
        s1, s2 = x.strides[dim1], x.strides[dim2]
        start = (offset * s2 if offset >= 0 else -offset * s1) if n else 0
        kept = [i for i in range(x.ndim) if i not in (dim1, dim2)]
        shape = (*[x.shape[i] for i in kept], n)
        return _inside(x, shape, (*[x.strides[i] for i in kept], s1 + s2), start)

    def grad(g, x_shape, offset, dim1, dim2):
        return unview(g, x_shape, "diagonal", (offset, dim1, dim2))

    def samples(rng):
        yield (rng.normal(size=(4, 5)),), (1, 0, 1)
        yield (rng.normal(size=(2, 4, 3)),), (-1, 2, 0)


@op
class unfold_dim:
    """Windows of `size` every `step` along `dim`, as a new last dim (torch.Tensor.unfold)."""

    view = True

    def cpu(x: Array, dim: int, size: int, step: int) -> Array:
        if x.ndim == 0:
            return _as_strided(x, (size,), (0,))
        n = (x.shape[dim] - size) // step + 1
        shape = (*x.shape[:dim], n, *x.shape[dim + 1 :], size)
        strides = (*x.strides[:dim], x.strides[dim] * step, *x.strides[dim + 1 :], x.strides[dim])
        return _as_strided(x, shape, strides)

    def grad(g, x_shape, dim, size, step):
        return unview(g, x_shape, "unfold_dim", (dim, size, step))

    def samples(rng):
        yield (rng.normal(size=(7, 2)),), (0, 3, 2)
        yield (rng.normal(size=(2, 6)),), (1, 2, 2)


def _reach(shape: Ints, strides: Ints, offset: int) -> tuple[int, int]:
    """The lowest and the highest place of a view in memory."""
    if 0 in shape:
        return offset, offset
    ends = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
    return offset + sum(min(e, 0) for e in ends), offset + sum(max(e, 0) for e in ends)


@op
class as_strided:
    """Any view of the memory; strides and offset in elements, the offset counted from x's first element.

    `source` has the strides of an x that is not contiguous, or that the view reaches out of; only elements of x have a
    gradient, and those that lie at one place share it.
    """

    view = True

    def cpu(x: Array, shape: Ints, strides: Ints, offset: int, source: Ints | None) -> Array:
        item = x.dtype.itemsize
        return _as_strided(x, shape, tuple([s * item for s in strides]), offset * item)

    def grad(g, x_shape, shape, strides, offset, source):
        if source is None:
            return unview(g, x_shape, "as_strided", (shape, strides, offset, None))
        ranges = _reach(shape, strides, offset), _reach(x_shape, source, 0)
        first = min(low for low, _ in ranges)
        memory = (max(high for _, high in ranges) - first + 1,)
        of_x = x_shape, source, -first, None
        total = unview(g, memory, "as_strided", (shape, strides, offset - first, None))
        if any(s == 0 and n > 1 for s, n in zip(source, x_shape, strict=True)) or prod(x_shape) > memory[0]:
            total = total / unview(g.new_ones(x_shape), memory, "as_strided", of_x).clamp(min=1)
        return as_strided(total, *of_x)

    def samples(rng):
        yield (rng.normal(size=(4, 5)),), ((2, 3), (5, 1), 6, None)
        yield (rng.normal(size=(9,)),), ((4, 3), (2, 1), 0, None)
        yield (rng.normal(size=(4, 5)),), ((2, 3), (5, 1), 6, (5, 1))


@op
class real:
    """The real parts of a complex array."""

    view = True

    def cpu(x: Array) -> Array:
        return x.real

    def grad(g):
        return g.to(g.dtype.to_complex())

    def samples(rng):
        yield (rng.normal(size=(3, 2)) + 1j * rng.normal(size=(3, 2)),), ()


@op
class imag:
    """The imaginary parts of a complex array."""

    view = True

    def cpu(x: Array) -> Array:
        return x.imag

    def grad(g):
        return g.to(g.dtype.to_complex()) * 1j

    def samples(rng):
        yield (rng.normal(size=(3, 2)) + 1j * rng.normal(size=(3, 2)),), ()


@op
class view_as_real:
    """Complex (...) as real (..., 2)."""

    view = True

    def cpu(x: Array) -> Array:
        kind = np.float32 if x.dtype == np.complex64 else np.float64
        return x.reshape((*x.shape, 1)).view(kind)

    def grad(g):
        return view_as_complex(g.contiguous())

    def samples(rng):
        yield (rng.normal(size=(3, 2)) + 1j * rng.normal(size=(3, 2)),), ()


@op
class view_as_complex:
    """Real (..., 2) as complex (...)."""

    view = True

    def cpu(x: Array) -> Array:
        kind = np.complex64 if x.dtype == np.float32 else np.complex128
        return x.view(kind).reshape(x.shape[:-1])

    def grad(g):
        return view_as_real(g.contiguous())

    def samples(rng):
        yield (rng.normal(size=(3, 2)),), ()


@op
class unview:
    """Zeros of `shape` with x added where the view (`name`, `params`) of them points: the transpose of a view."""

    upcast = False

    def cpu(x: Array, shape: tuple[int, ...], name: str, params: tuple) -> Array:
        z = np.zeros(shape, x.dtype)
        target = OPS[name].cpu(z, *params)
        if _overlaps(target):
            places = OPS[name].cpu(np.arange(z.size).reshape(shape), *params)
            np.add.at(z.reshape(-1), places.reshape(-1), x.reshape(-1))
        else:
            target[...] = x
        return z

    def gpu(x: Array, shape: tuple[int, ...], name: str, params: tuple) -> Array:
        from ._launch import empty
        from ._pointwise import copy_into, fill

        z = empty(shape, x.dtype)
        if z.size:
            fill(z, 0)
        target = OPS[name].cpu(z, *params)
        if not target.size:
            return z
        if _overlaps(target):
            from ._gather import contiguous, counted, fold_runs

            at = OPS[name].cpu(counted(z.size).reshape(shape), *params)
            fold_runs(z, contiguous(at).reshape((at.size,)), x, 1)
        else:
            copy_into(target, x)
        return z

    def grad(g, name, params):
        return OPS[name](g, *params)

    def samples(rng):
        yield (rng.normal(size=(2, 3)),), ((5, 4), "slice", ((slice(1, 3), slice(0, 3), ...),))
        yield (rng.normal(size=(3,)),), ((3, 4), "diagonal", (1, 0, 1))

    def cost(x, shape, name, params):
        return x.nbytes + prod(shape) * x.itemsize, 0


def _overlaps(a: Array) -> bool:
    """Do two indices of a strided array share memory."""
    dims = sorted((abs(s), n) for s, n in zip(a.strides, a.shape, strict=True) if n > 1)
    reach = a.dtype.itemsize
    for stride, n in dims:
        if stride < reach:
            return True
        reach = stride * (n - 1) + reach
    return False
