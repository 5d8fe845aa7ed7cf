"""Covariances and correlations, distances and norms: cov, corrcoef, dist, renorm and older names of norms."""

from __future__ import annotations

import warnings
from typing import Any

from ..binding import method, with_out
from ..errors import check_dim, message
from ..tensor import Tensor
from ._arguments import floating, tensor
from .statistics import norm, vector_norm

__all__ = ["corrcoef", "cov", "dist", "frobenius_norm", "norm_except_dim", "nuclear_norm", "renorm"]


@method
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """The covariances of the rows of `input`: sum_k w_k (x_ik - m_i) conj(x_jk - m_j) / (sum w - correction).

    Arguments:
        input: (variables, observations), or one variable's observations: then the result has no dims.
        fweights: how often each observation came, integers. aweights: its importance, floating point.

    >>> import tritorch as torch
    >>> torch.cov(torch.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    x: Any = tensor("cov", input)
    if x.dim() > 2:
        raise RuntimeError(message("cov", "expected input to have two or fewer dimensions", input=input))
    if x.dtype.category == 0:
        raise RuntimeError(message("cov", "bool dtype is not supported for input", input=input))
    rows = x.reshape((1, -1)) if x.dim() < 2 else x
    n = rows.shape[1]
    weight: Any = None
    for name, w, kinds in (("fweights", fweights, (1,)), ("aweights", aweights, (2,))):
        if w is None:
            continue
        if w._a.ndim > 1 or w.numel() != n or w.dtype.category not in kinds:
            raise RuntimeError(
                message("cov", f"{name} must be {n} {'integers' if kinds == (1,) else 'floats'} in one dim", weights=w)
            )
        if w.numel() and float(w.min()) < 0:  # type: ignore[attr-defined]
            raise RuntimeError(f"cov: {name} cannot be negative")
        weight = w if weight is None else weight * w
    total: Any = n if weight is None else weight.sum()
    centred = rows - (rows if weight is None else rows * weight).sum(1, True) / total
    scaled = centred if weight is None else centred * weight
    factor = total - correction
    if aweights is not None and correction:
        factor = total - correction * (weight * aweights).sum() / total
    if float(factor) <= 0:
        warnings.warn("cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of "
                      "observations.", UserWarning, stacklevel=2)  # fmt: skip
        factor = 0
    return ((centred @ scaled.mH) / factor).squeeze()


@method
def corrcoef(input: Tensor) -> Tensor:
    """The correlations of the rows of `input`: `cov` over the root of the products of the variances.

    >>> import tritorch as torch
    >>> torch.corrcoef(torch.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    x = tensor("corrcoef", input)
    if x._a.ndim > 2:
        raise RuntimeError(message("corrcoef", "expected input to have two or fewer dimensions", input=input))
    c: Any = cov(x)
    if c.dim() == 0:
        return c / c
    spread = c.diagonal()
    spread = (spread.real if c.is_complex() else spread).sqrt()
    y = c / spread.unsqueeze(-1) / spread.unsqueeze(0)
    return y if c.is_complex() else y.clamp(-1, 1)


@method
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of input - other, over all elements.

    >>> import tritorch as torch
    >>> torch.dist(torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0]))
    tensor(5.)
    """
    return vector_norm(tensor("dist", input) - other, p)  # type: ignore[operator]


@method(inplace=True, out=True)
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """The slices along `dim` scaled down where their p-norm is above maxnorm, to that norm.

    >>> import tritorch as torch
    >>> torch.renorm(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    x: Any = floating("renorm", tensor("renorm", input))
    if p <= 0:
        raise RuntimeError(f"renorm: non-positive-norm not supported; got p: {p}")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    if x.dim() < 2:
        raise RuntimeError(message("renorm", "input needs at least 2 dimensions", input=input))
    d = check_dim("renorm", dim, x.dim())
    size: Any = vector_norm(x, p, [i for i in range(x.dim()) if i != d], True)
    scale = (maxnorm / (size + 1e-7)).where(size > maxnorm, size.new_ones(()))
    return x * scale


@with_out
def frobenius_norm(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The root of the sum of squares over `dim`."""
    return norm(input, "fro", dim, keepdim)


@with_out
def nuclear_norm(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The sum of the singular values."""
    return norm(input, "nuc", dim, keepdim)


def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The norms of the slices along `dim`, of shape 1 in all other dims; dim = -1: the norm of all."""
    if dim == -1:
        return vector_norm(v, pow)
    return vector_norm(v, pow, [i for i in range(v._a.ndim) if i != dim], True)
