"""Matrix and vector products: matmul, its relatives of fixed rank, linear, the add* family, kron, cross, tensordot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..autograd.apply import mixed_devices
from ..autograd.graph import Node, make_node, next_seq, versions_of
from ..autograd.modes import STATE
from ..device import CPU
from ..dtypes import FLOAT, bool_
from ..errors import check_dim, message
from ..kernels import matmul as _kernels
from ..kernels._blas import TINY_PRODUCT
from ..kernels._threads import product
from ..tensor import TENSORS, Tensor, method, write_out
from .einsum import einsum

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bilinear", "bmm", "chain_matmul", "cross", "dot", "einsum", "ger",
    "inner", "kron", "linear", "matmul", "mm", "mv", "outer", "tensordot", "vdot",
]  # fmt: skip

_matmul = _kernels.matmul
_linear = _kernels.linear
_new = object.__new__


def _finish(y: Any, dtype: Any, op: Any, tensors: tuple, saved: tuple) -> Tensor:
    """The Tensor over a result on the CPU, with its node where one of `tensors` asks for it."""
    t = _new(Tensor)
    t._a = y
    t.dtype = dtype
    t.device = CPU
    t._node = t._vc = t._view = None
    if STATE.grad:
        edges = tuple([x._node for x in tensors])
        if any(edges):
            if STATE.anomaly:
                t._node = make_node(op, edges, saved, CPU, versions_of(tensors))
                return t
            n = t._node = _new(Node)
            n.seq = next_seq()
            n.op = op
            n.next = edges
            n.saved = saved
            n.device = CPU
            n.hooks = n.trace = n.versions = None
            for x in tensors:
                if x._vc is not None:
                    n.versions = versions_of(tensors)
                    break
    return t


def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Matrix product of two tensors.

    1-D with 1-D: the dot product. 2-D with 2-D: the matrix product. A 1-D `input` counts as a row, a 1-D `other` as a
    column, and that dim is left out of the result. Dims in front of the last two are a batch and broadcast.

    Args:
        input: (..., n, k) or (k,).
        other: (..., k, m) or (k,), of input's dtype and device.
        out: receives the result.

    Raises:
        RuntimeError: the sizes, dtypes or devices do not go together, or an operand has no dim.

    >>> import tritorch as torch
    >>> torch.matmul(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    if input.__class__ in TENSORS and other.__class__ in TENSORS and out is None:
        a, b = input._a, other._a
        dtype = input.dtype
        if a.ndim == 2 == b.ndim and dtype is other.dtype and input.device is CPU is other.device:
            n, k = a.shape
            if k == b.shape[0] and dtype.category >= FLOAT and not dtype.is_half:
                y = a.dot(b) if 2 * n * k * b.shape[1] <= TINY_PRODUCT else product(a, b)
                if input._node is None and other._node is None:
                    t = _new(Tensor)
                    t._a = y
                    t.dtype = dtype
                    t.device = CPU
                    t._node = t._vc = t._view = None
                    return t
                return _finish(y, dtype, _matmul, (input, other), (input, other, None))
    y = _general("matmul", input, other)
    if out is None:
        return y
    write_out("matmul", y, out)
    return out


def _general(op: str, input: Any, other: Any) -> Tensor:
    _check_pair(op, input, other)
    rows, cols = input._a.ndim, other._a.ndim
    if rows == 0 or cols == 0:
        raise RuntimeError(message(op, "both arguments need to be at least 1D", input=input, other=other))
    if input._a.shape[-1] != other._a.shape[0 if cols == 1 else -2]:
        raise RuntimeError(_cannot(op, input, other))
    a = input.unsqueeze(0) if rows == 1 else input
    b = other.unsqueeze(1) if cols == 1 else other
    if rows > 2 or cols > 2:
        for m, n in zip(a._a.shape[-3::-1], b._a.shape[-3::-1], strict=False):
            if m != n and m != 1 and n != 1:
                raise RuntimeError(message(op, "the batch dims must be broadcastable", input=input, other=other))
    if a._a.ndim == 2 < b._a.ndim and b._a.shape[-1] == 1:  # a matrix and a batch of vectors: one product
        y = _matmul(b.squeeze(-1), a.mT).unsqueeze(-1)
    else:
        y = _matmul(a, b)
    if cols == 1:
        y = y.squeeze(-1)
    return y.squeeze(-1 if cols == 1 else -2) if rows == 1 else y


def _cannot(op: str, input: Tensor, other: Tensor) -> str:
    sizes = " and ".join("x".join(map(str, t._a.shape)) for t in (input, other))
    rule = f"mat1 and mat2 shapes cannot be multiplied ({sizes}): input's last dim must equal other's "
    return message(op, rule + ("second to last dim" if other._a.ndim > 1 else "only dim"), input=input, other=other)


def _check_pair(op: str, input: Any, other: Any, first: str = "input", second: str = "other") -> None:
    for name, t in ((first, input), (second, other)):
        if not isinstance(t, Tensor):
            raise TypeError(f"{op}(): argument '{name}' must be Tensor, not {type(t).__name__}")
    if input.device is not other.device:
        raise mixed_devices(op, (first, second), (input, other))
    if input.dtype is not other.dtype:
        raise RuntimeError(
            message(op, f"expected {first} and {second} to have the same dtype", **{first: input, second: other})
        )
    if input.dtype is bool_:
        raise RuntimeError(message(op, "not implemented for 'Bool'", **{first: input, second: other}))


def _check_dims(op: str, **wanted: tuple[Tensor, int]) -> None:
    for name, (t, n) in wanted.items():
        if not isinstance(t, Tensor):
            raise TypeError(f"{op}(): argument '{name}' must be Tensor, not {type(t).__name__}")
        if t._a.ndim != n:
            raise RuntimeError(message(op, f"{name} must be a {n}-D tensor", **{name: t}))


Tensor.matmul = matmul  # type: ignore[attr-defined]
Tensor.__matmul__ = matmul  # type: ignore[attr-defined]
Tensor.__rmatmul__ = lambda self, other: matmul(other, self)  # type: ignore[attr-defined]


@method(out=True)
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Matrix product of two matrices, y = input mat2; no broadcasting.

    Args:
        input: (n, k).
        mat2: (k, m).

    Raises:
        RuntimeError: an operand is no matrix, or sizes or dtypes do not go together.

    >>> import tritorch as torch
    >>> torch.mm(torch.ones(2, 3), torch.ones(3, 1))
    tensor([[3.],
            [3.]])
    """
    _check_dims("mm", input=(input, 2), mat2=(mat2, 2))
    _check_pair("mm", input, mat2, "input", "mat2")
    if input._a.shape[1] != mat2._a.shape[0]:
        raise RuntimeError(_cannot("mm", input, mat2))
    return matmul(input, mat2)


