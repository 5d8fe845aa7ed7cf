"""fmod, remainder, floor_divide of float32: the exact ones bit for bit, on quotients large and small, signs, zeros, ends."""

from __future__ import annotations

import numpy as np
import pytest

from tritorch.kernels._remainder import floor_divide, fmod, remainder

RNG = np.random.default_rng(0)
SPECIAL = np.float32([0, -0.0, 1, -1, 3, -3, 0.1, -0.1, 7.3, 1e-40, -1e-45, 1e10, 3e38, -3e38, np.inf, -np.inf, np.nan])


def pairs() -> tuple[np.ndarray, np.ndarray]:
    a, b = (v.reshape(-1) for v in np.meshgrid(SPECIAL, SPECIAL))
    n = 20_000
    some = RNG.integers(-40, 40, n), RNG.integers(1, 9, n) * RNG.choice([-1, 1], n)
    wide = RNG.normal(size=n) * 10.0 ** RNG.integers(-8, 9, n), RNG.normal(size=n) * 10.0 ** RNG.integers(-3, 4, n)
    whole = np.rint(RNG.normal(size=n) * 1e3) * np.float32(0.1), np.full(n, 0.1)
    x = np.concatenate([a, some[0], wide[0], whole[0]]).astype(np.float32)
    return x, np.concatenate([b, some[1], wide[1], whole[1]]).astype(np.float32)


def equal(got: np.ndarray, want: np.ndarray) -> None:
    assert got.dtype == np.float32
    want = want.astype(np.float32)
    np.testing.assert_array_equal(got, want)
    number = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got)[number], np.signbit(want)[number])


def signed_remainder(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """By the definition, in float64, where fmod is exact."""
    r = np.fmod(x.astype(np.float64), y.astype(np.float64))
    return np.where((r != 0) & ((r < 0) != (y < 0)), r + y, r)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_bit_for_bit():
    x, y = pairs()
    equal(fmod(x, y), np.fmod(x.astype(np.float64), y.astype(np.float64)))
    equal(remainder(x, y), signed_remainder(x, y))
    q = x.astype(np.float64) / y
    small = np.abs(q) < 1 << 24
    small &= np.isfinite(y)
    equal(floor_divide(x, y)[small], np.floor(q[small]))
    zero = y == 0
    equal(floor_divide(x, y)[zero], (x / y)[zero])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("b", [0.1, -3, 2.5, 0.0, np.inf])
def test_numbers(b):
    x, _ = pairs()
    y = np.full_like(x, b)
    for fn in (fmod, remainder, floor_divide):
        equal(fn(x, b), fn(x, y))
        equal(fn(b, x), fn(y, x))


def test_columns_rows_and_single_numbers():
    x, y = np.float32([[7], [-7], [5.5]]), np.float32([2, -3])
    assert remainder(x, y).tolist() == [[1, -2], [1, -1], [1.5, -0.5]]
    assert fmod(x, y).tolist() == [[1, 1], [-1, -1], [1.5, 2.5]]
    assert floor_divide(x, y).tolist() == [[3, -3], [-4, 2], [2, -2]]
    assert remainder(np.float32(-7).reshape(()), 4.0) == 1


@pytest.mark.parametrize("fn", [fmod, remainder, floor_divide])
def test_integers_and_float64_are_numpys(fn):
    a, b = RNG.integers(-99, 99, 500), RNG.integers(1, 9, 500)
    for kind in (np.int64, np.int32, np.float64):
        want = {fmod: np.fmod, remainder: np.remainder, floor_divide: np.floor_divide}[fn](
            a.astype(kind), b.astype(kind)
        )
        np.testing.assert_array_equal(fn(a.astype(kind), b.astype(kind)), want)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        fn(a, np.zeros(500, np.int64))
