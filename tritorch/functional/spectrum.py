"""Spectra of a signal's overlapping pieces, and back: stft, istft."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..binding import method
from ..errors import message
from ..fft.transform import fft, ifft, irfft, rfft
from ..kernels.copy import pad_constant
from ..tensor import TENSORS, Tensor, wrap
from .views import view_as_real

__all__ = ["istft", "stft"]


def _checked(op: str, x: Any, n_fft: int, hop: int | None, win: int | None, window: Any) -> tuple[int, int, Any]:
    """(hop, window length, window of n_fft weights or None)."""
    if x.__class__ not in TENSORS:
        raise TypeError(f"{op}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    hop = n_fft // 4 if hop is None else hop
    win = n_fft if win is None else win
    if n_fft <= 0 or hop <= 0 or not 0 < win <= n_fft:
        raise RuntimeError(
            f"{op}: expected n_fft > 0, hop_length > 0 and 0 < win_length <= n_fft; got n_fft: {n_fft}, hop_length: {hop}, "
            f"win_length: {win}"
        )
    if window is not None and (window._a.ndim != 1 or window._a.shape[0] != win):
        raise RuntimeError(message(op, f"expected a 1D window tensor of size equal to win_length={win}", window=window))
    left = (n_fft - win) // 2
    if window is None and win < n_fft:
        window = x.new_ones((win,), dtype=x.real.dtype if x.is_complex() else x.dtype)
    if window is not None and win < n_fft:
        window = pad_constant(window, ((left, n_fft - win - left),), 0.0)
    return hop, win, window


def _extended(op: str, x: Any, pad: int, mode: str) -> Any:
    """The rows of x with `pad` more elements at both ends."""
    n = x.shape[-1]
    if mode == "constant":
        return pad_constant(x, ((0, 0), (pad, pad)), 0.0)
    i = np.arange(-pad, n + pad)
    if mode == "reflect":
        if pad >= n:
            raise RuntimeError(message(op, f"reflecting {pad} elements needs a longer signal", input=x))
        i = np.abs(i)
        i = np.where(i >= n, 2 * (n - 1) - i, i)
    elif mode == "replicate":
        i = np.clip(i, 0, n - 1)
    elif mode == "circular":
        i = i % n
    else:
        raise NotImplementedError(f"{op}: pad_mode must be constant, reflect, replicate or circular; got {mode!r}")
    return x.index_select(-1, wrap(i).to(x.device))


@method
def stft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Tensor | None = None,
    center: bool = True, pad_mode: str = "reflect", normalized: bool = False, onesided: bool | None = None,
    return_complex: bool | None = None, align_to_window: bool | None = None,
) -> Tensor:  # fmt: skip
    """The Fourier transforms of overlapping pieces: X[f, t] = sum_k window_k x[t hop + k] e^(-2 pi i k f / n_fft).

    Arguments:
        input: (length,) or (batch, length).
        n_fft: size of the transform. hop_length: steps between pieces, default n_fft // 4.
        win_length: size of the window, default n_fft; padded to n_fft on both sides.
        window: (win_length,), default ones.
        center: pieces are centred at t hop; the signal is extended by n_fft // 2 at both ends, as `pad_mode` says
            (reflect, constant, replicate, circular).
        normalized: times 1/sqrt(n_fft).
        onesided: n_fft // 2 + 1 frequencies; the default for real signals.
        return_complex: False: real and imaginary parts in a last dim of 2.
        align_to_window: with center=False, pieces start where the window does, and not where the transform does.

    Returns:
        (batch, frequencies, pieces), complex.

    >>> import tritorch as torch
    >>> torch.stft(torch.ones(16), 8, window=torch.hann_window(8), return_complex=True).shape
    torch.Size([5, 9])
    """
    op = "stft"
    hop, win, window = _checked(op, input, n_fft, hop_length, win_length, window)
    x: Any = input
    is_complex = x.is_complex() or window is not None and window.is_complex()
    if return_complex is None:
        if not is_complex:
            raise RuntimeError("stft requires the return_complex parameter be given for real inputs.")
        return_complex = True
    if x.dtype.category < 2 or x.dim() not in (1, 2):
        raise RuntimeError(message(op, "expected a 1D or 2D tensor of floating or complex values", input=input))
    if align_to_window and center:
        raise RuntimeError("stft: align_to_window should only be set when center = false.")
    onesided = not is_complex if onesided is None else onesided
    if onesided and is_complex:
        raise RuntimeError("stft: a complex signal or window has no onesided transform")
    row = x.dim() == 1
    x = x.unsqueeze(0) if row else x
    if center:
        x = _extended(op, x, n_fft // 2, pad_mode)
    elif align_to_window:
        left = (n_fft - win) // 2
        x = pad_constant(x, ((0, 0), (left, n_fft - win - left)), 0.0)
    if n_fft > x.shape[-1]:
        raise RuntimeError(message(op, f"expected 0 < n_fft <= {x.shape[-1]}; got n_fft: {n_fft}", input=input))
    pieces = x.unfold(-1, n_fft, hop)
    if window is not None:
        pieces = pieces * window
    norm = "ortho" if normalized else None
    y: Any = (rfft(pieces, norm=norm) if onesided else fft(pieces, norm=norm)).mT  # type: ignore[attr-defined]
    y = y.squeeze(0) if row else y
    return y if return_complex else view_as_real(y)


def _overlapped(pieces: Any, hop: int) -> Any:
    """The sum of (batch, pieces, n) laid hop apart."""
    batch, count, n = pieces.shape
    where = (np.arange(count)[:, None] * hop + np.arange(n)).reshape(-1)
    out = pieces.new_zeros((batch, (count - 1) * hop + n))
    return out.index_add(1, wrap(where).to(pieces.device), pieces.reshape((batch, count * n)))


@method
def istft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Tensor | None = None,
    center: bool = True, normalized: bool = False, onesided: bool | None = None, length: int | None = None,
    return_complex: bool = False,
) -> Tensor:  # fmt: skip
    """The signal whose `stft` this is: the pieces times the window, added where they overlap, over the sum of window^2.

    Arguments:
        input: (frequencies, pieces) or (batch, frequencies, pieces), complex.
        length: cut or pad to it.
        return_complex: the signal is complex; else all but the first n_fft // 2 + 1 frequencies are left out. The others
            are those of `stft`.

    Raises:
        RuntimeError: the window's squares add up to less than 1e-11 somewhere, so that the signal is not determined.
    """
    op = "istft"
    x: Any = input
    if x.__class__ in TENSORS and not x.is_complex():
        raise RuntimeError(message(op, "requires a complex-valued input tensor", input=input))
    hop, _, window = _checked(op, input, n_fft, hop_length, win_length, window)
    if x.dim() not in (2, 3) or not x.numel():
        raise RuntimeError(message(op, "expected a non-empty tensor with 2 or 3 dims", input=input))
    onesided = (x.shape[-2] != n_fft) if onesided is None else onesided
    bins = n_fft // 2 + 1 if onesided else n_fft
    if x.shape[-2] != bins:
        raise RuntimeError(
            message(op, f"expected {bins} frequencies for n_fft={n_fft}, onesided={onesided}", input=input)
        )
    if onesided and return_complex:
        raise RuntimeError("istft: a onesided transform gives no complex signal")
    row = x.dim() == 2
    x = (x.unsqueeze(0) if row else x).mT
    norm = "ortho" if normalized else None
    pieces: Any = ifft(x, norm=norm) if return_complex else irfft(x[..., : n_fft // 2 + 1], n_fft, norm=norm)
    weights = pieces.new_ones((n_fft,), dtype=x.real.dtype) if window is None else window
    y = _overlapped(pieces * weights, hop)
    total = _overlapped((weights * weights).expand((1, pieces.shape[1], n_fft)), hop)
    start = n_fft // 2 if center else 0
    if length is not None:
        end = min(start + length, y.shape[-1])
    else:
        end = y.shape[-1] - (n_fft // 2 if center else 0)
    y, total = y[:, start:end], total[:, start:end]
    if float(total.detach().abs().min()) <= 1e-11:
        raise RuntimeError(message(op, "the window's squares add up to 0 somewhere", window=weights, hop_length=hop))
    y = y / total
    if length is not None and length > y.shape[-1]:
        y = pad_constant(y, ((0, 0), (0, length - y.shape[-1])), 0.0)
    return y.squeeze(0) if row else y