@method(out=True)
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Products of the matrices of two batches, y[b] = input[b] mat2[b]; no broadcasting.

    Args:
        input: (b, n, k).
        mat2: (b, k, m).

    Raises:
        RuntimeError: an operand is not 3-D, or sizes or dtypes do not go together.

    >>> import tritorch as torch
    >>> torch.bmm(torch.ones(5, 2, 3), torch.ones(5, 3, 4)).shape
    torch.Size([5, 2, 4])
    """
    _check_dims("bmm", input=(input, 3), mat2=(mat2, 3))
    _check_pair("bmm", input, mat2, "input", "mat2")
    a, b = input._a.shape, mat2._a.shape
    if a[0] != b[0] or a[2] != b[1]:
        rule = f"expected mat2 to have size [{a[0]}, {a[2]}, any] for an input of size {list(a)}"
        raise RuntimeError(message("bmm", rule, input=input, mat2=mat2))
    return _matmul(input, mat2)


@method(out=True)
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Product of a matrix and a vector, y = input vec.

    Args:
        input: (n, k).
        vec: (k,).

    Raises:
        RuntimeError: the dims, sizes or dtypes do not go together.

    >>> import tritorch as torch
    >>> torch.mv(torch.ones(2, 3), torch.ones(3))
    tensor([3., 3.])
    """
    _check_dims("mv", input=(input, 2), vec=(vec, 1))
    _check_pair("mv", input, vec, "input", "vec")
    return _general("mv", input, vec)


