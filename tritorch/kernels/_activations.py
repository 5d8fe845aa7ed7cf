"""Activations and their derivatives on arrays: in place, on as few temporaries as there can be.

What PyTorch words as a choice per element is written without one where that is the same: elu is max(x, 0) +
expm1(min(x, 0)). Limits are set by clip, which takes a third of the time of np.maximum with a number and leaves
-0.0, as PyTorch does. `out` takes the result, so that work in blocks needs no copy.

In float32, gelu's erf(x / sqrt(2)) is tanh(x P(x^2)), as `_erf` makes erf, with a P of degree 6 that gives it to 1.7e-7:
what is added to 1 needs no more. x P(x^2) grows on and on, so that large x give 1.
"""

from __future__ import annotations

import numpy as np

from ._erf import F32, erfc, odd_tanh, table
from ._op import Array
from ._select import where
from ._special import INTEGERS, few, fresh, sigmoid

_GELU = table(0.7978846366101907, 0.03633434813313035, -3.3911226347526125e-05, -5.478173702987139e-05,
              3.873058343751967e-06, -1.2525672026419152e-07, 1.5672581851373262e-09)  # fmt: skip
_A, _B = 0.7978845608028654, 0.7978845608028654 * 0.044715  # gelu's tanh form: tanh(A x + B x^3)
_MANY = 4096  # elements from which several fast calls cost less than one slow one
_ZEROS = {np.dtype(c): np.zeros((), c) for c in "bhilqBfd"}  # a 0-dim array costs NumPy half of what a Python 0 costs


def _square(x: Array) -> Array:
    """x * x, an array of its own even for 0-dim x."""
    return np.multiply(x, x, out=np.empty_like(x))


# ------------------------------------------------------------------------------------------ smooth ones


def gelu(x: Array, *, out: Array | None = None) -> Array:
    """x / 2 * (1 + erf(x / sqrt(2)))."""
    if x.dtype == F32:
        y = odd_tanh(x, _square(x), _GELU)
        y += 1
    else:
        y = erfc(x * -0.7071067811865476)
    y *= 0.5  # before x, whose double may overflow
    return np.multiply(y, x, out=y if out is None else out)


def gelu_grad(g: Array, x: Array, y: None, *, out: Array | None = None) -> Array:
    """g * (Phi(x) + x phi(x)) with the normal distribution's Phi and phi."""
    z = _square(x)
    if x.dtype == F32:
        gx = odd_tanh(x, z, _GELU)
        gx += 1
    else:
        gx = erfc(x * -0.7071067811865476)
    z *= -0.5
    np.exp(z, out=z)
    z *= x
    z *= 0.7978845608028654  # twice 1 / sqrt(2 pi)
    gx += z
    gx *= 0.5
    return np.multiply(gx, g, out=gx if out is None else out)


def gelu_tanh(x: Array, *, out: Array | None = None) -> Array:
    """x / 2 * (1 + tanh(A x + B x^3))."""
    y = odd_tanh(x, _square(x), (_A, _B))
    y += 1
    y *= 0.5
    return np.multiply(y, x, out=y if out is None else out)


def gelu_tanh_grad(g: Array, x: Array, y: None, *, out: Array | None = None) -> Array:
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
    return np.multiply(gx, g, out=gx if out is None else out)


def silu(x: Array, *, out: Array | None = None) -> Array:
    """x / (1 + exp(-x))."""
    y = np.negative(x, out=fresh(x, out))
    np.exp(y, out=y)
    y += 1
    return np.divide(x, y, out=y)


def silu_grad(g: Array, x: Array, y: None, *, out: Array | None = None) -> Array:
    """g s (1 + x (1 - s)) with s = sigmoid(x)."""
    s = sigmoid(x)
    gx = np.subtract(1, s, out=fresh(x, out))
    gx *= x
    gx += 1
    gx *= s
    gx *= g
    return gx


def _mish_ratio(x: Array) -> tuple[Array, Array, Array]:
    """(w, n, n + 2) with w = e^x and tanh(log(1 + w)) = n / (n + 2), n = w (w + 2); x is limited where n / (n + 2) is 1."""
    w = x.clip(-np.inf, 20 if x.dtype == F32 else 40, out=np.empty_like(x))
    np.exp(w, out=w)
    n = np.add(w, 2, out=np.empty_like(w))
    n *= w
    return w, n, np.add(n, 2, out=np.empty_like(n))


def mish(x: Array, *, out: Array | None = None) -> Array:
    """x tanh(log(1 + e^x))."""
    _, y, d = _mish_ratio(x)
    y /= d
    return np.multiply(x, y, out=y if out is None else out)


