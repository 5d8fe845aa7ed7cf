"""Window functions: weights that let a piece of a signal fade in and out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import get_default_dtype
from ..kernels._bessel import i0e
from ..tensor import Tensor
from .conversion import finish, to_dtype, to_place

__all__ = ["bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window"]


def positions(op: str, n: Any, periodic: bool) -> np.ndarray:
    """The n sample positions k / (N - 1) in [0, 1], N = n, or n + 1 for a periodic window."""
    if n.__class__ is not int:
        raise TypeError(f"{op}(): argument 'window_length' must be int, not {type(n).__name__}")
    if n < 0:
        raise RuntimeError(f"{op} requires non-negative window_length, got window_length={n}")
    steps = n if periodic else n - 1
    return np.arange(n) / steps if steps > 0 else np.full(n, 0.5)  # a window of one sample is its middle


def cosines(x: np.ndarray, a: Sequence[float]) -> np.ndarray:
    """sum_i (-1)^i a_i cos(2 pi i x)."""
    y = np.zeros_like(x)
    for i, v in enumerate(a):
        y += (-v if i & 1 else v) * np.cos(2 * math.pi * i * x)
    return y


def kaiser(x: np.ndarray, beta: float) -> np.ndarray:
    """I0(beta sqrt(1 - (2 x - 1)^2)) / I0(beta)."""
    z = abs(beta) * np.sqrt(np.maximum(1 - (2 * x - 1) ** 2, 0))
    return i0e(z) / i0e(np.float64(abs(beta))) * np.exp(z - abs(beta))


def made(op: str, y: np.ndarray, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    """The Tensor of a window."""
    kind = get_default_dtype() if dtype is None else to_dtype(op, dtype)
    if not kind.is_floating_point:
        raise RuntimeError(f"{op} expects floating point dtypes, got: {kind}")
    if y.size == 1:
        y = np.ones(1)
    return finish(y.astype(kind.np), to_place(device), requires_grad)


def hann_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """w_k = (1 - cos(2 pi k / (N - 1))) / 2.

    Arguments:
        window_length: number of weights.
        periodic: N is window_length + 1, for spectra; else window_length, a symmetric window.

    >>> import tritorch as torch
    >>> torch.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    x = positions("hann_window", window_length, periodic)
    return made("hann_window", cosines(x, (0.5, 0.5)), dtype, device, requires_grad)


def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *, dtype: Any = None,
    layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """w_k = alpha - beta cos(2 pi k / (N - 1)); arguments as in `hann_window`."""
    x = positions("hamming_window", window_length, periodic)
    return made("hamming_window", cosines(x, (alpha, beta)), dtype, device, requires_grad)


def blackman_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """w_k = 0.42 - 0.5 cos(2 pi k / (N - 1)) + 0.08 cos(4 pi k / (N - 1)); arguments as in `hann_window`."""
    x = positions("blackman_window", window_length, periodic)
    return made("blackman_window", cosines(x, (0.42, 0.5, 0.08)), dtype, device, requires_grad)


def bartlett_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """w_k = 1 - |2 k / (N - 1) - 1|, a triangle; arguments as in `hann_window`."""
    x = positions("bartlett_window", window_length, periodic)
    return made("bartlett_window", 1 - np.abs(2 * x - 1), dtype, device, requires_grad)


def kaiser_window(
    window_length: int, periodic: bool = True, beta: float = 12.0, *, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """w_k = I0(beta sqrt(1 - (2 k / (N - 1) - 1)^2)) / I0(beta); other arguments as in `hann_window`."""
    x = positions("kaiser_window", window_length, periodic)
    return made("kaiser_window", kaiser(x, beta), dtype, device, requires_grad)
