"""Kullback-Leibler divergences: KL(p || q), the expected log p(x) - log q(x) of x from p.

`kl_divergence` looks for the rule of the most specific classes; `register_kl` enters one.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from .. import functional
from ..nn.functional import binary_cross_entropy_with_logits
from ..special import xlogy
from ..tensor import Tensor
from .bernoulli import Bernoulli
from .beta import Beta
from .binomial import Binomial
from .categorical import Categorical
from .cauchy import Cauchy
from .continuous_bernoulli import ContinuousBernoulli
from .dirichlet import Dirichlet
from .distribution import Distribution
from .exp_family import ExponentialFamily
from .exponential import Exponential
from .gamma import Gamma
from .geometric import Geometric
from .gumbel import Gumbel
from .half_normal import HalfNormal
from .independent import Independent
from .laplace import Laplace
from .lowrank_multivariate_normal import LowRankMultivariateNormal, low_rank_half_log_det, low_rank_mahalanobis
from .multivariate_normal import MultivariateNormal, half_log_det, mahalanobis, solved
from .normal import Normal
from .one_hot_categorical import OneHotCategorical
from .pareto import Pareto
from .poisson import Poisson
from .transformed_distribution import TransformedDistribution
from .uniform import Uniform
from .utils import euler_constant, sum_rightmost

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


def _infinite(p: Any, q: Any) -> Tensor:
    """p has values that q never takes."""
    like = next(v for v in vars(_plain(p)).values() if isinstance(v, Tensor))
    return like.new_full(p.batch_shape, math.inf)


def _plain(p: Any) -> Any:
    """The distribution that holds the parameters."""
    while not any(isinstance(v, Tensor) for v in vars(p).values()):
        p = next(v for v in vars(p).values() if isinstance(v, Distribution))
    return p


def _inf_where(condition: Tensor, value: Tensor) -> Tensor:
    return functional.where(condition, math.inf, value)


# ---- a family against itself ------------------------------------------------------------------------------------------


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    yes = p.probs * (_log_yes(p) - _log_yes(q))
    no = (1 - p.probs) * (_log_no(p) - _log_no(q))
    yes = functional.where(p.probs == 0, 0.0, _inf_where(q.probs == 0, yes))
    no = functional.where(p.probs == 1, 0.0, _inf_where(q.probs == 1, no))
    return yes + no


def _log_yes(p: Bernoulli) -> Tensor:
    """log p."""
    return -binary_cross_entropy_with_logits(p.logits, functional.ones_like(p.logits), reduction="none")


def _log_no(p: Bernoulli) -> Tensor:
    """log(1 - p)."""
    return -binary_cross_entropy_with_logits(p.logits, functional.zeros_like(p.logits), reduction="none")


@register_kl(Beta, Beta)
def _beta(p: Beta, q: Beta) -> Tensor:
    return _dirichlet(p._dirichlet, q._dirichlet)


@register_kl(Binomial, Binomial)
def _binomial(p: Binomial, q: Binomial) -> Tensor:
    # from here on the counts differ: log of binomial coefficients would have to be averaged
    if (p.total_count < q.total_count).any():
        raise NotImplementedError("KL between Binomials where q.total_count > p.total_count is not implemented")
    value = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return _inf_where(p.total_count > q.total_count, value)


@register_kl(Categorical, Categorical)
def _categorical(p: Categorical, q: Categorical) -> Tensor:
    t = p.probs * (p.logits - q.logits)
    t = functional.where((q.probs == 0).expand_as(t), math.inf, t)
    return functional.where((p.probs == 0).expand_as(t), 0.0, t).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p: OneHotCategorical, q: OneHotCategorical) -> Tensor:
    return _categorical(p._categorical, q._categorical)


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Cauchy, q: Cauchy) -> Tensor:
    # F. Chyzak, F. Nielsen: A closed-form formula for the KL divergence between Cauchy distributions, arXiv:1905.10965
    together = ((p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)).log()
    return together - (4 * p.scale * q.scale).log()


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoulli(p: ContinuousBernoulli, q: ContinuousBernoulli) -> Tensor:
    own = p.mean * p.logits + p._log_norm() + (-p.probs).log1p()
    return own - p.mean * q.logits - q._log_norm() - (-q.probs).log1p()


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Dirichlet, q: Dirichlet) -> Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    norms = total.lgamma() - b.sum(-1).lgamma() - (a.lgamma() - b.lgamma()).sum(-1)
    return norms + ((a - b) * (a.digamma() - total.digamma().unsqueeze(-1))).sum(-1)


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - ratio.log() - 1


@register_kl(ExponentialFamily, ExponentialFamily)
def _exponential_family(p: ExponentialFamily, q: ExponentialFamily) -> Tensor:
    """A(q) - A(p) - (q - p) . grad A(p), the Bregman divergence of the log normalizer."""
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot be computed using Bregman "
            f"divergences; got {type(p).__name__} and {type(q).__name__}"
        )
    params, normalizer, statistics = p._expected_statistics()
    others = q._natural_params
    result = q._log_normalizer(*others) - normalizer
    for a, b, t in zip(params, others, statistics, strict=True):
        result = result - sum_rightmost((b - a) * t, t.ndim - len(q.batch_shape))
    return result


@register_kl(Gamma, Gamma)
def _gamma(p: Gamma, q: Gamma) -> Tensor:
    a, b = p.concentration, q.concentration
    norms = b * (p.rate / q.rate).log() + b.lgamma() - a.lgamma()
    return norms + (a - b) * a.digamma() + (q.rate - p.rate) * (a / p.rate)


@register_kl(Geometric, Geometric)
def _geometric(p: Geometric, q: Geometric) -> Tensor:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Gumbel, q: Gumbel) -> Tensor:
    ratio, shift = p.scale / q.scale, (q.loc - p.loc) / q.scale
    expected = (shift + (1 + ratio).lgamma()).exp() - shift + ratio * euler_constant
    return expected - ratio.log() - (1 + euler_constant)


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: HalfNormal, q: HalfNormal) -> Tensor:
    return _normal(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Tensor:
    ratio, distance = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + distance / q.scale + ratio * (-distance / p.scale).exp() - 1


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).pow(2) - 1 - ratio.log())


@register_kl(Pareto, Pareto)
def _pareto(p: Pareto, q: Pareto) -> Tensor:
    ratio = q.alpha / p.alpha
    value = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return _inf_where(p.support.lower_bound < q.support.lower_bound, value)


@register_kl(Poisson, Poisson)
def _poisson(p: Poisson, q: Poisson) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    return _inf_where((q.low > p.low) | (q.high < p.high), ((q.high - q.low) / (p.high - p.low)).log())


# ---- normal vectors ---------------------------------------------------------------------------------------------------


def _same_size(p: Any, q: Any) -> None:
    if p.event_shape != q.event_shape:
        raise ValueError(
            f"KL-divergence between two {type(p).__name__} with different event shapes cannot be computed; got "
            f"{p.event_shape} and {q.event_shape}"
        )


def _widened(matrix: Tensor, p: Any, q: Any) -> Tensor:
    batch = functional.broadcast_shapes(tuple(p.batch_shape), tuple(q.batch_shape))
    return matrix.expand((*batch, *matrix.shape[-2:]))


def _trace(q_factor: Tensor, p_root: Tensor, p: Any, q: Any) -> Tensor:
    """tr((L L^T)^-1 R R^T) = |L^-1 R|^2."""
    root = _widened(p_root, p, q)
    return solved(_widened(q_factor, p, q), root.movedim(-1, 0)).square().sum((-2, -1))


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    _same_size(p, q)
    factor = q._factor
    rest = _trace(factor, p._factor, p, q) + mahalanobis(factor, q.loc - p.loc) - p.event_shape[0]
    return half_log_det(factor) - half_log_det(p._factor) + 0.5 * rest


@register_kl(LowRankMultivariateNormal, MultivariateNormal)
def _low_rank_against_full(p: LowRankMultivariateNormal, q: MultivariateNormal) -> Tensor:
    _same_size(p, q)
    factor = q._factor
    trace = _trace(factor, p._w, p, q) + _trace(factor, p._d.sqrt().diag_embed(), p, q)
    rest = trace + mahalanobis(factor, q.loc - p.loc) - p.event_shape[0]
    return half_log_det(factor) - low_rank_half_log_det(p._d, p._capacitance) + 0.5 * rest


def _low_rank_trace(q: LowRankMultivariateNormal, p_root: Tensor) -> Tensor:
    """tr((W W^T + D)^-1 R R^T): Woodbury's identity for each column of R."""
    columns = low_rank_mahalanobis(q._w.unsqueeze(-3), q._d.unsqueeze(-2), q._capacitance.unsqueeze(-3), p_root.mT)
    return columns.sum(-1)


