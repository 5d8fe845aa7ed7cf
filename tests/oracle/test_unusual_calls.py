# ruff: noqa: E501 - tables of one line per case
"""Calls that are allowed but rare, against torch: odd dtypes, missing dims, options left out or at their ends."""

from __future__ import annotations

import numpy as np
import pytest

from .compare import both, errors, integers, normal, torch, tritorch, uniform

CASES = {
    "flip by name": (lambda t, x: (t.flip(x, dims=(0, 1)), t.flip(x, dims=[-1]), x.flip(dims=(1,)), x.flip(0, 1)), normal(3, 4)),
    "rounded division": (lambda t, x, y: (t.div(x, y, rounding_mode="floor") + x, t.div(x, y, rounding_mode="trunc") + y, t.div(x, 0.3, rounding_mode="floor") + x), normal(3, 4), normal(3, 4, seed=1)),
    "nextafter": (lambda t, x, y: t.nextafter(x, y), normal(3), normal(3, seed=1)),
    "quantile of a q with a gradient": (lambda t, x, q: (t.quantile(x, q, 1), t.nanquantile(x, q), t.quantile(x, q, 0, interpolation="midpoint")), normal(4, 7), uniform(3)),
    "tensordot of bytes": (lambda t, x, y: t.tensordot(x.to(t.uint8), y.to(t.uint8), dims=([0, 1], [2, 0])), integers(9, 1, 1, 1), integers(9, 2, 1, 2)),
    "isclose of bools and bytes": (lambda t, x, y: (t.isclose(x > 1, y > 1), t.isclose((x > 1), y > 1, rtol=1.0), t.isclose(x.to(t.uint8), y.to(t.uint8), atol=1)), integers(4, 9), integers(4, 9, seed=1)),
    "addbmm of integers": (lambda t, m, a, b: [t.addbmm(m, a, b, alpha=k, beta=j) for k, j in ((2, 3), (0.6, 1.7), (-1.5, 0.2))], integers(9, 2, 2), integers(9, 3, 2, 4), integers(9, 3, 4, 2)),
    "baddbmm of integers": (lambda t, m, a, b: [t.baddbmm(m, a, b, alpha=k, beta=j) for k, j in ((2, 3), (0.6, 1.7), (-1.5, 0.2))], integers(9, 2, 2), integers(9, 3, 2, 4), integers(9, 3, 4, 2)),
    "addmv of integers": (lambda t, m, a, b: [t.addmv(m, a, b, alpha=k, beta=j) for k, j in ((2, 3), (0.6, 1.7))], integers(9, 3), integers(9, 3, 4), integers(9, 4)),
    "addr of bools": (lambda t, m, a, b: [t.addr(m > 4, a > 4, b > 4, alpha=k, beta=j) for k in (0, 1, 2, True) for j in (0, 1, 3, False)], integers(9, 3, 4), integers(9, 3), integers(9, 4)),
    "addr promotes": (lambda t, m, a, b: (t.addr(m, a, b.int()), t.addr(m > 4, a, b), t.addr(m, a.double(), b, alpha=2.5)), integers(9, 3, 4), integers(9, 3), integers(9, 4)),
    "native_group_norm": (lambda t, x, w, b: t.native_group_norm(x, w, b, 2, 6, 3, 2, 0.5), normal(2, 6, 3), normal(6), normal(6, seed=1)),
    "margins of a number": (lambda t, x, y: [getattr(t.nn.functional, f)(x, y, reduction=r) for f in ("multi_margin_loss", "multilabel_margin_loss") for r in ("none", "mean", "sum")], normal(), np.zeros((), np.int64)),
    "multilabel_margin_loss of one class": (lambda t, x: t.nn.functional.multilabel_margin_loss(x, t.tensor(0)), normal(1)),
    "batch_norm of nothing": (lambda t: t.nn.functional.batch_norm(t.zeros(0), t.zeros(0), t.zeros(0), training=True)),
    "hardtanh of integers": (lambda t, x: [t.nn.functional.hardtanh(x, a, b) for a, b in ((-0.5, 0.5), (-2.7, 2.7), (0, 1.0))], integers(9, 12, low=-9)),
    "local_response_norm of integers": (lambda t, x: [t.nn.functional.local_response_norm(x, n, alpha=0.5, k=3.0) for n in (2, 3, 5)], integers(9, 2, 7, 3, low=-9)),
    "linspace of integers": (lambda t: [t.linspace(a, b, n, dtype=k) for k in (t.uint8, t.int16, t.int32, t.int64) for a, b, n in ((0, 7, 50), (9, 2.5, 7), (1.9, 100, 23), (0, 21, 64))]),
    "logspace of integers": (lambda t: [t.logspace(a, b, n, base, dtype=k) for k in (t.uint8, t.int32, t.int64) for a, b, n, base in ((0, 1.2, 2, 5.0), (4.3, 0, 2, 2.0), (0, 3, 9, 2.5))]),
    "linear_cross_entropy": (lambda t, x, w, b, y: [t.nn.functional.linear_cross_entropy(x, w, y, linear_bias=b, reduction=r) for r in ("none", "mean", "sum")], normal(4, 3), normal(5, 2, 3), normal(5, 2), integers(5, 4, 2)),
    "linear_cross_entropy of probabilities": (lambda t, x, w, y: t.nn.functional.linear_cross_entropy(x, w, y, label_smoothing=0.1), normal(4, 3), normal(5, 2, 2, 3), uniform(4, 5, 2, 2)),
    "linear_cross_entropy of nothing": (lambda t, x, w: t.nn.functional.linear_cross_entropy(x, w, t.zeros(0, 2, dtype=t.int64), reduction="sum"), normal(0, 3), normal(5, 2, 3)),
}  # fmt: skip
ERRORS = {
    "isclose dtypes": lambda t: t.isclose(t.ones(2), t.ones(2, dtype=t.float64)),
    "isclose rtol": lambda t: t.isclose(t.ones(2), t.ones(2), rtol=-0.4),
    "isclose atol": lambda t: t.isclose(t.ones(2), t.ones(2), atol=-0.4),
    "isclose numbers": lambda t: t.isclose(t.ones(2), 1.0),
    "addr alpha": lambda t: t.addr(t.ones(2, 2, dtype=t.int64), t.ones(2, dtype=t.int64), t.ones(2, dtype=t.int64), alpha=0.5),
    "hardtanh of bools": lambda t: t.nn.functional.hardtanh(t.tensor([True]), 0, 1),
    "hardtanh of bytes": lambda t: t.nn.functional.hardtanh(t.ones(2, dtype=t.uint8)),
    "batch_norm of a vector": lambda t: t.nn.functional.batch_norm(t.zeros(3), None, None, training=True),
    "linear_cross_entropy dims": lambda t: t.nn.functional.linear_cross_entropy(t.ones(2, 3, 3), t.ones(2, 3), t.ones(3, 2)),
    "linear_cross_entropy one row": lambda t: t.nn.functional.linear_cross_entropy(t.ones(3), t.ones(5, 2, 3), t.zeros(2, dtype=t.int64)),
    "linear_cross_entropy bias": lambda t: t.nn.functional.linear_cross_entropy(t.ones(4, 3), t.ones(5, 3), t.zeros(4, dtype=t.int64), linear_bias=t.ones(4)),
    "linear_cross_entropy ignore": lambda t: t.nn.functional.linear_cross_entropy(t.ones(2, 3), t.ones(2, 3), t.ones(2, 2), ignore_index=0),
    "multi_margin_loss class": lambda t: t.nn.functional.multi_margin_loss(t.tensor(2.0), t.tensor(1)),
    "clamp_max of a number": lambda t: t.clamp_max(2, 3),
    "clamp_min of a number": lambda t: t.clamp_min(2, t.ones(3)),
    "complex of a number": lambda t: t.complex(t.ones(3), 2),
    "polar of a number": lambda t: t.polar(2.0, t.ones(3)),
    "rsub of numbers": lambda t: t.rsub(2, 3),
    "float_power of numbers": lambda t: t.float_power(2, 3),
    "masked_scatter by floats": lambda t: t.ones(3).masked_scatter(t.ones(3), t.ones(3)),
    "narrow from a bool": lambda t: t.ones(3).narrow(0, t.tensor(True), 1),
    "narrow from a vector": lambda t: t.ones(3).narrow(0, t.tensor([0, 1]), 1),
    "hsplit at a string": lambda t: t.hsplit(t.ones(4, 4), "abc"),
    "fftn of a number": lambda t: t.fft.fftn(t.tensor(1.0), dim=(0,)),
    "irfft2 of a number": lambda t: t.fft.irfft2(t.tensor(1.0), dim=(0,)),
    "adaptive_avg_pool2d dims": lambda t: t.nn.functional.adaptive_avg_pool2d(t.ones(2, 2), (2, 2)),
    "adaptive_max_pool3d dims": lambda t: t.nn.functional.adaptive_max_pool3d(t.ones(2, 2, 2), (2, 2, 2)),
    "window of halves": lambda t: t.signal.windows.hann(3, dtype=t.float16),
    "window of integers": lambda t: t.signal.windows.kaiser(3, dtype=t.int64),
    "roll of a number": lambda t: t.roll(t.tensor(1.0), 0, 0),
    "rot90 of a vector": lambda t: t.rot90(t.ones(5)),
    "fliplr of a vector": lambda t: t.fliplr(t.ones(5)),
    "flipud of a number": lambda t: t.flipud(t.tensor(1.0)),
    "unbind of a number": lambda t: t.unbind(t.tensor(1.0)),
    "hstack of nothing": lambda t: t.hstack([]),
    "vstack of nothing": lambda t: t.vstack([]),
    "dstack of nothing": lambda t: t.dstack([]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name: str) -> None:
    case = CASES[name]
    f, *arrays = case if isinstance(case, tuple) else (case,)
    both(f, *arrays, tol=1e-6 if "response" in name else None)


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    errors(ERRORS[name])


TENSORS_ONLY = """atan2 fmax fmin gcd heaviside hypot lcm ldexp logaddexp logaddexp2 logical_and logical_or logical_xor
maximum minimum nextafter""".split()


@pytest.mark.parametrize("name", [*TENSORS_ONLY, *"copysign eq fmod ge gt le lt ne".split()])
def test_numbers_in_the_place_of_tensors(name: str) -> None:
    errors(lambda t: getattr(t, name)(2, t.tensor([1, 2])))
    errors(lambda t: getattr(t, name)(2, 3))
    if name in TENSORS_ONLY:
        errors(lambda t: getattr(t, name)(t.tensor([1, 2]), 2))
    else:
        both(lambda t: getattr(t, name)(t.tensor([1, 2]), 2))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("align", [False, True])
def test_interpolation_of_bytes(mode: str, antialias: bool, align: bool) -> None:
    """PyTorch's weights are of 16 bits: one pixel in twenty may be one off."""
    for shape, size in (((2, 3, 27, 30), (13, 40)), ((1, 1, 8, 8), (16, 16)), ((2, 5, 20, 21), (33, 7))):
        x = integers(256, *shape).astype(np.uint8)
        options = {"size": size, "mode": mode, "align_corners": align, "antialias": antialias}
        ours = tritorch.nn.functional.interpolate(tritorch.from_numpy(x), **options)
        theirs = torch.nn.functional.interpolate(torch.from_numpy(x), **options)
        assert ours.dtype is tritorch.uint8 and ours.shape == theirs.shape
        off = np.abs(ours.numpy().astype(int) - theirs.numpy().astype(int))
        assert off.max() <= 1 and off.mean() < 0.05


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_is_rounded_once(kind: str) -> None:
    """Intermediate results are in float32: the result is the nearest one to that of torch in float64."""
    calls = {
        "attention": lambda t, x: t.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True, dropout_p=0.3),
        "bags": lambda t, x: t.nn.functional.embedding_bag(
            t.zeros(2, 4, dtype=t.int64), x[0], mode="sum", per_sample_weights=x[0, :2, :4]
        ),
        "matrix_exp": lambda t, x: t.matrix_exp(x[:, :5, :5] / 4),
    }
    half = tritorch.from_numpy(3 * normal(2, 6, 8)).to(getattr(tritorch, kind))
    for call in calls.values():
        for t in (tritorch, torch):
            t.manual_seed(0)
        ours, exact = call(tritorch, half), call(torch, torch.from_numpy(half.double().numpy())).numpy()
        assert ours.dtype is half.dtype
        np.testing.assert_allclose(ours.double().numpy(), exact, rtol=0.51 * tritorch.finfo(half.dtype).eps, atol=1e-5)


def test_fractional_max_pool_of_an_empty_batch() -> None:
    both(lambda t, x: t.nn.functional.fractional_max_pool3d(x, (2, 2, 1), output_size=2), normal(0, 1, 4, 5, 4))
    both(lambda t, x: t.nn.functional.fractional_max_pool2d(x, 2, output_size=2), normal(0, 1, 4, 5))