@method(out=True)
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """Dot product of two vectors of one length, sum over i of input_i tensor_i, without conjugation.

    Args:
        input: (n,).
        tensor: (n,).

    Raises:
        RuntimeError: an operand is not 1-D, or sizes or dtypes differ.

    >>> import tritorch as torch
    >>> torch.dot(torch.tensor([2.0, 3.0]), torch.tensor([2.0, 1.0]))
    tensor(7.)
    """
    return _dot("dot", input, tensor)


@method(out=True)
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """Dot product of two vectors, the first one conjugated: sum over i of conj(input_i) other_i.

    Args:
        input: (n,).
        other: (n,).

    Raises:
        RuntimeError: an operand is not 1-D, or sizes or dtypes differ.

    >>> import tritorch as torch
    >>> torch.vdot(torch.tensor([1 + 2j]), torch.tensor([1 + 2j]))
    tensor(5.+0.j)
    """
    return _dot("vdot", input.conj() if input.dtype.is_complex else input, other)


def _dot(op: str, input: Tensor, other: Tensor) -> Tensor:
    for t in (input, other):
        if not isinstance(t, Tensor) or t._a.ndim != 1:
            raise RuntimeError(message(op, "1D tensors expected", input=input, other=other))
    _check_pair(op, input, other)
    if input._a.size != other._a.size:
        raise RuntimeError(
            message(op, "inconsistent tensor size, expected the same number of elements", input=input, other=other)
        )
    return _general(op, input, other)


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
    return input.unsqueeze(1) * vec2.unsqueeze(0)


@method(out=True)
def ger(input: Tensor, vec2: Tensor) -> Tensor:
    """The same as `outer`."""
    return outer(input, vec2)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = input weight^T + bias.

    Args:
        input: (..., in_features).
        weight: (out_features, in_features) or (in_features,).
        bias: (out_features,) or None.

    Returns:
        (..., out_features), or (...) for a 1-D weight.

    Raises:
        RuntimeError: sizes, dtypes or devices do not go together.

    >>> import tritorch as torch
    >>> torch.nn.functional.linear(torch.ones(2, 3), torch.ones(1, 3), torch.ones(1))
    tensor([[4.],
            [4.]])
    """
    if weight._a.ndim == 2 and input._a.ndim and (bias is None or bias._a.ndim == 1):
        dtype = input.dtype
        if (
            dtype is weight.dtype
            and input._a.shape[-1] == weight._a.shape[1]
            and input.device is weight.device
            and (
                bias is None
                or (bias.dtype is dtype and bias._a.shape[0] == weight._a.shape[0] and bias.device is input.device)
            )
            and dtype is not bool_
        ):
            if input.device is CPU and dtype.category >= FLOAT and not dtype.is_half:
                a, w = input._a, weight._a
                if a.ndim == 2 and 2 * a.shape[0] * w.size <= TINY_PRODUCT:
                    y = a.dot(w.T)
                    if bias is not None:
                        y += bias._a
                else:
                    y = _linear.cpu(a, w, None if bias is None else bias._a)
                if bias is None:
                    t = _finish(y, dtype, _linear, (input, weight), (input, weight, None, None))
                    if t._node is not None:
                        t._node.next += (None,)
                    return t
                return _finish(y, dtype, _linear, (input, weight, bias), (input, weight, bias._a.shape, None))
            return _linear(input, weight, bias)
    return _linear_checked(input, weight, bias)


def _linear_checked(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The rare forms of `linear` (1-D weight, a bias that broadcasts) and its errors."""
    _check_pair("linear", input, weight, "input", "weight")
    if weight._a.ndim not in (1, 2) or input._a.ndim == 0:
        raise RuntimeError(
            message("linear", "weight must be 1-D or 2-D, input at least 1-D", input=input, weight=weight)
        )
    if input._a.shape[-1] != weight._a.shape[-1]:
        rule = "mat1 and mat2 shapes cannot be multiplied: input's last dim must equal weight's (in_features)"
        raise RuntimeError(message("linear", rule, input=input, weight=weight))
    if bias is not None:
        _check_pair("linear", input, bias, "input", "bias")
    y = (
        _matmul(input, weight.mT)
        if weight._a.ndim == 2 and input._a.ndim > 1
        else _general("linear", input, weight.mT if weight._a.ndim == 2 else weight)
    )
    if bias is None:
        return y
    if bias._a.ndim > y._a.ndim or any(
        m not in (1, n) for m, n in zip(bias._a.shape[::-1], y._a.shape[::-1], strict=False)
    ):
        raise RuntimeError(message("linear", "bias must have out_features elements", bias=bias, weight=weight))
    return y + bias


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
    if input.dtype.category < FLOAT and (isinstance(alpha, float) or isinstance(beta, float)):
        raise RuntimeError(message(op, "for integral tensors alpha and beta must be integers", alpha=alpha, beta=beta))
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
    return _scaled("addmv", input, mv(mat, vec), beta, alpha)


