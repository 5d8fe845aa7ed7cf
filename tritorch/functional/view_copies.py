"""Twins of the view functions that copy (`select_copy`, ...), and the older names of views (`unsafe_split`, ...)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..binding import method, with_out
from ..tensor import Tensor
from . import joining, shape, views  # noqa: F401 - they bind the methods

_COPIES = """alias as_strided detach diagonal permute select slice split split_with_sizes squeeze t transpose unbind
unfold unsqueeze view""".split()

__all__ = [
    *[f"{name}_copy" for name in _COPIES], "as_strided_scatter", "narrow_copy", "unsafe_chunk", "unsafe_split",
    "unsafe_split_with_sizes", "view_as_complex_copy", "view_as_real_copy",
]  # fmt: skip


def _slice(input: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    return input[tuple([slice(None)] * (dim % input.dim())) + (slice(start, end, step),)]


def _copying(name: str) -> Callable[..., Any]:
    special: dict[str, Callable[..., Any]] = {"alias": lambda x: x, "slice": _slice}
    view = special.get(name) or getattr(Tensor, name)

    def f(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        found = view(input, *args, **kwargs)
        return tuple(v.clone() for v in found) if isinstance(found, (tuple, list)) else found.clone()

    f.__name__ = f.__qualname__ = f"{name}_copy"
    f.__doc__ = f"`{name}`, copied: the result shares no memory with the input."
    return with_out(f)


for _name in _COPIES:
    globals()[f"{_name}_copy"] = _copying(_name)


@method(out=True)
def narrow_copy(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`narrow`, copied."""
    return input.narrow(dim, start, length).clone()  # type: ignore[attr-defined]


@with_out
def view_as_real_copy(input: Tensor) -> Tensor:
    """`view_as_real`, copied."""
    return views.view_as_real(input).clone()  # type: ignore[attr-defined]


@with_out
def view_as_complex_copy(input: Tensor) -> Tensor:
    """`view_as_complex`, copied."""
    return views.view_as_complex(input).clone()  # type: ignore[attr-defined]


@method
def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> Any:
    """As `chunk`; PyTorch's version skips checks of later changes in place, which are kept here."""
    return input.chunk(chunks, dim)  # type: ignore[attr-defined]


@method
def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> Any:
    """As `split`, see `unsafe_chunk`."""
    return input.split(split_size, dim)  # type: ignore[attr-defined]


@method
def unsafe_split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> Any:
    """As `split_with_sizes`, see `unsafe_chunk`."""
    return input.split_with_sizes(split_sizes, dim)  # type: ignore[attr-defined]


@method
def as_strided_scatter(input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A copy of `input` whose strided view holds `src`.

    >>> import tritorch as torch
    >>> torch.as_strided_scatter(torch.zeros(4), torch.ones(2), (2,), (2,))
    tensor([1., 0., 1., 0.])
    """
    y: Any = input.clone()  # type: ignore[attr-defined]
    y.as_strided(size, stride, storage_offset).copy_(src)
    return y
