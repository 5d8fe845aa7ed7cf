"""The distribution of a function of a random number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..autograd.modes import no_grad
from ..errors import message
from ..tensor import Size, Tensor
from . import constraints
from .distribution import Distribution
from .independent import Independent
from .transform import ComposeTransform, Transform
from .utils import sum_rightmost

__all__ = ["TransformedDistribution"]


class TransformedDistribution(Distribution):
    """The distribution of y = t_n(... t_1(x)) for x of a base distribution.

    log p(y) = log p(x) - sum_i log |det dt_i|.

    Arguments:
        base_distribution: of x; expanded where a transform broadcasts.
        transforms: one Transform, or a list of them, the first first.

    Raises:
        ValueError: other transforms, or a base distribution with fewer dims than they need.

    >>> import tritorch as torch
    >>> from tritorch.distributions import ExpTransform, Normal, TransformedDistribution
    >>> TransformedDistribution(Normal(0.0, 1.0), [ExpTransform()]).log_prob(torch.tensor(1.0))
    tensor(-0.9189)
    """

    arg_constraints: Any = {}

    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Transform | list[Transform],
        validate_args: bool | None = None,
    ):
        if isinstance(transforms, Transform):
            transforms = [transforms]
        elif not isinstance(transforms, list) or not all(isinstance(t, Transform) for t in transforms):
            rule = "transforms must be a Transform or a list of Transforms"
            raise ValueError(message("TransformedDistribution", rule, transforms=transforms))
        self.transforms = transforms
        together = ComposeTransform(transforms)
        shape = base_distribution.batch_shape + base_distribution.event_shape
        base_event = len(base_distribution.event_shape)
        if len(shape) < together.domain.event_dim:
            rule = f"base_distribution needs at least {together.domain.event_dim} dims for the transforms"
            raise ValueError(message("TransformedDistribution", rule, shape=tuple(shape)))
        after = Size(together.forward_shape(shape))
        before = Size(together.inverse_shape(after))
        if before != shape:
            base_distribution = base_distribution.expand(before[: len(before) - base_event])
        taken = together.domain.event_dim - base_event
        self.base_dist = Independent(base_distribution, taken) if taken > 0 else base_distribution
        change = together.codomain.event_dim - together.domain.event_dim
        cut = len(after) - max(together.codomain.event_dim, base_event + change)
        super().__init__(after[:cut], after[cut:], validate_args=validate_args)

    def _expanded(self, shape: Size) -> dict[str, Any]:
        changed = super()._expanded(shape)
        inner: Sequence[int] = shape + self._event_shape
        for t in reversed(self.transforms):
            inner = t.inverse_shape(inner)
        changed["base_dist"] = self.base_dist.expand(Size(inner[: len(inner) - len(self.base_dist.event_shape)]))
        return changed

    has_rsample: Any = property(lambda self: self.base_dist.has_rsample)

    def _last_codomain(self) -> Any:
        if not self.transforms:
            return self.base_dist.support
        last = self.transforms[-1].codomain
        more = len(self.event_shape) - last.event_dim
        return constraints.independent(last, more) if more > 0 else last

    support: Any = constraints.dependent_property(_last_codomain, is_discrete=False)

    def _forward(self, x: Tensor) -> Tensor:
        for t in self.transforms:
            x = t(x)
        return x

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        with no_grad():
            return self._forward(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        return self._forward(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        event_dim = len(self.event_shape)
        total: Any = 0.0
        y = value
        for t in reversed(self.transforms):
            x = t.inv(y)
            event_dim += t.domain.event_dim - t.codomain.event_dim
            total = total - sum_rightmost(t.log_abs_det_jacobian(x, y), event_dim - t.domain.event_dim)
            y = x
        return total + sum_rightmost(self.base_dist.log_prob(y), event_dim - len(self.base_dist.event_shape))

    def _monotonize(self, probability: Tensor) -> Tensor:
        """p, or 1 - p where the transforms together fall."""
        sign: Any = 1
        for t in self.transforms:
            sign = sign * t.sign
        return probability if isinstance(sign, int) and sign == 1 else sign * (probability - 0.5) + 0.5

    def cdf(self, value: Tensor) -> Tensor:
        for t in reversed(self.transforms):
            value = t.inv(value)
        return self._monotonize(self.base_dist.cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        return self._forward(self.base_dist.icdf(self._monotonize(value)))
