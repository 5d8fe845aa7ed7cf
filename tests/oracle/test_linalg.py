# ruff: noqa: E501 - tables of one line per case
"""torch.linalg and its names in torch's own namespace against torch: values, gradients, dtypes, named results, errors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402

INF = float("inf")


def array(*shape: int, seed: int = 0, kind: str = "float64") -> np.ndarray:
    rng = np.random.default_rng([seed, *shape])
    a = rng.normal(size=shape)
    return a + 1j * rng.normal(size=shape) if kind.startswith("complex") else a


def well(*shape: int, **more) -> np.ndarray:
    return array(*shape, **more) + 3 * np.eye(shape[-1])


def positive(*shape: int, **more) -> np.ndarray:
    a = array(*shape, **more)
    return a @ a.conj().swapaxes(-2, -1) / shape[-1] + np.eye(shape[-1])


def hermitian(*shape: int, **more) -> np.ndarray:
    a = array(*shape, **more)
    return a + a.conj().swapaxes(-2, -1)


def distinct(n: int, seed: int = 0, kind: str = "float64") -> np.ndarray:
    return array(n, n, seed=seed, kind=kind) * 0.3 + np.diag(np.arange(1.0, n + 1) ** 1.5)


def run(lib, f, arrays, kind: str, weights: int | None):
    """Results of `f(lib, *tensors)` and the gradients by all tensors of the weighted sum of the differentiable ones."""
    tensors = []
    for a in arrays:
        dtype = kind if a.dtype.kind in "fc" else str(a.dtype)
        t = lib.tensor(a.tolist(), dtype=getattr(lib, dtype)).reshape(a.shape)
        tensors.append(t.requires_grad_() if weights is not None and a.dtype.kind in "fc" else t)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = f(lib, *tensors)
    outs = list(out) if isinstance(out, (tuple, list)) else [out]
    grads = []
    if weights is not None:
        total = 0
        for i, o in enumerate(outs):
            if o.requires_grad:
                w = np.random.default_rng([weights, i]).normal(size=tuple(o.shape))
                w = lib.tensor(w.tolist(), dtype=o.dtype if not o.is_complex() else lib.float64).reshape(tuple(o.shape))
                total = total + ((o.abs() if o.is_complex() else o) * w).sum()
        used = [t for t in tensors if t.requires_grad]
        grads = list(lib.autograd.grad(total, used, allow_unused=True))
    return outs, grads, out


def close(ours, theirs, tol: float, what: str) -> None:
    if theirs is None:
        assert ours is None or not bool(ours.any()), what
        return
    assert tuple(ours.shape) == tuple(theirs.shape), f"{what}: {tuple(ours.shape)} against {tuple(theirs.shape)}"
    assert str(ours.dtype) == str(theirs.dtype), f"{what}: {ours.dtype} against {theirs.dtype}"
    a, b = ours.detach().numpy(), theirs.detach().resolve_conj().numpy()
    np.testing.assert_allclose(a, b, rtol=tol, atol=tol, err_msg=what)


def check(f, *arrays, kind: str = "float64", grad: bool = True, tol: float | None = None) -> None:
    tol = tol or {"float64": 1e-8, "complex128": 1e-8, "float32": 2e-4, "complex64": 2e-4}[kind]
    ours, our_grads, mine = run(tritorch, f, arrays, kind, 1 if grad else None)
    theirs, their_grads, other = run(torch, f, arrays, kind, 1 if grad else None)
    assert len(ours) == len(theirs)
    if hasattr(other, "_fields") or type(other).__module__.startswith("torch.return_types"):
        names = [
            n for n in dir(other) if not n.startswith("_") and n not in ("count", "index") and not n.startswith("n_")
        ]
        assert all(hasattr(mine, n) for n in names), names
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        close(a, b, tol, f"result {i}")
    for i, (a, b) in enumerate(zip(our_grads, their_grads, strict=True)):
        close(a, b, 20 * tol, f"gradient {i}")


# `abs` of vectors takes their sign and phase away, which is LAPACK's choice
CASES = {
    "inv": (lambda t, a: t.linalg.inv(a), well(4, 4)),
    "inv batch": (lambda t, a: t.linalg.inv(a), well(2, 3, 3, 3)),
    "inv empty": (lambda t, a: t.linalg.inv(a), array(2, 0, 0)),
    "inverse": (lambda t, a: a.inverse() + t.inverse(a), well(3, 3)),
    "inv_ex": (lambda t, a: t.linalg.inv_ex(a), well(2, 3, 3)),
    "det": (lambda t, a: t.linalg.det(a) + a.det() + t.det(a), array(2, 3, 3)),
    "det 1": (lambda t, a: t.linalg.det(a), array(1, 1)),
    "slogdet": (lambda t, a: t.linalg.slogdet(a), array(2, 3, 3)),
    "torch.slogdet": (lambda t, a: t.slogdet(a), array(3, 3)),
    "logdet": (lambda t, a: t.logdet(a), positive(2, 3, 3)),
    "solve": (lambda t, a, b: t.linalg.solve(a, b), well(4, 4), array(4, 2)),
    "solve vector": (lambda t, a, b: t.linalg.solve(a, b), well(4, 4), array(4)),
    "solve vectors": (lambda t, a, b: t.linalg.solve(a, b), well(3, 2, 2), array(3, 2)),
    "solve broadcast": (lambda t, a, b: t.linalg.solve(a, b), well(3, 1, 2, 2), array(2, 2, 4)),
    "solve right": (lambda t, a, b: t.linalg.solve(a, b, left=False), well(3, 2, 2), array(4, 2)),
    "solve_ex": (lambda t, a, b: t.linalg.solve_ex(a, b), well(3, 2, 2), array(3, 2, 1)),
    "triangular": (lambda t, a, b: t.linalg.solve_triangular(a, b, upper=True), well(4, 4), array(4, 2)),
    "triangular low": (lambda t, a, b: t.linalg.solve_triangular(a, b, upper=False), well(2, 4, 4), array(4, 2)),
    "triangular unit": (lambda t, a, b: t.linalg.solve_triangular(a, b, upper=False, unitriangular=True), array(3, 3), array(3, 2)),
    "triangular right": (lambda t, a, b: t.linalg.solve_triangular(a, b, upper=True, left=False), well(3, 3), array(2, 3)),
    "triangular large": (lambda t, a, b: t.linalg.solve_triangular(a, b, upper=True), array(70, 70) * 0.1 + 2 * np.eye(70), array(70, 3)),
    "triangular_solve": (lambda t, b, a: t.triangular_solve(b, a, upper=False, transpose=True), array(3, 2), well(3, 3)),
    "cholesky": (lambda t, a: t.linalg.cholesky(a) + t.cholesky(a), positive(2, 4, 4)),
    "cholesky upper": (lambda t, a: t.linalg.cholesky(a, upper=True), positive(4, 4)),
    "cholesky_ex": (lambda t, a: t.linalg.cholesky_ex(a), positive(2, 3, 3)),
    "cholesky_solve": (lambda t, b, a: t.cholesky_solve(b, a.tril()), array(3, 2), positive(3, 3)),
    "cholesky_solve upper": (lambda t, b, a: t.cholesky_solve(b, a.triu(), upper=True), array(2, 3, 2), positive(3, 3)),
    "cholesky_inverse": (lambda t, a: t.cholesky_inverse(a.tril()), positive(3, 3)),
    "cholesky_inverse upper": (lambda t, a: t.cholesky_inverse(a.triu(), upper=True), positive(2, 3, 3)),
    "qr": (lambda t, a: t.linalg.qr(a), array(4, 4)),
    "qr tall": (lambda t, a: t.linalg.qr(a), array(2, 5, 3)),
    "qr wide": (lambda t, a: t.linalg.qr(a), array(3, 5)),
    "qr complete": (lambda t, a: t.linalg.qr(a, mode="complete"), array(3, 5)),
    "torch.qr": (lambda t, a: t.qr(a), array(4, 3)),
    "svd": (lambda t, a: t.linalg.svd(a, full_matrices=False)[1], array(4, 4)),
    "svd product": (lambda t, a: _rebuilt(t.linalg.svd(a, full_matrices=False)), array(2, 5, 3)),
    "svd product wide": (lambda t, a: _rebuilt(t.linalg.svd(a, full_matrices=False)), array(3, 5)),
    "svd abs": (lambda t, a: [v.abs() for v in t.linalg.svd(a, full_matrices=False)], array(4, 3)),
    "svd full": (lambda t, a: [v.abs() for v in t.linalg.svd(a)], array(3, 3)),
    "torch.svd": (lambda t, a: [v.abs() for v in t.svd(a)], array(2, 3, 4)),
    "svdvals": (lambda t, a: t.linalg.svdvals(a), array(2, 3, 4)),
    "eigh": (lambda t, a: [v.abs() for v in t.linalg.eigh(a)], hermitian(2, 4, 4)),
    "eigh upper": (lambda t, a: [v.abs() for v in t.linalg.eigh(a, UPLO="U")], array(3, 3)),
    "eigvalsh": (lambda t, a: t.linalg.eigvalsh(a), array(2, 4, 4)),
    "eig": (lambda t, a: [v.abs() for v in t.linalg.eig(a)], distinct(4)),
    "eigvals": (lambda t, a: t.linalg.eigvals(a), distinct(4)),
    "eigvals complex": (lambda t, a: t.linalg.eigvals(a).imag.abs().sum() + t.linalg.eigvals(a).real.sum(), array(4, 4)),
    "lu": (lambda t, a: t.linalg.lu(a), array(4, 4)),
    "lu tall": (lambda t, a: t.linalg.lu(a), array(2, 5, 3)),
    "lu wide": (lambda t, a: t.linalg.lu(a), array(3, 5)),
    "lu_factor": (lambda t, a: t.linalg.lu_factor(a), array(2, 4, 4)),
    "lu_factor large": (lambda t, a: t.linalg.lu_factor(a), array(70, 50)),
    "lu_factor_ex": (lambda t, a: t.linalg.lu_factor_ex(a), array(3, 5)),
    "torch.lu": (lambda t, a: t.lu(a, get_infos=True), array(3, 3)),
    "lu_unpack": (lambda t, a: t.lu_unpack(*t.linalg.lu_factor(a)), array(2, 4, 3)),
    "lu_solve": (lambda t, a, b: t.linalg.lu_solve(*t.linalg.lu_factor(a), b), array(2, 3, 3), array(2, 3, 2)),
    "lu_solve right": (lambda t, a, b: t.linalg.lu_solve(*t.linalg.lu_factor(a), b, left=False), array(3, 3), array(2, 3)),
    "lu_solve adjoint": (lambda t, a, b: t.linalg.lu_solve(*t.linalg.lu_factor(a), b, adjoint=True), array(3, 3), array(3, 2)),
    "torch.lu_solve": (lambda t, a, b: t.lu_solve(b, *t.linalg.lu_factor(a)), array(3, 3), array(3, 2)),
    "lstsq": (lambda t, a, b: t.linalg.lstsq(a, b).solution, array(5, 3), array(5, 2)),
    "lstsq wide": (lambda t, a, b: t.linalg.lstsq(a, b).solution, array(2, 3, 5), array(2, 3, 1)),
    "lstsq vectors": (lambda t, a, b: t.linalg.lstsq(a, b).solution, array(2, 4, 3), array(2, 4)),
    "pinv": (lambda t, a: t.linalg.pinv(a), array(2, 5, 3)),
    "pinv wide": (lambda t, a: t.linalg.pinv(a) + t.pinverse(a), array(3, 5)),
    "pinv rtol": (lambda t, a: t.linalg.pinv(a, atol=0.1, rtol=0.01), array(4, 3)),
    "pinv hermitian": (lambda t, a: t.linalg.pinv(a + a.mH, hermitian=True), array(3, 3)),
    "matrix_exp": (lambda t, a: t.linalg.matrix_exp(a) + t.matrix_exp(a), array(2, 3, 3)),
    "matrix_exp large": (lambda t, a: t.linalg.matrix_exp(a), array(3, 3) * 6),
    "matrix_power": (lambda t, a: t.linalg.matrix_power(a, 5) + a.matrix_power(1), array(2, 3, 3)),
    "matrix_power -2": (lambda t, a: t.linalg.matrix_power(a, -2), well(3, 3)),
    "matrix_power 0": (lambda t, a: t.linalg.matrix_power(a, 0) + a, array(3, 3)),
    "multi_dot": (lambda t, a, b, c: t.linalg.multi_dot([a, b, c]), array(2, 3), array(3, 4), array(4, 2)),
    "multi_dot vectors": (lambda t, a, b, c: t.linalg.multi_dot([a, b, c]), array(3), array(3, 4), array(4)),
    "vecdot": (lambda t, a, b: t.linalg.vecdot(a, b, dim=0), array(3, 4), array(3, 1)),
    "cross": (lambda t, a, b: t.linalg.cross(a, b), array(2, 3), array(1, 3)),
    "diagonal": (lambda t, a: t.linalg.diagonal(a, offset=1), array(2, 3, 4)),
    "vander": (lambda t, a: t.linalg.vander(a, N=5), array(2, 3)),
    "vander square": (lambda t, a: t.linalg.vander(a), array(4)),
    "tensorinv": (lambda t, a: t.linalg.tensorinv(a.reshape(2, 2, 4), ind=2), well(4, 4)),
    "tensorsolve": (lambda t, a, b: t.linalg.tensorsolve(a.reshape(2, 2, 4), b), well(4, 4), array(2, 2)),
    "tensorsolve dims": (lambda t, a, b: t.linalg.tensorsolve(a.reshape(4, 2, 2), b, dims=(0,)), well(4, 4), array(2, 2)),
    "householder": (lambda t, a, b: t.linalg.householder_product(a, b), array(2, 4, 3), array(2, 3)),
    "orgqr": (lambda t, a, b: t.orgqr(a, b), array(4, 3), array(2)),
    "norm": (lambda t, a: t.linalg.norm(a), array(2, 3, 4)),
    "norm nuc": (lambda t, a: t.norm(a, "nuc"), array(3, 4)),
    "cond": (lambda t, a: [t.linalg.cond(a, p) for p in (None, 2, -2)], well(2, 3, 3)),
    "cond 1": (lambda t, a: [t.linalg.cond(a.detach(), p) + a.sum() for p in ("fro", "nuc", 1, -1, INF, -INF)], well(2, 3, 3)),
    "cond wide": (lambda t, a: t.linalg.cond(a), array(2, 3)),
}  # fmt: skip


def _rebuilt(usv):
    u, s, vh = usv
    return u @ (s[..., None] ** 2 * vh)


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name: str) -> None:
    f, *arrays = CASES[name]
    check(f, *arrays)
    if name not in ("det", "eigvals complex", "lu_factor large", "triangular large"):
        check(f, *arrays, kind="float32", grad=False, tol=2e-3)


COMPLEX = ["inv", "det", "slogdet", "solve", "triangular", "triangular unit", "cholesky", "cholesky upper", "qr", "qr tall",
           "qr wide", "svd", "svd product", "svd abs", "svdvals", "eigh", "eigvalsh", "eigvals", "eig", "lu", "lu_factor", "lu_solve adjoint", "lstsq",
           "pinv", "matrix_exp", "matrix_power", "vecdot", "householder", "norm", "norm nuc"]  # fmt: skip


@pytest.mark.parametrize("name", COMPLEX)
def test_complex(name: str) -> None:
    f, *arrays = CASES[name]
    changed = []
    for i, a in enumerate(arrays):
        part = array(*a.shape, seed=i + 5) * 0.3
        if name.startswith(("cholesky", "eigh", "eigvalsh")):
            part = part - part.swapaxes(-2, -1)
        changed.append(a + 1j * part)
    check(f, *changed, kind="complex128", grad=name not in ("slogdet", "lu", "lu_factor"))


@pytest.mark.parametrize("ord", [None, "fro", "nuc", 2, -2, 1, -1, INF, -INF, 0, 0.5, 3])
def test_norms(ord) -> None:
    for dim in (None, 0, (0, 2), (-1, 0)):
        for keepdim in (False, True):
            if isinstance(dim, tuple) and ord in (0, 0.5, 3) or not isinstance(dim, tuple) and isinstance(ord, str):
                continue
            x = array(3, 4) if dim is None else array(3, 2, 4)
            if dim is None and ord in (0, 0.5, 3):
                x = array(5)
            check(lambda t, a, d=dim, k=keepdim: t.linalg.norm(a, ord, d, k), x)
    if ord not in (None, 0, 0.5, 3):
        check(lambda t, a: t.linalg.matrix_norm(a, ord, dim=(0, 1), keepdim=True), array(3, 4, 2))
    if not isinstance(ord, str) and ord is not None:
        check(lambda t, a: t.linalg.vector_norm(a, ord, dim=(0, 2), keepdim=True), array(3, 4, 2))


def test_ranks_and_what_has_no_gradient() -> None:
    low = array(4, 2) @ array(2, 4)
    for f in (
        lambda t, a: t.linalg.matrix_rank(a),
        lambda t, a: t.linalg.matrix_rank(a, atol=0.5),
        lambda t, a: t.linalg.matrix_rank(a, rtol=0.5),
        lambda t, a: t.linalg.matrix_rank(a, atol=t.tensor(0.1)),
        lambda t, a: t.linalg.matrix_rank(a @ a.mT, hermitian=True),
        lambda t, a: t.linalg.cholesky_ex(-a @ a.mT - t.eye(4)).info,
        lambda t, a: t.linalg.inv_ex(t.zeros(2, 3, 3)).info,
        lambda t, a: t.linalg.lu_factor_ex(t.ones(3, 3)).info,
        lambda t, a: t.linalg.qr(a, mode="r"),
        lambda t, a: t.geqrf(a),
        lambda t, a: t.ormqr(*t.geqrf(a), a),
        lambda t, a: t.ormqr(*t.geqrf(a), a, left=False, transpose=True),
        lambda t, a: t.linalg.vander(t.tensor([1, 2, 3])),
        lambda t, a: t.linalg.matrix_power(t.tensor([[1, 1], [0, 1]]), 7),
        lambda t, a: t.linalg.inv(t.eye(3)),
        lambda t, a: t.linalg.svd(t.zeros(0, 3)),
        lambda t, a: t.linalg.eigh(t.zeros(0, 0)),
        lambda t, a: t.linalg.det(t.zeros(2, 0, 0)),
        lambda t, a: t.linalg.solve(t.zeros(0, 2, 2), t.zeros(0, 2, 3)),
        lambda t, a: t.linalg.lstsq(t.ones(0, 3), t.ones(0, 2)).solution.shape[0] * t.ones(()),
    ):
        check(f, low, grad=False)


@pytest.mark.parametrize("driver", ["gels", "gelsy", "gelsd", "gelss"])
def test_lstsq_drivers(driver: str) -> None:
    for shape in ((5, 3), (2, 5, 3), (3, 5)):
        check(
            lambda t, a, b: tuple(t.linalg.lstsq(a, b, driver=driver)), array(*shape), array(*shape[:-1], 2), grad=False
        )


def test_gradient_of_the_determinant_of_singular_matrices() -> None:
    check(lambda t, a: t.linalg.det(a), array(4, 3) @ array(3, 4), tol=1e-7)
    ours = tritorch.zeros(2, 3, 3, dtype=tritorch.float64, requires_grad=True)
    ours.det().sum().backward()
    assert float(ours.grad.abs().max()) == 0


def test_one_triangle_is_read() -> None:
    a = positive(4, 4)
    for name, f in {
        "cholesky": lambda t, a: t.linalg.cholesky(a), "upper": lambda t, a: t.linalg.cholesky(a, upper=True),
        "eigvalsh": lambda t, a: t.linalg.eigvalsh(a), "U": lambda t, a: t.linalg.eigvalsh(a, "U"),
    }.items():  # fmt: skip
        keep = np.triu if name in ("upper", "U") else np.tril
        check(f, keep(a), tol=1e-8)


def test_second_derivatives_against_torch() -> None:
    for f, a in (
        (lambda t, x: t.linalg.inv(x), well(3, 3)),
        (lambda t, x: t.linalg.cholesky(x @ x.mT), well(3, 3)),
        (lambda t, x: t.linalg.eigvalsh(x), hermitian(3, 3)),
        (lambda t, x: t.linalg.svdvals(x), array(3, 4)),
        (lambda t, x: t.linalg.qr(x).R, array(4, 3)),
        (lambda t, x: t.linalg.matrix_exp(x), array(3, 3)),
        (lambda t, x: t.logdet(x @ x.mT), well(3, 3)),
        (lambda t, x: t.linalg.pinv(x), array(4, 3)),
        (lambda t, x: t.linalg.norm(x, "nuc"), array(4, 3)),
    ):

        def twice(t, x, f=f):
            (g,) = t.autograd.grad((f(t, x) ** 2).sum(), x, create_graph=True)
            return (g**2).sum()

        check(twice, a, tol=1e-7)


EDGES = {
    "cholesky complex": (lambda t, a: t.linalg.cholesky(a), positive(2, 4, 4, kind="complex128")),
    "cholesky upper complex": (lambda t, a: t.linalg.cholesky(a, upper=True), positive(4, 4, kind="complex128")),
    "both triangles of cholesky_solve": (lambda t, b, a: t.cholesky_solve(b, a), array(3, 2), np.tril(well(2, 3, 3))),
    "both triangles, upper": (lambda t, b, a: t.cholesky_solve(b, a, upper=True), array(3, 2), np.triu(well(3, 3))),
    "both triangles, complex": (
        lambda t, b, a: t.cholesky_solve(b, a), array(3, 2, kind="complex128"), np.tril(well(3, 3, kind="complex128")),
    ),
    "both triangles of cholesky_inverse": (lambda t, a: t.cholesky_inverse(a), np.tril(well(2, 3, 3))),
    "cholesky_inverse upper complex": (lambda t, a: t.cholesky_inverse(a, True), np.triu(array(3, 3, kind="complex128"), 1) + 3 * np.eye(3)),
    "householder_product of none": (lambda t, a, b: t.linalg.householder_product(a, b), array(3, 2), np.zeros(0)),
    "matrix_power 0": (lambda t, a: t.linalg.matrix_power(a, 0), array(2, 3, 3)),
    "matrix_exp complex": (lambda t, a: t.linalg.matrix_exp(a), array(2, 3, 3, kind="complex128")),
    "lstsq gels": (lambda t, a, b: t.linalg.lstsq(a, b, driver="gels"), array(2, 5, 3), array(2, 5, 2)),
    "lstsq gelsd": (lambda t, a, b: t.linalg.lstsq(a, b, driver="gelsd"), array(5, 3), array(5, 2)),
    "lstsq square": (lambda t, a, b: t.linalg.lstsq(a, b, driver="gels"), well(3, 3), array(3, 1)),
    "lstsq complex": (
        lambda t, a, b: t.linalg.lstsq(a, b, driver="gelsd"), array(4, 3, kind="complex128"), array(4, 2, kind="complex128"),
    ),
    "vander of a number": (lambda t, a: t.linalg.vander(a, N=3), array()),
    "pinv by tensors": (
        lambda t, a: t.linalg.pinv(a, atol=t.tensor([1.0, 0, 0.5], dtype=t.float64)) + t.linalg.pinv(a, rtol=t.tensor([[0.1], [0.6]])),
        array(2, 3, 4, 5),
    ),
    "pinv by both": (lambda t, a: t.linalg.pinv(a, atol=t.tensor(1.0), rtol=t.tensor([0.1, 0.6, 0.9])), array(4, 5)),
    "pinv of none": (lambda t, a: t.linalg.pinv(a, rtol=t.zeros(0)), array(0, 3, 2)),
    "matrix_rank by tensors": (
        lambda t, a: t.linalg.matrix_rank(a.detach(), atol=t.tensor([2.0, 0, 0.5], dtype=t.float64)), array(2, 3, 4, 5),
    ),
    "cov complex weights": (
        lambda t, a, w: t.cov(a, aweights=w.abs().detach() + 0.1, fweights=t.tensor([1, 3, 2, 2])),
        array(3, 4, kind="complex128"), array(4, kind="complex128"),
    ),
    "cov of one variable": (lambda t, a: t.cov(a, correction=0), array(1, 4)),
    "cov weights of float32": (lambda t, a: t.cov(a, aweights=t.tensor([0.3, 0.1, 1.7, 0.9]), correction=0), array(2, 4)),
    "corrcoef of one variable": (lambda t, a: t.corrcoef(a), array(1, 4)),
    **{
        f"norm {p} of {shape}": (lambda t, a, p=p: t.linalg.matrix_norm(a, p), np.zeros(shape))
        for shape in ((0, 0), (2, 0, 0), (0, 3), (3, 0)) for p in (1, INF, 2, "nuc", "fro")
    },
    "norm -1 of (0, 3)": (lambda t, a: t.linalg.matrix_norm(a, -1), np.zeros((0, 3))),
}  # fmt: skip


@pytest.mark.parametrize("name", EDGES)
def test_edges(name: str) -> None:
    f, *arrays = EDGES[name]
    grad = not name.startswith(("norm", "pinv of none", "matrix_rank"))
    check(f, *arrays, kind="complex128" if any(a.dtype.kind == "c" for a in arrays) else "float64", grad=grad)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_the_exponential_of_half_precision_is_that_of_float32(kind: str) -> None:
    x = tritorch.tensor(array(2, 3, 3), dtype=getattr(tritorch, kind))
    y = tritorch.linalg.matrix_exp(x)
    assert y.dtype is x.dtype
    assert bool((y == tritorch.linalg.matrix_exp(x.float()).to(x.dtype)).all())


def test_low_rank() -> None:
    a = array(20, 3) @ array(3, 10)
    x = tritorch.tensor(a)
    u, s, v = tritorch.svd_lowrank(x, q=4)
    np.testing.assert_allclose((u * s @ v.mT).numpy(), a, atol=1e-9)
    u, s, v = tritorch.pca_lowrank(x, q=3)
    np.testing.assert_allclose((u * s @ v.mT).numpy(), a - a.mean(0), atol=1e-9)


ERRORS = {
    "singular": lambda t: t.linalg.inv(t.zeros(2, 2)),
    "singular solve": lambda t: t.linalg.solve(t.ones(3, 2, 2), t.ones(2)),
    "not positive": lambda t: t.linalg.cholesky(-t.eye(3)),
    "lu_factor": lambda t: t.linalg.lu_factor(t.ones(2, 2)),
    "power of singular": lambda t: t.linalg.matrix_power(t.zeros(2, 2), -1),
    "not square": lambda t: t.linalg.inv(t.ones(2, 3)),
    "not square det": lambda t: t.det(t.ones(2, 3)),
    "vector": lambda t: t.linalg.svd(t.ones(3)),
    "integers": lambda t: t.linalg.inv(t.tensor([[1, 2], [3, 4]])),
    "half": lambda t: t.linalg.inv(t.eye(2).half()),
    "shapes": lambda t: t.linalg.solve(t.eye(2), t.ones(3)),
    "dtypes": lambda t: t.linalg.solve(t.eye(2), t.ones(2).double()),
    "batch": lambda t: t.linalg.solve(t.ones(2, 3, 3), t.ones(3, 3, 1)),
    "mode": lambda t: t.linalg.qr(t.eye(2), mode="full"),
    "qr backward": lambda t: t.linalg.qr(t.ones(3, 2, requires_grad=True), mode="complete").R.sum().backward(),
    "uplo": lambda t: t.linalg.eigh(t.eye(2), UPLO="X"),
    "ord": lambda t: t.linalg.matrix_norm(t.eye(2), 3),
    "smallest of none": lambda t: t.linalg.matrix_norm(t.zeros(0, 0), -INF),
    "tolerances": lambda t: t.linalg.pinv(t.ones(2, 3, 3), atol=t.ones(3)),
    "dims": lambda t: t.linalg.matrix_norm(t.eye(2), dim=(0, 0)),
    "dim": lambda t: t.linalg.matrix_norm(t.eye(2), dim=(0, 5)),
    "norm of ints": lambda t: t.linalg.norm(t.tensor([1, 2])),
    "one matrix": lambda t: t.linalg.multi_dot([t.eye(2)]),
    "multi_dot shapes": lambda t: t.linalg.multi_dot([t.ones(2, 3), t.ones(2, 3)]),
    "driver": lambda t: t.linalg.lstsq(t.eye(2), t.eye(2), driver="fast"),
    "tensor": lambda t: t.linalg.inv([[1.0]]),
    "nan": lambda t: t.linalg.eig(t.full((2, 2), float("nan"))),
    "no pivot": lambda t: t.linalg.lu(t.eye(2), pivot=False),
    "tensorinv": lambda t: t.linalg.tensorinv(t.ones(2, 3, 4), ind=2),
    "triangular shapes": lambda t: t.linalg.solve_triangular(t.eye(2), t.ones(3, 1), upper=True),
    "phase": lambda t: t.linalg.eigh(t.tensor([[1.0, 1j], [-1j, 3.0]], requires_grad=True))[1].imag.sum().backward(),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    with pytest.raises(Exception) as theirs:
        ERRORS[name](torch)
    kind = type(theirs.value)
    kind = tritorch.linalg.LinAlgError if kind.__name__ == "_LinAlgError" else kind
    with pytest.raises(kind):
        ERRORS[name](tritorch)


def test_out() -> None:
    y = tritorch.empty(3, 3)
    got = tritorch.linalg.inv(2 * tritorch.eye(3), out=y)
    assert got is y and float(y[0, 0]) == 0.5
    w, v = tritorch.empty(2), tritorch.empty(2, 2)
    tritorch.linalg.eigh(tritorch.eye(2), out=(w, v))
    assert w.tolist() == [1.0, 1.0]
