"""Losses: everything of torch.nn.functional. Input and target first, `reduction` one of none, mean (default), sum."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from ... import functional
from ...device import CPU
from ...errors import message
from ...kernels import loss as fused
from ...kernels.cross_entropy import cross_entropy as cross_entropy_op
from ...kernels.ctc_loss import ctc_loss as ctc_loss_op
from ...tensor import Tensor
from ._reduction import chosen, number_or_tensor, paired, reduced
from .activation import logsigmoid, softplus
from .distance import pairwise_distance

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_embedding_loss", "cross_entropy", "ctc_loss",
    "gaussian_nll_loss", "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss", "linear_cross_entropy",
    "margin_ranking_loss", "mse_loss", "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss",
    "nll_loss", "poisson_nll_loss", "smooth_l1_loss", "soft_margin_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]  # fmt: skip

Legacy = bool | None


# -------------------------------------------------------------------------------------------- regression


def _regression(
    op: str, kernel: Any, input: Tensor, target: Tensor, c: float, reduction: str, weight: Any = None
) -> Tensor:
    size = input.shape
    input, target = paired(op, input, target)
    if weight is None:
        return kernel(input, target, c, reduction)
    if weight.shape != size:
        raise ValueError(message(op, "Weights and input must have the same size", weight=weight, input=input))
    loss = kernel(input, target, c, "none") * weight
    if reduction == "mean" and op != "huber_loss":  # which PyTorch divides by the number of elements
        return loss.sum() / weight.sum()
    return reduced(loss, reduction)


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
    """Mean absolute error, |x - t|; arguments as `mse_loss`."""
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
    """
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
    """
    reduction = chosen("huber_loss", reduction)
    if delta <= 0:
        raise RuntimeError(message("huber_loss", "does not support non-positive values for delta", delta=delta))
    return _regression("huber_loss", fused.huber_loss, input, target, float(delta), reduction, weight)


# ---------------------------------------------------------------------------------------- classification


def _class_checks(op: str, input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """Sizes and dtypes of input (C,) or (N, C, ...) against class indices () or (N, ...)."""
    if input.ndim == 0:
        raise RuntimeError(message(op, "input needs at least 1 dim", input=input))
    if input.dtype.category != 2:
        raise NotImplementedError(f"{op}: not implemented for {input.dtype.name}: input must be of a floating dtype")
    expected = () if input.ndim == 1 else (input.shape[0], *input.shape[2:])
    if tuple(target.shape) != expected:
        if input.ndim > 1 and target.ndim > 0 and input.shape[0] != target.shape[0]:
            rule = f"Expected input batch_size ({input.shape[0]}) to match target batch_size ({target.shape[0]})"
            raise ValueError(message(op, rule, input=input, target=target))
        raise RuntimeError(
            message(
                op, f"target must be of size {expected}, one class for each row of input", input=input, target=target
            )
        )
    if target.dtype.name not in ("int64", "uint8"):
        raise RuntimeError(message(op, "expected scalar type Long for target", target=target))
    classes = input.shape[0 if input.ndim == 1 else 1]
    if weight is not None and (tuple(weight.shape) != (classes,) or weight.dtype is not input.dtype):
        rule = f"weight must be of shape ({classes},), one for each class, and of input's dtype"
        raise RuntimeError(message(op, rule, weight=weight, input=input))


def _rows(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Classes last, everything else as rows: (M, C) and (M,)."""
    if input.ndim == 1:
        return input.unsqueeze(0), target.reshape((1,))
    if input.ndim > 2:
        input = input.movedim(1, -1)
        return input.reshape((-1, input.shape[-1])) if input.numel() else input.reshape(
            (target.numel(), input.shape[-1])
        ), target.reshape((-1,))
    return input, target


