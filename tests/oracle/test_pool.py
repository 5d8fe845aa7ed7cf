"""Pooling against torch: values, indices, gradients, second derivatives, NaN, error types."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402

rng = np.random.default_rng(13)


def both(f, x, second=False, dtype="float64", tolerance=1e-10):
    results, seed = [], None
    for ns in (torch, tritorch):
        t = ns.tensor(x).to(getattr(ns, dtype)).requires_grad_()
        y = f(ns.nn.functional, t)
        index = None
        if isinstance(y, tuple):
            y, index = y
        if seed is None:
            seed = rng.normal(size=tuple(y.shape))
        (g,) = ns.autograd.grad(y, t, ns.tensor(seed).to(y.dtype), create_graph=second)
        found = [y, index, g]
        if second and g.requires_grad:
            found += ns.autograd.grad((g * g * g).sum(), t, allow_unused=True)
        results.append(found)
    for theirs, mine in zip(*results, strict=False):
        if theirs is None:
            assert mine is None or not mine.any()
        else:
            assert tuple(mine.shape) == tuple(theirs.shape)
            assert str(mine.dtype) == str(theirs.dtype)
            np.testing.assert_allclose(
                mine.detach().double().numpy(), theirs.detach().double().numpy(), rtol=tolerance, atol=tolerance
            )


def draw(n, a, b):
    return tuple(int(v) for v in rng.integers(a, b, n))


def geometry(n):
    kernel, stride, dilation, size = draw(n, 1, 4), draw(n, 1, 4), draw(n, 1, 3), draw(n, 6, 10)
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    return kernel, stride, padding, dilation, (*draw(2, 1, 4), *size)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("trial", range(10))
def test_max_pool(n, trial):
    kernel, stride, padding, dilation, shape = geometry(n)
    ceil = trial % 2 == 1
    x = rng.integers(0, 6, shape).astype(float) if trial % 3 else rng.normal(size=shape)
    if trial == 4:
        x[rng.random(shape) < 0.1] = np.nan
    pool = lambda F, t: getattr(F, f"max_pool{n}d")(t, kernel, stride, padding, dilation, ceil)  # noqa: E731
    both(pool, x)
    both(lambda F, t: getattr(F, f"max_pool{n}d")(t, kernel, stride, padding, dilation, ceil, return_indices=True), x)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("trial", range(10))
def test_avg_pool(n, trial):
    kernel, stride, padding, _, shape = geometry(n)
    more = {} if n == 1 or trial % 3 else {"divisor_override": 5}
    f = lambda F, t: getattr(F, f"avg_pool{n}d")(t, kernel, stride, padding, trial % 2 == 1, trial % 4 < 2, **more)  # noqa: E731
    both(f, rng.normal(size=shape))
    both(lambda F, t: f(F, t * t), rng.normal(size=shape), second=True)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("trial", range(6))
def test_adaptive(n, trial):
    shape, out = (*draw(2, 1, 4), *draw(n, 4, 9)), draw(n, 1, 9)
    if trial == 0:
        out = tuple(s // 2 if s % 2 == 0 else 1 for s in shape[2:])
    x = rng.integers(0, 6, shape).astype(float) if trial % 2 else rng.normal(size=shape)
    both(lambda F, t: getattr(F, f"adaptive_avg_pool{n}d")(t * t, out), x, second=True)
    both(lambda F, t: getattr(F, f"adaptive_max_pool{n}d")(t, out), x)
    both(lambda F, t: getattr(F, f"adaptive_max_pool{n}d")(t, out, return_indices=True), x)
    if n > 1:
        both(lambda F, t: getattr(F, f"adaptive_avg_pool{n}d")(t, (None, *out[1:])), x)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_lp(n):
    x = rng.uniform(0.5, 2, (2, 3, *(7,) * n))
    for p in (1.0, 2.0, 3.5):
        both(lambda F, t: getattr(F, f"lp_pool{n}d")(t, p, 2, 2, True), x, tolerance=1e-8)
    both(lambda F, t: getattr(F, f"lp_pool{n}d")(t, 2, 3), x)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_unpool(n):
    x = rng.normal(size=(2, 3, *(6,) * n))
    values = rng.normal(size=(2, 3, *(3,) * n))
    for size in (None, [7] * n):
        both(
            lambda F, t: getattr(F, f"max_unpool{n}d")(
                t,
                getattr(F, f"max_pool{n}d")(t.new_tensor(x), 2, return_indices=True)[1],
                2, output_size=size,
            ),
            values,
        )  # fmt: skip


@pytest.mark.parametrize("n", [2, 3])
def test_fractional(n):
    x = rng.normal(size=(2, 3, *(9, 8, 7)[:n]))
    u = rng.random((2, 3, n))
    name = f"fractional_max_pool{n}d"
    both(
        lambda F, t: getattr(F, name)(
            t, 2, output_size=(5, 4, 3)[:n], return_indices=True, _random_samples=t.new_tensor(u)
        ),
        x,
    )
    both(lambda F, t: getattr(F, name)(t, 2, output_ratio=(0.5,) * n, _random_samples=t.new_tensor(u)), x)


def test_unbatched_half_and_int():
    both(lambda F, t: F.max_pool2d(t, 2), rng.normal(size=(3, 6, 6)))
    both(lambda F, t: F.avg_pool2d(t, 2), rng.normal(size=(3, 6, 6)))
    both(lambda F, t: F.adaptive_avg_pool2d(t, 4), rng.normal(size=(3, 6, 7)))
    both(lambda F, t: F.max_pool2d(t, 3, 2, 1), rng.normal(size=(2, 3, 6, 6)), dtype="bfloat16", tolerance=2e-2)
    both(lambda F, t: F.avg_pool2d(t, 2), rng.normal(size=(2, 3, 6, 6)), dtype="float32", tolerance=1e-5)
    a = rng.integers(-9, 9, (2, 3, 6, 6))
    mine = tritorch.nn.functional.max_pool2d(tritorch.tensor(a), 3, 2, 1)
    np.testing.assert_array_equal(mine.numpy(), torch.nn.functional.max_pool2d(torch.tensor(a), 3, 2, 1).numpy())


def test_second_derivative_of_max_pool():
    x = rng.normal(size=(2, 3, 6, 6))
    both(lambda F, t: F.max_pool2d(t * t * t, 3, 2, 1), x, second=True)


T = lambda ns, *s: ns.ones(*s)  # noqa: E731
ERRORS = {
    "dims": lambda ns, F: F.max_pool2d(T(ns, 4, 4), 2),
    "padding": lambda ns, F: F.max_pool2d(T(ns, 1, 4, 4), 2, padding=2),
    "stride": lambda ns, F: F.max_pool2d(T(ns, 1, 4, 4), 2, stride=0),
    "kernel": lambda ns, F: F.max_pool2d(T(ns, 1, 4, 4), 5),
    "kernel count": lambda ns, F: F.max_pool2d(T(ns, 1, 4, 4), (2, 2, 2)),
    "avg padding": lambda ns, F: F.avg_pool2d(T(ns, 1, 4, 4), 2, padding=2),
    "avg divisor": lambda ns, F: F.avg_pool2d(T(ns, 1, 4, 4), 2, divisor_override=0),
    "avg kernel": lambda ns, F: F.avg_pool2d(T(ns, 1, 4, 4), 6),
    "adaptive dims": lambda ns, F: F.adaptive_avg_pool2d(T(ns, 4, 4), 2),
    "adaptive int": lambda ns, F: F.adaptive_avg_pool2d(T(ns, 1, 4, 4).long(), 2),
    "unpool index": lambda ns, F: F.max_unpool2d(T(ns, 1, 1, 2, 2), T(ns, 1, 1, 2, 2).long() * 99, 2),
    "unpool shapes": lambda ns, F: F.max_unpool2d(T(ns, 1, 1, 2, 2), T(ns, 1, 1, 2, 3).long(), 2),
    "unpool dtype": lambda ns, F: F.max_unpool2d(T(ns, 1, 1, 2, 2), T(ns, 1, 1, 2, 2), 2),
    "complex": lambda ns, F: F.max_pool2d(T(ns, 1, 1, 4, 4).to(ns.complex64), 2),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_torchs(name):
    with pytest.raises(Exception) as theirs:
        ERRORS[name](torch, torch.nn.functional)
    kind = next(k for k in (IndexError, TypeError, ValueError, RuntimeError) if isinstance(theirs.value, k))
    with pytest.raises(kind, match="pool"):
        ERRORS[name](tritorch, tritorch.nn.functional)
