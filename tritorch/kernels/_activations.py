"""Activations of several passes and their derivatives on arrays: in place on one or two temporaries.

In float32, gelu's erf(x / sqrt(2)) is tanh(x P(x^2)), as `_special` makes erf, with a P of degree 6 that gives it to
1.7e-7: what is added to 1 needs no more.
"""

from __future__ import annotations

import numpy as np

from ._op import Array
from ._special import erf, odd_tanh

_GELU = (0.7978846366101907, 0.03633434813313035, -3.3911226347526125e-05, -5.478173702987139e-05,
         3.873058343751967e-06, -1.2525672026419152e-07, 1.5672581851373262e-09)  # fmt: skip
_GELU = tuple(np.array(c, np.float32) for c in _GELU)  # NumPy takes a 0-dim array faster than a Python number
_A, _B = 0.7978845608028654, 0.7978845608028654 * 0.044715  # gelu's tanh form: tanh(A x + B x^3)


def _square(x: Array) -> Array:
    """x * x, an array of its own even for 0-dim x."""
    return np.multiply(x, x, out=np.empty_like(x))


def gelu(x: Array) -> Array:
    """x / 2 * (1 + erf(x / sqrt(2)))."""
    if x.dtype == np.float32:
        z = _square(x)
        y = odd_tanh(x, np.minimum(z, 32, out=z), _GELU)
    else:
        y = erf(x * 0.7071067811865476)
    y += 1
    y *= x
    y *= 0.5
    return y


def gelu_grad(g: Array, x: Array, y: None) -> Array:
    """g * (Phi(x) + x phi(x)) with the normal distribution's Phi and phi."""
    z = _square(x)
    if x.dtype == np.float32:
        gx = odd_tanh(x, np.minimum(z, 32), _GELU)
    else:
        gx = erf(x * 0.7071067811865476)
    z *= -0.5
    np.exp(z, out=z)
    z *= x
    z *= 0.7978845608028654  # twice 1 / sqrt(2 pi)
    gx += z
    gx += 1
    gx *= 0.5
    gx *= g
    return gx


def gelu_tanh(x: Array) -> Array:
    """x / 2 * (1 + tanh(A x + B x^3))."""
    y = odd_tanh(x, _square(x), (_A, _B))
    y += 1
    y *= x
    y *= 0.5
    return y


def gelu_tanh_grad(g: Array, x: Array, y: None) -> Array:
    """g / 2 * (1 + t + x (1 - t^2) (A + 3 B x^2)) with t = tanh(A x + B x^3)."""
    z = _square(x)
    t = odd_tanh(x, z, (_A, _B))
    z *= 3 * _B
    z += _A
    z *= x
    gx = _square(t)
    np.subtract(1, gx, out=gx)
    gx *= z
    gx += t
    gx += 1
    gx *= 0.5
    gx *= g
    return gx


def silu(x: Array) -> Array:
    """x / (1 + exp(-x))."""
    y = np.negative(x, out=np.empty_like(x))
    np.exp(y, out=y)
    y += 1
    return np.divide(x, y, out=y)


def silu_grad(g: Array, x: Array, y: None) -> Array:
    """g s (1 + x (1 - s)) with s = sigmoid(x)."""
    s = np.negative(x, out=np.empty_like(x))
    np.exp(s, out=s)
    s += 1
    np.reciprocal(s, out=s)
    gx = np.subtract(1, s)
    gx *= x
    gx += 1
    gx *= s
    gx *= g
    return gx
