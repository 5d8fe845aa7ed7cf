# ruff: noqa: E501 - tables of one line per case
"""Views, in-place changes and their history, against torch: fixed cases, and random programs of both.

A random program makes views of views, changes tensors and views in place (by numbers, tensors in the graph, or under
no_grad), and ends in a backward; values, gradients and the fact of an error must agree.
"""

from __future__ import annotations

import numpy as np
import pytest

import tritorch

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

from .test_pointwise import compare, outcome  # noqa: E402

VIEWS = {
    "view": lambda x: x.view(-1), "reshape": lambda x: x.reshape(3, 2), "t": lambda x: x.t(), "T": lambda x: x.T, "permute": lambda x: x.permute(1, 0),
    "select": lambda x: x.select(1, 2), "narrow": lambda x: x.narrow(1, 1, 2), "slice": lambda x: x[:, ::2], "unsqueeze": lambda x: x.unsqueeze(1),
    "squeeze": lambda x: x.unsqueeze(0).squeeze(0), "expand": lambda x: x.unsqueeze(0).expand(2, 2, 3), "diagonal": lambda x: x.diagonal(),
    "unfold": lambda x: x.unfold(1, 2, 1), "flatten": lambda x: x.flatten(), "movedim": lambda x: x.movedim(0, 1), "transpose": lambda x: x.transpose(0, 1),
    "as_strided": lambda x: x.as_strided((2, 2), (1, 2), 1), "view_as": lambda x: x.view_as(x), "unflatten": lambda x: x.unflatten(1, (3, 1)),
    "swapaxes": lambda x: x.swapaxes(0, 1), "mT": lambda x: x.mT, "split": lambda x: x.split(2, 1)[0], "chunk": lambda x: x.chunk(2, 1)[1], "unbind": lambda x: x.unbind(1)[1],
    "tensor_split": lambda x: x.tensor_split(2, 1)[0], "hsplit": lambda x: x.hsplit(3)[1], "broadcast_to": lambda x: x.broadcast_to(4, 2, 3), "detach": lambda x: x.detach(),
}  # fmt: skip
COPIES = {
    "cat": lambda lib, x: lib.cat([x, x * 2], 1), "stack": lambda lib, x: lib.stack([x, x * 2], 1), "repeat": lambda lib, x: x.repeat(2, 1, 2), "tile": lambda lib, x: x.tile(2),
    "flip": lambda lib, x: x.flip(0, 1), "roll": lambda lib, x: x.roll(1, 1), "roll flat": lambda lib, x: x.roll(2), "rot90": lambda lib, x: x.rot90(3), "tril": lambda lib, x: x.tril(-1),
    "triu": lambda lib, x: x.triu(1), "diag": lambda lib, x: x[0].diag(1), "diag of matrix": lambda lib, x: x.diag(1), "diag_embed": lambda lib, x: x.diag_embed(1), "trace": lambda lib, x: x.trace(),
    "repeat_interleave": lambda lib, x: x.repeat_interleave(2, 1), "interleave by counts": lambda lib, x: x.repeat_interleave(lib.tensor([0, 2, 1]), 1), "hstack": lambda lib, x: lib.hstack([x, x]),
    "vstack": lambda lib, x: lib.vstack([x, x[0]]), "dstack": lambda lib, x: lib.dstack([x, x]), "column_stack": lambda lib, x: lib.column_stack([x[:, 0], x]), "block_diag": lambda lib, x: lib.block_diag(x, x[0]),
    "atleast_3d": lambda lib, x: lib.atleast_3d(x), "broadcast_tensors": lambda lib, x: lib.broadcast_tensors(x, x[:1])[1], "contiguous": lambda lib, x: x.t().contiguous(), "sum_to_size": lambda lib, x: x.sum_to_size(1, 3),
    "reshape of transposed": lambda lib, x: x.t().reshape(2, 3), "to float32": lambda lib, x: x.to(lib.float32).double(), "half": lambda lib, x: x.half(), "type_as": lambda lib, x: x.type_as(lib.ones(1)),
    "complex": lambda lib, x: lib.complex(x, x * 2), "polar": lambda lib, x: lib.polar(x, x), "fliplr": lambda lib, x: lib.fliplr(x), "ravel": lambda lib, x: lib.ravel(x.t()), "diagflat": lambda lib, x: lib.diagflat(x),
}  # fmt: skip


def leaf(lib):
    return lib.tensor([[0.5, 1.0, 2.0], [3.0, 4.0, 5.0]], dtype=lib.float64, requires_grad=True)


def weights(lib, y):
    w = lib.arange(1.0, y.numel() + 1, dtype=lib.float64).reshape(y.shape)
    return w.to(y.dtype)


@pytest.mark.parametrize("name", VIEWS)
def test_views_share_memory_and_gradients_pass(name: str) -> None:
    def run(lib):
        x = leaf(lib)
        y = VIEWS[name](x * 1)
        base = leaf(lib).detach()
        v = VIEWS[name](base)
        strides = [v.stride(), v.storage_offset(), v.is_contiguous(), v._base is base if name != "detach" else None]
        shared = base.clone()
        base[...] = 7.0
        result = [y, v, lib.tensor(v.data_ptr() - base.data_ptr()), shared, v._version, base._version]
        if y.requires_grad:
            result += lib.autograd.grad(y, x, weights(lib, y))
        return [*result, *strides]

    compare(run(tritorch), run(torch), name)


@pytest.mark.parametrize("name", COPIES)
def test_copies(name: str) -> None:
    def run(lib):
        x = leaf(lib)
        y = COPIES[name](lib, x)
        return [y, *lib.autograd.grad(y, x, weights(lib, y))]

    compare(run(tritorch), run(torch), name, 1e-6)


CASES = {
    "column times two": "z = x * 1; z[:, 0] *= 2; out = z",
    "assign a row from the graph": "z = x * 1; z[0] = x[1] * 3; out = z * z",
    "view changed, base used": "z = x * 1; v = z[0]; v.mul_(3); out = z * z",
    "base changed, view used": "z = x * 1; v = z[0]; z.mul_(3); out = v * v",
    "view of view": "z = x * 1; v = z.t()[1:]; w = v[0]; w.exp_(); out = z + v.t().sum()",
    "sibling views": "z = x * 1; a = z[0]; b = z[:, 1]; a.mul_(2); out = b * b",
    "no_grad write into a leaf": "with lib.no_grad():\n    x[0] = 9\nout = x * 2",
    "constant base takes a graph": "z = lib.zeros(2, 3, dtype=lib.float64); r = z[0]; z += x; out = r * 2",
    "fill then add": "z = x * 1; z.zero_(); z.add_(x); out = z",
    "masked_fill_": "z = x * 1; z.masked_fill_(z > 2, 0.0); out = z",
    "index_put_": "z = x * 1; z[lib.tensor([0, 1]), lib.tensor([1, 1])] = x[:, 0] * 2; out = z",
    "copy_ from the graph": "z = lib.zeros(2, 3, dtype=lib.float64); z.copy_(x * 2); out = z",
    "copy_ into a view": "z = x * 1; z[:, 1].copy_(x[:, 0]); out = z",
    "leaf in place": "x.mul_(2); out = x",
    "view of a leaf in place": "x[0].mul_(2); out = x",
    "saved input changed": "z = x * 1; y = z * z; z.add_(1); out = y",
    "saved output changed": "z = x.exp(); y = z * 1; z.mul_(2); out = z",
    "saved exp output overwritten": "z = x.exp(); z.add_(1); out = z",
    "relu in place": "z = x - 1; z.relu_(); out = z",
    "detached alias changed": "z = x * 1; y = z * z; z.detach().add_(1); out = y",
    "data changed unseen": "z = x * 1; y = z * z; z.data.add_(1); out = y",
    "unbind view changed": "z = x * 1; a, b = z.unbind(0); a.mul_(2); out = z",
    "in place on expanded": "z = x * 1; v = z[:, :1].expand(2, 3); v.mul_(2); out = z",
    "in place broadens": "z = x[0] * 1; z.add_(x); out = z",
    "in place changes category": "z = lib.ones(3, dtype=lib.int64); z.add_(1.5); out = x",
    "squeeze_": "z = x * 1; z.unsqueeze_(0); out = z * 2",
    "transpose_": "z = x * 1; z.t_(); out = z * 2",
    "diagonal write": "z = x * 1; z.diagonal().zero_(); out = z",
    "two writes": "z = x * 1; z[0] = z[1] * 2; z[1] = z[0] * 3; out = z",
    "accumulate in a loop": "h = lib.zeros(4, 3, dtype=lib.float64)\nfor i in range(1, 4):\n    h[i] = h[i - 1].clone() * 2 + x[i % 2]\nout = h",
    "sub_ with alpha": "z = x * 1; z.sub_(x, alpha=3); out = z",
    "chained": "z = x * 1; z.add_(1).mul_(x).div_(2).neg_(); out = z",
    "pow_ scalar": "z = x * 1; z.pow_(2); out = z",
    "clamp_": "z = x * 1; z.clamp_(1, 4); out = z",
    "set requires_grad after": "z = lib.zeros(2, 3, dtype=lib.float64); v = z[0]; v.add_(x[0]); out = z * 2",
    "lerp_": "z = x * 1; z.lerp_(x * 2, 0.3); out = z",
    "addcmul_": "z = x * 1; z.addcmul_(x, x, value=2); out = z",
    "scatter_": "z = x * 1; z.scatter_(1, lib.tensor([[0], [2]]), x[:, :1] * 2); out = z",
    "output of a quotient changed": "z = x / (x * x + 1); z.add_(1); out = z",
    "output of a quotient by a number changed": "z = x / 2; z[0] += 1; out = z",
    "output of a number over x changed": "z = 2 / (x + 3); z.mul_(3); out = z",
    "output of a max pool changed": "z = lib.nn.functional.max_pool1d(x * 1, 2); z.relu_(); out = z",
    "output of a max pool changed, twice differentiable": "x.requires_grad_(); z = lib.nn.functional.max_pool1d(x.sin(), 2)\nz.mul_(2)\n"
    "g, = lib.autograd.grad(z.square().sum(), x, create_graph=True); out = g",
    "output of a GRU changed": "lib.manual_seed(0); z = lib.nn.GRU(3, 2).double()(x[None] * 1)[0]; z[:, 0] = 0; out = z",
    "output of an RNN changed": "lib.manual_seed(0); z = lib.nn.RNN(3, 2, 2).double()(x * 1)[0]; z.add_(1); out = z",
    "reshape by a list changed": "z = (x * 1).reshape([3, 2]); z.mul_(2); out = z * z",
    "reshape by a Size changed": "y = x * 1; z = y.reshape(y.shape); z[0] = 5; y[1] *= 2; out = z * z",
    "index_add_": "z = x * 1; z.index_add_(0, lib.tensor([1]), x[:1]); out = z",
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_in_place_history(name: str) -> None:
    def run(lib):
        space = {"lib": lib, "x": leaf(lib)}
        exec(CASES[name], space)
        out = space["out"]
        (g,) = lib.autograd.grad(out, space["x"], weights(lib, out))
        return [out, g]

    ours, theirs = outcome(lambda: run(tritorch)), outcome(lambda: run(torch))
    compare(ours, theirs, name)


def program(lib, seed: int):
    """A random program over views and in-place changes; returns (results, gradients)."""
    rng = np.random.default_rng(seed)
    x = lib.tensor(rng.normal(size=(3, 4)).tolist(), dtype=lib.float64, requires_grad=True)
    w = lib.tensor(rng.normal(size=(3, 4)).tolist(), dtype=lib.float64, requires_grad=True)
    alive = [x * 1.5, w * 0.5, lib.zeros(3, 4, dtype=lib.float64)]
    for _ in range(int(rng.integers(3, 12))):
        t = alive[int(rng.integers(len(alive)))]
        kind = int(rng.integers(9))
        if kind == 0 and t.ndim >= 1:
            alive.append(t[int(rng.integers(t.shape[0]))])
        elif kind == 1 and t.ndim == 2:
            alive.append(t.t())
        elif kind == 2 and t.ndim >= 1 and t.shape[-1] > 1:
            alive.append(t[..., 1:])
        elif kind == 3:
            t.mul_(float(rng.normal()))
        elif kind == 4:
            other = alive[int(rng.integers(len(alive)))]
            if other.shape == t.shape:
                t.add_(other.clone() * 0.5)
        elif kind == 5:
            alive.append(t.sin() + 0)
        elif kind == 6 and t.ndim >= 1:
            t[0] = float(rng.normal())
        elif kind == 7:
            t.copy_(t.clone().tanh())
        elif kind == 8 and t.ndim == 2 and t.is_contiguous():
            alive.append(t.view(-1))
    total = sum((a * a).sum() for a in alive)
    return [*alive, *lib.autograd.grad(total, [x, w], allow_unused=True, materialize_grads=True)]


@pytest.mark.parametrize("block", range(8))
def test_random_programs(block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        compare(outcome(lambda: program(tritorch, seed)), outcome(lambda: program(torch, seed)), f"seed {seed}", 1e-9)


@pytest.mark.parametrize("change", ["fill_", "zero_", "copy_", "normal_"])
def test_what_was_overwritten_stays_in_the_graph_with_a_gradient_of_zeros(change):
    values = {"fill_": (2.0,), "copy_": (None,)}
    for lib in (torch, tritorch):
        x = lib.ones(3, requires_grad=True)
        y = x * 2
        args = (lib.zeros(3),) if change == "copy_" else values.get(change, ())
        getattr(y, change)(*args)
        assert y.requires_grad
        assert lib.autograd.grad(y.sum(), x)[0].tolist() == [0.0] * 3


@pytest.mark.parametrize(
    "view, sizes",
    [
        (lambda x: x[3:13], ((3, 4), (1, 2), 1)),  # within the input and before it
        (lambda x: x[3:13], ((2, 3), (6, 1), 10)),  # beyond its end
        (lambda x: x.reshape(4, 5).t(), ((3, 3), (3, 2), 1)),
        (lambda x: x[2].expand(3), ((2,), (1,), 2)),
    ],
)
def test_gradients_of_as_strided_views_of_views(view, sizes):
    """Only elements of the input have a gradient, wherever in memory the view reaches."""
    found = []
    for side in (torch, tritorch):
        x = side.arange(20.0, dtype=side.float64).requires_grad_()
        y = view(x).as_strided(*sizes)
        found.append(side.autograd.grad((y * y).sum(), x)[0].tolist())
    assert found[0] == found[1]
