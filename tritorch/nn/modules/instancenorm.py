"""Instance normalisation and its lazy form."""

from __future__ import annotations

import warnings
from typing import Any

from ...tensor import Tensor
from .. import functional as F
from .batchnorm import LazyNorm, NormBase

__all__ = [
    "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
]  # fmt: skip


class _InstanceNorm(NormBase):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        if local_metadata.get("version") is None and not self.track_running_stats:
            old = [prefix + n for n in ("running_mean", "running_var") if prefix + n in state_dict]
            if old:
                name = type(self).__name__
                error_msgs.append(
                    f"Unexpected running stats buffer(s) {' and '.join(map(repr, old))} for {name} with "
                    f"track_running_stats=False; remove these keys from state_dict, or set track_running_stats=True in "
                    f"{name} if the statistics are needed"
                )
                for key in old:
                    del state_dict[key]
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, *)` or `(C, *)`; ValueError for other dims or a wrong C."""
        n, name = self.n_dims, type(self).__name__
        if input.dim() not in (n + 1, n + 2):
            raise ValueError(f"{name}: expected {n + 1}D or {n + 2}D input (got {input.dim()}D input)")
        dim = input.dim() - n - 1
        channels = input.shape[dim]
        if channels != self.num_features:
            if self.affine:
                raise ValueError(
                    f"{name}: expected input's size at dim={dim} to match num_features ({self.num_features}), "
                    f"but got: {channels}."
                )
            warnings.warn(
                f"{name}: input's size at dim={dim}, {channels}, does not match num_features {self.num_features}, "
                "which is not used because affine=False",
                stacklevel=3,
            )
        x = input if dim else input.unsqueeze(0)
        y = F.instance_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y if dim else y.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """y = (x - mean) / sqrt(var + eps) * weight + bias per sample and channel. Ulyanov et al., arXiv:1607.08022.

    Args:
        num_features: C.
        eps: default 1e-5.
        momentum: of the running statistics. Default: 0.1.
        affine: learn weight and bias. Default: False.
        track_running_stats: keep running statistics and use them in evaluation. Default: False.

    >>> import tritorch as torch
    >>> torch.nn.InstanceNorm1d(3)(torch.zeros(2, 3, 5)).shape
    torch.Size([2, 3, 5])
    """

    n_dims = 1


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of `(N, C, H, W)` or `(C, H, W)`; see InstanceNorm1d."""

    n_dims = 2


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of `(N, C, D, H, W)` or `(C, D, H, W)`; see InstanceNorm1d."""

    n_dims = 3


class LazyInstanceNorm1d(LazyNorm, InstanceNorm1d):
    """An InstanceNorm1d (here with affine and track_running_stats) that takes `num_features` from its first input."""

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(LazyNorm, InstanceNorm2d):
    """An InstanceNorm2d (here with affine and track_running_stats) that takes `num_features` from its first input."""

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(LazyNorm, InstanceNorm3d):
    """An InstanceNorm3d (here with affine and track_running_stats) that takes `num_features` from its first input."""

    cls_to_become = InstanceNorm3d
