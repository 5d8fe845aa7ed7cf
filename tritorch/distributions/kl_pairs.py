"""Divergences of one family against another: the negative entropy of p, less the expected log q(x)."""

from __future__ import annotations

import math
from typing import Any

from ..special import xlogy
from ..tensor import Tensor
from .bernoulli import Bernoulli
from .beta import Beta
from .binomial import Binomial
from .continuous_bernoulli import ContinuousBernoulli
from .distribution import Distribution
from .exponential import Exponential
from .gamma import Gamma
from .gumbel import Gumbel
from .kl import register_kl
from .kl_families import infinite_where
from .laplace import Laplace
from .normal import Normal
from .pareto import Pareto
from .poisson import Poisson
from .uniform import Uniform
from .utils import euler_constant


def _infinite(p: Any, q: Any) -> Tensor:
    """p has values that q never takes."""
    like = next(v for v in vars(_plain(p)).values() if isinstance(v, Tensor))
    return like.new_full(p.batch_shape, math.inf)


def _plain(p: Any) -> Any:
    """The distribution that holds the parameters."""
    while not any(isinstance(v, Tensor) for v in vars(p).values()):
        p = next(v for v in vars(p).values() if isinstance(v, Distribution))
    return p


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p: Bernoulli, q: Poisson) -> Tensor:
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


def _expected_log_normal(mean: Any, variance: Any, q: Normal) -> Tensor:
    """E log q(x)."""
    square = variance + (mean - q.loc).pow(2)
    return -0.5 * (square / q.scale.pow(2)) - q.scale.log() - 0.5 * math.log(2 * math.pi)


def _expected_log_exponential(mean: Any, q: Exponential) -> Tensor:
    return q.rate.log() - q.rate * mean


def _expected_log_gamma(mean: Any, log_mean: Any, q: Gamma) -> Tensor:
    """E log q(x) by E x and E log x."""
    a = q.concentration
    return a * q.rate.log() - a.lgamma() + (a - 1) * log_mean - q.rate * mean


def _expected_log_gumbel(mean: Any, log_mgf: Any, q: Gumbel) -> Tensor:
    """E log q(x) by E x and log E exp(-x / scale)."""
    shift = (q.loc - mean) / q.scale
    return shift - (log_mgf + q.loc / q.scale).exp() - q.scale.log()


@register_kl(Beta, ContinuousBernoulli)
def _beta_continuous_bernoulli(p: Beta, q: ContinuousBernoulli) -> Tensor:
    return -p.entropy() - p.mean * q.logits - (-q.probs).log1p() - q._log_norm()


@register_kl(Beta, Exponential)
def _beta_exponential(p: Beta, q: Exponential) -> Tensor:
    return -p.entropy() - _expected_log_exponential(p.mean, q)


@register_kl(Beta, Gamma)
def _beta_gamma(p: Beta, q: Gamma) -> Tensor:
    log_mean = p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()
    return -p.entropy() - _expected_log_gamma(p.mean, log_mean, q)


@register_kl(Beta, Normal)
def _beta_normal(p: Beta, q: Normal) -> Tensor:
    return -p.entropy() - _expected_log_normal(p.mean, p.variance, q)


@register_kl(Beta, Uniform)
def _beta_uniform(p: Beta, q: Uniform) -> Tensor:
    return infinite_where((q.low > 0) | (q.high < 1), -p.entropy() + (q.high - q.low).log())


@register_kl(ContinuousBernoulli, Exponential)
def _continuous_bernoulli_exponential(p: ContinuousBernoulli, q: Exponential) -> Tensor:
    return -p.entropy() - _expected_log_exponential(p.mean, q)


@register_kl(ContinuousBernoulli, Normal)
def _continuous_bernoulli_normal(p: ContinuousBernoulli, q: Normal) -> Tensor:
    return -p.entropy() - _expected_log_normal(p.mean, p.variance, q)


@register_kl(ContinuousBernoulli, Uniform)
def _continuous_bernoulli_uniform(p: ContinuousBernoulli, q: Uniform) -> Tensor:
    return infinite_where((q.low > 0) | (q.high < 1), -p.entropy() + (q.high - q.low).log())


@register_kl(Exponential, Gamma)
def _exponential_gamma(p: Exponential, q: Gamma) -> Tensor:
    return -p.entropy() - _expected_log_gamma(p.mean, -euler_constant - p.rate.log(), q)


@register_kl(Exponential, Gumbel)
def _exponential_gumbel(p: Exponential, q: Gumbel) -> Tensor:
    product = p.rate * q.scale
    return -p.entropy() - _expected_log_gumbel(p.mean, (product / (product + 1)).log(), q)


@register_kl(Exponential, Normal)
def _exponential_normal(p: Exponential, q: Normal) -> Tensor:
    return -p.entropy() - _expected_log_normal(p.mean, p.variance, q)


@register_kl(Gamma, Exponential)
def _gamma_exponential(p: Gamma, q: Exponential) -> Tensor:
    return -p.entropy() - _expected_log_exponential(p.mean, q)


@register_kl(Gamma, Gumbel)
def _gamma_gumbel(p: Gamma, q: Gumbel) -> Tensor:
    log_mgf = -p.concentration * (1 + (p.rate * q.scale).reciprocal()).log()
    return -p.entropy() - _expected_log_gumbel(p.mean, log_mgf, q)