@register_kl(MultivariateNormal, LowRankMultivariateNormal)
def _full_against_low_rank(p: MultivariateNormal, q: LowRankMultivariateNormal) -> Tensor:
    _same_size(p, q)
    distance = low_rank_mahalanobis(q._w, q._d, q._capacitance, q.loc - p.loc)
    rest = _low_rank_trace(q, p._factor) + distance - p.event_shape[0]
    return low_rank_half_log_det(q._d, q._capacitance) - half_log_det(p._factor) + 0.5 * rest


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _low_rank(p: LowRankMultivariateNormal, q: LowRankMultivariateNormal) -> Tensor:
    _same_size(p, q)
    distance = low_rank_mahalanobis(q._w, q._d, q._capacitance, q.loc - p.loc)
    trace = _low_rank_trace(q, p._w) + _low_rank_trace(q, p._d.sqrt().diag_embed())
    halves = low_rank_half_log_det(q._d, q._capacitance) - low_rank_half_log_det(p._d, p._capacitance)
    return halves + 0.5 * (trace + distance - p.event_shape[0])


# ---- made of others ---------------------------------------------------------------------------------------------------


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            "KL(Independent || Independent) needs equal reinterpreted_batch_ndims; got "
            f"{p.reinterpreted_batch_ndims} and {q.reinterpreted_batch_ndims}"
        )
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: TransformedDistribution, q: TransformedDistribution) -> Tensor:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError("KL of two TransformedDistributions needs equal transforms and event shapes")
    return kl_divergence(p.base_dist, q.base_dist)