def mish_grad(g: Array, x: Array, y: None, *, out: Array | None = None) -> Array:
    """g (n + 4 x w (w + 1) / d) / d with w, n and d = n + 2 of `_mish_ratio`."""
    w, n, d = _mish_ratio(x)
    gx = np.add(w, 1, out=np.empty_like(w))
    gx *= w
    gx *= 4
    gx /= d
    gx *= x.clip(-np.inf, 100)  # w^2 / d^2 is limited, and falls faster than any x grows
    gx += n
    gx /= d
    return np.multiply(gx, g, out=gx if out is None else out)


def softplus(x: Array, beta: float, limit: float, *, out: Array | None = None) -> Array:
    """log(1 + e^(beta x)) / beta, x itself where beta x > limit."""
    z = x if beta == 1 else np.multiply(x, beta, out=np.empty_like(x))
    above = np.asarray(z > limit)
    z = z.clip(-np.inf, limit, out=np.empty_like(x))
    np.exp(z, out=z)
    z = np.log1p(z, out=z if out is None else out)
    if beta != 1:
        z /= beta
    return where(above, x, z, out=z) if above.any() else z


def softplus_grad(g: Array, x: Array, y: None, beta: float, limit: float, *, out: Array | None = None) -> Array:
    """g sigmoid(beta x), g where beta x > limit."""
    z = x if beta == 1 else np.multiply(x, beta, out=np.empty_like(x))
    above = np.asarray(z > limit)
    z = sigmoid(z, out=fresh(x, out))
    z *= g
    return where(above, g, z, out=z) if above.any() else z


# ------------------------------------------------------------------- exponential below 0, straight above


def elu(x: Array, alpha: float, scale: float, slope: float, *, out: Array | None = None) -> Array:
    """scale x above 0, alpha scale (e^(slope x) - 1) below: a sum, of which one part is 0."""
    y = x.clip(-np.inf, 0, out=np.empty_like(x))
    if slope != 1:
        y *= slope
    np.expm1(y, out=y)
    if alpha * scale != 1:
        y *= alpha * scale
    above = x.clip(0, np.inf)
    if scale != 1:
        above *= scale
    return np.add(y, above, out=y if out is None else out)


def elu_grad(
    g: Array, x: Array, y: None, alpha: float, scale: float, slope: float, *, out: Array | None = None
) -> Array:
    """g scale above 0, g alpha scale slope e^(slope x) below."""
    z = x.clip(-np.inf, 0, out=np.empty_like(x))
    if slope != 1:
        z *= slope
    np.exp(z, out=z)  # 1 above 0, so that
    if alpha * slope == 1:
        if scale != 1:
            z *= scale
    else:
        z *= alpha * scale * slope
        where(x > 0, scale, z, out=z)
    return np.multiply(z, g, out=z if out is None else out)


def celu(x: Array, alpha: float, *, out: Array | None = None) -> Array:
    """x above 0, alpha (e^(x / alpha) - 1) below."""
    y = x.clip(-np.inf, 0, out=np.empty_like(x))
    y /= alpha
    np.expm1(y, out=y)
    y *= alpha
    return np.add(y, x.clip(0, np.inf), out=y if out is None else out)


def celu_grad(g: Array, x: Array, y: None, alpha: float, *, out: Array | None = None) -> Array:
    """g above 0, g e^(x / alpha) below."""
    z = x.clip(-np.inf, 0, out=np.empty_like(x))
    z /= alpha
    np.exp(z, out=z)
    return np.multiply(z, g, out=z if out is None else out)


# ------------------------------------------------------------------------------------------ limits, steps


def relu(x: Array, *, out: Array | None = None) -> Array:
    """max(x, 0)."""
    return x.clip(0, np.inf, out=out) if x.dtype.kind == "f" else np.maximum(x, _ZEROS[x.dtype], out=out)


