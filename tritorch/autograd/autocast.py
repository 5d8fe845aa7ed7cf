"""Mixed precision: which functions run in which dtype while `tritorch.amp.autocast` is on.

A listed function asks `if ACTIVE:` before it looks at its arguments, one falsy test while autocast is off, and then
takes its tensors from `cast(name, ...)`, which follows PyTorch's lists:

- `LOW`: float32 tensors are cast to the region's dtype (products and convolutions, where it pays);
- `FULL`: half-precision tensors are cast to float32 (sums, exponentials, losses, where range or precision is needed);
- `WIDEST`: to float32 when one of the tensors is float32;
- `UNSAFE`: refused, since its gradient leaves the range of float16.

Elementwise functions of several tensors (addcmul, atan2, cat, ...) promote by themselves.

Casts are differentiable; float64, integers, and tensors of another device are left alone. The state is the thread's
own. Backward runs with autocast off: the dtypes of the forward decide.
"""

from __future__ import annotations

import threading
from typing import Any

from ..dtypes import bfloat16, float16, float32, float64
from ..kernels._op import OPS
from .modes import STATE

LOW, FULL, WIDEST, UNSAFE = "low", "full", "widest", "unsafe"

ACTIVE: list[str] = []
"""One entry per thread and device type for which autocast is on."""


def _table(**names: str) -> dict[str, str]:
    return {name: policy for policy, listed in names.items() for name in listed.split()}


_PRODUCTS = """addbmm addmm baddbmm bmm conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d einsum gru
gru_cell linear lstm lstm_cell matmul mm prelu rnn rnn_cell scaled_dot_product_attention"""
_LOSSES = """binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy hinge_embedding_loss huber_loss kl_div
l1_loss margin_ranking_loss mse_loss multi_margin_loss multilabel_margin_loss nll_loss poisson_nll_loss smooth_l1_loss
soft_margin_loss triplet_margin_loss"""

POLICY: dict[str, dict[str, str]] = {
    "cpu": _table(
        low=_PRODUCTS + " tensordot",
        full=_LOSSES
        + """ adaptive_avg_pool3d adaptive_max_pool3d avg_pool3d binary_cross_entropy cdist ctc_loss fft fractional_max_pool2d
        fractional_max_pool3d grid_sample linalg max_pool3d pad_reflect pad_replicate polar prod quantile trace""",
    ),
    "cuda": _table(
        low=_PRODUCTS + " addmv addr mv",
        full=_LOSSES
        + """ acos asin cdist cosh cosine_similarity cumprod cumsum erfinv exp expm1 group_norm interpolate layer_norm log
        log10 log1p log2 log_softmax logsumexp norm pdist pow prod reciprocal rsqrt sinh softmax softplus sum tan""",
        widest="bilinear dot grid_sample index_put scatter_add tensordot vdot",
        unsafe="binary_cross_entropy",
    ),
}


KEEPS = {"cpu": frozenset(("gru", "gru_cell", "lstm_cell")), "cuda": frozenset()}
"""Functions of `LOW` whose results are cast back to the dtype of their input."""


class State(threading.local):
    """A thread's switches: per device type whether autocast is on and in which dtype; the casts of weights kept."""

    def __init__(self) -> None:
        self.enabled = {"cpu": False, "cuda": False}
        self.dtype: dict[str, Any] = {"cpu": bfloat16, "cuda": float16}
        self.cache_enabled = True
        self.depth = 0
        self.kept: dict[Any, tuple[Any, int, Any]] = {}


AUTOCAST = State()


