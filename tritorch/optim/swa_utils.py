"""Averages of a model's weights over training: AveragedModel with SWA or EMA averages, SWALR, update_bn."""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from ..autograd.modes import no_grad
from ..nn import Module
from ..tensor import Tensor
from .lr_scheduler import LRScheduler
from .lr_scheduler.base import per_group
from .optimizer import Optimizer

__all__ = [
    "AveragedModel",
    "SWALR",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def _check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def get_ema_avg_fn(decay: float = 0.999) -> Callable[..., Any]:
    """average = decay * average + (1 - decay) * current, of one tensor."""
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[..., Any]:
    """The exponential average of lists of tensors, in place."""
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param_list: list[Tensor], current_param_list: list[Tensor], num_averaged: Any) -> None:
        for average, current in zip(ema_param_list, current_param_list, strict=True):
            if average.is_floating_point() or average.is_complex():
                average.lerp_(current, 1 - decay)
            else:
                average.copy_(average * decay + current * (1 - decay))

    return ema_update


def get_swa_avg_fn() -> Callable[..., Any]:
    """average = average + (current - average) / (n + 1), of one tensor."""

    @no_grad()
    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_swa_multi_avg_fn() -> Callable[..., Any]:
    """The plain average of lists of tensors, in place."""

    @no_grad()
    def swa_update(averaged_param_list: list[Tensor], current_param_list: list[Tensor], num_averaged: Any) -> None:
        share = 1 / (float(num_averaged) + 1)
        for average, current in zip(averaged_param_list, current_param_list, strict=True):
            if average.is_floating_point() or average.is_complex():
                average.lerp_(current, share)
            else:
                average.copy_(average + (current - average) * share)

    return swa_update


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of those that the model has had.

    Args:
        model: the model to average; it is deep-copied.
        device: where the copy lives; default that of the model.
        avg_fn: gives the new average from (average, current, number averaged); default the plain average.
        multi_avg_fn: the same on lists of tensors, in place.
        use_buffers: average the buffers too; default False: they are copied.

    Raises:
        AssertionError: both functions are given.

    Source: Izmailov et al., arXiv 1803.05407.

    >>> import tritorch as torch
    >>> model = torch.nn.Linear(1, 1)
    >>> ema = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    >>> ema.update_parameters(model); int(ema.n_averaged)
    1
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Callable[..., Any] | None = None,
        multi_avg_fn: Callable[..., Any] | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        torch = importlib.import_module("tritorch")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", torch.tensor(0, dtype=torch.long, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The averaged model's result."""
        return self.module(*args, **kwargs)

    def _tensors(self, model: Module) -> list[Tensor]:
        return list(itertools.chain(model.parameters(), model.buffers()) if self.use_buffers else model.parameters())

    def update_parameters(self, model: Module) -> None:
        """Take the model's present parameters into the average."""
        mine = [t.detach() for t in self._tensors(self.module)]
        theirs = [t.detach().to(a.device) for t, a in zip(self._tensors(model), mine, strict=True)]
        n = int(self.n_averaged)
        with no_grad():
            if n == 0:
                for average, current in zip(mine, theirs, strict=True):
                    average.copy_(current)
            elif self.avg_fn is not None:
                for average, current in zip(mine, theirs, strict=True):
                    average.copy_(self.avg_fn(average, current, self.n_averaged))
            else:
                (self.multi_avg_fn or get_swa_multi_avg_fn())(mine, theirs, self.n_averaged)
            if not self.use_buffers:
                for average, current in zip(self.module.buffers(), model.buffers(), strict=True):
                    average.detach().copy_(current.detach().to(average.device))
            self.n_averaged += 1


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of a model's batch norms anew, over one pass of the data.

    Args:
        loader: batches; of a list or tuple the first entry is the input.
        model: run in training mode, and put back afterwards.
        device: where batches are moved to; default: nowhere.
    """
    norm = importlib.import_module("tritorch.nn.modules.batchnorm").BatchNormBase
    layers = [m for m in model.modules() if isinstance(m, norm)]
    if not layers:
        return
    momenta = [m.momentum for m in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # cumulative average
    was_training = model.training
    model.train()
    for batch in loader:
        x = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(x.to(device) if device is not None else x)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """lr goes to swa_lr within `anneal_epochs` epochs and stays there.

    Args:
        optimizer: the optimizer.
        swa_lr: the final learning rate, one or one per group.
        anneal_epochs: default 10.
        anneal_strategy: "cos" (default) or "linear".
        last_epoch: default -1.

    Raises:
        ValueError: an unknown strategy, a negative or fractional anneal_epochs.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        for lr, group in zip(per_group("swa_lr", optimizer, swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = lr
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must by one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy, self.anneal_epochs = anneal_strategy, anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, t: float) -> float:
        """How much of the way is done at t of 1."""
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list[Any]:
        now = self._now()
        step = self._step_count - 1
        span = max(1, self.anneal_epochs)
        before = self._share(max(0.0, min(1.0, (step - 1) / span)))
        here = self._share(max(0.0, min(1.0, step / span)))
        values = []
        for group, lr in zip(self.optimizer.param_groups, now, strict=True):
            end = group["swa_lr"]
            # where the way began follows from the present value and the share that it stands for
            start = end if before == 1 else (lr - before * end) / (1 - before)
            values.append(end * here + start * (1 - here))
        return values
