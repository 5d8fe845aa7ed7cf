"""Convolutions, unfold and fold against torch: values, gradients, second derivatives, error types."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402

rng = np.random.default_rng(11)


def both(f, *shapes, dtype="float64", second=False, rtol=1e-9):
    """f(functional, *tensors) in both: value, gradients, and the gradient of the gradients' squares."""
    arrays = [None if s is None else rng.normal(size=s) for s in shapes]
    results = []
    seed = None
    for ns in (torch, tritorch):
        xs = [None if a is None else ns.tensor(a).to(getattr(ns, dtype)).requires_grad_() for a in arrays]
        y = f(ns.nn.functional, *xs)
        if seed is None:
            seed = rng.normal(size=tuple(y.shape))
        given = [x for x in xs if x is not None]
        grads = ns.autograd.grad(y, given, ns.tensor(seed).to(y.dtype), create_graph=second)
        found = [y, *grads]
        if second:
            found += ns.autograd.grad(sum((g * g * g).sum() for g in grads), given, allow_unused=True)
        results.append(found)
    for theirs, mine in zip(*results, strict=True):
        if theirs is None:
            assert mine is None or not mine.any()
            continue
        assert tuple(mine.shape) == tuple(theirs.shape)
        assert str(mine.dtype) == str(theirs.dtype)
        np.testing.assert_allclose(
            mine.detach().double().numpy(), theirs.detach().double().numpy(), rtol=rtol, atol=rtol
        )


def random_geometry(n, trial):
    groups = int(rng.choice([1, 1, 2, 3]))
    cg, kg, images = (int(v) for v in rng.integers(1, 4, 3))
    draw = lambda a, b: tuple(int(v) for v in rng.integers(a, b, n))  # noqa: E731
    kernel, stride, padding, dilation, size = draw(1, 4), draw(1, 4), draw(0, 4), draw(1, 4), draw(7, 12)
    if trial % 6 == 0:
        kernel, stride, padding, dilation = (1,) * n, (1,) * n, (0,) * n, (1,) * n
    return (images, groups * cg, *size), (groups * kg, cg, *kernel), stride, padding, dilation, groups


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("trial", range(12))
def test_random_geometries(n, trial):
    x, w, stride, padding, dilation, groups = random_geometry(n, trial)
    b = (w[0],) if trial % 2 else None
    name = f"conv{n}d"
    both(lambda F, x, w, b: getattr(F, name)(x, w, b, stride, padding, dilation, groups), x, w, b, second=trial < 4)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("trial", range(12))
def test_random_transposed_geometries(n, trial):
    x, w, stride, _, dilation, groups = random_geometry(n, trial)
    x = (x[0], w[0], *(min(s, 7) for s in x[2:]))
    padding = tuple(int(v) for v in rng.integers(0, 2, n))
    more = tuple(int(rng.integers(0, max(s, d))) for s, d in zip(stride, dilation, strict=True))
    b = (w[1] * groups,) if trial % 2 else None
    both(
        lambda F, x, w, b: getattr(F, f"conv_transpose{n}d")(x, w, b, stride, padding, more, groups, dilation),
        x, w, b, second=trial < 4,
    )  # fmt: skip


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_padding_in_words(padding):
    for kernel, dilation in [((3, 3), 1), ((2, 3), 1), ((4, 2), (1, 3))]:
        both(lambda F, x, w: F.conv2d(x, w, padding=padding, dilation=dilation), (2, 3, 9, 8), (4, 3, *kernel))
    both(lambda F, x, w: F.conv1d(x, w, padding=padding), (2, 3, 9), (4, 3, 4))


def test_unbatched_and_ints():
    both(lambda F, x, w, b: F.conv2d(x, w, b, 2, 1), (3, 9, 8), (4, 3, 3, 3), (4,))
    both(lambda F, x, w, b: F.conv_transpose2d(x, w, b, 2, 1), (4, 5, 6), (4, 3, 3, 3), (3,))
    both(lambda F, x, w: F.conv1d(x, w, stride=[2]), (3, 9), (4, 3, 3))


def test_strided_operands():
    both(lambda F, x, w: F.conv2d(x.transpose(2, 3), w.transpose(0, 1), padding=1), (2, 3, 6, 7), (3, 4, 3, 3))
    both(lambda F, x, w: F.conv2d(x[:, :, ::2], w[..., ::2]).sum((2, 3)), (2, 3, 12, 7), (4, 3, 3, 5))


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-4), ("bfloat16", 5e-2), ("float16", 1e-2)])
def test_dtypes(dtype, tolerance):
    both(lambda F, x, w, b: F.conv2d(x, w, b, 1, 1), (2, 3, 6, 5), (4, 3, 3, 3), (4,), dtype=dtype, rtol=tolerance)


