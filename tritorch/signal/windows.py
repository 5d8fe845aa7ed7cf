"""torch.signal.windows: window functions of M weights; `sym`: symmetric, else periodic (for spectra)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..dtypes import float32, float64, get_default_dtype
from ..functional.conversion import to_dtype
from ..functional.window import cosines, made, positions
from ..functional.window import kaiser as _kaiser
from ..tensor import Tensor

__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine", "general_hamming", "hamming", "hann",
    "kaiser", "nuttall",
]  # fmt: skip


def _window(op: str, M: int, sym: bool, weights: Callable[[np.ndarray], np.ndarray], kinds: dict[str, Any]) -> Tensor:
    if M.__class__ is int and M < 0:
        raise ValueError(f"{op} requires non-negative window length, got M={M}")
    unknown = kinds.keys() - {"dtype", "layout", "device", "requires_grad"}
    if unknown:
        raise TypeError(f"{op}() got an unexpected keyword argument {min(unknown)!r}")
    dtype = get_default_dtype() if kinds.get("dtype") is None else to_dtype(op, kinds["dtype"])
    if dtype not in (float32, float64):
        raise ValueError(f"{op} expects float32 or float64 dtypes, got: {dtype}")
    x = positions(op, M, not sym)
    return made(op, weights(x), dtype, kinds.get("device"), kinds.get("requires_grad", False))


def bartlett(M: int, *, sym: bool = True, **kinds: Any) -> Tensor:
    """1 - |2 x - 1|, x from 0 to 1; `kinds`: dtype, device, requires_grad.

    Arguments:
        M: the number of weights. sym: symmetric (default), else periodic. kinds: dtype, device, requires_grad.

    >>> import tritorch as torch
    >>> torch.signal.windows.bartlett(3)
    tensor([0., 1., 0.])
    """
    return _window("bartlett", M, sym, lambda x: 1 - np.abs(2 * x - 1), kinds)


def blackman(M: int, *, sym: bool = True, **kinds: Any) -> Tensor:
    """0.42 - 0.5 cos(2 pi x) + 0.08 cos(4 pi x).

    Arguments:
        M: the number of weights. sym: symmetric (default), else periodic. kinds: dtype, device, requires_grad.

    >>> import tritorch as torch
    >>> torch.signal.windows.blackman(3).abs()
    tensor([1.3878e-17, 1.0000e+00, 1.3878e-17])
    """
    return _window("blackman", M, sym, lambda x: cosines(x, (0.42, 0.5, 0.08)), kinds)


def cosine(M: int, *, sym: bool = True, **kinds: Any) -> Tensor:
    """sin(pi (k + 1/2) / N), N = M, or M + 1 for a periodic window.

    >>> import tritorch as torch
    >>> torch.signal.windows.cosine(1)
    tensor([1.])
    """
    n = M if sym else M + 1
    return _window("cosine", M, sym, lambda x: np.sin(math.pi * (np.arange(M) + 0.5) / n), kinds)


def exponential(M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True, **kinds: Any) -> Tensor:
    """e^(-|k - center| / tau), center by default the middle, and never given with `sym`.

    Arguments:
        M: the number of weights. sym: symmetric (default), else periodic. kinds: dtype, device, requires_grad.

    >>> import tritorch as torch
    >>> torch.signal.windows.exponential(3)
    tensor([0.3679, 1.0000, 0.3679])
    """
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    middle = ((M if not sym else M - 1) / 2) if center is None else center
    return _window("exponential", M, sym, lambda x: np.exp(-np.abs(np.arange(M) - middle) / tau), kinds)


def gaussian(M: int, *, std: float = 1.0, sym: bool = True, **kinds: Any) -> Tensor:
    """e^(-(k - middle)^2 / (2 std^2)).

    Arguments:
        M: the number of weights. sym: symmetric (default), else periodic. kinds: dtype, device, requires_grad.

    >>> import tritorch as torch
    >>> torch.signal.windows.gaussian(3)
    tensor([0.6065, 1.0000, 0.6065])
    """
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    middle = (M if not sym else M - 1) / 2
    return _window("gaussian", M, sym, lambda x: np.exp(-(((np.arange(M) - middle) / std) ** 2) / 2), kinds)


def general_cosine(M: int, *, a: Iterable[float], sym: bool = True, **kinds: Any) -> Tensor:
    """sum_i (-1)^i a_i cos(2 pi i x).

    Arguments:
        M: the number of weights. sym: symmetric (default), else periodic. kinds: dtype, device, requires_grad.

    >>> import tritorch as torch
    >>> torch.signal.windows.general_cosine(3, a=[0.5, 0.5])
    tensor([0., 1., 0.])
    """
    if not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    weights = tuple(a)
    if not weights:
        raise ValueError("Coefficients cannot be empty")
    return _window("general_cosine", M, sym, lambda x: cosines(x, weights), kinds)


def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **kinds: Any) -> Tensor:
    """alpha - (1 - alpha) cos(2 pi x).

    Arguments:
        M: the number of weights. sym: symmetric (default), else periodic. kinds: dtype, device, requires_grad.

    >>> import tritorch as torch
    >>> torch.signal.windows.general_hamming(3)
    tensor([0.0800, 1.0000, 0.0800])
    """
    return general_cosine(M, a=(alpha, 1 - alpha), sym=sym, **kinds)


def hamming(M: int, *, sym: bool = True, **kinds: Any) -> Tensor:
    """0.54 - 0.46 cos(2 pi x).

    Arguments:
        M: the number of weights. sym: symmetric (default), else periodic. kinds: dtype, device, requires_grad.

    >>> import tritorch as torch
    >>> torch.signal.windows.hamming(3)
    tensor([0.0800, 1.0000, 0.0800])
    """
    return general_hamming(M, sym=sym, **kinds)


def hann(M: int, *, sym: bool = True, **kinds: Any) -> Tensor:
    """(1 - cos(2 pi x)) / 2.

    Arguments:
        M: the number of weights. sym: symmetric (default), else periodic. kinds: dtype, device, requires_grad.

    >>> import tritorch as torch
    >>> torch.signal.windows.hann(3)
    tensor([0., 1., 0.])
    """
    return general_hamming(M, alpha=0.5, sym=sym, **kinds)


def kaiser(M: int, *, beta: float = 12.0, sym: bool = True, **kinds: Any) -> Tensor:
    """I0(beta sqrt(1 - (2 x - 1)^2)) / I0(beta).

    Arguments:
        M: the number of weights. sym: symmetric (default), else periodic. kinds: dtype, device, requires_grad.

    >>> import tritorch as torch
    >>> torch.signal.windows.kaiser(3)
    tensor([5.2773e-05, 1.0000e+00, 5.2773e-05])
    """
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    return _window("kaiser", M, sym, lambda x: _kaiser(x, beta), kinds)


def nuttall(M: int, *, sym: bool = True, **kinds: Any) -> Tensor:
    """0.3635819 - 0.4891775 cos(2 pi x) + 0.1365995 cos(4 pi x) - 0.0106411 cos(6 pi x).

    Arguments:
        M: the number of weights. sym: symmetric (default), else periodic. kinds: dtype, device, requires_grad.

    >>> import tritorch as torch
    >>> torch.signal.windows.nuttall(3)
    tensor([3.6280e-04, 1.0000e+00, 3.6280e-04])
    """
    return general_cosine(M, a=(0.3635819, 0.4891775, 0.1365995, 0.0106411), sym=sym, **kinds)