def check_type(op: str, device_type: Any) -> str:
    """`device_type` when it is "cpu" or "cuda"; RuntimeError otherwise."""
    if not isinstance(device_type, str):
        raise ValueError(f"{op}: Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if device_type not in POLICY:
        raise RuntimeError(f"{op}: unsupported autocast device_type '{device_type}'; expected 'cpu' or 'cuda'")
    return device_type


def set_enabled(device_type: str, on: bool) -> None:
    """Turn the thread's autocast for a device type on or off."""
    if on != AUTOCAST.enabled[device_type]:
        AUTOCAST.enabled[device_type] = on
        if on:
            ACTIVE.append(device_type)
        else:
            ACTIVE.remove(device_type)


def snapshot() -> tuple[Any, ...]:
    """The thread's switches, for `restore` in this thread or another one."""
    return dict(AUTOCAST.enabled), dict(AUTOCAST.dtype), AUTOCAST.cache_enabled


def restore(switches: tuple[Any, ...]) -> None:
    """Set the thread's switches to what `snapshot` gave."""
    enabled, kinds, AUTOCAST.cache_enabled = switches
    for device_type, on in enabled.items():
        set_enabled(device_type, on)
    AUTOCAST.dtype.update(kinds)


def suspend() -> tuple[Any, ...]:
    """Turn the thread's autocast off; what comes back is for `restore`."""
    before = snapshot()
    for device_type in POLICY:
        set_enabled(device_type, False)
    return before


class restored:  # noqa: N801 - used like a function
    """Context in which the thread's switches are those of a `snapshot`."""

    __slots__ = ("switches", "before")

    def __init__(self, switches: tuple[Any, ...]):
        self.switches = switches

    def __enter__(self) -> None:
        self.before = snapshot()
        restore(self.switches)

    def __exit__(self, *exc: Any) -> None:
        restore(self.before)


def policy_of(name: str, values: Any) -> tuple[str | None, str]:
    """What is to be done with the arguments of function `name`, and their device type."""
    for v in values:
        if v.__class__ in (list, tuple) and v:
            v = v[0]
        if hasattr(v, "_a"):
            kind = v.device.type
            return (POLICY[kind].get(name) if AUTOCAST.enabled[kind] else None), kind
    return None, "cpu"


def cast(name: str, *values: Any) -> Any:
    """The arguments of function `name` in the dtypes that the region asks for.

    Args:
        name: as in `POLICY`.
        values: tensors, lists of tensors, and anything else, which comes back as it is.
    """
    policy, kind = policy_of(name, values)
    if policy is None:
        return values
    if policy == UNSAFE:
        raise RuntimeError(
            f"{name}: unsafe to autocast on {kind}, its gradient leaves float16's range; use {name}_with_logits on what "
            "comes before the sigmoid, or call it in a region with autocast(enabled=False) on input.float()"
        )
    if policy == LOW:
        to = AUTOCAST.dtype[kind]
    elif policy == FULL:
        to = float32
    else:
        tensors = [t for v in values for t in (v if v.__class__ in (list, tuple) else (v,)) if _eligible(t, kind)]
        if not tensors:
            return values
        wide = any(t.dtype is float32 for t in tensors)
        to = float32 if wide else AUTOCAST.dtype[kind]
    return [[_to(t, kind, to) for t in v] if v.__class__ in (list, tuple) else _to(v, kind, to) for v in values]


def back(name: str, dtype: Any, outputs: Any) -> Any:
    """Results of function `name` on an input of `dtype`, cast back where PyTorch's have the input's dtype."""
    kind = outputs[0].device.type
    if not AUTOCAST.enabled[kind] or name not in KEEPS[kind]:
        return outputs
    return tuple([t if t.dtype is dtype else OPS["cast"](t, dtype) for t in outputs])


def _eligible(v: Any, kind: str) -> bool:
    return hasattr(v, "_a") and v.dtype.is_floating_point and v.dtype is not float64 and v.device.type == kind


def _to(v: Any, kind: str, to: Any) -> Any:
    if not _eligible(v, kind) or v.dtype is to:
        return v
    if not (v.is_leaf and v._node is not None and v.dtype is float32 and to is not float32 and AUTOCAST.cache_enabled):
        return OPS["cast"](v, to)
    # a weight that several calls of the region use is cast once
    key = (id(v), to, STATE.grad)
    version = 0 if v._vc is None else v._vc.n
    found = AUTOCAST.kept.get(key)
    if found is not None and found[0] is v and found[1] == version:
        return found[2]
    made = OPS["cast"](v, to)
    if AUTOCAST.depth:
        AUTOCAST.kept[key] = (v, version, made)
    return made