@register_kl(Gamma, Normal)
def _gamma_normal(p: Gamma, q: Normal) -> Tensor:
    return -p.entropy() - _expected_log_normal(p.mean, p.variance, q)


@register_kl(Gumbel, Normal)
def _gumbel_normal(p: Gumbel, q: Normal) -> Tensor:
    return -p.entropy() - _expected_log_normal(p.mean, p.variance, q)


@register_kl(Laplace, Normal)
def _laplace_normal(p: Laplace, q: Normal) -> Tensor:
    return -p.entropy() - _expected_log_normal(p.mean, p.variance, q)


@register_kl(Normal, Gumbel)
def _normal_gumbel(p: Normal, q: Gumbel) -> Tensor:
    log_mgf = -p.loc / q.scale + 0.5 * (p.scale / q.scale).pow(2)
    return -p.entropy() - _expected_log_gumbel(p.mean, log_mgf, q)


@register_kl(Normal, Laplace)
def _normal_laplace(p: Normal, q: Laplace) -> Tensor:
    z = (p.loc - q.loc) / p.scale
    distance = math.sqrt(2 / math.pi) * p.scale * (-0.5 * z.pow(2)).exp() + p.scale * z * (math.sqrt(0.5) * z).erf()
    return -p.entropy() + (2 * q.scale).log() + distance / q.scale


@register_kl(Pareto, Exponential)
def _pareto_exponential(p: Pareto, q: Exponential) -> Tensor:
    return infinite_where(p.alpha <= 1, -p.entropy() - _expected_log_exponential(p.mean, q))


@register_kl(Pareto, Gamma)
def _pareto_gamma(p: Pareto, q: Gamma) -> Tensor:
    log_mean = p.scale.log() + p.alpha.reciprocal()
    return infinite_where(p.alpha <= 1, -p.entropy() - _expected_log_gamma(p.mean, log_mean, q))


@register_kl(Pareto, Normal)
def _pareto_normal(p: Pareto, q: Normal) -> Tensor:
    return infinite_where(p.alpha <= 2, -p.entropy() - _expected_log_normal(p.mean, p.variance, q))


def _mean_log(low: Any, high: Any) -> Tensor:
    """The mean of log x over (low, high), low >= 0."""
    return (xlogy(high, high) - xlogy(low, low)) / (high - low) - 1


@register_kl(Uniform, Beta)
def _uniform_beta(p: Uniform, q: Beta) -> Tensor:
    a, b = q.concentration1, q.concentration0
    yes, no = _mean_log(p.low, p.high), _mean_log(1 - p.high, 1 - p.low)
    norm = a.lgamma() + b.lgamma() - (a + b).lgamma()
    value = -p.entropy() - (a - 1) * yes - (b - 1) * no + norm
    return infinite_where((p.high > 1) | (p.low < 0), value)


@register_kl(Uniform, ContinuousBernoulli)
def _uniform_continuous_bernoulli(p: Uniform, q: ContinuousBernoulli) -> Tensor:
    value = -p.entropy() - p.mean * q.logits - (-q.probs).log1p() - q._log_norm()
    return infinite_where((p.high > 1) | (p.low < 0), value)


@register_kl(Uniform, Exponential)
def _uniform_exponential(p: Uniform, q: Exponential) -> Tensor:
    return infinite_where(p.low < 0, -p.entropy() - _expected_log_exponential(p.mean, q))


@register_kl(Uniform, Gamma)
def _uniform_gamma(p: Uniform, q: Gamma) -> Tensor:
    value = -p.entropy() - _expected_log_gamma(p.mean, _mean_log(p.low, p.high), q)
    return infinite_where(p.low < 0, value)


@register_kl(Uniform, Gumbel)
def _uniform_gumbel(p: Uniform, q: Gumbel) -> Tensor:
    mean = ((-p.low / q.scale).exp() - (-p.high / q.scale).exp()) * q.scale / (p.high - p.low)
    return -p.entropy() - _expected_log_gumbel(p.mean, mean.log(), q)


@register_kl(Uniform, Normal)
def _uniform_normal(p: Uniform, q: Normal) -> Tensor:
    return -p.entropy() - _expected_log_normal(p.mean, p.variance, q)


@register_kl(Uniform, Pareto)
def _uniform_pareto(p: Uniform, q: Pareto) -> Tensor:
    log_mean = _mean_log(p.low, p.high)
    value = -p.entropy() - (q.alpha * q.scale.pow(q.alpha)).log() + (q.alpha + 1) * log_mean
    return infinite_where(p.low < q.scale, value)


_UNIT, _HALF, _LINE = (Beta, ContinuousBernoulli), (Exponential, Gamma), (Gumbel, Laplace, Normal)
for _p, _others in (
    *((_p, (Pareto,)) for _p in _UNIT),
    *((_p, (*_UNIT, Pareto, Uniform)) for _p in _HALF),
    *((_p, (*_UNIT, *_HALF, Pareto, Uniform)) for _p in _LINE),
    (Pareto, (*_UNIT, Uniform)),
    (Poisson, (Bernoulli, Binomial)),
):
    for _q in _others:
        register_kl(_p, _q)(_infinite)