@method(inplace=True, out=True)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """y = beta input + alpha (vec1 outer vec2).

    Args:
        input: broadcasts to (n, m); not looked at when beta is 0.
        vec1: (n,).
        vec2: (m,).
        beta, alpha: numbers, default 1.

    >>> import tritorch as torch
    >>> torch.addr(torch.zeros(1, 2), torch.ones(1), torch.ones(2), alpha=3)
    tensor([[3., 3.]])
    """
    return _scaled("addr", input, outer(vec1, vec2), beta, alpha)


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
    _check_dims("addbmm", batch1=(batch1, 3), batch2=(batch2, 3))
    _check_pair("addbmm", batch1, batch2, "batch1", "batch2")
    (b, n, k), (b2, k2, m) = batch1._a.shape, batch2._a.shape
    if b != b2 or k != k2:
        raise RuntimeError(message("addbmm", "batch1 (b, n, k) needs batch2 (b, k, m)", batch1=batch1, batch2=batch2))
    # the sum over the batch is part of the contraction: one product of (n, b k) with (b k, m)
    y = _matmul(batch1.permute(1, 0, 2).reshape(n, b * k), batch2.reshape(b * k, m))
    return _scaled("addbmm", input, y, beta, alpha)


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
            a = a.sum(d, keepdim=True) if n == 1 else a
            b = b.sum(e, keepdim=True) if m == 1 else b
    free_a = [d for d in range(a._a.ndim) if d not in left]
    free_b = [d for d in range(b._a.ndim) if d not in right]
    rows, cols = [a._a.shape[d] for d in free_a], [b._a.shape[d] for d in free_b]
    k = 1
    for d in left:
        k *= a._a.shape[d]
    n, m = _count(rows), _count(cols)
    y = matmul(a.permute(free_a + left).reshape(n, k), b.permute(right + free_b).reshape(k, m)).reshape(rows + cols)
    if out is not None:
        write_out("tensordot", y, out)
        return out
    return y


def _count(sizes: Sequence[int]) -> int:
    n = 1
    for s in sizes:
        n *= s
    return n


