# ruff: noqa: E501 - tables of one line per case
"""Reading and writing by index against torch: every kind of key, mixed, forward and backward, and what raises."""

from __future__ import annotations

import numpy as np
import pytest

import tritorch

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

from .test_pointwise import compare, outcome  # noqa: E402

KEYS = [
    "0", "-1", "1, 2", "..., 0", "0, ...", ":", "1:", "::2", "1:3, 1", "-2:, ::2", "None", "None, 0", ":, None, 1", "..., None",
    "0, 1, 2", "0:0", "5:", "-9:9", "True", "False", "[0, 1]", "[0, 1], [1, 2]", "t([0, 1, 0])",
    "t([-1, 0])", ":, t([0, 2])", "t([0, 1]), t([1, 0])", "t([[0], [1]]), t([0, 2])", "t([0, 1]), :, t([0, 2])",
    "t([0, 1]), 1", "1, t([0, 1])", "1, :, t([0, 3])", "t([0, 1]), ..., t([0, 2])", "..., t([0, 1])", "t(1)", "t(1), t([0, 1])",
    ":, t([[0, 1], [1, 2]])", "None, t([0, 1])", "t([0, 1]), None", "m", "m1", "m1, 1", "m1, t([0, 1])", "0, m2", ":, m3", "...,  m4",
    "m[:, 0, 0], m3", "slice(None), t([0])", "t([], dtype=long)", "1, [0, 1]", "[True, False]", "np.array([0, 1])", "np.int64(1)",
    "t([0, 1]), slice(1, 3), t(1)", "0, None, t([1, 2]), ..., 1", "t([1, 0], dtype=int32)", "m1, :, 0",
]  # fmt: skip
BAD = [
    "9",
    "0, 9",
    "0, 0, 0, 0",
    "t([9])",
    "-3",
    "..., 0, ...",
    "t([0.5])",
    "0.5",
    "::-1",
    "t([0, 1]), t([0, 1, 2])",
    "mbad",
    "t([-9])",
]


def key_of(lib, text: str):
    space = {
        "t": lambda v, dtype=None: lib.tensor(v) if dtype is None else lib.tensor(v, dtype=dtype), "np": np, "long": lib.long, "int32": lib.int32,
        "m": lib.tensor((np.arange(24).reshape(2, 3, 4) % 3 == 0).tolist()), "m1": lib.tensor([True, False]),
        "m2": lib.tensor((np.arange(12).reshape(3, 4) % 2 == 0).tolist()), "m3": lib.tensor([True, False, True]),
        "m4": lib.tensor([False, True, True, False]), "mbad": lib.tensor([True, False, True, True, False]),
    }  # fmt: skip

    class Catch:
        def __getitem__(self, key):
            return key

    return eval(f"catch[{text}]", space | {"catch": Catch()})


def data(lib, grad: bool = True):
    x = lib.tensor(np.arange(24.0).reshape(2, 3, 4).tolist(), dtype=lib.float64)
    return x.requires_grad_() if grad else x


@pytest.mark.parametrize("key", KEYS)
def test_read(key: str) -> None:
    def run(lib):
        x = data(lib)
        y = x[key_of(lib, key)]
        w = lib.arange(1.0, y.numel() + 1, dtype=lib.float64).reshape(y.shape)
        (g,) = lib.autograd.grad(y, x, w)
        return [y, g]

    compare(run(tritorch), run(torch), key)


@pytest.mark.parametrize("key", KEYS)
def test_write(key: str) -> None:
    def run(lib, kind):
        x = data(lib) * 1
        k = key_of(lib, key)
        shape = x[k].shape
        if kind == "number":
            x[k] = 5
            return [x]
        if kind == "whole":
            v = lib.arange(1.0, int(np.prod(shape)) + 1, dtype=lib.float64).reshape(shape).requires_grad_()
        else:
            v = lib.tensor(3.0, dtype=lib.float64, requires_grad=True)
        base = data(lib)
        x = base * 2
        x[k] = v * 10
        gs = lib.autograd.grad(
            x,
            [base, v],
            lib.arange(24.0, dtype=lib.float64).reshape(2, 3, 4),
            allow_unused=True,
            materialize_grads=True,
        )
        return [x, *gs]

    for kind in ("number", "whole", "broadcast"):
        if kind == "whole" and key in ("t([0, 1, 0])", "t([0, 1, 0])", ":, t([[0, 1], [1, 2]])", "[[0, 2], [1, 1]]"):
            continue  # duplicate indices: which write wins is not defined
        compare(run(tritorch, kind), run(torch, kind), f"{key} {kind}")


