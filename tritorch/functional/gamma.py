"""The gamma family beside lgamma and digamma: polygamma, mvlgamma, the incomplete gamma functions."""

from __future__ import annotations

import math
from typing import Any

from ..autograd.modes import STATE
from ..binding import in_place, method, with_out
from ..errors import message
from ..kernels._op import OPS
from ..tensor import TENSORS, Tensor

__all__ = ["igamma", "igammac", "mvlgamma", "polygamma"]


def no_derivative(op: str, name: str, x: Any) -> None:
    """NotImplementedError when a gradient is asked for by an argument that has no derivative here (nor in PyTorch)."""
    if STATE.grad and getattr(x, "_node", None) is not None:
        raise NotImplementedError(message(op, f"the derivative by {name} is not implemented; detach it", **{name: x}))


@with_out
def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma: (-1)^(n+1) n! sum_k (x + k)^-(n+1).

    Arguments:
        n: not negative. input: real; integers become the default float.

    >>> import tritorch as torch
    >>> torch.polygamma(1, torch.tensor([1.0, 0.5]))
    tensor([1.6449, 4.9348])
    """
    if n.__class__ is not int:
        raise TypeError(f"polygamma(): argument 'n' (position 1) must be int, not {type(n).__name__}")
    if n < 0:
        raise RuntimeError(f"polygamma(n, x) does not support negative n; got {n}")
    return OPS["polygamma"](input, n)


def _polygamma(self: Tensor, n: int) -> Tensor:
    return polygamma(n, self)


Tensor.polygamma = _polygamma  # type: ignore[attr-defined]
Tensor.polygamma_ = in_place(_polygamma, "polygamma_")  # type: ignore[attr-defined]


@method(inplace=True, out=True)
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """log of the multivariate gamma function: p (p - 1) / 4 log(pi) + sum_(j < p) lgamma(x - j / 2).

    Arguments:
        input: real, above (p - 1) / 2. p: at least 1.

    >>> import tritorch as torch
    >>> torch.mvlgamma(torch.tensor([2.0]), 1)
    tensor([0.])
    """
    if p < 1:
        raise RuntimeError(f"mvlgamma: p has to be greater than or equal to 1; got {p}")
    steps = input.new_tensor([-0.5 * j for j in range(p)], dtype=_floats(input))  # type: ignore[attr-defined]
    return (input.unsqueeze(-1) + steps).lgamma().sum(-1) + p * (p - 1) / 4 * math.log(math.pi)  # type: ignore[attr-defined]


def _floats(x: Tensor) -> Any:
    from ..dtypes import get_default_dtype

    return x.dtype if x.dtype.category >= 2 else get_default_dtype()


def _pair(op: str, a: Any, b: Any) -> Tensor:
    for v in (a, b):
        if v.__class__ not in TENSORS:
            raise TypeError(f"{op}(): arguments must be Tensors, not {type(v).__name__}")
    no_derivative(op, "input", a)
    return OPS[op](a, b)


@method(inplace=True, out=True)
def igamma(input: Tensor, other: Tensor) -> Tensor:
    """P(a, x): the integral of t^(a-1) e^-t from 0 to x over Gamma(a); a is `input`, x is `other`, the gradient is by x.

    >>> import tritorch as torch
    >>> torch.igamma(torch.tensor([1.0]), torch.tensor([1.0]))
    tensor([0.6321])
    """
    return _pair("igamma", input, other)


@method(inplace=True, out=True)
def igammac(input: Tensor, other: Tensor) -> Tensor:
    """Q(a, x) = 1 - P(a, x), see `igamma`, precise where it is small."""
    return _pair("igammac", input, other)
