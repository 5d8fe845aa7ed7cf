"""Mathematical functions for kernels, in Triton's own language, so that they run in its interpreter too.

Each takes float32 or float64 tiles (those that say so, integers) and computes in the tile's type; float32 results are
good to a few units in the last place. Polynomial coefficients without a source are minimax fits over the ranges given.
The error function and the gamma family are in `_math_special.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._launch import kernel

if TYPE_CHECKING:
    import triton.language as tl

# ---- rounding, signs, remainders -----------------------------------------------------------------------------------


@kernel
def _div(x, y):
    """x / y, correctly rounded in float32 too (the plain operator is 2 ulp off there)."""
    if x.dtype == tl.float32:
        return tl.div_rn(x, y)
    else:
        return x / y


@kernel
def _inverse(x):
    """1 / x, correctly rounded."""
    if x.dtype == tl.float32:
        return tl.div_rn(1.0, x)
    else:
        return 1 / x


@kernel
def _sqrt(x):
    """Correctly rounded square root."""
    if x.dtype == tl.float32:
        return tl.sqrt_rn(x)
    else:
        return tl.sqrt(x)


@kernel
def _negative(x):
    """True where the sign bit is set, -0.0 included."""
    if x.dtype == tl.float64:
        return x.to(tl.int64, bitcast=True) < 0
    else:
        return x.to(tl.int32, bitcast=True) < 0


@kernel
def _signed(magnitude, x):
    """A magnitude >= 0 with the sign of x."""
    return tl.where(_negative(x), magnitude * -1.0, magnitude)


@kernel
def _copysign(x, y):
    return _signed(tl.abs(x), y)


@kernel
def _neg(x):
    """-x, with -0.0 for 0.0."""
    if x.dtype.is_floating():
        return x * -1.0
    else:
        return (x - x) - x


@kernel
def _sign(x):
    """-1, 0 or 1; 0 for NaN. Integers too."""
    return (x > 0).to(x.dtype) - (x < 0).to(x.dtype)


@kernel
def _floor(x):
    if x.dtype.is_floating():
        return tl.floor(x)
    else:
        return x


@kernel
def _ceil(x):
    if x.dtype.is_floating():
        return tl.ceil(x)
    else:
        return x


@kernel
def _trunc(x):
    if x.dtype.is_floating():
        return tl.where(x < 0, tl.ceil(x), tl.floor(x))
    else:
        return x


@kernel
def _round(x):
    """To the nearest integer, ties to even: adding 2^23 (2^52) leaves no room for a fraction."""
    if x.dtype == tl.float64:
        a = tl.abs(x)
        r = (a + 4503599627370496.0) - 4503599627370496.0
        return _signed(tl.where(a < 4503599627370496.0, r, a), x)
    elif x.dtype == tl.float32:
        a = tl.abs(x)
        r = (a + 8388608.0) - 8388608.0
        return _signed(tl.where(a < 8388608.0, r, a), x)
    else:
        return x


@kernel
def _reduced(r, b):
    """r without the multiples of b, between -b and b: for r >= 0 and quotients below 2^120 (float64: 2^265)."""
    for _ in range(5):  # each step takes as many bits off the quotient as the type has
        q = _trunc(_div(r, b))
        r = tl.where(tl.abs(r) >= b, tl.fma(q * -1.0, b, r), r)
    return tl.where(r < 0, r + b, r)  # a quotient may have been rounded up


@kernel
def _fmod(x, y):
    """The remainder of the truncated quotient, with x's sign, exactly; integers too."""
    if x.dtype.is_floating():
        b = tl.abs(y)
        r = tl.abs(x)
        unit: tl.constexpr = 1.2676506002282294e30 if x.dtype == tl.float32 else 1.8092513943330656e75  # 2^100, 2^250
        far = (b > 0) & (b * unit <= r) & (r < float("inf"))
        while tl.max(far.to(tl.int32)) > 0:  # rare: first the multiples of b times a power of two
            c = tl.where(far, b, float("inf"))
            for _ in range(8):
                c = tl.where(far & (c * unit <= r), c * unit, c)
            r = tl.where(far, _reduced(r, c), r)
            far = far & (b * unit <= r)
        r = _reduced(r, b)
        r = tl.where((b == 0) | (x != x) | (y != y) | (tl.abs(x) == float("inf")), float("nan"), r)
        return _signed(tl.where(b == float("inf"), tl.where(tl.abs(x) < float("inf"), tl.abs(x), r), r), x)
    else:
        return x % y


