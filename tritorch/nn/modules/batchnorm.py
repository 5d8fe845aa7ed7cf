"""Batch normalisation, with its lazy and synchronised forms."""

from __future__ import annotations

from typing import Any

from ...dtypes import int64
from ...functional import empty, ones, tensor, zeros
from ...tensor import Parameter, Tensor
from .. import functional as F
from .. import init
from ..parameter import UninitializedBuffer, UninitializedParameter
from .lazy import LazyModuleMixin
from .module import Module

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d",
    "SyncBatchNorm",
]  # fmt: skip


class NormBase(Module):
    """What batch and instance norm share: parameters, running statistics, repr."""

    _version = 2
    n_dims: int
    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            made = Parameter(empty(num_features, device=device, dtype=dtype)) if wanted else None
            self.register_parameter(name, made)
        track = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, device=device, dtype=dtype) if track else None)
        self.register_buffer("running_var", ones(num_features, device=device, dtype=dtype) if track else None)
        self.register_buffer("num_batches_tracked", tensor(0, dtype=int64, device=device) if track else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Set the running mean to 0, the running variance to 1, the count to 0."""
        if self.track_running_stats:
            self.running_mean.zero_()  # type: ignore[union-attr]
            self.running_var.fill_(1)  # type: ignore[union-attr]
            self.num_batches_tracked.zero_()  # type: ignore[union-attr]

    def reset_parameters(self) -> None:
        """Set the statistics back, weight to 1 and bias to 0."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *rest: Any
    ) -> None:
        version = local_metadata.get("version")
        key = f"{prefix}num_batches_tracked"
        # Version 2 brought num_batches_tracked: an older state_dict leaves the count as it is.
        if (version is None or version < 2) and self.track_running_stats and key not in state_dict:
            count = self.num_batches_tracked
            state_dict[key] = tensor(0, dtype=int64) if count is None else count
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


class BatchNormBase(NormBase):
    """The forward pass of batch normalisation."""

    def _check_input_dim(self, input: Tensor) -> None:
        raise NotImplementedError

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, *)`; ValueError for other dims."""
        self._check_input_dim(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        training = self.training
        if training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # cumulative average
                momentum = 1.0 / float(self.num_batches_tracked)
        mean, var = self.running_mean, self.running_var
        by_batch = training or (mean is None and var is None)
        if training and not self.track_running_stats:
            mean = var = None  # the statistics are there but must not be changed
        return F.batch_norm(input, mean, var, self.weight, self.bias, by_batch, momentum, self.eps)


# PyTorch's names of the bases, for isinstance tests in scripts.
_NormBase, _BatchNorm = NormBase, BatchNormBase


class BatchNorm1d(BatchNormBase):
    """y = (x - mean) / sqrt(var + eps) * weight + bias per channel, over the batch.

    Ioffe and Szegedy, arXiv:1502.03167.

    In evaluation mean and var are the running ones: running = (1 - momentum) running + momentum batch.

    Args:
        num_features: C.
        eps: default 1e-5.
        momentum: default 0.1; None for the average of all batches.
        affine: learn weight and bias. Default: True.
        track_running_stats: keep running statistics; without them the batch's are used always. Default: True.
        bias: with weight, also learn bias. Default: True.

    Attributes:
        weight, bias: `(C)`, at the start 1 and 0.
        running_mean, running_var: buffers `(C)`, at the start 0 and 1; the variance is the unbiased one.
        num_batches_tracked: buffer, int64.

    >>> import tritorch as torch
    >>> torch.nn.BatchNorm1d(100)(torch.zeros(20, 100)).shape
    torch.Size([20, 100])
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in (2, 3):
            raise ValueError(f"{type(self).__name__}: expected 2D or 3D input (got {input.dim()}D input)")


class BatchNorm2d(BatchNormBase):
    """Batch normalisation of `(N, C, H, W)`; see BatchNorm1d.

    >>> import tritorch as torch
    >>> torch.nn.BatchNorm2d(3)(torch.zeros(2, 3, 4, 5)).shape
    torch.Size([2, 3, 4, 5])
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() != 4:
            raise ValueError(f"{type(self).__name__}: expected 4D input (got {input.dim()}D input)")


class BatchNorm3d(BatchNormBase):
    """Batch normalisation of `(N, C, D, H, W)`; see BatchNorm1d."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() != 5:
            raise ValueError(f"{type(self).__name__}: expected 5D input (got {input.dim()}D input)")


class SyncBatchNorm(BatchNormBase):
    """Batch normalisation over all processes of a group; in a single process the same as BatchNorm.

    Args:
        num_features, eps, momentum, affine, track_running_stats: as for BatchNorm1d.
        process_group: None, since statistics are joined within one process alone.

    Raises:
        ValueError: a process group is given.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        if process_group is not None:
            raise ValueError("SyncBatchNorm: process_group must be None: statistics are joined within one process")
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = process_group

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"SyncBatchNorm: expected at least 2D input (got {input.dim()}D input)")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """`module` with each BatchNorm in it replaced by a SyncBatchNorm with the same parameters and statistics."""
        result = module
        if isinstance(module, BatchNormBase) and not isinstance(module, cls):
            m = module
            result = cls(
                m.num_features, m.eps, m.momentum, m.affine, m.track_running_stats, process_group,
                bias=m.bias is not None,
            )  # fmt: skip
            result._parameters.update(m._parameters)
            result._buffers.update(m._buffers)
            result.training = m.training
        for name, child in list(module.named_children()):
            result.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return result


class LazyNorm(LazyModuleMixin, NormBase):
    """The lazy half of LazyBatchNorm and LazyInstanceNorm."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        # Neither parameters nor statistics yet: they would be replaced at once.
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=False)
        self.affine, self.track_running_stats = affine, track_running_stats
        if affine:
            self.weight = UninitializedParameter(device=device, dtype=dtype)
            if bias:
                self.bias = UninitializedParameter(device=device, dtype=dtype)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = tensor(0, dtype=int64, device=device)

    def reset_parameters(self) -> None:
        """Set the first values, once the shapes are known."""
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Give parameters and statistics their shapes from `input`."""
        if not self.has_uninitialized_params():
            return
        self.num_features = input.shape[1]
        waiting: Any = (self.weight, self.bias) if self.affine else ()
        waiting += (self.running_mean, self.running_var) if self.track_running_stats else ()
        for value in waiting:
            if value is not None:
                value.materialize((self.num_features,))
        self.reset_parameters()


class LazyBatchNorm1d(LazyNorm, BatchNorm1d):
    """A BatchNorm1d that takes `num_features` from its first input.

    >>> import tritorch as torch
    >>> layer = torch.nn.LazyBatchNorm1d()
    >>> layer(torch.zeros(4, 6)).shape, layer.num_features
    (torch.Size([4, 6]), 6)
    """

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(LazyNorm, BatchNorm2d):
    """A BatchNorm2d that takes `num_features` from its first input."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(LazyNorm, BatchNorm3d):
    """A BatchNorm3d that takes `num_features` from its first input."""

    cls_to_become = BatchNorm3d
