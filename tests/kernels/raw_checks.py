"""Checks of an op on raw arrays: its fused backward against central differences along a random direction."""

from __future__ import annotations

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
