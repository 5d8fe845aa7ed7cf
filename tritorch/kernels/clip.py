"""The joint norm of many arrays on cuda and their scaling by it, each in one pass, without the host in between.

    partial sums of |g|^p (or largest |g|) per block of each array, in float32 (float64 for float64)
    total = (sum of the partials, in order)^(1/p), scale = min(1, limit / (total + 1e-6)), one program
    g = g * scale

So 150 gradients cost a handful of launches; the sums are added in a fixed order, and the scale stays on the device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..device import on_device
from ._launch import empty, kernel, launch
from ._multi_array import BLOCK, WARPS, elements, launch_over, number, place, tables
from ._op import Array

if TYPE_CHECKING:
    import triton.language as tl

KINDS = {1.0: "one", 2.0: "two", float("inf"): "max"}


@kernel
def _partial_norms(
    table_ptr, blocks_ptr, out_ptr, like_ptr, KIND: tl.constexpr, FULL: tl.constexpr, ALIGNED: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """out[program] = sum of |g|, sum of g^2 or largest |g| (KIND: one, two, max) of one block of one array.

    table_ptr: int64 (arrays, 2): address, number of elements. blocks_ptr: int64 (programs, 2): row, first element.
    """
    row, at, mask = place(table_ptr, blocks_ptr, 2, FULL, BLOCK)
    g = tl.load(elements(row, like_ptr, at, ALIGNED), mask=mask, other=0).to(out_ptr.dtype.element_ty)
    if KIND == "two":
        y = tl.sum(g * g, 0)
    elif KIND == "one":
        y = tl.sum(tl.abs(g), 0)
    else:
        y = tl.max(tl.abs(g), 0)
        y = tl.where(tl.max((g != g).to(tl.int32), 0) > 0, float("nan"), y)
    tl.store(out_ptr + tl.program_id(0), y)


@kernel
def _total_norm(partial_ptr, total_ptr, n, KIND: tl.constexpr, BLOCK: tl.constexpr):
    """total (1,) from partial (n,), by one program."""
    i = tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK,), partial_ptr.dtype.element_ty)
    for start in range(0, n, BLOCK):
        v = tl.load(partial_ptr + start + i, mask=start + i < n, other=0)
        if KIND == "max":
            acc = tl.where((v > acc) | (v != v), v, acc)
        else:
            acc += v
    if KIND == "max":
        y = tl.where(tl.max((acc != acc).to(tl.int32), 0) > 0, float("nan"), tl.max(acc, 0))
    else:
        y = tl.sum(acc, 0)
        if KIND == "two":
            y = tl.sqrt(y)
    tl.store(total_ptr, y.to(total_ptr.dtype.element_ty))


@kernel
def _scaled(
    table_ptr, blocks_ptr, total_ptr, like_ptr, limit: tl.float64, FULL: tl.constexpr, ALIGNED: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """One block of one array times min(1, limit / (total + 1e-6)), in place."""
    row, at, mask = place(table_ptr, blocks_ptr, 2, FULL, BLOCK)
    limit = number(limit, like_ptr)
    scale = limit / (tl.load(total_ptr).to(limit.dtype) + 1e-6)
    scale = tl.where(scale > 1, 1.0, scale).to(limit.dtype)
    g_ptr = elements(row, like_ptr, at, ALIGNED)
    g = tl.load(g_ptr, mask=mask, other=0).to(limit.dtype)
    tl.store(g_ptr, (g * scale).to(g_ptr.dtype.element_ty), mask=mask)


def total_norm(arrays: list[Array], p: float, index: int) -> Array:
    """The p-norm (1, 2 or inf) of contiguous arrays of one dtype on device `index`, as if one vector; 0-dim, their dtype."""
    like = arrays[0]
    wide = np.dtype(np.float64 if like.dtype == np.float64 else np.float32)
    with on_device(index):
        made = tables([(a,) for a in arrays], index)
        n = sum(count for _, _, count in made.parts)
        partial, total = empty((max(n, 1),), wide), empty((), like.dtype)
        done = 0
        for whole, blocks, count in made.parts:
            launch(
                _partial_norms, (count,), made.table, blocks, partial[done:], like,
                KIND=KINDS[p], FULL=whole, ALIGNED=made.aligned, BLOCK=BLOCK, num_warps=WARPS, reach=arrays,
            )  # fmt: skip
            done += count
        launch(_total_norm, (1,), partial, total, n, KIND=KINDS[p], BLOCK=1024, num_warps=4)
    return total


def scale(arrays: list[Array], limit: float, total: Array, index: int) -> None:
    """Multiply contiguous arrays of one dtype on device `index` by min(1, limit / (total + 1e-6)), in place."""
    rows = [(a,) for a in arrays]
    with on_device(index):
        launch_over(_scaled, tables(rows, index), (total, arrays[0], float(limit)), rows)


def AOT() -> list[Any]:  # noqa: N802 - the name that the report looks for
    """All kinds, in float32 and bfloat16."""

    def case(dtype: str, p: float) -> Any:
        def run(array: Any) -> None:
            arrays = [array((5000,), dtype)]
            scale(arrays, 1.0, total_norm(arrays, p, 0), 0)

        return f"{KINDS[p]} {dtype}", run

    return [case(dtype, p) for dtype in ("fp32", "bf16") for p in KINDS]
