"""The base of all distributions: shapes, parameters and what can be asked of one."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.modes import no_grad
from ..errors import message
from ..functional import broadcast_shapes
from ..tensor import Size, Tensor
from . import constraints
from .utils import broadcast_all, lazy_property

__all__ = ["Distribution"]


class Distribution:
    """A batch of probability distributions.

    A sample has the shape sample_shape + batch_shape + event_shape: `sample_shape` is asked for in `sample`,
    `batch_shape` counts distributions with own parameters, `event_shape` is the shape of one draw.

    Arguments:
        batch_shape, event_shape: default ().
        validate_args: check parameters, and values given to `log_prob` and the like; default: on unless Python runs
            with -O, see `set_default_validate_args`.

    A subclass states `arg_constraints` (a `Constraint` per parameter) and `support`, stores each parameter as an
    attribute of its name and of shape batch_shape + the constraint's event dims, then calls this constructor. `expand`,
    `repr` and the checks follow from that.

    Raises:
        ValueError: a parameter is outside of its constraint.
    """

    has_rsample: Any = False
    has_enumerate_support: Any = False
    _validate_args: bool = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Turn the checks of all distributions made from now on on or off.

        Raises:
            ValueError: `value` is neither True nor False.

        >>> import tritorch as torch
        >>> torch.distributions.Distribution.set_default_validate_args(True)
        """
        if value not in (True, False):
            raise ValueError(message("set_default_validate_args", "needs True or False", value=value))
        Distribution._validate_args = value

    def __init__(
        self,
        batch_shape: Sequence[int] = Size(),
        event_shape: Sequence[int] = Size(),
        validate_args: bool | None = None,
    ):
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()

    def _check_parameters(self) -> None:
        try:
            rules = self.arg_constraints
        except NotImplementedError:
            rules = {}
            warnings.warn(
                f"{type(self)} does not define `arg_constraints`. Please set `arg_constraints = {{}}` or initialize the "
                "distribution with `validate_args=False` to turn off validation.",
                stacklevel=4,
            )
        for name, rule in rules.items():
            if constraints.is_dependent(rule):
                continue
            if name not in self.__dict__ and isinstance(getattr(type(self), name), lazy_property):
                continue  # computed from a parameter that is checked
            value = getattr(self, name)
            if not rule.check(value).all():
                raise ValueError(
                    f"Expected parameter {name} (Tensor of shape {tuple(value.shape)}) of distribution {self!r} to "
                    f"satisfy the constraint {rule!r}, but found invalid values:\n{value}"
                )

    def _together(self, **parameters: Any) -> tuple[Tensor, ...]:
        """The parameters, numbers or tensors, as tensors of one shape."""
        try:
            return broadcast_all(*parameters.values())
        except (RuntimeError, ValueError) as error:
            rule = "parameters must be numbers or Tensors whose shapes broadcast together"
            raise type(error)(message(type(self).__name__, rule, **parameters)) from None

    # ---- what it is

    @property
    def batch_shape(self) -> Size:
        """Shape of the batch of distributions."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """Shape of one draw of one distribution."""
        return self._event_shape

    if TYPE_CHECKING:  # attributes of the class, or properties where they depend on the parameters
        arg_constraints: Any
        support: Any
    else:

        @property
        def arg_constraints(self) -> dict[str, constraints.Constraint]:
            """The constraint of each parameter, by name."""
            raise NotImplementedError(f"{type(self).__name__} does not define arg_constraints")

        @property
        def support(self) -> constraints.Constraint:
            """The constraint that samples satisfy."""
            raise NotImplementedError(f"{type(self).__name__} does not define support")

    @property
    def mean(self) -> Tensor:
        """Expected value."""
        raise NotImplementedError(f"{type(self).__name__} does not implement mean")

    @property
    def mode(self) -> Tensor:
        """The value of highest density."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Tensor:
        """Expected squared distance from the mean."""
        raise NotImplementedError(f"{type(self).__name__} does not implement variance")

    @property
    def stddev(self) -> Tensor:
        """The root of the variance."""
        return self.variance.sqrt()

    def __repr__(self) -> str:
        shown = {k: self.__dict__[k] for k in self.arg_constraints if k in self.__dict__}
        return f"{type(self).__name__}({', '.join(f'{k}: {_brief(v)}' for k, v in shown.items())})"

    # ---- draws

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """Draws of shape sample_shape + batch_shape + event_shape, without history."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """Draws through which gradients flow to the parameters; for distributions with `has_rsample`.

        Raises:
            NotImplementedError: the distribution has no such draws.
        """
        raise NotImplementedError(f"{type(self).__name__} has no reparameterized samples (has_rsample)")

    def sample_n(self, n: int) -> Tensor:
        """`sample((n,))`; use that."""
        warnings.warn("`sample_n(n)` will be deprecated. Use `sample((n,))` instead.", FutureWarning, stacklevel=2)
        return self.sample((n,))

    # ---- functions of values

    def log_prob(self, value: Tensor) -> Tensor:
        """log of the density, or of the probability, at `value`.

        Arguments:
            value: sample_shape + batch_shape + event_shape, or what broadcasts with it.

        Returns:
            of shape sample_shape + batch_shape.

        Raises:
            ValueError: `value` is no Tensor, has another shape or is outside of the support (with validate_args).
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of draws up to `value`."""
        raise NotImplementedError(f"{type(self).__name__} does not implement cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The value up to which draws have the probability `value`: the inverse of `cdf`."""
        raise NotImplementedError(f"{type(self).__name__} does not implement icdf")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values of a discrete distribution along a new first dim.

        Arguments:
            expand: repeat them over the batch dims, else these have size 1; default True.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement enumerate_support")

    def entropy(self) -> Tensor:
        """Expected -log_prob, in nats, of shape batch_shape."""
        raise NotImplementedError(f"{type(self).__name__} does not implement entropy")

    def perplexity(self) -> Tensor:
        """exp(entropy)."""
        return self.entropy().exp()

    # ---- shapes

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """The same distribution with its parameters expanded (no memory is used) to a larger batch.

        Arguments:
            batch_shape: the new shape; `self.batch_shape` must broadcast to it.
            _instance: the object that becomes the result, where a subclass brings its own.
        """
        new = object.__new__(type(self)) if _instance is None else _instance
        shape = Size(batch_shape)
        new.__dict__.update(self.__dict__)
        new.__dict__.update(self._expanded(shape))
        new._batch_shape = shape
        return new

    def _expanded(self, shape: Size) -> dict[str, Any]:
        """The attributes that change when the batch gets the given shape."""
        changed: dict[str, Any] = {}
        own = len(self._batch_shape)
        for name, value in self.__dict__.items():
            if isinstance(value, Distribution):
                changed[name] = value.expand(shape + value.batch_shape[own:])
            elif isinstance(value, Tensor) and name in self.arg_constraints:
                changed[name] = value.expand(shape + value.shape[value.ndim - self.arg_constraints[name].event_dim :])
        return changed

    def _extended_shape(self, sample_shape: Sequence[int] = Size()) -> Size:
        """sample_shape + batch_shape + event_shape."""
        return self._sizes(sample_shape) + self._batch_shape + self._event_shape

    def _sizes(self, sample_shape: Sequence[int]) -> Size:
        """`sample_shape`, checked."""
        if not isinstance(sample_shape, Sequence) or not all(isinstance(n, (int, np.integer)) for n in sample_shape):
            rule = "sample_shape must be a sequence of ints"
            raise TypeError(message(type(self).__name__, rule, sample_shape=sample_shape))
        if any(n < 0 for n in sample_shape):
            raise RuntimeError(message(type(self).__name__, "sizes must not be negative", sample_shape=sample_shape))
        return Size(sample_shape)

    # ---- checks

    def _check(self, value: Tensor) -> None:
        if self._validate_args:
            self._validate_sample(value)

    def _validate_sample(self, value: Tensor) -> None:
        """ValueError when `value` is no Tensor, has a wrong shape or is outside of the support."""
        if not isinstance(value, Tensor):
            raise ValueError(f"{type(self).__name__}: The value argument must be a Tensor; got {type(value).__name__}")
        shape, event = value.shape, len(self._event_shape)
        if shape[len(shape) - event :] != self._event_shape:
            raise ValueError(
                f"{type(self).__name__}: The right-most size of value must match event_shape: {value.shape} vs "
                f"{self._event_shape}."
            )
        expected = self._batch_shape + self._event_shape
        try:
            broadcast_shapes(shape, expected)
        except RuntimeError:
            raise ValueError(
                f"{type(self).__name__}: Value is not broadcastable with batch_shape+event_shape: {value.shape} vs "
                f"{expected}."
            ) from None
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `support` to enable sample validation. Please initialize the "
                "distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
            return
        if not support.check(value).all():
            raise ValueError(
                f"Expected value argument (Tensor of shape {tuple(value.shape)}) to be within the support "
                f"({support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )


def _brief(value: Any) -> str:
    return f"{value}" if not isinstance(value, Tensor) or value.numel() == 1 else f"{value.shape}"
