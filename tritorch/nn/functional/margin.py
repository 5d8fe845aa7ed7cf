"""Losses with a margin: between classes, pairs and triplets."""

from __future__ import annotations

import math
from collections.abc import Callable

from ... import functional
from ...autograd.autocast import ACTIVE, cast
from ...errors import message
from ...kernels._index_range import out_of_range
from ...tensor import Tensor
from ._reduction import check_broadcast, chosen, reduced
from .activation import logsigmoid, softplus
from .distance import pairwise_distance

__all__ = [
    "cosine_embedding_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]

Legacy = bool | None


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: Legacy = None,
    reduce: Legacy = None,
    reduction: str = "mean",
) -> Tensor:
    """x where t is 1, max(0, margin - x) where t is -1; x is a distance.

    Args:
        input: any shape, floating: distances.
        target: broadcasts with input, of 1 and -1.
        margin: default 1.
        reduction: "none", "mean" (default) or "sum".

    >>> import tritorch as torch
    >>> torch.nn.functional.hinge_embedding_loss(torch.tensor([0.5, 0.25]), torch.tensor([1, -1]), reduction="none")
    tensor([0.5000, 0.7500])
    """
    if ACTIVE:
        input, target = cast("hinge_embedding_loss", input, target)
    reduction = chosen("hinge_embedding_loss", reduction, size_average, reduce)
    check_broadcast("hinge_embedding_loss", input=input, target=target)
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

    >>> import tritorch as torch
    >>> torch.nn.functional.cosine_embedding_loss(torch.ones(1, 2), torch.tensor([[1.0, -1.0]]), torch.tensor([1]))
    tensor(1.)
    """
    if ACTIVE:
        input1, input2 = cast("cosine_embedding_loss", input1, input2)
    op = "cosine_embedding_loss"
    reduction = chosen(op, reduction, size_average, reduce)
    if target.ndim not in (0, 1):
        raise RuntimeError(message(op, "0D or 1D target tensor expected", target=target))
    dims = target.ndim + 1
    if input1.ndim != dims or input2.ndim != dims:
        raise RuntimeError(
            message(op, f"{dims}D inputs expected for a {target.ndim}D target", input1=input1, input2=input2)
        )
    check_broadcast(op, input1=input1, input2=input2)
    tiny = 1e-12
    dot = (input1 * input2).sum(-1)
    check_broadcast(op, target=target, rows=dot)
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

    Args:
        input1, input2, target: shapes that broadcast; target of 1 and -1.
        margin: default 0.
        reduction: "none", "mean" (default) or "sum".

    Raises:
        RuntimeError: the three do not have the same number of dims.

    >>> import tritorch as torch
    >>> torch.nn.functional.margin_ranking_loss(torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([1]))
    tensor(2.)
    """
    if ACTIVE:
        input1, input2, target = cast("margin_ranking_loss", input1, input2, target)
    reduction = chosen("margin_ranking_loss", reduction, size_average, reduce)
    if not input1.ndim == input2.ndim == target.ndim:
        rule = "All input tensors should have same dimension"
        raise RuntimeError(message("margin_ranking_loss", rule, input1=input1, input2=input2, target=target))
    check_broadcast("margin_ranking_loss", input1=input1, input2=input2, target=target)
    return reduced((-target * (input1 - input2) + margin).clamp_min(0), reduction)


