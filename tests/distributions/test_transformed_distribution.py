"""TransformedDistribution and Independent: which dims become events, expansion, wrong arguments."""

from __future__ import annotations

import pytest

import tritorch as torch
from tests.distributions.cases import t
from tritorch import distributions as D


def test_dims() -> None:
    base = D.Normal(torch.zeros(3, 4), 1.0)
    d = D.TransformedDistribution(base, D.StickBreakingTransform())
    assert d.batch_shape == (3,) and d.event_shape == (5,) and isinstance(d.base_dist, D.Independent)
    assert d.expand((2, 3)).sample().shape == (2, 3, 5)
    d = D.TransformedDistribution(D.Normal(0.0, 1.0), D.AffineTransform(torch.zeros(2), 1.0))
    assert d.batch_shape == (2,) and d.base_dist.batch_shape == (2,)
    d = D.TransformedDistribution(D.Normal(torch.zeros(4), 1.0), D.ReshapeTransform((4,), (2, 2)))
    assert d.event_shape == (2, 2) and d.log_prob(d.sample()).shape == ()


def test_falling_transforms() -> None:
    d = D.TransformedDistribution(D.Exponential(t(2.0)), D.AffineTransform(0.0, -1.0))
    x = t([-3.0, -0.5, -0.1])
    torch.testing.assert_close(d.cdf(x), (2 * x).exp())
    torch.testing.assert_close(d.icdf(d.cdf(x)), x)


def test_no_transforms() -> None:
    d = D.TransformedDistribution(D.Normal(0.0, 1.0), [])
    assert repr(d.support) == "Real()" and d.log_prob(torch.tensor(0.0)) == D.Normal(0.0, 1.0).log_prob(
        torch.tensor(0.0)
    )


def test_cached_transforms_give_exact_densities() -> None:
    torch.manual_seed(0)
    d = D.TransformedDistribution(D.Normal(t([20.0]), t(1.0)), D.TanhTransform(cache_size=1))
    x = d.rsample()
    assert x.item() == 1.0 and d.log_prob(x).isfinite().all()


def test_independent() -> None:
    d = D.Independent(D.Normal(torch.zeros(2, 3, 4), 1.0), 2)
    assert d.batch_shape == (2,) and d.event_shape == (3, 4) and d.entropy().shape == (2,)
    assert repr(d.support) == "IndependentConstraint(Real(), 2)"
    assert D.kl_divergence(d, d).shape == (2,)
    with pytest.raises(NotImplementedError, match="product of batch dims"):
        D.Independent(D.Bernoulli(torch.full((2,), 0.5)), 1).enumerate_support()
    with pytest.raises(NotImplementedError, match="equal reinterpreted_batch_ndims; got 2 and 1"):
        D.kl_divergence(d, D.Independent(D.Normal(torch.zeros(2, 3, 4), 1.0), 1))


def test_errors() -> None:
    with pytest.raises(ValueError, match="must be a Transform or a list of Transforms; got transforms: 3"):
        D.TransformedDistribution(D.Normal(0.0, 1.0), 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1 dims"):
        D.TransformedDistribution(D.Normal(0.0, 1.0), D.StickBreakingTransform())
    with pytest.raises(ValueError, match="reinterpreted_batch_ndims: 2"):
        D.Independent(D.Normal(torch.zeros(3), 1.0), 2)
