"""The counter streams of cuda: kernels against the NumPy twin and Triton's own functions, on the emulated device."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tritorch.device import EMULATED, device, empty, to_device, to_host
from tritorch.kernels import philox as P
from tritorch.random import Generator

if not EMULATED:
    pytest.skip("the emulated device: set TRITON_INTERPRET=1", allow_module_level=True)

FLOATS = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]
CASES = [(P.UNIFORM, -1.0, 3.0), (P.NORMAL, 0.5, 2.0), (P.LOG_NORMAL, 0.0, 0.5), (P.EXPONENTIAL, 2.0, 0.0),
         (P.CAUCHY, 1.0, 2.0), (P.GEOMETRIC, 0.3, 0.0), (P.BERNOULLI, 0.3, 0.0)]  # fmt: skip


def generator(seed: int = 7, offset: int = 0) -> Generator:
    g = Generator(device("cuda:0")).manual_seed(seed)
    g.set_offset(offset)
    return g


def test_known_answer():
    """The published answers of Philox-4x32-10 for key and counter 0."""
    expected = [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert P.words(0, 0, 4).tolist() == expected


@pytest.mark.parametrize("np_dtype", FLOATS)
@pytest.mark.parametrize(("kind", "a", "b"), CASES)
@pytest.mark.parametrize("n", [1, 5, 2500])
def test_fill_equals_the_twin(np_dtype, kind, a, b, n):
    """Equal bits for all distributions and float types, also with a counter over 32 bits."""
    for seed, offset in ((7, 0), (2**63 + 5, 2**32 - 100)):
        out = empty((n,), np_dtype, 0)
        P.fill(out, kind, a, b, generator(seed, offset))
        expected = P.reference(kind, n, np_dtype, a, b, seed, offset)
        got = to_host(out)
        if kind in (P.UNIFORM, P.BERNOULLI):
            np.testing.assert_array_equal(got, expected)
        else:
            np.testing.assert_allclose(
                got.astype(float), expected.astype(float), rtol=1e-6 if np_dtype != np.float16 else 1e-3
            )


@pytest.mark.parametrize("np_dtype", [np.int64, np.int32, np.uint8, np.bool_, np.float32, np.float16])
@pytest.mark.parametrize(("low", "span"), [(0, 2), (0, 1), (-5, 100), (3, 2**28), (-(2**62), 2**63), (-(2**63), 2**64)])
def test_integers(np_dtype, low, span):
    """All integers of narrow ranges; wide ranges where the type holds them."""
    if span > 2 and np_dtype == np.bool_ or span > 100 and np_dtype != np.int64 or low < 0 and np_dtype == np.uint8:
        low, span = 0, 2
    out = empty((1500,), np_dtype, 0)
    P.integers(out, low, span, generator(11))
    np.testing.assert_array_equal(to_host(out), P.reference(P.INTEGER, 1500, np_dtype, low, span, 11, 0))


def test_bernoulli_by_tensor():
    p = np.random.default_rng(0).random(2000).astype(np.float32)
    out = empty((2000,), np.float32, 0)
    P.bernoulli_tensor(out, to_device(p, 0), generator(3))
    np.testing.assert_array_equal(to_host(out), P.uniform32(3, 0, 2000) < p)


def test_offsets_do_not_overlap():
    """Two fills one after the other are the halves of one."""
    g = generator(5)
    first, second, both = (empty((n,), np.float32, 0) for n in (400, 400, 800))
    P.fill(first, P.UNIFORM, 0.0, 1.0, g)
    P.fill(second, P.UNIFORM, 0.0, 1.0, g)
    P.fill(both, P.UNIFORM, 0.0, 1.0, generator(5))
    np.testing.assert_array_equal(np.concatenate([to_host(first), to_host(second)]), to_host(both))
    assert g.get_offset() == 200


def test_not_contiguous():
    """A transposed array gets its numbers in the order of indices."""
    out = empty((6, 10), np.float32, 0)
    P.fill(out.T, P.UNIFORM, 0.0, 1.0, generator(5))
    np.testing.assert_array_equal(to_host(out).T.reshape(-1), P.uniform32(5, 0, 60))


def test_moments():
    """Mean and variance of a large normal sample, within 5 standard errors."""
    x = P.reference(P.NORMAL, 200_000, np.float32, 0.0, 1.0, 1, 0).astype(float)
    assert abs(x.mean()) < 5 / 200_000**0.5
    assert abs(x.var() - 1) < 5 * (2 / 200_000) ** 0.5