def _index(target: Tensor) -> Tensor:
    return target if target.dtype.name == "int64" else target.long()


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Legacy = None,
    ignore_index: int = -100,
    reduce: Legacy = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(x)[t]: log-softmax over the classes and negative log-likelihood in one.

    Args:
        input: (C,), (N, C) or (N, C, d1, ...) logits, floating.
        target: class indices (), (N,) or (N, d1, ...), int64, or probabilities of input's shape and dtype.
        weight: (C,), of input's dtype; "mean" divides by the weights of the targets. Default None.
        size_average, reduce: replaced by `reduction`.
        ignore_index: rows with this target count for nothing; default -100.
        reduction: "none", "mean" (default) or "sum".
        label_smoothing: in [0, 1]; the share of the target that is spread over all classes, default 0 (arXiv
            1512.00567).

    Raises:
        ValueError: batch sizes differ; unknown reduction.
        RuntimeError: other sizes do not fit; target is no int64; label_smoothing outside [0, 1].
        IndexError: a target is no class.

    >>> import tritorch as torch
    >>> torch.nn.functional.cross_entropy(torch.zeros(2, 4), torch.tensor([1, 3]))
    tensor(1.3863)
    """
    reduction = chosen("cross_entropy", reduction, size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(
            message("cross_entropy", "label_smoothing must be between 0.0 and 1.0", label_smoothing=label_smoothing)
        )
    if target.shape == input.shape and target.dtype.category >= 2:
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    _class_checks("cross_entropy", input, target, weight)
    rows, classes = _rows(input, target)
    loss = cross_entropy_op(rows, _index(classes), weight, ignore_index, reduction, float(label_smoothing))[0]
    return loss.reshape(target.shape) if reduction == "none" and loss.shape != target.shape else loss


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float
) -> Tensor:
    axis = 0 if input.ndim == 1 else 1
    classes = input.shape[axis]
    if weight is not None and tuple(weight.shape) != (classes,):
        raise RuntimeError(
            message("cross_entropy", f"weight must be of shape ({classes},)", weight=weight, input=input)
        )
    if label_smoothing > 0:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    terms = input.log_softmax(axis) * target
    if weight is not None:
        terms = terms * weight.reshape((classes,) + (1,) * (input.ndim - 1 - axis))
    if reduction == "none":
        return -terms.sum(axis)
    total = -terms.sum()
    return total if reduction == "sum" else total / max(input.numel() // max(classes, 1), 1)


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:
    """`cross_entropy` of the logits input @ linear_weight^T + linear_bias.

    Args:
        input: (N, D) or (D,), floating.
        linear_weight: (C, D).
        target, weight, reduction, label_smoothing: as `cross_entropy`.
        linear_bias: (C,) or None.
        ignore_index: default None, which stands for -100.
        options: PyTorch's choices of chunking; without effect.
    """
    logits = functional.linear(input, linear_weight, linear_bias)
    ignored = -100 if ignore_index is None else ignore_index
    return cross_entropy(
        logits, target, weight, ignore_index=ignored, reduction=reduction, label_smoothing=label_smoothing
    )


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Legacy = None,
    ignore_index: int = -100,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood, -w_t x_t, of log-probabilities; arguments and errors as `cross_entropy`."""
    reduction = chosen("nll_loss", reduction, size_average, reduce)
    _class_checks("nll_loss", input, target, weight)
    rows, classes = _rows(input, _index(target))
    kept = classes != ignore_index
    safe = classes.masked_fill(~kept, 0)
    n = rows.shape[1]
    if input.device is CPU and safe._a.size:
        low, high = int(safe._a.min()), int(safe._a.max())
        if low < 0 or high >= n:
            raise IndexError(f"nll_loss: Target {low if low < 0 else high} is out of bounds for {n} classes")
    counts = kept.to(input.dtype) if weight is None else weight.index_select(0, safe) * kept
    picked = rows.gather(1, safe.unsqueeze(1)).squeeze(1)
    loss = -(picked.masked_fill(~kept, 0.0) * counts)
    if reduction == "none":
        return loss.reshape(target.shape)
    return loss.sum() if reduction == "sum" else loss.sum() / counts.sum()


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """-(t log x + (1 - t) log(1 - x)) of probabilities x; logarithms are kept above -100.

    Args:
        input: any shape, floating, in [0, 1].
        target: input's shape and dtype, in [0, 1].
        weight: broadcasts to input; default None.
        reduction: "none", "mean" (default) or "sum".

    Raises:
        ValueError: sizes differ.
        RuntimeError: an input outside of [0, 1] (checked on the CPU); dtypes differ.
    """
    reduction = chosen("binary_cross_entropy", reduction, size_average, reduce)
    if target.shape != input.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            "Please ensure they have the same size."
        )
    if target.dtype is not input.dtype:
        raise RuntimeError(
            message("binary_cross_entropy", "input and target must have the same dtype", input=input, target=target)
        )
    if input.device is CPU and input._a.size:
        low, high = float(input._a.min()), float(input._a.max())
        if not (low >= 0 and high <= 1):
            raise RuntimeError(
                f"binary_cross_entropy: all elements of input should be between 0 and 1; got [{low:g}, {high:g}]"
            )
    if weight is None:
        return fused.binary_cross_entropy(input, target, 0.0, reduction)
    return reduced(fused.binary_cross_entropy(input, target, 0.0, "none") * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """binary_cross_entropy(sigmoid(x), t), computed without overflow.

    Args:
        input: any shape, floating logits.
        target: input's shape, in [0, 1].
        weight: broadcasts to input; default None.
        reduction: "none", "mean" (default) or "sum".
        pos_weight: weight of the positive terms, broadcasts to target; default None.

    Raises:
        ValueError: sizes differ.
    """
    op = "binary_cross_entropy_with_logits"
    reduction = chosen(op, reduction, size_average, reduce)
    if target.shape != input.shape:
        raise ValueError(f"{op}: Target size ({target.shape}) must be the same as input size ({input.shape})")
    input, target = paired(op, input, target)
    if pos_weight is None:
        if weight is None:
            return fused.binary_cross_entropy_with_logits(input, target, 0.0, reduction)
        return reduced(fused.binary_cross_entropy_with_logits(input, target, 0.0, "none") * weight, reduction)
    positive = (pos_weight - 1) * target + 1
    loss = (1 - target) * input - positive * logsigmoid(input)
    return reduced(loss if weight is None else loss * weight, reduction)


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
    """
    batch = reduction == "batchmean"
    if not batch:
        if reduction == "mean" and size_average is None and reduce is None:
            warnings.warn(
                "reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' "
                "divides only by the batch size, and aligns with the KL div math definition.",
                stacklevel=2,
            )
        reduction = chosen("kl_div", reduction, size_average, reduce)
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
    """
    reduction = chosen("poisson_nll_loss", reduction, size_average, reduce)
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
    if bool((spread.detach() < 0).any()):
        raise ValueError("gaussian_nll_loss: var has negative entry/entries")
    bounded = functional.maximum(spread.detach(), spread.new_full((), eps)) - spread.detach() + spread
    loss = 0.5 * (bounded.log() + (input - target) ** 2 / bounded)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduced(loss, reduction)


# ------------------------------------------------------------------------------------- margins, embeddings


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """x where t is 1, max(0, margin - x) where t is -1; x is a distance."""
    reduction = chosen("hinge_embedding_loss", reduction, size_average, reduce)
    far = (margin - input).clamp_min(0)
    loss = functional.where(target != 1, far, 0.0) + functional.where(target != -1, input, 0.0)
    return reduced(loss, reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos(x1, x2) where t is 1, max(0, cos(x1, x2) - margin) where t is -1.

    Args:
        input1, input2: (N, D) or (D,).
        target: (N,) or (), of 1 and -1.
        margin: in [-1, 1]; default 0.

    Raises:
        RuntimeError: the numbers of dims do not fit.
    """
    op = "cosine_embedding_loss"
    reduction = chosen(op, reduction, size_average, reduce)
    if target.ndim not in (0, 1):
        raise RuntimeError(message(op, "0D or 1D target tensor expected", target=target))
    dims = target.ndim + 1
    if input1.ndim != dims or input2.ndim != dims:
        raise RuntimeError(
            message(op, f"{dims}D inputs expected for a {target.ndim}D target", input1=input1, input2=input2)
        )
    tiny = 1e-12
    dot = (input1 * input2).sum(-1)
    cosine = dot / (((input1 * input1).sum(-1) + tiny) * ((input2 * input2).sum(-1) + tiny)).sqrt()
    loss = functional.where(target == 1, 1 - cosine, 0.0)
    return reduced(loss + functional.where(target == -1, (cosine - margin).clamp_min(0), 0.0), reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -t (x1 - x2) + margin): x1 shall rank above x2 where t is 1, below where it is -1.

    Raises:
        RuntimeError: the three do not have the same number of dims.
    """
    reduction = chosen("margin_ranking_loss", reduction, size_average, reduce)
    if not input1.ndim == input2.ndim == target.ndim:
        rule = "All input tensors should have same dimension"
        raise RuntimeError(message("margin_ranking_loss", rule, input1=input1, input2=input2, target=target))
    return reduced((-target * (input1 - input2) + margin).clamp_min(0), reduction)


def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: Legacy = None, reduce: Legacy = None, reduction: str = "mean"
) -> Tensor:
    """log(1 + exp(-t x)) with t of 1 and -1."""
    reduction = chosen("soft_margin_loss", reduction, size_average, reduce)
    return reduced(softplus(-target * input, 1.0, math.inf), reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """Mean over the classes (last dim) of -(t log sigmoid(x) + (1 - t) log sigmoid(-x)).

    Args:
        input: (N, C) or (C,), floating.
        target: input's shape, of 0 and 1.
        weight: (C,), default None.
    """
    reduction = chosen("multilabel_soft_margin_loss", reduction, size_average, reduce)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return reduced(loss.mean(-1), reduction)


def _one_or_many(op: str, input: Tensor, target: Tensor, target_dims: int) -> tuple[Tensor, Tensor]:
    """(C,) seen as (1, C), with its target."""
    if input.ndim not in (1, 2) or 0 in input.shape[1:] or (input.ndim == 1 and not input.shape[0]):
        raise RuntimeError(
            message(op, "Expected non-empty vector or matrix with optional 0-dim batch size", input=input)
        )
    if input.ndim == 1:
        return input.unsqueeze(0), target.reshape((1, -1)) if target_dims == 2 else target.reshape((1,))
    return input, target


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """sum over i != t of w_t max(0, margin - x_t + x_i)^p / C.

    Args:
        input: (N, C) or (C,), floating.
        target: (N,) or (), class indices, int64.
        p: 1 (default) or 2.
        margin: default 1.
        weight: (C,), default None.

    Raises:
        RuntimeError: sizes do not fit.
        ValueError: p is neither 1 nor 2; weight is no vector.
    """
    reduction = chosen("multi_margin_loss", reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError(message("multi_margin_loss", "only p == 1 and p == 2 supported", p=p))
    if weight is not None and weight.ndim != 1:
        raise ValueError(message("multi_margin_loss", "weight must be one-dimensional", weight=weight))
    rows, classes = _one_or_many("multi_margin_loss", input, target, 1)
    if classes.ndim != 1 or classes.shape[0] != rows.shape[0]:
        raise RuntimeError(message("multi_margin_loss", "inconsistent target size", input=input, target=target))
    index = classes.unsqueeze(1)
    gap = (margin - rows.gather(1, index) + rows).clamp_min(0)
    if p == 2:
        gap = gap * gap
    if weight is not None:
        gap = gap * weight.index_select(0, classes).unsqueeze(1)
    own = functional.zeros_like(gap.detach()).scatter(1, index, 1.0).bool()
    loss = gap.masked_fill(own, 0.0).sum(1) / rows.shape[1]
    return reduced(loss.reshape(target.shape) if input.ndim == 1 else loss, reduction)


def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: Legacy = None, reduce: Legacy = None, reduction: str = "mean"
) -> Tensor:
    """sum over targets j and non-targets i of max(0, 1 - (x_j - x_i)) / C.

    Args:
        input: (N, C) or (C,), floating.
        target: input's shape, int64: class indices up to the first -1.

    Raises:
        RuntimeError: sizes do not fit.
    """
    op = "multilabel_margin_loss"
    reduction = chosen(op, reduction, size_average, reduce)
    rows, labels = _one_or_many(op, input, target, 2)
    if target.shape != input.shape:
        raise RuntimeError(message(op, "inconsistent target size", input=input, target=target))
    listed = (labels < 0).long().cumsum(1) == 0
    safe = labels.masked_fill(~listed, 0)
    is_target = functional.zeros_like(labels).scatter_add(1, safe, listed.long()) > 0
    wanted = rows.gather(1, safe)
    gap = (1 - wanted.unsqueeze(2) + rows.unsqueeze(1)).clamp_min(0)
    loss = gap.masked_fill(~(listed.unsqueeze(2) & ~is_target.unsqueeze(1)), 0.0).sum((1, 2)) / rows.shape[1]
    return reduced(loss.reshape(()) if input.ndim == 1 else loss, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(a, p) - d(a, n) + margin) with the p-norm distance d over the last dim (arXiv 1503.03832).

    Args:
        anchor, positive, negative: (N, D) or (D,).
        margin: greater than 0; default 1.
        p: exponent of the norm; default 2.
        eps: added to the differences; default 1e-6.
        swap: use d(p, n) where it is less than d(a, n); default False.

    Raises:
        ValueError: margin is not positive.
    """
    reduction = chosen("triplet_margin_loss", reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(message("triplet_margin_loss", "margin must be greater than 0", margin=margin))
    if not anchor.ndim == positive.ndim == negative.ndim:
        rule = "The anchor, positive, and negative tensors are expected to have the same number of dimensions"
        raise RuntimeError(message("triplet_margin_loss", rule, anchor=anchor, positive=positive, negative=negative))

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return pairwise_distance(a, b, p, eps)

    return _triplet(anchor, positive, negative, distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with an own distance.

    Raises:
        ValueError: margin is not positive.
    """
    op = "triplet_margin_with_distance_loss"
    reduction = chosen(op, reduction)
    if margin <= 0:
        raise ValueError(message(op, "margin must be greater than 0", margin=margin))
    if not anchor.ndim == positive.ndim == negative.ndim:
        rule = "The anchor, positive, and negative tensors are expected to have the same number of dimensions"
        raise RuntimeError(message(op, rule, anchor=anchor, positive=positive, negative=negative))
    return _triplet(anchor, positive, negative, distance_function or pairwise_distance, margin, swap, reduction)


def _triplet(a: Tensor, p: Tensor, n: Tensor, distance: Callable, margin: float, swap: bool, reduction: str) -> Tensor:
    near, far = distance(a, p), distance(a, n)
    if swap:
        far = functional.minimum(far, distance(p, n))
    return reduced((near - far + margin).clamp_min(0), reduction)


# -------------------------------------------------------------------------------------------------- ctc


def _lengths(value: Any, like: Tensor) -> Tensor:
    if isinstance(value, Tensor):
        return value.long().reshape((-1,))
    return functional.tensor(list(value) if isinstance(value, (tuple, list)) else [value], device=like.device)


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor,
    target_lengths: Tensor,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Connectionist temporal classification: minus the log of the probability of all alignments of a target.

    Args:
        log_probs: (T, N, C) or (T, C), floating, output of log_softmax.
        targets: (N, S), or (sum of target_lengths,) one after the other, integers, no blanks.
        input_lengths: (N,), at most T each.
        target_lengths: (N,).
        blank: the blank's class; default 0.
        reduction: "none", "mean" (default: each loss over its target's length, then the mean) or "sum".
        zero_infinity: losses without any alignment become 0, as do their gradients; default False.

    Raises:
        RuntimeError: sizes do not fit; blank is no class; a length is out of range.
    """
    op = "ctc_loss"
    reduction = chosen(op, reduction)
    single = log_probs.ndim == 2
    x = log_probs.unsqueeze(1) if single else log_probs
    if x.ndim != 3 or x.dtype.category != 2:
        raise RuntimeError(message(op, "log_probs must be of shape (T, N, C) or (T, C), floating", log_probs=log_probs))
    steps, n, classes = x.shape
    if not 0 <= blank < classes:
        raise RuntimeError(message(op, f"blank must be in label range [0, {classes - 1}]", blank=blank))
    in_len, target_len = _lengths(input_lengths, x), _lengths(target_lengths, x)
    if in_len.numel() != n or target_len.numel() != n:
        rule = f"input_lengths and target_lengths must have one entry for each of the {n} samples"
        raise RuntimeError(message(op, rule, input_lengths=input_lengths, target_lengths=target_lengths))
    if n and (int(in_len.max()) > steps or int(in_len.min()) < 0):
        raise RuntimeError(
            message(op, f"Expected input_lengths to have value at most {steps}", input_lengths=input_lengths)
        )
    labels = targets.long()
    longest = int(target_len.max()) if n else 0
    if labels.ndim == 1 and not (single and labels.numel() == longest):
        if labels.numel() != int(target_len.sum()):
            raise RuntimeError(
                message(op, "the sum of target_lengths must be the size of 1-dim targets", targets=targets)
            )
        padded = labels.new_zeros((n, longest))
        at = 0
        for i, length in enumerate(target_len.tolist()):
            padded[i, :length] = labels[at : at + length]
            at += length
        labels = padded
    else:
        labels = labels.reshape((n, -1)) if labels.ndim == 1 else labels
        if labels.ndim != 2 or labels.shape[0] != n or labels.shape[1] < longest:
            raise RuntimeError(
                message(op, f"targets must be of shape (N, S) with S at least {longest}", targets=targets)
            )
        labels = labels[:, :longest].contiguous()
    beyond = functional.arange(longest, device=x.device).unsqueeze(0) >= target_len.unsqueeze(1)
    labels = labels.masked_fill(beyond, blank)
    loss = ctc_loss_op(x, labels, in_len, target_len, blank)[0]
    if zero_infinity:
        loss = functional.where(loss.detach() == math.inf, 0.0, loss)
    if reduction == "none":
        return loss.squeeze(0) if single else loss
    return loss.sum() if reduction == "sum" else (loss / target_len.clamp_min(1).to(loss.dtype)).mean()
