"""The transforms. In all of them

    n, s: sizes of the transformed dims; the input is cut or padded with zeros to them.
    dim: the dims, each once; by default the last one (two, or with `n` in the name: all, or as many as `s` has).
    norm: "backward" (default): 1/n in the inverse; "forward": 1/n in the forward transform; "ortho": 1/sqrt(n) in both.
    Real input of a complex transform becomes complex; integers become the default float first.

Raises: RuntimeError for a size below 1, a norm of another name, a dim that comes twice, half precision; IndexError for
a dim out of range.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..autograd.autocast import ACTIVE, cast
from ..binding import with_out
from ..dtypes import get_default_dtype
from ..errors import check_dim, check_dims, message
from ..kernels.copy import pad_constant
from ..kernels.fft import fft_c2c, fft_c2r, fft_r2c
from ..tensor import TENSORS, Tensor

__all__ = [
    "fft", "fft2", "fftn", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn", "ihfft", "ihfft2", "ihfftn", "irfft",
    "irfft2", "irfftn", "rfft", "rfft2", "rfftn",
]  # fmt: skip

Sizes = Sequence[int] | None
_NORMS = {None: 0, "backward": 0, "ortho": 1, "forward": 2}


def _input(op: str, x: Any) -> Any:
    if ACTIVE:
        (x,) = cast("fft", x)
    if x.__class__ not in TENSORS:
        raise TypeError(f"{op}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    if x.dtype.category < 2:
        x = x.to(get_default_dtype())
    if x.dtype.is_half:
        raise RuntimeError(message(op, "half precision is not supported", input=x))
    return x


def _norm(op: str, norm: str | None, forward: bool) -> int:
    if norm not in _NORMS:
        raise RuntimeError(f"{op}: norm must be None, 'backward', 'ortho' or 'forward'; got {norm!r}")
    return _NORMS[norm] if forward else 2 - _NORMS[norm]


def _dims(op: str, x: Tensor, s: Sizes, dim: Any) -> tuple[tuple[int, ...], list[int]]:
    """(dims, their sizes); -1 in `s` keeps a size."""
    shape = x._a.shape
    if s is not None and isinstance(s, int):
        s = (s,)
    if dim is None:
        if s is None:
            dims = tuple(range(len(shape)))
        else:
            if len(s) > len(shape):
                raise RuntimeError(message(op, f"s has {len(s)} sizes, more than input has dims", input=x))
            dims = tuple(range(len(shape) - len(s), len(shape)))
    else:
        given = (dim,) if isinstance(dim, int) else tuple(dim)
        if given and not shape:
            raise IndexError(message(op, f"dim {given} of a tensor that has no dims", input=x))
        dims = check_dims(op, given, len(shape)) if given else ()
        if s is not None and len(s) != len(dims):
            raise RuntimeError(f"{op}: s and dim must have the same length; got {tuple(s)}, {given}")
    sizes = (
        [shape[d] for d in dims] if s is None else [shape[d] if n == -1 else n for n, d in zip(s, dims, strict=True)]
    )
    return dims, sizes


def _check_sizes(op: str, sizes: Sequence[int], x: Tensor) -> None:
    if any(n < 1 for n in sizes):
        raise RuntimeError(message(op, f"invalid number of data points {tuple(sizes)}, must be positive", input=x))


def _resized(x: Any, dims: tuple[int, ...], sizes: Sequence[int]) -> Any:
    """Cut or padded with zeros at the end of each dim."""
    for d, n in zip(dims, sizes, strict=True):
        if x.shape[d] > n:
            x = x.narrow(d, 0, n)
    widths = [(0, 0)] * x.dim()
    for d, n in zip(dims, sizes, strict=True):
        widths[d] = (0, n - x.shape[d])
    return pad_constant(x, tuple(widths), 0.0) if any(w for _, w in widths) else x


def _complex(x: Any) -> Any:
    return x if x.is_complex() else x.to(x.dtype.to_complex())


def _c2c(op: str, input: Any, s: Sizes, dim: Any, norm: str | None, forward: bool) -> Tensor:
    x = _input(op, input)
    dims, sizes = _dims(op, x, s, dim)
    _check_sizes(op, sizes, x)
    scale = _norm(op, norm, forward)
    x = _resized(x, dims, sizes)
    return fft_c2c(x, dims, scale, forward) if dims else _complex(x).clone()


def _r2c(op: str, input: Any, s: Sizes, dim: Any, norm: str | None, forward: bool) -> Tensor:
    """rfftn; without `forward` ihfftn: the conjugate, scaled as an inverse."""
    x = _input(op, input)
    if x.is_complex():
        raise RuntimeError(message(op, "expects a real input tensor", input=input))
    dims, sizes = _dims(op, x, s, dim)
    if not dims:
        raise RuntimeError(f"{op}: must transform at least one axis; got dim {dim}")
    _check_sizes(op, sizes, x)
    scale = _norm(op, norm, forward)
    y: Any = fft_r2c(_resized(x, dims, sizes), dims, scale)
    return y if forward else y.conj()


def _c2r(op: str, input: Any, s: Sizes, dim: Any, norm: str | None, forward: bool) -> Tensor:
    """irfftn; with `forward` hfftn: of the conjugate, scaled as a forward transform."""
    x = _input(op, input)
    dims, sizes = _dims(op, x, s, dim)
    if not dims:
        raise RuntimeError(f"{op}: must transform at least one axis; got dim {dim}")
    last = dims[-1]
    if s is None or tuple((s,) if isinstance(s, int) else s)[-1] == -1:
        sizes[-1] = 2 * (x.shape[last] - 1)
    _check_sizes(op, sizes, x)
    scale = _norm(op, norm, forward)
    x = _resized(x, dims, [*sizes[:-1], sizes[-1] // 2 + 1])
    return fft_c2r(x.conj() if forward else x, dims, scale, sizes[-1])


def _one(op: str, n: int | None) -> Sizes:
    if n is not None and n < 1:  # in `s` of the others -1 keeps a size
        raise RuntimeError(message(op, "invalid number of data points, must be positive", n=n))
    return None if n is None else (n,)


def _last(op: str, input: Any, dim: Any) -> tuple[int, ...]:
    if input.__class__ in TENSORS and input._a.ndim == 0:
        raise IndexError(f"{op}: Dimension specified as {dim} but tensor has no dimensions")
    return (check_dim(op, dim, input._a.ndim) if input.__class__ in TENSORS else dim,)


@with_out
def fft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """X_k = sum_j x_j e^(-2 pi i j k / n).

    Arguments:
        input: real or complex, at least one dim; half precision is refused.
        n: size along dim, to which input is cut or padded with zeros; default: the input's.
        dim: default -1.
        norm: the factor 1/n on the inverse ("backward", default), 1/sqrt(n) on both ("ortho"), or on "forward".

    Raises:
        RuntimeError: n is not positive; unknown norm. IndexError: dim is out of range.

    >>> import tritorch as torch
    >>> torch.fft.fft(torch.tensor([1.0, 0.0, 0.0, 0.0]))
    tensor([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j])
    """
    return _c2c("fft.fft", input, _one("fft.fft", n), _last("fft.fft", input, dim), norm, True)


@with_out
def ifft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """x_j = 1/n sum_k X_k e^(2 pi i j k / n): the inverse of `fft`.

    Arguments:
        input, n, dim, norm: as `fft`.

    >>> import tritorch as torch
    >>> torch.fft.ifft(torch.tensor([1.0, 1.0, 1.0, 1.0]))
    tensor([1.+0.j, 0.+0.j, 0.+0.j, 0.+0.j])
    """
    return _c2c("fft.ifft", input, _one("fft.ifft", n), _last("fft.ifft", input, dim), norm, False)


@with_out
def fft2(input: Tensor, s: Sizes = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """`fft` over two dims.

    Arguments:
        input: real or complex, at least two dims.
        s: sizes along the dims, as `n`; -1 keeps one. Default: the input's.
        dim: default (-2, -1).
        norm: as `fft`.

    >>> import tritorch as torch
    >>> torch.fft.fft2(torch.ones(2, 2))
    tensor([[4.+0.j, 0.+0.j],
            [0.+0.j, 0.+0.j]])
    """
    return _c2c("fft.fft2", input, s, dim, norm, True)


@with_out
def ifft2(input: Tensor, s: Sizes = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """The inverse of `fft2`.

    Arguments:
        input, s, dim, norm: as `fft2`.

    >>> import tritorch as torch
    >>> torch.fft.ifft2(torch.ones(2, 2))
    tensor([[1.+0.j, 0.+0.j],
            [0.+0.j, 0.+0.j]])
    """
    return _c2c("fft.ifft2", input, s, dim, norm, False)


@with_out
def fftn(input: Tensor, s: Sizes = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """`fft` over several dims.

    Arguments:
        input: real or complex.
        s: sizes along the dims, as `n`; -1 keeps one. Default: the input's.
        dim: default all, or the last len(s).
        norm: as `fft`.

    >>> import tritorch as torch
    >>> torch.fft.fftn(torch.ones(2, 1, 2)).flatten()
    tensor([4.+0.j, 0.+0.j, 0.+0.j, 0.+0.j])
    """
    return _c2c("fft.fftn", input, s, dim, norm, True)


@with_out
def ifftn(input: Tensor, s: Sizes = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """The inverse of `fftn`.

    Arguments:
        input, s, dim, norm: as `fftn`.

    >>> import tritorch as torch
    >>> torch.fft.ifftn(torch.ones(2, 1, 2)).flatten()
    tensor([1.+0.j, 0.+0.j, 0.+0.j, 0.+0.j])
    """
    return _c2c("fft.ifftn", input, s, dim, norm, False)


@with_out
def rfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """`fft` of a real signal, its first n // 2 + 1 elements: the others are their conjugates.

    Arguments:
        input: real, at least one dim.
        n, dim, norm: as `fft`.

    >>> import tritorch as torch
    >>> torch.fft.rfft(torch.tensor([1.0, 0.0, 0.0, 0.0]))
    tensor([1.+0.j, 1.+0.j, 1.+0.j])
    """
    return _r2c("fft.rfft", input, _one("fft.rfft", n), _last("fft.rfft", input, dim), norm, True)


@with_out
def irfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `rfft`: real.

    Arguments:
        n: the signal's length; default 2 (m - 1) for m elements, which is wrong for an odd length.

    >>> import tritorch as torch
    >>> torch.fft.irfft(torch.tensor([4.0, 0.0, 0.0]))
    tensor([1., 1., 1., 1.])
    """
    return _c2r("fft.irfft", input, _one("fft.irfft", n), _last("fft.irfft", input, dim), norm, False)


