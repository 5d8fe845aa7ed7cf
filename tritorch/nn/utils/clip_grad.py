"""Limits on the gradients of parameters, in place."""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterable
from typing import Any

from ...autograd import no_grad
from ...device import CPU
from ...functional import stack, tensor
from ...kernels import clip
from ...tensor import Tensor, bump, wrap

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def _listed(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [parameters] if isinstance(parameters, Tensor) else list(parameters)


@no_grad()
def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors as if they were one vector.

    Args:
        tensors: one tensor or several.
        norm_type: p; inf for the largest absolute value. Default: 2.
        error_if_nonfinite: RuntimeError when the norm is NaN or infinite. Default: False.
        foreach: accepted, without effect.

    >>> import tritorch as torch
    >>> torch.nn.utils.get_total_norm([torch.tensor([3.0]), torch.tensor([4.0])])
    tensor(5.)
    """
    p = float(norm_type)
    items = _listed(tensors)
    if not items:
        return tensor(0.0)
    device = items[0].device
    if p in clip.KINDS and _together(items):
        total = wrap(clip.total_norm([t._a for t in items], p, device.index or 0), device)
    else:
        total = _norm(stack([_norm(t.detach(), p).to(device) for t in items]), p)
    if error_if_nonfinite and not bool(total.isfinite()):
        raise RuntimeError(
            f"The total norm of order {p} for gradients from `parameters` is non-finite, so it cannot be clipped; "
            "error_if_nonfinite=False scales by it anyway"
        )
    return total


def _together(tensors: list[Tensor]) -> bool:
    """Are these what the kernels of `clip` take: contiguous, floating, of one dtype, on one cuda device."""
    device, dtype = tensors[0].device, tensors[0].dtype
    return (
        device is not CPU
        and dtype.category == 2
        and all(t.device is device and t.dtype is dtype and t._a.flags.c_contiguous for t in tensors)
    )


def _norm(t: Tensor, p: float) -> Tensor:
    return t.norm(p)


@no_grad()
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale all gradients by min(1, max_norm / (total_norm + 1e-6)).

    Args:
        parameters: their gradients are scaled.
        max_norm: the limit.
        total_norm: of `get_total_norm`.
        foreach: accepted, without effect.
    """
    grads = [p.grad for p in _listed(parameters) if p.grad is not None]
    if not grads:
        return
    if _together([*grads, total_norm.reshape(1)]) and all(g._node is None and g._view is None for g in grads):
        clip.scale([g._a for g in grads], float(max_norm), total_norm._a, grads[0].device.index or 0)
        for g in grads:
            bump(g)
        return
    # Multiplied even when it is 1, so that no device has to be waited for.
    factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    for g in grads:
        g.mul_(factor.to(g.device))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients so that their joint norm is at most `max_norm`; returns the norm before.

    Args:
        parameters: one parameter or several; those without a gradient do not count.
        max_norm: the limit.
        norm_type, error_if_nonfinite, foreach: as for `get_total_norm`.

    >>> import tritorch as torch
    >>> p = torch.nn.Parameter(torch.zeros(2)); p.grad = torch.tensor([3.0, 4.0])
    >>> torch.nn.utils.clip_grad_norm_(p, 1.0), p.grad
    (tensor(5.), tensor([0.6000, 0.8000]))
    """
    generator = isinstance(parameters, types.GeneratorType)
    items = _listed(parameters)
    if generator and not items:
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=2)
    total = get_total_norm([p.grad for p in items if p.grad is not None], norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(items, max_norm, total, foreach)
    return total


def clip_grad_norm(*args: Any, **kwargs: Any) -> Tensor:
    """A deprecated name of `clip_grad_norm_`."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of `torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(*args, **kwargs)


@no_grad()
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Cut every element of the gradients to [-clip_value, clip_value].

    >>> import tritorch as torch
    >>> p = torch.nn.Parameter(torch.zeros(2)); p.grad = torch.tensor([3.0, -4.0])
    >>> torch.nn.utils.clip_grad_value_(p, 1.0); p.grad
    tensor([ 1., -1.])
    """
    limit = float(clip_value)
    for p in _listed(parameters):
        if p.grad is not None:
            p.grad.clamp_(-limit, limit)