def clamp_min(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """max(a, b)."""
    return a.clip(b, np.inf, out=out) if b.__class__ is float and not few(a, b) else np.maximum(a, b, out=out)


def clamp_max(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """min(a, b)."""
    return a.clip(-np.inf, b, out=out) if b.__class__ is float and not few(a, b) else np.minimum(a, b, out=out)


def _greater_grad(g: Array, big: Array, small: Array, out: Array | None) -> Array:
    """0 where big < small, g / 2 where they are equal, else g: of a NaN both operands get g."""
    gx = where(big < small, 0, g, out=out)
    equal = np.equal(big, small)
    return where(equal, g / 2, gx, out=gx) if equal.any() else gx


def greater_grad(g: Array, a: Array, b: Array, y: None, *, out: Array | None = None) -> Array:
    return _greater_grad(g, a, b, out)


def less_grad(g: Array, a: Array, b: Array, y: None, *, out: Array | None = None) -> Array:
    return _greater_grad(g, b, a, out)


def hardtanh(x: Array, low: float, high: float, *, out: Array | None = None) -> Array:
    """x limited to [low, high]."""
    return x.clip(low, high, out=out)


def relu6(x: Array, *, out: Array | None = None) -> Array:
    """x limited to [0, 6]."""
    return x.clip(0, 6, out=out)


def hardtanh_grad(g: Array, x: Array, y: None, low: float, high: float, *, out: Array | None = None) -> Array:
    """g where low < x < high."""
    return where((x > low) & (x < high), g, 0, out=out)


def relu6_grad(g: Array, x: Array, y: None, *, out: Array | None = None) -> Array:
    return hardtanh_grad(g, x, y, 0, 6, out=out)


def hardsigmoid(x: Array, *, out: Array | None = None) -> Array:
    """x + 3 limited to [0, 6], over 6."""
    y = np.add(x, 3, out=fresh(x, out))
    y.clip(0, 6, out=y)
    y /= 6
    return y


def hardsigmoid_grad(g: Array, x: Array, y: None, *, out: Array | None = None) -> Array:
    """g / 6 where -3 < x < 3."""
    gx = hardtanh_grad(g, x, y, -3, 3, out=fresh(x, out))
    gx /= 6
    return gx


def hardswish(x: Array, *, out: Array | None = None) -> Array:
    """x hardsigmoid(x)."""
    y = np.add(x, 3, out=fresh(x, out))
    y.clip(0, 6, out=y)
    y *= x
    y /= 6
    return y


def hardswish_grad(g: Array, x: Array, y: None, *, out: Array | None = None) -> Array:
    """g (x / 3 + 1/2) where -3 < x < 3, 0 below, g above."""
    gx = np.divide(x, 3, out=fresh(x, out))
    gx += 0.5
    gx *= g
    where(x <= -3, 0, gx, out=gx)
    return where(x >= 3, g, gx, out=gx)


def leaky_relu(x: Array, slope: float, *, out: Array | None = None) -> Array:
    """x above 0, slope x below."""
    y = np.multiply(x, slope, out=fresh(x, out))
    return np.maximum(x, y, out=y) if 0 < slope <= 1 else where(x > 0, x, y, out=y)


def leaky_relu_grad(g: Array, x: Array, y: None, slope: float, *, out: Array | None = None) -> Array:
    """g above 0, g slope below."""
    gx = where(x > 0, np.array(1, g.dtype), np.array(slope, g.dtype), out=out)
    return np.multiply(gx, g, out=gx)


def prelu(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """a above 0, a b below."""
    y = np.multiply(a, b, out=out)
    if np.size(b) == 1 and 0 < b <= 1:
        return np.maximum(a, y, out=out)
    return where(a > 0, a, y, out=out)


def threshold(x: Array, limit: float, value: float, *, out: Array | None = None) -> Array:
    """x above the limit, `value` up to it."""
    return where(x <= limit, np.asarray(value, x.dtype), x, out=out)


def hardshrink(x: Array, limit: float, *, out: Array | None = None) -> Array:
    """x outside of [-limit, limit], else 0: on bits, where |x| > limit is the sign of a difference of integers."""
    if x.size < _MANY or x.dtype not in INTEGERS or not limit >= 0:
        return where((x >= -limit) & (x <= limit), 0, x, out=out)
    integer, sign = INTEGERS[x.dtype]
    y = fresh(x, out)
    bits, mask = x.view(integer), np.empty(x.shape, integer) if np.may_share_memory(x, y) else y.view(integer)
    np.bitwise_and(bits, ~sign, out=mask)
    np.subtract(np.asarray(limit, x.dtype).view(integer), mask, out=mask)
    mask >>= 8 * x.dtype.itemsize - 1  # all bits or none
    np.bitwise_and(mask, bits, out=y.view(integer))
    return y


def shrink_grad(g: Array, x: Array, y: None, limit: float, *, out: Array | None = None) -> Array:
    """g outside of [-limit, limit]: of hardshrink and softshrink."""
    return where(np.abs(x) > limit, g, 0, out=out)


def softshrink(x: Array, limit: float, *, out: Array | None = None) -> Array:
    """x pulled towards 0 by `limit`, 0 in between."""
    y = x.clip(-limit, limit, out=fresh(x, out))
    return np.subtract(x, y, out=y)
