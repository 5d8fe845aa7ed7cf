"""LRScheduler: counts epochs and writes learning rates; its subclasses say which."""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...tensor import Tensor
from ..optimizer import Optimizer

_CHAINABLE = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
    "`scheduler.step()` to step the scheduler; with an epoch, the schedule's closed form is used where there is one."
)


def read(groups: list[dict[str, Any]], key: str) -> list[Any]:
    """The groups' values, tensors copied."""
    return [v.detach().clone() if isinstance(v := g[key], Tensor) else v for g in groups]


def write(group: dict[str, Any], key: str, value: Any) -> None:
    """Set a group's value, in place where it is a tensor."""
    if isinstance(group[key], Tensor):
        group[key].fill_(float(value))
    else:
        group[key] = float(value) if isinstance(value, Tensor) else value


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """One value per group: a list as it is, anything else repeated."""
    n = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * n
    if len(value) != n:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} values, "
            f"param_groups has {n}."
        )
    return list(value)


def check_optimizer(optimizer: Any) -> None:
    """TypeError for anything but an optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


class LRScheduler:
    """The base of all schedules by epoch; a subclass gives `get_lr`, the groups' next learning rates.

    Making a scheduler does the step to epoch 0, so that the optimizer has its first learning rate.

    Args:
        optimizer: whose groups' `lr` is set.
        last_epoch: the epoch reached so far, -1 (default) for a new run.

    Raises:
        TypeError: `optimizer` is none.
        KeyError: last_epoch is given, but the groups have no `initial_lr`.
    """

    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                lr = group["lr"]
                group.setdefault("initial_lr", lr.detach().clone() if isinstance(lr, Tensor) else lr)
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with last_epoch "
                    ">= 0: load the optimizer's state first"
                )
        self.base_lrs = read(optimizer.param_groups, "initial_lr")
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimizer."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` of a scheduler of the same kind, of ours or PyTorch's, returned."""
        self.__dict__.update(state_dict)

    def get_last_lr(self) -> list[Any]:
        """The learning rates set by the last step, one per group."""
        return self._last_lr

    def get_lr(self) -> list[Any]:
        """The groups' next learning rates, from their present ones."""
        raise NotImplementedError

    def step(self, epoch: int | None = None) -> None:
        """Set the learning rates of the next epoch; to be called after the optimizer's step.

        Args:
            epoch: deprecated: the epoch to go to.
        """
        if self._step_count == 1 and not self.optimizer._opt_called:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`: call them in the opposite order, or "
                "the first value of the learning rate schedule is skipped.",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is not None:
            warnings.warn(_CHAINABLE, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        with self._within_step():
            if epoch is None:
                self.last_epoch += 1
                values = self.get_lr()
            else:
                self.last_epoch = epoch
                closed = getattr(self, "_get_closed_form_lr", self.get_lr)
                values = closed()
        for group, lr in zip(self.optimizer.param_groups, values, strict=True):
            write(group, "lr", lr)
        self._last_lr = read(self.optimizer.param_groups, "lr")

    @contextmanager
    def _within_step(self) -> Iterator[None]:
        self._get_lr_called_within_step = True
        try:
            yield
        finally:
            self._get_lr_called_within_step = False

    def _now(self) -> list[Any]:
        """The groups' present learning rates; warns a user who calls `get_lr` for `get_last_lr`."""
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
                UserWarning,
                stacklevel=3,
            )
        return read(self.optimizer.param_groups, "lr")


def without_functions(scheduler: LRScheduler, state: dict[str, Any], name: str) -> dict[str, Any]:
    """The state with the attributes of callable objects in the place of the callables; functions have none."""
    state = {k: v for k, v in state.items() if k != name}
    state[name] = [
        None if isinstance(f, (types.FunctionType, types.BuiltinFunctionType)) else dict(f.__dict__)
        for f in getattr(scheduler, name)
    ]
    return state
