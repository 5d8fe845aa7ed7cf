"""Clipping by the joint norm on cuda: the fused kernels against the composed path on the CPU."""

from __future__ import annotations

import numpy as np
import pytest

import tritorch as torch
from tritorch.kernels import clip
from tritorch.nn.utils import clip_grad_norm_, get_total_norm

SHAPES = [(3, 5), (4096 + 17,), (), (64, 64)]


def parameters(dtype, device, bad=None):
    rng = np.random.default_rng(0)
    made = []
    for shape in SHAPES:
        p = torch.nn.Parameter(torch.zeros(shape, dtype=dtype, device=device))
        p.grad = torch.tensor(rng.normal(size=shape)).to(dtype).to(device)
        made.append(p)
    if bad is not None:
        made[1].grad[4100] = bad
    return made


@pytest.mark.parametrize("dtype, eps", [(torch.float32, 1e-6), (torch.float64, 1e-12), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("p", [1.0, 2.0, float("inf"), 3.0])
@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_as_on_the_cpu(dtype, eps, p, limit, monkeypatch):
    here, there = parameters(dtype, "cpu"), parameters(dtype, "cuda")
    calls = []
    scale = clip.scale
    monkeypatch.setattr(clip, "scale", lambda *args: calls.append(scale(*args)))
    want, got = (clip_grad_norm_(list(v), limit, p) for v in (here, there))
    assert got.dtype is dtype and got.device.type == "cuda" and len(calls) == 1
    np.testing.assert_allclose(got.item(), want.item(), rtol=eps)
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(b.grad.cpu().double().numpy(), a.grad.double().numpy(), rtol=4 * eps, atol=1e-12)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("p", [1.0, 2.0, float("inf")])
def test_what_is_not_finite_shows(bad, p):
    found = get_total_norm([v.grad for v in parameters(torch.float32, "cuda", bad)], p).item()
    assert np.isnan(found) if np.isnan(bad) else found == np.inf
    with pytest.raises(RuntimeError, match="non-finite"):
        clip_grad_norm_(parameters(torch.float32, "cuda", bad), 1.0, p, error_if_nonfinite=True)


def test_two_runs_give_equal_bits_and_versions_count():
    bits = []
    for _ in range(2):
        given = parameters(torch.float32, "cuda")
        before = given[0].grad._version
        clip_grad_norm_(given, 0.1)
        assert given[0].grad._version > before
        bits.append([p.grad.cpu().numpy().tobytes() for p in given])
    assert bits[0] == bits[1]


def test_empty_gradients_count_for_nothing():
    some = [torch.zeros(2, 0, device="cuda"), torch.tensor([3.0, 4.0], device="cuda")]
    assert get_total_norm(some).item() == 5 and get_total_norm(some[:1]).item() == 0
