"""Gradients times a number, in place, with a look for infinities and NaN: what a GradScaler does before a step.

One pass over memory; on cuda one launch for all arrays of a dtype.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..device import on_device, to_device, to_host
from ._launch import kernel, launch
from ._op import Array
from .optimizer_gpu import _WARPS, BLOCK, _array, _place, _tables

if TYPE_CHECKING:
    import triton.language as tl


@kernel
def _unscale(
    table_ptr, blocks_ptr, found_ptr, c_ptr, like_ptr, FULL: tl.constexpr, ALIGNED: tl.constexpr, BLOCK: tl.constexpr
):
    """One block of one gradient times c, in place.

    table_ptr: int64 (arrays, 2): address, number of elements.
    blocks_ptr: int64 (programs, 2): row of the table, first element.
    found_ptr: (1,) float32; becomes 1 where an element is infinite or NaN (all writers write the same).
    c_ptr: (1,) the factor, in the dtype of computation.
    like_ptr: any array of the gradients' dtype; only its type is used.
    """
    row, at, mask = _place(table_ptr, blocks_ptr, 2, FULL, BLOCK)
    c = tl.load(c_ptr)
    g_ptr = _array(row, like_ptr, at, ALIGNED)
    g = tl.load(g_ptr, mask=mask, other=0).to(c.dtype)
    bad = tl.max((g * 0 != 0).to(tl.int32), axis=0)
    tl.store(found_ptr, 1.0, mask=bad != 0)
    tl.store(g_ptr, (g * c).to(g_ptr.dtype.element_ty), mask=mask)


def cpu(arrays: list[Array], factor: float) -> bool:
    """Multiply NumPy arrays in place; whether one of them held an infinity or NaN."""
    found = False
    for a in arrays:
        if a.dtype.itemsize == 2:
            wide = a.astype(np.float32)
            found = found or not np.isfinite(wide).all()
            a[...] = wide * np.float32(factor)
        else:
            found = found or not np.isfinite(a).all()
            np.multiply(a, a.dtype.type(factor), out=a)
    return found


def gpu(arrays: list[Array], factor: float, index: int) -> bool:
    """Multiply contiguous arrays of one dtype on device `index` in place; whether one held an infinity or NaN."""
    like = arrays[0]
    table, blocks = _tables([(a,) for a in arrays])
    full = blocks[:, 1] + BLOCK <= table[blocks[:, 0], -1]
    aligned = not (table[:, :-1] % 16).any()
    kind = np.float64 if like.dtype == np.float64 else np.float32
    with on_device(index):
        found = to_device(np.zeros(1, np.float32), index)
        c, table = to_device(np.array([factor], kind), index), to_device(table, index)
        for whole in (True, False):
            part = blocks[full == whole]
            if len(part):
                launch(
                    _unscale, (len(part),), table, to_device(part, index), found, c, like, FULL=whole, ALIGNED=aligned,
                    BLOCK=BLOCK, num_warps=_WARPS, reach=arrays,
                )  # fmt: skip
        return bool(to_host(found)[0])


def _aot(array: Any) -> Any:
    return gpu([array((4096,), "fp32")], 0.5, 0)


AOT = [("fp32", _aot)]