def test_many_images_share_products():
    """More images than fit into one group of columns, and one image that needs several pieces."""
    both(lambda F, x, w: F.conv2d(x, w, padding=1), (37, 2, 5, 5), (3, 2, 3, 3), dtype="float32", rtol=1e-3)
    both(lambda F, x, w: F.conv2d(x, w, padding=1), (1, 40, 40, 40), (2, 40, 3, 3), dtype="float32", rtol=1e-3)


def test_zero_sizes():
    both(lambda F, x, w, b: F.conv2d(x, w, b), (0, 3, 6, 5), (4, 3, 3, 3), (4,))


def test_unfold_and_fold():
    for kernel, dilation, padding, stride in [((2, 3), 1, 0, 1), (3, 2, 2, (2, 1)), ((1, 2), (1, 2), (0, 1), 3)]:
        both(lambda F, x: F.unfold(x * x, kernel, dilation, padding, stride), (2, 3, 8, 9), second=True)
        window = (kernel, dilation, padding, stride)
        both(lambda F, x: F.fold(F.unfold(x * x, *window), (8, 9), *window), (2, 3, 8, 9), second=True)
    both(lambda F, x: F.unfold(x, 2), (3, 4, 5))
    both(lambda F, x: F.fold(x, (3, 3), 2), (8, 4))


T = lambda ns, *s: ns.ones(*s)  # noqa: E731
ERRORS = {
    "dims": lambda ns, F: F.conv2d(T(ns, 3, 3), T(ns, 1, 1, 3, 3)),
    "weight dims": lambda ns, F: F.conv2d(T(ns, 1, 1, 3, 3), T(ns, 1, 3, 3)),
    "channels": lambda ns, F: F.conv2d(T(ns, 1, 3, 5, 5), T(ns, 4, 2, 3, 3)),
    "kernel": lambda ns, F: F.conv2d(T(ns, 1, 3, 2, 5), T(ns, 4, 3, 3, 3)),
    "stride": lambda ns, F: F.conv2d(T(ns, 1, 3, 5, 5), T(ns, 4, 3, 3, 3), stride=0),
    "stride count": lambda ns, F: F.conv2d(T(ns, 1, 3, 5, 5), T(ns, 4, 3, 3, 3), stride=(1, 2, 3)),
    "padding": lambda ns, F: F.conv2d(T(ns, 1, 3, 5, 5), T(ns, 4, 3, 3, 3), padding=-1),
    "dilation": lambda ns, F: F.conv2d(T(ns, 1, 3, 5, 5), T(ns, 4, 3, 3, 3), dilation=0),
    "groups": lambda ns, F: F.conv2d(T(ns, 1, 4, 5, 5), T(ns, 3, 2, 3, 3), groups=2),
    "groups 0": lambda ns, F: F.conv2d(T(ns, 1, 4, 5, 5), T(ns, 3, 2, 3, 3), groups=0),
    "bias": lambda ns, F: F.conv2d(T(ns, 1, 3, 5, 5), T(ns, 4, 3, 3, 3), T(ns, 3)),
    "dtypes": lambda ns, F: F.conv2d(T(ns, 1, 3, 5, 5), T(ns, 4, 3, 3, 3).double()),
    "same stride": lambda ns, F: F.conv2d(T(ns, 1, 3, 5, 5), T(ns, 4, 3, 3, 3), stride=2, padding="same"),
    "word": lambda ns, F: F.conv2d(T(ns, 1, 3, 5, 5), T(ns, 4, 3, 3, 3), padding="other"),
    "transposed channels": lambda ns, F: F.conv_transpose2d(T(ns, 1, 3, 5, 5), T(ns, 4, 3, 3, 3)),
    "output_padding": lambda ns, F: F.conv_transpose2d(T(ns, 1, 3, 5, 5), T(ns, 3, 3, 3, 3), output_padding=1),
    "unfold kernel": lambda ns, F: F.unfold(T(ns, 1, 1, 2, 2), 3),
    "fold columns": lambda ns, F: F.fold(T(ns, 1, 4, 5), (3, 3), 2),
    "fold channels": lambda ns, F: F.fold(T(ns, 1, 5, 4), (3, 3), 2),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_torchs(name):
    with pytest.raises(Exception) as theirs:
        ERRORS[name](torch, torch.nn.functional)
    kind = next(k for k in (IndexError, TypeError, ValueError, RuntimeError) if isinstance(theirs.value, k))
    with pytest.raises(kind, match="conv|fold"):
        ERRORS[name](tritorch, tritorch.nn.functional)
