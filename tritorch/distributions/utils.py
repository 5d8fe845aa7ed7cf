"""What PyTorch has under this path: parameters brought to one shape, probabilities and logits, triangles as vectors."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Number
from typing import Any

from .. import functional
from ..autograd.modes import enable_grad
from ..dtypes import finfo, get_default_dtype
from ..errors import message
from ..nn.functional import binary_cross_entropy_with_logits  # noqa: F401 - PyTorch's path has it too
from ..tensor import Tensor

__all__ = [
    "broadcast_all", "clamp_probs", "lazy_property", "logits_to_probs", "probs_to_logits", "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]  # fmt: skip

euler_constant = 0.57721566490153286060


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Tensors and numbers as tensors of one shape.

    Numbers take dtype and device of the first tensor, or the default ones where there is none.

    Raises:
        ValueError: for anything else. RuntimeError: for shapes that do not broadcast together.

    >>> import tritorch as torch
    >>> torch.distributions.utils.broadcast_all(torch.zeros(2), 1)
    (tensor([0., 0.]), tensor([1., 1.]))
    """
    tensors = [v for v in values if isinstance(v, Tensor)]
    for v in values:
        if not isinstance(v, (Tensor, Number)):
            raise ValueError(f"broadcast_all: Input arguments must all be numbers or Tensors; got {type(v).__name__}")
    kind, place = (tensors[0].dtype, tensors[0].device) if tensors else (get_default_dtype(), None)
    made = [v if isinstance(v, Tensor) else functional.tensor(v, dtype=kind, device=place) for v in values]
    return tuple(functional.broadcast_tensors(*made))


def standard_normal(shape: Any, like: Tensor) -> Tensor:
    """Standard normal numbers of the dtype and device of `like`."""
    return functional.empty(tuple(shape), dtype=like.dtype, device=like.device).normal_()


def uniform(shape: Any, like: Tensor) -> Tensor:
    """Uniform numbers of [0, 1) of the dtype and device of `like`."""
    return functional.rand(tuple(shape), dtype=like.dtype, device=like.device)


def sum_rightmost(value: Any, dims: int) -> Any:
    """`value` summed over its last `dims` dims."""
    if dims == 0:
        return value
    return value.reshape(*value.shape[: value.ndim - dims], -1).sum(-1)


def at_least(value: Tensor, low: float) -> Tensor:
    """`value` raised to `low` where it is below, with the gradient of `value` everywhere."""
    return value + (value.clamp(min=low) - value).detach()


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities kept eps away from 0 and 1, eps of their dtype.

    >>> import tritorch as torch
    >>> torch.distributions.utils.clamp_probs(torch.tensor([0.0, 0.5])).log().isfinite()
    tensor([True, True])
    """
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities of logits: the softmax over the last dim, or (is_binary) the sigmoid of each.

    >>> import tritorch as torch
    >>> torch.distributions.utils.logits_to_probs(torch.zeros(2))
    tensor([0.5000, 0.5000])
    """
    return logits.sigmoid() if is_binary else logits.softmax(-1)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """Logits of probabilities: their logarithms, or (is_binary) log(p / (1 - p)); 0 and 1 are moved inwards by eps.

    >>> import tritorch as torch
    >>> torch.distributions.utils.probs_to_logits(torch.tensor(0.5), is_binary=True)
    tensor(0.)
    """
    p = clamp_probs(probs)
    return p.log() - (-p).log1p() if is_binary else p.log()


class lazy_property:  # noqa: N801 - PyTorch's name
    """A method as an attribute that is computed, with its history, at the first look and kept.

    >>> class Square:
    ...     side = 3
    ...     @lazy_property
    ...     def area(self):
    ...         return self.side**2
    >>> s = Square()
    >>> s.area, "area" in vars(s)
    (9, True)
    """

    def __init__(self, wrapped: Callable[[Any], Any]):
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with enable_grad():  # a look under no_grad must not cost later ones the gradient
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The lower triangle of square matrices (..., n, n), row by row, as vectors.

    Arguments:
        diag: the last diagonal that is taken; default 0, the main one.

    Raises:
        ValueError: no such diagonal.

    >>> import tritorch as torch
    >>> torch.distributions.utils.tril_matrix_to_vec(torch.tensor([[1, 2], [3, 4]]))
    tensor([1, 3, 4])
    """
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(message("tril_matrix_to_vec", f"diag must be in [{-n}, {n - 1}]", diag=diag))
    rows, columns = functional.tril_indices(n, n, diag, device=mat.device)
    return mat[..., rows, columns]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """The lower triangular matrices (..., n, n) with the given triangles; see `tril_matrix_to_vec`.

    Raises:
        ValueError: the number of elements is no triangle's.

    >>> import tritorch as torch
    >>> torch.distributions.utils.vec_to_tril_matrix(torch.tensor([1.0, 3.0, 4.0]))
    tensor([[1., 0.],
            [3., 4.]])
    """
    # elements of n rows: (n + diag) (n + diag + 1) / 2, less the triangle above the first row where diag > 0
    count = vec.shape[-1]
    n = round((-(1 + 2 * diag) + ((1 + 2 * diag) ** 2 + 8 * count + 4 * abs(diag) * (diag + 1)) ** 0.5) / 2)
    rows, columns = functional.tril_indices(n, n, diag, device=vec.device)
    if rows.numel() != count:
        raise ValueError(message("vec_to_tril_matrix", f"the elements are no lower triangle with diag={diag}", vec=vec))
    mat = vec.new_zeros((*vec.shape[:-1], n, n))
    mat[..., rows, columns] = vec
    return mat
