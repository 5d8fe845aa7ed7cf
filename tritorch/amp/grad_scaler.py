"""GradScaler: a loss times a large number, so that float16 gradients don't vanish; steps with infinities are left out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from enum import Enum
from typing import Any

from .. import functional
from .._capture import CAPTURES, refuse
from ..autograd.inplace import bump
from ..autograd.modes import no_grad
from ..device import CPU, device_count
from ..dtypes import float16, float32, int32
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

    Scale, good steps and what was found stay on the device of the first loss. The host waits for the finding at `step`,
    unless the optimizer leaves its step out by itself: SGD on cuda, and those with `capturable=True`. With these, the
    scaler's whole iteration can be part of a CUDA graph, once it has scaled a loss before.

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
        self._init_scale, self._init_growth_tracker = float(init_scale), 0
        self._scale: Tensor | None = None
        self._growth_tracker: Tensor | None = None
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval = growth_interval
        self._optimizers: dict[int, dict[str, Any]] = {}

    def _state(self, optimizer: Optimizer) -> dict[str, Any]:
        return self._optimizers.setdefault(id(optimizer), {"stage": OptState.READY, "found": {}})

    def _scale_on(self, place: Any) -> Tensor:
        """The scale, float32 of one element, on a device; the first one asked for becomes its home."""
        if self._scale is None:
            if CAPTURES:
                refuse("the first use of a GradScaler", "scale a loss before the capture")
            self._scale = functional.full((), self._init_scale, dtype=float32, device=place)
            self._growth_tracker = functional.full((), self._init_growth_tracker, dtype=int32, device=place)
        return self._scale if self._scale.device is place else self._scale.to(place)

    def scale(self, outputs: Any) -> Any:
        """A tensor, or the tensors of an iterable, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale_on(outputs.device)
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
    def _unscale(self, optimizer: Optimizer) -> dict[Any, Tensor]:
        """device -> one element that is not 0 where a gradient there was not finite; empty without any gradient."""
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
        found: dict[Any, Tensor] = {}
        for (device, _), grads in groups.items():
            if device not in found:
                found[device] = functional.zeros((), dtype=float32, device=device)
            arrays, scale, bad = [g._a for g in grads if g._a.size], self._scale_on(device)._a, found[device]._a
            if arrays and device is CPU:
                _kernels.cpu(arrays, scale, bad)
            elif arrays:
                _kernels.gpu(arrays, scale, bad, device.index or 0)
            for g in grads:
                bump(g)
        return found

    @no_grad()
    def _joined(self, found: Iterable[Tensor]) -> Tensor:
        """One element on the device of the scale, not 0 where one of these is not."""
        assert self._scale is not None
        first, *more = [f.to(self._scale.device) for f in found]
        for f in more:
            first = first + f
        return first

    def step(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step(*args, **kwargs)` unless a gradient is infinite or NaN; unscales first where not yet done.

        Returns:
            what `optimizer.step` returns, None for a step that was left out.

        Raises:
            RuntimeError: a closure is given, or `step` was called already since the last `update()`; while a CUDA graph is
                recorded, an optimizer that can't leave its step out by itself.
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
        if not state["found"]:
            raise AssertionError(
                "GradScaler.step: No inf checks were recorded for this optimizer: no parameter has .grad"
            )
        found = self._joined(state["found"].values())
        if getattr(optimizer, "_takes_found_inf", bool)():
            optimizer.found_inf = found
            try:
                result = optimizer.step(*args, **kwargs)
            finally:
                optimizer.found_inf = None
        else:
            result = None if found.item() else optimizer.step(*args, **kwargs)
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
            self._set(new_scale)
        else:
            found = [f for s in self._optimizers.values() for f in s["found"].values()]
            if not found:
                raise AssertionError("GradScaler.update: No inf checks were recorded prior to update.")
            scale, good = self._scale, self._growth_tracker
            assert scale is not None and good is not None
            options = (self._growth_factor, self._backoff_factor, self._growth_interval)
            arrays = scale._a, good._a, self._joined(found)._a
            if scale.device is CPU:
                _kernels.update_cpu(*arrays, *options)
            else:
                _kernels.update_gpu(*arrays, *options, scale.device.index or 0)
            bump(scale)
            bump(good)
        self._optimizers.clear()

    @no_grad()
    def _set(self, scale: float | Tensor) -> None:
        if self._scale is None:
            self._init_scale = float(scale)
        elif isinstance(scale, Tensor):
            self._scale.copy_(scale.reshape(()))
        else:
            self._scale.fill_(float(scale))

    def get_scale(self) -> float:
        """The scale, 1.0 when the scaler is off; waits for the device."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

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
        tracker = self._growth_tracker
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._init_growth_tracker if tracker is None else int(tracker.item()),
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
        self._init_scale, self._init_growth_tracker = float(state_dict["scale"]), int(state_dict["_growth_tracker"])
        if self._scale is not None and self._growth_tracker is not None:
            self._scale.fill_(self._init_scale)
            self._growth_tracker.fill_(self._init_growth_tracker)
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]

    def __getstate__(self) -> dict[str, Any]:
        if self._enabled and self._optimizers:
            raise AssertionError(
                "A GradScaler instance may only be pickled at the beginning of an iteration, or at the end after "
                "scaler.update()."
            )
        state = self.__dict__.copy()
        if self._enabled:  # numbers, so that it can be loaded where there is no such device
            numbers = self.state_dict()
            state |= {"_init_scale": numbers["scale"], "_init_growth_tracker": numbers["_growth_tracker"]}
            state |= {"_scale": None, "_growth_tracker": None}
        return state
