"""torch.backends.mkl: Intel's MKL: PyTorch's own build is not used here; NumPy brings its own BLAS."""

from __future__ import annotations

__all__ = ["is_available"]


def is_available() -> bool:
    """False: Intel's MKL: PyTorch's own build is not used here; NumPy brings its own BLAS."""
    return False
