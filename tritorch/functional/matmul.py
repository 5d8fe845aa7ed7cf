"""Matrix products: matmul and its relatives of fixed rank, linear, chains, cross; the others are in `products.py`."""

from __future__ import annotations

from typing import Any

from ..autograd.apply import mixed_devices
from ..autograd.autocast import ACTIVE, cast
from ..autograd.graph import Node, make_node, next_seq, versions_of
from ..autograd.modes import NO_GRAD, STATE, WATCHED
from ..binding import given, method, write_out
from ..device import CPU
from ..dtypes import FLOAT, bool_
from ..errors import check_dim, message
from ..kernels import matmul as _kernels
from ..kernels._blas import TINY_PRODUCT
from ..kernels._threads import product
from ..tensor import TENSORS, Tensor, wrap
from .einsum import einsum

__all__ = [
    "bmm", "chain_matmul", "cross", "dot", "einsum", "linear", "matmul", "mm", "mv", "vdot",
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
    if not NO_GRAD[0] or STATE.grad:
        edges = tuple([x._node for x in tensors])
        if any(edges):
            if WATCHED[0]:
                t._node = make_node(op, edges, saved, CPU, versions_of(tensors))
                return t
            n = t._node = Node()
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
    if ACTIVE and out is None:
        input, other = cast("matmul", input, other)
    if input.__class__ in TENSORS and other.__class__ in TENSORS and out is None:
        a, b = input._a, other._a
        dtype = input.dtype
        if (
            a.ndim == 2 == b.ndim
            and dtype is other.dtype
            and input.device is CPU is other.device
            and dtype.category >= FLOAT
            and not dtype.is_half
        ):
            y = None
            try:  # 32 x 32: under TINY_PRODUCT flops whatever the shapes
                y = a.dot(b) if a.size <= 1024 >= b.size else product(a, b) if a.shape[1] == b.shape[0] else None
            except ValueError:
                pass
            if y is not None:
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
    if rows < 3 > cols and input._node is None is other._node and input.device is CPU and not input.dtype.is_half:
        a = input._a[None] if rows == 1 else input._a  # without views that are Tensors
        b = other._a[:, None] if cols == 1 else other._a
        return wrap(_kernels.matmul_arrays(a, b).reshape(input._a.shape[:-1] + other._a.shape[1:]))
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
    if ACTIVE:
        input, mat2 = cast("mm", input, mat2)
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
    if ACTIVE:
        input, mat2 = cast("bmm", input, mat2)
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
    if ACTIVE:
        input, vec = cast("mv", input, vec)
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
    if ACTIVE:
        input, tensor = cast("dot", input, tensor)
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
    if ACTIVE:
        input, other = cast("vdot", input, other)
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


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None, *, out: Tensor | None = None) -> Tensor:
    """y = input weight^T + bias.

    Args:
        input: (..., in_features).
        weight: (out_features, in_features) or (in_features,).
        bias: (out_features,) or None.
        out: a tensor that receives the result; no gradient then.

    Returns:
        (..., out_features), or (...) for a 1-D weight.

    Raises:
        RuntimeError: sizes, dtypes or devices do not go together.

    >>> import tritorch as torch
    >>> torch.nn.functional.linear(torch.ones(2, 3), torch.ones(1, 3), torch.ones(1))
    tensor([[4.],
            [4.]])
    """
    if out is not None:
        return given("linear", linear(input, weight, bias), out)
    if ACTIVE:
        input, weight, bias = cast("linear", input, weight, bias)
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
    return given("chain_matmul", _chain(items), out)


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
    if any(a != b and a != 1 and b != 1 for a, b in zip(input._a.shape, other._a.shape, strict=True)):
        raise RuntimeError(message("cross", "the shapes do not broadcast together", input=input, other=other))
    return input.roll(-1, dim) * other.roll(-2, dim) - input.roll(-2, dim) * other.roll(-1, dim)
