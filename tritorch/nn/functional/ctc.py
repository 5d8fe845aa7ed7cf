"""Connectionist temporal classification."""

from __future__ import annotations

import math
from typing import Any

from ... import functional
from ...autograd.autocast import ACTIVE, cast
from ...errors import message
from ...kernels._index_range import out_of_range
from ...kernels.ctc_loss import ctc_loss as ctc_loss_op
from ...tensor import Tensor
from ._reduction import chosen

__all__ = ["ctc_loss"]


def _lengths(name: str, value: Any, like: Tensor) -> Tensor:
    if isinstance(value, Tensor):
        if value.dtype.category > 1:
            raise RuntimeError(message("ctc_loss", f"{name} must be integral", **{name: value}))
        return value.to(like.device).long().reshape((-1,))  # PyTorch takes them from the CPU, too
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
        RuntimeError: sizes do not fit; lengths are no integers; a length, a target or blank is out of range.

    The gradient is that of the loss alone. PyTorch's is exp(log_probs) more, which the gradient of log_softmax takes
    away again: behind log_softmax they are the same.

    Source: Graves et al., Connectionist temporal classification, ICML 2006.

    >>> import tritorch as torch
    >>> x = torch.zeros(4, 1, 3).log_softmax(2)
    >>> torch.nn.functional.ctc_loss(x, torch.tensor([[1, 2]]), torch.tensor([4]), torch.tensor([2]))
    tensor(0.8432)
    """
    if ACTIVE:
        (log_probs,) = cast("ctc_loss", log_probs)
    op = "ctc_loss"
    reduction = chosen(op, reduction)
    single = log_probs.ndim == 2
    x = log_probs.unsqueeze(1) if single else log_probs
    if x.ndim != 3 or x.dtype.category != 2:
        raise RuntimeError(message(op, "log_probs must be of shape (T, N, C) or (T, C), floating", log_probs=log_probs))
    steps, n, classes = x.shape
    if not 0 <= blank < classes:
        raise RuntimeError(message(op, f"blank must be in label range [0, {classes - 1}]", blank=blank))
    in_len, target_len = _lengths("input_lengths", input_lengths, x), _lengths("target_lengths", target_lengths, x)
    if in_len.numel() != n or target_len.numel() != n:
        rule = f"input_lengths and target_lengths must have one entry for each of the {n} samples"
        raise RuntimeError(message(op, rule, input_lengths=input_lengths, target_lengths=target_lengths))
    if n and (int(in_len.max()) > steps or int(in_len.min()) < 0):
        rule = f"Expected input_lengths to have value at most {steps}, and none below 0"
        raise RuntimeError(message(op, rule, input_lengths=in_len.tolist()))
    labels = targets.to(x.device).long()
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
                message(op, f"targets must be of shape (N, S), N = {n} and S at least {longest}", targets=targets)
            )
        labels = labels[:, :longest].contiguous()
    beyond = functional.arange(longest, device=x.device).unsqueeze(0) >= target_len.unsqueeze(1)
    labels = labels.masked_fill(beyond, blank)
    bad = out_of_range(labels._a, classes)
    if bad is not None:
        raise RuntimeError(message(op, f"targets must be classes in [0, {classes - 1}]", label=bad, targets=targets))
    loss = ctc_loss_op(x, labels, in_len, target_len, blank)[0]
    if zero_infinity:
        loss = functional.where(loss.detach() == math.inf, 0.0, loss)
    if reduction == "none":
        return loss.squeeze(0) if single else loss
    return loss.sum() if reduction == "sum" else (loss / target_len.clamp_min(1).to(loss.dtype)).mean()
