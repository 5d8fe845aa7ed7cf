"""One step of SGD or Adam on cuda: all parameters of a dtype in one launch (`_multi_array`).

Rates and the like are numbers of the launch. What a CUDA graph's replay has to find anew is read from memory instead: the
learning rate where it is a tensor, the counters of steps, from which `_adam_numbers` makes the corrected rates of each
parameter, and whether a gradient was found infinite, in which case the step changes nothing. Bytes moved per float32
element: 12 for SGD, 20 with momentum, 28 for Adam.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..device import on_device
from ._launch import empty, kernel, launch
from ._multi_array import Row, elements, launch_over, number, place, tables
from ._op import Array

if TYPE_CHECKING:
    import triton.language as tl

_COUNTERS = 128  # counters per program


@kernel
def _adam_numbers(
    counters_ptr, c_ptr, lr_ptr, found_ptr, like_ptr,
    lr: tl.float64, first: tl.float64, second: tl.float64, eps: tl.float64, decay: tl.float64, n,
    DECOUPLED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Counts one more step of each parameter, and from it eps, step size and decay as `_adam` takes them.

    counters_ptr: int64 (n, 2), row-major: addresses of the counters in the first column; None: they are the host's.
    c_ptr: float64 (n, 3): eps * root, lr / correction * root, decay or, DECOUPLED, 1 - lr * decay, with correction =
        1 - beta1^t and root = sqrt(1 - beta2^t).
    lr_ptr: one element, or None: lr is the number. found_ptr: float32 (1,), not 0 to count nothing; or None.
    like_ptr: any counter; only its type is used.
    first, second: log(beta1), log(beta2), or for counters of the host correction and root.
    """
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    if lr_ptr is not None:
        lr = tl.load(lr_ptr).to(tl.float64)
    if counters_ptr is not None:
        counter_ptr = tl.load(counters_ptr + 2 * i, mask=mask, other=0).to(like_ptr.dtype)
        t = tl.load(counter_ptr, mask=mask, other=0)
        if found_ptr is not None:
            t += tl.where(tl.load(found_ptr) != 0, 0, 1)
        else:
            t += 1
        tl.store(counter_ptr, t, mask=mask)
        t = t.to(tl.float64)
        correction = 1 - tl.exp(t * first)
        root = tl.sqrt(1 - tl.exp(t * second))
    else:
        correction = tl.full((BLOCK,), 0, tl.float64) + first
        root = tl.full((BLOCK,), 0, tl.float64) + second
    c_ptr += 3 * i
    tl.store(c_ptr, eps * root, mask=mask)
    tl.store(c_ptr + 1, lr / correction * root, mask=mask)
    if DECOUPLED:
        decay = 1 - lr * decay
    tl.store(c_ptr + 2, decay, mask=mask)


