"""Gradients divided by a loss scale, in place, with a look for infinities and NaN; and the choice of the next scale.

    g = g * float32(1 / scale);  found = 1 where an element of any g was not finite
    scale = scale * backoff, good = 0               where something was found
    scale = scale * growth (unless infinite), good = 0      after `interval` good steps in a row
    good = good + 1                                 else

One pass over memory; on cuda one launch for all arrays of a dtype, and everything stays on the device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..device import on_device
from ._launch import kernel, launch
from ._multi_array import elements, launch_over, place, tables
from ._op import Array

if TYPE_CHECKING:
    import triton.language as tl


@kernel
def _unscale(
    table_ptr, blocks_ptr, found_ptr, scale_ptr, like_ptr, FULL: tl.constexpr, ALIGNED: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """One block of one gradient divided by the scale, in place.

    table_ptr: int64 (arrays, 2): address, number of elements.
    blocks_ptr: int64 (programs, 2): row of the table, first element.
    found_ptr: (1,) float32; becomes 1 where an element is infinite or NaN (all writers write the same).
    scale_ptr: (1,) float32.
    like_ptr: any array of the gradients' dtype; only its type is used.
    """
    row, at, mask = place(table_ptr, blocks_ptr, 2, FULL, BLOCK)
    c = tl.div_rn(1.0, tl.load(scale_ptr))
    if like_ptr.dtype.element_ty == tl.float64:
        c = c.to(tl.float64)
    g_ptr = elements(row, like_ptr, at, ALIGNED)
    g = tl.load(g_ptr, mask=mask, other=0).to(c.dtype)
    bad = tl.max((g * 0 != 0).to(tl.int32), axis=0)
    tl.store(found_ptr, 1.0, mask=bad != 0)
    tl.store(g_ptr, (g * c).to(g_ptr.dtype.element_ty), mask=mask)


@kernel
def _update(scale_ptr, good_ptr, found_ptr, growth: tl.float64, backoff: tl.float64, interval):
    """scale: float32 (1,). good: int32 (1,), good steps in a row. found: float32 (1,), not 0 where something was found."""
    scale = tl.load(scale_ptr)
    good = tl.load(good_ptr) + 1
    found = tl.load(found_ptr) != 0
    grows = good == interval
    larger = (scale.to(tl.float64) * growth).to(tl.float32)
    larger = tl.where(larger - larger == 0, larger, scale)
    smaller = (scale.to(tl.float64) * backoff).to(tl.float32)
    tl.store(scale_ptr, tl.where(found, smaller, tl.where(grows, larger, scale)))
    tl.store(good_ptr, tl.where(found | grows, 0, good))


def cpu(arrays: list[Array], scale: Array, found: Array) -> None:
    """Divide NumPy arrays by `scale` (float32, one element) in place; `found` (alike) becomes 1 for infinities and NaN."""
    with np.errstate(divide="ignore"):
        factor = np.float32(1) / scale.reshape(())
    for a in arrays:
        if a.dtype.itemsize == 2:
            wide = a.astype(np.float32)
            finite = np.isfinite(wide).all()
            a[...] = wide * factor
        else:
            finite = np.isfinite(a).all()
            np.multiply(a, a.dtype.type(factor), out=a)
        if not finite:
            found[...] = 1


def gpu(arrays: list[Array], scale: Array, found: Array, index: int) -> None:
    """`cpu` for contiguous arrays of one dtype on device `index`."""
    rows = [(a,) for a in arrays]
    with on_device(index):
        launch_over(_unscale, tables(rows, index), (found, scale, arrays[0]), rows)


def update_cpu(scale: Array, good: Array, found: Array, growth: float, backoff: float, interval: int) -> None:
    """The next scale (float32) and number of good steps in a row (int32), in place; NumPy arrays of one element."""
    now, steps = np.float64(scale.reshape(())[()]), int(good.reshape(())[()]) + 1
    if found.any():
        scale[...], good[...] = np.float32(now * backoff), 0
    elif steps == interval:
        larger = np.float32(now * growth)
        scale[...], good[...] = larger if np.isfinite(larger) else now, 0
    else:
        good[...] = steps


def update_gpu(
    scale: Array, good: Array, found: Array, growth: float, backoff: float, interval: int, index: int
) -> None:
    """`update_cpu` for arrays on device `index`."""
    with on_device(index):
        launch(_update, (1,), scale, good, found, float(growth), float(backoff), int(interval), num_warps=1)


def _aot(dtype: str) -> Any:
    return lambda array: gpu([array((5000,), dtype)], array((1,), "fp32"), array((1,), "fp32"), 0)


AOT = [
    ("fp32", _aot("fp32")),
    ("bf16", _aot("bf16")),
    ("fp64", _aot("fp64")),
    (
        "update",
        lambda array: update_gpu(array((), "fp32"), array((), "i32"), array((), "fp32"), 2.0, 0.5, 2000, 0),
    ),
]