def chain_matmul(*matrices: Tensor, out: Tensor | None = None) -> Tensor:
    """Product of several matrices, in the order that needs the fewest multiplications.

    Args:
        matrices: 2-D tensors whose inner sizes match.
        out: receives the result.

    Raises:
        RuntimeError: no matrix is given, one is not 2-D, or sizes do not match.

    Source: T. Cormen et al., Introduction to Algorithms, section 15.2 (matrix-chain multiplication).

    >>> import tritorch as torch
    >>> torch.chain_matmul(torch.ones(2, 3), torch.ones(3, 4), torch.ones(4, 1)).shape
    torch.Size([2, 1])
    """
    items = list(matrices[0]) if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)) else list(matrices)
    if not items:
        raise RuntimeError("chain_matmul: expected one or more matrices; got none")
    for i, t in enumerate(items):
        if t._a.ndim != 2:
            raise RuntimeError(message("chain_matmul", f"matrix {i} must be 2-D", matrix=t))
    for i, (s, t) in enumerate(zip(items, items[1:], strict=False)):
        if s._a.shape[1] != t._a.shape[0]:
            raise RuntimeError(
                message("chain_matmul", f"matrices {i} and {i + 1} cannot be multiplied", left=s, right=t)
            )
    y = _chain(items)
    if out is not None:
        write_out("chain_matmul", y, out)
        return out
    return y


def _chain(items: list[Tensor]) -> Tensor:
    n = len(items)
    size = [t._a.shape[0] for t in items] + [items[-1]._a.shape[1]]
    best = {(i, i): (0, i) for i in range(n)}
    for width in range(1, n):
        for i in range(n - width):
            j = i + width
            best[i, j] = min(
                (best[i, s][0] + best[s + 1, j][0] + size[i] * size[s + 1] * size[j + 1], s) for s in range(i, j)
            )

    def build(i: int, j: int) -> Tensor:
        if i == j:
            return items[i]
        s = best[i, j][1]
        return matmul(build(i, s), build(s + 1, j))

    return build(0, n - 1)


@method(out=True)
def kron(input: Tensor, other: Tensor) -> Tensor:
    """Kronecker product: every element of `input` times the whole of `other`.

    Args:
        input, other: of any shape; the one with fewer dims gets dims of size 1 in front.

    >>> import tritorch as torch
    >>> torch.kron(torch.tensor([1.0, 10.0]), torch.tensor([1.0, 2.0]))
    tensor([ 1.,  2., 10., 20.])
    """
    n = max(input._a.ndim, other._a.ndim)
    a = (1,) * (n - input._a.ndim) + tuple(input._a.shape)
    b = (1,) * (n - other._a.ndim) + tuple(other._a.shape)
    left = input.reshape([s for d in a for s in (d, 1)])
    right = other.reshape([s for d in b for s in (1, d)])
    return (left * right).reshape([s * t for s, t in zip(a, b, strict=True)])


@method(out=True)
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """Cross product of vectors of 3 elements along `dim`.

    Args:
        input, other: broadcastable, of size 3 along `dim`.
        dim: default: the first dim of size 3.

    Raises:
        RuntimeError: no dim, or not this one, has size 3.

    >>> import tritorch as torch
    >>> torch.cross(torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0]))
    tensor([0., 0., 1.])
    """
    if input._a.ndim != other._a.ndim:
        raise RuntimeError(message("cross", "inputs must have the same number of dimensions", input=input, other=other))
    if dim is None:
        dim = next((i for i, s in enumerate(input._a.shape) if s == 3), None)
        if dim is None:
            raise RuntimeError(message("cross", "no dimension of size 3", input=input))
    dim = check_dim("cross", dim, input._a.ndim)
    if input._a.shape[dim] != 3 or other._a.shape[dim] != 3:
        raise RuntimeError(message("cross", f"inputs must have size 3 along dim {dim}", input=input, other=other))
    return input.roll(-1, dim) * other.roll(-2, dim) - input.roll(-2, dim) * other.roll(-1, dim)
