"""Optimizers against PyTorch's: parameters after ten steps, state dicts both ways, schedules step by step."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

import tritorch as ours

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

SHAPES = ((7, 5), (5,), (3, 2, 2), ())
CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "maximize": True}),
    ("Adam", {"lr": 0.1}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "betas": (0.5, 0.7), "eps": 1e-3}),
    ("Adam", {"lr": 0.1, "amsgrad": True, "maximize": True}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {"lr": 0.1}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.5, "amsgrad": True}),
    ("NAdam", {"lr": 0.1}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.1, "momentum_decay": 0.1}),
    ("RAdam", {"lr": 0.1}),
    ("RAdam", {"lr": 0.1, "betas": (0.9, 0.9), "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("Adamax", {"lr": 0.1}),
    ("Adamax", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.5, "weight_decay": 0.1, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9}),
    ("RMSprop", {"centered": True, "weight_decay": 0.1}),
    ("RMSprop", {"centered": True, "momentum": 0.5, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (1e-2, 0.3), "maximize": True}),
    ("ASGD", {"lr": 0.1}),
    ("ASGD", {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 3, "weight_decay": 0.1, "maximize": True}),
    ("Adafactor", {"lr": 0.1}),
    (
        "Adafactor",
        {"lr": 0.1, "beta2_decay": -0.5, "eps": (1e-3, 1e-2), "d": 2.0, "weight_decay": 0.1, "maximize": True},
    ),
]


def _ids(case):
    return case[0] + "-" + "-".join(f"{k}={v}" for k, v in case[1].items())


def _pair(seed, dtype=np.float32, shapes=SHAPES):
    rng = np.random.default_rng(seed)
    values = [np.asarray(rng.normal(size=s), dtype) for s in shapes]
    mine = [ours.nn.Parameter(ours.tensor(v)) for v in values]
    theirs = [torch.nn.Parameter(torch.tensor(v)) for v in values]
    return mine, theirs, rng


def _run(mine, theirs, rng, optimizers, steps, skip=None):
    for i in range(steps):
        for j, (m, t) in enumerate(zip(mine, theirs, strict=True)):
            g = np.asarray(rng.normal(size=tuple(t.shape)), m.detach().numpy().dtype)
            if skip == (i, j):
                m.grad = t.grad = None
                continue
            m.grad, t.grad = ours.tensor(g), torch.tensor(g)
        for o in optimizers:
            o.step()


def _close(mine, theirs, tolerance):
    for m, t in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(m.detach().numpy(), t.detach().numpy(), rtol=tolerance, atol=tolerance)


def _plain(value):
    """A state with tensors of either library as lists."""
    if hasattr(value, "detach"):
        value = value.detach()
        return (str(value.dtype), tuple(value.shape), np.asarray(value.numpy(), float).round(4).tolist())
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def _to_torch(value):
    if isinstance(value, ours.Tensor):
        return torch.tensor(value.detach().numpy())
    if isinstance(value, dict):
        return {k: _to_torch(v) for k, v in value.items()}
    return [_to_torch(v) for v in value] if isinstance(value, list) else value


def _to_ours(value):
    if isinstance(value, torch.Tensor):
        return ours.tensor(value.detach().numpy())
    if isinstance(value, dict):
        return {k: _to_ours(v) for k, v in value.items()}
    return [_to_ours(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=_ids)
def test_ten_steps(case, dtype):
    name, options = case
    mine, theirs, rng = _pair(0, dtype)
    a, b = getattr(ours.optim, name)(mine, **options), getattr(torch.optim, name)(theirs, **options)
    _run(mine, theirs, rng, (a, b), 10, skip=(3, 1))
    _close(mine, theirs, 3e-6 if dtype == np.float32 else 1e-12 if name not in ("NAdam", "ASGD") else 1e-6)
    assert _plain(a.state_dict()["param_groups"]) == _plain(b.state_dict()["param_groups"])
    state_a, state_b = a.state_dict()["state"], b.state_dict()["state"]
    assert state_a.keys() == state_b.keys()
    for key in state_a:
        assert list(state_a[key]) == list(state_b[key])
        for entry, value in state_a[key].items():
            assert str(value.dtype) == str(state_b[key][entry].dtype), entry
            assert tuple(value.shape) == tuple(state_b[key][entry].shape), entry
            np.testing.assert_allclose(value.numpy(), state_b[key][entry].numpy(), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("case", CASES, ids=_ids)
def test_state_dict_goes_both_ways(case):
    name, options = case
    mine, theirs, rng = _pair(1)
    a, b = getattr(ours.optim, name)(mine, **options), getattr(torch.optim, name)(theirs, **options)
    _run(mine, theirs, rng, (a, b), 3)
    # each goes on from the state of the other
    a2, b2 = getattr(ours.optim, name)(mine), getattr(torch.optim, name)(theirs)
    state_a, state_b = copy.deepcopy(_to_torch(a.state_dict())), copy.deepcopy(_to_ours(b.state_dict()))
    a2.load_state_dict(state_b)
    b2.load_state_dict(state_a)
    assert repr(a2) == repr(b2) == repr(a)
    _run(mine, theirs, rng, (a2, b2), 3)
    _close(mine, theirs, 1e-5)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adadelta", "Adagrad"])
def test_large_parameters_and_layouts(name):
    """Sizes beyond a block, a transposed parameter, a gradient of another layout."""
    rng = np.random.default_rng(2)
    big = rng.normal(size=(300, 700)).astype(np.float32)
    mine = [ours.nn.Parameter(ours.tensor(big)), ours.nn.Parameter(ours.tensor(big).t())]
    theirs = [torch.nn.Parameter(torch.tensor(big)), torch.nn.Parameter(torch.tensor(big).t())]
    a, b = getattr(ours.optim, name)(mine, lr=0.1), getattr(torch.optim, name)(theirs, lr=0.1)
    for _ in range(3):
        g = rng.normal(size=(300, 700)).astype(np.float32)
        for pair, kind in ((mine, ours), (theirs, torch)):
            pair[0].grad = kind.tensor(np.ascontiguousarray(g.T)).t()
            pair[1].grad = kind.tensor(np.ascontiguousarray(g.T))
        a.step()
        b.step()
    _close(mine, theirs, 1e-5)


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adagrad", "RAdam", "NAdam", "Adamax", "Adadelta"])
def test_complex_parameters(name):
    rng = np.random.default_rng(3)
    value = (rng.normal(size=(4, 3)) + 1j * rng.normal(size=(4, 3))).astype(np.complex64)
    mine, theirs = ours.nn.Parameter(ours.tensor(value)), torch.nn.Parameter(torch.tensor(value))
    options = {"momentum": 0.9} if name == "SGD" else {}
    a, b = getattr(ours.optim, name)([mine], lr=0.1, **options), getattr(torch.optim, name)([theirs], lr=0.1, **options)
    for _ in range(5):
        g = (rng.normal(size=(4, 3)) + 1j * rng.normal(size=(4, 3))).astype(np.complex64)
        mine.grad, theirs.grad = ours.tensor(g), torch.tensor(g)
        a.step()
        b.step()
    _close([mine], [theirs], 1e-5)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adamax"])
def test_bfloat16(name):
    rng = np.random.default_rng(4)
    value = rng.normal(size=20).astype(np.float32)
    mine = ours.nn.Parameter(ours.tensor(value).to(ours.bfloat16))
    theirs = torch.nn.Parameter(torch.tensor(value).to(torch.bfloat16))
    a, b = getattr(ours.optim, name)([mine], lr=0.1), getattr(torch.optim, name)([theirs], lr=0.1)
    for _ in range(5):
        g = rng.normal(size=20).astype(np.float32)
        mine.grad = ours.tensor(g).to(ours.bfloat16)
        theirs.grad = torch.tensor(g).to(torch.bfloat16)
        a.step()
        b.step()
    np.testing.assert_allclose(mine.detach().float().numpy(), theirs.detach().float().numpy(), rtol=0.03, atol=0.03)


def test_muon():
    mine, theirs, rng = _pair(5, shapes=((6, 4), (4, 8)))
    for options in (
        {"lr": 0.01},
        {"lr": 0.01, "nesterov": False, "adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.0},
    ):
        a, b = ours.optim.Muon(mine, **options), torch.optim.Muon(theirs, **options)
        _run(mine, theirs, rng, (a, b), 5)
        # PyTorch runs the iteration in bfloat16
        for m, t in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(m.detach().numpy(), t.detach().numpy(), atol=0.01 * 10 * 2e-2)
        assert _plain(a.state_dict()["param_groups"]) == _plain(b.state_dict()["param_groups"])


def test_sparse_adam_on_rows():
    rng = np.random.default_rng(6)
    value = rng.normal(size=(6, 3)).astype(np.float32)
    mine, theirs = ours.nn.Parameter(ours.tensor(value)), torch.nn.Parameter(torch.tensor(value))
    a, b = ours.optim.SparseAdam([mine], lr=0.1), torch.optim.SparseAdam([theirs], lr=0.1)
    for rows in ([0, 2], [2, 5], [1], [0, 1, 2, 3, 4, 5]):
        g = np.zeros((6, 3), np.float32)
        g[rows] = rng.normal(size=(len(rows), 3))
        mine.grad, theirs.grad = ours.tensor(g), torch.tensor(g).to_sparse(1)
        a.step()
        b.step()
    _close([mine], [theirs], 1e-6)
    assert a.state_dict()["state"][0]["step"] == b.state_dict()["state"][0]["step"] == 4


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
def test_lbfgs(line_search):
    start = np.array([-1.5, 2.0, 0.5], np.float64)

    def run(kind):
        w = kind.nn.Parameter(kind.tensor(start))
        o = kind.optim.LBFGS([w], lr=0.1 if line_search is None else 1, max_iter=8, line_search_fn=line_search)
        values = []

        def closure():
            o.zero_grad()
            loss = ((1 - w[:-1]) ** 2).sum() + 10 * ((w[1:] - w[:-1] ** 2) ** 2).sum()
            loss.backward()
            values.append(loss.item())
            return loss

        for _ in range(4):
            o.step(closure)
        return w.detach().numpy(), values, o.state_dict()

    mine, theirs = run(ours), run(torch)
    np.testing.assert_allclose(mine[1], theirs[1], rtol=1e-6)
    np.testing.assert_allclose(mine[0], theirs[0], rtol=1e-6)
    assert mine[2]["state"][0].keys() == theirs[2]["state"][0].keys()
    assert mine[2]["state"][0]["func_evals"] == theirs[2]["state"][0]["func_evals"]


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam"])
def test_differentiable_step(name):
    """The gradient of a loss after two steps with respect to the start."""

    def run(kind):
        w0 = kind.tensor(np.array([1.0, -2.0, 0.5]), requires_grad=True)
        w = w0.clone()
        w.retain_grad()
        o = getattr(kind.optim, name)([w], lr=0.1, differentiable=True)
        for k in range(2):
            w.grad = (w * kind.tensor(np.array([1.0, 2.0, 3.0 + k]))).detach() if k else 2 * w
            o.step()
        (w**2).sum().backward()
        return w0.grad.numpy()

    # PyTorch corrects the bias by a float32 counter in this mode
    np.testing.assert_allclose(run(ours), run(torch), rtol=1e-5)


def test_groups_closure_and_named_parameters():
    mine, theirs, rng = _pair(7)
    groups = lambda ps: [{"params": ps[:2]}, {"params": ps[2:], "lr": 0.5, "weight_decay": 0.2}]
    a, b = ours.optim.AdamW(groups(mine), lr=0.1), torch.optim.AdamW(groups(theirs), lr=0.1)
    _run(mine, theirs, rng, (a, b), 5)
    _close(mine, theirs, 3e-6)
    assert repr(a) == repr(b)
    named = lambda kind, ps: kind.optim.SGD([(f"p{i}", p) for i, p in enumerate(ps)], lr=0.1)
    a, b = named(ours, mine), named(torch, theirs)
    assert a.state_dict()["param_groups"] == b.state_dict()["param_groups"]


def _errors(kind):
    w = lambda: kind.nn.Parameter(kind.ones(2))
    used = w()
    return [
        lambda: kind.optim.SGD(w(), lr=0.1),
        lambda: kind.optim.SGD([], lr=0.1),
        lambda: kind.optim.SGD([1], lr=0.1),
        lambda: kind.optim.SGD([w() * 2], lr=0.1),
        lambda: kind.optim.SGD([{"params": {w()}}], lr=0.1),
        lambda: kind.optim.SGD([w()], lr=-1),
        lambda: kind.optim.SGD([w()], lr=0.1, momentum=-1),
        lambda: kind.optim.SGD([w()], lr=0.1, nesterov=True),
        lambda: kind.optim.SGD([w()], lr=0.1, weight_decay=-1),
        lambda: kind.optim.Adam([w()], lr=-1.0),
        lambda: kind.optim.Adam([w()], eps=-1.0),
        lambda: kind.optim.Adam([w()], betas=(1.0, 0.9)),
        lambda: kind.optim.Adam([w()], betas=(0.9, -1)),
        lambda: kind.optim.Adam([w()], weight_decay=-1),
        lambda: kind.optim.Adam([w()], fused=True, differentiable=True),
        lambda: kind.optim.Adam([w()], fused=True, foreach=True),
        lambda: kind.optim.Rprop([w()], etas=(1.0, 2.0)),
        lambda: kind.optim.Adadelta([w()], rho=2.0),
        lambda: kind.optim.RMSprop([w()], momentum=-1),
        lambda: kind.optim.SparseAdam([w()], lr=0.0),
        lambda: kind.optim.LBFGS([{"params": [w()]}, {"params": [w()]}]),
        lambda: kind.optim.Muon([w()]),
        lambda: kind.optim.Adafactor([w()], d=0.5),
        lambda: kind.optim.SGD([{"params": [used]}, {"params": [used]}], lr=0.1),
        lambda: kind.optim.SGD([w()], lr=0.1).add_param_group([w()]),
        lambda: kind.optim.SGD([w()], lr=0.1).load_state_dict(
            kind.optim.SGD([{"params": [w()]}, {"params": [w()]}]).state_dict()
        ),
        lambda: kind.optim.SGD([w()], lr=0.1).load_state_dict(kind.optim.SGD([w(), w()]).state_dict()),
        lambda: kind.optim.Optimizer([w()], {}).step(),
        lambda: kind.optim.SGD([("a", w()), w()]),
    ]


@pytest.mark.parametrize("i", range(29))
def test_errors_have_the_same_type(i):
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        _errors(torch)[i]()
    with pytest.raises(theirs.type) as mine:
        _errors(ours)[i]()
    assert type(mine.value) is theirs.type
    assert str(mine.value) or theirs.type is NotImplementedError


# ---- schedules

SCHEDULES = {
    "LambdaLR": lambda L, o: L.LambdaLR(o, lambda e: 0.9**e),
    "MultiplicativeLR": lambda L, o: L.MultiplicativeLR(o, lambda e: 0.9 + 0.01 * e),
    "StepLR": lambda L, o: L.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda L, o: L.MultiStepLR(o, [2, 5, 5], 0.5),
    "ConstantLR": lambda L, o: L.ConstantLR(o, 0.3, 4),
    "LinearLR": lambda L, o: L.LinearLR(o, 0.2, 0.9, 4),
    "ExponentialLR": lambda L, o: L.ExponentialLR(o, 0.9),
    "SequentialLR": lambda L, o: L.SequentialLR(
        o, [L.ConstantLR(o, 0.1, 2), L.ExponentialLR(o, 0.9), L.CosineAnnealingLR(o, 4)], [3, 7]
    ),
    "CosineAnnealingLR": lambda L, o: L.CosineAnnealingLR(o, 4, 0.01),
    "ChainedScheduler": lambda L, o: L.ChainedScheduler([L.ConstantLR(o, 0.5, 3), L.ExponentialLR(o, 0.9)]),
    "CyclicLR": lambda L, o: L.CyclicLR(o, 0.01, 0.1, 4, 3),
    "CyclicLR-triangular2": lambda L, o: L.CyclicLR(o, 0.01, 0.1, 2, mode="triangular2", cycle_momentum=False),
    "CyclicLR-exp_range": lambda L, o: L.CyclicLR(o, 0.01, [0.1, 0.2], 2, mode="exp_range", gamma=0.9),
    "CyclicLR-own": lambda L, o: L.CyclicLR(o, 0.01, 0.1, 2, scale_fn=lambda x: 1 / (5**x), scale_mode="iterations"),
    "CosineAnnealingWarmRestarts": lambda L, o: L.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
    "OneCycleLR": lambda L, o: L.OneCycleLR(o, [0.1, 0.2], 20),
    "OneCycleLR-to-the-end": lambda L, o: L.OneCycleLR(o, 0.1, 18),
    "OneCycleLR-three": lambda L, o: L.OneCycleLR(
        o, 0.1, epochs=5, steps_per_epoch=4, three_phase=True, anneal_strategy="linear"
    ),
    "PolynomialLR": lambda L, o: L.PolynomialLR(o, 5, 2.0),
    "SWALR": lambda L, o: _swa(L).SWALR(o, 0.05, 6),
    "SWALR-linear": lambda L, o: _swa(L).SWALR(o, [0.05, 0.01], 6, "linear"),
}


def _swa(L):
    return ours.optim.swa_utils if L is ours.optim.lr_scheduler else torch.optim.swa_utils


def _scheduled(kind, make, optimizer="SGD"):
    ps = [kind.nn.Parameter(kind.ones(1)) for _ in range(2)]
    options = {"momentum": 0.9} if optimizer == "SGD" else {}
    o = getattr(kind.optim, optimizer)([{"params": ps[:1]}, {"params": ps[1:], "lr": 0.3}], lr=0.1, **options)
    return o, make(kind.optim.lr_scheduler, o)


def _numbers(o):
    keep = ("lr", "momentum", "betas", "initial_lr", "swa_lr", "max_lr")
    return [{k: g[k] for k in keep if k in g} for g in o.param_groups]


def _same(a, b):
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for k in a:
            _same(a[k], b[k])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            _same(x, y)
    elif isinstance(a, float):
        assert math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) or a == b
    else:
        assert a == b


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name, optimizer):
    if optimizer == "Adam" and "Cy" not in name:
        optimizer = "RMSprop"
    a, mine = _scheduled(ours, SCHEDULES[name], optimizer)
    b, theirs = _scheduled(torch, SCHEDULES[name], optimizer)
    for _ in range(18):
        _same(_numbers(a), _numbers(b))
        _same(mine.get_last_lr(), theirs.get_last_lr())
        _same(mine.state_dict(), theirs.state_dict())
        a.step(), b.step()
        mine.step(), theirs.step()
    # a new scheduler goes on from the other's state
    a2, mine2 = _scheduled(ours, SCHEDULES[name], optimizer)
    a2.load_state_dict(a.state_dict())
    mine2.load_state_dict(theirs.state_dict())
    a2.step(), b.step()
    if not name.startswith("OneCycle"):
        mine2.step(), theirs.step()
        _same(_numbers(a2), _numbers(b))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["StepLR", "MultiStepLR", "ConstantLR", "LinearLR", "ExponentialLR", "CosineAnnealingLR", "PolynomialLR",
             "LambdaLR", "CosineAnnealingWarmRestarts", "CyclicLR"]
)  # fmt: skip
def test_schedule_with_an_epoch(name):
    a, mine = _scheduled(ours, SCHEDULES[name])
    b, theirs = _scheduled(torch, SCHEDULES[name])
    for epoch in (1, 4, 2, 9):
        a.step(), b.step()
        mine.step(epoch), theirs.step(epoch)
        _same(_numbers(a), _numbers(b))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    [
        "StepLR",
        "MultiStepLR",
        "ConstantLR",
        "LinearLR",
        "ExponentialLR",
        "CosineAnnealingLR",
        "PolynomialLR",
        "LambdaLR",
    ],
)
def test_schedule_resumed(name):
    results = []
    for kind in (ours, torch):
        o, s = _scheduled(kind, SCHEDULES[name])
        for _ in range(3):
            o.step(), s.step()
        L = kind.optim.lr_scheduler
        make = {
            "StepLR": lambda: L.StepLR(o, 3, 0.5, last_epoch=3),
            "MultiStepLR": lambda: L.MultiStepLR(o, [2, 5, 5], 0.5, last_epoch=3),
            "ConstantLR": lambda: L.ConstantLR(o, 0.3, 4, last_epoch=3),
            "LinearLR": lambda: L.LinearLR(o, 0.2, 0.9, 4, last_epoch=3),
            "ExponentialLR": lambda: L.ExponentialLR(o, 0.9, last_epoch=3),
            "CosineAnnealingLR": lambda: L.CosineAnnealingLR(o, 4, 0.01, last_epoch=3),
            "PolynomialLR": lambda: L.PolynomialLR(o, 5, 2.0, last_epoch=3),
            "LambdaLR": lambda: L.LambdaLR(o, lambda e: 0.9**e, last_epoch=3),
        }[name]
        s = make()
        seen = [_numbers(o)]
        for _ in range(4):
            o.step(), s.step()
            seen.append(_numbers(o))
        results.append(seen)
    _same(*results)


@pytest.mark.parametrize("options", [{}, {"mode": "max", "threshold_mode": "abs", "threshold": 0.5, "cooldown": 2},
                                     {"patience": 1, "min_lr": [0.01, 0.2], "factor": 0.5}])  # fmt: skip
def test_plateau(options):
    values = [5, 4, 4, 4.2, 3.9, 4, 4, 4, 4, 4, 1, 1, 1, 1, 1, 1]
    options = {"patience": 2} | options
    a, mine = _scheduled(ours, lambda L, o: L.ReduceLROnPlateau(o, **options))
    b, theirs = _scheduled(torch, lambda L, o: L.ReduceLROnPlateau(o, **options))
    for value in values:
        mine.step(value), theirs.step(value)
        _same(_numbers(a), _numbers(b))
        _same(mine.state_dict(), theirs.state_dict())


def test_order_warning_and_tensor_lr():
    o, s = _scheduled(ours, SCHEDULES["StepLR"])
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        s.step()
    p = ours.nn.Parameter(ours.ones(1))
    lr = ours.tensor(0.5)
    o = ours.optim.SGD([p], lr=lr)
    s = ours.optim.lr_scheduler.ExponentialLR(o, 0.5)
    p.grad = ours.ones(1)
    o.step()
    s.step()
    assert o.param_groups[0]["lr"] is lr and lr.item() == 0.25 and p.item() == 0.5


# ---- averages


@pytest.mark.parametrize(
    ("kind", "buffers"),
    [(k, False) for k in ("default", "ema", "ema_multi", "swa", "swa_multi")]
    + [(k, True) for k in ("default", "ema", "ema_multi", "swa")],  # PyTorch's swa_multi refuses integer buffers
)
def test_averaged_model(kind, buffers):
    rng = np.random.default_rng(8)
    functions = {
        "default": lambda s: {}, "ema": lambda s: {"avg_fn": s.get_ema_avg_fn(0.9)},
        "ema_multi": lambda s: {"multi_avg_fn": s.get_ema_multi_avg_fn(0.9)},
        "swa": lambda s: {"avg_fn": s.get_swa_avg_fn()},
        "swa_multi": lambda s: {"multi_avg_fn": s.get_swa_multi_avg_fn()},
    }  # fmt: skip
    models = [lib.nn.Sequential(lib.nn.Linear(3, 2), lib.nn.BatchNorm1d(2)) for lib in (ours, torch)]
    averages = [
        lib.optim.swa_utils.AveragedModel(m, use_buffers=buffers, **functions[kind](lib.optim.swa_utils))
        for lib, m in zip((ours, torch), models, strict=True)
    ]
    for _ in range(4):
        state = {k: rng.normal(size=tuple(v.shape)).astype(v.numpy().dtype) for k, v in models[1].state_dict().items()}
        for lib, m, average in zip((ours, torch), models, averages, strict=True):
            m.load_state_dict({k: lib.tensor(v) for k, v in state.items()})
            average.update_parameters(m)
    mine, theirs = (average.state_dict() for average in averages)
    assert list(mine) == list(theirs)
    for k in mine:
        np.testing.assert_allclose(mine[k].numpy(), theirs[k].numpy(), rtol=1e-5, atol=1e-6)


def test_update_bn():
    rng = np.random.default_rng(9)
    batches = [rng.normal(size=(8, 3)).astype(np.float32) for _ in range(3)]
    found = []
    for lib in (ours, torch):
        m = lib.nn.Sequential(lib.nn.BatchNorm1d(3))
        m.eval()
        lib.optim.swa_utils.update_bn([(lib.tensor(b), 0) for b in batches], m)
        assert not m.training and m[0].momentum == 0.1
        found.append(m[0].running_var.numpy())
    np.testing.assert_allclose(*found, rtol=1e-5)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "NAdam", "RAdam", "Adamax", "Adadelta", "ASGD", "Rprop"])
def test_capturable_is_for_devices(name):
    for lib in (ours, torch):
        w = lib.nn.Parameter(lib.ones(2))
        w.grad = lib.ones(2)
        with pytest.raises(AssertionError, match="If capturable=True, params.* must be on supported devices"):
            getattr(lib.optim, name)([w], capturable=True).step()


def test_every_public_optimizer_and_schedule_is_there_and_compared():
    """A new name must enter the cases above; the three with tests of their own take other parameters."""
    own = {"LBFGS", "SparseAdam", "Muon", "Optimizer"}
    public = {n for n in torch.optim.__all__ if isinstance(getattr(torch.optim, n, None), type)}
    assert public <= set(dir(ours.optim))
    assert public - own == {name for name, _ in CASES}
    for n in torch.optim.lr_scheduler.__all__:
        assert issubclass(getattr(ours.optim.lr_scheduler, n), object), n
