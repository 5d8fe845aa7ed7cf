"""Kullback-Leibler divergences: KL(p || q), the expected log p(x) - log q(x) of x from p.

`kl_divergence` looks for the rule of the most specific classes; `register_kl` enters one. `kl_families.py` has the rules of
a family against itself, `kl_pairs.py` those of two families.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ..tensor import Tensor
from .distribution import Distribution

__all__ = ["kl_divergence", "register_kl"]

Rule = Callable[[Any, Any], Any]

_RULES: dict[tuple[type, type], Rule] = {}
_FOUND: dict[tuple[type, type], Rule | None] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Rule], Rule]:
    """Decorator of the function (p, q) that gives KL(p || q) for two classes and those that inherit from them.

    Where several pairs of classes fit, the most specific counts; where two fit equally well, register their meet.

    Raises:
        TypeError: an argument is no class of distributions.

    >>> import tritorch as torch
    >>> class Mine(torch.distributions.Normal):
    ...     pass
    >>> @torch.distributions.register_kl(Mine, Mine)
    ... def kl(p, q):
    ...     return torch.zeros(p.batch_shape)
    >>> torch.distributions.kl_divergence(Mine(0.0, 1.0), Mine(1.0, 1.0))
    tensor(0.)
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type) or not issubclass(kind, Distribution):
            raise TypeError(f"register_kl: Expected {name} to be a Distribution subclass but got {kind}")

    def decorate(rule: Rule) -> Rule:
        _RULES[type_p, type_q] = rule
        _FOUND.clear()
        return rule

    return decorate


def _depths(kind: type, base: type) -> int:
    """How far up from `kind` the class `base` is."""
    return kind.__mro__.index(base)


def _rule(p: type, q: type) -> Rule | None:
    fits = [(_depths(p, a), _depths(q, b), a, b) for a, b in _RULES if issubclass(p, a) and issubclass(q, b)]
    if not fits:
        return None
    _, _, a, b = min(fits, key=lambda f: (f[0], f[1]))
    _, _, c, d = min(fits, key=lambda f: (f[1], f[0]))
    if _RULES[a, b] is not _RULES[c, d]:
        warnings.warn(
            f"Ambiguous kl_divergence({p.__name__}, {q.__name__}). Please register_kl({a.__name__}, {d.__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _RULES[a, b]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """KL(p || q), the expectation of log p(x) - log q(x) for x from p, of shape batch_shape.

    Raises:
        NotImplementedError: no rule for these classes.

    >>> import tritorch as torch
    >>> from tritorch.distributions import Normal, kl_divergence
    >>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
    tensor(0.5000)
    """
    kinds = type(p), type(q)
    if kinds not in _FOUND:
        _FOUND[kinds] = _rule(*kinds)
    rule = _FOUND[kinds]
    if rule is None:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {kinds[0].__name__} and q type {kinds[1].__name__}"
        )
    return rule(p, q)
