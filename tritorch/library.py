"""Your own kernel, with autograd around it: register an op with its NumPy definition, kernel and gradient rule.

    from tritorch.library import Array, check, empty_like, kernel, launch, op

    @kernel
    def _cube(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
        i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + i, mask=i < n, other=0)
        tl.store(y_ptr + i, x * x * x, mask=i < n)

    @op
    class cube:
        "y = x^3, elementwise."

        def cpu(x: Array) -> Array:
            return x * x * x

        def gpu(x: Array) -> Array:
            y = empty_like(x)
            launch(_cube, (-(-x.size // 1024),), x, y, x.size, BLOCK=1024)
            return y

        def grad(g, x):
            return g * 3 * x * x

        def samples(rng):
            yield (rng.normal(size=(3, 5)),), ()

    y = cube(x)            # on Tensors, on either device, differentiable twice
    check(cube)            # rule against finite differences, kernel against NumPy

The file must say `from __future__ import annotations`; `tl` is put into it by the first launch. `tritorch.kernels._op`
tells what the declaration may hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .autograd import gradcheck as _gradcheck
from .autograd import gradgradcheck
from .device import device_count
from .kernels._launch import empty, empty_like, kernel, launch
from .kernels._op import Array, Op, op
from .tensor import Tensor, host, wrap

__all__ = ["Array", "Op", "check", "empty", "empty_like", "kernel", "launch", "op"]


def check(operator: Op, *, second: bool = True, tolerance: float = 1e-4) -> int:
    """Hold an op against itself, on its own samples.

    Its rule is compared with finite differences (and, with `second`, its second derivatives), its kernel with its NumPy
    definition, forward and backward, where a cuda device, real or emulated, is there.

    Arguments:
        operator: made by `@op`, with `samples`.
        second: check second derivatives as well.
        tolerance: allowed difference of kernel and NumPy in float32, relative to the largest element.

    Returns:
        the number of samples that were checked.

    Raises:
        ValueError: the op has no samples. GradcheckError: a wrong rule. AssertionError: a kernel that differs.
    """
    if operator.samples is None:
        raise ValueError(f"check: op {operator.name} has no samples; give it `def samples(rng)`")
    count = 0
    for args, params in operator.samples(np.random.default_rng(0)):
        count += 1
        if operator.grad is not None:
            inputs = _leaves(args, np.float64)
            first: Any = _gradcheck  # a function; the submodule of that name hides it from type checkers
            first(lambda *xs, p=params: operator(*xs, *p), inputs)
            if second:
                gradgradcheck(lambda *xs, p=params: operator(*xs, *p), inputs)
        if operator.gpu is not None and device_count():
            _compare_devices(operator, args, tuple(params), tolerance)
    return count


def _leaves(args: Any, kind: Any) -> tuple[Any, ...]:
    made = []
    for a in args:
        t = wrap(np.array(a, kind) if np.asarray(a).dtype == np.float64 else np.array(a))
        made.append(t.requires_grad_() if t.dtype.category >= 2 else t)
    return tuple(made)


def _compare_devices(operator: Op, args: Any, params: tuple, tolerance: float) -> None:
    here = _leaves(args, np.float32)
    there = tuple(t.detach().to("cuda").requires_grad_(t.requires_grad) for t in here)  # type: ignore[attr-defined]
    want, got = operator(*here, *params), operator(*there, *params)
    _close(operator.name, got, want, tolerance)
    if operator.grad is None or not isinstance(want, Tensor) or not want.requires_grad:
        return
    seed = wrap(np.random.default_rng(1).normal(size=tuple(want.shape)).astype(np.float32))
    want.backward(seed)
    got.backward(seed.to("cuda"))  # type: ignore[attr-defined]
    for a, b in zip(there, here, strict=True):
        if b.grad is not None:
            _close(f"{operator.name} (gradient)", a.grad, b.grad, tolerance)


def _close(name: str, got: Any, want: Any, tolerance: float) -> None:
    for a, b in zip(
        got if isinstance(got, tuple) else (got,), want if isinstance(want, tuple) else (want,), strict=True
    ):
        x, y = host(a.detach()), host(b.detach())
        error = float(np.abs(x.astype(np.float64) - y.astype(np.float64)).max(initial=0))
        allowed = tolerance * max(1.0, float(np.abs(y.astype(np.float64)).max(initial=0)))
        assert x.shape == y.shape and error <= allowed, (
            f"{name}: kernel and NumPy differ by {error:g} (allowed {allowed:g})"
        )
