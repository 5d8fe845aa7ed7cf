"""interpolate: resizing in one to three dims, one dim after the other by `tritorch.kernels.resample`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import lru_cache
from operator import index
from typing import Any

import numpy as np

from ...autograd.autocast import ACTIVE, cast
from ...dtypes import FLOAT, uint8
from ...errors import message
from ...kernels.resample import Taps, resample
from ...tensor import Tensor

__all__ = ["interpolate", "upsample", "upsample_bilinear", "upsample_nearest"]

_DIMS = {
    "nearest": (1, 2, 3), "nearest-exact": (1, 2, 3), "area": (1, 2, 3), "linear": (1,), "bilinear": (2,),
    "bicubic": (2,), "trilinear": (3,),
}  # fmt: skip


def _cubic(t: Any, a: float) -> Any:
    """Keys' cubic convolution kernel at distance |t| < 2."""
    t = np.abs(t)
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return np.where(t < 1, near, np.where(t < 2, far, 0))


def _step(n: int, out: int, scale: float | None, align: bool, real: Any) -> Any:
    """Inputs per output."""
    if align:
        return real(n - 1) / real(out - 1) if out > 1 else real(0)
    return real(1.0 / scale) if scale else real(n) / real(out)


def _source(n: int, out: int, scale: float | None, align: bool, real: Any) -> Any:
    """Where each output's centre lies among the inputs."""
    step, at = _step(n, out, scale, align, real), np.arange(out, dtype=real)
    return step * at if align else step * (at + real(0.5)) - real(0.5)


@lru_cache(maxsize=256)
def _taps(mode: str, n: int, out: int, scale: float | None, align: bool, double: bool) -> Taps:
    """The taps of one dim; coordinates are computed in the precision that PyTorch uses."""
    real = np.float64 if double else np.float32
    if mode.startswith("nearest"):
        step = _step(n, out, scale, False, np.float32)
        shift = np.float32(0.5 if mode == "nearest-exact" else 0)
        index = np.floor((np.arange(out, dtype=np.float32) + shift) * step).astype(np.int64)
        return Taps(np.minimum(index, n - 1)[None], np.ones((1, out)), n)
    if mode == "area":
        start, end = np.arange(out) * n // out, -(-(np.arange(out) + 1) * n // out)
        index = start + np.arange(int((end - start).max()))[:, None]
        weight = np.where(index < end, 1.0 / (end - start), 0.0)
        return Taps(np.minimum(index, n - 1), weight, n)
    at = _source(n, out, scale, align, real)
    if mode == "cubic":
        first = np.floor(at)
        part = at - first
        index = first.astype(np.int64) + np.arange(-1, 3)[:, None]
        weight = np.stack([_cubic(part - k, -0.75) for k in range(-1, 3)])
        return _merged(np.clip(index, 0, n - 1), weight.astype(np.float64), n)
    at = np.maximum(at, 0)
    low = np.minimum(at.astype(np.int64), n - 1)
    part = np.clip(at - low, 0, 1).astype(np.float64)
    high = np.minimum(low + 1, n - 1)
    return _merged(np.stack([low, high]), np.stack([1 - part, part]), n)


@lru_cache(maxsize=256)
def _wide_taps(cubic: bool, n: int, out: int, scale: float | None, align: bool) -> Taps:
    """Antialiasing: the filter is as wide as an output when that is wider than an input."""
    step = float(_step(n, out, scale, align, np.float64))
    reach = (2.0 if cubic else 1.0) * max(step, 1.0)
    centre = step * (np.arange(out) + 0.5)
    start = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    end = np.minimum((centre + reach + 0.5).astype(np.int64), n)
    index = start + np.arange(max(1, int((end - start).max())))[:, None]
    distance = (index - centre + 0.5) / max(step, 1.0)
    weight = _cubic(distance, -0.5) if cubic else np.maximum(1 - np.abs(distance), 0)
    weight = np.where(index < end, weight, 0.0)
    total = weight.sum(0)
    weight = weight / np.where(total == 0, 1, total)
    return Taps(np.clip(index, 0, n - 1), weight, n)


def _merged(index: Any, weight: Any, n: int) -> Taps:
    """Taps on the same input (at the borders) put together."""
    for k in range(1, len(index)):
        for j in range(k):
            same = index[j] == index[k]
            weight[j] = np.where(same, weight[j] + weight[k], weight[j])
            weight[k] = np.where(same, 0, weight[k])
    return Taps(index, weight, n)


