"""torch.func: gradients, products, jacobians and batches of functions; the eager stand-ins of jit and compiler."""

from __future__ import annotations

import numpy as np
import pytest

import tritorch as torch
from tritorch import func

X = torch.tensor([0.3, 1.2, -0.7], dtype=torch.float64)


def test_gradients_nest() -> None:
    f = torch.sin
    for k, want in enumerate((np.cos, lambda v: -np.sin(v), lambda v: -np.cos(v))):
        f = func.grad(f)
        got = f(torch.tensor(0.5, dtype=torch.float64))
        assert not got.requires_grad and np.isclose(got.item(), want(0.5)), k


def test_gradient_of_nested_arguments_and_auxiliary_results() -> None:
    p = {"w": torch.tensor([1.0, 2.0]), "b": torch.tensor(0.5)}

    def loss(p, x):
        y = (p["w"] * x).sum() + p["b"]
        return y * y, y

    g, (value, aux) = func.grad_and_value(loss, has_aux=True)(p, torch.tensor([3.0, 4.0]))
    assert g["w"].tolist() == [69.0, 92.0] and g["b"].item() == 23.0 and value.item() == 132.25 and aux.item() == 11.5
    a, b = func.grad(lambda x, y: (x * y).sum(), argnums=(0, 1))(X, X * 2)
    assert a.tolist() == (X * 2).tolist() and b.tolist() == X.tolist()
    with pytest.raises(RuntimeError, match="scalar"):
        func.grad(torch.sin)(X)
    with pytest.raises(RuntimeError, match="argnum=3"):
        func.grad(torch.sum, argnums=3)(X)


def test_gradients_stay_in_the_graph_of_their_inputs() -> None:
    w = torch.tensor(2.0, requires_grad=True)
    func.grad(lambda x: x**3 * w)(torch.tensor(3.0)).backward()
    assert w.grad.item() == 27.0
    w.grad = None
    func.grad(lambda x: x**3)(w).backward()
    assert w.grad.item() == 12.0


def test_products() -> None:
    y, pull = func.vjp(lambda x: (x.sin(), x.square()), X)
    (g,) = pull((torch.ones_like(X), torch.ones_like(X)))
    np.testing.assert_allclose(g.numpy(), np.cos(X.numpy()) + 2 * X.numpy())
    y, change = func.jvp(lambda x: x.square() * 3, (X,), (torch.ones_like(X),))
    np.testing.assert_allclose(change.numpy(), 6 * X.numpy())
    np.testing.assert_allclose(y.numpy(), 3 * X.numpy() ** 2)
    second = func.jvp(func.grad(lambda x: (x**3).sum()), (X,), (torch.ones_like(X),))[1]
    np.testing.assert_allclose(second.numpy(), 6 * X.numpy())
    value, linear = func.linearize(torch.sin, X)
    np.testing.assert_allclose(linear(X).numpy(), np.cos(X.numpy()) * X.numpy())
    assert func.jvp(lambda x: torch.ones(2), (X,), (X,))[1].tolist() == [0.0, 0.0]


def test_jacobians_and_hessian() -> None:
    a = torch.randn(2, 3, dtype=torch.float64)
    f = lambda x: (a @ x).sin()  # noqa: E731
    want = np.cos(a.numpy() @ X.numpy())[:, None] * a.numpy()
    np.testing.assert_allclose(func.jacrev(f)(X).numpy(), want)
    np.testing.assert_allclose(func.jacfwd(f)(X).numpy(), want)
    both = func.jacrev(lambda x, y: x * y.sum(), argnums=(0, 1))(X, X)
    assert both[0].shape == both[1].shape == (3, 3)
    np.testing.assert_allclose(func.hessian(lambda x: (x**3).sum())(X).numpy(), np.diag(6 * X.numpy()))


def test_jacobians_by_the_tensors_of_a_dict() -> None:
    params = {"w": torch.arange(1.0, 7.0).reshape(2, 3), "b": torch.ones(2)}
    x = torch.tensor([1.0, 2.0, 3.0])
    f = lambda p, x: {"y": p["w"] @ x + p["b"], "n": (p["w"] ** 2).sum()}  # noqa: E731
    for jacobian in (func.jacrev, func.jacfwd):
        j = jacobian(f)(params, x)
        assert {k: {n: tuple(v.shape) for n, v in row.items()} for k, row in j.items()} == {
            "y": {"w": (2, 2, 3), "b": (2, 2)}, "n": {"w": (2, 3), "b": (2,)},
        }  # fmt: skip
        np.testing.assert_allclose(j["y"]["b"].numpy(), np.eye(2))
        np.testing.assert_allclose(j["n"]["w"].numpy(), 2 * params["w"].numpy())
        both = jacobian(f, argnums=(0, 1))(params, x)
        assert both["y"][0]["w"].shape == (2, 2, 3) and torch.equal(both["y"][1], params["w"])
    blocks = func.hessian(lambda p: (p["w"] ** 2).sum() * p["b"].sum())(params)
    assert blocks["w"]["b"].shape == (2, 3, 2) and blocks["b"]["b"].abs().sum() == 0
    np.testing.assert_allclose(blocks["w"]["w"].reshape(6, 6).numpy(), 4 * np.eye(6))
    with pytest.raises(ValueError, match="jacrev: .* must be Tensors; got float"):
        func.jacrev(lambda p: p["w"])({"w": torch.ones(1), "c": 3.0})


