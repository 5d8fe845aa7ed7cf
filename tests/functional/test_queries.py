"""frexp on both devices, by its bits."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import tritorch as torch


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
def test_frexp(device, dtype):
    info = ml_dtypes.finfo(dtype)
    tiny, least, most = (float(v) for v in (info.smallest_normal, info.smallest_subnormal, info.max))
    rng = np.random.default_rng(0)
    x = np.array(
        [0.0, -0.0, 1, -1, 0.5, 8, tiny, -tiny, least, 3 * least, tiny - least, most, -most, np.inf, -np.inf, np.nan]
    )
    x = np.concatenate([x, rng.normal(size=500) * 2.0 ** rng.uniform(-12, 12, 500)]).astype(dtype).reshape(3, -1)
    mantissa, exponent = torch.frexp(torch.tensor(x, device=device))
    want, want_exponent = np.frexp(x.astype(np.float64))
    special = ~np.isfinite(want)
    assert exponent.dtype is torch.int32 and mantissa.cpu()._a.dtype == x.dtype
    np.testing.assert_array_equal(mantissa.cpu().double().numpy(), want)
    np.testing.assert_array_equal(np.signbit(mantissa.cpu().double().numpy()), np.signbit(want))
    np.testing.assert_array_equal(exponent.cpu().numpy()[~special], want_exponent[~special])
    assert not exponent.cpu().numpy()[special].any()


def test_layouts_and_gradients(device):
    x = torch.arange(1.0, 13, device=device).reshape(3, 4)
    assert torch.frexp(x.T).mantissa.tolist() == torch.frexp(x).mantissa.T.tolist()
    assert torch.frexp(x[:, ::2]).exponent.tolist() == [[1, 2], [3, 3], [4, 4]]
    assert torch.frexp(torch.ones(0, device=device)).mantissa.shape == (0,)
    x = torch.tensor([3.0, 10, 0.25], device=device).requires_grad_()
    torch.frexp(x).mantissa.sum().backward()
    assert x.grad.tolist() == [0.25, 1 / 16, 2]
    assert not torch.frexp(x).exponent.requires_grad
    with pytest.raises(RuntimeError, match="only supports floating-point"):
        torch.frexp(torch.tensor([1], device=device))
