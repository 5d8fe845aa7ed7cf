"""Elementwise kernels on the emulated device: layouts, dtypes, every device function, every line of the table."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import tritorch  # noqa: F401 - registers the ops
from tritorch.kernels import _expressions, _pointwise
from tritorch.kernels._pointwise import cast, collapse, copy_into, fill, pointwise
from tritorch.kernels.elementwise import OPS, Elementwise

pytest.importorskip("triton", reason="the emulated device needs Triton; install tritorch[triton]")

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
TABLE = [line for line in OPS.values() if isinstance(line, Elementwise) and line.triton is not None]


def evaluate(expr, *arrays, out=None, outs=None, **scalars):
    arrays = tuple(np.asarray(a) for a in arrays)
    names = tuple("abc"[: len(arrays)])
    dtype = np.dtype(out) if out is not None else arrays[0].dtype
    return pointwise("test", (expr,), names, arrays, (dtype,), scalars or None, outs)[0]


# ---- layouts -------------------------------------------------------------------------------------------------------

X = np.random.default_rng(0).normal(size=(3, 4, 5, 6, 7)).astype(np.float32)
WIDE = np.random.default_rng(1).normal(size=(150, 133)).astype(np.float32)
LAYOUTS = {
    "contiguous": (X, X + 1),
    "one transposed": (X, np.asfortranarray(X)),
    "both transposed": (X.T, X.T),
    "sliced, reversed": (X[:, ::2, :, ::-1, 1:], X[:, ::2, :, :, :6]),
    "a row": (WIDE, WIDE[0]),
    "a column": (WIDE, WIDE[:, :1]),
    "outer": (WIDE[0], WIDE[:, :1]),
    "square tiles": (WIDE, np.asfortranarray(WIDE)),
    "one strided dim": (WIDE[:, 3], WIDE[:, 5]),
    "one element": (X, X[:1, 0, 0, 0, 0]),
    "0-dim": (X[0, 0, 0, 0, 0], X[0, 0, 0, 0, 1]),
    "0-dim with tensor": (X[0, 0], X[0, 0, 0, 0, 1]),
    "expanded": (np.broadcast_to(X[0, 0, 0, 0], (6, 7)), np.broadcast_to(X[0, 0, 0, :, :1], (6, 7))),
    "empty": (X[:0], X[:0]),
    "empty by broadcast": (X[:, :0], X[0, 0]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_and_broadcasting(layout):
    a, b = (np.asarray(v) for v in LAYOUTS[layout])
    y = evaluate("a * b - a", a, b)
    assert y.shape == np.broadcast_shapes(a.shape, b.shape) and y.flags.c_contiguous
    np.testing.assert_allclose(y, a * b - a, rtol=1e-6, atol=1e-6)


def test_tiles_beyond_one_program(monkeypatch):
    monkeypatch.setattr(_pointwise._configs, "SMALL", False)
    _pointwise._routes.clear()
    for a, b in (LAYOUTS["square tiles"], LAYOUTS["a row"], (WIDE[:9], WIDE[:9])):
        np.testing.assert_array_equal(evaluate("a + b", a, b), a + b)
    _pointwise._routes.clear()


def test_dims_are_merged_and_the_dense_one_of_an_operand_comes_second():
    sizes, strides = collapse((2, 3, 4), [(12, 4, 1), (12, 4, 1)], 1)
    assert sizes == (24,) and strides == [(1,), (1,)]
    sizes, strides = collapse((2, 3, 4), [(1, 2, 6), (12, 4, 1)], 1)  # Fortran order into C order
    assert sizes == (4, 2, 3) and strides == [(6, 1, 2), (1, 12, 4)]
    assert collapse((), [(), ()], 1) == ((1,), [(0,), (1,)])


def test_results_are_written_into_strided_arrays():
    out = np.zeros((4, 10), np.float32)
    got = evaluate("a + a", X[0, 0, 0, :4, :5], outs=(out[:, ::2],))
    assert np.shares_memory(got, out)
    np.testing.assert_array_equal(out[:, ::2], 2 * X[0, 0, 0, :4, :5])
    assert not out[:, 1::2].any()


def test_in_place_and_transposed_results():
    x = X[0, 0, 0].copy()
    evaluate("a * b", x, X[0, 0, 1], outs=(x,))
    np.testing.assert_array_equal(x, X[0, 0, 0] * X[0, 0, 1])
    out = np.empty((133, 150), np.float32)
    evaluate("a + 1", WIDE, outs=(out.T,))
    np.testing.assert_array_equal(out, WIDE.T + 1)


def test_several_results_from_one_launch():
    a, b = X[0, 0], X[0, 1]
    s, p = pointwise("two", ("a + b", "a < b"), ("a", "b"), (a, b), (F32, np.dtype(bool)))
    np.testing.assert_array_equal(s, a + b)
    np.testing.assert_array_equal(p, a < b)


# ---- dtypes --------------------------------------------------------------------------------------------------------

DTYPES = [
    np.float16,
    ml_dtypes.bfloat16,
    np.float32,
    np.float64,
    np.int8,
    np.uint8,
    np.int16,
    np.int32,
    np.int64,
    np.bool_,
]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_casts_agree_with_numpy(dtype):
    x = (np.arange(-20, 45) * 1.37).astype(np.float32)
    x = np.abs(x) if np.dtype(dtype).kind == "u" else x
    there = cast(x, dtype)
    assert there.dtype == dtype and np.array_equal(there, x.astype(dtype))
    assert np.array_equal(cast(there, np.float32), there.astype(np.float32))
    assert np.array_equal(cast(there, np.int64), there.astype(np.int64))


@pytest.mark.parametrize("dtype", [*DTYPES, np.complex64, np.complex128], ids=lambda d: np.dtype(d).name)
def test_copies_keep_every_bit(dtype):
    x = np.arange(-6, 6).reshape(3, 4)
    x = (x + 1j * x[::-1]).astype(dtype) if np.dtype(dtype).kind == "c" else x.astype(np.float32).astype(dtype)
    out = np.zeros((4, 6), dtype)
    copy_into(out[:, ::2], x.T)
    assert np.array_equal(out[:, ::2], x.T) and not out[:, 1::2].any()


def test_copy_keeps_the_payload_of_a_nan():
    bits = np.array([0x7FC01234, 0xFFC00001], np.uint32)
    out = np.empty(2, np.float32)
    copy_into(out, bits.view(np.float32))
    assert np.array_equal(out.view(np.uint32), bits)


def test_halves_are_computed_in_float32_and_rounded_to_nearest():
    for dtype in (np.float16, ml_dtypes.bfloat16):
        a = np.linspace(1, 2, 300).astype(dtype)
        exact = a.astype(np.float32) * a.astype(np.float32) + np.float32(1e-3)
        assert np.array_equal(evaluate("a * a + 1e-3", a), exact.astype(dtype))


def test_float64_keeps_all_digits_of_numbers():
    x = np.array([1.0, 3.0])
    assert np.array_equal(evaluate("a * s + 0.1", x, s=0.1), x * 0.1 + 0.1)
    assert np.array_equal(evaluate("where(a > 2, 0.1, 0.2)", x), [0.2, 0.1])
    np.testing.assert_allclose(evaluate("pow(a, 3.3)", x), x**3.3, rtol=1e-14)


def test_integer_numbers_keep_all_digits():
    x = np.array([1, -(2**40)])
    assert np.array_equal(evaluate("a + s", x, s=2**40 + 1), x + 2**40 + 1)
    assert np.array_equal(evaluate("a + s", x, s=1), x + 1)


def test_bools_are_numbers_in_arithmetic_and_bytes_in_memory():
    m, n = np.array([True, True, False, False]), np.array([True, False, True, False])
    table = {"a + b": m | n, "a * b": m & n, "~a": ~m, "a & b": m & n, "a ^ b": m ^ n, "a < b": m < n,
             "maximum(a, b)": m | n, "where(a, b, a)": np.where(m, n, m), "a == b": m == n}  # fmt: skip
    for expr, expected in table.items():
        y = evaluate(expr, m, n, out=np.bool_)
        assert np.array_equal(y, expected) and set(y.view(np.uint8)) <= {0, 1}, expr
    assert np.array_equal(evaluate("a * b", np.float32([2, 3, 4, 5]), n), [2, 0, 4, 0])
    assert np.array_equal(evaluate("a + b", m, n, out=np.int64), [2, 1, 1, 0])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64], ids=lambda d: np.dtype(d).name)
def test_integer_rules(dtype):
    rng = np.random.default_rng(3)
    a = rng.integers(0 if dtype is np.uint8 else -100, 100, 300).astype(dtype)
    b = rng.integers(1, 9, 300).astype(dtype)
    signed = b if dtype is np.uint8 else b * rng.choice([-1, 1], 300).astype(dtype)
    for expr, f in {"floor_divide(a, b)": np.floor_divide, "remainder(a, b)": np.remainder, "fmod(a, b)": np.fmod,
                    "a * b": np.multiply, "minimum(a, b)": np.minimum, "-a + b": lambda a, b: -a + b,
                    "where(a < b, 0, a)": lambda a, b: np.where(a < b, 0, a)}.items():  # fmt: skip
        assert np.array_equal(evaluate(expr, a, signed), f(a, signed).astype(dtype)), expr
    for expr, f in {"a << b": np.left_shift, "a >> b": np.right_shift, "pow(a, b)": np.power}.items():
        assert np.array_equal(evaluate(expr, a, b), f(a, b)), expr
    wide = np.array([8 * a.itemsize + 3], dtype)
    assert np.array_equal(evaluate("a << b", a, wide), np.zeros_like(a))
    assert np.array_equal(evaluate("a >> b", a, wide), np.where(a < 0, -1, 0).astype(dtype))


def test_negative_powers_of_integers():
    a = np.array([1, -1, -1, 2, 0], np.int64)
    b = np.array([-3, -3, -2, -1, -1], np.int64)
    assert evaluate("pow(a, b)", a, b).tolist() == [1, -1, 1, 0, 0]


@pytest.mark.parametrize(
    "dtype, value", [(np.float64, 0.1), (np.int64, 2**40 + 1), (np.bool_, True), (ml_dtypes.bfloat16, 1.5)]
)
def test_fill_writes_views_and_only_them(dtype, value):
    out = np.zeros((4, 5), dtype)
    fill(out[:, 1:3], value)
    assert (out[:, 1:3] == np.array(value, dtype)).all() and not out[:, 3:].any()


def test_complex_numbers_have_no_arithmetic_here():
    z = np.ones(3, np.complex64)
    with pytest.raises(TypeError, match="no elementwise kernel takes complex64"):
        evaluate("a + a", z)
    with pytest.raises(RuntimeError, match="no kernel casts complex64 to float32"):
        copy_into(np.empty(3, np.float32), z)
    fill(z[1:], 2 - 3j)
    assert z.tolist() == [1, 2 - 3j, 2 - 3j]


# ---- device functions ----------------------------------------------------------------------------------------------

# name: (range, largest error in units of the last place for float32, for float64)
ACCURACY = {
    "exp": ((-100, 88), np.exp, 3, 2), "exp2": ((-120, 127), np.exp2, 3, 2), "expm1": ((-20, 20), np.expm1, 4, 3),
    "log": ((1e-30, 1e3), np.log, 3, 2), "log2": ((1e-30, 1e3), np.log2, 3, 2), "log10": ((1e-30, 1e3), np.log10, 3, 3),
    "log1p": ((-0.999, 10), np.log1p, 4, 3), "sqrt": ((0, 100), np.sqrt, 0.5, 0.5),
    "rsqrt": ((1e-3, 100), lambda x: 1 / np.sqrt(x), 2, 2), "sin": ((-10, 10), np.sin, 2, 2),
    "cos": ((-10, 10), np.cos, 2, 2), "tan": ((-10, 10), np.tan, 3, 3), "asin": ((-1, 1), np.arcsin, 4, 4),
    "acos": ((-1, 1), np.arccos, 4, 4), "atan": ((-30, 30), np.arctan, 3, 3), "sinh": ((-80, 80), np.sinh, 5, 4),
    "cosh": ((-80, 80), np.cosh, 5, 4), "tanh": ((-12, 12), np.tanh, 2, 4), "asinh": ((-100, 100), np.arcsinh, 4, 4),
    "acosh": ((1, 1e3), np.arccosh, 3, 3), "atanh": ((-0.99999, 0.99999), np.arctanh, 4, 4),
    "sigmoid": ((-80, 80), lambda x: 1 / (1 + np.exp(-x)), 4, 3), "round": ((-9, 9), np.rint, 0, 0),
    "floor": ((-9, 9), np.floor, 0, 0), "ceil": ((-9, 9), np.ceil, 0, 0), "trunc": ((-9, 9), np.trunc, 0, 0),
    "abs": ((-9, 9), np.abs, 0, 0), "sign": ((-9, 9), np.sign, 0, 0),
}  # fmt: skip
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("name", ACCURACY)
def test_accuracy_of_functions(name, dtype):
    (low, high), f, *limits = ACCURACY[name]
    rng = np.random.default_rng(5)
    tiny = rng.uniform(max(low, -1), min(high, 1), 200) * 10.0 ** rng.uniform(-12, 0, 200)
    x = np.concatenate([rng.uniform(low, high, 800), np.clip(tiny, low, high)]).astype(dtype)
    with np.errstate(all="ignore"):
        exact = f(x.astype(np.longdouble))
    y = evaluate(f"{name}(a)", x)
    error = np.abs(y.astype(np.longdouble) - exact) / np.spacing(
        np.maximum(np.abs(exact).astype(dtype), np.finfo(dtype).tiny)
    )
    assert error.max() <= limits[dtype is np.float64] + 1e-3
    if name != "sign":  # 0 for NaN, as in PyTorch
        special = np.array(SPECIAL, dtype)
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(evaluate(f"{name}(a)", special), f(special), rtol=1e-6)


def test_functions_keep_the_sign_of_zero():
    zeros = np.array([0.0, -0.0], np.float32)
    for name in ("sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "expm1", "log1p", "round", "trunc"):
        assert np.signbit(evaluate(f"{name}(a)", zeros)).tolist() == [False, True], name
    assert np.signbit(evaluate("-a", zeros)).tolist() == [True, False]


def test_pow_follows_the_rules_of_c():
    values = np.array([0.0, -0.0, 1, -1, 2, -2, 0.5, -0.5, np.inf, -np.inf, np.nan, 3, -3, 1e30])
    for dtype in (np.float32, np.float64):
        a, b = (v.ravel().astype(dtype) for v in np.meshgrid(values, values))
        with np.errstate(all="ignore"):
            expected = np.power(a, b)
        y = evaluate("pow(a, b)", a, b)
        np.testing.assert_allclose(y, expected, rtol=1e-6)
        assert np.array_equal(np.signbit(y[~np.isnan(y)]), np.signbit(expected[~np.isnan(y)]))
    rng = np.random.default_rng(7)
    a, b = rng.uniform(0.1, 9, 500).astype(np.float32), rng.uniform(-30, 30, 500).astype(np.float32)
    np.testing.assert_allclose(evaluate("pow(a, b)", a, b), np.power(a.astype(float), b), rtol=5e-7)


@pytest.mark.parametrize("expr, f", [
    ("fmod(a, b)", np.fmod), ("remainder(a, b)", np.remainder), ("floor_divide(a, b)", np.floor_divide),
    ("maximum(a, b)", np.maximum), ("minimum(a, b)", np.minimum), ("copysign(a, b)", np.copysign),
    ("atan2(a, b)", np.arctan2),
])  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])
def test_functions_of_two(expr, f, dtype):
    values = np.array([0.0, -0.0, 1, -1, 2, -2, 0.5, np.inf, -np.inf, np.nan, 1e30, 3e10])
    a, b = (v.ravel() for v in np.meshgrid(values, values))
    rng = np.random.default_rng(8)
    a = np.concatenate([a, rng.uniform(-100, 100, 400)]).astype(dtype)
    b = np.concatenate([b, rng.uniform(-5, 5, 400)]).astype(dtype)
    with np.errstate(all="ignore"):
        expected = f(a, b)
    y = evaluate(expr, a, b)
    np.testing.assert_allclose(y, expected, rtol=1e-6 if "atan" in expr else 0)
    if expr[0] in "ac":
        ok = ~np.isnan(expected)
        assert np.array_equal(np.signbit(y[ok]), np.signbit(expected[ok]))


def test_the_error_function_and_gamma_family_against_python():
    import math

    x = np.random.default_rng(9).uniform(-4, 9, 200)
    for name, f, near in (("erf", math.erf, 1e-15), ("erfc", math.erfc, 1e-14), ("lgamma", math.lgamma, 1e-13)):
        expected = np.array([f(v) for v in x])
        y = evaluate(f"{name}(a)", x)
        assert np.abs(y - expected).max() <= near * 30, name
        single = evaluate(f"{name}(a)", x.astype(np.float32))
        np.testing.assert_allclose(single, [f(float(v)) for v in x.astype(np.float32)], rtol=2e-6, atol=1e-6)
    tail = np.array([9.5, 15.0, 26.0])
    np.testing.assert_allclose(evaluate("erfc(a)", tail), [math.erfc(v) for v in tail], rtol=1e-13)
    y = np.concatenate([np.linspace(-0.99, 0.99, 60), [1 - 1e-9, 1 - 1e-15]])
    inverse = evaluate("erfinv(a)", y)
    back = np.where(
        np.abs(y) < 0.9,
        [math.erf(v) for v in inverse],
        np.sign(y) * (1 - np.array([math.erfc(abs(v)) for v in inverse])),
    )
    np.testing.assert_allclose(back, y, rtol=1e-14)
    assert evaluate("erfinv(a)", np.array([1.0, -1.0, 0.0])).tolist() == [np.inf, -np.inf, 0.0]
    h = 1e-5  # digamma and polygamma1 as derivatives
    z = np.array([0.3, 1.7, 6.2, 30.0, -1.4])
    slope = (evaluate("lgamma(a)", z + h) - evaluate("lgamma(a)", z - h)) / (2 * h)
    np.testing.assert_allclose(evaluate("digamma(a)", z), slope, rtol=1e-7, atol=1e-8)
    slope = (evaluate("digamma(a)", z + h) - evaluate("digamma(a)", z - h)) / (2 * h)
    np.testing.assert_allclose(evaluate("polygamma1(a)", z), slope, rtol=1e-7)


def test_bessel_airy_and_scaled_error_functions_against_their_definitions():
    from tritorch.kernels import _bessel as bs

    rng = np.random.default_rng(0)
    x = np.concatenate(
        [rng.uniform(-30, 30, 300), rng.uniform(-3, 3, 100), [0, -0.0, 8, -8, 2, -4, -9, 1e5, 1e-8], SPECIAL]
    )
    table = {"i0": bs.i0, "i0e": bs.i0e, "i1": bs.i1, "i1e": bs.i1e, "bessel_j0": bs.j0, "bessel_j1": bs.j1, "bessel_y0": bs.y0,
             "bessel_y1": bs.y1, "bessel_k0": bs.k0, "bessel_k1": bs.k1, "bessel_k0e": bs.k0e, "bessel_k1e": bs.k1e,
             "airy_ai": bs.airy, "erfcx": bs.erfcx, "log_ndtr": bs.log_ndtr}  # fmt: skip
    with np.errstate(all="ignore"):
        for name, f in table.items():
            np.testing.assert_allclose(evaluate(f"{name}(a)", x), f(x), rtol=1e-12, atol=1e-13, err_msg=name)
        p = np.concatenate([rng.uniform(0, 1, 100), [0, 1, 1e-10, 1e-200, 0.02, 0.98, -1, 2, np.nan]])
        np.testing.assert_allclose(evaluate("ndtri(a)", p), bs.ndtri(p), rtol=1e-12, atol=1e-14)


def test_zeta_and_the_incomplete_gamma_functions_against_their_definitions():
    from tritorch.kernels import _gamma as gm

    rng = np.random.default_rng(2)
    s, q = rng.uniform(1, 20, 200), rng.uniform(-9, 20, 200)
    s[100:] = np.round(s[100:])
    s[:6], q[:6] = [1, 0.5, 3, 3, 4, np.nan], [2, 2, 0, -2, np.nan, 1]
    a = np.concatenate([rng.uniform(0.01, 200, 200), [0, 1, np.inf, 0, 2, -1, np.nan, 1e4, 1e-5]])
    x = np.concatenate(
        [a[:100] * rng.uniform(0.8, 1.2, 100), rng.uniform(0, 200, 100), [1, 0, 1, 0, np.inf, 1, 1, 1.01e4, 1e-5]]
    )
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(evaluate("zeta(a, b)", s, q), gm.zeta(s, q), rtol=1e-13)
        np.testing.assert_allclose(evaluate("igamma(a, b)", a, x), gm.gammainc(a, x), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(evaluate("igammac(a, b)", a, x), gm.gammaincc(a, x), rtol=1e-11, atol=1e-14)
        for n in (0, 1, 2, 5):
            np.testing.assert_allclose(
                evaluate("polygamma(a, n)", np.abs(q), n=n), gm.polygamma(np.abs(q), n), rtol=1e-13
            )


def test_orthogonal_polynomials_of_every_degree():
    from tritorch.kernels._gamma import POLYNOMIALS

    rng = np.random.default_rng(3)
    x, n = rng.uniform(-1, 1, 60), rng.integers(-2, 12, 60).astype(float)
    for name, f in POLYNOMIALS.items():
        np.testing.assert_array_equal(evaluate(f"{name}(a, b)", x, n), f(x, n), err_msg=name)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.int64], ids=lambda d: np.dtype(d).name)
def test_divisors_and_multiples_of_integers(dtype):
    low = 0 if dtype is np.uint8 else -100
    a, b = np.random.default_rng(4).integers(low, 100, (2, 300)).astype(dtype)
    a[:3], b[:3] = [0, 0, 7], [0, 9, 0]
    assert np.array_equal(evaluate("gcd(a, b)", a, b), np.gcd(a, b))
    if np.dtype(dtype).itemsize > 1:
        assert np.array_equal(evaluate("lcm(a, b)", a, b), np.lcm(a, b))
    assert np.array_equal(evaluate("gcd(a, b)", a[:3, None], b[None]), np.gcd(a[:3, None], b[None]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])
def test_nextafter_moves_one_bit(dtype):
    info = np.finfo(dtype)
    values = [
        0.0,
        -0.0,
        1,
        -1,
        1.5,
        info.max,
        -info.max,
        info.tiny,
        -info.tiny,
        info.smallest_subnormal,
        np.inf,
        -np.inf,
        np.nan,
    ]
    a, b = (v.ravel() for v in np.meshgrid(np.array(values, dtype), np.array(values, dtype)))
    with np.errstate(all="ignore"):
        y, expected = evaluate("nextafter(a, b)", a, b), np.nextafter(a, b)
    np.testing.assert_array_equal(y, expected)
    ok = ~np.isnan(expected)
    assert np.array_equal(np.signbit(y[ok]), np.signbit(expected[ok]))


def test_tests_for_nan_and_infinity():
    x = np.array([1, np.nan, np.inf, -np.inf], np.float32)
    for name, f in (("isnan", np.isnan), ("isinf", np.isinf), ("isfinite", np.isfinite)):
        assert np.array_equal(evaluate(f"{name}(a)", x, out=np.bool_), f(x))
        assert np.array_equal(evaluate(f"{name}(a)", np.arange(3), out=np.bool_), f(np.arange(3)))


# ---- the table -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", TABLE, ids=lambda line: line.name)
def test_every_line_of_the_table(line):
    rng = np.random.default_rng(11)
    for args, params in line.samples(rng):
        params = tuple(params.values()) if isinstance(params, dict) else tuple(params)
        scalars = dict(zip(line.params, params)) or None
        for dtype, tol in ((np.float32, 5e-6), (np.float64, 1e-12)):
            arrays = tuple(a.astype(dtype) if a.dtype.kind == "f" else a for a in map(np.asarray, args))
            expected = np.asarray(line.cpu(*arrays, *params))
            (y,) = pointwise(line.name, (line.triton,), line.inputs, arrays, (expected.dtype,), scalars)
            np.testing.assert_allclose(y.astype(float), expected.astype(float), rtol=tol, atol=tol)
            rules = [(i, r) for i, r in enumerate(line.rules) if r is not None]
            if not rules or expected.dtype.kind != "f":
                continue
            g = rng.normal(size=expected.shape).astype(dtype)
            found = pointwise(
                line.name + "_bwd", tuple(r for _, r in rules), ("g", *line.inputs, "y"), (g, *arrays, expected),
                (np.dtype(dtype),) * len(rules), scalars,
            )  # fmt: skip
            for (i, _), gx in zip(rules, found):
                wanted = line.rule(i, False)(g, *arrays, expected, *params)
                np.testing.assert_allclose(gx, np.broadcast_to(wanted, gx.shape), rtol=4 * tol, atol=4 * tol)


# ---- the language --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expr, words", [
    ("a ** 2", "operator Pow is not in the language"), ("a // 2", "operator FloorDiv"), ("a if a else b", "IfExp"),
    ("a < b < 3", "comparisons are not chained"), ("q + 1", "'q' is not an operand"),
    ("softmax(a)", "'softmax' is not a function"),
    ("a.sum()", "bare names"), ("a[0]", "Subscript"), ("not a", "operator Not"), ("a and b", "BoolOp"),
])  # fmt: skip
def test_what_the_language_does_not_have(expr, words):
    with pytest.raises(ValueError, match=words):
        evaluate(expr, X[0, 0, 0], X[0, 0, 0])


def test_translation_reads_like_the_expression():
    def triton(text, compute=F32):
        return _expressions.translate(text, ("x", "g", "m"), frozenset("m"), np.dtype(compute))

    assert triton("g * exp(-x)") == "g * _exp(_neg(x))"
    assert triton("g / x") == "tl.div_rn(g, x)" and triton("g / x", F64) == "g / x"
    assert triton("x / 8") == "x * 0.125"
    assert triton("where(m, x, 0)") == "tl.where(m, x, 0)"
    assert triton("x * m") == "x * m.to(tl.float32)"
    assert triton("pow(x, 2)") == "x * x" and triton("pow(x, 3.5)") == "_pow(x, tl.full((1,), 3.5, tl.float32))"
    assert triton("0.5") == "tl.full((1,), 0.5, tl.float32)"


def test_the_kernel_says_what_it_does():
    evaluate("a + b * b", WIDE, WIDE[0])
    route = next(r for r in reversed(list(_pointwise._routes.values())) if r.kernel is not None)
    assert "a + b * b, over 2 dims" in route.kernel.__doc__ and "b_ptr: dense, broadcast" in route.kernel.__doc__
