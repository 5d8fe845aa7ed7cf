"""Functions on bits and formulas of several passes: against NumPy's own slow ones, on special values and random ones."""

from __future__ import annotations

import numpy as np
import pytest

from tritorch.kernels import _special as special

RNG = np.random.default_rng(0)
VALUES = [0, -0.0, 1, -1, 0.5, 2, -7.3, 1e-40, -1e-45, 1e-30, 1e10, -1e20, 1e30, 3e38, np.inf, -np.inf, np.nan]
KINDS = [np.float32, np.float64]


def pairs(kind: type) -> tuple[np.ndarray, np.ndarray]:
    a, b = (v.reshape(-1) for v in np.meshgrid(VALUES, VALUES))
    c, d = RNG.normal(size=(2, 6000)) * 10.0 ** RNG.integers(-3, 4, (2, 6000))
    return np.concatenate([a, c]).astype(kind), np.concatenate([b, d]).astype(kind)


def same_bits(got: np.ndarray, want: np.ndarray) -> None:
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
    number = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got)[number], np.signbit(want)[number])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["copysign", "nextafter"])
def test_on_bits(name, kind):
    a, b = pairs(kind)
    fn, want = getattr(special, name), getattr(np, name)
    same_bits(fn(a, b), want(a, b))
    same_bits(fn(a[::2], b[::2]), want(a[::2], b[::2]))
    same_bits(np.asarray(fn(a[:5, None], b[:3])), want(a[:5, None], b[:3]))
    same_bits(np.asarray(fn(a, -2.0)), want(a, kind(-2)))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["hypot", "logaddexp", "logaddexp2"])
def test_formulas(name, kind):
    a, b = pairs(kind)
    got, want = getattr(special, name)(a, b), getattr(np, name)(a, b)
    assert got.dtype == kind
    near = {"atol": 4 * np.finfo(kind).eps} if name != "hypot" else {}
    np.testing.assert_allclose(got, want, rtol=6 * np.finfo(kind).eps, **near)
    out = np.empty_like(a)
    assert getattr(special, name)(a, b, out=out) is out
    np.testing.assert_array_equal(out, got)
    assert np.shape(getattr(special, name)(a[0].reshape(()), b[0].reshape(()))) == ()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("c", [-7, -3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 4, 5, 10, 1.5, -2.5, 1 / 3, 31])
def test_powers(kind, c):
    a, _ = pairs(kind)
    want = np.power(a, kind(c))
    got = special.pow_scalar(a, c)
    if c in (0.5, -0.5):  # PyTorch's are roots: NaN for -inf, -inf for -0.0
        a = np.where(np.isneginf(a) | (a == 0), kind(1), a)
        got, want = special.pow_scalar(a, c), np.power(a, kind(c))
    assert got.dtype == kind
    tiny = np.finfo(kind).tiny  # a quotient of squares that overflow is 0 where the power is subnormal
    np.testing.assert_allclose(got, want, rtol=4 * np.finfo(kind).eps, atol=tiny)
    np.testing.assert_array_equal(np.signbit(got[want == 0]), np.signbit(want[want == 0]))


@pytest.mark.parametrize("kind", KINDS)
def test_signs_and_replacements(kind):
    x = np.tile(np.array(VALUES, kind), 400)
    np.testing.assert_array_equal(special.sign(x), np.where(np.isnan(x), 0, np.sign(x)))
    with np.errstate(all="ignore"):
        want = np.nan_to_num(x, nan=1.5, posinf=9.0, neginf=-9.0)
    np.testing.assert_array_equal(special.nan_to_num(x, 1.5, 9.0, -9.0), want)
    fine = np.ones(5000, kind)
    copied = special.nan_to_num(fine, 0.0, 1.0, 2.0)
    assert copied is not fine
    np.testing.assert_array_equal(copied, fine)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_products_with_logarithms_and_sinc():
    a, b = pairs(np.float64)
    with np.errstate(all="ignore"):
        want = np.where((a == 0) & ~np.isnan(b), 0, a * np.log(b))
    np.testing.assert_array_equal(special.xlogy(a, b), want)
    np.testing.assert_array_equal(special.xlogy(a[:3, None], b[:7]), want_of(a[:3, None], b[:7]))
    x = np.concatenate([[0.0, -0.0], RNG.normal(size=5000)])
    np.testing.assert_allclose(special.sinc(x), np.sinc(x), rtol=1e-14, atol=1e-16)


def want_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.where((a == 0) & ~np.isnan(b), 0, a * np.log(b))


def test_lerp_meets_both_ends():
    a, b = RNG.normal(size=(2, 5000)).astype(np.float32)
    for c in (0.0, 1.0, 0.3, 0.7):
        got = special.lerp(a, b, c)
        np.testing.assert_array_equal(got, special.lerp(a, b, np.full_like(a, c)))
        np.testing.assert_allclose(got, a + c * (b.astype(np.float64) - a), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(special.lerp(a, b, 1.0), b)
    assert special.lerp(a[:3], b[:3], np.ones((1, 1), np.float32)).shape == (1, 3)


def test_logit_derivative():
    x, g = RNG.uniform(-0.5, 1.5, 5000), RNG.normal(size=5000)
    with np.errstate(all="ignore"):
        gx, clamped = special.logit_grad(g, x, None, -1.0), special.logit_grad(g, x, None, 0.1)
    outside = (x < 0) | (x > 1)
    assert np.isnan(gx[outside]).all()
    np.testing.assert_allclose(gx[~outside], (g / (x * (1 - x)))[~outside], rtol=1e-14)
    cut = (x < 0.1) | (x > 0.9)
    assert (clamped[cut] == 0).all()
    np.testing.assert_array_equal(clamped[~cut], gx[~cut])
