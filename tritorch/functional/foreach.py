"""One op on every tensor of a list, under PyTorch's names `_foreach_*`, which optimizers and weight averages use.

`_foreach_add(xs, others, alpha=2)` is `tuple(x.add(y, alpha=2) for x, y in zip(xs, others))`. An argument that is no list
goes to every tensor. A name that ends in `_` works in place and returns the list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import linalg
from ..errors import message
from ..tensor import Tensor

_ONE = """abs acos asin atan ceil clone cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 max neg reciprocal
    round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc zero""".split()
_MORE = "add addcdiv addcmul clamp_max clamp_min copy div lerp maximum minimum mm mul norm pow sub".split()
_ONLY_IN_PLACE, _NEVER_IN_PLACE = {"copy", "zero"}, {"clone", "max", "mm", "norm"}


def names() -> set[str]:
    """All that there are."""
    new = {f"_foreach_{n}" for n in (*_ONE, *_MORE) if n not in _ONLY_IN_PLACE}
    return new | {f"_foreach_{n}_" for n in (*_ONE, *_MORE) if n not in _NEVER_IN_PLACE}


def _norm(x: Tensor, ord: float = 2, dtype: Any = None) -> Tensor:
    return linalg.vector_norm(x, ord, dtype=dtype)


def _pow(x: Any, exponent: Any) -> Tensor:
    return x**exponent


_OWN: dict[str, Callable[..., Tensor]] = {"norm": _norm, "pow": _pow}
_METHOD = {  # which take numbers, too, and work in place
    "maximum": "clamp_min", "maximum_": "clamp_min_", "minimum": "clamp_max", "minimum_": "clamp_max_",
}  # fmt: skip


def _scaled(method: str) -> Callable[..., Tensor]:
    """x + value * (a * b) and x + value * (a / b), whose number comes by position as well."""

    def op(x: Tensor, a: Tensor, b: Tensor, scalars: Any = 1, *, value: Any = None) -> Tensor:
        return getattr(x, method)(a, b, value=scalars if value is None else value)

    return op


def _find(name: str) -> Callable[..., Tensor]:
    """What `_foreach_NAME` does with each tensor."""
    if name.startswith("addc"):
        return _scaled(name)
    if name in _OWN:
        return _OWN[name]
    method = _METHOD.get(name, name)
    return lambda x, *args, **options: getattr(x, method)(*args, **options)


def __getattr__(name: str) -> Callable[..., Any]:
    if name not in names():
        raise AttributeError(f"module 'tritorch' has no attribute {name!r}")
    short = name.removeprefix("_foreach_")
    each, scaled = _find(short), short.startswith("addc")

    def op(self: Any, *args: Any, **options: Any) -> Any:
        if scaled and len(args) == 3 and isinstance(args[2], Tensor):
            args = (*args[:2], args[2].tolist())
        lists = [a for a in (self, *args) if isinstance(a, Sequence)]
        if not lists:
            raise TypeError(message(name, "needs a list of tensors", self=self))
        if len({len(a) for a in lists}) > 1:
            lengths = [len(a) for a in lists]
            raise RuntimeError(f"{name}: all lists must have the same number of elements; got {lengths}")
        if not lists[0]:
            raise RuntimeError(f"{name}: the list must have at least one tensor")
        rows = zip(*(a if isinstance(a, Sequence) else [a] * len(lists[0]) for a in (self, *args)))
        out = tuple([each(*row, **options) for row in rows])
        return self if name.endswith("_") else out

    op.__name__ = op.__qualname__ = name
    globals()[name] = op
    return op
