"""torch.testing: comparisons that say what differs, and random tensors for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .dtypes import promote_types
from .functional.conversion import as_tensor
from .tensor import Tensor, host

__all__ = ["assert_close", "make_tensor"]

_TOLERANCES = {
    "float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7),
    "complex64": (1.3e-6, 1e-5), "complex128": (1e-7, 1e-7),
}  # fmt: skip


def assert_close(
    actual: Any, expected: Any, *, allow_subclasses: bool = True, rtol: float | None = None, atol: float | None = None,
    equal_nan: bool = False, check_device: bool = True, check_dtype: bool = True, check_layout: bool = True,
    check_stride: bool = False, msg: str | Callable[[str], str] | None = None,
) -> None:  # fmt: skip
    """Raise AssertionError unless |actual - expected| <= atol + rtol |expected| everywhere.

    Arguments:
        actual, expected: tensors, arrays, numbers, or sequences and mappings of them.
        rtol, atol: both or neither; the defaults are PyTorch's, by dtype: (1.3e-6, 1e-5) for float32, 0 for integers.
        equal_nan: NaN equals NaN.
        check_device, check_dtype, check_stride: have these to be equal too.
        msg: the error's text, or a function of it.

    >>> import tritorch as torch
    >>> torch.testing.assert_close(torch.ones(2), torch.ones(2) + 1e-7)
    """
    if (rtol is None) != (atol is None):
        raise ValueError(f"rtol and atol must both be specified or both be unspecified; got rtol={rtol}, atol={atol}")

    def fail(where: str, text: str) -> AssertionError:
        full = f"{text}{f' (at {where})' if where else ''}"
        return AssertionError(full if msg is None else msg(full) if callable(msg) else msg)

    def compare(a: Any, b: Any, where: str) -> None:
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            if a.keys() != b.keys():
                raise fail(where, f"The keys of the mappings do not match: {sorted(a)} against {sorted(b)}")
            for k in a:
                compare(a[k], b[k], f"{where}[{k!r}]")
            return
        if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
            if len(a) != len(b):
                raise fail(where, f"The length of the sequences mismatch: {len(a)} != {len(b)}")
            for i, (x, y) in enumerate(zip(a, b, strict=True)):
                compare(x, y, f"{where}[{i}]")
            return
        if a is None and b is None:
            return
        if a is None or b is None:
            raise fail(where, f"None mismatch: {a!r} is not {b!r}")
        numbers = not isinstance(a, (Tensor, np.ndarray)) and not isinstance(b, (Tensor, np.ndarray))
        one, other = as_tensor(a).detach(), as_tensor(b).detach()
        if one.shape != other.shape:
            raise fail(where, f"The values for attribute 'shape' do not match: {one.shape} != {other.shape}.")
        if check_device and one.device is not other.device:
            raise fail(where, f"The values for attribute 'device' do not match: {one.device} != {other.device}.")
        if check_dtype and not numbers and one.dtype is not other.dtype:
            raise fail(where, f"The values for attribute 'dtype' do not match: {one.dtype} != {other.dtype}.")
        if check_stride and one.stride() != other.stride():
            raise fail(where, f"The values for attribute 'stride()' do not match: {one.stride()} != {other.stride()}.")
        limits = [_TOLERANCES.get(t.dtype.name, (0.0, 0.0)) for t in (one, other)]
        relative = max(v[0] for v in limits) if rtol is None else rtol
        absolute = max(v[1] for v in limits) if atol is None else atol
        common = promote_types(one.dtype, other.dtype)
        wide = np.complex128 if common.is_complex else np.float64 if common.category == 2 else common.np
        x, y = host(one).astype(wide), host(other).astype(wide)
        with np.errstate(all="ignore"):
            apart = np.abs(x - y) if wide not in (np.bool_,) and np.dtype(wide).kind != "b" else (x != y).astype(float)
            ok = (x == y) | (np.isfinite(y) & (apart <= absolute + relative * np.abs(y)))
            if equal_nan and np.dtype(wide).kind in "fc":
                ok |= np.isnan(x) & np.isnan(y)
        if ok.all():
            return
        bad = np.argwhere(~ok)
        worst = np.where(ok, -1.0, np.nan_to_num(apart.astype(float), nan=np.inf, posinf=np.inf))
        at = tuple(int(i) for i in np.unravel_index(int(worst.argmax()), worst.shape))
        kind = "Scalars" if x.ndim == 0 else "Tensor-likes"
        raise fail(
            where,
            f"{kind} are not close!\n\nMismatched elements: {len(bad)} / {x.size} ({100 * len(bad) / x.size:.1f}%)\n"
            f"Greatest absolute difference: {apart[at]} at index {at}: {x[at]} against {y[at]} (up to {absolute} allowed, "
            f"and {relative} of the expected value)",
        )

    compare(actual, expected, "")


def make_tensor(
    *shape: Any, dtype: Any, device: Any = "cpu", low: float | None = None, high: float | None = None,
    requires_grad: bool = False, noncontiguous: bool = False, exclude_zero: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """A random tensor for tests: uniform in [low, high), integers for integer dtypes.

    Arguments:
        low, high: default -9 and 9 for floats and complex, -9 and 10 for integers (0 and 10 for uint8), 0 and 2 for bool.
        noncontiguous: every second element of a longer last dim.
        exclude_zero: no element is 0.

    >>> import tritorch as torch
    >>> torch.testing.make_tensor(2, 3, dtype=torch.float32, device="cpu").shape
    torch.Size([2, 3])
    """
    from .functional.creation import empty

    sizes: Sequence[int] = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
    full = (*sizes[:-1], 2 * sizes[-1]) if noncontiguous and sizes and sizes[-1] > 1 else tuple(sizes)
    whole = dtype.category < 2
    first = {"bool": 0, "uint8": 0}.get(dtype.name, -9) if low is None else low
    last = {"bool": 2}.get(dtype.name, 10 if whole else 9) if high is None else high
    parts: Any = empty(full, dtype=dtype.to_real() if dtype.is_complex else dtype, device=device)
    if whole:
        parts.random_(int(first), int(last))
    else:
        parts.uniform_(first, last)
    if dtype.is_complex:
        from .functional.grid import complex as joined

        parts = joined(parts, parts.clone().uniform_(first, last))
    if exclude_zero:
        parts = parts.masked_fill(parts == 0, 1)
    if full != tuple(sizes):
        parts = parts[..., ::2]
    return parts.requires_grad_() if requires_grad else parts