@pytest.mark.parametrize("key", BAD)
def test_bad_keys_raise_as_in_torch(key: str) -> None:
    for write in (False, True):

        def run(lib):
            x = data(lib, False)
            k = key_of(lib, key)
            if write:
                x[k] = 1.0
            return x[k]

        compare(outcome(lambda: run(tritorch)), outcome(lambda: run(torch)), key)


CALLS = {
    "gather": lambda lib, x, i: lib.gather(x, 1, i[:2, :2].abs() % 3),
    "gather dim 0": lambda lib, x, i: x.gather(0, i[:1] % 2),
    "scatter": lambda lib, x, i: x.scatter(1, lib.tensor([[0, 2], [1, 0]]), x[:, :2] * 2),
    "scatter number": lambda lib, x, i: x.scatter(1, lib.tensor([[0, 2], [1, 0]]), 7.0),
    "scatter_add": lambda lib, x, i: x.scatter_add(1, lib.tensor([[0, 0, 2], [1, 1, 1]]), x * 3),
    "scatter_reduce sum": lambda lib, x, i: x.scatter_reduce(1, lib.tensor([[0, 0, 2], [1, 1, 1]]), x * 3, "sum"),
    "scatter_reduce mean": lambda lib, x, i: x.scatter_reduce(1, lib.tensor([[0, 0, 2], [1, 1, 1]]), x * 3, "mean", include_self=False),
    "scatter_reduce amax": lambda lib, x, i: x.scatter_reduce(1, lib.tensor([[0, 0, 2], [1, 1, 1]]), x * 3 - 4.5, "amax"),
    "scatter_reduce amin": lambda lib, x, i: x.scatter_reduce(1, lib.tensor([[0, 0, 2], [1, 1, 1]]), x * 3 - 4.5, "amin", include_self=False),
    "scatter_reduce prod": lambda lib, x, i: x.scatter_reduce(1, lib.tensor([[0, 0, 2], [1, 1, 1]]), x + 0.5, "prod"),
    "index_select": lambda lib, x, i: lib.index_select(x, 1, lib.tensor([2, 0, 2])),
    "index_add": lambda lib, x, i: x.index_add(0, lib.tensor([1, 1]), x, alpha=2),
    "index_copy": lambda lib, x, i: x.index_copy(0, lib.tensor([1, 0]), x * 2),
    "index_fill": lambda lib, x, i: x.index_fill(1, lib.tensor([0, 2]), 3.0),
    "index_put": lambda lib, x, i: x.index_put((lib.tensor([0, 1, 0]), lib.tensor([1, 1, 1])), lib.tensor([1.0, 2.0, 3.0], dtype=x.dtype), accumulate=True),
    "masked_fill": lambda lib, x, i: x.masked_fill(x > 2, -1.0),
    "masked_select": lambda lib, x, i: x.masked_select(x > 2),
    "masked_scatter": lambda lib, x, i: x.masked_scatter(x > 2, x * 5),
    "take": lambda lib, x, i: x.take(lib.tensor([[0, 5], [-1, 2]])),
    "put": lambda lib, x, i: x.put(lib.tensor([0, 4]), lib.tensor([9.0, 8.0], dtype=x.dtype)),
    "take_along_dim": lambda lib, x, i: lib.take_along_dim(x, lib.tensor([[0], [2]]), 1),
    "select_scatter": lambda lib, x, i: x.select_scatter(x[0] * 2, 0, 1),
    "slice_scatter": lambda lib, x, i: lib.slice_scatter(x, x[:, :2] * 2, 1, 0, 3, 2),
    "diagonal_scatter": lambda lib, x, i: lib.diagonal_scatter(x, x[:, 0] * 2),
    "nonzero": lambda lib, x, i: lib.nonzero(x > 2), "argwhere": lambda lib, x, i: lib.argwhere(x > 2),
    "isin": lambda lib, x, i: lib.isin(x, lib.tensor([1.0, 3.0], dtype=x.dtype)),
    "searchsorted": lambda lib, x, i: lib.searchsorted(lib.tensor([0.0, 2.0, 4.0], dtype=x.dtype), x),
    "bucketize": lambda lib, x, i: lib.bucketize(x, lib.tensor([0.0, 2.0, 4.0], dtype=x.dtype), right=True),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_functions(name: str) -> None:
    def run(lib):
        x = lib.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], dtype=lib.float64, requires_grad=True)
        y = CALLS[name](lib, x, lib.tensor([[0, 1, 2], [2, 1, 0]]))
        if not y.requires_grad:
            return [y]
        w = lib.arange(1.0, y.numel() + 1, dtype=lib.float64).reshape(y.shape)
        return [y, *lib.autograd.grad(y, x, w)]

    compare(run(tritorch), run(torch), name)
