"""The in-place random methods of tensors: uniform_, normal_, random_ and the others.

They overwrite what is there: no history, one more version, and on the CPU PyTorch's numbers in the order of memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..binding import method
from ..kernels import random as fills
from ..random import Generator
from ..tensor import Tensor
from .distributions import bernoulli_fill, check_std
from .random import DIGITS, check_order, fill_tensor, inner_bounds, integer_range, needs_float

__all__: list[str] = []


def _from(name: str, given: Any, more: dict[str, Any], default: Any) -> Any:
    """The argument `from`, which Python's grammar lets come only by position or by `**`."""
    if "from" in more:
        given = more.pop("from")
    if more:
        raise TypeError(f"{name}() got an unexpected keyword argument {next(iter(more))!r}")
    return default if given is None else given


@method
def uniform_(
    self: Tensor, from_: Any = None, to: float = 1.0, *, generator: Generator | None = None, **more: Any
) -> Tensor:
    """Fill with uniform numbers of [from, to)."""
    low, high = float(_from("uniform_", from_, more, 0.0)), float(to)
    needs_float("uniform_", self.dtype)
    limit = float(dtypes.finfo(self.dtype).max)
    for name, value in (("from", low), ("to", high)):
        if not abs(value) <= limit:
            raise RuntimeError(f"uniform_: {name} is out of bounds for {self.dtype}: {value}")
    if low > high:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low} > to={high}")
    if high - low > limit:
        raise RuntimeError(f"uniform_ expects to-from <= the largest {self.dtype}; found from={low}, to={high}")
    return fill_tensor("uniform_", self, lambda a, g: fills.uniform(a, low, high, g), generator)


@method
def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with normal numbers."""
    check_std("normal_", std)
    needs_float("normal_", self.dtype)
    return fill_tensor("normal_", self, lambda a, g: fills.normal(a, float(mean), float(std), g), generator)


@method
def random_(self: Tensor, *bounds: Any, generator: Generator | None = None, **more: Any) -> Tensor:
    """Fill with integers: `random_()` up to the largest (floats: all whole numbers exactly held), `random_(to)`,
    `random_(from, to)`; `to` is left out of the range, None means up to the largest."""
    if len(bounds) > 2:
        raise TypeError(f"random_() takes from and to; got {bounds}")
    given = dict(zip(("to",) if len(bounds) == 1 and "to" not in more else ("from", "to"), bounds))
    given.update({name: more.pop(name) for name in ("from", "to") if name in more})
    if more:
        raise TypeError(f"random_() got an unexpected keyword argument {next(iter(more))!r}")
    kind = self.dtype
    if kind.is_complex:
        raise NotImplementedError(f'"random_" not implemented for {kind}')
    if not given:
        return fill_tensor("random_", self, fills.random_full, generator)
    low, high = int(given.get("from", 0)), given.get("to")
    if high is None and low == -(1 << 63):
        return fill_tensor("random_", self, lambda a, g: fills.randint(a, low, 1 << 64, g), generator)
    if high is None:
        most = 1 if kind is dtypes.bool_ else int(np.iinfo(kind.np).max) if kind.category == dtypes.INT else None
        high = 1 + (most if most is not None else 1 << DIGITS[kind.name])
        if kind.category == dtypes.FLOAT:
            low = inner_bounds(low, high, kind)[0]
        check_order(low, high)
        span = high - low
    else:
        low, span = integer_range(low, int(high), kind)
    return fill_tensor("random_", self, lambda a, g: fills.randint(a, low, span, g), generator)


@method
def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with 1 by the probability `p` (a number, or a tensor that broadcasts), else 0."""
    if self.dtype.is_complex:
        raise NotImplementedError(f'"bernoulli_" not implemented for {self.dtype}')
    return fill_tensor("bernoulli_", self, bernoulli_fill("bernoulli_", p), generator)


@method
def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with exponential numbers of rate `lambd`."""
    if self.dtype.category != dtypes.FLOAT:
        raise RuntimeError(
            "Exponential distribution is a continuous probability distribution. dtype must be a floating point but you "
            f"specified {self.dtype}"
        )
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    return fill_tensor("exponential_", self, lambda a, g: fills.exponential(a, float(lambd), g), generator)


@method
def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fill with the number of trials of probability `p` up to the first success: 1, 2, 3 ..."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    if self.dtype is dtypes.bool_ or self.dtype.is_complex:
        raise NotImplementedError(f'"geometric_" not implemented for {self.dtype}')
    return fill_tensor("geometric_", self, lambda a, g: fills.geometric(a, float(p), g), generator)


@method
def cauchy_(self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with Cauchy numbers."""
    if self.dtype.category != dtypes.FLOAT:
        raise RuntimeError(
            "Cauchy distribution is a continuous probability distribution. dtype must be a floating point but you "
            f"specified {self.dtype}"
        )
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    return fill_tensor("cauchy_", self, lambda a, g: fills.cauchy(a, float(median), float(sigma), g), generator)


@method
def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with exp of normal numbers of the given mean and standard deviation."""
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    needs_float("log_normal_", self.dtype, False)
    return fill_tensor("log_normal_", self, lambda a, g: fills.log_normal(a, float(mean), float(std), g), generator)
