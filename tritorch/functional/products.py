"""Products made of other products: outer, inner, kron, tensordot, bilinear, and the add* family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..autograd.autocast import ACTIVE, cast
from ..autograd.modes import STATE
from ..binding import given, method
from ..device import CPU
from ..dtypes import FLOAT, bool_
from ..errors import check_dim, message
from ..kernels._blocks import LARGE
from ..kernels.matmul import matmul as _matmul
from ..tensor import TENSORS, Tensor
from .comparison import result_type
from .matmul import _cannot, _check_dims, _check_pair, bmm, matmul, mv

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bilinear", "ger", "inner", "kron", "outer", "tensordot",
]  # fmt: skip


@method(out=True)
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Sums of products along the last dims: y[..., ...'] = sum over k of input[..., k] other[...', k].

    Args:
        input: (..., k), or a scalar, which multiplies.
        other: (...', k).

    Raises:
        RuntimeError: the last sizes differ.

    >>> import tritorch as torch
    >>> torch.inner(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    tensor(11.)
    """
    if input._a.ndim == 0 or other._a.ndim == 0:
        return input * other
    if input._a.shape[-1] != other._a.shape[-1]:
        raise RuntimeError(message("inner", "the sizes of the last dims must match", input=input, other=other))
    return tensordot(input, other, ([-1], [-1]))


