"""The matmul family against torch: values, dtypes, shapes, gradients, error types."""

from __future__ import annotations

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402

rng = np.random.default_rng(7)


def pair(shape, dtype="float32"):
    a = rng.normal(size=shape)
    if dtype.startswith("int") or dtype == "uint8":
        a = rng.integers(-5, 5, shape) if dtype != "uint8" else rng.integers(0, 5, shape)
    if dtype.startswith("complex"):
        a = a + 1j * rng.normal(size=shape)
    mine = tritorch.tensor(a.tolist() if a.ndim == 0 else a).to(getattr(tritorch, dtype))
    theirs = torch.tensor(a).to(getattr(torch, dtype))
    return mine, theirs


def same(mine, theirs, rtol=1e-5, atol=1e-5):
    assert tuple(mine.shape) == tuple(theirs.shape)
    assert str(mine.dtype) == str(theirs.dtype)
    kind = theirs.dtype
    if kind in (torch.bfloat16, torch.float16):
        np.testing.assert_allclose(mine.detach().float().numpy(), theirs.detach().float().numpy(), rtol=1e-2, atol=1e-2)
    else:
        np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=atol)


def check(f, *shapes, dtype="float32", grad=True, **kw):
    """f(namespace, *tensors) in both, forward and backward."""
    pairs = [pair(s, dtype) for s in shapes]
    record = grad and dtype not in ("int64", "int32", "int8", "uint8")
    if record:
        for m, t in pairs:
            m.requires_grad_()
            t.requires_grad_()
    mine = f(tritorch, *[m for m, _ in pairs], **kw)
    theirs = f(torch, *[t for _, t in pairs], **kw)
    same(mine, theirs)
    if record:
        g = rng.normal(size=tuple(theirs.shape))
        theirs.backward(torch.tensor(g).to(theirs.dtype))
        mine.backward(tritorch.tensor(g.tolist() if g.ndim == 0 else g).to(mine.dtype))
        for m, t in pairs:
            if t.grad is not None:
                same(m.grad, t.grad)


SHAPES = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3,)), ((3,), (5, 3, 4)),
    ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((1, 2, 3), (5, 3, 4)), ((6, 1, 2, 3), (5, 3, 4)),
    ((2, 2, 2, 3), (2, 2, 3, 1)), ((0, 3), (3, 4)), ((2, 0), (0, 4)), ((0, 2, 3), (3, 4)), ((2, 3), (4, 3, 1)),
]  # fmt: skip


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16", "int64", "int32", "complex64"])
def test_matmul(shapes, dtype):
    check(lambda ns, a, b: ns.matmul(a, b), *shapes, dtype=dtype)


def test_operator_and_strided_operands():
    check(lambda ns, a, b: a @ b.T, (4, 6), (5, 6))
    check(lambda ns, a, b: a.T @ b, (6, 4), (6, 5))
    check(lambda ns, a, b: a[:, ::2] @ b[::2], (4, 6), (6, 5))
    check(lambda ns, a, b: a.flip(1) @ b, (4, 6), (6, 5))
    check(lambda ns, a, b: a.expand(3, 4, 6) @ b.transpose(0, 1), (4, 6), (5, 6))
    check(lambda ns, a, b: a[:1].expand(4, 6) @ b, (4, 6), (6, 5))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bfloat16"])
def test_fixed_ranks(dtype):
    check(lambda ns, a, b: ns.mm(a, b), (3, 4), (4, 2), dtype=dtype)
    check(lambda ns, a, b: ns.bmm(a, b), (5, 3, 4), (5, 4, 2), dtype=dtype)
    check(lambda ns, a, b: ns.mv(a, b), (3, 4), (4,), dtype=dtype)
    check(lambda ns, a, b: ns.dot(a, b), (4,), (4,), dtype=dtype)
    check(lambda ns, a, b: ns.vdot(a, b), (4,), (4,), dtype=dtype)
    check(lambda ns, a, b: ns.outer(a, b), (3,), (4,), dtype=dtype)
    check(lambda ns, a, b: ns.ger(a, b), (3,), (4,), dtype=dtype)
    check(lambda ns, a, b: ns.inner(a, b), (2, 3, 4), (5, 4), dtype=dtype)
    check(lambda ns, a, b: a.mm(b), (3, 4), (4, 2), dtype=dtype)


def test_complex_vdot_and_inner():
    check(lambda ns, a, b: ns.vdot(a, b), (4,), (4,), dtype="complex64")
    check(lambda ns, a, b: ns.inner(a, b), (3, 4), (4,), dtype="complex128")


