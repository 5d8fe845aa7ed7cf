"""Batch norm: running statistics on a device in one launch, in place, as on the CPU; moments that do not cancel."""

from __future__ import annotations

import numpy as np
import pytest

import tritorch as torch
from tritorch.device import EMULATED
from tritorch.kernels import _launch, _pointwise
from tritorch.kernels.batch_norm import _merge, _plane_moments

pytestmark = pytest.mark.skipif(not EMULATED, reason="about the emulated device")
F = torch.nn.functional


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("which", ["both", "mean", "var"])
def test_running_statistics(half, which, monkeypatch):
    names = []

    def launch(kernel, *args, **consts):
        names.append(kernel.__name__)
        _launch.launch(kernel, *args, **consts)

    monkeypatch.setattr(_pointwise, "launch", launch)
    x = torch.tensor(np.random.default_rng(0).normal(1, 2, (6, 3, 4, 5)).astype(np.float32))
    results = []
    for device in ("cpu", "cuda"):
        here = x.to(device).half() if half else x.to(device)
        mean, var = torch.full((3,), 0.5).to(device), torch.full((3,), 2.0).to(device)
        given = mean if which != "var" else None, var if which != "mean" else None
        places = mean.data_ptr(), var.data_ptr()
        for _ in range(2):
            F.batch_norm(here, *given, training=True, momentum=0.2)
        assert (mean.data_ptr(), var.data_ptr()) == places
        assert [t._vc is not None and t._vc.n == 2 for t in (mean, var)] == [g is not None for g in given]
        results.append((mean.cpu().numpy(), var.cpu().numpy()))
    assert names.count("_move_statistics") == 2
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-3 if half else 1e-6)
    if which != "var":
        assert not np.allclose(results[0][0], 0.5)


@pytest.mark.parametrize("means", [(0, 0, 0), (3, 3, 3), (1e4, 1e4, 1e4), (0, 3, 3), (0, 1e4, 1e4)])
def test_moments_of_planes_far_from_zero(means):
    """One pass over x where the means are near 0 (the first sample tells, all are checked), over x less a mean elsewhere."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(3, 16, 1000)) + np.reshape(means, (3, 1, 1))).astype(np.float32)
    mean, square = _plane_moments(x)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(2), rtol=1e-6, atol=1e-6)
    if len(set(means)) == 1:
        np.testing.assert_allclose(square, exact.var(2) * 1000, rtol=1e-4)
    _, var = _merge(mean, square, 1000, 0)
    np.testing.assert_allclose(var, exact.transpose(1, 0, 2).reshape(16, -1).var(1), rtol=1e-4)