@kernel
def _remainder(x, y):
    """The remainder of the floored quotient, with y's sign; integers too."""
    r = _fmod(x, y)
    return tl.where((r != 0) & ((r < 0) != (y < 0)), r + y, r)


@kernel
def _floor_divide(x, y):
    """The floored quotient; integers too."""
    if x.dtype.is_floating():
        r = _fmod(x, y)
        q = _div(x - r, y)
        q = tl.where((r != 0) & ((r < 0) != (y < 0)), q - 1, q)
        f = tl.floor(q)
        f = tl.where(q - f > 0.5, f + 1, f)
        exact = _div(x, y)
        f = tl.where(q == 0, _signed(tl.abs(q), exact), f)
        return tl.where(y == 0, exact, f)
    else:
        q = x // y
        r = x % y
        return tl.where((r != 0) & ((r < 0) != (y < 0)), q - 1, q)


@kernel
def _maximum(x, y):
    """The larger one, NaN where one is NaN; integers too."""
    return tl.where((x > y) | (x != x), x, y)


@kernel
def _minimum(x, y):
    """The smaller one, NaN where one is NaN; integers too."""
    return tl.where((x < y) | (x != x), x, y)


@kernel
def _isnan(x):
    return x != x


@kernel
def _isinf(x):
    if x.dtype.is_floating():
        return tl.abs(x) == float("inf")
    else:
        return x != x


@kernel
def _isfinite(x):
    if x.dtype.is_floating():
        return tl.abs(x) < float("inf")
    else:
        return x == x


@kernel
def _left_shift(x, y):
    """x << y, 0 when y is negative or at least x's width."""
    bits: tl.constexpr = x.dtype.primitive_bitwidth
    ok = (y >= 0) & (y < bits)
    return tl.where(ok, x << tl.where(ok, y, 0).to(x.dtype), 0)


@kernel
def _right_shift(x, y):
    """x >> y; 0 or -1 when y is negative or at least x's width."""
    bits: tl.constexpr = x.dtype.primitive_bitwidth
    ok = (y >= 0) & (y < bits)
    if x.dtype.is_int_signed():
        return x >> tl.where(ok, y, bits - 1).to(x.dtype)
    else:
        return tl.where(ok, x >> tl.where(ok, y, 0).to(x.dtype), 0)


@kernel
def _gcd(x, y):
    """The greatest common divisor of integers, not negative (but for the most negative number), by Euclid's steps."""
    a, b = tl.broadcast(x, y)
    while tl.max((b != 0).to(tl.int32)) > 0:
        going = b != 0
        r = a % tl.where(going, b, 1).to(b.dtype)
        a = tl.where(going, b, a)
        b = tl.where(going, r, b)
    return tl.where(a < 0, _neg(a), a).to(x.dtype)