def test_vmap_stacks_the_results_of_the_examples() -> None:
    a, b = torch.randn(4, 3), torch.randn(3, 4)
    np.testing.assert_allclose(
        func.vmap(torch.dot, in_dims=(0, 1))(a, b).numpy(), (a * b.t()).sum(1).numpy(), rtol=1e-5
    )
    out = func.vmap(lambda d, k: {"y": d["x"] * k}, in_dims=({"x": 0}, None), out_dims=1)({"x": a}, 2)
    assert out["y"].shape == (3, 4) and torch.equal(out["y"], 2 * a.t())
    nested = func.vmap(func.vmap(torch.dot, (None, 0)), (0, None))(a, b.t())
    np.testing.assert_allclose(nested.numpy(), (a @ b).numpy(), rtol=1e-4, atol=1e-6)
    per_example = func.vmap(func.grad(lambda x: (x**2).sum()))(a)
    np.testing.assert_allclose(per_example.numpy(), 2 * a.numpy())
    same = func.vmap(lambda x: x + torch.randn(()), randomness="same")(torch.zeros(3))
    assert same[0] == same[1] == same[2]
    for call in (lambda: func.vmap(torch.dot)(a, torch.randn(5, 3)), lambda: func.vmap(torch.sin, in_dims=None)(a)):
        with pytest.raises(ValueError, match="batch size"):
            call()
    with pytest.raises(ValueError, match="must return tensors"):
        func.vmap(lambda x: 1)(a)


def test_modules_as_functions() -> None:
    models = [torch.nn.Linear(3, 2) for _ in range(4)]
    params, buffers = func.stack_module_state(models)
    assert params["weight"].shape == (4, 2, 3) and params["weight"].requires_grad and buffers == {}
    x = torch.randn(5, 3)
    y = func.vmap(lambda p: func.functional_call(models[0], p, (x,)))(params)
    np.testing.assert_allclose(y[2].detach().numpy(), models[2](x).detach().numpy(), rtol=1e-5, atol=1e-6)
    net = torch.nn.Sequential(torch.nn.BatchNorm1d(3))
    assert func.replace_all_batch_norm_modules_(net)[0].running_mean is None


def test_jit_and_compiler_pass_through() -> None:
    @torch.jit.script
    def f(x):
        return x + 1

    net = torch.nn.Linear(2, 2)
    assert f(torch.ones(1)).item() == 2 and torch.jit.trace(net, torch.ones(1, 2)) is net
    assert torch.jit.ignore(f) is f and torch.jit.ignore(drop=True)(f) is f and not torch.jit.is_scripting()
    assert torch.jit.isinstance([1], list[int]) and torch.jit.wait(torch.jit.fork(f, torch.ones(1))).item() == 2
    assert torch.compiler.disable(f) is f and torch.compiler.compile(f) is f and not torch.compiler.is_compiling()
    with torch.compiler.set_stance("force_eager"):
        assert torch.compile(net) is net
    assert torch.version.__version__ == torch.__version__ and torch.version.cuda is None


def test_switches() -> None:
    assert torch.get_num_interop_threads() == 1 and torch.get_deterministic_debug_mode() == 2
    assert torch.sym_max(1, 2.0) == 2.0 and torch.sym_int(2.7) == 2 and torch.sym_ite(True, 1, 2) == 1
    assert torch.while_loop(lambda i, s: i < 3, lambda i, s: (i + 1, s * 2), (torch.tensor(0), torch.tensor(1)))[1] == 8
    torch.set_anomaly_enabled(True, False)
    try:
        assert torch.is_anomaly_enabled() and not torch.is_anomaly_check_nan_enabled()
    finally:
        torch.set_anomaly_enabled(False)
    with pytest.raises(RuntimeError):
        torch.set_deterministic_debug_mode("loud")


def test_files_as_tensors(tmp_path) -> None:
    path = str(tmp_path / "numbers")
    x = torch.from_file(path, shared=True, size=3, dtype=torch.int32)
    x[:] = torch.tensor([1, 2, 3], dtype=torch.int32)
    y = torch.from_file(path, size=3, dtype=torch.int32)
    y[0] = 9
    assert torch.from_file(path, shared=False, size=3, dtype=torch.int32).tolist() == [1, 2, 3]


def test_default_device_is_that_of_the_factories() -> None:
    assert torch.device("cpu").type == "cpu" and isinstance(torch.device, type)
    assert torch.get_default_device() is torch.device("cpu")
    import tritorch.functional.conversion as conversion

    assert torch.set_default_device is conversion.set_default_device
    torch.set_default_device("cpu")
    assert torch.ones(1).device is torch.device("cpu")
