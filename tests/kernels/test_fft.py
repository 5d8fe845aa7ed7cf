"""Transforms of rows over threads and along any dim, against NumPy's in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from tritorch.kernels import fft
from tritorch.kernels._threads import get_num_threads, set_num_threads


@pytest.fixture(params=[1, 3])
def threads(request, monkeypatch):
    monkeypatch.setattr(fft, "_GRAIN", 64)
    monkeypatch.setattr(fft, "_FEW", 0)
    before = get_num_threads()
    set_num_threads(request.param)
    yield
    set_num_threads(before)


@pytest.mark.parametrize("shape", [(40, 30), (7, 50, 9), (130,)], ids=str)
def test_transforms(threads, shape):
    rng = np.random.default_rng(0)
    real = rng.normal(size=shape)
    for x in (real, real + 1j * rng.normal(size=shape), real.astype(np.float32), real.T):
        kind = np.complex64 if x.dtype == np.float32 else np.complex128
        atol = 1e-4 if kind == np.complex64 else 1e-12
        for dims in [(d,) for d in range(x.ndim)] + [tuple(range(x.ndim)), tuple(range(x.ndim))[::-1]]:
            for norm, name in enumerate(("backward", "ortho", "forward")):
                y = fft.fft_c2c.cpu(x, dims, norm, True)
                assert y.dtype == kind and y.flags.c_contiguous
                np.testing.assert_allclose(y, np.fft.fftn(x, axes=dims, norm=name), atol=atol)
                y = fft.fft_c2c.cpu(x, dims, norm, False)
                other = ("forward", "ortho", "backward")[norm]
                np.testing.assert_allclose(y, np.fft.ifftn(x, axes=dims, norm=other), atol=atol)
                if x.dtype.kind == "f":
                    y = fft.fft_r2c.cpu(x, dims, norm)
                    assert y.dtype == kind
                    np.testing.assert_allclose(y, np.fft.rfftn(x, axes=dims, norm=name), atol=atol)
                    back = fft.fft_c2r.cpu(y, dims, 2 - norm, x.shape[dims[-1]])
                    assert back.dtype == x.dtype
                    np.testing.assert_allclose(back, x, atol=atol)