@kernel
def _lcm(x, y):
    """The least common multiple of integers, not negative unless it wraps; 0 where one is 0."""
    a, b = tl.broadcast(x, y)
    g = _gcd(a, b)
    r = (a // tl.where(g == 0, 1, g).to(a.dtype)) * b
    return tl.where(r < 0, _neg(r), r).to(x.dtype)


@kernel
def _nextafter(x, y):
    """The number after x in y's direction: its bits, as a whole number that grows with the number, go one up or down."""
    if x.dtype == tl.float64:
        bits = x.to(tl.int64, bitcast=True)
        step = tl.where((x < y) == (x > 0), 1, -1).to(tl.int64)
        near = (bits + step).to(tl.float64, bitcast=True)
        tiny = _signed(tl.full(x.shape, 5e-324, tl.float64), y)
    else:
        bits = x.to(tl.int32, bitcast=True)
        step = tl.where((x < y) == (x > 0), 1, -1).to(tl.int32)
        near = (bits + step).to(tl.float32, bitcast=True)
        tiny = _signed((tl.zeros_like(bits) + 1).to(tl.float32, bitcast=True), y)
    moved = tl.where(x == 0, tiny, near)
    return tl.where(x != x, x, tl.where((y != y) | (x == y), y, moved))


# ---- exponentials and logarithms -----------------------------------------------------------------------------------


@kernel
def _two_to(k):
    """2^k for whole k in [-300, 300] of float32, by two factors so that subnormal results come out."""
    half = tl.floor(k * 0.5)
    return tl.exp2(half), tl.exp2(k - half)


@kernel
def _exp(x):
    """e^x. float32: the hardware's exp is good near 0 only, so x = k ln 2 + r first."""
    if x.dtype == tl.float32:
        v = tl.where(x > 89.0, 89.0, tl.where(x < -104.0, -104.0, x))
        k = tl.floor(v * 1.4426950408889634 + 0.5)
        r = tl.fma(k, -0.693145751953125, v)
        r = tl.fma(k, -1.42860682030941723e-06, r)
        a, b = _two_to(k)
        return tl.where(x != x, x, tl.exp(r) * a * b)
    else:
        return tl.exp(x)


@kernel
def _log10(x):
    return tl.log(x) * 0.4342944819032518


@kernel
def _log1p(x):
    """log(1 + x), by the rounding error of 1 + x (Kahan)."""
    u = x + 1
    y = tl.where(u == 1, x, tl.log(u) * _div(x, tl.where(u == 1, 1.0, u - 1).to(x.dtype)))
    return tl.where((u == float("inf")) | (u <= 0), tl.log(u), y)


@kernel
def _expm1(x):
    """e^x - 1, by the rounding error of e^x (Kahan)."""
    u = _exp(x)
    d = u - 1
    small = (tl.abs(x) < 1) & (d != 0)
    lg = tl.log(tl.where(small, u, 2.0).to(x.dtype))
    return tl.where(u == 1, x, tl.where(small, d * _div(x, lg), d))


@kernel
def _xlogy(x, y):
    """x log(y), 0 where x is 0."""
    return tl.where((x == 0) & (y == y), 0.0, x * tl.log(y))


@kernel
def _xlog1py(x, y):
    """x log(1 + y), 0 where x is 0."""
    return tl.where((x == 0) & (y == y), 0.0, x * _log1p(y))


@kernel
def _hypot(x, y):
    """sqrt(x^2 + y^2) without squares that overflow; inf where one is infinite, the other NaN or not."""
    a = tl.abs(x)
    b = tl.abs(y)
    high = tl.where(a > b, a, b)
    low = tl.where(a > b, b, a)
    q = _div(low, tl.where(high == 0, 1.0, high).to(x.dtype))
    r = high * _sqrt(1 + q * q)
    return tl.where((a == float("inf")) | (b == float("inf")), float("inf"), tl.where((x != x) | (y != y), x + y, r))


@kernel
def _sigmoid(x):
    return _inverse(1 + _exp(x * -1.0))


@kernel
def _log_parts(x):
    """log(x) for x > 0 of float32, as a sum of two: the second holds what the first has no bits for."""
    tiny = x < 1.1754943508222875e-38
    v = tl.where(tiny, x * 16777216.0, x)
    bits = v.to(tl.int32, bitcast=True)
    e = ((bits - 0x3F3504F3) >> 23).to(tl.int32)  # v = 2^e m with m in [sqrt(1/2), sqrt(2))
    m = (bits - (e << 23)).to(tl.float32, bitcast=True)
    k = e.to(tl.float32) - tl.where(tiny, 24.0, 0.0)
    d = m - 1
    s = m + 1
    q = tl.div_rn(d, s)
    low = tl.div_rn(tl.fma(q * -1.0, s, d) - q * (m - (s - 1)), s)  # q + low = (m - 1) / (m + 1)
    z = q * q
    tail = ((0.11665233608151918 * z + 0.14275410407980332) * z + 0.20000060919903062) * z + 0.33333333277248545
    tail = 2 * (low + q * z * tail)
    a = k * 0.693145751953125  # exact: 16 bits by 8
    b = 2 * q
    hi = a + b
    c = hi - a
    lo = (a - (hi - c)) + (b - c) + (tail + k * 1.42860682030941723e-06)
    total = hi + lo
    return total, lo - (total - hi)


@kernel
def _pow(x, y):
    """x^y by C's rules; integers by repeated squaring (a negative power is 0 unless the base is 1 or -1)."""
    if x.dtype.is_floating():
        a = tl.abs(x)
        if x.dtype == tl.float32:
            ok = (a > 0) & (a < float("inf"))
            hi, lo = _log_parts(tl.where(ok, a, 1.0))
            hi = tl.where(ok, hi, tl.where(a == 0, float("-inf"), a))
            p = hi * y
            rest = tl.fma(hi, y, p * -1.0) + lo * y
            rest = tl.where((tl.abs(p) < 200) & ok, rest, 0.0)
            r = _exp(p)
            r = tl.where(r < float("inf"), tl.fma(r, rest, r), r)
        else:
            r = tl.exp(tl.log(a) * y)
        whole = tl.floor(y) == y
        odd = whole & (tl.floor(y * 0.5) * 2 != y) & (tl.abs(y) < float("inf"))
        r = tl.where(_negative(x) & odd, r * -1.0, r)
        r = tl.where((x < 0) & ~whole & (a < float("inf")), float("nan"), r)
        r = tl.where((x != x) | (y != y), x + y, r)
        r = tl.where((a == 1) & (tl.abs(y) == float("inf")), 1.0, r)
        return tl.where((y == 0) | (x == 1), 1.0, r)
    else:
        bits: tl.constexpr = x.dtype.primitive_bitwidth
        r = x * 0 + y * 0 + 1
        b = x + y * 0
        e = y + x * 0
        for _ in range(bits - 1):
            r = tl.where((e & 1) == 1, r * b, r)
            b = b * b
            e = e >> 1
        if x.dtype.is_int_signed():
            minus = tl.where((y & 1) == 1, x, 1)
            r = tl.where(y < 0, tl.where((x == 1) | (x == -1), minus, 0), r)
        return r


@kernel
def _pow_scalar(x, c):
    """x^c for one number c of a float type, where 1/2 and -1/2 are roots: NaN for -inf, and -0.0 keeps its sign."""
    r = _pow(x, c)
    root = _sqrt(x)
    return tl.where(c == 0.5, root, tl.where(c == -0.5, _inverse(root), r))


# ---- trigonometric and hyperbolic ----------------------------------------------------------------------------------


@kernel
def _tan(x):
    return _div(tl.sin(x), tl.cos(x))


@kernel
def _atan(x):
    """Reduced to |x| <= tan(pi/8), then an odd polynomial."""
    a = tl.abs(x)
    big = a > 2.414213562373095
    mid = (a > 0.4142135623730951) & (a <= 2.414213562373095)
    top = tl.where(big, -1.0, tl.where(mid, a - 1, a)).to(x.dtype)
    v = _div(top, tl.where(big, a, tl.where(mid, a + 1, 1.0)).to(x.dtype))
    z = v * v
    if x.dtype == tl.float64:
        p = 0.016285756855221028 * z - 0.034570561981427744
        p = p * z + 0.04551593220626549
        p = p * z - 0.05230454270650244
        p = p * z + 0.05878928997834775
        p = p * z - 0.06666424885738255
        p = p * z + 0.07692296375032143
        p = p * z - 0.09090908753500877
        p = p * z + 0.11111111105155447
        p = p * z - 0.14285714285659828
        p = p * z + 0.19999999999999804
        p = p * z - 0.3333333333333333
    else:
        p = -0.06451928208121749 * z + 0.10743731490791084
        p = p * z - 0.1426395559798464
        p = p * z + 0.19999540483648964
        p = p * z - 0.3333333176116852
    base = tl.where(big, 1.5707963267948966, tl.where(mid, 0.7853981633974483, a - a))
    return _signed(base + (v * z * p + v), x)


@kernel
def _atan2(y, x):
    ax = tl.abs(x)
    ay = tl.abs(y)
    swap = ay > ax
    top = tl.where(swap, ax, ay)
    low = tl.where(swap, ay, ax)
    ratio = tl.where(top == low, 1.0, _div(top, tl.where(low == 0, 1.0, low).to(x.dtype)))
    a = _atan(tl.where(top == 0, 0.0, ratio).to(x.dtype))
    a = tl.where(swap, 1.5707963267948966 - a, a)
    a = tl.where(_negative(x), 3.141592653589793 - a, a)
    return tl.where((x != x) | (y != y), x + y, _signed(a, y))


@kernel
def _asin(x):
    return _atan(_div(x, _sqrt((1 - x) * (1 + x))))


@kernel
def _acos(x):
    return 2 * _atan(_sqrt(_div(1 - x, 1 + x)))


@kernel
def _sinh(x):
    a = tl.abs(x)
    t = _expm1(tl.where(a < 1, a, 0.0).to(x.dtype))
    near = 0.5 * (t + _div(t, t + 1))
    e = _exp(a * 0.5)
    far = (0.5 * e) * e - _inverse(e) * _inverse(e) * 0.5
    return _signed(tl.where(a < 1, near, tl.where(a == float("inf"), a, far)), x)


@kernel
def _cosh(x):
    a = tl.abs(x)
    e = _exp(a * 0.5)
    y = (0.5 * e) * e
    return tl.where(a < 40, y + _inverse(y) * 0.25, y)


@kernel
def _tanh(x):
    a = tl.abs(x)
    v = tl.where(a > 22, 22.0, a).to(x.dtype)
    if x.dtype == tl.float32:
        z = x * x
        p = 0.002370765640497788 * z - 0.008410070801530736
        p = p * z + 0.02178832199710852
        p = p * z - 0.05396155178134269
        p = p * z + 0.133333128668618
        p = p * z - 0.33333333231207923
        far = 1 - 2 * _inverse(_exp(2 * v) + 1)
        return _signed(tl.where(a < 0.6, a * z * p + a, tl.where(x != x, x, far)), x)
    else:
        t = _expm1(2 * v)
        return _signed(tl.where(x != x, x, t / (t + 2)), x)


@kernel
def _asinh(x):
    a = tl.abs(x)
    large = a > 1e10
    v = tl.where(large, 1.0, a).to(x.dtype)
    near = _log1p(v + _div(v * v, 1 + _sqrt(v * v + 1)))
    return _signed(tl.where(large, tl.log(a) + 0.6931471805599453, near), x)


@kernel
def _acosh(x):
    large = x > 1e10
    t = tl.where(large, 1.0, x - 1).to(x.dtype)
    near = _log1p(t + _sqrt(2 * t + t * t))
    y = tl.where(large, tl.log(x) + 0.6931471805599453, near)
    return tl.where(x < 1, float("nan"), y)


@kernel
def _atanh(x):
    a = tl.abs(x)
    return _signed(0.5 * _log1p(_div(2 * a, 1 - a)), x)
