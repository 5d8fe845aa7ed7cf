"""One step of SGD or Adam on cuda: all parameters of a dtype in one launch.

The kernels reach the arrays through a table of addresses: one row per parameter, one program per block of `BLOCK`
elements, which finds its parameter and its first element in a second table. So a model of 150 parameters costs not
150 launches, but one for the full blocks, whose loads need no masks and are 16 bytes wide, and one for the rest. Bytes
moved per float32 element: 12 for SGD, 20 with momentum, 28 for Adam.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..device import on_device, to_device
from ._launch import kernel, launch
from ._op import Array

if TYPE_CHECKING:
    import triton.language as tl

BLOCK = 2048
_WARPS = 8


@kernel
def _place(table_ptr, blocks_ptr, COLUMNS: tl.constexpr, FULL: tl.constexpr, BLOCK: tl.constexpr):
    """The program's row of the table of addresses, its elements and their mask.

    table_ptr: int64 (parameters, COLUMNS), row-major: addresses, the number of elements in the last column.
    blocks_ptr: int64 (programs, 2): row of the table, first element (a multiple of BLOCK).
    FULL: no block reaches beyond its array.
    """
    entry = blocks_ptr + tl.program_id(0) * 2
    row = table_ptr + tl.load(entry) * COLUMNS
    at = tl.multiple_of(tl.load(entry + 1), BLOCK) + tl.arange(0, BLOCK)
    mask = tl.full((BLOCK,), 1, tl.int1) if FULL else at < tl.load(row + COLUMNS - 1)
    return row, at, mask


@kernel
def _array(cell_ptr, like_ptr, at, ALIGNED: tl.constexpr):
    """Pointers to the elements `at` of the array whose address lies at cell_ptr.

    like_ptr: any array of the same dtype. ALIGNED: the address is a multiple of 16.
    """
    base_ptr = tl.load(cell_ptr).to(like_ptr.dtype)
    if ALIGNED:
        base_ptr = tl.multiple_of(base_ptr, 16)  # what makes the loads wide
    return base_ptr + at


@kernel
def _adam(
    table_ptr, blocks_ptr, c_ptr, like_ptr,
    AMSGRAD: tl.constexpr, DECAY: tl.constexpr, DECOUPLED: tl.constexpr, MAXIMIZE: tl.constexpr,
    FULL: tl.constexpr, ALIGNED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Adam on one block of one parameter.

    table_ptr: int64 (parameters, 6): addresses of p, g, m, v, the largest v (or 0), number of elements.
    blocks_ptr: int64 (programs, 2): row of the table, first element.
    c_ptr: (6,) rate1, beta2, rate2, eps, step, decay, in the dtype of computation.
    like_ptr: any array of the parameters' dtype; only its type is used.
    FULL, ALIGNED: as `_place` and `_array`.
    """
    row, at, mask = _place(table_ptr, blocks_ptr, 6, FULL, BLOCK)
    rate1 = tl.load(c_ptr)
    p_ptr = _array(row, like_ptr, at, ALIGNED)
    g_ptr = _array(row + 1, like_ptr, at, ALIGNED)
    m_ptr = _array(row + 2, like_ptr, at, ALIGNED)
    v_ptr = _array(row + 3, like_ptr, at, ALIGNED)
    p = tl.load(p_ptr, mask=mask, other=0).to(rate1.dtype)
    g = tl.load(g_ptr, mask=mask, other=0).to(rate1.dtype)
    m = tl.load(m_ptr, mask=mask, other=0).to(rate1.dtype)
    v = tl.load(v_ptr, mask=mask, other=0).to(rate1.dtype)
    if MAXIMIZE:
        g = -g
    if DECAY:
        decay = tl.load(c_ptr + 5)
        if DECOUPLED:
            p = p * decay
        else:
            g = g + decay * p
    m = m + rate1 * (g - m)
    v = tl.load(c_ptr + 1) * v + tl.load(c_ptr + 2) * g * g
    bound = v
    if AMSGRAD:
        top_ptr = _array(row + 4, like_ptr, at, ALIGNED)
        top = tl.load(top_ptr, mask=mask, other=0).to(rate1.dtype)
        bound = tl.where(v > top, v, top)
        bound = tl.where(v != v, v, bound)
        tl.store(top_ptr, bound.to(top_ptr.dtype.element_ty), mask=mask)
    p = p - tl.load(c_ptr + 4) * m / (tl.sqrt(bound) + tl.load(c_ptr + 3))
    tl.store(p_ptr, p.to(p_ptr.dtype.element_ty), mask=mask)
    tl.store(m_ptr, m.to(p_ptr.dtype.element_ty), mask=mask)
    tl.store(v_ptr, v.to(p_ptr.dtype.element_ty), mask=mask)


