"""Every pointwise op on the CPU against torch where values are NaN, infinite, -0.0, huge or subnormal, forward and backward;
see `tests/special_values.py` for what is compared. Reductions, normalisations, losses and the like by their public names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tritorch
from tests.special_values import HUGE, INF, NAN, TINY, asked, operands, parameters, pointwise, same, widened
from tests.test_ops import NAMES
from tritorch.kernels._op import OPS
from tritorch.kernels.elementwise import Elementwise

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")
F = torch.nn.functional

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

POINTWISE = [
    n for n in NAMES if isinstance(OPS[n], Elementwise) and not n.startswith(("bitwise_", "gcd", "lcm", "sgn"))
]
CALLS: dict[str, Callable[..., Any]] = {
    "rsub": lambda x, c: c - x,
    "rdiv": lambda x, c: c / x,
    "pow_scalar": lambda x, c: x**c,
    "prelu": lambda a, b: F.prelu(a[None], b)[0],
    "elu": lambda x, alpha, scale, slope: torch._C._nn.elu(x, alpha, scale, slope),
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "log_sigmoid": F.logsigmoid,
    "floor_divide": lambda a, b: torch.div(a, b, rounding_mode="floor"),  # torch.floor_divide has no gradient
    "logit": lambda x, eps: torch.logit(x, None if eps < 0 else eps),
    "polygamma": lambda x, n: torch.polygamma(n, x),
    "igamma": torch.special.gammainc,
    "igammac": torch.special.gammaincc,
    "addcmul": lambda a, b, c, value: torch.addcmul(a, b, c, value=value),
    "addcdiv": lambda a, b, c, value: torch.addcdiv(a, b, c, value=value),
} | {
    f"bessel_k{k}": getattr(torch.special, f"{s}modified_bessel_k{k[0]}")
    for k, s in (("0", ""), ("1", ""), ("0e", "scaled_"), ("1e", "scaled_"))
}

BESSEL = "torch's formula has inf / inf or the cosine of inf at infinity, ours gives the limit"
POLE = "at a pole torch gives what pi's rounding error leaves of a number that is infinite"
FUSED = "torch's vectors multiply and add with one rounding, so that a product may be too large for float32"
SUBNORMAL = "torch's constants or operands are rounded on the way, which a subnormal number does not survive"
LEFT_OUT: dict[str, tuple[str, Callable[..., np.ndarray]]] = {
    **dict.fromkeys(
        ("i0", "i1", "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1"), (BESSEL, lambda x, g: np.isinf(x))
    ),
    **dict.fromkeys(("digamma", "polygamma"), (POLE, lambda x, g: (x < 0) & (x == np.floor(x)) & np.isfinite(x))),
    **dict.fromkeys(
        ("addcmul", "lerp"), (FUSED, lambda *arrays: np.any([np.abs(a) == np.float32(HUGE) for a in arrays[:3]], 0))
    ),
    "addcdiv": (SUBNORMAL, lambda a, b, c, g: (np.abs(b) == np.float32(TINY)) & (np.abs(c) == np.float32(TINY))),
    "mish": ("torch's derivative has inf * 0 at inf, ours gives the limit", lambda x, g: x == np.inf),
    "log_ndtr": ("torch's derivative is g / 0 far to the left, ours gives the limit", lambda x, g: x <= -HUGE / 2),
}
"""Elements that are not compared: why, and of which operands (the gradient last)."""


def _torch_call(name: str) -> Callable[..., Any]:
    found = CALLS.get(name)
    for space in (torch, torch.special, F):
        found = found or getattr(space, name, None)
    assert found is not None, f"no function of torch for {name}; give CALLS one"
    return found


def _theirs(op: Elementwise, arrays: list[np.ndarray], params: tuple) -> list[np.ndarray | None]:
    """The same of torch as `pointwise` gives of ours."""
    *xs, g = arrays
    tensors = [torch.tensor(a).requires_grad_(need) for a, need in zip(xs, asked(op), strict=True)]
    y = _torch_call(op.name)(*tensors, *params)
    found = [y.detach().numpy()]
    if y.requires_grad and op.has_rule:
        wanted = [t for t in tensors if t.requires_grad]
        grads = torch.autograd.grad(y, wanted, torch.tensor(g), allow_unused=True)
        found += [None if v is None else v.numpy() for v in grads]
    return found


NO_DERIVATIVE_THERE = {
    *("bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "bessel_k0", "bessel_k1", "bessel_k0e", "bessel_k1e"),
    "spherical_bessel_j0",
}
"""Ops that have a derivative here and none in torch."""


@pytest.mark.parametrize("name", POINTWISE)
def test_pointwise(name: str) -> None:
    op = OPS[name]
    arrays = operands(op)
    left_out = LEFT_OUT[name][1](*arrays) if name in LEFT_OUT else None
    for params in parameters(op):
        got = pointwise(op, arrays, params, "cpu")
        want, wide = _theirs(op, arrays, params), _theirs(op, widened(arrays), params)
        if name in NO_DERIVATIVE_THERE:
            assert len(want) == 1
            got = got[:1]
        for i, (a, b, w) in enumerate(zip(got, want, wide, strict=True)):
            same(a, b, w, f"{name}{params}: {f'gradient {i - 1}' if i else 'result'}", arrays, 1e-3, left_out)


# ---- reductions, normalisations, losses and the like, by their public names ----------------------------------------

_rng = np.random.default_rng(0)


def _normal(*shape: int) -> np.ndarray:
    return _rng.normal(size=shape).astype(np.float32)


TARGETS = [1, 0, 3, 2]
ROWS: dict[str, Callable[..., Any]] = {
    "sum": lambda lib, x: x.sum(1),
    "nansum": lambda lib, x: x.nansum(1),
    "mean": lambda lib, x: x.mean(0),
    "prod": lambda lib, x: x.prod(1),
    "amax": lambda lib, x: x.amax(1),
    "amin": lambda lib, x: x.amin(0),
    "max": lambda lib, x: x.max(1)[0],
    "min": lambda lib, x: x.min(0)[0],
    "var": lambda lib, x: x.var(1),
    "std": lambda lib, x: x.std(1),
    "median": lambda lib, x: x.median(1)[0],
    "kthvalue": lambda lib, x: x.kthvalue(3, 1)[0],
    "sort": lambda lib, x: x.sort(1)[0],
    "topk": lambda lib, x: x.topk(3, 1)[0],
    "cumsum": lambda lib, x: x.cumsum(1),
    "cumprod": lambda lib, x: x.cumprod(1),
    "cummax": lambda lib, x: x.cummax(1)[0],
    "cummin": lambda lib, x: x.cummin(1)[0],
    "norm": lambda lib, x: x.norm(2, 1),
    "norm 1": lambda lib, x: x.norm(1, 1),
    "norm 3": lambda lib, x: x.norm(3, 1),
    "norm inf": lambda lib, x: x.norm(INF, 1),
    "logsumexp": lambda lib, x: x.logsumexp(-1),
    "softmax": lambda lib, x: x.softmax(-1),
    "log_softmax": lambda lib, x: x.log_softmax(0),
    "normalize": lambda lib, x: lib.nn.functional.normalize(x, dim=1),
    "diff": lambda lib, x: x.diff(dim=1),
    "masked_fill": lambda lib, x: x.masked_fill(x > 0, 2.0),
    "index": lambda lib, x: x[:, [0, 2, 2]],
    "glu": lambda lib, x: lib.nn.functional.glu(x[:, :6], 1),
    "cross_entropy": lambda lib, x: lib.nn.functional.cross_entropy(x, lib.tensor(TARGETS)),
    "nll_loss": lambda lib, x: lib.nn.functional.nll_loss(x, lib.tensor(TARGETS)),
    "max_pool1d": lambda lib, x: lib.nn.functional.max_pool1d(x, 3, 1, 1),
    "avg_pool1d": lambda lib, x: lib.nn.functional.avg_pool1d(x, 3, 1, 1),
    "matmul": lambda lib, x: x @ x.T,
}
PAIRS: dict[str, Callable[..., Any]] = {
    name: lambda lib, x, t, name=name: getattr(lib.nn.functional, name)(x, t)
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy_with_logits")
} | {
    "where": lambda lib, x, t: lib.where(x > 0, x, t),
    "linear": lambda lib, x, t: lib.nn.functional.linear(x, t),
    "cosine_similarity": lambda lib, x, t: lib.nn.functional.cosine_similarity(x, t),
}
APART: dict[str, tuple[tuple[str, ...], tuple[float, ...], str]] = {
    "cross_entropy": (("gradient",), (INF, -INF), "inf (p - 1), which torch makes as inf p - inf"),
}
"""Call -> (where, values, why torch differs there)."""


def _called(lib: Any, call: Callable[..., Any], arrays: list[np.ndarray], dtype: str, at: Any, value: float) -> list:
    arrays = [a.copy() for a in arrays]
    if at is not None:
        arrays[at].reshape(-1)[arrays[at].size // 2] = value
    tensors = [lib.tensor(a.tolist(), dtype=getattr(lib, dtype)).requires_grad_() for a in arrays]
    y = call(lib, *tensors)
    g = np.random.default_rng(1).normal(size=tuple(y.shape))
    if at is None:
        g.reshape(-1)[g.size // 2] = value
    grads = lib.autograd.grad(y, tensors, lib.tensor(g.tolist(), dtype=getattr(lib, dtype)), allow_unused=True)
    return [None if v is None else np.array(v.tolist(), dtype) for v in (y.detach(), *grads)]


@pytest.mark.parametrize("name", [*ROWS, *PAIRS])
def test_calls(name: str) -> None:
    call = ROWS.get(name) or PAIRS[name]
    arrays = [_normal(4, 7)] if name in ROWS else [_normal(4, 7), _normal(4, 7)]
    for at in (*range(len(arrays)), None):
        where = "gradient" if at is None else str(at)
        for value in (NAN, INF, -INF):
            if name in APART and where in APART[name][0] and value in APART[name][1]:
                continue
            got = _called(tritorch, call, arrays, "float32", at, value)
            want, wide = (_called(torch, call, arrays, d, at, value) for d in ("float32", "float64"))
            for i, (a, b, w) in enumerate(zip(got, want, wide, strict=True)):
                what = f"gradient {i - 1}" if i else "result"
                same(a, b, w, f"{name}: {what} with {value} in {where}", [], 1e-3)
