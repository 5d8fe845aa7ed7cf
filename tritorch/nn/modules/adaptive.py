"""AdaptiveLogSoftmaxWithLoss: a softmax over many classes in clusters by frequency."""

from __future__ import annotations

import itertools
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

from ...functional import argmax, cat
from ...tensor import Tensor
from .. import functional as F
from .container import ModuleList, Sequential
from .linear import Linear
from .module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]

_ASMoutput = namedtuple("_ASMoutput", ["output", "loss"])


class AdaptiveLogSoftmaxWithLoss(Module):
    """Frequent classes in a short list, the others in clusters, the rarer the smaller. Grave et al., arXiv:1609.04309.

    Args:
        in_features: size of the input's last dim.
        n_classes: number of classes, numbered by falling frequency.
        cutoffs: where clusters begin, rising, between 1 and n_classes - 1.
        div_value: each cluster's projection is smaller by this factor. Default: 4.
        head_bias: a bias in the head. Default: False.

    Raises:
        ValueError: cutoffs that are empty, not rising or out of range.

    >>> import tritorch as torch
    >>> layer = torch.nn.AdaptiveLogSoftmaxWithLoss(16, 20, cutoffs=[5, 10])
    >>> layer.log_prob(torch.zeros(3, 16)).shape
    torch.Size([3, 20])
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        steps = list(cutoffs)
        if not steps:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if any(int(c) != c for c in steps) or any(a >= b for a, b in itertools.pairwise([0, *steps, n_classes])):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each "
                f"value is between 1 and n_classes-1; got {steps} for n_classes {n_classes}"
            )
        self.in_features, self.n_classes = in_features, n_classes
        self.cutoffs = [*steps, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = self.cutoffs[0], len(steps)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, device=device, dtype=dtype)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(itertools.pairwise(self.cutoffs)):
            inner = int(in_features // div_value ** (i + 1))
            self.tail.append(
                Sequential(
                    Linear(in_features, inner, bias=False, device=device, dtype=dtype),
                    Linear(inner, high - low, bias=False, device=device, dtype=dtype),
                )
            )

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        self.head.reset_parameters()
        for project, classes in self.tail:
            project.reset_parameters()
            classes.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> Any:
        """Input `(N, in_features)` and target `(N)`, or without N, to (the targets' log probabilities, the loss).

        Raises:
            RuntimeError: shapes that do not go together, or a target outside [0, n_classes - 1].
        """
        name = "AdaptiveLogSoftmaxWithLoss"
        if target_.dim() > 1:
            raise RuntimeError(f"{name}: 0D or 1D target tensor expected, multi-target not supported")
        if input_.dim() != target_.dim() + 1:
            raise RuntimeError(
                f"{name}: {target_.dim()}D target tensor expects {target_.dim() + 1}D input tensors, "
                f"but found inputs with size {input_.shape}"
            )
        batched = target_.dim() == 1
        input, target = (input_, target_) if batched else (input_.unsqueeze(0), target_.unsqueeze(0))
        if input.shape[0] != target.shape[0]:
            raise RuntimeError(f"{name}: Input and target should have the same size in the batch dimension.")
        if bool(((target < 0) | (target >= self.n_classes)).any()):
            raise RuntimeError(
                f"{name}: Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{target.min().item()}, {target.max().item()}] were found. "
            )
        in_head = target.clone()
        output = input.new_zeros(target.shape[0])
        for i, (low, high) in enumerate(itertools.pairwise(self.cutoffs)):
            rows = ((target >= low) & (target < high)).nonzero().squeeze(1)
            if rows.numel() == 0:
                continue
            in_head[rows] = self.shortlist_size + i
            logprob = F.log_softmax(self.tail[i](input.index_select(0, rows)), dim=1)
            local = logprob.gather(1, (target[rows] - low).unsqueeze(1)).squeeze(1)
            output = output.index_copy(0, rows, local)
        head = F.log_softmax(self.head(input), dim=1)
        output = output + head.gather(1, in_head.unsqueeze(1)).squeeze(1)
        loss = (-output).mean()
        return _ASMoutput(output if batched else output.squeeze(0), loss)

    def log_prob(self, input: Tensor) -> Tensor:
        """Log probabilities of all classes: `(N, in_features)` to `(N, n_classes)`."""
        return self._log_prob(input, self.head(input))

    def _log_prob(self, input: Tensor, head_output: Tensor) -> Tensor:
        head = F.log_softmax(head_output, dim=1)
        parts = [head[:, : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            parts.append(F.log_softmax(cluster(input), dim=1) + head[:, self.shortlist_size + i].unsqueeze(1))
        return cat(parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class: `(N, in_features)` to `(N)`; clusters are computed where the head points to one."""
        head = self.head(input)
        output = argmax(head, dim=1)
        elsewhere = output >= self.shortlist_size
        if bool(elsewhere.any()):
            output[elsewhere] = argmax(self._log_prob(input[elsewhere], head[elsewhere]), dim=1)
        return output
