"""Distances between vectors."""

from __future__ import annotations

from ... import functional
from ...autograd.autocast import ACTIVE, cast
from ...device import CPU
from ...errors import message
from ...tensor import Tensor
from ._reduction import check_broadcast

__all__ = ["cosine_similarity", "pairwise_distance", "pdist"]


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """||x1 - x2 + eps||_p over the last dim.

    Args:
        x1, x2: (N, D) or (D,), or shapes that broadcast.
        p: exponent of the norm; default 2.
        eps: keeps the root away from 0; default 1e-6.
        keepdim: keep the last dim with size 1; default False.

    >>> import tritorch as torch
    >>> torch.nn.functional.pairwise_distance(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """
    return (x1 - x2 + eps).norm(p, -1, keepdim=keepdim)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(||x1||, eps) * max(||x2||, eps)) along `dim`.

    Args:
        x1, x2: shapes that broadcast, floating.
        dim: default 1.
        eps: the least norm; default 1e-8.

    >>> import tritorch as torch
    >>> torch.nn.functional.cosine_similarity(torch.tensor([1.0, 0.0]), torch.tensor([3.0, 4.0]), dim=0)
    tensor(0.6000)
    """
    if ACTIVE:
        x1, x2 = cast("cosine_similarity", x1, x2)
    if x1.is_complex() or x2.is_complex():
        raise RuntimeError(message("cosine_similarity", "expected floating point tensors", x1=x1, x2=x2))
    check_broadcast("cosine_similarity", x1=x1, x2=x2)
    x1, x2 = functional.broadcast_tensors(x1, x2)
    a = x1 / x1.norm(2, dim, keepdim=True).clamp_min(eps)
    b = x2 / x2.norm(2, dim, keepdim=True).clamp_min(eps)
    return (a * b).sum(dim)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """p-norm distances of all pairs i < j of the rows of input (N, D), in order: (N (N - 1) / 2,).

    Raises:
        RuntimeError: input is no matrix, or p is negative.

    >>> import tritorch as torch
    >>> torch.nn.functional.pdist(torch.tensor([[0.0], [1.0], [3.0]]))
    tensor([1., 3., 2.])
    """
    if ACTIVE:
        (input,) = cast("pdist", input)
    if input.ndim != 2:
        raise RuntimeError(message("pdist", "only supports 2D tensors", input=input))
    if p < 0:
        raise RuntimeError(message("pdist", "only supports non-negative p values", p=p))
    first, second = functional.triu_indices(input.shape[0], input.shape[0], 1, device=input.device)
    n = first.numel()
    step = _step(input, input.shape[1], n)
    parts = [
        (input.index_select(0, first[i : i + step]) - input.index_select(0, second[i : i + step])).norm(p, -1)
        for i in range(0, max(n, 1), step)
    ]
    return parts[0] if len(parts) == 1 else functional.cat(parts)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """p-norm distances between all rows of x1 and all rows of x2: (..., P, D), (..., R, D) -> (..., P, R).

    Args:
        x1, x2: floating, leading dims broadcast.
        p: exponent of the norm, not negative; default 2.
        compute_mode: "use_mm_for_euclid_dist": for p = 2 by a product of matrices, |a|^2 + |b|^2 - 2 a b, which is faster
            and less exact for rows close to each other; "donot_use_mm_for_euclid_dist": by the differences;
            "use_mm_for_euclid_dist_if_necessary" (default): by the product for more than 25 rows.

    Raises:
        RuntimeError: fewer than 2 dims, widths that differ, negative p.
        ValueError: unknown compute_mode.

    >>> import tritorch as torch
    >>> torch.cdist(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[5., 0.]])
    """
    if ACTIVE:
        x1, x2 = cast("cdist", x1, x2)
    if x1.ndim < 2 or x2.ndim < 2:
        raise RuntimeError(message("cdist", "only supports at least 2D tensors", x1=x1, x2=x2))
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(message("cdist", "X1 and X2 must have the same number of columns", x1=x1, x2=x2))
    if p < 0:
        raise RuntimeError(message("cdist", "only supports non-negative p values", p=p))
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in modes:
        raise ValueError(message("cdist", f"compute_mode must be one of {', '.join(modes)}", compute_mode=compute_mode))
    rows, others = x1.shape[-2], x2.shape[-2]
    if p == 2 and (compute_mode == modes[1] or compute_mode == modes[0] and max(rows, others) > 25):
        return _euclidean(x1, x2)
    if x1.numel() * others <= 1 << 14:
        return (x1.unsqueeze(-2) - x2.unsqueeze(-3)).norm(p, -1)
    step = _step(x1, max(x1.numel() // max(rows, 1) * others, x2.numel()), rows)
    parts = [
        (x1[..., i : i + step, :].unsqueeze(-2) - x2.unsqueeze(-3)).norm(p, -1) for i in range(0, max(rows, 1), step)
    ]
    return parts[0] if len(parts) == 1 else functional.cat(parts, -2)


def _euclidean(x1: Tensor, x2: Tensor) -> Tensor:
    """Distances of rows by |a|^2 + |b|^2 - 2 a b; the gradient at distance 0 is 0."""
    squares = (x1 * x1).sum(-1).unsqueeze(-1) + (x2 * x2).sum(-1).unsqueeze(-2) - 2 * (x1 @ x2.mT)
    same = squares <= 0
    return squares.masked_fill(same, 1).sqrt().masked_fill(same, 0)


def _step(x: Tensor, width: int, n: int) -> int:
    """How many of `n` rows with `width` differences each are done at a time: on the CPU as many as stay in cache."""
    return max(1, (1 << 18) // max(width, 1)) if x.device is CPU else max(1, n)
