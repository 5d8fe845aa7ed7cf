"""pad: constant values, or values of the input itself, around it."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index

import numpy as np

from ...autograd.autocast import ACTIVE, cast
from ...errors import message
from ...kernels.copy import pad_constant
from ...kernels.pad import pad_around
from ...tensor import Tensor

__all__ = ["pad"]


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """input with more elements around it, counted from the last dim: (left, right, top, bottom, ...).

    Args:
        input: any shape; for the other modes at least as many dims as are padded, and one or two more in front.
        pad: an even number of counts; negative ones cut off.
        mode: "constant" (default), "reflect", "replicate" or "circular".
        value: of the constant; default 0.

    Raises:
        RuntimeError: an odd or too large number of counts; the input is too small for the mode; a size below 0; a value
            for another mode than "constant".
        TypeError: counts that are no ints, a value that is no number.
        NotImplementedError: unknown mode; a mode that does not pad that many dims.

    >>> import tritorch as torch
    >>> torch.nn.functional.pad(torch.tensor([1, 2]), (1, 0), value=7)
    tensor([7, 1, 2])
    """
    if ACTIVE and mode != "constant":
        (input,) = cast(f"pad_{mode}", input)
    try:
        counts = [index(p) for p in pad]
    except TypeError:
        raise TypeError(message("pad", "pad must be a sequence of ints", pad=pad)) from None
    if value is not None and not isinstance(value, (int, float, complex, np.number, Tensor)):
        raise TypeError(message("pad", "value must be a number", value=value))
    if len(counts) % 2:
        raise RuntimeError(f"pad: Padding length must be divisible by 2; got {len(counts)}")
    dims, shape = len(counts) // 2, input._a.shape
    ndim = len(shape)
    if dims > ndim:
        raise RuntimeError(
            message("pad", f"Padding length should be at most twice the number of dims {ndim}", pad=tuple(counts))
        )
    pairs = [(0, 0)] * (ndim - dims) + [(counts[2 * i], counts[2 * i + 1]) for i in reversed(range(dims))]
    for d, (n, (a, b)) in enumerate(zip(shape, pairs, strict=True)):
        if n + a + b < 0 or (a < 0 and n + a < 0) or (b < 0 and n + b < 0):
            raise RuntimeError(
                message("pad", f"the resulting size of dim {d} is negative", input=input, pad=tuple(counts))
            )
    if mode == "constant":
        return pad_constant(input, tuple(pairs), 0.0 if value is None else value)
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"pad: Unrecognised padding mode {mode}")
    if value is not None and value != 0:
        raise RuntimeError(message("pad", f'Padding mode "{mode}" doesn\'t take in value argument', value=value))
    if not 1 <= dims <= 3 or ndim not in (dims + 1, dims + 2):
        rule = "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now"
        raise NotImplementedError(message("pad", rule, input=input, pad=tuple(counts)))
    for d in range(input.ndim - dims, input.ndim):
        n, (a, b) = input.shape[d], pairs[d]
        if mode == "reflect" and max(a, b) >= n:
            rule = f"Padding size should be less than the corresponding input dimension {n} at dim {d}"
            raise RuntimeError(message("pad", rule, input=input, pad=tuple(counts)))
        if mode == "circular" and max(a, b) > n:
            raise RuntimeError(
                message("pad", "Padding value causes wrapping around more than once", input=input, pad=tuple(counts))
            )
        if mode == "replicate" and n == 0:
            raise RuntimeError(message("pad", f"Expected dim {d} to have a non-zero size", input=input))
    if not any(counts):
        return input
    return pad_around(input, tuple(pairs), mode)
