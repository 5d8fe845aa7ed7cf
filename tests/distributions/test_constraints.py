"""Constraints: what is inside, their flags, errors; transforms from all real numbers to them."""

from __future__ import annotations

from typing import Any

import pytest

import tritorch as torch
from tests.distributions.cases import ALL, t
from tritorch.distributions import biject_to, constraints, transform_to
from tritorch.distributions.constraint_registry import ConstraintRegistry
from tritorch.distributions.transforms import ExpTransform

TO = [
    constraints.real, constraints.positive, constraints.nonnegative, constraints.greater_than(2.0),
    constraints.greater_than_eq(-1.0), constraints.less_than(1.0), constraints.interval(-1.0, 3.0),
    constraints.half_open_interval(0.0, 2.0), constraints.unit_interval, constraints.simplex, constraints.real_vector,
    constraints.independent(constraints.positive, 1), constraints.lower_cholesky, constraints.positive_definite,
    constraints.corr_cholesky, constraints.cat([constraints.positive, constraints.real], -1, [1, 2]),
    constraints.stack([constraints.positive, constraints.real, constraints.unit_interval], -1),
]  # fmt: skip


@pytest.mark.parametrize("constraint", TO, ids=repr)
@pytest.mark.parametrize("registry", [biject_to, transform_to], ids=["biject_to", "transform_to"])
def test_transforms_reach_the_constraint_and_come_back(constraint: Any, registry: Any, device: str) -> None:
    matrix = constraint in (constraints.lower_cholesky, constraints.positive_definite)
    x = t([[0.3, -1.2, 0.8], [0.5, 0.1, -2.0], [1.0, 0.2, 0.4]] if matrix else [0.3, -1.2, 0.8], device)
    transform = registry(constraint)
    y = transform(x)
    assert y.device.type == device and constraint.check(y).all()
    torch.testing.assert_close(transform(transform.inv(y)), y)
    if registry is biject_to and not matrix:
        torch.testing.assert_close(transform.inv(y), x)


def test_unknown_constraints() -> None:
    for registry in (biject_to, transform_to):
        with pytest.raises(NotImplementedError, match="Cannot transform _Boolean constraints"):
            registry(constraints.boolean)
    with pytest.raises(TypeError, match="needs a Constraint or a class of Constraints; got constraint: 3"):
        ConstraintRegistry().register(3, ExpTransform)


def test_dependent_constraints() -> None:
    assert constraints.is_dependent(constraints.dependent) and not constraints.is_dependent(constraints.real)
    made = constraints.dependent(is_discrete=True)
    assert made.is_discrete is True
    with pytest.raises(NotImplementedError, match="event_dim"):
        made.event_dim  # noqa: B018
    with pytest.raises(ValueError, match="no check of its own"):
        made.check(torch.zeros(1))


def test_dims_of_the_parts() -> None:
    vector = constraints.independent(constraints.positive, 2)
    assert vector.event_dim == 2 and vector.check(torch.ones(4, 2, 3)).shape == (4,)
    with pytest.raises(ValueError, match="expected at least 2 dims"):
        vector.check(torch.ones(3))
    with pytest.raises(ValueError, match="not negative"):
        constraints.independent(constraints.real, -1)
    with pytest.raises(AssertionError, match="2 lengths for 1 constraints"):
        constraints.cat([constraints.real], lengths=[1, 2])
    with pytest.raises(IndexError, match="dim 2 is out of range"):
        constraints.stack([constraints.real], 2).check(torch.ones(3))


@pytest.mark.parametrize("name", ALL)
def test_supports_refuse_nan(name: str) -> None:
    d = ALL[name]("cpu")
    x = torch.full_like(d.sample().to(torch.float64), float("nan"))
    assert not d.support.check(x).any()
