"""Indexing by arrays: reading, writing, accumulating. Index arrays are parameters (they carry no gradient)."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from . import _indexed
from ._gather import along, copy_of, fold_runs, gather_runs, places, scatter_runs, spread
from ._launch import empty
from ._op import Array, op
from ._select import where as _where
from ._shapes import broadcast_shapes
from ._strides import dense
from .copy import where


def _reach(shape: tuple[int, ...], key: tuple) -> tuple[int, int]:
    """Elements that a key reaches (at most, for masks), and the bytes of its indices."""
    d, whole, joint, at = 0, 1, [], 0
    for k in key:
        if k.__class__ is slice:
            whole *= shape[d]
            d += 1
        else:
            mask = k.dtype == np.bool_
            joint.append((k.size,) if mask else k.shape)
            d += k.ndim if mask else 1
            at += k.nbytes
    return prod(broadcast_shapes(*joint)) * whole * prod(shape[d:]), at


def _added(y: Array, key: tuple, v: Array) -> Array:
    """y with v added at `key`; half precision is summed in float32."""
    if y.dtype.itemsize > 2 or y.dtype.kind in "iub":
        _indexed.add(y, key, v)
        return y
    wide = y.astype(np.float32)
    _indexed.add(wide, key, v.astype(np.float32))
    return wide.astype(y.dtype)


@op
class index:
    """x[key] for a key of index arrays and full slices; a copy."""

    upcast = False

    def cpu(x: Array, key: tuple) -> Array:
        return _indexed.read(x, key)

    def gpu(x: Array, key: tuple) -> Array:
        at, m, shape = places(x.shape, key)
        return gather_runs(x, at, m, shape)

    def grad(g, x_shape, key):
        return index_add_zeros(g, x_shape, key)

    def cpu_grad(g, x_shape, key):
        return _added(np.zeros(x_shape, g.dtype), key, g)

    def samples(rng):
        yield (rng.normal(size=(4, 5)),), ((np.array([0, 2, 0, -1]),),)
        yield (rng.normal(size=(4, 5)),), ((slice(None), np.array([[0, 2], [2, 4]])),)
        yield (rng.normal(size=(4, 5)),), ((np.array([0, 3]), np.array([1, 1])),)

    def cost(x, key):
        y, at = _reach(x.shape, key)
        return 2 * y * x.itemsize + at, 0


@op
class index_add_zeros:
    """Zeros of `shape` with x added at `key`: the transpose of `index`."""

    upcast = False

    def cpu(x: Array, shape: tuple[int, ...], key: tuple) -> Array:
        return _added(np.zeros(shape, x.dtype), key, x)

    def gpu(x: Array, shape: tuple[int, ...], key: tuple) -> Array:
        z = zeros(shape, x.dtype)
        at, m, _ = places(shape, key)
        fold_runs(z, at, x, m)
        return z

    def grad(g, key):
        return index(g, key)

    def samples(rng):
        yield (rng.normal(size=(3, 2)),), ((4, 2), (np.array([0, 2, 0]),))

    def cost(x, shape, key):
        return x.nbytes + prod(shape) * x.itemsize + _reach(shape, key)[1], x.size


@op
class index_put:
    """x with x[key] set to (or, `accumulate`, increased by) v, broadcast."""

    upcast = False

    def cpu(x: Array, v: Array, key: tuple, accumulate: bool) -> Array:
        y = dense(x)
        if accumulate:
            return _added(y, key, v)
        _indexed.write(y, key, v)
        return y

    def gpu(x: Array, v: Array, key: tuple, accumulate: bool) -> Array:
        y = copy_of(x)
        at, m, shape = places(x.shape, key)
        if accumulate:
            fold_runs(y, at, spread(v, shape), m)
        else:
            scatter_runs(y, at, spread(v, shape), m)
        return y

    def grad(g, v_shape, key, accumulate, needs):
        gx = gv = None
        if needs[0]:
            gx = g if accumulate else index_put(g, g.new_zeros(()), key, False)
        if needs[1]:
            gv = index(g, key).sum_to_size(*v_shape)
        return gx, gv

    def samples(rng):
        yield (rng.normal(size=(4, 3)), rng.normal(size=(2, 3))), ((np.array([0, 2]),), False)
        yield (rng.normal(size=(4, 3)), rng.normal(size=(3,))), ((np.array([0, 2, 0]),), True)

    def cost(x, v, key, accumulate):
        y, at = _reach(x.shape, key)
        return 2 * x.nbytes + v.nbytes + at, y if accumulate else 0


def folded(x: Array, v: Array, dim: int, i: Any, kind: str) -> Array:
    """Device side of the scatters that accumulate."""
    y = copy_of(x)
    if i.size:
        at = along(i, dim, x.shape) if x.ndim and i.ndim else zeros((i.size,), np.int64)
        fold_runs(y, at, v[tuple(slice(n) for n in i.shape)] if v.ndim else v, 1, kind)
    return y


def zeros(shape: tuple[int, ...], np_dtype: Any) -> Array:
    """Device memory of zeros."""
    from ._pointwise import fill

    z = empty(shape, np_dtype)
    if z.size:
        fill(z, 0)
    return z


@op
class gather:
    """y[..., j, ...] = x[..., i[..., j, ...], ...] along `dim`; i has x's dims and no larger sizes elsewhere."""

    upcast = False

    def cpu(x: Array, dim: int, i: Any) -> Array:
        if x.ndim == 0:
            return np.array(x).reshape(i.shape)
        return _indexed.read_along(x, dim, i)

    def gpu(x: Array, dim: int, i: Any) -> Array:
        at = along(i, dim, x.shape) if x.ndim and i.ndim else zeros((i.size,), np.int64)
        return gather_runs(x, at, 1, i.shape)

    def grad(g, x_shape, dim, i):
        return scatter_add(g.new_zeros(x_shape), g, dim, i)

    def cpu_grad(g, x_shape, dim, i):
        return scatter_add.cpu(np.zeros(x_shape, g.dtype), g, dim, i)

    def samples(rng):
        yield (rng.normal(size=(4, 3)),), (1, np.array([[0, 2, 2, 1], [1, 1, 0, 0]]))
        yield (rng.normal(size=(4, 3)),), (0, np.array([[0, 3, 1]]))

    def cost(x, dim, i):
        return 2 * i.size * x.itemsize + i.nbytes, 0


