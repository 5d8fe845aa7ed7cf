"""repeat_interleave and frexp against PyTorch: values, dtypes, errors."""

from __future__ import annotations

import numpy as np
import pytest

import tritorch

torch = pytest.importorskip("torch", reason="compared with PyTorch; install tritorch[oracle]")

X = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)


@pytest.mark.parametrize("dim", [None, 0, 1, -1])
@pytest.mark.parametrize("repeats", [0, 1, 2, "one", "each"])
def test_repeat_interleave(dim, repeats):
    n = X.size if dim is None else X.shape[dim]
    counts = {"one": [3], "each": np.random.default_rng(1).integers(0, 4, n).tolist()}.get(repeats, repeats)
    ours, theirs = [
        lib.repeat_interleave(lib.tensor(X), lib.tensor(counts) if isinstance(counts, list) else counts, dim)
        for lib in (tritorch, torch)
    ]
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32", "bool"])
def test_the_numbers_alone(dtype):
    results = []
    for lib in (tritorch, torch):
        try:
            results.append(lib.repeat_interleave(lib.tensor([1, 0, 1], dtype=getattr(lib, dtype))).tolist())
        except RuntimeError:
            results.append("RuntimeError")
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.tensor([1.0]).repeat_interleave(-1),
        lambda t: t.tensor([1.0, 2]).repeat_interleave(t.tensor([1, 2, 3])),
        lambda t: t.tensor([1.0, 2]).repeat_interleave(t.tensor([1, -2])),
        lambda t: t.tensor([1.0, 2]).repeat_interleave(t.tensor([1, 2]), output_size=5),
        lambda t: t.tensor([1.0, 2]).repeat_interleave(t.tensor([1, 2], dtype=t.int16)),
        lambda t: t.repeat_interleave(t.tensor([[1, 2]])),
        lambda t: t.tensor([[1.0, 2]]).repeat_interleave(2, 5),
        lambda t: t.frexp(t.tensor([1, 2])),
    ],
)
def test_errors(call):
    kinds = []
    for lib in (tritorch, torch):
        with pytest.raises((RuntimeError, IndexError, TypeError, ValueError)) as caught:
            call(lib)
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_frexp(dtype):
    x = [0.0, -0.0, 1.0, -3.5, 1e-30, 6e-8, 1e4, float("inf"), float("-inf"), float("nan")]
    (m, e), (tm, te) = [lib.frexp(lib.tensor(x, dtype=getattr(lib, dtype))) for lib in (tritorch, torch)]
    np.testing.assert_array_equal(m.double().numpy(), tm.double().numpy())
    np.testing.assert_array_equal(e.numpy()[:-3], te.numpy()[:-3])
    assert str(m.dtype) == str(tm.dtype) and str(e.dtype) == str(te.dtype)


def test_split_takes_pytorchs_keywords() -> None:
    """The method's size is `split_size`, the function's `split_size_or_sections`."""
    for lib in (tritorch, torch):
        x = lib.arange(10).reshape(5, 2)
        assert [tuple(p.shape) for p in x.split(split_size=2)] == [(2, 2), (2, 2), (1, 2)]
        assert [tuple(p.shape) for p in x.split(split_size=[1, 1], dim=-1)] == [(5, 1), (5, 1)]
        assert len(lib.split(x, split_size_or_sections=2)) == 3
        with pytest.raises(TypeError, match="split_size_or_sections"):
            x.split(split_size_or_sections=2)