def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: Legacy = None, reduce: Legacy = None, reduction: str = "mean"
) -> Tensor:
    """log(1 + exp(-t x)) with t of 1 and -1.

    Args:
        input: any shape, floating.
        target: broadcasts with input, of 1 and -1.
        reduction: "none", "mean" (default) or "sum".

    >>> import tritorch as torch
    >>> torch.nn.functional.soft_margin_loss(torch.zeros(2), torch.tensor([1.0, -1.0]))
    tensor(0.6931)
    """
    if ACTIVE:
        input, target = cast("soft_margin_loss", input, target)
    reduction = chosen("soft_margin_loss", reduction, size_average, reduce)
    check_broadcast("soft_margin_loss", input=input, target=target)
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

    >>> import tritorch as torch
    >>> torch.nn.functional.multilabel_soft_margin_loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """
    reduction = chosen("multilabel_soft_margin_loss", reduction, size_average, reduce)
    check_broadcast("multilabel_soft_margin_loss", input=input, target=target, weight=weight)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return reduced(loss.mean(-1), reduction)


def _one_or_many(op: str, input: Tensor, target: Tensor, target_dims: int) -> tuple[Tensor, Tensor]:
    """(C,), or one number, seen as (1, C), with its target."""
    if input.ndim > 2 or 0 in input.shape[1:] or (input.ndim == 1 and not input.shape[0]):
        raise RuntimeError(
            message(op, "Expected non-empty vector or matrix with optional 0-dim batch size", input=input)
        )
    if input.ndim < 2:
        return input.reshape((1, -1)), target.reshape((1, -1)) if target_dims == 2 else target.reshape((1,))
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

    >>> import tritorch as torch
    >>> torch.nn.functional.multi_margin_loss(torch.tensor([[0.5, 0.0]]), torch.tensor([1]))
    tensor(0.7500)
    """
    if ACTIVE:
        input, weight = cast("multi_margin_loss", input, weight)
    reduction = chosen("multi_margin_loss", reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError(message("multi_margin_loss", "only p == 1 and p == 2 supported", p=p))
    if weight is not None and weight.ndim != 1:
        raise ValueError(message("multi_margin_loss", "weight must be one-dimensional", weight=weight))
    rows, classes = _one_or_many("multi_margin_loss", input, target, 1)
    if classes.ndim != 1 or classes.shape[0] != rows.shape[0]:
        raise RuntimeError(message("multi_margin_loss", "inconsistent target size", input=input, target=target))
    bad = out_of_range(classes._a, rows.shape[1])
    if bad is not None:
        rule = f"target out of range: classes are in [0, {rows.shape[1] - 1}]"
        raise RuntimeError(message("multi_margin_loss", rule, target=bad))
    index = classes.unsqueeze(1)
    gap = (margin - rows.gather(1, index) + rows).clamp_min(0)
    if p == 2:
        gap = gap * gap
    if weight is not None:
        gap = gap * weight.index_select(0, classes).unsqueeze(1)
    own = functional.zeros_like(gap.detach()).scatter(1, index, 1.0).bool()
    loss = gap.masked_fill(own, 0.0).sum(1) / rows.shape[1]
    return reduced(loss.reshape(target.shape) if input.ndim < 2 else loss, reduction)


def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: Legacy = None, reduce: Legacy = None, reduction: str = "mean"
) -> Tensor:
    """sum over targets j and non-targets i of max(0, 1 - (x_j - x_i)) / C.

    Args:
        input: (N, C) or (C,), floating.
        target: input's shape, int64: class indices up to the first -1.

    Raises:
        RuntimeError: sizes do not fit.

    >>> import tritorch as torch
    >>> torch.nn.functional.multilabel_margin_loss(torch.tensor([[0.5, 0.0]]), torch.tensor([[1, -1]]))
    tensor(0.7500)
    """
    if ACTIVE:
        (input,) = cast("multilabel_margin_loss", input)
    op = "multilabel_margin_loss"
    reduction = chosen(op, reduction, size_average, reduce)
    rows, labels = _one_or_many(op, input, target, 2)
    if target.shape != input.shape and not (
        input.ndim < 2 and input.numel() == target.numel() == 1 and target.ndim < 2
    ):
        raise RuntimeError(message(op, "inconsistent target size", input=input, target=target))
    listed = (labels < 0).long().cumsum(1) == 0
    safe = labels.masked_fill(~listed, 0)
    is_target = functional.zeros_like(labels).scatter_add(1, safe, listed.long()) > 0
    wanted = rows.gather(1, safe)
    gap = (1 - wanted.unsqueeze(2) + rows.unsqueeze(1)).clamp_min(0)
    loss = gap.masked_fill(~(listed.unsqueeze(2) & ~is_target.unsqueeze(1)), 0.0).sum((1, 2)) / rows.shape[1]
    return reduced(loss.reshape(()) if input.ndim < 2 else loss, reduction)


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

    >>> import tritorch as torch
    >>> a, p, n = torch.zeros(1, 1), torch.ones(1, 1), torch.full((1, 1), 1.5)
    >>> torch.nn.functional.triplet_margin_loss(a, p, n)
    tensor(0.5000)
    """
    if ACTIVE:
        anchor, positive, negative = cast("triplet_margin_loss", anchor, positive, negative)
    reduction = chosen("triplet_margin_loss", reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(message("triplet_margin_loss", "margin must be greater than 0", margin=margin))
    if not anchor.ndim == positive.ndim == negative.ndim:
        rule = "The anchor, positive, and negative tensors are expected to have the same number of dimensions"
        raise RuntimeError(message("triplet_margin_loss", rule, anchor=anchor, positive=positive, negative=negative))
    check_broadcast("triplet_margin_loss", anchor=anchor, positive=positive, negative=negative)

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

    Args:
        anchor, positive, negative: as `triplet_margin_loss`.
        distance_function: of two tensors; default: the Euclidean distance over the last dim.
        margin, swap, reduction: as `triplet_margin_loss`.

    Raises:
        ValueError: margin is not positive.

    >>> import tritorch as torch
    >>> a, p, n = torch.zeros(1, 1), torch.ones(1, 1), torch.full((1, 1), 1.5)
    >>> d = lambda x, y: (x - y).abs().sum(-1)
    >>> torch.nn.functional.triplet_margin_with_distance_loss(a, p, n, distance_function=d)
    tensor(0.5000)
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
