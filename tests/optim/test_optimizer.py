"""The base of all optimizers: hooks, groups, state, what a step leaves alone."""

from __future__ import annotations

import copy
import io
import pickle
import warnings

import numpy as np
import pytest

import tritorch as torch
from tritorch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

ELEMENTWISE = ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD"]
ALL = [*ELEMENTWISE, "Adafactor", "Muon", "SparseAdam"]


def _parameters(n=3, shape=(2, 3)):
    rng = np.random.default_rng(0)
    made = [torch.nn.Parameter(torch.tensor(rng.normal(size=shape), dtype=torch.float32)) for _ in range(n)]
    for p in made:
        p.grad = torch.tensor(rng.normal(size=shape), dtype=torch.float32)
    return made


@pytest.mark.parametrize("name", ALL)
def test_step_is_in_place_and_counted(name):
    ps = _parameters()
    arrays, versions = [p._a for p in ps], [p._version for p in ps]
    ps[1].grad = None
    before = ps[1].tolist()
    optimizer = getattr(torch.optim, name)(ps, lr=0.1)
    optimizer.step()
    assert all(p._a is a for p, a in zip(ps, arrays, strict=True))
    assert ps[0]._version > versions[0] and ps[2].requires_grad and ps[2].is_leaf
    assert ps[1].tolist() == before and ps[1]._version == versions[1]


def test_a_graph_made_before_the_step_notices():
    (p,) = _parameters(1)
    loss = (p * p).sum()
    torch.optim.Adam([p]).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation|version"):
        loss.backward()


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_cpu_against_cuda(name):
    shapes = ((70, 50), (7,), (), (0, 3))
    rng = np.random.default_rng(1)
    values = [rng.normal(size=s) for s in shapes]
    found = {}
    for device in ("cpu", "cuda"):
        rng = np.random.default_rng(2)
        ps = [torch.nn.Parameter(torch.tensor(v, dtype=torch.float32).to(device)) for v in values]
        ps.append(torch.nn.Parameter(torch.tensor(values[0], dtype=torch.float32).to(device).t()))
        optimizer = getattr(torch.optim, name)(ps, lr=0.1)
        for _ in range(2):
            for p in ps:
                p.grad = torch.tensor(rng.normal(size=tuple(p.shape)), dtype=torch.float32).to(device)
            optimizer.step()
        found[device] = [p.detach().cpu().numpy() for p in ps]
    for a, b in zip(found["cpu"], found["cuda"], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "maximize": True}])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_sgd_on_cuda(options, dtype):
    found = []
    for device in ("cpu", "cuda"):
        p = torch.nn.Parameter(torch.arange(10.0).to(dtype).to(device))
        optimizer = torch.optim.SGD([p], lr=0.125, **options)
        for i in range(3):
            p.grad = torch.full((10,), float(i + 1)).to(dtype).to(device)
            optimizer.step()
        found.append(p.detach().float().tolist())
    np.testing.assert_allclose(*found, rtol=1e-2 if dtype is torch.bfloat16 else 1e-12)


@pytest.mark.parametrize(
    "options", [{"amsgrad": True, "weight_decay": 0.1}, {"maximize": True}, {"decoupled_weight_decay": True}]
)
def test_adam_on_cuda(options):
    found = []
    for device in ("cpu", "cuda"):
        p = torch.nn.Parameter(torch.linspace(-1, 1, 3000, dtype=torch.float64).to(device))
        optimizer = torch.optim.Adam([p], lr=0.1, **options)
        for i in range(3):
            p.grad = torch.linspace(2 - i, -1, 3000, dtype=torch.float64).to(device)
            optimizer.step()
        found.append(p.detach().tolist())
    np.testing.assert_allclose(*found, rtol=1e-10)


def test_hooks():
    (p,) = _parameters(1)
    optimizer = torch.optim.SGD([p], lr=0.1)
    seen = []
    handles = [
        optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append("pre")),
        optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append("post")),
        register_optimizer_step_pre_hook(lambda o, args, kwargs: seen.append("all pre")),
        register_optimizer_step_post_hook(lambda o, args, kwargs: seen.append("all post")),
    ]
    optimizer.step()
    assert seen == ["all pre", "pre", "post", "all post"]
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(seen) == 4
    with optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: 7), {})):
        assert optimizer.step() == 7
    with (
        optimizer.register_step_pre_hook(lambda o, args, kwargs: 3),
        pytest.raises(RuntimeError, match="must return None"),
    ):
        optimizer.step()

    optimizer.register_state_dict_pre_hook(lambda o: seen.append("before"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, state: {**state, "seen": True})
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("after"))
    state = optimizer.state_dict()
    assert state["more"] == 1 and seen[-1] == "before"
    optimizer.load_state_dict(state)
    assert seen[-1] == "after"