@pytest.mark.parametrize("beta, alpha", [(1, 1), (0.5, 2.0), (0, 1)])
def test_add_family(beta, alpha):
    kw = {"beta": beta, "alpha": alpha}
    check(lambda ns, c, a, b: ns.addmm(c, a, b, **kw), (3, 2), (3, 4), (4, 2))
    check(lambda ns, c, a, b: ns.addmm(c, a, b, **kw), (2,), (3, 4), (4, 2))
    check(lambda ns, c, a, b: ns.addmv(c, a, b, **kw), (3,), (3, 4), (4,))
    check(lambda ns, c, a, b: ns.addr(c, a, b, **kw), (3, 4), (3,), (4,))
    check(lambda ns, c, a, b: ns.addbmm(c, a, b, **kw), (3, 2), (5, 3, 4), (5, 4, 2))
    check(lambda ns, c, a, b: ns.baddbmm(c, a, b, **kw), (5, 3, 2), (5, 3, 4), (5, 4, 2))


def test_addmm_in_place_and_out():
    m, t = pair((3, 2))
    (a, ta), (b, tb) = pair((3, 4)), pair((4, 2))
    same(m.addmm_(a, b, alpha=0.5), t.addmm_(ta, tb, alpha=0.5))
    out, tout = tritorch.empty(3, 2), torch.empty(3, 2)
    assert tritorch.mm(a, b, out=out) is out
    same(out, torch.mm(ta, tb, out=tout))
    assert tritorch.matmul(a, b, out=out) is out
    same(out, tout)


def test_linear_and_bilinear():
    f = lambda ns, x, w, b: ns.nn.functional.linear(x, w, b)  # noqa: E731
    for shape in [(5, 3), (3,), (2, 4, 3), (0, 3)]:
        check(f, shape, (4, 3), (4,))
        check(lambda ns, x, w: ns.nn.functional.linear(x, w), shape, (4, 3))
    check(lambda ns, x, w: ns.nn.functional.linear(x, w), (2, 3), (3,))
    check(f, (5, 3), (4, 3), (4,), dtype="bfloat16")
    check(lambda ns, x: ns.nn.functional.linear(x.expand(4, 3), ns.ones(2, 3)), (3,))
    check(lambda ns, x, y, w, b: ns.nn.functional.bilinear(x, y, w, b), (5, 2), (5, 3), (4, 2, 3), (4,))


@pytest.mark.parametrize("dims", [0, 1, 2, ([1, 0], [0, 1]), ([2], [1]), ([-1], [1])])
def test_tensordot(dims):
    shapes = {0: ((2, 3), (4,)), 1: ((2, 3), (3, 4)), 2: ((2, 3, 4), (3, 4, 5))}.get(
        dims if isinstance(dims, int) else -1,
        ((2, 3, 4), (3, 2, 5)) if dims == ([1, 0], [0, 1]) else ((2, 3, 4), (2, 4)),
    )
    check(lambda ns, a, b: ns.tensordot(a, b, dims=dims), *shapes)


def test_kron_cross_chain():
    check(lambda ns, a, b: ns.kron(a, b), (2, 3), (3, 2))
    check(lambda ns, a, b: ns.kron(a, b), (2,), (2, 3, 2))
    check(lambda ns, a, b: ns.cross(a, b, dim=1), (2, 3), (2, 3))
    check(lambda ns, a, b: ns.cross(a, b, dim=-1), (4, 2, 3), (1, 2, 3))


@pytest.mark.filterwarnings("ignore:torch.chain_matmul is deprecated")
def test_chain_matmul():
    check(lambda ns, *ms: ns.chain_matmul(*ms), (2, 6), (6, 3), (3, 5), (5, 1))
    check(lambda ns, *ms: ns.chain_matmul(*ms), (2, 6))


EINSUM = """
ij,jk->ik  2x3 3x4          ij,jk  2x3 3x4              bij,bjk->bik  2x3x4 2x4x5       bhid,bhjd->bhij  2x3x4x5 2x3x6x5
ii->i  3x3                  ii  3x3                     ij->ji  2x3                     ij->  2x3
ij->j  2x3                  i,j->ij  2 3                i,i->i  3 3                     i,i  3 3
...ij,...jk->...ik  2x3x4 4x5                           ...ij,...jk->...ik  2x1x3x4 5x4x2
b...,b...->b  2x3x4 2x3x4   ...,...  2x3 3              ij,kl->ikjl  2x3 4x5            ijk,ij->k  2x3x4 2x3
bn,anm,bm->ba  2x3 4x3x5 2x5                            ab,bc,cd,de->ae  2x6 6x3 3x5 5x2
iji->j  2x3x2               a,ab,abc->abc  2 2x3 2x3x4   bi,bj->bij  1x3 4x2             bi,bi->b  1x3 4x3
ij,jk->ik  2x1 3x4          ...a->...  2x3x4            i...->...i  2x3x4               Ab,bc->Ac  2x3 3x2
zAa  2x3x4                  ij,ij,ij->ij  2x3 2x3 2x3
"""


def einsum_cases():
    for line in EINSUM.strip().splitlines():
        for case in re.split(r"\s{3,}", line.strip()):
            equation, shapes = case.split("  ")
            yield pytest.param(equation, [tuple(map(int, s.split("x"))) for s in shapes.split()], id=case)


@pytest.mark.parametrize("equation, shapes", list(einsum_cases()))
def test_einsum(equation, shapes):
    check(lambda ns, *xs: ns.einsum(equation, *xs), *shapes)
    check(lambda ns, *xs: ns.einsum(equation, list(xs)), *shapes, dtype="float64", grad=False)


