"""Losses between numbers and between distributions: squared, absolute, Huber, divergences, likelihoods."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ... import functional
from ...autograd.autocast import ACTIVE, cast
from ...errors import message
from ...kernels import loss as fused
from ...tensor import Tensor
from ._reduction import check_broadcast, chosen, number_or_tensor, paired, reduced

__all__ = ["gaussian_nll_loss", "huber_loss", "kl_div", "l1_loss", "mse_loss", "poisson_nll_loss", "smooth_l1_loss"]

Legacy = bool | None


def _regression(
    op: str, kernel: Any, input: Tensor, target: Tensor, c: float, reduction: str, weight: Any = None
) -> Tensor:
    size = input.shape
    input, target = paired(op, input, target, complex_too=kernel is fused.l1_loss)
    if input.dtype.is_complex:
        kernel = _distance
    if weight is None:
        return kernel(input, target, c, reduction)
    if weight.shape != size:
        raise ValueError(message(op, "Weights and input must have the same size", weight=weight, input=input))
    loss = kernel(input, target, c, "none") * weight
    if reduction == "mean" and op != "huber_loss":  # which PyTorch divides by the number of elements
        return loss.sum() / weight.sum()
    return reduced(loss, reduction)


def _distance(input: Any, target: Any, c: float, reduction: str) -> Tensor:
    """|x - t| of complex numbers, which is real."""
    return reduced((input - target).abs(), reduction)


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Mean squared error, (x - t)^2.

    Args:
        input: any shape, floating.
        target: input's shape; another one broadcasts, with a warning.
        size_average, reduce: replaced by `reduction`.
        reduction: "none", "mean" (default) or "sum".
        weight: input's shape; "mean" then divides by its sum. Default None.

    >>> import tritorch as torch
    >>> torch.nn.functional.mse_loss(torch.tensor([1.0, 3.0]), torch.zeros(2))
    tensor(5.)
    """
    if ACTIVE:
        input, target, weight = cast("mse_loss", input, target, weight)
    reduction = chosen("mse_loss", reduction, size_average, reduce)
    return _regression("mse_loss", fused.mse_loss, input, target, 0.0, reduction, weight)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Mean absolute error, |x - t|; arguments as `mse_loss`, which may be complex as well.

    >>> import tritorch as torch
    >>> torch.nn.functional.l1_loss(torch.tensor([1.0, 3.0]), torch.zeros(2))
    tensor(2.)
    """
    if ACTIVE:
        input, target, weight = cast("l1_loss", input, target, weight)
    reduction = chosen("l1_loss", reduction, size_average, reduce)
    return _regression("l1_loss", fused.l1_loss, input, target, 0.0, reduction, weight)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """(x - t)^2 / (2 beta) where |x - t| < beta, else |x - t| - beta / 2 (arXiv 1504.08083).

    Args:
        beta: where the square turns into the absolute value; 0 gives `l1_loss`. Default 1.

    Raises:
        RuntimeError: beta is negative.

    >>> import tritorch as torch
    >>> torch.nn.functional.smooth_l1_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none")
    tensor([0.1250, 2.5000])
    """
    if ACTIVE:
        input, target = cast("smooth_l1_loss", input, target)
    reduction = chosen("smooth_l1_loss", reduction, size_average, reduce)
    if beta < 0:
        raise RuntimeError(message("smooth_l1_loss", "does not support negative values for beta", beta=beta))
    kernel = fused.smooth_l1_loss if beta > 0 else fused.l1_loss
    return _regression("smooth_l1_loss", kernel, input, target, float(beta), reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """(x - t)^2 / 2 where |x - t| < delta, else delta * (|x - t| - delta / 2) (Huber 1964).

    Args:
        delta: where the square turns into the absolute value. Default 1.
        weight: input's shape; "mean" divides by the number of elements. Default None.

    Raises:
        RuntimeError: delta is not positive.

    >>> import tritorch as torch
    >>> torch.nn.functional.huber_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none", delta=2.0)
    tensor([0.1250, 4.0000])
    """
    if ACTIVE:
        input, target, weight = cast("huber_loss", input, target, weight)
    reduction = chosen("huber_loss", reduction)
    if delta <= 0:
        raise RuntimeError(message("huber_loss", "does not support non-positive values for delta", delta=delta))
    return _regression("huber_loss", fused.huber_loss, input, target, float(delta), reduction, weight)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Kullback-Leibler divergence t (log t - x) of log-probabilities x from probabilities t.

    Args:
        input: any shape, log-probabilities.
        target: input's shape; probabilities, or their logarithms with `log_target`.
        reduction: "none", "mean" (default), "sum" or "batchmean", which divides the sum by the batch's size.
        log_target: default False.

    >>> import tritorch as torch
    >>> x, t = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.25, 0.75])
    >>> torch.nn.functional.kl_div(x, t, reduction="sum")
    tensor(0.1308)
    """
    if ACTIVE:
        input, target = cast("kl_div", input, target)
    batch = reduction == "batchmean"
    if not batch:
        if reduction == "mean" and size_average is None and reduce is None:
            warnings.warn(
                "reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' "
                "divides only by the batch size, and aligns with the KL div math definition.",
                stacklevel=2,
            )
        reduction = chosen("kl_div", reduction, size_average, reduce)
    if input.is_complex() or target.is_complex():
        raise ValueError(message("kl_div", "complex tensors are not supported", input=input, target=target))
    check_broadcast("kl_div", input=input, target=target)
    loss = target.exp() * (target - input) if log_target else functional.xlogy(target, target) - target * input
    if batch:
        return loss.sum() / input.shape[0] if input.ndim else loss.sum()
    return reduced(loss, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: Legacy = None,
    eps: float = 1e-8,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of counts t under a Poisson distribution: exp(x) - t x, or x - t log(x + eps).

    Args:
        input: any shape; the logarithm of the rate, or the rate without `log_input`.
        target: broadcasts with input.
        log_input: default True.
        full: add Stirling's approximation of log t! where t > 1; default False.
        eps: default 1e-8.
        reduction: "none", "mean" (default) or "sum".

    >>> import tritorch as torch
    >>> torch.nn.functional.poisson_nll_loss(torch.zeros(1), torch.tensor([3.0]))
    tensor(1.)
    """
    if ACTIVE:
        input, target = cast("poisson_nll_loss", input, target)
    reduction = chosen("poisson_nll_loss", reduction, size_average, reduce)
    check_broadcast("poisson_nll_loss", input=input, target=target)
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + stirling.masked_fill(target <= 1, 0.0)
    return reduced(loss, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood under a normal distribution: (log var + (x - t)^2 / var) / 2, with var kept above eps.

    Args:
        input: (N, ...) expectations.
        target: input's shape, or one that broadcasts to it.
        var: input's shape, without its last dim, or with a last dim of 1; or a number. Not negative.
        full: add log(2 pi) / 2; default False.
        eps: default 1e-6; has no gradient.
        reduction: "none", "mean" (default) or "sum".

    Raises:
        ValueError: var has a negative entry or another size; unknown reduction.

    >>> import tritorch as torch
    >>> torch.nn.functional.gaussian_nll_loss(torch.zeros(1), torch.tensor([2.0]), torch.ones(1))
    tensor(2.)
    """
    spread = number_or_tensor(var, input)
    if not isinstance(var, Tensor):
        if var < 0:
            raise ValueError(message("gaussian_nll_loss", "var has negative entry/entries", var=var))
        spread = spread.expand(input.shape)
    elif spread.shape != input.shape:
        if tuple(input.shape[:-1]) == tuple(spread.shape):
            spread = spread.unsqueeze(-1)
        elif tuple(input.shape[:-1]) != tuple(spread.shape[:-1]) or spread.shape[-1:] != (1,):
            broadcast = spread.ndim == input.ndim and all(
                a in (1, b) for a, b in zip(spread.shape, input.shape, strict=True)
            )
            if not broadcast:
                raise ValueError(message("gaussian_nll_loss", "var is of incorrect size", var=var, input=input))
    reduction = chosen("gaussian_nll_loss", reduction)
    check_broadcast("gaussian_nll_loss", input=input, target=target, var=spread)
    if bool((spread.detach() < 0).any()):
        raise ValueError(
            message("gaussian_nll_loss", f"var has negative entries, down to {float(spread.min())}", var=var)
        )
    bounded = functional.maximum(spread.detach(), spread.new_full((), eps)) - spread.detach() + spread
    loss = 0.5 * (bounded.log() + (input - target) ** 2 / bounded)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduced(loss, reduction)
