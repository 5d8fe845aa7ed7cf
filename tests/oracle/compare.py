"""Runs one call here and in torch on the same numbers and compares values, dtypes, shapes, gradients and errors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402

TOL = {"float64": 1e-9, "float32": 3e-5, "float16": 4e-3, "bfloat16": 3e-2}


def both(call, *arrays, kind="float64", seed=0, tol=None, grads=True):
    """`call(torch_like, *tensors)` on both sides; floats become `kind`. Compares results, and gradients of all
    floats."""
    found = [_run(side, call, arrays, kind, seed, grads) for side in (tritorch, torch)]
    tol = tol or TOL[kind]
    (ours, our_grads), (theirs, their_grads) = found
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        _same(a, b, tol, "result")
    for i, (a, b) in enumerate(zip(our_grads, their_grads)):
        assert (a is None) == (b is None), f"gradient {i}: {a} against {b}"
        if a is not None:
            _same(a, b, 10 * tol, f"gradient {i}")


def _run(side, call, arrays, kind, seed, grads):
    tensors = []
    for a in arrays:
        if isinstance(a, np.ndarray):
            t = side.tensor(a.tolist(), dtype=getattr(side, kind if a.dtype.kind == "f" else str(a.dtype))).reshape(
                a.shape
            )
            if grads and a.dtype.kind == "f":
                t.requires_grad_()
            a = t
        tensors.append(a)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = call(side, *tensors)
    outs = list(out) if isinstance(out, (tuple, list)) else [out]
    gradients = []
    if grads:
        rng = np.random.default_rng(seed)
        total = 0
        for o in outs:
            if o is not None and o.dtype.is_floating_point and o.requires_grad:
                g = rng.normal(size=tuple(o.shape))
                total = total + (o * side.tensor(g.tolist(), dtype=o.dtype).reshape(o.shape)).sum()
        if not isinstance(total, int):
            total.backward()
        gradients = [t.grad for t in tensors if hasattr(t, "grad")]
    return outs, gradients


def _same(a, b, tol, what):
    if b is None:
        assert a is None
        return
    assert tuple(a.shape) == tuple(b.shape), f"{what}: shape {tuple(a.shape)} against {tuple(b.shape)}"
    assert str(a.dtype) == str(b.dtype), f"{what}: {a.dtype} against {b.dtype}"
    x, y = np.array(a.detach().tolist()), np.array(b.detach().tolist())
    np.testing.assert_allclose(x, y, rtol=tol, atol=tol, err_msg=what)


def errors(call):
    """Both sides raise, and ours an exception that the other's handler would catch."""
    found = []
    for side in (tritorch, torch):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                call(side)
            except Exception as error:  # noqa: BLE001 - the kind is what is compared
                found.append(error)
            else:
                found.append(None)
    ours, theirs = found
    assert theirs is not None, "torch does not raise here"
    assert ours is not None, f"torch raises {theirs!r}"
    assert isinstance(ours, type(theirs)), f"{ours!r} against {theirs!r}"


def warned(call):
    """The texts of the warnings of both sides: (ours, theirs)."""
    found = []
    for side in (tritorch, torch):
        with warnings.catch_warnings(record=True) as log:
            warnings.simplefilter("always")
            call(side)
        found.append([str(w.message) for w in log if w.category is UserWarning])
    return found


def normal(*shape, seed=0, scale=1.0, shift=0.0):
    """Normal numbers; a seed of its own for each shape."""
    rng = np.random.default_rng([seed, *shape])
    return np.asarray(rng.normal(size=shape) * scale + shift)


def uniform(*shape, low=0.0, high=1.0, seed=0):
    return np.asarray(np.random.default_rng([seed, *shape]).uniform(low, high, shape))


def integers(high, *shape, seed=0, low=0):
    return np.asarray(np.random.default_rng([seed, high, *shape]).integers(low, high, shape))


__all__ = ["both", "errors", "integers", "normal", "torch", "tritorch", "uniform", "warned"]
