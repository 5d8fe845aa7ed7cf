"""Frequencies of a transform's elements, and the shift that puts frequency 0 in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..binding import with_out
from ..errors import check_dims
from ..functional.arrangement import roll
from ..functional.creation import zeros
from ..functional.ranges import arange
from ..tensor import Tensor

__all__ = ["fftfreq", "fftshift", "ifftshift", "rfftfreq"]


def _frequencies(n: int, d: float, half: bool, more: dict[str, Any]) -> Tensor:
    more["dtype"] = zeros(0).dtype if more.get("dtype") is None else more["dtype"]
    grad = more.pop("requires_grad", False)
    steps: Any = arange(n // 2 + 1 if half else n, **more)
    if not half:
        steps = steps - (steps >= (n + 1) // 2).to(steps.dtype) * n
    y = steps * (1.0 / (n * d))
    return y.requires_grad_() if grad else y


@with_out
def fftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The frequencies [0, 1, ..., (n-1)//2, -(n//2), ..., -1] / (n d) of the elements of `fft`.

    Arguments:
        n: the transform's length. d: the time between two samples.

    >>> import tritorch as torch
    >>> torch.fft.fftfreq(4)
    tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    return _frequencies(n, d, False, {"dtype": dtype, "device": device, "requires_grad": requires_grad})


@with_out
def rfftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The frequencies [0, 1, ..., n//2] / (n d) of the elements of `rfft`.

    >>> import tritorch as torch
    >>> torch.fft.rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    return _frequencies(n, d, True, {"dtype": dtype, "device": device, "requires_grad": requires_grad})


def fftshift(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """The elements of a transform reordered so that frequency 0 is in the middle of each `dim` (default: all).

    >>> import tritorch as torch
    >>> torch.fft.fftshift(torch.tensor([0, 1, -2, -1]))
    tensor([-2, -1,  0,  1])
    """
    dims = check_dims("fft.fftshift", dim, input._a.ndim)
    return roll(input, [input._a.shape[d] // 2 for d in dims], dims) if dims else input.clone()  # type: ignore[attr-defined]


def ifftshift(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """The inverse of `fftshift`.

    >>> import tritorch as torch
    >>> torch.fft.ifftshift(torch.tensor([-2, -1, 0, 1]))
    tensor([ 0,  1, -2, -1])
    """
    dims = check_dims("fft.ifftshift", dim, input._a.ndim)
    return roll(input, [(input._a.shape[d] + 1) // 2 for d in dims], dims) if dims else input.clone()  # type: ignore[attr-defined]
