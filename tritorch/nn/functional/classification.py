"""Losses of classes: cross-entropy, negative log-likelihood, binary cross-entropy."""

from __future__ import annotations

from typing import Any

from ... import functional
from ...autograd.autocast import ACTIVE, cast
from ...device import CPU
from ...dtypes import int64, uint8
from ...errors import message
from ...kernels import loss as fused
from ...kernels.cross_entropy import cross_entropy as cross_entropy_op
from ...kernels.nll_loss import nll_loss as nll_loss_op
from ...tensor import Tensor
from ._reduction import check_broadcast, chosen, paired, reduced
from .activation import logsigmoid

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "linear_cross_entropy",
    "nll_loss",
]

Legacy = bool | None


def _class_checks(op: str, input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """Sizes and dtypes of input (C,) or (N, C, ...) against class indices () or (N, ...)."""
    shape, found = input._a.shape, target._a.shape
    if not shape:
        raise RuntimeError(message(op, "input needs at least 1 dim", input=input))
    if input.dtype.category != 2:
        raise NotImplementedError(f"{op}: not implemented for {input.dtype.name}: input must be of a floating dtype")
    expected = () if len(shape) == 1 else (shape[0], *shape[2:])
    if found != expected:
        if len(shape) > 1 and found and shape[0] != found[0]:
            rule = f"Expected input batch_size ({shape[0]}) to match target batch_size ({found[0]})"
            raise ValueError(message(op, rule, input=input, target=target))
        raise RuntimeError(
            message(
                op, f"target must be of size {expected}, one class for each row of input", input=input, target=target
            )
        )
    if target.dtype is not int64 and target.dtype is not uint8:
        raise RuntimeError(message(op, "expected scalar type Long for target", target=target))
    classes = shape[0 if len(shape) == 1 else 1]
    if weight is not None and (weight._a.shape != (classes,) or weight.dtype is not input.dtype):
        rule = f"weight must be of shape ({classes},), one for each class, and of input's dtype"
        raise RuntimeError(message(op, rule, weight=weight, input=input))


def _rows(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Classes last, everything else as rows: (M, C) and (M,)."""
    if input._a.ndim == 1:
        return input.unsqueeze(0), target.reshape((1,))
    if input._a.ndim > 2:
        input = input.movedim(1, -1)
        return input.reshape((-1, input.shape[-1])) if input.numel() else input.reshape(
            (target.numel(), input.shape[-1])
        ), target.reshape((-1,))
    return input, target


def _index(target: Tensor) -> Tensor:
    return target if target.dtype is int64 else target.long()


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
        IndexError: a target is no class (on a GPU under TRITORCH_SYNC=1; else the loss is NaN).

    >>> import tritorch as torch
    >>> torch.nn.functional.cross_entropy(torch.zeros(2, 4), torch.tensor([1, 3]))
    tensor(1.3863)
    """
    if ACTIVE:
        input, target, weight = cast("cross_entropy", input, target, weight)
    reduction = chosen("cross_entropy", reduction, size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(
            message("cross_entropy", "label_smoothing must be between 0.0 and 1.0", label_smoothing=label_smoothing)
        )
    if target._a.shape == input._a.shape and target.dtype.category >= 2:
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    _class_checks("cross_entropy", input, target, weight)
    rows, classes = _rows(input, target)
    loss = cross_entropy_op(rows, _index(classes), weight, ignore_index, reduction, float(label_smoothing))[0]
    return loss.reshape(target.shape) if reduction == "none" and loss._a.shape != target._a.shape else loss


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
        linear_weight: (C, D), or (C, d1, ..., D) for logits (N, C, d1, ...), which need the input's N.
        target, weight, reduction, label_smoothing: as `cross_entropy`.
        linear_bias: linear_weight's shape without D, or None.
        ignore_index: default None, which stands for -100; only for a target of class indices.
        options: PyTorch's choices of chunking; without effect.

    Raises:
        RuntimeError: sizes do not fit; ignore_index with a target of probabilities.

    >>> import tritorch as torch
    >>> torch.nn.functional.linear_cross_entropy(torch.ones(2, 3), torch.zeros(4, 3), torch.tensor([1, 3]))
    tensor(1.3863)
    """
    op = "linear_cross_entropy"
    if input.ndim not in (1, 2) or linear_weight.ndim < 2 or input.shape[-1] != linear_weight.shape[-1]:
        rule = "expected input (N, D) or (D,) and linear_weight (C, ..., D)"
        raise RuntimeError(message(op, rule, input=input, linear_weight=linear_weight))
    sizes = tuple(linear_weight.shape[:-1])
    if linear_bias is not None and tuple(linear_bias.shape) != sizes:
        raise RuntimeError(message(op, f"linear_bias must be of shape {sizes}", linear_bias=linear_bias))
    if len(sizes) > 1:
        if input.ndim == 1:
            rule = "logits of several dims need an input (N, D)"
            raise RuntimeError(message(op, rule, input=input, linear_weight=linear_weight))
        linear_weight = linear_weight.flatten(0, -2)
        linear_bias = None if linear_bias is None else linear_bias.flatten()
    logits = functional.linear(input, linear_weight, linear_bias)
    if len(sizes) > 1:
        logits = logits.reshape((len(input), *sizes))
    if ignore_index is not None and target.shape == logits.shape:
        raise RuntimeError(message(op, "ignore_index needs a target of class indices", target=target, input=input))
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
    """Negative log-likelihood, -w_t x_t, of log-probabilities; arguments and errors as `cross_entropy`.

    >>> import tritorch as torch
    >>> x = torch.tensor([[0.5, 0.25, 0.25]]).log()
    >>> torch.nn.functional.nll_loss(x, torch.tensor([0]))
    tensor(0.6931)
    """
    if ACTIVE:
        input, weight = cast("nll_loss", input, weight)
    reduction = chosen("nll_loss", reduction, size_average, reduce)
    _class_checks("nll_loss", input, target, weight)
    rows, classes = _rows(input, target)
    loss = nll_loss_op(rows, _index(classes), weight, ignore_index, reduction)
    return loss.reshape(target.shape) if reduction == "none" and loss.shape != target.shape else loss


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

    >>> import tritorch as torch
    >>> torch.nn.functional.binary_cross_entropy(torch.tensor([0.5, 0.5]), torch.tensor([0.0, 1.0]))
    tensor(0.6931)
    """
    if ACTIVE:
        input, target, weight = cast("binary_cross_entropy", input, target, weight)
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
    check_broadcast("binary_cross_entropy", input=input, weight=weight)
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

    >>> import tritorch as torch
    >>> torch.nn.functional.binary_cross_entropy_with_logits(torch.zeros(2), torch.tensor([0.0, 1.0]))
    tensor(0.6931)
    """
    if ACTIVE:
        input, target, weight, pos_weight = cast("binary_cross_entropy_with_logits", input, target, weight, pos_weight)
    op = "binary_cross_entropy_with_logits"
    reduction = chosen(op, reduction, size_average, reduce)
    if target.shape != input.shape:
        raise ValueError(f"{op}: Target size ({target.shape}) must be the same as input size ({input.shape})")
    check_broadcast(op, input=input, weight=weight, pos_weight=pos_weight)
    input, target = paired(op, input, target)
    if pos_weight is None:
        if weight is None:
            return fused.binary_cross_entropy_with_logits(input, target, 0.0, reduction)
        return reduced(fused.binary_cross_entropy_with_logits(input, target, 0.0, "none") * weight, reduction)
    positive = (pos_weight - 1) * target + 1
    loss = (1 - target) * input - positive * logsigmoid(input)
    return reduced(loss if weight is None else loss * weight, reduction)
