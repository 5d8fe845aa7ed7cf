"""The library ops: the published list, and their run on the emulated cuda device."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import pytest

import tritorch as torch
import tritorch.kernels
from tritorch.kernels import LIBRARY_OPS, _library
from tritorch.kernels._library import library, stacked
from tritorch.kernels._op import OPS, Array


def test_the_list_is_exactly_the_ops_whose_numpy_side_serves_cuda() -> None:
    for found in pkgutil.iter_modules(tritorch.kernels.__path__):
        if found.name != "report":
            importlib.import_module(f"tritorch.kernels.{found.name}")
    shared = {n for n, op in OPS.items() if op.gpu is not None and op.gpu is op.cpu and not op.view}
    assert shared == set(LIBRARY_OPS)


def test_an_op_that_is_not_listed_is_refused() -> None:
    with pytest.raises(TypeError, match="LIBRARY_OPS"):

        @library
        class unlisted:
            def cpu(x: Array) -> Array:
                return x


X = np.random.default_rng(0).normal(size=(2, 4, 4)).astype(np.float32) + 3 * np.eye(4, dtype=np.float32)
CALLS = {
    "inv": torch.linalg.inv,
    "solve": lambda x: torch.linalg.solve(x, x[..., :1]),
    "triangular": lambda x: torch.linalg.solve_triangular(x, x, upper=True),
    "cholesky": lambda x: torch.linalg.cholesky(x @ x.mT),
    "qr": lambda x: torch.linalg.qr(x).R.abs(),
    "svdvals": torch.linalg.svdvals,
    "eigvalsh": torch.linalg.eigvalsh,
    "det": torch.det,
    "logdet": lambda x: torch.logdet(x @ x.mT),
    "pinv": lambda x: torch.linalg.pinv(x[..., :3]),
    "matrix_exp": lambda x: torch.linalg.matrix_exp(x / 10),
    "lu": lambda x: torch.linalg.lu(x)[2],
    "lstsq": lambda x: torch.linalg.lstsq(x, x[..., 0:1]).solution,
    "norm": lambda x: torch.linalg.norm(x, "nuc", (-2, -1)),
    "matrix_power": lambda x: torch.linalg.matrix_power(x, 3),
}


@pytest.mark.parametrize("name", CALLS)
def test_linalg_on_cuda(name: str) -> None:
    here = torch.tensor(X, requires_grad=True)
    there = torch.tensor(X, device="cuda", requires_grad=True)
    a, b = CALLS[name](here), CALLS[name](there)
    assert b.is_cuda
    np.testing.assert_allclose(b.detach().cpu().numpy(), a.detach().numpy(), rtol=2e-4, atol=2e-4)
    a.sum().backward()
    b.sum().backward()
    np.testing.assert_allclose(there.grad.cpu().numpy(), here.grad.numpy(), rtol=5e-3, atol=5e-3)


def test_singular_matrices_raise_on_cuda_as_well() -> None:
    with pytest.raises(torch.linalg.LinAlgError, match="singular"):
        torch.linalg.inv(torch.zeros(3, 3, device="cuda"))
    assert torch.linalg.cholesky_ex(-torch.eye(2, device="cuda")).info.item() == 1


def test_fourier_transforms_on_cuda() -> None:
    x = torch.tensor(X[0])
    there = x.cuda()
    np.testing.assert_allclose(torch.fft.rfft(there).cpu().numpy(), np.fft.rfft(X[0]), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(torch.fft.irfft(torch.fft.rfft(there), 4).cpu().numpy(), X[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(torch.fft.fftn(there).cpu().numpy(), np.fft.fftn(X[0]), rtol=1e-4, atol=1e-4)


def test_stacks_are_shared_out_with_the_same_bits():
    rng = np.random.default_rng(0)
    x, b = rng.normal(size=(6, 50, 9, 9)), rng.normal(size=(6, 50, 9, 2))
    before = torch.get_num_threads()
    try:
        for n in (1, 3):
            torch.set_num_threads(n)
            np.testing.assert_array_equal(stacked(np.linalg.inv, x), np.linalg.inv(x))
            np.testing.assert_array_equal(stacked(np.linalg.solve, x, b), np.linalg.solve(x, b))
            np.testing.assert_array_equal(stacked(np.linalg.det, x), np.linalg.det(x))
            values, vectors = stacked(lambda a: tuple(np.linalg.eigh(a)), x)
            assert values.shape == (6, 50, 9)
            np.testing.assert_array_equal(vectors, np.linalg.eigh(x)[1])
            x[5, 40] = 0
            with pytest.raises(np.linalg.LinAlgError):
                stacked(np.linalg.inv, x)
            x[5, 40] = np.eye(9)
    finally:
        torch.set_num_threads(before)


def test_only_large_matrices_get_the_threads_of_the_blas(monkeypatch):
    seen = []
    monkeypatch.setattr(_library, "single_enter", lambda: seen.append("one thread"))
    monkeypatch.setattr(_library, "single_exit", lambda: seen.append("as before"))
    f = lambda a: seen.append(a.shape) or a
    _library.alone(f, np.zeros((2000, 3)))
    assert seen == [(2000, 3)]
    _library.alone(f, np.zeros((80, 80)))
    assert seen[1:] == ["one thread", (80, 80), "as before"]
    _library.stacked(f, np.zeros((2, 2000, 3)))
    assert seen[4] == "one thread" and seen[-1] == "as before"


@pytest.mark.parametrize(("pivot", "first"), [(0, np.inf), (np.nan, np.nan)])
def test_substitution_past_a_bad_pivot(pivot: float, first: float):
    t = np.triu(np.ones((3, 3)))
    t[1, 1] = pivot
    b = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    x = torch.linalg.solve_triangular(torch.tensor(t), b, upper=True).numpy()[:, 0]
    assert np.array_equal(x, [first, -first, 3], equal_nan=True)
    x = torch.linalg.solve_triangular(torch.tensor(t.T.copy()), b, upper=False).numpy()[:, 0]
    assert np.array_equal(x, [1, first, -first], equal_nan=True)