def _sizes(input: Tensor, size: Any, scale_factor: Any) -> tuple[list[int], list[float] | None]:
    dims = input._a.ndim - 2
    if (size is None) == (scale_factor is None):
        word = (
            "either size or scale_factor should be defined"
            if size is None
            else "only one of size or scale_factor should be defined"
        )
        raise ValueError(f"interpolate: {word}")
    given = size if size is not None else scale_factor
    many = list(given) if isinstance(given, (tuple, list)) else [given] * dims
    if len(many) != dims:
        name = "size" if size is not None else "scale_factor"
        raise ValueError(
            message(
                "interpolate", f"{name} must have one entry for each of the {dims} spatial dims", **{name: tuple(many)}
            )
        )
    if size is not None:
        try:
            found = [index(n) for n in many]
        except TypeError:
            raise TypeError(message("interpolate", "size must be an int or a tuple of ints", size=size)) from None
        if min(found) <= 0:
            raise RuntimeError(
                message("interpolate", "Input and output sizes should be greater than 0", size=tuple(found))
            )
        return found, None
    scales = [float(s) for s in many]
    found = [math.floor(n * s) for n, s in zip(input._a.shape[2:], scales, strict=True)]
    if min(found) <= 0:
        raise RuntimeError(
            message(
                "interpolate",
                "Input and output sizes should be greater than 0",
                input=input,
                scale_factor=tuple(scales),
            )
        )
    return found, scales


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """input resized to `size`, or by `scale_factor`.

    Args:
        input: (N, C, W), (N, C, H, W) or (N, C, D, H, W), floating; also uint8, in modes "nearest", "nearest-exact",
            "bilinear" and "bicubic", rounded after each dim.
        size: of the spatial dims.
        scale_factor: instead of size; sizes are rounded down.
        mode: "nearest" (default), "nearest-exact", "area", "linear" (3 dims), "bilinear" and "bicubic" (4 dims),
            "trilinear" (5 dims).
        align_corners: corners of input and output fall on each other (linear and cubic modes); default False.
        recompute_scale_factor: take the scale from the sizes instead of scale_factor; default None.
        antialias: widen the filter when shrinking (bilinear and bicubic); default False.

    Raises:
        ValueError: both or none of size and scale_factor; arguments that the mode does not take.
        NotImplementedError: a mode that does not go with the number of dims.

    >>> import tritorch as torch
    >>> torch.nn.functional.interpolate(torch.tensor([[[1.0, 3.0]]]), size=4, mode="linear")
    tensor([[[1.0000, 1.5000, 2.5000, 3.0000]]])
    """
    if ACTIVE:
        (input,) = cast("interpolate", input)
    if mode not in _DIMS:
        raise NotImplementedError(message("interpolate", f"mode must be one of {', '.join(_DIMS)}", mode=mode))
    smooth = mode not in ("nearest", "nearest-exact", "area")
    if align_corners is not None and not smooth:
        raise ValueError(
            "interpolate: align_corners option can only be set with the interpolating modes: linear | bilinear | "
            f"bicubic | trilinear; got mode {mode!r}"
        )
    shape = input._a.shape
    if len(shape) - 2 not in _DIMS[mode]:
        rule = f"mode {mode!r} takes inputs of {', '.join(str(d + 2) for d in _DIMS[mode])} dims"
        raise NotImplementedError(message("interpolate", rule, input=input))
    if antialias and not (mode in ("bilinear", "bicubic") and len(shape) == 4):
        raise ValueError(
            "interpolate: Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as "
            "input"
        )
    sizes, scales = _sizes(input, size, scale_factor)
    if recompute_scale_factor:
        if scales is None:
            raise ValueError("interpolate: recompute_scale_factor is not meaningful with an explicit size.")
        scales = None
    whole = input.dtype is uint8 and mode in ("bilinear", "bicubic")  # as PyTorch, rounded to bytes after each dim
    if input.dtype.category != FLOAT and (smooth or mode == "area") and not whole:
        raise NotImplementedError(f"interpolate: mode {mode!r} is not implemented for {input.dtype.name}")
    align, double = bool(align_corners), input.dtype.name == "float64"
    kind = "cubic" if mode == "bicubic" else "linear" if smooth else mode
    if 0 in shape[2:]:
        raise RuntimeError(message("interpolate", "Input and output sizes should be greater than 0", input=input))
    # what shrinks comes first; of what grows the last dim, whose neighbours in memory are read one by one
    shrinks = [i for i, out in enumerate(sizes) if out <= shape[i + 2]] if not whole else []
    for i in [*shrinks, *(i for i in reversed(range(len(sizes))) if i not in shrinks)]:
        n, out = shape[i + 2], sizes[i]
        scale = None if scales is None else scales[i]
        if antialias:
            taps = _wide_taps(mode == "bicubic", n, out, scale, align)
        else:
            taps = _taps(kind, n, out, scale, align, double)
        if not taps.identity:
            x = resample(input.float() if whole else input, taps, i + 2)
            input = (x + 0.5).floor().clamp(0, 255).to(uint8) if whole else x
    return input


def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Tensor:
    """`interpolate` under its former name."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode "nearest" under its former name."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode "bilinear" and align_corners under its former name."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
