"""torch.backends.cpu: what the CPU can do, as NumPy sees it."""

from __future__ import annotations

__all__ = ["get_cpu_capability"]


def get_cpu_capability() -> str:
    """The widest vector instructions that NumPy found: "AVX512", "AVX2", "NO AVX" or "DEFAULT"."""
    from numpy._core._multiarray_umath import __cpu_features__ as found  # type: ignore[import-not-found]

    if found.get("AVX512F"):
        return "AVX512"
    return "AVX2" if found.get("AVX2") else "NO AVX" if "AVX2" in found else "DEFAULT"
