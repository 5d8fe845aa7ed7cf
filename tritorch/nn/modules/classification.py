"""Losses of classes and of probabilities as modules."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ...tensor import Tensor
from .. import functional as F
from .linear import Linear
from .loss_base import _Loss, _WeightedLoss

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "LinearCrossEntropyLoss", "NLLLoss", "NLLLoss2d",
]  # fmt: skip


class NLLLoss(_WeightedLoss):
    """-weight[y] x[y], x log probabilities; "mean" divides by the sum of the weights.

    Args:
        weight: `(C)`, a factor per class. Default: 1.
        ignore_index: targets that do not count. Default: -100.
        reduction: "mean" (default), "sum" or "none".

    >>> import tritorch as torch
    >>> torch.nn.NLLLoss()(torch.tensor([[-1.0, -2.0]]), torch.tensor([1]))
    tensor(2.)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ):
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """`(N, C, *)` or `(C)` and class numbers `(N, *)` or `()`."""
        return F.nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class NLLLoss2d(NLLLoss):
    """A deprecated name of NLLLoss."""

    def __init__(self, *args: Any, **kwargs: Any):
        warnings.warn("NLLLoss2d has been deprecated; use NLLLoss instead", FutureWarning, stacklevel=2)
        super().__init__(*args, **kwargs)


class CrossEntropyLoss(_WeightedLoss):
    """-sum over c of q_c weight_c log softmax(x)_c, q the target's one-hot vector or probabilities.

    Args:
        weight: `(C)`, a factor per class. Default: 1.
        ignore_index: targets that do not count. Default: -100.
        reduction: "mean" (default; for class numbers divided by the sum of their weights), "sum" or "none".
        label_smoothing: this part of the target is spread over all classes; in [0, 1]. Default: 0.

    >>> import tritorch as torch
    >>> torch.nn.CrossEntropyLoss()(torch.zeros(3, 5), torch.tensor([1, 0, 4]))
    tensor(1.6094)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Logits `(N, C, *)` or `(C)`; class numbers `(N, *)` or `()`, or probabilities of the input's shape."""
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class LinearCrossEntropyLoss(_WeightedLoss):
    """A linear layer to class logits and its cross-entropy in one module.

    Args:
        in_features: size of the input's last dim.
        num_classes: C.
        out_features: further dims of the logits `(N, C, *out_features)`. Default: ().
        bias: a bias in the linear layer. Default: False.
        reduction, weight, label_smoothing: as for CrossEntropyLoss.
        ignore_index: targets that do not count. Default: None.
        options: None; PyTorch's way of computing the logits in chunks is not there.

    Raises:
        ValueError: options are given.
        RuntimeError: weight not `(num_classes)`, or label_smoothing outside [0, 1].

    >>> import tritorch as torch
    >>> torch.nn.LinearCrossEntropyLoss(8, 5)(torch.zeros(3, 8), torch.tensor([1, 0, 4])).shape
    torch.Size([])
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: Any = None,
    ):
        super().__init__(weight, reduction=reduction)
        if weight is not None and tuple(weight.shape) != (num_classes,):
            raise RuntimeError(f"expected weight shape to be {(num_classes,)}, got {tuple(weight.shape)}")
        if not 0 <= label_smoothing <= 1:
            raise RuntimeError(f"expected label_smoothing to be in range [0, 1], got {label_smoothing}")
        if options is not None:
            raise ValueError(
                f"LinearCrossEntropyLoss: options must be None: all logits are made at once; got {options!r}"
            )
        self.num_classes, self.out_features = num_classes, out_features
        self.ignore_index, self.label_smoothing, self.options = ignore_index, label_smoothing, options
        n = math.prod(out_features, start=num_classes)
        self.linear = Linear(in_features, n, bias=bias, device=device, dtype=dtype)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Input `(*, in_features)`; target as for CrossEntropyLoss with logits `(*, C, *out_features)`."""
        logits = self.linear(input)
        logits = logits.reshape((*logits.shape[:-1], self.num_classes, *self.out_features))
        return F.cross_entropy(
            logits,
            target,
            weight=self.weight,
            ignore_index=-100 if self.ignore_index is None else self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )

    def extra_repr(self) -> str:
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, "
            f"out_features={self.out_features}, bias={self.linear.bias is not None}, reduction={self.reduction}, "
            f"ignore_index={self.ignore_index}, label_smoothing={self.label_smoothing}, options={self.options}"
        )


class BCELoss(_WeightedLoss):
    """-(y log x + (1 - y) log(1 - x)), x probabilities; logs are cut at -100.

    Args:
        weight: a factor per element, broadcast. Default: 1.
        reduction: "mean" (default), "sum" or "none".

    >>> import tritorch as torch
    >>> torch.nn.BCELoss()(torch.tensor([0.5]), torch.tensor([1.0]))
    tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Two tensors of one shape."""
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """-(pos_weight y log sigmoid(x) + (1 - y) log(1 - sigmoid(x))), without overflow.

    Args:
        weight: a factor per element, broadcast. Default: 1.
        reduction: "mean" (default), "sum" or "none".
        pos_weight: a factor for positive targets, broadcast. Default: 1.

    >>> import tritorch as torch
    >>> torch.nn.BCEWithLogitsLoss()(torch.zeros(1), torch.ones(1))
    tensor(0.6931)
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Two tensors of one shape."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )
