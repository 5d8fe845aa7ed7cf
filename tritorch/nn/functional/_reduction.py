"""What all losses share: reduction, the legacy arguments that it replaced, sizes and dtypes of input and target."""

from __future__ import annotations

import warnings
from typing import Any

from ... import functional
from ...dtypes import FLOAT, promote_types
from ...errors import message, shapes_differ
from ...kernels._shapes import broadcast_shapes
from ...kernels.cross_entropy import REDUCTIONS
from ...tensor import Tensor


def chosen(op: str, reduction: str, size_average: bool | None = None, reduce: bool | None = None) -> str:
    """The reduction's name; ValueError for an unknown one, UserWarning when the legacy arguments are used."""
    if size_average is not None or reduce is not None:
        mean = size_average is None or size_average
        kept = reduce is None or reduce
        reduction = ("mean" if mean else "sum") if kept else "none"
        warnings.warn(
            f"{op}: size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.",
            stacklevel=4,
        )
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"{op}: {reduction!r} is not a valid value for reduction; expected one of {', '.join(REDUCTIONS)}"
        )
    return reduction


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """mean, sum or the elements themselves."""
    if reduction == "none":
        return loss
    return loss.mean() if reduction == "mean" else loss.sum()


def check_broadcast(op: str, **tensors: Tensor | None) -> None:
    """RuntimeError, with all shapes, for tensors that do not broadcast to one shape; None is passed over."""
    shapes = {t._a.shape for t in tensors.values() if t is not None}
    if len(shapes) > 1:
        try:
            broadcast_shapes(*shapes)
        except ValueError:
            given = {name: t for name, t in tensors.items() if t is not None}
            raise shapes_differ(op, "the shapes must broadcast to one", **given) from None


def paired(
    op: str, input: Tensor, target: Tensor, warn: bool = True, complex_too: bool = False
) -> tuple[Tensor, Tensor]:
    """Input and target broadcast to one shape and promoted to one floating dtype; warns when their sizes differ."""
    if input._a.shape != target._a.shape:
        if warn:
            warnings.warn(
                f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). "
                "This will likely lead to incorrect results due to broadcasting. "
                "Please ensure they have the same size.",
                stacklevel=4,
            )
        check_broadcast(op, input=input, target=target)
        input, target = functional.broadcast_tensors(input, target)
    if input.dtype is not target.dtype:
        kind = promote_types(input.dtype, target.dtype)
        input, target = input.to(kind), target.to(kind)
    if input.dtype.category != FLOAT and not (complex_too and input.dtype.is_complex):
        raise NotImplementedError(message(op, "input and target need a floating dtype", input=input, target=target))
    return input, target


def number_or_tensor(value: Any, like: Tensor) -> Tensor:
    """A Python number as a Tensor of `like`'s dtype and device."""
    return value if isinstance(value, Tensor) else like.new_full((), value)