# ---- one family against another: the negative entropy of p, less the expected log q(x) ---------------------------------


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
    return _inf_where((q.low > 0) | (q.high < 1), -p.entropy() + (q.high - q.low).log())


@register_kl(ContinuousBernoulli, Exponential)
def _continuous_bernoulli_exponential(p: ContinuousBernoulli, q: Exponential) -> Tensor:
    return -p.entropy() - _expected_log_exponential(p.mean, q)


@register_kl(ContinuousBernoulli, Normal)
def _continuous_bernoulli_normal(p: ContinuousBernoulli, q: Normal) -> Tensor:
    return -p.entropy() - _expected_log_normal(p.mean, p.variance, q)


@register_kl(ContinuousBernoulli, Uniform)
def _continuous_bernoulli_uniform(p: ContinuousBernoulli, q: Uniform) -> Tensor:
    return _inf_where((q.low > 0) | (q.high < 1), -p.entropy() + (q.high - q.low).log())


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
    return _inf_where(p.alpha <= 1, -p.entropy() - _expected_log_exponential(p.mean, q))


@register_kl(Pareto, Gamma)
def _pareto_gamma(p: Pareto, q: Gamma) -> Tensor:
    log_mean = p.scale.log() + p.alpha.reciprocal()
    return _inf_where(p.alpha <= 1, -p.entropy() - _expected_log_gamma(p.mean, log_mean, q))


@register_kl(Pareto, Normal)
def _pareto_normal(p: Pareto, q: Normal) -> Tensor:
    return _inf_where(p.alpha <= 2, -p.entropy() - _expected_log_normal(p.mean, p.variance, q))


def _mean_log(low: Any, high: Any) -> Tensor:
    """The mean of log x over (low, high), low >= 0."""
    return (xlogy(high, high) - xlogy(low, low)) / (high - low) - 1


@register_kl(Uniform, Beta)
def _uniform_beta(p: Uniform, q: Beta) -> Tensor:
    a, b = q.concentration1, q.concentration0
    yes, no = _mean_log(p.low, p.high), _mean_log(1 - p.high, 1 - p.low)
    norm = a.lgamma() + b.lgamma() - (a + b).lgamma()
    value = -p.entropy() - (a - 1) * yes - (b - 1) * no + norm
    return _inf_where((p.high > 1) | (p.low < 0), value)


@register_kl(Uniform, ContinuousBernoulli)
def _uniform_continuous_bernoulli(p: Uniform, q: ContinuousBernoulli) -> Tensor:
    value = -p.entropy() - p.mean * q.logits - (-q.probs).log1p() - q._log_norm()
    return _inf_where((p.high > 1) | (p.low < 0), value)


@register_kl(Uniform, Exponential)
def _uniform_exponential(p: Uniform, q: Exponential) -> Tensor:
    return _inf_where(p.low < 0, -p.entropy() - _expected_log_exponential(p.mean, q))


@register_kl(Uniform, Gamma)
def _uniform_gamma(p: Uniform, q: Gamma) -> Tensor:
    value = -p.entropy() - _expected_log_gamma(p.mean, _mean_log(p.low, p.high), q)
    return _inf_where(p.low < 0, value)


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
    return _inf_where(p.low < q.scale, value)


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
