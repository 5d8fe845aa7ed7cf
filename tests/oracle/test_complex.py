# ruff: noqa: E501 - tables of one line per case
"""Functions of complex numbers against torch: values, gradients and second derivatives, complex128 and complex64."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402

INF, NAN = math.inf, math.nan


def numbers(shape: tuple[int, ...], seed: int, kind: str) -> np.ndarray:
    rng = np.random.default_rng([seed, *shape])
    d = np.asarray(rng.normal(size=shape))
    return np.asarray(d + 1j * rng.normal(size=shape)) if kind.startswith("complex") else d


def tensor(lib, a: np.ndarray, kind: str):
    return lib.tensor(a.tolist(), dtype=getattr(lib, kind)).reshape(a.shape)


def derived(lib, f, shapes: tuple, kind: str) -> list:
    """The result, its gradients by all arguments, and the gradients of those."""
    x = [tensor(lib, numbers(s, i, kind), kind).requires_grad_() for i, s in enumerate(shapes)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = f(lib, *x)

    def weights(outs, seed: int) -> list:
        return [
            tensor(lib, numbers(tuple(o.shape), seed + i, str(o.dtype)[6:]), str(o.dtype)[6:])
            for i, o in enumerate(outs)
        ]

    first = lib.autograd.grad([y], x, weights([y], 10), create_graph=True)
    again = [g for g in first if g.requires_grad]
    second = lib.autograd.grad(again, x, weights(again, 20), allow_unused=True) if again else []
    return [y, *first, *second]


def same(a, b, kind: str) -> None:
    if a is None or b is None:  # no gradient at all, or one of zeros
        rest = b if a is None else a
        assert rest is None or not bool(rest.any())
        return
    assert tuple(a.shape) == tuple(b.shape)
    assert str(a.dtype) == str(b.dtype)
    eps = 1e-9 if kind == "complex128" else 2e-4
    u, v = np.array(a.detach().tolist()), np.array(b.detach().tolist())
    np.testing.assert_allclose(u, v, rtol=eps, atol=eps * (1 + np.abs(v).max(initial=0)))


X, V, W = (3, 4), (4,), (2, 3, 3)
CASES = {
    "addcmul": (lambda t, a, b, c: t.addcmul(a, b, c, value=1.5 - 2j), X, X, V),
    "addcdiv": (lambda t, a, b, c: t.addcdiv(a, b, c, value=0.5j), X, X, V),
    "lerp": (lambda t, a, b, c: t.lerp(a, b, c), X, X, X),
    "lerp by a number": (lambda t, a, b: t.lerp(a, b, 0.3 + 1j), X, V),
    "pow": (lambda t, a, b: a**b, X, X),
    "ldexp": (lambda t, a, b: t.ldexp(a, b), X, V),
    "logaddexp": (lambda t, a, b: t.logaddexp(a, b), X, V),
    "log1p": (lambda t, a: t.log1p(a * 1e-3), X),
    "logsumexp": (lambda t, a: t.logsumexp(a * 3, (0, 2)), (3, 4, 2)),
    "logsumexp of a number": (lambda t, a: t.logsumexp(a * 9, 0, True), ()),
    "logcumsumexp": (lambda t, a: t.logcumsumexp(a, 1), (3, 5, 2)),
    "prod": (lambda t, a: a.prod(1), X),
    "prod of all": (lambda t, a: a.prod(), (5,)),
    "cumprod": (lambda t, a: a.cumprod(0), X),
    "l1_loss": (lambda t, a, b: t.nn.functional.l1_loss(a, b), X, X),
    "l1_loss none": (lambda t, a, b: t.nn.functional.l1_loss(a, b, reduction="none"), X, X),
    "l1_loss of a real target": (lambda t, a: t.nn.functional.l1_loss(a, a.real.detach() * 2, reduction="sum"), X),
    "normalize": (lambda t, a: t.nn.functional.normalize(a), X),
    "normalize p=1": (lambda t, a: t.nn.functional.normalize(a, 1.0, 0), X),
    "rms_norm": (lambda t, a, w: t.nn.functional.rms_norm(a, (4,), w), X, V),
    "rms_norm eps": (lambda t, a: t.nn.functional.rms_norm(a, (3, 4), eps=0.5), X),
    "conv1d": (lambda t, x, w, b: t.nn.functional.conv1d(x, w, b, 2, 1), (2, 3, 7), (4, 3, 3), (4,)),
    "conv2d": (lambda t, x, w: t.nn.functional.conv2d(x, w, padding=1), (2, 3, 5, 5), (4, 3, 3, 3)),
    "conv2d per channel": (lambda t, x, w, b: t.nn.functional.conv2d(x, w, b, groups=4), (2, 4, 6, 5), (4, 1, 3, 3), (4,)),
    "conv3d 1x1": (lambda t, x, w: t.nn.functional.conv3d(x, w), (1, 2, 3, 2, 2), (3, 2, 1, 1, 1)),
    "conv_transpose1d": (lambda t, x, w, b: t.nn.functional.conv_transpose1d(x, w, b, 2), (2, 3, 5), (3, 2, 3), (2,)),
    "conv_transpose2d": (lambda t, x, w: t.nn.functional.conv_transpose2d(x, w, groups=2), (1, 4, 3, 3), (4, 2, 2, 2)),
    "cov": (lambda t, x: t.cov(x, aweights=t.tensor([0.3, 1.0, 0.2, 2.0], dtype=t.float64)), X),
    "istft": (lambda t, x: t.istft(x, 6, 2), (4, 5)),
    "istft of both sides": (lambda t, x: t.istft(x, 6, 2, onesided=False), (6, 5)),
    "istft of both sides, complex": (lambda t, x, w: t.istft(x, 6, 2, window=w + 2, return_complex=True, center=False), (6, 5), (6,)),
    "index_fill": (lambda t, x, v: x.index_fill(1, t.tensor([2, 0, 2]), v), X, ()),
    "vander": (lambda t, x: t.linalg.vander(x, N=4), X),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["complex128", "complex64"])
@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name: str, kind: str) -> None:
    f, *shapes = CASES[name]
    ours, theirs = (derived(lib, f, tuple(shapes), kind) for lib in (tritorch, torch))
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        same(a, b, kind)


VALUES = {
    "log1p": lambda t: t.log1p(t.tensor([1e-20, 1e-20j, -1, -0.5 + 0.1j, 1e300 + 1e300j, -2 + 0j], dtype=t.complex128)),
    "logaddexp": lambda t: t.logaddexp(
        t.tensor([complex(-INF, 1), complex(INF, 1), 1 + 5j, complex(NAN, 0), complex(-INF, 0)]),
        t.tensor([complex(-INF, 2), complex(INF, 2), 1 - 5j, 1 + 1j, 2 + 9j]),
    ),
    "logsumexp": lambda t: t.logsumexp(t.tensor([[complex(-INF, 1), complex(INF, 1), 1 + 20j], [complex(-INF, 2), complex(-INF, 1), complex(-INF, 1)]]), 0),
    "logcumsumexp": lambda t: t.logcumsumexp(t.tensor([complex(-INF, 1), complex(-INF, 2), 1 + 20j, 1 - 20j, 3]), 0),
    "silu": lambda t: t.nn.functional.silu(t.tensor([1 + 2j, -3 - 1j, 0.5j])),
    "SiLU": lambda t: t.nn.SiLU()(t.tensor([1 + 2j, -3 - 1j, 0.5j])),
    "angle": lambda t: t.angle(t.tensor([INF, -INF, NAN, -0.0, 0.0, -1e-300, 2.0], dtype=t.float64)),
    "angle float16": lambda t: t.angle(t.tensor([-1.0, 1.0], dtype=t.float16)),
    "angle int": lambda t: t.angle(t.tensor([-1, 1])),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_special_values(name: str) -> None:
    ours, theirs = VALUES[name](tritorch), VALUES[name](torch)
    assert str(ours.dtype) == str(theirs.dtype)
    a, b = np.array(ours.tolist()), np.array(theirs.tolist())
    eps = 1e-6 if ours.dtype in (tritorch.complex64, tritorch.float32) else 1e-15
    np.testing.assert_allclose(a.real, b.real, rtol=eps)
    np.testing.assert_allclose(a.imag, b.imag, rtol=eps, atol=eps)


def test_the_angle_of_real_numbers_has_a_gradient_of_zeros() -> None:
    x = tritorch.tensor([-1.0, 0.0, 2.0, NAN], requires_grad=True)
    tritorch.angle(x).sum().backward()
    assert x.grad.tolist() == [0.0] * 4


REFUSED = {
    "binary_cross_entropy": lambda t, x: t.nn.functional.binary_cross_entropy(x, x),
    "cosine_similarity": lambda t, x: t.nn.functional.cosine_similarity(x, x),
    "kl_div": lambda t, x: t.nn.functional.kl_div(x, x),
    "mse_loss": lambda t, x: t.nn.functional.mse_loss(x, x),
    "bucketize": lambda t, x: t.bucketize(x, t.arange(3.0)),
    "index_reduce": lambda t, x: x.index_reduce(0, t.tensor([0]), x[:1], "amin"),
    "scatter_reduce": lambda t, x: x.scatter_reduce(0, t.zeros(1, 4, dtype=t.int64), x, "amax"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_refused(name: str) -> None:
    for lib in (torch, tritorch):
        x = tensor(lib, numbers((3, 4), 0, "complex128"), "complex128")
        with pytest.raises((RuntimeError, ValueError)):
            REFUSED[name](lib, x)