def test_own_optimizer():
    class Sign(torch.optim.Optimizer):
        def __init__(self, params, lr=0.5):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            with torch.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        p.add_(p.grad.sign(), alpha=-group["lr"])

    p = torch.nn.Parameter(torch.zeros(2))
    p.grad = torch.tensor([3.0, -2.0])
    optimizer = Sign([p])
    calls = []
    optimizer.register_step_post_hook(lambda *a: calls.append(1))
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    optimizer.step()
    assert p.tolist() == [-0.5, 0.5] and calls == [1]
    with pytest.raises(ValueError, match="required optimization parameter lr"):
        from tritorch.optim.optimizer import required

        torch.optim.Optimizer([p], {"lr": required})


def test_zero_grad():
    ps = _parameters()
    optimizer = torch.optim.SGD(ps, lr=0.1)
    g = ps[0].grad
    optimizer.zero_grad(set_to_none=False)
    assert ps[0].grad is g and g.tolist() == [[0.0] * 3] * 2
    optimizer.zero_grad()
    assert all(p.grad is None for p in ps)


def test_closure_and_return_value():
    (p,) = _parameters(1)
    optimizer = torch.optim.Adam([p], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        first = optimizer.step(closure)
    assert first.item() > optimizer.step(closure).item() and optimizer.step() is None


@pytest.mark.parametrize("name", ALL)
def test_copies_and_files(name):
    ps = _parameters()
    optimizer = getattr(torch.optim, name)(ps, lr=0.1)
    optimizer.step()
    f = io.BytesIO()
    torch.save(optimizer.state_dict(), f)
    f.seek(0)
    other = getattr(torch.optim, name)(copy.deepcopy(ps), lr=0.9)
    other.load_state_dict(torch.load(f))
    assert repr(other) == repr(optimizer)
    again = pickle.loads(pickle.dumps(optimizer))
    qs, rs = other.param_groups[0]["params"], again.param_groups[0]["params"]
    for group in (qs, rs):
        for p, q in zip(ps, group, strict=True):
            q.grad = p.grad.clone()
    optimizer.step(), other.step(), again.step()
    for p, q, r in zip(ps, qs, rs, strict=True):
        assert p.tolist() == q.tolist() == r.tolist()


def test_older_state_dicts():
    """Steps kept as numbers, options that did not exist."""
    (p,) = _parameters(1)
    optimizer = torch.optim.Adam([p], lr=0.1)
    optimizer.step()
    state = copy.deepcopy(optimizer.state_dict())
    state["state"][0]["step"] = 1
    for key in ("fused", "foreach", "maximize", "decoupled_weight_decay"):
        del state["param_groups"][0][key]
    optimizer.load_state_dict(state)
    optimizer.step()
    assert optimizer.state[p]["step"].item() == 2 and optimizer.param_groups[0]["maximize"] is False


def test_loaded_state_takes_the_parameters_dtype():
    (p,) = _parameters(1)
    optimizer = torch.optim.Adam([p])
    optimizer.step()
    q = torch.nn.Parameter(p.detach().double())
    other = torch.optim.Adam([q])
    other.load_state_dict(optimizer.state_dict())
    assert other.state[q]["exp_avg"].dtype is torch.float64 and other.state[q]["step"].dtype is torch.float32
    q.grad = p.grad.double()
    other.step()
    assert optimizer.state[p]["step"].item() == 1


def test_duplicates_warn_and_new_groups_train():
    ps = _parameters()
    with pytest.warns(UserWarning, match="duplicate parameters"):
        torch.optim.SGD([ps[0], ps[0]], lr=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer = torch.optim.SGD(ps[:1], lr=0.1)
        optimizer.add_param_group({"params": ps[1], "lr": 0.0})
    before = ps[1].tolist()
    optimizer.step()
    assert ps[1].tolist() == before and len(optimizer.param_groups) == 2