@op
class scatter:
    """x with x[..., i, ...] set to v along `dim`, for every element of i; v has at least i's sizes."""

    upcast = False

    def cpu(x: Array, v: Array, dim: int, i: Any) -> Array:
        y = dense(x)
        if x.ndim:
            _indexed.write_along(y, dim, i, v)
        elif i.size:
            y[...] = v.reshape(-1)[0]
        return y

    def gpu(x: Array, v: Array, dim: int, i: Any) -> Array:
        y = copy_of(x)
        if i.size:
            at = along(i, dim, x.shape) if x.ndim and i.ndim else zeros((i.size,), np.int64)
            scatter_runs(y, at, v[tuple(slice(n) for n in i.shape)] if v.ndim else v, 1)
        return y

    def grad(g, v_shape, dim, i, needs):
        gx = scatter(g, g.new_zeros(i.shape), dim, i) if needs[0] else None
        gv = padded(gather(g, dim, i), v_shape) if needs[1] else None
        return gx, gv

    def samples(rng):
        yield (rng.normal(size=(4, 3)), rng.normal(size=(2, 3))), (0, np.array([[0, 2, 3], [1, 1, 0]]))

    def cost(x, v, dim, i):
        return 2 * x.nbytes + i.size * x.itemsize + i.nbytes, 0


