"""float16 by bits: every number, every tie, on small and large arrays; ops on halves as if in float32."""

from __future__ import annotations

import numpy as np
import pytest

import tritorch as torch
from tritorch.kernels._blocks import LARGE
from tritorch.kernels._halves import convert, narrow16, through_float32, widen

EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)


def equal(a: np.ndarray, b: np.ndarray) -> None:
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    np.testing.assert_array_equal(a, b)
    number = ~np.isnan(a)
    np.testing.assert_array_equal(np.signbit(a)[number], np.signbit(b)[number])


def test_every_half_widens():
    equal(widen(EVERY), EVERY.astype(np.float32))
    equal(widen(EVERY.reshape(256, 256).T), EVERY.reshape(256, 256).T.astype(np.float32))
    equal(widen(EVERY[:9]), EVERY[:9].astype(np.float32))


def test_floats_round_as_numpy_rounds_them():
    rng = np.random.default_rng(0)
    some = rng.integers(0, 1 << 32, 1 << 19, dtype=np.uint32).view(np.float32)
    exact = EVERY[:0x7C00].astype(np.float32)
    ties = (exact[1:] + exact[:-1]) / 2
    near = [np.nextafter(ties, np.float32(v)) for v in (-np.inf, np.inf)]
    ends = np.float32([65519.996, 65520, 65536, 1e38, np.inf, np.nan, 0, 2**-25, 2**-25 + 2**-40, 1e-45])
    for x in (some, EVERY.astype(np.float32), ties, *near, np.tile(ends, 500)):
        for v in (x, -x):
            with np.errstate(all="ignore"):
                equal(narrow16(v), v.astype(np.float16))


@pytest.mark.parametrize("size", [7, 5000, LARGE + 3])
def test_convert_there_and_back(size):
    rng = np.random.default_rng(1)
    x = (rng.normal(size=size) * 10.0 ** rng.integers(-6, 5, size)).astype(np.float32)
    half = convert(x, np.dtype(np.float16))
    equal(half, x.astype(np.float16))
    equal(convert(half, np.dtype(np.float32)), half.astype(np.float32))


def test_results_go_where_they_belong():
    out = np.zeros(EVERY.size, np.float32)
    assert widen(EVERY, out=out) is out
    back = np.zeros(EVERY.size, np.float16)
    assert narrow16(out, out=back) is back
    equal(back, EVERY)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_ops_are_those_of_float32_rounded(dtype):
    torch.manual_seed(0)
    x = torch.randn(LARGE + 5).to(dtype).requires_grad_()
    y = torch.nn.functional.gelu(x) * x
    y.sum().backward()
    part = x.detach()[-50:].clone().requires_grad_()
    small = torch.nn.functional.gelu(part) * part
    small.sum().backward()
    assert torch.equal(y[-50:], small)
    assert torch.equal(x.grad[-50:], part.grad)
    wide = torch.nn.functional.gelu(part.detach().float()).to(dtype)
    assert torch.equal(wide, torch.nn.functional.gelu(part.detach()))


def test_only_float32_results_are_rounded():
    less = through_float32(np.less, np.dtype(np.float16))
    assert less(EVERY[:4], EVERY[1:5]).dtype == bool
    assert through_float32(np.add, np.dtype(np.float16))(EVERY[:4], 1.0).dtype == np.float16


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    "f",
    [
        torch.exp, torch.sqrt, torch.isnan, torch.sign, torch.nan_to_num, torch.nn.functional.gelu,
        lambda x: torch.nn.functional.threshold(x, 0.1, 0.0), lambda x: torch.nn.functional.threshold(x, 0.1, -0.0),
        lambda x: x * 3, lambda x: x + 0.5, lambda x: 2 - x, lambda x: 1 / x, lambda x: x**3, lambda x: x < 1,
        lambda x: torch.clamp(x, -1, 2), lambda x: x.T.exp().T, lambda x: x[:, ::2].log1p().repeat(1, 2),
    ],
)  # fmt: skip
def test_large_arrays_are_looked_up(dtype, f):
    """The same bits as of small arrays, which are computed."""
    x = torch.tensor(np.tile(EVERY.view(np.int16), 2 * LARGE >> 16)).view(dtype).reshape(-1, 2048)
    large, small = f(x), f(x[:32])
    assert large.dtype == small.dtype
    step = len(small)
    for i in range(0, len(x), step):
        same = large[i : i + step].eq(small) & (large[i : i + step].signbit() == small.signbit())
        assert (same | small.isnan() & large[i : i + step].isnan()).all()
