"""Ready parametrizations: weight_norm, spectral_norm, orthogonal."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd import Function, no_grad
from ...functional import cat, eye, from_numpy, randn, zeros_like
from ...tensor import Tensor
from .. import functional as F
from ..modules.module import Module
from .parametrize import register_parametrization
from .spectral_norm import TRANSPOSED, as_matrix
from .weight_norm import compute, norm_except_dim

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def _weight(module: Module, name: str) -> Tensor:
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return compute(weight_g, weight_v, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, self.dim), weight


class _OldNames:
    """A load-pre-hook that takes a state_dict of the older hook-based weight_norm."""

    def __init__(self, name: str):
        self.name = name

    def __call__(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        old = [f"{prefix}{self.name}_{part}" for part in "gv"]
        if all(key in state_dict for key in old):
            for i, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{self.name}.original{i}"] = state_dict.pop(key)


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """w = g v / ||v||, g and v learned. Salimans and Kingma, arXiv:1602.07868.

    Args:
        name: of the parameter. Default: "weight".
        dim: each slice along it has a norm of its own; None for one norm of all. Default: 0.

    >>> import tritorch as torch
    >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(20, 40))
    >>> layer.parametrizations.weight.original0.shape, layer.parametrizations.weight.original1.shape
    (torch.Size([40, 1]), torch.Size([40, 20]))
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
    module._register_load_state_dict_pre_hook(_OldNames(name))
    return module


