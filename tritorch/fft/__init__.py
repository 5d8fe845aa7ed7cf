"""torch.fft: discrete Fourier transforms over one, two or n dims, with gradients.

NumPy computes on the CPU, CuPy's cuFFT on cuda (`tritorch.kernels.LIBRARY_OPS`).
"""

from __future__ import annotations

from .frequency import fftfreq, fftshift, ifftshift, rfftfreq
from .transform import (
    fft,
    fft2,
    fftn,
    hfft,
    hfft2,
    hfftn,
    ifft,
    ifft2,
    ifftn,
    ihfft,
    ihfft2,
    ihfftn,
    irfft,
    irfft2,
    irfftn,
    rfft,
    rfft2,
    rfftn,
)

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn", "ifftshift",
    "ihfft", "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip
