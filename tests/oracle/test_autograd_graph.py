"""What graphs save and let go, hooks on it, and edges, against PyTorch: one script run on both sides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402

SIDES = (tritorch, torch)
X = np.random.default_rng(0).normal(size=(3, 4))


def leaf(lib: Any) -> Any:
    return lib.tensor(X.tolist(), dtype=lib.float64, requires_grad=True)


def ones(lib: Any, *shape: int) -> Any:
    return lib.ones(shape, dtype=lib.float64)


def function(lib: Any, saves: bool, reads: bool) -> Any:
    class Twice(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            if saves:
                ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * (ctx.saved_tensors[0] if reads else 2)

    return Twice.apply


def written(lib: Any, x: Any, value: Any) -> Any:
    z = x.clone()
    z[:, 0] = value
    return z


TWICE = {
    "add": lambda lib, x: x + x, "add, broadcast": lambda lib, x: x + x[0], "sub number": lambda lib, x: x - 1,
    "number sub": lambda lib, x: 1 - x, "neg": lambda lib, x: -x, "mul": lambda lib, x: x * x,
    "mul number": lambda lib, x: x * 2, "mul constant": lambda lib, x: x * ones(lib, 4), "div number": lambda lib, x: x / 2,
    "number div": lambda lib, x: 2 / x, "sum": lambda lib, x: x.sum(), "sum of a dim": lambda lib, x: x.sum(1),
    "mean": lambda lib, x: x.mean(), "mean of a dim": lambda lib, x: x.mean(1), "view": lambda lib, x: x.view(12),
    "reshape": lambda lib, x: x.t().reshape(12), "t": lambda lib, x: x.t(), "permute": lambda lib, x: x.permute(1, 0),
    "expand": lambda lib, x: x[None].expand(2, 3, 4), "squeeze": lambda lib, x: x[:, None].squeeze(1),
    "slice": lambda lib, x: x[1:], "row": lambda lib, x: x[1], "index": lambda lib, x: x[lib.tensor([0, 2])],
    "index_select": lambda lib, x: x.index_select(0, lib.tensor([0, 2])),
    "gather": lambda lib, x: x.gather(0, lib.tensor([[0, 1, 2, 0]])), "unbind": lambda lib, x: x.unbind(0)[0],
    "split": lambda lib, x: x.split(2)[0], "chunk": lambda lib, x: x.chunk(2)[0], "diagonal": lambda lib, x: x.diagonal(),
    "unfold": lambda lib, x: x.unfold(0, 2, 1), "movedim": lambda lib, x: x.movedim(0, 1), "flatten": lambda lib, x: x.flatten(),
    "clone": lambda lib, x: x.clone(), "to": lambda lib, x: x.float(), "cat": lambda lib, x: lib.cat([x, x]),
    "stack": lambda lib, x: lib.stack([x, x]), "cumsum": lambda lib, x: x.cumsum(0), "flip": lambda lib, x: x.flip(0),
    "roll": lambda lib, x: x.roll(1, 0), "tril": lambda lib, x: x.tril(), "repeat": lambda lib, x: x.repeat(2, 1),
    "pad": lambda lib, x: lib.nn.functional.pad(x, (1, 1)), "diff": lambda lib, x: x.diff(),
    "floor": lambda lib, x: x.floor(), "sign": lambda lib, x: x.sign(), "round": lambda lib, x: x.round(),
    "exp": lambda lib, x: x.exp(), "tanh": lambda lib, x: x.tanh(), "relu": lambda lib, x: x.relu(), "pow": lambda lib, x: x**2,
    "clamp": lambda lib, x: x.clamp(0, 1), "maximum": lambda lib, x: lib.maximum(x, x), "max": lambda lib, x: x.max(),
    "max of a dim": lambda lib, x: x.max(1).values, "sort": lambda lib, x: x.sort().values, "topk": lambda lib, x: x.topk(2).values,
    "where": lambda lib, x: lib.where(ones(lib, 4) > 0, x, x), "masked_fill": lambda lib, x: x.masked_fill(ones(lib, 4) > 0, 0.0),
    "matmul": lambda lib, x: x @ ones(lib, 4, 2), "softmax": lambda lib, x: x.softmax(0), "std": lambda lib, x: x.std(),
    "norm": lambda lib, x: x.norm(), "prod": lambda lib, x: x.prod(), "logsumexp": lambda lib, x: x.logsumexp(0),
    "linear": lambda lib, x: lib.nn.functional.linear(x, ones(lib, 2, 4)), "einsum of a sum": lambda lib, x: lib.einsum("ij->i", x),
    "cross_entropy": lambda lib, x: lib.nn.functional.cross_entropy(x, lib.tensor([0, 1, 2])),
    "mse_loss": lambda lib, x: lib.nn.functional.mse_loss(x, ones(lib, 3, 4)),
    "embedding": lambda lib, x: lib.nn.functional.embedding(lib.tensor([0, 2]), x),
    "dropout": lambda lib, x: lib.nn.functional.dropout(x, 0.5), "max_pool": lambda lib, x: lib.nn.functional.max_pool1d(x, 2),
    "add_": lambda lib, x: x.clone().add_(1), "mul_": lambda lib, x: x.clone().mul_(2),
    "write of a number": lambda lib, x: written(lib, x, 1.0), "write of a part": lambda lib, x: written(lib, x, x[:, 1]),
    "function": lambda lib, x: function(lib, False, False)(x), "function that saves": lambda lib, x: function(lib, True, False)(x),
    "function that reads": lambda lib, x: function(lib, True, True)(x),
    "a whole graph": lambda lib, x: lib.cat([x.t() + 1, -x.t()]).reshape(-1).sum().expand(3).mean(),
}  # fmt: skip

STRICTER = {  # PyTorch saves a tensor when its own gradient needs it, here an op keeps the same for all its operands
    "addcmul of constants": lambda lib, x: lib.addcmul(x, ones(lib, 4), ones(lib, 4)),
    "lerp by a number": lambda lib, x: lib.lerp(x, x, 0.5), "fmod": lambda lib, x: x.fmod(2), "remainder": lambda lib, x: x.remainder(2),
    "a bias alone": lambda lib, x: lib.nn.functional.linear(ones(lib, 2, 3), ones(lib, 4, 3), x[0]),
}  # fmt: skip
LAXER = {  # where a shape is enough here
    "avg_pool": lambda lib, x: lib.nn.functional.avg_pool1d(x, 2),
    "scalar of a complex": lambda lib, x: lib.complex(x, x).real,
}


def again(lib: Any, call: Any) -> bool:
    """May a second backward follow one without `retain_graph`; and if so, are its gradients the first's?"""
    x = leaf(lib)
    y = call(lib, x)
    y.backward(lib.ones_like(y))
    first, x.grad = x.grad, None
    try:
        y.backward(lib.ones_like(y))
    except RuntimeError as error:
        assert "Trying to backward through the graph a second time" in str(error)
        return False
    assert x.grad.tolist() == first.tolist()
    return True


@pytest.mark.parametrize("name", TWICE)
def test_second_backward(name: str) -> None:
    ours, theirs = (again(lib, TWICE[name]) for lib in SIDES)
    assert ours is theirs


def test_second_backward_where_less_or_more_is_kept() -> None:
    assert [[again(lib, call) for lib in SIDES] for call in STRICTER.values()] == [[False, True]] * len(STRICTER)
    assert [[again(lib, call) for lib in SIDES] for call in LAXER.values()] == [[True, False]] * len(LAXER)


def test_one_branch_after_the_other() -> None:
    """`autograd.grad` lets go what it ran, and runs no more than it must."""
    found = []
    for lib in SIDES:
        x, y = leaf(lib), leaf(lib)
        loss = (x * x).sum() + (y.exp()).sum()
        first = lib.autograd.grad(loss, x)[0].tolist()
        second = lib.autograd.grad(loss, y)[0].tolist()
        with pytest.raises(RuntimeError, match="second time"):
            lib.autograd.grad(loss, x)
        found.append((first, np.round(second, 12).tolist()))
    assert found[0] == found[1]


PACKED = {
    name: TWICE[name]
    for name in (
        "add", "neg", "mul", "mul number", "mul constant", "number sub", "sum", "mean", "view", "t", "slice", "index", "cat",
        "exp", "tanh", "relu", "pow", "softmax", "clamp", "write of a number", "function",
        "function that saves", "function that reads",
    )
}  # fmt: skip


