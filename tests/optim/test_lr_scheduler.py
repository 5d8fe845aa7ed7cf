"""Schedules against their closed forms; states; misuse."""

from __future__ import annotations

import math

import pytest

import tritorch as torch
from tritorch.optim import lr_scheduler as L


def _optimizer(lr=1.0, **more):
    p = torch.nn.Parameter(torch.ones(1))
    return torch.optim.SGD([p], lr=lr, momentum=0.9, **more)


def _run(make, steps):
    optimizer = _optimizer()
    scheduler = make(optimizer)
    seen = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        seen.append(optimizer.param_groups[0]["lr"])
        assert scheduler.get_last_lr() == seen[-1:]
    return seen


CLOSED = {
    "lambda": (lambda o: L.LambdaLR(o, lambda e: 1 / (e + 1)), lambda e: 1 / (e + 1)),
    "step": (lambda o: L.StepLR(o, 3, 0.5), lambda e: 0.5 ** (e // 3)),
    "milestones": (lambda o: L.MultiStepLR(o, [2, 4], 0.5), lambda e: 0.5 ** ((e >= 2) + (e >= 4))),
    "constant": (lambda o: L.ConstantLR(o, 0.25, 3), lambda e: 0.25 if e < 3 else 1.0),
    "linear": (lambda o: L.LinearLR(o, 0.5, 1.0, 4), lambda e: 0.5 + 0.5 * min(e, 4) / 4),
    "exponential": (lambda o: L.ExponentialLR(o, 0.9), lambda e: 0.9**e),
    "cosine": (lambda o: L.CosineAnnealingLR(o, 4, 0.1), lambda e: 0.1 + 0.9 * (1 + math.cos(math.pi * e / 4)) / 2),
    "polynomial": (lambda o: L.PolynomialLR(o, 6, 2.0), lambda e: (1 - min(e, 6) / 6) ** 2),
    "restarts": (
        lambda o: L.CosineAnnealingWarmRestarts(o, 4),
        lambda e: (1 + math.cos(math.pi * (e % 4) / 4)) / 2,
    ),
    "triangle": (
        lambda o: L.CyclicLR(o, 0.0, 1.0, 4, cycle_momentum=False),
        lambda e: 1 - abs(e % 8 - 4) / 4,
    ),
    "swa": (lambda o: torch.optim.swa_utils.SWALR(o, 0.5, 4, "linear"), lambda e: 1 - 0.5 * min(e, 4) / 4),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_form(name):
    make, closed = CLOSED[name]
    assert _run(make, 11) == pytest.approx([closed(e) for e in range(12)], abs=1e-12)


def test_one_cycle_ends_low_and_refuses_more():
    lrs = _run(lambda o: L.OneCycleLR(o, 1.0, 10), 9)
    assert max(lrs) == pytest.approx(1.0) and lrs[0] == pytest.approx(1 / 25) and lrs[-1] < 1e-5
    assert _run(lambda o: L.OneCycleLR(o, 1.0, 10), 10)[:10] == lrs  # a step after each of 10 batches
    with pytest.raises(ValueError, match="Tried to step 11 times"):
        _run(lambda o: L.OneCycleLR(o, 1.0, 10), 11)


def test_sequence_and_chain():
    make = lambda o: L.SequentialLR(o, [L.ConstantLR(o, 0.1, 10), L.ExponentialLR(o, 0.5)], [3])
    assert _run(make, 5) == pytest.approx([0.1, 0.1, 0.1, 1.0, 0.5, 0.25])
    make = lambda o: L.ChainedScheduler([L.ConstantLR(o, 0.5, 2), L.ExponentialLR(o, 0.5)])
    assert _run(make, 3) == pytest.approx([0.5, 0.25, 0.25, 0.125])


@pytest.mark.parametrize("name", CLOSED)
def test_state_goes_on(name):
    make, closed = CLOSED[name]
    optimizer = _optimizer()
    scheduler = make(optimizer)
    for _ in range(5):
        optimizer.step(), scheduler.step()
    other = _optimizer()
    again = make(other)
    other.load_state_dict(optimizer.state_dict())
    again.load_state_dict(scheduler.state_dict())
    other.step(), again.step()
    assert again.get_last_lr() == pytest.approx([closed(6)], abs=1e-12)


def test_callable_objects_keep_their_attributes():
    class Warmup:
        def __init__(self, n):
            self.n = n

        def __call__(self, epoch):
            return min(1.0, (epoch + 1) / self.n)

    state = L.LambdaLR(_optimizer(), Warmup(4)).state_dict()
    assert state["lr_lambdas"] == [{"n": 4}]
    other = L.LambdaLR(_optimizer(), Warmup(100))
    other.load_state_dict(state)
    assert other.lr_lambdas[0].n == 4


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda o: L.StepLR(3, 1), TypeError),
        (lambda o: L.LambdaLR(o, [abs, abs]), ValueError),
        (lambda o: L.MultiplicativeLR(o, 3), TypeError),
        (lambda o: L.ConstantLR(o, 2.0), ValueError),
        (lambda o: L.LinearLR(o, 0.0), ValueError),
        (lambda o: L.LinearLR(o, 0.5, 2.0), ValueError),
        (lambda o: L.StepLR(o, 1, last_epoch=3), KeyError),
        (lambda o: L.SequentialLR(o, [], []), ValueError),
        (lambda o: L.SequentialLR(o, [L.StepLR(o, 1)], [1]), ValueError),
        (lambda o: L.SequentialLR(o, [L.StepLR(_optimizer(), 1)], []), ValueError),
        (lambda o: L.ChainedScheduler([L.ReduceLROnPlateau(o)]), ValueError),
        (lambda o: L.ReduceLROnPlateau(o, factor=1.0), ValueError),
        (lambda o: L.ReduceLROnPlateau(o, mode="middle"), ValueError),
        (lambda o: L.ReduceLROnPlateau(o, min_lr=[0, 0]), ValueError),
        (lambda o: L.CosineAnnealingWarmRestarts(o, 0), ValueError),
        (lambda o: L.CosineAnnealingWarmRestarts(o, 1, 0), ValueError),
        (lambda o: L.CyclicLR(o, 0.1, 1.0, mode="round"), ValueError),
        (lambda o: L.CyclicLR(torch.optim.Adagrad([torch.nn.Parameter(torch.ones(1))]), 0.1, 1.0), ValueError),
        (lambda o: L.OneCycleLR(o, 1.0), ValueError),
        (lambda o: L.OneCycleLR(o, 1.0, total_steps=0), ValueError),
        (lambda o: L.OneCycleLR(o, 1.0, 10, pct_start=2), ValueError),
        (lambda o: L.OneCycleLR(o, 1.0, 10, anneal_strategy="steps"), ValueError),
        (lambda o: torch.optim.swa_utils.SWALR(o, 0.1, -1), ValueError),
    ],
)
def test_errors(make, error):
    with pytest.raises(error):
        make(_optimizer())


def test_warnings():
    optimizer = _optimizer()
    scheduler = L.ExponentialLR(optimizer, 0.5)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler.step()
    with pytest.warns(UserWarning, match="get_last_lr"):
        scheduler.get_lr()
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(5)
    assert optimizer.param_groups[0]["lr"] == 0.5**5