@kernel
def _sgd(
    table_ptr, blocks_ptr, c_ptr, like_ptr,
    MOMENTUM: tl.constexpr, FIRST: tl.constexpr, NESTEROV: tl.constexpr, MAXIMIZE: tl.constexpr,
    FULL: tl.constexpr, ALIGNED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """SGD on one block of one parameter.

    table_ptr: int64 (parameters, 4): addresses of p, g, the momentum buffer (or 0), number of elements.
    blocks_ptr: int64 (programs, 2): row of the table, first element.
    c_ptr: (4,) lr, momentum, 1 - dampening, weight decay, in the dtype of computation.
    like_ptr: any array of the parameters' dtype; only its type is used.
    FIRST: the buffer becomes the gradient. FULL, ALIGNED: as `_place` and `_array`.
    """
    row, at, mask = _place(table_ptr, blocks_ptr, 4, FULL, BLOCK)
    lr = tl.load(c_ptr)
    p_ptr = _array(row, like_ptr, at, ALIGNED)
    g_ptr = _array(row + 1, like_ptr, at, ALIGNED)
    p = tl.load(p_ptr, mask=mask, other=0).to(lr.dtype)
    g = tl.load(g_ptr, mask=mask, other=0).to(lr.dtype)
    if MAXIMIZE:
        g = -g
    g = g + tl.load(c_ptr + 3) * p
    if MOMENTUM:
        b_ptr = _array(row + 2, like_ptr, at, ALIGNED)
        momentum = tl.load(c_ptr + 1)
        if FIRST:
            b = g
        else:
            b = tl.load(b_ptr, mask=mask, other=0).to(lr.dtype)
            b = momentum * b + tl.load(c_ptr + 2) * g
        tl.store(b_ptr, b.to(p_ptr.dtype.element_ty), mask=mask)
        if NESTEROV:
            g = g + momentum * b
        else:
            g = b
    tl.store(p_ptr, (p - lr * g).to(p_ptr.dtype.element_ty), mask=mask)


def _address(a: Array | None) -> int:
    if a is None:
        return 0
    return a.__array_interface__["data"][0] if isinstance(a, np.ndarray) else a.data.ptr


def _tables(rows: list[tuple[Array | None, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """The table of addresses with the numbers of elements, and for each program its row and first element."""
    table = np.array([[*map(_address, row), row[0].size] for row in rows], np.int64)  # type: ignore[union-attr]
    counts = -(-table[:, -1] // BLOCK)
    owner = np.repeat(np.arange(len(rows)), counts)
    first = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    return table, np.stack([owner, first * BLOCK], axis=1)


def _run(kern: Any, rows: list[tuple[Array | None, ...]], constants: list[float], index: int, **consts: Any) -> None:
    """Launch `kern` over all rows of arrays, which have one dtype, are contiguous and lie on device `index`."""
    like = rows[0][0]
    assert like is not None
    table, blocks = _tables(rows)
    full = blocks[:, 1] + BLOCK <= table[blocks[:, 0], -1]
    aligned = not (table[:, :-1] % 16).any()
    kind = np.float64 if like.dtype == np.float64 else np.float32
    with on_device(index):
        c, table = to_device(np.array(constants, kind), index), to_device(table, index)
        reach = [a for row in rows for a in row if a is not None]
        for whole in (True, False):
            part = blocks[full == whole]
            if len(part):
                grid, place = (len(part),), to_device(part, index)
                consts |= {"FULL": whole, "ALIGNED": aligned, "BLOCK": BLOCK}
                launch(kern, grid, table, place, c, like, num_warps=_WARPS, reach=reach, **consts)


def adam(
    rows: list[tuple[Array | None, ...]], c: dict[str, float], index: int, *, amsgrad: bool, decay: bool,
    decoupled: bool, maximize: bool,
) -> None:  # fmt: skip
    """One step of Adam, in place.

    Args:
        rows: (p, g, m, v, largest v or None) per parameter: contiguous, of one dtype, on device `index`.
        c: as optimizer_step.adam's.
    """
    constants = [c[n] for n in ("rate1", "beta2", "rate2", "eps", "step", "decay")]
    _run(_adam, rows, constants, index, AMSGRAD=amsgrad, DECAY=decay, DECOUPLED=decoupled, MAXIMIZE=maximize)


def sgd(
    rows: list[tuple[Array | None, ...]],
    c: dict[str, float],
    index: int,
    *,
    first: bool,
    nesterov: bool,
    maximize: bool,
) -> None:
    """One step of SGD, in place.

    Args:
        rows: (p, g, momentum buffer or None) per parameter: contiguous, of one dtype, on device `index`.
        c: as optimizer_step.sgd's.
        first: the buffers become the gradients.
    """
    constants = [c[n] for n in ("lr", "momentum", "undamped", "decay")]
    momentum = rows[0][2] is not None
    _run(_sgd, rows, constants, index, MOMENTUM=momentum, FIRST=first, NESTEROV=nesterov, MAXIMIZE=maximize)


def _aot_rows(array: Any, columns: int) -> list[tuple[Array, ...]]:
    return [tuple(array((4096,), "fp32") for _ in range(columns))]


AOT = [
    (
        "Adam fp32",
        lambda array: adam(
            _aot_rows(array, 5), dict.fromkeys(("rate1", "beta2", "rate2", "eps", "step", "decay"), 0.5), 0,
            amsgrad=False, decay=True, decoupled=True, maximize=False,
        ),
    ),
    (
        "SGD with momentum fp32",
        lambda array: sgd(
            _aot_rows(array, 3), dict.fromkeys(("lr", "momentum", "undamped", "decay"), 0.5), 0, first=False,
            nesterov=True, maximize=False,
        ),
    ),
]  # fmt: skip
