"""GradScaler: a loss times a large number, so that float16 gradients don't vanish; steps with infinities are left out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from enum import Enum
from typing import Any

import numpy as np

from ..autograd.inplace import bump
from ..autograd.modes import no_grad
from ..device import CPU, device_count
from ..dtypes import float16
from ..kernels import unscale as _kernels
from ..optim import Optimizer
from ..tensor import Tensor

__all__ = ["GradScaler", "OptState"]


class OptState(Enum):
    """Where an optimizer stands within an iteration."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


class GradScaler:
    """Scales losses, unscales gradients, and steps only when all of them are finite.

    After a step that had to be left out the scale is multiplied by `backoff_factor`, after `growth_interval` good ones
    in a row by `growth_factor`.

    Args:
        device: "cuda" or "cpu". Default "cuda"; without a device the scaler is off.
        init_scale: default 2^16.
        growth_factor: above 1; default 2.
        backoff_factor: below 1; default 0.5.
        growth_interval: default 2000.
        enabled: False makes everything pass through. Default True.

    Source: Micikevicius et al., arXiv 1710.03740, section 3.2.

    >>> import tritorch as torch
    >>> scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    >>> scaler.scale(torch.tensor(2.0))
    tensor(16.)
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        self._device = device
        self._enabled = enabled
        if enabled and device == "cuda" and not device_count():
            warnings.warn(
                "GradScaler: enabled for cuda, but CUDA is not available. Disabling.", UserWarning, stacklevel=2
            )
            self._enabled = False
        if growth_factor <= 1.0:
            raise AssertionError(f"GradScaler: The growth factor must be > 1.0; got {growth_factor}")
        if backoff_factor >= 1.0:
            raise AssertionError(f"GradScaler: The backoff factor must be < 1.0; got {backoff_factor}")
        self._scale = float(init_scale)
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval, self._growth_tracker = growth_interval, 0
        self._optimizers: dict[int, dict[str, Any]] = {}

    def _state(self, optimizer: Optimizer) -> dict[str, Any]:
        return self._optimizers.setdefault(id(optimizer), {"stage": OptState.READY, "found": None})

    def scale(self, outputs: Any) -> Any:
        """A tensor, or the tensors of an iterable, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        if isinstance(outputs, Iterable):
            made = [self.scale(v) for v in outputs]
            return type(outputs)(made) if isinstance(outputs, (list, tuple)) else iter(made)
        raise ValueError(f"GradScaler.scale: outputs must be a Tensor or an iterable of Tensors; got {outputs!r}")

    def unscale_(self, optimizer: Optimizer) -> None:
        """Divide the gradients of an optimizer's parameters by the scale, for example before clipping them.

        Raises:
            RuntimeError: a second call before `update()`, or one after `step()`.
            ValueError: a gradient is float16, which holds no unscaled values.
        """
        if not self._enabled:
            return
        state = self._state(optimizer)
        if state["stage"] is OptState.UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        state["found"] = self._unscale(optimizer)
        state["stage"] = OptState.UNSCALED

    @no_grad()
    def _unscale(self, optimizer: Optimizer) -> bool | None:
        """Whether a gradient was not finite; None without any gradient."""
        factor = float(np.float32(1.0 / self._scale))
        groups: dict[Any, list[Any]] = {}
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.grad.dtype is float16:
                    raise ValueError("Attempting to unscale FP16 gradients.")
                if not p.grad.is_contiguous():
                    p.grad = p.grad.contiguous()
                groups.setdefault((p.grad.device, p.grad.dtype), []).append(p.grad)
        if not groups:
            return None
        found = False
        for (device, _), grads in groups.items():
            arrays = [g._a for g in grads if g._a.size]
            if arrays:
                bad = _kernels.cpu(arrays, factor) if device is CPU else _kernels.gpu(arrays, factor, device.index)
                found = found or bad
            for g in grads:
                bump(g)
        return found

    def step(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step(*args, **kwargs)` unless a gradient is infinite or NaN; unscales first where not yet done.

        Returns:
            what `optimizer.step` returns, None for a step that was left out.

        Raises:
            RuntimeError: a closure is given, or `step` was called already since the last `update()`.
            AssertionError: no parameter has a gradient.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        state = self._state(optimizer)
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if state["stage"] is OptState.READY:
            self.unscale_(optimizer)
        if state["found"] is None:
            raise AssertionError(
                "GradScaler.step: No inf checks were recorded for this optimizer: no parameter has .grad"
            )
        result = None if state["found"] else optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        return result

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Choose the scale of the next iteration, or set it.

        Args:
            new_scale: a number or a tensor of one element. Default None: by growth and backoff.

        Raises:
            AssertionError: no step or unscale_ since the last update.
        """
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale.item() if isinstance(new_scale, Tensor) else new_scale)
        else:
            found = [s["found"] for s in self._optimizers.values() if s["found"] is not None]
            if not found:
                raise AssertionError("GradScaler.update: No inf checks were recorded prior to update.")
            if any(found):
                self._scale = float(np.float32(self._scale * self._backoff_factor))
                self._growth_tracker = 0
            elif self._growth_tracker + 1 == self._growth_interval:
                larger = float(np.float32(self._scale * self._growth_factor))
                self._scale = larger if np.isfinite(larger) else self._scale
                self._growth_tracker = 0
            else:
                self._growth_tracker += 1
        self._optimizers.clear()

    def get_scale(self) -> float:
        """The scale, 1.0 when the scaler is off."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """What the scale grows by."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set what the scale grows by."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by after a step that was left out."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set what the scale is multiplied by after a step that was left out."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """Good steps in a row until the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set the good steps in a row until the scale grows."""
        self._growth_interval = new_interval

    def is_enabled(self) -> bool:
        """Whether the scaler does anything."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """Scale, factors, interval and good steps so far; empty when the scaler is off."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave.

        Raises:
            RuntimeError: the state is empty, of a scaler that was off.
        """
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "GradScaler.load_state_dict: The source state dict is empty, possibly because it was saved from a disabled "
                "instance of GradScaler."
            )
        self._scale = float(state_dict["scale"])
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._growth_tracker = state_dict["_growth_tracker"]

    def __getstate__(self) -> dict[str, Any]:
        if self._enabled and self._optimizers:
            raise AssertionError(
                "A GradScaler instance may only be pickled at the beginning of an iteration, or at the end after "
                "scaler.update()."
            )
        return self.__dict__.copy()