def test_einsum_with_spaces():
    check(lambda ns, *xs: ns.einsum(" i j , j -> i ", *xs), (2, 3), (3,))


def test_einsum_sublist_format():
    check(lambda ns, a, b: ns.einsum(a, [0, 1], b, [1, 2], [0, 2]), (2, 3), (3, 4))
    check(lambda ns, a, b: ns.einsum(a, [0, 1], b, [1, 2]), (2, 3), (3, 4))
    check(lambda ns, a, b: ns.einsum(a, [..., 1], b, [1, 30], [..., 30]), (2, 2, 3), (3, 4))


def test_einsum_second_derivative():
    (m, t) = pair((3, 3), "float64")
    got = []
    for ns, x in ((tritorch, m), (torch, t)):
        x.requires_grad_()
        y = ns.einsum("ij,jk,ki->", x, x, x)
        (g,) = ns.autograd.grad(y, x, create_graph=True)
        (gg,) = ns.autograd.grad((g * g).sum(), x)
        got.append(gg)
    same(*got)


T = lambda ns, *s: ns.ones(*s)  # noqa: E731
ERRORS = {
    "matmul sizes": lambda ns: ns.matmul(T(ns, 2, 3), T(ns, 4, 5)),
    "matmul vector": lambda ns: ns.matmul(T(ns, 3), T(ns, 4)),
    "matmul scalar": lambda ns: ns.matmul(ns.tensor(1.0), T(ns, 3)),
    "matmul batch": lambda ns: ns.matmul(T(ns, 2, 3, 4), T(ns, 3, 4, 5)),
    "matmul dtypes": lambda ns: ns.matmul(T(ns, 2, 3), T(ns, 3, 2).double()),
    "matmul bool": lambda ns: ns.matmul(T(ns, 2, 2).bool(), T(ns, 2, 2).bool()),
    "matmul float": lambda ns: ns.matmul(T(ns, 2, 2), 3.0),
    "operator float": lambda ns: T(ns, 2, 2) @ 3.0,
    "mm dims": lambda ns: ns.mm(T(ns, 2, 2, 2), T(ns, 2, 2)),
    "mm sizes": lambda ns: ns.mm(T(ns, 2, 3), T(ns, 2, 3)),
    "bmm dims": lambda ns: ns.bmm(T(ns, 2, 2), T(ns, 2, 2)),
    "bmm sizes": lambda ns: ns.bmm(T(ns, 2, 3, 4), T(ns, 3, 4, 5)),
    "mv sizes": lambda ns: ns.mv(T(ns, 2, 3), T(ns, 2)),
    "dot dims": lambda ns: ns.dot(T(ns, 2, 3), T(ns, 3)),
    "dot sizes": lambda ns: ns.dot(T(ns, 2), T(ns, 3)),
    "outer dims": lambda ns: ns.outer(T(ns, 2, 2), T(ns, 3)),
    "inner sizes": lambda ns: ns.inner(T(ns, 2, 3), T(ns, 2, 4)),
    "addmm sizes": lambda ns: ns.addmm(T(ns, 3), T(ns, 2, 3), T(ns, 3, 2)),
    "tensordot": lambda ns: ns.tensordot(T(ns, 2, 3), T(ns, 4, 5), dims=1),
    "linear": lambda ns: ns.nn.functional.linear(T(ns, 2, 3), T(ns, 4, 5)),
    "linear bias": lambda ns: ns.nn.functional.linear(T(ns, 2, 3), T(ns, 4, 3), T(ns, 5)),
    "linear dtypes": lambda ns: ns.nn.functional.linear(T(ns, 2, 3), T(ns, 4, 3).double()),
    "cross": lambda ns: ns.cross(T(ns, 2, 4), T(ns, 2, 4), dim=1),
    "einsum sizes": lambda ns: ns.einsum("ij,jk", T(ns, 2, 3), T(ns, 4, 5)),
    "einsum subscripts": lambda ns: ns.einsum("ijk", T(ns, 2, 3)),
    "einsum operands": lambda ns: ns.einsum("ij,jk", T(ns, 2, 3)),
    "einsum output": lambda ns: ns.einsum("ij->k", T(ns, 2, 3)),
    "einsum output twice": lambda ns: ns.einsum("ij->ii", T(ns, 2, 3)),
    "einsum letter": lambda ns: ns.einsum("i1->i", T(ns, 2, 3)),
    "einsum none": lambda ns: ns.einsum("ij"),
    "out grad": lambda ns: ns.mm(T(ns, 2, 2).requires_grad_(), T(ns, 2, 2), out=T(ns, 2, 2)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_torchs(name):
    with pytest.raises(Exception) as theirs:
        ERRORS[name](torch)
    kind = next(k for k in (IndexError, TypeError, ValueError, RuntimeError) if isinstance(theirs.value, k))
    with pytest.raises(kind):
        ERRORS[name](tritorch)