@kernel
def _adam(
    table_ptr, blocks_ptr, c_ptr, found_ptr, like_ptr,
    rate1: tl.float64, beta2: tl.float64, rate2: tl.float64, eps: tl.float64, step: tl.float64, decay: tl.float64,
    AMSGRAD: tl.constexpr, DECAY: tl.constexpr, DECOUPLED: tl.constexpr, MAXIMIZE: tl.constexpr,
    FULL: tl.constexpr, ALIGNED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Adam on one block of one parameter.

    table_ptr: int64 (parameters, 6): addresses of p, g, m, v, the largest v (or 0), number of elements.
    blocks_ptr: int64 (programs, 2): row of the table, first element.
    c_ptr: float64 (parameters, 3), eps, step and decay of each parameter; or None: the numbers hold for all.
    found_ptr: float32 (1,), not 0 to change nothing; or None.
    like_ptr: any array of the parameters' dtype; only its type is used.
    FULL, ALIGNED: as `place` and `elements`.
    """
    row, at, mask = place(table_ptr, blocks_ptr, 6, FULL, BLOCK)
    if found_ptr is not None:
        mask = mask & (tl.load(found_ptr) == 0)
    if c_ptr is not None:
        c_ptr += tl.load(blocks_ptr + tl.program_id(0) * 2) * 3
        eps = tl.load(c_ptr)
        step = tl.load(c_ptr + 1)
        decay = tl.load(c_ptr + 2)
    rate1 = number(rate1, like_ptr)
    p_ptr = elements(row, like_ptr, at, ALIGNED)
    g_ptr = elements(row + 1, like_ptr, at, ALIGNED)
    m_ptr = elements(row + 2, like_ptr, at, ALIGNED)
    v_ptr = elements(row + 3, like_ptr, at, ALIGNED)
    p = tl.load(p_ptr, mask=mask, other=0).to(rate1.dtype)
    g = tl.load(g_ptr, mask=mask, other=0).to(rate1.dtype)
    m = tl.load(m_ptr, mask=mask, other=0).to(rate1.dtype)
    v = tl.load(v_ptr, mask=mask, other=0).to(rate1.dtype)
    if MAXIMIZE:
        g = -g
    if DECAY:
        if DECOUPLED:
            p = p * number(decay, like_ptr)
        else:
            g = g + number(decay, like_ptr) * p
    m = m + rate1 * (g - m)
    v = number(beta2, like_ptr) * v + number(rate2, like_ptr) * g * g
    bound = v
    if AMSGRAD:
        top_ptr = elements(row + 4, like_ptr, at, ALIGNED)
        top = tl.load(top_ptr, mask=mask, other=0).to(rate1.dtype)
        bound = tl.where(v > top, v, top)
        bound = tl.where(v != v, v, bound)
        tl.store(top_ptr, bound.to(top_ptr.dtype.element_ty), mask=mask)
    p = p - number(step, like_ptr) * m / (tl.sqrt(bound) + number(eps, like_ptr))
    tl.store(p_ptr, p.to(p_ptr.dtype.element_ty), mask=mask)
    tl.store(m_ptr, m.to(p_ptr.dtype.element_ty), mask=mask)
    tl.store(v_ptr, v.to(p_ptr.dtype.element_ty), mask=mask)


@kernel
def _sgd(
    table_ptr, blocks_ptr, lr_ptr, found_ptr, like_ptr,
    lr: tl.float64, momentum: tl.float64, undamped: tl.float64, decay: tl.float64,
    MOMENTUM: tl.constexpr, FIRST: tl.constexpr, NESTEROV: tl.constexpr, MAXIMIZE: tl.constexpr,
    FULL: tl.constexpr, ALIGNED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """SGD on one block of one parameter.

    table_ptr: int64 (parameters, 4): addresses of p, g, the momentum buffer (or 0), number of elements.
    blocks_ptr: int64 (programs, 2): row of the table, first element.
    lr_ptr: one element, or None: lr is the number. found_ptr: float32 (1,), not 0 to change nothing; or None.
    like_ptr: any array of the parameters' dtype; only its type is used.
    undamped: 1 - dampening. FIRST: the buffer becomes the gradient. FULL, ALIGNED: as `place` and `elements`.
    """
    row, at, mask = place(table_ptr, blocks_ptr, 4, FULL, BLOCK)
    if found_ptr is not None:
        mask = mask & (tl.load(found_ptr) == 0)
    if lr_ptr is not None:
        lr = tl.load(lr_ptr).to(tl.float64)
    rate = number(lr, like_ptr)
    p_ptr = elements(row, like_ptr, at, ALIGNED)
    g_ptr = elements(row + 1, like_ptr, at, ALIGNED)
    p = tl.load(p_ptr, mask=mask, other=0).to(rate.dtype)
    g = tl.load(g_ptr, mask=mask, other=0).to(rate.dtype)
    if MAXIMIZE:
        g = -g
    g = g + number(decay, like_ptr) * p
    if MOMENTUM:
        b_ptr = elements(row + 2, like_ptr, at, ALIGNED)
        friction = number(momentum, like_ptr)
        if FIRST:
            b = g
        else:
            b = tl.load(b_ptr, mask=mask, other=0).to(rate.dtype)
            b = friction * b + number(undamped, like_ptr) * g
        tl.store(b_ptr, b.to(p_ptr.dtype.element_ty), mask=mask)
        if NESTEROV:
            g = g + friction * b
        else:
            g = b
    tl.store(p_ptr, (p - rate * g).to(p_ptr.dtype.element_ty), mask=mask)


def adam(
    rows: list[Row], c: dict[str, float], index: int, *, amsgrad: bool, decay: bool, decoupled: bool, maximize: bool,
    numbers: Array | None = None, found: Array | None = None,
) -> None:  # fmt: skip
    """One step of Adam, in place.

    Args:
        rows: (p, g, m, v, largest v or None) per parameter: contiguous, of one dtype, on device `index`.
        c: as optimizer_step.adam's; `eps`, `step` and `decay` do not count where there are `numbers`.
        numbers: what `adam_numbers` gave for these rows.
        found: float32 (1,), not 0 for a step that changes nothing.
    """
    with on_device(index):
        values = [float(c[n]) for n in ("rate1", "beta2", "rate2", "eps", "step", "decay")]
        launch_over(
            _adam, tables(rows, index), (numbers, found, rows[0][0], *values), rows,
            AMSGRAD=amsgrad, DECAY=decay, DECOUPLED=decoupled, MAXIMIZE=maximize,
        )  # fmt: skip


def adam_numbers(
    n: int, lr: float | Array, betas: tuple[float, float], eps: float, decay: float, index: int, *, decoupled: bool,
    counters: Sequence[Array] | None = None, step: int = 0, found: Array | None = None,
) -> Array:  # fmt: skip
    """The numbers of one step of Adam for n parameters, on the device: float64 (n, 3).

    Args:
        lr: a number, or an array of one element on device `index`.
        counters: the steps so far of each parameter, 0-dim and of one dtype, which are counted on; None: `step` for all.
        found: float32 (1,), not 0 to leave the counters as they are.
    """
    on_host = counters is None
    if on_host:
        first, second = 1 - betas[0] ** step, (1 - betas[1] ** step) ** 0.5
    else:
        first, second = (math.log(b) if b else -math.inf for b in betas)
    rows = [] if counters is None else [(t,) for t in counters]
    rate, rate_ptr = (0.0, lr) if hasattr(lr, "dtype") else (lr, None)
    with on_device(index):
        made = empty((n, 3), np.dtype(np.float64))
        launch(
            _adam_numbers, (-(-n // _COUNTERS),), None if on_host else tables(rows, index).table, made, rate_ptr, found,
            None if counters is None else counters[0], float(rate), first, second, float(eps), float(decay), n,
            DECOUPLED=decoupled, BLOCK=_COUNTERS, num_warps=4, reach=[t for row in rows for t in row],
        )  # fmt: skip
    return made


def sgd(
    rows: list[Row], c: dict[str, Any], index: int, *, first: bool, nesterov: bool, maximize: bool,
    found: Array | None = None,
) -> None:  # fmt: skip
    """One step of SGD, in place.

    Args:
        rows: (p, g, momentum buffer or None) per parameter: contiguous, of one dtype, on device `index`.
        c: as optimizer_step.sgd's; `lr` may be an array of one element on device `index`.
        first: the buffers become the gradients.
        found: float32 (1,), not 0 for a step that changes nothing.
    """
    lr = c["lr"]
    rate, rate_ptr = (0.0, lr) if hasattr(lr, "dtype") else (float(lr), None)
    with on_device(index):
        launch_over(
            _sgd, tables(rows, index),
            (rate_ptr, found, rows[0][0], rate, *[float(c[n]) for n in ("momentum", "undamped", "decay")]), rows,
            MOMENTUM=rows[0][2] is not None, FIRST=first, NESTEROV=nesterov, MAXIMIZE=maximize,
        )  # fmt: skip


# ------------------------------------------------------------------------------------- what `report.py` compiles ahead


def AOT() -> list[Any]:  # noqa: N802 - the name that the report looks for
    """Steps with the host's numbers and with those of the device."""
    c = dict.fromkeys(("rate1", "beta2", "rate2", "eps", "step", "decay", "momentum", "undamped", "lr"), 0.5)

    def rows(array: Any, columns: int, dtype: str) -> list[Row]:
        return [tuple(array((5000,), dtype) for _ in range(columns))]

    def plain(dtype: str, amsgrad: bool = False) -> Any:
        flags = {"decay": True, "decoupled": True, "maximize": False}
        return lambda array: adam(rows(array, 5 if amsgrad else 4, dtype) if amsgrad else [
            (*row, None) for row in rows(array, 4, dtype)
        ], c, 0, amsgrad=amsgrad, **flags)  # fmt: skip

    def counted(array: Any) -> None:
        found = array((1,), "fp32")
        numbers = adam_numbers(
            1, array((), "fp32"), (0.9, 0.999), 1e-8, 0.1, 0, decoupled=True, counters=[array((), "fp32")], found=found
        )
        adam(
            [(*row, None) for row in rows(array, 4, "fp32")], c, 0, amsgrad=False, decay=True, decoupled=True,
            maximize=False, numbers=numbers, found=found,
        )  # fmt: skip

    def momentum(dtype: str, rate: bool = False) -> Any:
        def run(array: Any) -> None:
            lr, found = (array((), "fp32"), array((1,), "fp32")) if rate else (0.5, None)
            sgd(rows(array, 3, dtype), c | {"lr": lr}, 0, first=False, nesterov=True, maximize=False, found=found)

        return run

    return [
        ("Adam fp32", plain("fp32")), ("AMSGrad bf16", plain("bf16", True)), ("Adam fp64", plain("fp64")),
        ("Adam counted fp32", counted), ("SGD with momentum fp32", momentum("fp32")),
        ("SGD, rate and found_inf on the device, bf16", momentum("bf16", True)),
    ]  # fmt: skip
