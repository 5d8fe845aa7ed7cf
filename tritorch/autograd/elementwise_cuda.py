"""Elementwise ops on cuda: one kernel forward and one backward, whatever the line of the table says.

The backward kernel computes the gradients of all operands that ask for one, in one pass over the gradient and what the
rules name; a rule "g" hands the gradient on and needs no kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..device import address, span
from ..dtypes import FROM_NP
from ..kernels._op import Array
from ..kernels._replay import call
from ..kernels.elementwise import Elementwise
from ..kernels.view import sum_to
from .apply import WATCH, no_kernel

_BOOL = np.dtype(bool)


class DeviceSide(NamedTuple):
    """An op's functions of raw values, for `kernels._replay.call`.

    Attributes:
        forward: (*operands, *params) -> the result; operands are arrays of one dtype, or numbers.
        into: (x, operand): the result of two operands goes into x.
        backward: (needs, g, *operands, y, *params) -> per operand its gradient in the shape of `g`, or None; operands and
            `y` that no rule names may be None.
        hands_on: all rules are "g", so that nothing has to be computed.
    """

    forward: Callable[..., Array]
    into: Callable[..., None]
    backward: Callable[..., tuple[Array | None, ...]]
    hands_on: bool


def device_side(op: Elementwise) -> DeviceSide:
    """Make both functions of one line of the table."""
    from ..kernels._pointwise import pointwise

    names = (*op.inputs, *op.params)
    to_bool = op.kind == "bool"

    def evaluated(
        name: str, exprs: tuple[str, ...], values: dict[str, Any], result: Any, outs: Any = None
    ) -> tuple[Array, ...]:
        arrays = {n: v for n, v in values.items() if hasattr(v, "strides")}
        scalars = {n: v for n, v in values.items() if n not in arrays}
        dtypes = (result,) * len(exprs)
        return pointwise(name, exprs, tuple(arrays), tuple(arrays.values()), dtypes, scalars or None, outs)

    def forward(*values: Any) -> Array:
        kind = next(v.dtype for v in values if hasattr(v, "strides"))
        given = dict(zip(names, values, strict=True))
        return evaluated(op.name, (str(op.triton),), given, _BOOL if to_bool else kind)[0]

    def into(x: Array, operand: Any) -> None:
        evaluated(op.name, (str(op.triton),), {"a": x, "b": operand}, x.dtype, (x,))

    def backward(needs: tuple[bool, ...], g: Array, *values: Any) -> tuple[Array | None, ...]:
        given = dict(zip(("g", *op.inputs, "y", *op.params), (g, *values), strict=True))
        wanted = [i for i, need in enumerate(needs) if need]
        for i in wanted:
            op.check_rule(i)
        computed = [i for i in wanted if op.rules[i] != "g"]
        used = set().union(*[op.uses[i] for i in computed])
        grads: list[Array | None] = [g if i in wanted else None for i in range(len(needs))]
        if computed:
            exprs = tuple([str(op.rules[i]) for i in computed])
            made = evaluated(op.name + "_bwd", exprs, {n: v for n, v in given.items() if n in used}, g.dtype)
            for i, a in zip(computed, made, strict=True):
                grads[i] = a
        return tuple(grads)

    return DeviceSide(forward, into, backward, all(r == "g" for r in op.rules))


def overlapping(a: Array, b: Array) -> bool:
    """May two arrays have bytes in common."""
    if not a.size or not b.size or a.__class__ is not np.ndarray and a.data.mem is not b.data.mem:
        return False
    (low, high), (start, stop) = span(a), span(b)
    at, to = address(a), address(b)
    return at + low < to + stop and to + start < at + high


def run(op: Elementwise, side: DeviceSide, device: Any, values: tuple[Any, ...], n: int) -> Array:
    """The result on `device`; the first `n` of the values are operands, the others parameters.

    Raises:
        NotImplementedError: the line has no Triton expression.
        ValueError: the shapes do not broadcast together.
    """
    if op.triton is None:
        raise no_kernel(op.name, device)
    y = call(side.forward, device.index, values)
    if WATCH:
        WATCH[0].forward(op, list(values[:n]), values[n:], y)
    return y


def write(side: DeviceSide, device: Any, x: Array, operand: Any) -> bool:
    """x = op(x, operand) in x's memory, by one kernel; False where that is not what an in-place op has to do.

    Args:
        operand: an array of x's dtype on the same device, or a number.
    """
    if WATCH:
        return False
    if hasattr(operand, "strides"):
        if operand.ndim > x.ndim or any(
            n not in (1, m) for n, m in zip(operand.shape[::-1], x.shape[::-1], strict=False)
        ):
            return False
        same = address(operand) == address(x) and operand.shape == x.shape and operand.strides == x.strides
        if not same and overlapping(x, operand):  # an element may be read after it was written
            return False
    call(side.into, device.index, (x, operand))
    return True


def pull(
    Tensor: type, side: DeviceSide, node: Any, g: Array, operands: Any, y: Array | None, params: Any, shapes: Any
) -> tuple[Array | None, ...]:
    """The gradients of a node on cuda, each in the shape of its operand.

    Args:
        operands: per operand its array, a number, or None where no rule needs it.
        shapes: per operand its shape, None when none was broadcast.
    """
    needs = tuple([n is not None for n in node.next])
    if side.hands_on:
        grads = tuple([g if need else None for need in needs])
    else:
        grads = call(side.backward, node.device.index, (needs, g, *operands, y, *params))
    if shapes is None:
        return grads
    return tuple([
        gi if gi is None or gi.shape == shape else _reduced(Tensor, node.device, gi, shape)
        for gi, shape in zip(grads, shapes, strict=True)
    ])  # fmt: skip


def _reduced(Tensor: type, device: Any, g: Array, shape: tuple[int, ...]) -> Array:
    t = object.__new__(Tensor)
    t._a, t.dtype, t.device = g, FROM_NP[g.dtype], device
    t._node = t._vc = t._view = None
    return sum_to(t, shape)._a
