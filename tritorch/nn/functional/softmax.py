"""softmax and its kin: probabilities along a dim."""

from __future__ import annotations

import warnings

from ... import functional
from ...dtypes import dtype
from ...tensor import Tensor
from .activation import floating

__all__ = ["gumbel_softmax", "log_softmax", "softmax", "softmin"]


def _implicit_dim(op: str, input: Tensor, dim: int | None, stacklevel: int) -> int:
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {op} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if input.ndim in (0, 1, 3) else 1


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None) -> Tensor:
    """exp(x_i) / sum_j exp(x_j) along `dim`.

    Args:
        input: any shape, floating.
        dim: along which the result sums to 1; None chooses 0 or 1 with a warning.
        dtype: cast input to it first; default None.

    >>> import tritorch as torch
    >>> torch.nn.functional.softmax(torch.zeros(2, 4), dim=1)[0]
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    return input.softmax(_implicit_dim("softmax", input, dim, _stacklevel), dtype=dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None) -> Tensor:
    """softmax(-x) along `dim`; arguments as `softmax`.

    >>> import tritorch as torch
    >>> torch.nn.functional.softmin(torch.tensor([0.0, 1.0]), dim=0)
    tensor([0.7311, 0.2689])
    """
    return (-input).softmax(_implicit_dim("softmin", input, dim, _stacklevel), dtype=dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None) -> Tensor:
    """log(softmax(x)) along `dim`, computed without overflow; arguments as `softmax`.

    >>> import tritorch as torch
    >>> torch.nn.functional.log_softmax(torch.zeros(2, 2), dim=1)
    tensor([[-0.6931, -0.6931],
            [-0.6931, -0.6931]])
    """
    return input.log_softmax(_implicit_dim("log_softmax", input, dim, _stacklevel), dtype=dtype)


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """softmax((logits + Gumbel noise) / tau): a differentiable sample of a category (arXiv 1611.01144, 1611.00712).

    Args:
        logits: (..., K) unnormalised log-probabilities, floating.
        tau: temperature; default 1.
        hard: give a one-hot sample whose gradient is the soft one's; default False.
        eps: without effect.
        dim: the categories' dim; default -1.

    >>> import tritorch as torch
    >>> torch.nn.functional.gumbel_softmax(torch.zeros(4), hard=True).sum()
    tensor(1.)
    """
    floating("gumbel_softmax", logits)
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    noise = -functional.empty(logits.shape, dtype=logits.dtype, device=logits.device).exponential_().log()
    soft = ((logits + noise) / tau).softmax(dim)
    if not hard:
        return soft
    index = soft.detach().argmax(dim, keepdim=True)
    one_hot = functional.zeros_like(soft.detach()).scatter_(dim, index, 1.0)
    return one_hot - soft.detach() + soft