@with_out
def rfft2(input: Tensor, s: Sizes = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """`rfft` over two dims; the last of them is halved.

    Arguments:
        input: real, at least two dims.
        s, dim, norm: as `fft2`.

    >>> import tritorch as torch
    >>> torch.fft.rfft2(torch.ones(2, 4))
    tensor([[8.+0.j, 0.+0.j, 0.+0.j],
            [0.+0.j, 0.+0.j, 0.+0.j]])
    """
    return _r2c("fft.rfft2", input, s, dim, norm, True)


@with_out
def irfft2(input: Tensor, s: Sizes = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """The inverse of `rfft2`.

    Arguments:
        input: at least two dims.
        s, dim, norm: as `fft2`; the last size is 2 (m - 1) for m elements by default.

    >>> import tritorch as torch
    >>> torch.fft.irfft2(torch.ones(1, 3))
    tensor([[1., 0., 0., 0.]])
    """
    return _c2r("fft.irfft2", input, s, dim, norm, False)


@with_out
def rfftn(input: Tensor, s: Sizes = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """`rfft` over several dims; the last of them is halved.

    Arguments:
        input: real.
        s, dim, norm: as `fftn`.

    >>> import tritorch as torch
    >>> torch.fft.rfftn(torch.ones(2, 1, 4)).flatten()
    tensor([8.+0.j, 0.+0.j, 0.+0.j, 0.+0.j, 0.+0.j, 0.+0.j])
    """
    return _r2c("fft.rfftn", input, s, dim, norm, True)


@with_out
def irfftn(input: Tensor, s: Sizes = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """The inverse of `rfftn`.

    Arguments:
        input: any shape.
        s, dim, norm: as `fftn`; the last size is 2 (m - 1) for m elements by default.

    >>> import tritorch as torch
    >>> torch.fft.irfftn(torch.ones(1, 1, 3))
    tensor([[[1., 0., 0., 0.]]])
    """
    return _c2r("fft.irfftn", input, s, dim, norm, False)


@with_out
def hfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """`fft` of the half of a Hermitian signal: real, n elements (default 2 (m - 1) for m).

    Arguments:
        input, dim, norm: as `fft`.

    >>> import tritorch as torch
    >>> torch.fft.hfft(torch.tensor([1.0, 0.0, 0.0]))
    tensor([1., 1., 1., 1.])
    """
    return _c2r("fft.hfft", input, _one("fft.hfft", n), _last("fft.hfft", input, dim), norm, True)


@with_out
def ihfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `hfft`: n // 2 + 1 elements of a real input.

    Arguments:
        input: real.
        n, dim, norm: as `fft`.

    >>> import tritorch as torch
    >>> torch.fft.ihfft(torch.ones(4))
    tensor([1.-0.j, 0.-0.j, 0.-0.j])
    """
    return _r2c("fft.ihfft", input, _one("fft.ihfft", n), _last("fft.ihfft", input, dim), norm, False)


@with_out
def hfft2(input: Tensor, s: Sizes = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """`hfft` over two dims.

    Arguments:
        input: at least two dims.
        s, dim, norm: as `irfft2`.

    >>> import tritorch as torch
    >>> torch.fft.hfft2(torch.ones(1, 3))
    tensor([[4., 0., 0., 0.]])
    """
    return _c2r("fft.hfft2", input, s, dim, norm, True)


@with_out
def ihfft2(input: Tensor, s: Sizes = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """The inverse of `hfft2`.

    Arguments:
        input: real, at least two dims.
        s, dim, norm: as `fft2`.

    >>> import tritorch as torch
    >>> torch.fft.ihfft2(torch.ones(1, 4))
    tensor([[1.-0.j, 0.-0.j, 0.-0.j]])
    """
    return _r2c("fft.ihfft2", input, s, dim, norm, False)


@with_out
def hfftn(input: Tensor, s: Sizes = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """`hfft` over several dims.

    Arguments:
        input: any shape.
        s, dim, norm: as `irfftn`.

    >>> import tritorch as torch
    >>> torch.fft.hfftn(torch.ones(1, 3))
    tensor([[4., 0., 0., 0.]])
    """
    return _c2r("fft.hfftn", input, s, dim, norm, True)


@with_out
def ihfftn(input: Tensor, s: Sizes = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """The inverse of `hfftn`.

    Arguments:
        input: real.
        s, dim, norm: as `fftn`.

    >>> import tritorch as torch
    >>> torch.fft.ihfftn(torch.ones(1, 4))
    tensor([[1.-0.j, 0.-0.j, 0.-0.j]])
    """
    return _r2c("fft.ihfftn", input, s, dim, norm, False)
