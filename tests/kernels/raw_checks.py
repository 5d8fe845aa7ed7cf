"""Checks of an op on raw arrays: its fused backward against central differences along a random direction."""

from __future__ import annotations

import sys

import numpy as np


def check_cpu_grad(op, seed: int = 0, rtol: float = 1e-6) -> int:
    """Hold `op.cpu_grad` against finite differences (float64) on each of the op's samples; the number checked."""
    rng = np.random.default_rng(seed)
    count = 0
    for args, params in op.samples(rng):
        outs = op.cpu(*args, *params)
        outs = outs if isinstance(outs, tuple) else (outs,)
        y = outs[0]
        g = rng.normal(size=y.shape)
        floats = [a is not None and a.dtype == np.float64 for a in args]
        values = {
            "input": lambda i: args[i],
            "shape": lambda i: args[i].shape,
            "output": lambda i: outs[i],
            "param": lambda i: params[i],
            "needs": lambda i: tuple(floats),
        }
        grads = op.cpu_grad(g, *(values[kind](i) for kind, i in op.saved))
        grads = grads if isinstance(grads, tuple) else (grads,)
        assert len(grads) == len(args), f"{op.name}: one gradient per input"
        for i, (a, ga) in enumerate(zip(args, grads)):
            if not floats[i] or ga is None:
                continue
            assert ga.shape == a.shape and ga.dtype == a.dtype, f"{op.name}: gradient {i} is {ga.shape} {ga.dtype}"
            step = rng.normal(size=a.shape)
            h = 1e-6

            def value(t):
                moved = [*args[:i], a + t * step, *args[i + 1 :]]
                out = op.cpu(*moved, *params)
                return float(np.vdot(out[0] if isinstance(out, tuple) else out, g))

            numeric = (value(h) - value(-h)) / (2 * h)
            analytic = float(np.vdot(ga, step))
            assert abs(numeric - analytic) <= rtol * max(1.0, abs(numeric)) * 10, (
                f"{op.name}: input {i} with {params}: {analytic} against {numeric} by finite differences"
            )
            count += 1
    return count


def check_gpu(op, seed: int = 0, kinds=("float64", "float32")) -> None:
    """Hold `op.gpu` and `op.gpu_grad` on the emulated device against the NumPy side, on each of the op's samples."""
    rng = np.random.default_rng(seed)
    devices = sys.modules["tritorch.device"]
    for args, params in op.samples(rng):
        g = None
        for kind in kinds:
            tol = {"float64": 1e-10, "float32": 2e-5, "float16": 2e-2}[kind]
            a = [v.astype(kind) if v is not None and v.dtype.kind == "f" else v for v in args]
            exact = [v.astype(np.float64) if v is not None and v.dtype.kind == "f" else v for v in a]
            expected = _several(op.cpu(*exact, *params))
            a = [None if v is None else devices.to_device(np.ascontiguousarray(v).reshape(v.shape)) for v in a]
            found = _several(op.gpu(*a, *params))
            for want, got in zip(expected[: op.differentiable], found):
                assert got.shape == want.shape and (got.dtype == kind or want.dtype.kind != "f"), (
                    f"{op.name}: {got.dtype}"
                )
                np.testing.assert_allclose(
                    got.astype(np.float64), want, rtol=tol, atol=tol, err_msg=f"{op.name} {kind} {params}"
                )
            if op.gpu_grad is None:
                continue
            g = rng.normal(size=expected[0].shape) if g is None else g
            floats = tuple(v is not None and v.dtype.kind == "f" for v in args)

            def backward(rule, inputs, outs, gy):
                values = {
                    "input": lambda i: inputs[i], "shape": lambda i: inputs[i].shape, "output": lambda i: outs[i],
                    "param": lambda i: params[i], "needs": lambda i: floats,
                }  # fmt: skip
                return _several(rule(gy, *(values[k](i) for k, i in op.saved)))

            want = backward(op.cpu_grad, exact, expected, g.astype(kind).astype(np.float64))
            got = backward(op.gpu_grad, a, found, devices.to_device(g.astype(kind)))
            for i, (w, v) in enumerate(zip(want, got)):
                if w is None or not floats[i]:
                    continue
                assert v.shape == w.shape and v.dtype == a[i].dtype, f"{op.name}: gradient {i} is {v.shape} {v.dtype}"
                np.testing.assert_allclose(
                    v.astype(np.float64),
                    w,
                    rtol=5 * tol,
                    atol=5 * tol,
                    err_msg=f"{op.name} {kind} {params} gradient {i}",
                )


def _several(value):
    return value if isinstance(value, tuple) else (value,)
