"""torch.backends: settings and facts of what computes: cuda's kernels here are Triton's, the CPU's NumPy's."""

from __future__ import annotations

from . import cpu, cuda, cudnn, mkl, mkldnn, mps, openmp

__all__ = ["cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp"]
