"""The chi-squared distribution."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import constraints
from .gamma import Gamma

__all__ = ["Chi2"]


class Chi2(Gamma):
    """The sum of `df` squared standard normal numbers: Gamma(df / 2, 1 / 2).

    Arguments:
        df: degrees of freedom, positive, not necessarily whole.

    >>> import tritorch as torch
    >>> torch.distributions.Chi2(3.0).variance
    tensor(6.)
    """

    arg_constraints = {"df": constraints.positive}

    def __init__(self, df: Any, validate_args: bool | None = None):
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    def _expanded(self, shape: Any) -> dict[str, Any]:
        return {"concentration": self.concentration.expand(shape), "rate": self.rate.expand(shape)}

    @property
    def df(self) -> Tensor:
        return self.concentration * 2