def combined(ufunc: np.ufunc, x: Array, v: Array, dim: int, i: Array) -> Array:
    """CPU side of the scatters that accumulate, in float32 for half precision."""
    half = x.dtype.itemsize == 2 and x.dtype.kind not in "iub"
    y = x.astype(np.float32, "C") if half else dense(x)
    if x.ndim:
        _indexed.combine_along(ufunc, y, dim, i, v.astype(np.float32) if half else v)
    elif i.size:
        y[...] = ufunc(y, v.reshape(-1)[0])
    return y.astype(x.dtype) if half else y


@op
class scatter_add:
    """x with v added at [..., i, ...] along `dim`, for every element of i; duplicates accumulate."""

    upcast = False

    def cpu(x: Array, v: Array, dim: int, i: Any) -> Array:
        return combined(np.add, x, v, dim, i)

    def gpu(x: Array, v: Array, dim: int, i: Any) -> Array:
        return folded(x, v, dim, i, "sum")

    def grad(g, v_shape, dim, i, needs):
        gv = padded(gather(g, dim, i), v_shape) if needs[1] else None
        return g if needs[0] else None, gv

    def samples(rng):
        yield (rng.normal(size=(4, 3)), rng.normal(size=(3, 3))), (0, np.array([[0, 2, 3], [1, 2, 0]]))

    def cost(x, v, dim, i):
        return 2 * x.nbytes + i.size * x.itemsize + i.nbytes, i.size


def padded(g: Any, shape: tuple[int, ...]) -> Any:
    """Gradient of v[:n0, :n1, ...]: zeros where v was not read."""
    if tuple(g.shape) == shape:
        return g
    from .copy import pad_constant

    return pad_constant(g, tuple([(0, full - n) for full, n in zip(shape, g.shape, strict=True)]), 0.0)


def _spread(mask: Array, x: Array) -> Array:
    """A mask that is broadcast to a large x, in its shape: the choice by bits takes masks of x's shape."""
    if x.size < 4096 or mask.shape == x.shape or broadcast_shapes(mask.shape, x.shape) != x.shape:
        return mask
    return np.broadcast_to(mask, x.shape)


@op
class masked_fill:
    """x with `v` (one element) where the mask, broadcast, is True."""

    upcast = False

    def cpu(x: Array, v: Array, mask: Any) -> Array:
        return np.asarray(_where(_spread(mask, x), v.astype(x.dtype).reshape(()), x))

    def grad(g, x_shape, v_shape, mask, needs):
        zero = g.new_zeros(())
        gx = masked_fill(g, zero, mask).sum_to_size(*x_shape) if needs[0] else None
        gv = None
        if needs[1]:
            chosen = masked_fill(g.new_zeros(g.shape), g.new_ones(()), mask) != 0
            gv = where(chosen, g, zero).sum().reshape(v_shape)
        return gx, gv

    def cpu_grad(g, x_shape, v_shape, mask, needs):
        from .view import unbroadcast

        gx = unbroadcast(np.asarray(_where(_spread(mask, g), np.zeros((), g.dtype), g)), x_shape) if needs[0] else None
        gv = np.asarray(g[np.broadcast_to(mask, g.shape)].sum()).reshape(v_shape) if needs[1] else None
        return gx, gv

    def gpu(x: Array, v: Array, mask: Any) -> Array:
        from ._pointwise import cast, pointwise

        return pointwise("masked_fill", ("where(m, a, b)",), ("m", "a", "b"), (mask, cast(v, x.dtype), x), (x.dtype,))[
            0
        ]

    def samples(rng):
        yield (rng.normal(size=(4, 3)), rng.normal(size=())), (rng.random((4, 3)) > 0.5,)
        yield (rng.normal(size=(4, 3)), rng.normal(size=())), (rng.random((3,)) > 0.5,)

    def cost(x, v, mask):
        return 2 * x.nbytes + mask.nbytes, x.size
