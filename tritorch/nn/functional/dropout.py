"""Dropout: elements, or whole channels, set to zero at random in training.

The random numbers are those of PyTorch: a mask of `bernoulli_(1 - p)` over the input, in the order of its memory, or over
its first two dims. On cuda the same mask is drawn while the input is multiplied, and kept as bits.
"""

from __future__ import annotations

import math
import warnings

from ... import dtypes, functional
from ...autograd.graph import make_node
from ...autograd.modes import STATE, no_grad
from ...binding import check_cast, in_place
from ...device import CPU, on_device
from ...functional.creation import like_array
from ...kernels import dropout as kernels
from ...kernels.random import in_memory_order
from ...random import default_for
from ...tensor import Tensor, wrap

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]

SELU_LIMIT = 1.7580993408473766  # minus the limit of selu towards minus infinity


def _check(op: str, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{op}: dropout probability has to be between 0 and 1, but got {p}")


def _mask(op: str, input: Tensor, p: float, channels: bool) -> Tensor:
    """Which elements (or channels: shape (N, C, 1, ...)) stay, bool; RuntimeError where input holds no floats."""
    check_cast(op, dtypes.float32, input.dtype)
    shape = input._a.shape
    if channels:
        shape = shape[:2] + (1,) * (len(shape) - 2)
    if input.device is CPU and not input.dtype.is_complex:  # which `bernoulli_` refuses
        kept = default_for(CPU).u53(math.prod(shape)) < 1 - p
        if channels or input._a.flags.c_contiguous:
            return wrap(kept.reshape(shape))
        mask = like_array("dropout", input, dtypes.bool_, None)[0]
        by_memory = in_memory_order(mask)
        by_memory[...] = kept.reshape(by_memory.shape)
        return wrap(mask)
    with no_grad():
        return functional.empty(shape, dtype=input.dtype, device=input.device).bernoulli_(1 - p) != 0


def _unchanged(op: str, input: Tensor, p: float, training: bool, channels: bool) -> bool:
    """Does nothing drop; ValueError and RuntimeError for a `p` and dims that do not fit."""
    _check(op, p)
    if not training or p == 0 or input.numel() == 0:
        return True
    if channels and input.ndim < 2:
        raise RuntimeError(f"{op}: Feature dropout requires at least 2 dimensions in the input; got {input.ndim}")
    return False


def _drop(op: str, input: Tensor, p: float, training: bool, inplace: bool, channels: bool) -> Tensor:
    if _unchanged(op, input, p, training, channels):
        return input
    if p == 1:
        return input.mul_(0) if inplace else input * 0
    if input.device is not CPU and input.is_floating_point() and not channels and not inplace:
        return _drawn(input, p)
    mask, scale = _mask(op, input, p, channels), 1 / (1 - p)
    return in_place(kernels.dropout, op + "_")(input, mask, scale) if inplace else kernels.dropout(input, mask, scale)


def _drawn(input: Tensor, p: float) -> Tensor:
    """Dropout on cuda: drawn and multiplied in one launch; recorded as the op that takes the mask's bits."""
    place = input.device
    with on_device(place.index):
        y, bits = kernels.drawn(input._a, p, default_for(place))
    out = wrap(y, place)
    if input._node is not None and STATE.grad:
        out._node = make_node(kernels.dropout_bits, (input._node, None), (wrap(bits, place), 1 / (1 - p), None), place)
    return out


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """x * mask / (1 - p), with a mask of Bernoulli(1 - p) (arXiv 1207.0580).

    Args:
        input: any shape, floating.
        p: probability that an element becomes 0; default 0.5.
        training: False gives input back; default True.
        inplace: overwrite `input`; default False.

    Raises:
        ValueError: p outside [0, 1].

    >>> import tritorch as torch
    >>> torch.nn.functional.dropout(torch.ones(2), p=0.0), torch.nn.functional.dropout(torch.ones(2), p=1.0)
    (tensor([1., 1.]), tensor([0., 0.]))
    """
    return _drop("dropout", input, p, training, inplace, False)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of (N, C, L) or (C, L) (arXiv 1411.4280).

    Args:
        input: (N, C, L) or (C, L), floating.
        p, training, inplace: as `dropout`.

    Raises:
        ValueError: p outside [0, 1].
        RuntimeError: input has neither 2 nor 3 dims.

    >>> import tritorch as torch
    >>> y = torch.nn.functional.dropout1d(torch.ones(3, 4))
    >>> (y.sum(1) % 8).tolist()
    [0.0, 0.0, 0.0]
    """
    _check("dropout1d", p)
    if input.ndim not in (2, 3):
        raise RuntimeError(f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input")
    return _batched("dropout1d", input, p, training, inplace, input.ndim == 3)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of (N, C, H, W) (arXiv 1411.4280).

    Args:
        input: (N, C, H, W) or (C, H, W), floating.
        p, training, inplace: as `dropout`.

    Raises:
        ValueError: p outside [0, 1].

    >>> import tritorch as torch
    >>> y = torch.nn.functional.dropout2d(torch.ones(1, 3, 2, 2))
    >>> (y.sum((2, 3)) % 8).tolist()
    [[0.0, 0.0, 0.0]]
    """
    _check("dropout2d", p)
    if input.ndim not in (3, 4):
        warnings.warn(
            f"dropout2d: Received a {input.ndim}-D input to dropout2d, which is deprecated and will result in an error "
            "in a future release. To retain the behavior and silence this warning, please use dropout instead.",
            stacklevel=2,
        )
    elif input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired "
            "- input is interpreted as shape (N, C, L), where C is the channel dim.",
            stacklevel=2,
        )
    return _drop("dropout2d", input, p, training, inplace, True)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W) (arXiv 1411.4280).

    Args:
        input: (N, C, D, H, W) or (C, D, H, W), floating.
        p, training, inplace: as `dropout`.

    Raises:
        ValueError: p outside [0, 1].

    >>> import tritorch as torch
    >>> y = torch.nn.functional.dropout3d(torch.ones(1, 3, 1, 2, 2))
    >>> (y.sum((2, 3, 4)) % 8).tolist()
    [[0.0, 0.0, 0.0]]
    """
    _check("dropout3d", p)
    if input.ndim not in (4, 5):
        warnings.warn(
            f"dropout3d: Received a {input.ndim}-D input to dropout3d, which is deprecated and will result in an error "
            "in a future release. To retain the behavior and silence this warning, please use dropout instead.",
            stacklevel=2,
        )
    return _batched("dropout3d", input, p, training, inplace, input.ndim == 5)


def _batched(op: str, input: Tensor, p: float, training: bool, inplace: bool, batched: bool) -> Tensor:
    if batched or not training:
        return _drop(op, input, p, training, inplace, True)
    if inplace:
        _drop(op, input.unsqueeze(0), p, training, True, True)
        return input
    return _drop(op, input.unsqueeze(0), p, training, False, True).squeeze(0)


def _alpha(op: str, input: Tensor, p: float, training: bool, inplace: bool, channels: bool) -> Tensor:
    if _unchanged(op, input, p, training, channels):
        return input
    if p == 1:
        return input.mul_(0) if inplace else input * 0
    mask = _mask(op, input, p, channels).to(input.dtype)
    a = 1 / math.sqrt((SELU_LIMIT * SELU_LIMIT * p + 1) * (1 - p))
    shift = (mask - 1) * (SELU_LIMIT * a) + SELU_LIMIT * a * p
    mask = mask * a
    if inplace:
        return input.mul_(mask).add_(shift)
    return input * mask + shift


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Sets elements to selu's lower limit, then scales and shifts: mean 0 and variance 1 stay (arXiv 1706.02515).

    Args:
        input: any shape, floating.
        p: probability that an element is dropped; default 0.5.
        training: default False.
        inplace: overwrite `input`; default False.

    Raises:
        ValueError: p outside [0, 1].

    >>> import tritorch as torch
    >>> torch.nn.functional.alpha_dropout(torch.ones(2), p=0.5, training=False)
    tensor([1., 1.])
    """
    return _alpha("alpha_dropout", input, p, training, inplace, False)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels of (N, C, ...).

    Args:
        input: (N, C, ...), floating.
        p, training, inplace: as `alpha_dropout`.

    >>> import tritorch as torch
    >>> torch.nn.functional.feature_alpha_dropout(torch.ones(1, 2, 2)).shape
    torch.Size([1, 2, 2])
    """
    return _alpha("feature_alpha_dropout", input, p, training, inplace, True)