class _SpectralNorm(Module):
    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12):
        super().__init__()
        ndim = weight.dim()
        if not -ndim <= dim < ndim:
            raise IndexError(f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] but got {dim})")
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim, self.eps = dim % ndim, eps
        if ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight, self.dim)
            u, v = (matrix.new_empty(size).normal_(0, 1) for size in matrix.shape)
            self.register_buffer("_u", F.normalize(u, dim=0, eps=eps))
            self.register_buffer("_v", F.normalize(v, dim=0, eps=eps))
            self._power_method(matrix, 15)

    @no_grad()
    def _power_method(self, matrix: Tensor, n: int) -> None:
        for _ in range(n):
            self._u.copy_(F.normalize(matrix.mv(self._v), dim=0, eps=self.eps))
            self._v.copy_(F.normalize(matrix.mH.mv(self._u), dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.dim() == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # the buffers change before a second backward
        return weight / u.dot(matrix.mv(v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """The weight divided by its largest singular value, estimated by power iteration. Miyato et al., arXiv:1802.05957.

    Args:
        name: of the parameter. Default: "weight".
        n_power_iterations: per reading of the weight in training. Default: 1.
        eps: of the normalisations. Default: 1e-12.
        dim: rows of the matrix. Default: 0, 1 for transposed convolutions.

    >>> import tritorch as torch
    >>> layer = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(4, 4)).eval()
    >>> [name for name, _ in layer.named_buffers()]
    ['parametrizations.weight.0._u', 'parametrizations.weight.0._v']
    """
    weight = _weight(module, name)
    if dim is None:
        dim = 1 if isinstance(module, TRANSPOSED) else 0
    register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
    return module


MAPS = ("matrix_exp", "cayley", "householder")


class _Orthogonal(Module):
    """A matrix with orthonormal columns (rows when it is wide) as a function of an unconstrained one.

    Lezcano-Casado, Trivializations for gradient-based optimization on manifolds, arXiv:1909.09501.
    """

    base: Tensor | None

    def __init__(self, weight: Tensor, orthogonal_map: str, *, use_trivialization: bool = True):
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape, self.orthogonal_map = weight.shape, orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.shape[-2] < x.shape[-1]
        if wide:
            x = x.mT
        n, k = x.shape[-2:]
        if self.orthogonal_map == "householder":
            a = x.tril(-1)
            tau = 2.0 / (1.0 + (a * a).sum(-2))
            q = _householder_product(a, tau) * x.diagonal(0, -2, -1).int().unsqueeze(-2)
        else:
            x = x.tril()
            if n != k:
                x = cat([x, x.new_zeros((*x.shape[:-1], n - k))], -1)
            skew = x - x.mH
            q = _matrix_exp(skew) if self.orthogonal_map == "matrix_exp" else _cayley(skew)
            q = q[..., :k]
        if self._buffers.get("base") is not None:
            q = self.base @ q
        return q.mT if wide else q

    @no_grad()
    def right_inverse(self, q: Tensor) -> Tensor:
        if tuple(q.shape) != tuple(self.shape):
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {tuple(self.shape)}. "
                f"Got a tensor of shape {tuple(q.shape)}."
            )
        start = q
        wide = q.shape[-2] < q.shape[-1]
        q = q.mT if wide else q
        n, k = q.shape[-2:]
        if "base" not in self._buffers:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                    "use_trivialization=False."
                )
            a, tau = _geqrf(q)
            diagonal = np.sign(np.einsum("...ii->...i", a[..., :k, :]))
            np.einsum("...ii->...i", a[..., :k, :])[...] = np.where(tau == 0, -diagonal, diagonal)
            made = from_numpy(a).to(q.device)
            return made.mT if wide else made
        if n != k:
            more = randn((*q.shape[:-2], n, n - k), dtype=q.dtype, device=q.device)
            q = _make_orthogonal(cat([q, more], -1))
        else:
            q = q.clone() if _is_orthogonal(q) else _make_orthogonal(q)
        self.base = q
        negative = zeros_like(start)
        negative.diagonal(0, -2, -1).fill_(-1.0)
        return negative


def _householder_product(a: Tensor, tau: Tensor) -> Tensor:
    """The first k columns of the product of the reflections I - tau_i v_i v_i^T, v_i below the unit diagonal of a."""
    n, k = a.shape[-2:]
    v = a + eye(n, k, dtype=a.dtype, device=a.device)
    q = eye(n, k, dtype=a.dtype, device=a.device).expand(a.shape)
    for i in reversed(range(k)):
        column = v[..., i : i + 1]
        q = q - tau[..., i : i + 1].unsqueeze(-1) * (column @ (column.mT @ q))
    return q


def _matrix_exp(a: Tensor) -> Tensor:
    """exp(a) by Taylor's series of a / 2^s, whose norm is at most 1/2, and s squarings."""
    norm = float(a.detach().abs().sum(-1).max()) if a.numel() else 0.0
    squarings = max(0, int(np.ceil(np.log2(norm))) + 1) if norm > 0.5 else 0
    terms = 18 if a.element_size() == 8 else 10
    a = a / 2.0**squarings
    identity = eye(a.shape[-1], dtype=a.dtype, device=a.device)
    result = identity + a / terms
    for i in range(terms - 1, 0, -1):
        result = identity + (a @ result) / i
    for _ in range(squarings):
        result = result @ result
    return result


class _Solve(Function):
    """x of a x = b by LAPACK; its rule is made of solves again."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        x = from_numpy(np.linalg.solve(a.detach().cpu().numpy(), b.detach().cpu().numpy())).to(a.device)
        ctx.save_for_backward(a, x)
        return x

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        a, x = ctx.saved_tensors
        gb = _Solve.apply(a.mH, grads[0])
        return -gb @ x.mH, gb


def _cayley(a: Tensor) -> Tensor:
    identity = eye(a.shape[-1], dtype=a.dtype, device=a.device)
    return _Solve.apply(identity - a / 2, identity + a / 2)


def _is_orthogonal(q: Tensor) -> bool:
    array = q.detach().cpu().numpy()
    n, k = array.shape[-2:]
    return bool(np.allclose(array.swapaxes(-1, -2).conj() @ array, np.eye(k), atol=10 * n * np.finfo(array.dtype).eps))


def _make_orthogonal(a: Tensor) -> Tensor:
    """The Q of a QR decomposition whose R has a positive diagonal: the orthogonal matrix nearest in direction."""
    q, r = np.linalg.qr(a.detach().cpu().numpy())
    diagonal = np.einsum("...ii->...i", r)
    return from_numpy(q * np.sign(diagonal)[..., None, :]).to(a.device)


def _geqrf(q: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """LAPACK's packed reflections and their factors."""
    array = q.detach().cpu().numpy()
    h, tau = np.linalg.qr(array, mode="raw")
    return np.ascontiguousarray(h.swapaxes(-1, -2)).astype(array.dtype), tau.astype(array.dtype)


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """A weight with orthonormal columns, or rows when it is wide.

    Args:
        name: of the parameter, a matrix or a batch of them. Default: "weight".
        orthogonal_map: "matrix_exp", "cayley" or "householder". Default: matrix_exp for square and complex matrices,
            householder for others.
        use_trivialization: start from the weight of now, kept as a buffer `base`; trains faster. Default: True.

    Raises:
        ValueError: no such tensor, fewer than 2 dims, or an unknown map.

    >>> import tritorch as torch
    >>> weight = torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(20, 40)).weight
    >>> torch.allclose(weight.T @ weight, torch.eye(20), atol=1e-5)
    True
    """
    weight = _weight(module, name)
    if weight.dim() < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.dim()} dimensions.")
    if orthogonal_map is None:
        square = weight.shape[-1] == weight.shape[-2] or weight.is_complex()
        orthogonal_map = "matrix_exp" if square else "householder"
    if orthogonal_map not in MAPS:
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    made = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    register_parametrization(module, name, made, unsafe=True)
    return module
