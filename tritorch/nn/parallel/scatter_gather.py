"""Splitting nested arguments over devices, and joining nested results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...device import device as Device
from ...functional import cat, chunk
from ...tensor import Tensor

__all__ = ["gather", "scatter", "scatter_kwargs"]


def place(device: Any) -> Any:
    """A device given as int, str or device."""
    return Device("cuda", device) if isinstance(device, int) else Device(device)


def scatter(inputs: Any, target_gpus: Sequence[Any], dim: int = 0) -> list[Any]:
    """One copy of `inputs` per device: tensors in it are split along `dim`, all else is the same object everywhere.

    Args:
        inputs: tensors, or tuples, named tuples, lists and dicts that hold some.
        target_gpus: devices; fewer than these come back when a tensor is too short.
        dim: default 0.
    """
    if isinstance(inputs, Tensor):
        pieces = chunk(inputs, len(target_gpus), dim)
        return [t.to(place(d)) for t, d in zip(pieces, target_gpus, strict=False)]
    if isinstance(inputs, tuple) and hasattr(inputs, "_fields"):
        return [type(inputs)(*part) for part in _zipped(inputs, target_gpus, dim)]
    if isinstance(inputs, tuple) and inputs:
        return _zipped(inputs, target_gpus, dim)
    if isinstance(inputs, list) and inputs:
        return [list(part) for part in _zipped(inputs, target_gpus, dim)]
    if isinstance(inputs, dict) and inputs:
        parts = _zipped(list(inputs.values()), target_gpus, dim)
        return [type(inputs)(zip(inputs, part, strict=True)) for part in parts]
    return [inputs for _ in target_gpus]


def _zipped(values: Sequence[Any], devices: Sequence[Any], dim: int) -> list[tuple[Any, ...]]:
    return list(zip(*(scatter(v, devices, dim) for v in values), strict=False))


def scatter_kwargs(
    inputs: tuple[Any, ...], kwargs: dict[str, Any] | None, target_gpus: Sequence[Any], dim: int = 0
) -> tuple[tuple[tuple[Any, ...], ...], tuple[dict[str, Any], ...]]:
    """Positional and keyword arguments split over the devices, both for the same number of them."""
    parts = scatter(inputs, target_gpus, dim) if inputs else []
    named = scatter(kwargs, target_gpus, dim) if kwargs else []
    n = max(len(parts), len(named))
    parts += [()] * (n - len(parts))
    named += [{} for _ in range(n - len(named))]
    return tuple(parts), tuple(named)


def gather(outputs: Any, target_device: Any, dim: int = 0) -> Any:
    """The results of several devices as one on `target_device`: tensors are joined along `dim`, 0-dim ones to a vector.

    Args:
        outputs: one result per device, all of the same structure.
        target_device: an int, str or device.
        dim: default 0.

    Raises:
        ValueError: dicts of different sizes.
    """
    first = outputs[0]
    if isinstance(first, Tensor):
        target = place(target_device)
        return cat([(t if t.dim() else t.reshape(1)).to(target) for t in outputs], dim)
    if first is None:
        return None
    if isinstance(first, dict):
        if any(len(o) != len(first) for o in outputs):
            raise ValueError("gather: All dicts must have the same number of keys")
        return type(first)((key, gather([o[key] for o in outputs], target_device, dim)) for key in first)
    parts = [gather(list(values), target_device, dim) for values in zip(*outputs, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
