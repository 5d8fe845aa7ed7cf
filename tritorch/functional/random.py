"""New random tensors; on the CPU with PyTorch's numbers for the same seed.

How the numbers come about is in `kernels/random.py` (CPU) and `kernels/philox.py` (cuda); here are PyTorch's
signatures and checks. All functions take `generator=`; without it they draw from the device's default generator, which
`manual_seed` seeds.
"""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from .. import random as _streams
from ..autograd import inplace as _inplace
from ..autograd.modes import STATE
from ..binding import overlap, write_out
from ..device import CPU, on_device
from ..device import device as Device
from ..errors import message
from ..kernels import random as fills
from ..random import Generator, default_generator, get_rng_state, initial_seed, manual_seed, pick, seed, set_rng_state
from ..tensor import Tensor, bump, wrap
from .conversion import to_dtype, to_place
from .creation import check_ignored, empty_array, like_array, to_size

__all__ = [
    "Generator", "default_generator", "get_rng_state", "initial_seed", "manual_seed", "rand", "rand_like", "randint",
    "randint_like", "randn", "randn_like", "randperm", "seed", "set_rng_state",
]  # fmt: skip

_streams._as_tensor = wrap  # from here on, a generator's state is a Tensor

Fill = Callable[[Any, Generator], None]


# ------------------------------------------------------------------------------------------------------ new tensors


def needs_float(op: str, kind: dtypes.dtype, and_complex: bool = True) -> None:
    if kind.category < dtypes.FLOAT or (kind.is_complex and not and_complex):
        raise NotImplementedError(f'"{op}" not implemented for {kind}: the dtype must be a floating-point one')


def run(fill: Fill, a: Any, g: Generator, place: Device) -> None:
    if place is CPU:
        fill(a, g)
    else:
        with on_device(place.index):
            fill(a, g)


def draw(
    op: str, size: tuple[Any, ...], fill: Fill, generator: Generator | None, out: Tensor | None, dtype: Any,
    device: Any, requires_grad: bool, more: dict[str, Any], default: dtypes.dtype | None = None,
) -> Tensor:  # fmt: skip
    """A new tensor, or `out`, filled with numbers."""
    if more:
        if "size" in more and not size:
            size = (more.pop("size"),)
        check_ignored(op, more)
    if not size:
        raise TypeError(f'{op}() missing 1 required positional arguments: "size"')
    shape = to_size(op, size)
    if out is not None:
        return draw_out(op, shape, fill, generator, out, dtype)
    kind = (default or dtypes.get_default_dtype()) if dtype is None else to_dtype(op, dtype)
    if default is None and kind.category < dtypes.FLOAT:
        needs_float(op, kind)
    place = to_place(device)
    g = pick(generator, place, op)
    a = empty_array(shape, kind, place)
    run(fill, a, g, place)
    t = wrap(a, place)
    return t.requires_grad_() if requires_grad else t


def draw_out(
    op: str, shape: tuple[int, ...], fill: Fill, generator: Generator | None, out: Tensor, dtype: Any
) -> Tensor:
    if not isinstance(out, Tensor):
        raise TypeError(f"{op}: out must be a Tensor; got {type(out).__name__}")
    if dtype is not None and to_dtype(op, dtype) is not out.dtype:
        raise RuntimeError(message(op, f"dtype {dtype} does not match the dtype of out", out=out))
    g = pick(generator, out.device, op)
    if tuple(out._a.shape) == shape:
        return fill_tensor(op, out, fill, g)
    a = empty_array(shape, out.dtype, out.device)
    run(fill, a, g, out.device)
    write_out(op, wrap(a, out.device), out, warn=False)
    return out


def fill_tensor(name: str, t: Tensor, fill: Fill, generator: Generator | None) -> Tensor:
    """Overwrite `t` with numbers: checks of in-place ops, no history, one more version."""
    _inplace.check(t, name)
    g = pick(generator, t.device, name)
    a = t._a
    if t.device is CPU:
        if a.size and (not a.flags.writeable or any(s == 0 and n > 1 for s, n in zip(a.strides, a.shape))):
            raise overlap(t)
        fill(a, g)
    else:
        with on_device(t.device.index):
            fill(a, g)
    bump(t)
    if STATE.grad:
        _inplace.rebase(t, None)
    return t