@pytest.mark.parametrize("name", PACKED)
def test_what_reaches_the_hooks(name: str) -> None:
    """Shapes of what is packed, whether it is the input itself, whether it requires grad, and recording in the hook."""
    found = []
    for lib in SIDES:
        x = leaf(lib)
        seen: list = []
        unpacked: list = []

        def pack(t: Any, x: Any = x, seen: list = seen, lib: Any = lib) -> Any:
            seen.append((tuple(t.shape), t is x, t.requires_grad, t.is_leaf, lib.is_grad_enabled()))
            return t.detach().numpy().copy()

        def unpack(a: Any, unpacked: list = unpacked, lib: Any = lib) -> Any:
            unpacked.append(lib.is_grad_enabled())
            return lib.from_numpy(a)

        with lib.autograd.graph.saved_tensors_hooks(pack, unpack):
            y = PACKED[name](lib, x)
        y.backward(lib.ones_like(y))
        found.append((seen, unpacked, np.round(x.grad.tolist(), 9).tolist()))
    assert found[0] == found[1]


def script(lib: Any) -> list:
    """Multi-gradient hooks and edges: everything that can be seen, as plain values."""
    out: list = []
    for mode in ("all", "any"):
        for use in (lambda a, b, c, d: d * 2, lambda a, b, c, d: d * 2 + c, lambda a, b, c, d: c * b):
            for inputs in (None, [0, 1], [3]):
                a, b, c = (lib.tensor([v, 1.0], requires_grad=True) for v in (1.0, 2.0, 3.0))
                d = a * b
                leaves = [a, b, c, d]
                seen: list = []
                handle = lib.autograd.graph.register_multi_grad_hook(leaves, seen.append, mode=mode)
                loss = use(*leaves).sum()
                loss.backward(retain_graph=True, inputs=inputs and [leaves[i] for i in inputs])
                handle.remove()
                loss.backward()
                if mode == "any":  # which is the first is a matter of order
                    out.append(len(seen))
                else:
                    out += [[None if g is None else g.tolist() for g in call] for call in seen]
    x = leaf(lib)
    y = x * x
    edge = lib.autograd.graph.get_gradient_edge(y)
    out.append((type(edge).__name__, edge._fields, edge.output_nr, edge.node is y.grad_fn))
    out += [lib.autograd.grad((y * y).sum(), edge, retain_graph=True)[0].tolist(), y._version]
    lib.autograd.graph.increment_version([y, y])
    out.append(y._version)
    for number, call in enumerate(
        (
            lambda: lib.autograd.graph.get_gradient_edge(lib.ones(1)),
            lambda: lib.autograd.grad(edge, x),
            lambda: lib.autograd.grad(x.exp().sum(), edge, materialize_grads=True),
            lambda: lib.autograd.graph.increment_version(3),
            lambda: lib.autograd.graph.register_multi_grad_hook([x], print, mode="some"),
        )
    ):
        try:
            call()
        except Exception as error:
            out.append(type(error).__name__)
        else:
            raise AssertionError(f"{lib.__name__}: no error from call {number}")
    return out


def test_edges_and_multi_grad_hooks() -> None:
    assert script(tritorch) == script(torch)
