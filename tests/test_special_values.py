"""The emulated cuda device against the CPU where values are NaN, infinite, -0.0, huge or subnormal: every op of the registry
that has a kernel and takes floating-point operands, forward and backward; see `special_values.py` for what is compared."""

from __future__ import annotations

import numpy as np
import pytest

from tests.special_values import HUGE, INF, NAN, TINY, operands, parameters, pointwise, same, widened
from tests.test_ops import ON_CUDA, call, carried, leaves, samples
from tritorch.autograd import grad
from tritorch.kernels._library import LIBRARY_OPS
from tritorch.kernels._op import OPS
from tritorch.kernels.elementwise import Elementwise
from tritorch.tensor import host, wrap

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's remarks on inf - inf, wherever it is

POINTWISE = [n for n in ON_CUDA if isinstance(OPS[n], Elementwise) and not n.startswith(("bitwise_", "gcd", "lcm"))]

NO_DIGITS = dict.fromkeys(
    ("bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "airy_ai", "i0e", "i1e"),
    "a wave whose place in its period float64 has no digits for, or the difference of two nearly equal numbers",
)
"""Ops whose value at a huge operand is noise: there the CPU and cuda may differ by anything."""


@pytest.mark.parametrize("name", POINTWISE)
def test_pointwise(name: str) -> None:
    op = OPS[name]
    arrays = operands(op)
    noise = np.abs(arrays[0]) == np.float32(HUGE) if name in NO_DIGITS else None
    for params in parameters(op):
        want, wide = pointwise(op, arrays, params, "cpu"), pointwise(op, widened(arrays), params, "cpu")
        got = pointwise(op, arrays, params, "cuda")
        for i, (a, b, w) in enumerate(zip(got, want, wide, strict=True)):
            same(a, b, w, f"{name}{params}: {f'gradient {i - 1}' if i else 'result'}", arrays, 1e-4, noise)


# ---- the other ops: one value among ordinary ones, in each operand in turn and in the gradient ---------------------

OTHERS = [n for n in ON_CUDA if not isinstance(OPS[n], Elementwise) and not OPS[n].view and n not in LIBRARY_OPS]
_INFINITE, _NOT_FINITE = (INF, -INF), (NAN, INF, -INF)
_PADDING = "a product with the zeros of padding, which one way to convolve makes and another leaves out"
_SUMS = "sums of g, of x and of g x apart, or shifted by the mean first: inf - inf in the one and not in the other"
_CUT = "cuda's gradient is a recurrence that factors of 0 cut into runs, and 0 times what is not finite is NaN"
_PATHS = "what is NaN at places that no path reaches"
APART: dict[str, list[tuple[str, tuple[float, ...], str]]] = {
    "batch_norm_train": [("1", _INFINITE, _SUMS), ("gradient", _INFINITE, _SUMS)],
    "batch_norm_eval": [("3", _INFINITE, _SUMS), ("gradient", _INFINITE, _SUMS)],
    "group_norm": [("1", _INFINITE, _SUMS), ("gradient", _INFINITE, _SUMS)],
    "conv": [("0", _NOT_FINITE, _PADDING)],
    "conv_input_grad": [("gradient", _NOT_FINITE, _PADDING)],
    "conv_weight_grad": [("1", _NOT_FINITE, _PADDING)],
    "cross_entropy": [("gradient", _INFINITE, "inf (p - 1) or inf p - inf")],
    "ctc_loss": [("0", (NAN, INF), _PATHS), ("gradient", _NOT_FINITE, _PATHS)],
    "cummax": [("gradient", _NOT_FINITE, _CUT)],
    "cummin": [("gradient", _NOT_FINITE, _CUT)],
    "cumprod": [("0", _INFINITE, "infinities of both signs, summed in another order")],
    "linear_recurrence": [("0", _INFINITE, "few long rows are folded, so that factors meet in another order")],
    "grid_sample": [("1", _NOT_FINITE, "a coordinate that is no number: PyTorch reads wild addresses there")],
    "resample": [("gradient", _NOT_FINITE, "the taps of weight 0, which the kernel leaves out")],
}
"""Op -> [(where: an operand's number or "gradient"; the values; why the CPU and cuda may differ there)]."""


def _left_out(name: str, where: str, value: float) -> bool:
    return any(
        at == where and any(value == v or value != value and v != v for v in values)
        for at, values, _ in APART.get(name, ())
    )


def _seeded(a: np.ndarray, value: float) -> np.ndarray:
    """`a` with `value` in its middle; beside a subnormal number, -0.0 at the end."""
    a = np.array(a)
    flat = a.reshape(-1)
    if value == TINY:
        flat[-1] = -0.0
    flat[flat.size // 2] = value
    return flat.reshape(a.shape)


def _results(name: str, arrays: list, params: tuple, value: float | None, device: str, dtype: str) -> list:
    """[(what, array or None)]: the outputs, then the gradients; `value` goes into the gradient of each output."""
    tensors = leaves(arrays, device, dtype)
    outs = call(name, tensors, params)
    found = [(f"result {i}", host(o.detach())) for i, o in enumerate(outs)]
    kept = [o for o in carried(name, outs) if o.numel()]
    if kept:
        rng = np.random.default_rng(3)
        given = [rng.normal(size=tuple(o.shape)) for o in kept]
        given = [g if value is None else _seeded(g, value) for g in given]
        inputs = [t for t in tensors if t is not None and t.requires_grad]
        weights = [wrap(np.asarray(g, dtype)).to(device) for g in given]
        grads = grad(kept, inputs, weights, allow_unused=True)
        found += [(f"gradient {i}", None if v is None else host(v)) for i, v in enumerate(grads)]
    return found


@pytest.mark.parametrize("name", OTHERS)
def test_others(name: str) -> None:
    for values, (arrays, params) in zip(((NAN, INF, -INF, TINY), (NAN, INF)), samples(name), strict=False):
        if not any(a is not None and a.dtype.kind == "c" for a in arrays) and name not in (
            "complex",
            "view_as_complex",
        ):
            compare(name, arrays, params, values)  # complex numbers stay on the CPU


def compare(name: str, arrays: list, params: tuple, values: tuple[float, ...]) -> None:
    floats = [i for i, a in enumerate(arrays) if a is not None and a.dtype == np.float64 and a.size]
    for where in [*floats, None]:
        for value in values:
            if _left_out(name, "gradient" if where is None else str(where), value):
                continue
            given = [_seeded(a, value) if i == where else a for i, a in enumerate(arrays)]
            to = value if where is None else None
            runs = [_results(name, given, params, to, d, t) for d, t in
                    (("cuda", "float32"), ("cpu", "float32"), ("cpu", "float64"))]  # fmt: skip
            for (what, a), (_, b), (_, wide) in zip(*runs, strict=True):
                title = f"{name}{params}: {what} with {value} in {'the gradient' if where is None else where}"
                if b is not None and b.dtype.kind != "f":
                    assert np.array_equal(a, b), title
                else:
                    same(a, b, wide, title, [], 1e-3)