def _uniform01(a: Any, g: Generator) -> None:
    fills.uniform(a, 0.0, 1.0, g)


def _standard_normal(a: Any, g: Generator) -> None:
    fills.normal(a, 0.0, 1.0, g)


def rand(
    *size: Any, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """Uniform numbers of [0, 1).

    Arguments:
        size: the shape, as ints or one sequence.
        generator: where the bits come from; default: the device's default generator.
        dtype: floating point or complex; default: the default float.

    >>> import tritorch as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.rand(2)
    tensor([0.4963, 0.7682])
    """
    return draw("rand", size, _uniform01, generator, out, dtype, device, requires_grad, more)


def randn(
    *size: Any, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """Normal numbers of mean 0 and variance 1 (complex: of both parts together); arguments as in `rand`."""
    return draw("randn", size, _standard_normal, generator, out, dtype, device, requires_grad, more)


def randint(
    *args: Any, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """Integers of [low, high), all equally likely: `randint(high, size)` or `randint(low, high, size)`.

    Arguments:
        low: default 0. high: left out of the range. size: a sequence of ints.
        dtype: default int64.

    Raises:
        RuntimeError: an empty range, or one that the dtype can't hold.

    >>> import tritorch as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.randint(0, 10, (4,))
    tensor([4, 9, 3, 0])
    """
    low, high, size = _randint_arguments("randint", args, more)
    if not isinstance(size, (tuple, list)):
        raise TypeError(
            f"randint(): argument 'size' (position {len(args)}) must be tuple of ints, not {type(size).__name__}"
        )
    kind = _integer_kind("randint", dtype, out)
    low, span = integer_range(low, high, kind)
    return draw(
        "randint", (tuple(size),), lambda a, g: fills.randint(a, low, span, g), generator, out, dtype, device,
        requires_grad, more, dtypes.int64,
    )  # fmt: skip


def _integer_kind(op: str, dtype: Any, out: Tensor | None) -> dtypes.dtype:
    if dtype is not None:
        return to_dtype(op, dtype)
    return dtypes.int64 if out is None else out.dtype


def _randint_arguments(op: str, args: tuple[Any, ...], more: dict[str, Any]) -> tuple[int, int, Any]:
    given = list(args)
    size = more.pop("size") if "size" in more else given.pop() if len(given) > 1 or "high" in more else None
    high = more.pop("high") if "high" in more else given.pop() if given else None
    low = more.pop("low") if "low" in more else given.pop() if given else 0
    if size is None or high is None or given:
        raise TypeError(f"{op}() received an invalid combination of arguments - got {args}; expected low, high, size")
    for name, value in (("low", low), ("high", high)):
        if isinstance(value, Tensor) and value.ndim == 0 and value.dtype.category == dtypes.INT:
            continue
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError(f"{op}(): argument '{name}' must be int, not {type(value).__name__}")
    return int(low), int(high), size


DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}


_WHOLE = {d.name: (int(np.iinfo(d.np).min), int(np.iinfo(d.np).max)) for d in dtypes.ALL if d.category == dtypes.INT}
_WHOLE["bool"] = (0, 1)


def integer_range(low: int, high: int, kind: dtypes.dtype) -> tuple[int, int]:
    """(low, span) of [low, high) as the dtype can hold it; RuntimeError for an empty or too wide range."""
    check_order(low, high)
    if kind.category == dtypes.FLOAT:
        low, high = inner_bounds(low, high, kind)
        check_order(low, high)
        limit = float(dtypes.finfo(kind).max)
        bounds = (-limit, limit)
        digits = 1 << DIGITS[kind.name]
    elif kind.category == dtypes.COMPLEX:
        raise NotImplementedError(f'"random_" not implemented for {kind}')
    else:
        bounds = _WHOLE[kind.name]
        digits = 0
    for name, value in (("from", low), ("to - 1", high - 1)):
        if not bounds[0] <= value <= bounds[1]:
            raise RuntimeError(f"{name} is out of bounds for {kind.name}: {value} is not in [{bounds[0]}, {bounds[1]}]")
        if digits and abs(value) > digits:
            warnings.warn(
                f"{name} is out of bounds [-{digits}, {digits}]: {kind} does not hold all integers of the range",
                UserWarning,
                stacklevel=4,
            )
    return low, high - low


def check_order(low: int, high: int) -> None:
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")


def inner_bounds(low: int, high: int, kind: dtypes.dtype) -> tuple[int, int]:
    """Bounds moved inwards to numbers of the dtype, so that no drawn integer rounds out of the range."""
    digits = DIGITS[kind.name]

    def rounded(x: int) -> float:
        value = np.float32(x) if kind.is_half else x
        with np.errstate(over="ignore"):
            return float(np.asarray(value).astype(kind.np))

    def step(x: int) -> int:
        return 1 << max(abs(x).bit_length() - digits, 0)

    above, below = rounded(low + 1), rounded(high - 1)
    if math.isfinite(above) and above < low:
        low = int(above) + step(low + 1)
    if math.isfinite(below) and below >= high:
        high = int(below) - step(high - 1)
    return low, high


_MOST_WHOLE = {name: (1 << digits) + 1 for name, digits in DIGITS.items()}


def randperm(
    n: int, *, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """The numbers 0 ... n - 1 in random order.

    Arguments:
        n: at least 0. dtype: default int64; must hold n.

    >>> import tritorch as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.randperm(5)
    tensor([4, 0, 1, 3, 2])
    """
    check_ignored("randperm", more)
    (n,) = to_size("randperm", (n,))
    kind = _integer_kind("randperm", dtype, out)
    if kind.category in (dtypes.BOOL, dtypes.COMPLEX):
        raise NotImplementedError(f'"randperm" not implemented for {kind}')
    most = _MOST_WHOLE[kind.name] if kind.category == dtypes.FLOAT else _WHOLE[kind.name][1]
    if n > most:
        raise RuntimeError(f"randperm: n cannot be greater than {most} for {kind}; got {n}")
    place = to_place(device) if out is None else out.device
    g = pick(generator, place, "randperm")
    if place is CPU:
        t = wrap(fills.randperm(n, kind.np, g))
    else:
        t = rand(n, generator=g, dtype=dtypes.float64, device=place).argsort().to(kind)
    if out is not None:
        write_out("randperm", t, out, warn=False)
        return out
    return t.requires_grad_() if requires_grad else t


def _like(
    op: str, input: Any, fill: Fill, generator: Any, dtype: Any, device: Any, requires_grad: bool, more: dict
) -> Tensor:
    check_ignored(op, more)
    a, kind, place = like_array(op, input, dtype, device)
    if op != "randint_like":
        needs_float(op, kind)
    run(fill, a, pick(generator, place, op), place)
    t = wrap(a, place)
    return t.requires_grad_() if requires_grad else t


def rand_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """Uniform numbers of [0, 1) in the shape, dtype and device of `input`."""
    return _like("rand_like", input, _uniform01, generator, dtype, device, requires_grad, more)


def randn_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """Standard normal numbers in the shape, dtype and device of `input`."""
    return _like("randn_like", input, _standard_normal, generator, dtype, device, requires_grad, more)


def randint_like(
    input: Tensor, low: int, high: int | None = None, *, generator: Generator | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False, **more: Any,
) -> Tensor:  # fmt: skip
    """Integers of [low, high), or of [0, low) when `high` is left out, in the shape, dtype and device of `input`."""
    if high is None:
        low, high = 0, low
    kind = input.dtype if dtype is None else to_dtype("randint_like", dtype)
    start, span = integer_range(low, high, kind)
    fill = lambda a, g: fills.randint(a, start, span, g)
    return _like("randint_like", input, fill, generator, dtype, device, requires_grad, more)
