"""Divergences of a family against itself, of normal vectors, and of distributions made of others."""

from __future__ import annotations

import math
from typing import Any

from .. import functional
from ..nn.functional import binary_cross_entropy_with_logits
from ..tensor import Tensor
from .bernoulli import Bernoulli
from .beta import Beta
from .binomial import Binomial
from .categorical import Categorical
from .cauchy import Cauchy
from .continuous_bernoulli import ContinuousBernoulli
from .dirichlet import Dirichlet
from .exp_family import ExponentialFamily
from .exponential import Exponential
from .gamma import Gamma
from .geometric import Geometric
from .gumbel import Gumbel
from .half_normal import HalfNormal
from .independent import Independent
from .kl import kl_divergence, register_kl
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


def infinite_where(condition: Tensor, value: Tensor) -> Tensor:
    """`value`, infinity where p has values that q never takes."""
    return functional.where(condition, math.inf, value)


# ---- a family against itself ------------------------------------------------------------------------------------------


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    yes = p.probs * (_log_yes(p) - _log_yes(q))
    no = (1 - p.probs) * (_log_no(p) - _log_no(q))
    yes = functional.where(p.probs == 0, 0.0, infinite_where(q.probs == 0, yes))
    no = functional.where(p.probs == 1, 0.0, infinite_where(q.probs == 1, no))
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
    return infinite_where(p.total_count > q.total_count, value)


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
    return infinite_where(p.support.lower_bound < q.support.lower_bound, value)


@register_kl(Poisson, Poisson)
def _poisson(p: Poisson, q: Poisson) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    return infinite_where((q.low > p.low) | (q.high < p.high), ((q.high - q.low) / (p.high - p.low)).log())


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