@method(out=True)
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Outer product of two vectors, y[i, j] = input_i vec2_j.

    Args:
        input: (n,).
        vec2: (m,).

    Raises:
        RuntimeError: an operand is not 1-D.

    >>> import tritorch as torch
    >>> torch.outer(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    _check_dims("outer", input=(input, 1), vec2=(vec2, 1))
    column, n, m = input.unsqueeze(1), input._a.size, vec2._a.size
    if n * m < LARGE or input.device is not CPU:
        return column * vec2
    return column.expand(n, m) * vec2.expand(n, m)  # operands of the result's size are multiplied in blocks


@method(out=True)
def ger(input: Tensor, vec2: Tensor) -> Tensor:
    """The same as `outer`."""
    return outer(input, vec2)


@method(out=True)
def kron(input: Tensor, other: Tensor) -> Tensor:
    """Kronecker product: every element of `input` times the whole of `other`.

    Args:
        input, other: of any shape; the one with fewer dims gets dims of size 1 in front.

    >>> import tritorch as torch
    >>> torch.kron(torch.tensor([1.0, 10.0]), torch.tensor([1.0, 2.0]))
    tensor([ 1.,  2., 10., 20.])
    """
    for name, value in (("input", input), ("other", other)):
        if value.__class__ not in TENSORS:
            raise TypeError(message("kron", f"{name} must be a Tensor", **{name: value}))
    n = max(input._a.ndim, other._a.ndim)
    a = (1,) * (n - input._a.ndim) + tuple(input._a.shape)
    b = (1,) * (n - other._a.ndim) + tuple(other._a.shape)
    left = input.reshape([s for d in a for s in (d, 1)])
    right = other.reshape([s for d in b for s in (1, d)])
    return (left * right).reshape([s * t for s, t in zip(a, b, strict=True)])


def tensordot(a: Tensor, b: Tensor, dims: Any = 2, out: Tensor | None = None) -> Tensor:
    """Contraction of several dims: the sum over `dims` of the products of a and b.

    Args:
        a, b: tensors of one dtype.
        dims: an int n, the last n dims of a with the first n of b; or two lists of dims.
        out: receives the result.

    Returns:
        The dims of a that are left, then those of b.

    Raises:
        RuntimeError: contracted dims differ in size or number.

    >>> import tritorch as torch
    >>> torch.tensordot(torch.ones(3, 4, 5), torch.ones(4, 3, 2), dims=([1, 0], [0, 1])).shape
    torch.Size([5, 2])
    """
    if ACTIVE:
        a, b = cast("tensordot", a, b)
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot: dims must be at least 0; got {dims}")
        if dims > min(a._a.ndim, b._a.ndim):
            raise RuntimeError(message("tensordot", f"both need at least dims={dims} dims", a=a, b=b))
        left, right = list(range(a._a.ndim - dims, a._a.ndim)), list(range(dims))
    else:
        left, right = ([d] if isinstance(d, int) else list(d) for d in dims)
        if len(left) != len(right):
            raise RuntimeError(f"tensordot: both dims lists must have the same length; got {left} and {right}")
        left = [check_dim("tensordot", d, a._a.ndim) for d in left]
        right = [check_dim("tensordot", d, b._a.ndim) for d in right]
    _check_pair("tensordot", a, b, "a", "b")
    for d, e in zip(left, right, strict=True):
        m, n = a._a.shape[d], b._a.shape[e]
        if m != n:
            if m != 1 and n != 1:
                raise RuntimeError(
                    message("tensordot", f"contracted dims need to match: {d} of a and {e} of b", a=a, b=b)
                )
            a = a.sum(d, keepdim=True, dtype=a.dtype) if n == 1 else a
            b = b.sum(e, keepdim=True, dtype=b.dtype) if m == 1 else b
    free_a = [d for d in range(a._a.ndim) if d not in left]
    free_b = [d for d in range(b._a.ndim) if d not in right]
    rows, cols = [a._a.shape[d] for d in free_a], [b._a.shape[d] for d in free_b]
    k = 1
    for d in left:
        k *= a._a.shape[d]
    n, m = _count(rows), _count(cols)
    product = _matmul if ACTIVE else matmul  # under autocast tensordot has its own entry, which holds for its product
    y = product(a.permute(free_a + left).reshape(n, k), b.permute(right + free_b).reshape(k, m)).reshape(rows + cols)
    return given("tensordot", y, out)


def _count(sizes: Sequence[int]) -> int:
    n = 1
    for s in sizes:
        n *= s
    return n


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y[..., o] = sum over i, j of input1[..., i] weight[o, i, j] input2[..., j] + bias[o].

    Args:
        input1: (..., in1_features).
        input2: (..., in2_features), the same leading dims.
        weight: (out_features, in1_features, in2_features).
        bias: (out_features,) or None.

    Raises:
        RuntimeError: sizes do not go together.

    >>> import tritorch as torch
    >>> torch.nn.functional.bilinear(torch.ones(5, 2), torch.ones(5, 3), torch.ones(4, 2, 3)).shape
    torch.Size([5, 4])
    """
    if ACTIVE:
        input1, input2, weight, bias = cast("bilinear", input1, input2, weight, bias)
    if weight._a.ndim != 3 or input1._a.shape[:-1] != input2._a.shape[:-1]:
        raise RuntimeError(
            message(
                "bilinear",
                "the inputs need equal leading dims, weight 3 dims",
                input1=input1,
                input2=input2,
                weight=weight,
            )
        )
    o, i, j = weight._a.shape
    if input1._a.shape[-1] != i or input2._a.shape[-1] != j:
        rule = "weight must be (out_features, in1_features, in2_features)"
        raise RuntimeError(message("bilinear", rule, input1=input1, input2=input2, weight=weight))
    lead = input1._a.shape[:-1]
    left = _matmul(input1.reshape(-1, i), weight.permute(1, 0, 2).reshape(i, o * j)).reshape(-1, o, j)
    y = _matmul(left, input2.reshape(-1, j, 1)).reshape(*lead, o)
    return y if bias is None else y + bias


def _scaled(op: str, input: Tensor, y: Tensor, beta: Any, alpha: Any) -> Tensor:
    """beta input + alpha y, input broadcast to y's shape; a zero beta leaves input's NaN out."""
    if input.dtype is not y.dtype:
        raise RuntimeError(message(op, "expected all arguments to have the same dtype", input=input, product=y))
    want = y._a.shape
    have = input._a.shape
    if len(have) > len(want) or any(m not in (1, n) for m, n in zip(have[::-1], want[::-1], strict=False)):
        raise RuntimeError(message(op, f"input must broadcast to the product's shape {tuple(want)}", input=input))
    if y.dtype is bool_:
        return y & bool(alpha) | (input & bool(beta))
    if y.dtype.category < FLOAT:  # PyTorch takes them in the tensors' dtype
        alpha, beta = int(alpha), int(beta)
    if alpha != 1:
        y = y * alpha
    if beta == 0:  # input gets a gradient of zeros, as in PyTorch
        return y if input._node is None or not STATE.grad else y + (input * 0).nan_to_num(0.0)
    return input + y if beta == 1 else input * beta + y


@method(inplace=True, out=True)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """y = beta input + alpha (mat1 mat2).

    Args:
        input: broadcasts to (n, m); not looked at when beta is 0.
        mat1: (n, k).
        mat2: (k, m).
        beta, alpha: numbers, default 1.

    Raises:
        RuntimeError: dims, sizes or dtypes do not go together.

    >>> import tritorch as torch
    >>> torch.addmm(torch.ones(2), torch.ones(1, 3), torch.ones(3, 2), alpha=2)
    tensor([[7., 7.]])
    """
    if ACTIVE:
        input, mat1, mat2 = cast("addmm", input, mat1, mat2)
    _check_dims("addmm", mat1=(mat1, 2), mat2=(mat2, 2))
    _check_pair("addmm", mat1, mat2, "mat1", "mat2")
    if mat1._a.shape[1] != mat2._a.shape[0]:
        raise RuntimeError(_cannot("addmm", mat1, mat2))
    return _scaled("addmm", input, matmul(mat1, mat2), beta, alpha)


@method(inplace=True, out=True)
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """y = beta input + alpha (mat vec).

    Args:
        input: broadcasts to (n,); not looked at when beta is 0.
        mat: (n, k).
        vec: (k,).
        beta, alpha: numbers, default 1.

    >>> import tritorch as torch
    >>> torch.addmv(torch.ones(2), torch.ones(2, 3), torch.ones(3))
    tensor([4., 4.])
    """
    if ACTIVE:
        input, mat, vec = cast("addmv", input, mat, vec)
    return _scaled("addmv", input, mv(mat, vec), beta, alpha)


@method(inplace=True, out=True)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """y = beta input + alpha (vec1 outer vec2).

    Args:
        input: broadcasts to (n, m); not looked at when beta is 0.
        vec1: (n,).
        vec2: (m,).
        beta, alpha: numbers, default 1. With bools only, y is "beta and input, or alpha and vec1 and vec2".

    >>> import tritorch as torch
    >>> torch.addr(torch.zeros(1, 2), torch.ones(1), torch.ones(2), alpha=3)
    tensor([[3., 3.]])
    """
    if ACTIVE:
        input, vec1, vec2 = cast("addr", input, vec1, vec2)
    y = outer(vec1, vec2)
    kind = result_type(input, y)
    if kind.category < FLOAT and (isinstance(alpha, float) or isinstance(beta, float)):
        rule = "for integral tensors alpha and beta must not be floating point numbers"
        raise RuntimeError(message("addr", rule, alpha=alpha, beta=beta))
    return _scaled("addr", input.to(kind), y.to(kind), beta, alpha)


@method(inplace=True, out=True)
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """y[b] = beta input[b] + alpha (batch1[b] batch2[b]).

    Args:
        input: broadcasts to (b, n, m); not looked at when beta is 0.
        batch1: (b, n, k).
        batch2: (b, k, m).
        beta, alpha: numbers, default 1.

    >>> import tritorch as torch
    >>> torch.baddbmm(torch.ones(1), torch.ones(2, 1, 3), torch.ones(2, 3, 1)).flatten()
    tensor([4., 4.])
    """
    if ACTIVE:
        input, batch1, batch2 = cast("baddbmm", input, batch1, batch2)
    return _scaled("baddbmm", input, bmm(batch1, batch2), beta, alpha)


@method(inplace=True, out=True)
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """y = beta input + alpha (sum over b of batch1[b] batch2[b]).

    Args:
        input: broadcasts to (n, m); not looked at when beta is 0.
        batch1: (b, n, k).
        batch2: (b, k, m).
        beta, alpha: numbers, default 1.

    >>> import tritorch as torch
    >>> torch.addbmm(torch.ones(1, 1), torch.ones(2, 1, 3), torch.ones(2, 3, 1))
    tensor([[7.]])
    """
    if ACTIVE:
        input, batch1, batch2 = cast("addbmm", input, batch1, batch2)
    _check_dims("addbmm", batch1=(batch1, 3), batch2=(batch2, 3))
    _check_pair("addbmm", batch1, batch2, "batch1", "batch2")
    (b, n, k), (b2, k2, m) = batch1._a.shape, batch2._a.shape
    if b != b2 or k != k2:
        raise RuntimeError(message("addbmm", "batch1 (b, n, k) needs batch2 (b, k, m)", batch1=batch1, batch2=batch2))
    # the sum over the batch is part of the contraction: one product of (n, b k) with (b k, m)
    y = _matmul(batch1.permute(1, 0, 2).reshape(n, b * k), batch2.reshape(b * k, m))
    return _scaled("addbmm", input, y, beta, alpha)
