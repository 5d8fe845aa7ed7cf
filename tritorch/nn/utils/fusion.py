"""Batch normalisation in evaluation folded into the layer before it."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from ...functional import ones_like, zeros_like
from ...tensor import Parameter, Tensor
from ..modules.batchnorm import BatchNormBase
from ..modules.conv import ConvBase
from ..modules.linear import Linear

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]

Conv = TypeVar("Conv", bound=ConvBase)
Lin = TypeVar("Lin", bound=Linear)


def _check(layer: Any, bn: BatchNormBase) -> None:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval! Call .eval() on both modules first")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("fusion: the batch norm has no running statistics (track_running_stats=False)")


def fuse_conv_bn_eval(conv: Conv, bn: BatchNormBase, transpose: bool = False) -> Conv:
    """A copy of `conv` that computes `bn(conv(x))`; both must be in evaluation.

    Args:
        transpose: `conv` is a transposed convolution. Default: False.

    >>> import tritorch as torch
    >>> conv, bn, x = torch.nn.Conv2d(3, 4, 3).eval(), torch.nn.BatchNorm2d(4).eval(), torch.ones(1, 3, 5, 5)
    >>> fused = torch.nn.utils.fuse_conv_bn_eval(conv, bn)
    >>> torch.allclose(fused(x), bn(conv(x)), atol=1e-6)
    True
    """
    _check(conv, bn)
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Any,
    bn_rv: Any,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of the fused convolution from those of both layers and the running statistics."""
    lead = (1, -1) if transpose else (-1, 1)
    return _fused(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, (*lead, *(1,) * (conv_w.dim() - 2)))


def fuse_linear_bn_eval(linear: Lin, bn: BatchNormBase) -> Lin:
    """A copy of `linear` that computes `bn(linear(x))`; both must be in evaluation.

    Raises:
        AssertionError: a module in training, or feature numbers that do not agree.

    >>> import tritorch as torch
    >>> linear, bn = torch.nn.Linear(3, 2).eval(), torch.nn.BatchNorm1d(2).eval()
    >>> torch.nn.utils.fuse_linear_bn_eval(linear, bn)
    Linear(in_features=3, out_features=2, bias=True)
    """
    _check(linear, bn)
    if bn.num_features not in (1, linear.out_features):
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1; "
            f"got {linear.out_features} and {bn.num_features}"
        )
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Any,
    bn_rv: Any,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of the fused linear layer from those of both layers and the running statistics."""
    return _fused(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, (-1, 1))


def _fused(
    w: Tensor,
    b: Tensor | None,
    mean: Tensor,
    var: Tensor,
    eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    shape: tuple[int, ...],
) -> tuple[Parameter, Parameter]:
    scale = (ones_like(mean) if bn_w is None else bn_w) * (var + eps).rsqrt()
    offset = (zeros_like(mean) if b is None else b) - mean
    offset = offset * scale + (0 if bn_b is None else bn_b)
    kind = w.dtype if b is None else b.dtype
    weight = (w * scale.reshape(shape)).to(w.dtype)
    needs = w.requires_grad, b is not None and b.requires_grad
    return Parameter(weight.detach(), needs[0]), Parameter(offset.to(kind).detach(), needs[1])
