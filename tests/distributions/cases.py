# ruff: noqa: E501 - a table of one line per case
"""Distributions of every class, small, in float64, by name of the class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tritorch as torch
from tritorch import distributions as D


def t(values: Any, device: str = "cpu") -> Any:
    return torch.tensor(values, dtype=torch.float64, device=device)


COV = [[2.0, 0.5], [0.5, 1.0]]
CONTINUOUS: dict[str, Callable[[str], Any]] = {  # of numbers, with the batch (2,)
    "Beta": lambda d: D.Beta(t([1.5, 2.0], d), t([2.5, 3.0], d)),
    "Cauchy": lambda d: D.Cauchy(t([0.1, -1.0], d), t([1.5, 0.3], d)),
    "Chi2": lambda d: D.Chi2(t([3.0, 5.0], d)),
    "ContinuousBernoulli": lambda d: D.ContinuousBernoulli(t([0.2, 0.5], d)),
    "Exponential": lambda d: D.Exponential(t([0.5, 2.0], d)),
    "FisherSnedecor": lambda d: D.FisherSnedecor(t([3.0, 6.0], d), t([9.0, 12.0], d)),
    "Gamma": lambda d: D.Gamma(t([1.5, 3.0], d), t([1.0, 0.5], d)),
    "GeneralizedPareto": lambda d: D.GeneralizedPareto(t([0.0, 1.0], d), t([1.0, 2.0], d), t([-0.3, 0.1], d)),
    "Gumbel": lambda d: D.Gumbel(t([0.1, -1.0], d), t([1.5, 0.3], d)),
    "HalfCauchy": lambda d: D.HalfCauchy(t([0.5, 2.0], d)),
    "HalfNormal": lambda d: D.HalfNormal(t([0.5, 2.0], d)),
    "InverseGamma": lambda d: D.InverseGamma(t([6.0, 8.0], d), t([2.0, 3.0], d)),
    "Kumaraswamy": lambda d: D.Kumaraswamy(t([2.0, 1.5], d), t([3.0, 1.2], d)),
    "Laplace": lambda d: D.Laplace(t([0.1, -1.0], d), t([1.5, 0.3], d)),
    "LogNormal": lambda d: D.LogNormal(t([0.1, -1.0], d), t([0.5, 0.3], d)),
    "MixtureSameFamily": lambda d: D.MixtureSameFamily(D.Categorical(t([[1.0, 3.0], [0.5, 0.5]], d)), D.Normal(t([-1.0, 1.0], d), t([[0.5, 1.0], [1.0, 2.0]], d))),
    "Normal": lambda d: D.Normal(t([0.1, -1.0], d), t([1.5, 0.3], d)),
    "Pareto": lambda d: D.Pareto(t([0.5, 2.0], d), t([6.0, 8.0], d)),
    "RelaxedBernoulli": lambda d: D.RelaxedBernoulli(t(0.8, d), t([0.3, 0.6], d)),
    "StudentT": lambda d: D.StudentT(t([6.0, 9.0], d), t([0.1, -1.0], d), t([1.5, 0.3], d)),
    "TransformedDistribution": lambda d: D.TransformedDistribution(D.Normal(t([0.1, -1.0], d), 1.0), [D.AffineTransform(0.5, -2.0), D.SigmoidTransform()]),
    "Uniform": lambda d: D.Uniform(t([-1.0, 2.0], d), t([0.5, 5.0], d)),
    "VonMises": lambda d: D.VonMises(t([0.1, -1.0], d), t([0.7, 4.0], d)),
    "Weibull": lambda d: D.Weibull(t([0.5, 2.0], d), t([1.5, 3.0], d)),
}  # fmt: skip
DISCRETE: dict[str, Callable[[str], Any]] = {
    "Bernoulli": lambda d: D.Bernoulli(t([0.2, 0.7], d)),
    "Binomial": lambda d: D.Binomial(5, t([0.2, 0.7], d)),
    "Categorical": lambda d: D.Categorical(t([[1.0, 2.0, 3.0], [0.5, 0.2, 0.3]], d)),
    "Geometric": lambda d: D.Geometric(t([0.4, 0.7], d)),
    "NegativeBinomial": lambda d: D.NegativeBinomial(t([3.0, 2.5], d), t([0.3, 0.5], d)),
    "Poisson": lambda d: D.Poisson(t([0.7, 12.0], d)),
}  # fmt: skip
VECTORS: dict[str, Callable[[str], Any]] = {
    "Dirichlet": lambda d: D.Dirichlet(t([[1.5, 2.0, 3.0], [1.0, 1.2, 4.0]], d)),
    "Independent": lambda d: D.Independent(D.Normal(t([[0.0, 1.0], [2.0, 3.0]], d), 1.0), 1),
    "LogisticNormal": lambda d: D.LogisticNormal(t([[0.0, 0.5], [1.0, 0.0]], d), t([[1.0, 0.5], [0.3, 1.0]], d)),
    "LowRankMultivariateNormal": lambda d: D.LowRankMultivariateNormal(t([[0.0, 1.0], [2.0, 0.0]], d), t([[0.5], [1.0]], d), t([1.0, 0.5], d)),
    "Multinomial": lambda d: D.Multinomial(4, t([[1.0, 2.0, 3.0], [0.5, 0.2, 0.3]], d)),
    "MultivariateNormal": lambda d: D.MultivariateNormal(t([[0.0, 1.0], [2.0, 0.0]], d), t(COV, d)),
    "OneHotCategorical": lambda d: D.OneHotCategorical(t([[1.0, 2.0, 3.0], [0.5, 0.2, 0.3]], d)),
    "OneHotCategoricalStraightThrough": lambda d: D.OneHotCategoricalStraightThrough(t([[1.0, 2.0, 3.0], [0.5, 0.2, 0.3]], d)),
    "RelaxedOneHotCategorical": lambda d: D.RelaxedOneHotCategorical(t(0.8, d), t([[1.0, 2.0, 3.0], [0.5, 0.2, 0.3]], d)),
}  # fmt: skip
MATRICES: dict[str, Callable[[str], Any]] = {
    "LKJCholesky": lambda d: D.LKJCholesky(3, t([0.8, 2.0], d)),
    "Wishart": lambda d: D.Wishart(t([4.0, 6.0], d), t(COV, d)),
}
ALL = CONTINUOUS | DISCRETE | VECTORS | MATRICES
