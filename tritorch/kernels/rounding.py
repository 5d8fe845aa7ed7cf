"""Products and sums with one rounding: the fused multiply-add that compiled code uses and NumPy lacks."""

from __future__ import annotations

from typing import Any

import numpy as np

_SPLIT = 134217729.0  # 2^27 + 1: cuts a float64 into two halves of 26 bits
_HUGE = 1e290  # beyond, the cut would overflow


def fma64(x: np.ndarray, scale: float, shift: Any) -> np.ndarray:
    """x * scale + shift for float64 with one rounding: Dekker's exact product and Knuth's exact sum.

    Args:
        x: float64. scale: a number. shift: a number or an array of x's shape.

    T. J. Dekker: A floating-point technique for extending the available precision, Numer. Math. 18, 1971.
    """
    if abs(scale) > _HUGE or np.max(np.abs(shift), initial=0.0) > _HUGE:
        return x * scale + shift
    p = x * scale
    t = x * _SPLIT
    x_high = t - (t - x)
    x_low = x - x_high
    s = scale * _SPLIT
    s_high = s - (s - scale)
    s_low = scale - s_high
    error = ((x_high * s_high - p) + x_high * s_low + x_low * s_high) + x_low * s_low
    total = p + shift
    q = total - p
    error += (p - (total - q)) + (shift - q)
    return total + error


def fma32(x: np.ndarray, scale: float, shift: float) -> np.ndarray:
    """x * scale + shift for float32 with one rounding; the product is exact in float64."""
    wide = x.astype(np.float64)
    wide *= float(np.float32(scale))
    wide += float(np.float32(shift))
    return wide.astype(np.float32)
