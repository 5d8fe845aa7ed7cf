"""Sampling on grids, and rearranging pixels and channels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from ... import functional
from ...autograd.autocast import ACTIVE, cast
from ...dtypes import FLOAT
from ...errors import message
from ...kernels.grid_sample import grid_sample as _grid_sample
from ...tensor import Tensor

__all__ = [
    "affine_grid",
    "channel_shuffle",
    "grid_sample",
    "native_channel_shuffle",
    "pixel_shuffle",
    "pixel_unshuffle",
]

_CHANGED = (
    "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
    "align_corners=True if the old behavior is desired. See the documentation of grid_sample for details."
)


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grid for `grid_sample` that an affine map makes (arXiv 1506.02025).

    Args:
        theta: (N, 2, 3) or (N, 3, 4), floating.
        size: of the output image, (N, C, H, W) or (N, C, D, H, W).
        align_corners: -1 and 1 are the centres of the corner pixels instead of their outer edges; default False.

    Result: (N, H, W, 2) or (N, D, H, W, 3), coordinates in the order x, y, (z).

    Raises:
        ValueError: theta is not floating, or the sizes do not fit.

    >>> import tritorch as torch
    >>> theta = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> torch.nn.functional.affine_grid(theta, (1, 1, 1, 2), align_corners=False)
    tensor([[[[-0.5000,  0.0000],
              [ 0.5000,  0.0000]]]])
    """
    if align_corners is None:
        warnings.warn(_CHANGED, stacklevel=2)
        align_corners = False
    dims = len(size) - 2
    if theta.dtype.category != FLOAT:
        raise ValueError(f"affine_grid: Expected theta to have floating point type, but got {theta.dtype}")
    if dims not in (2, 3):
        raise NotImplementedError(
            f"affine_grid: only supports 4D and 5D sizes, for 2D and 3D affine transforms; got {tuple(size)}"
        )
    if tuple(theta.shape) != (size[0], dims, dims + 1):
        raise ValueError(
            message(
                "affine_grid",
                f"Expected a batch of {dims}D affine matrices of shape {(size[0], dims, dims + 1)}",
                theta=theta,
            )
        )
    if min(size) <= 0:
        raise ValueError(f"affine_grid: Expected non-zero, positive output size; got {tuple(size)}")
    spatial = tuple(size[2:])
    columns = []
    for i in reversed(range(dims)):
        n = spatial[i]
        line = functional.linspace(-1, 1, n, dtype=theta.dtype, device=theta.device) if n > 1 else theta.new_zeros((1,))
        if not align_corners:
            line = line * ((n - 1) / n)
        columns.append(line.reshape(tuple(n if j == i else 1 for j in range(dims))).expand(spatial).reshape((-1,)))
    columns.append(theta.new_ones((columns[0].shape[0],)))
    base = functional.stack(columns, 1)
    return (base @ theta.mT).reshape((size[0], *spatial, dims))


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """input at the positions of a grid (arXiv 1506.02025); differentiable by both.

    Args:
        input: (N, C, H, W) or (N, C, D, H, W), floating.
        grid: (N, Ho, Wo, 2) or (N, Do, Ho, Wo, 3), of input's dtype; x, y, (z) from -1 to 1 over the image.
        mode: "bilinear" (default), "nearest" or "bicubic" (4 dims).
        padding_mode: outside are "zeros" (default), the "border" or the "reflection".
        align_corners: -1 and 1 are the centres of the corner pixels instead of their outer edges; default False.

    Raises:
        ValueError: unknown mode.
        RuntimeError: sizes or dtypes do not fit.

    >>> import tritorch as torch
    >>> x = torch.tensor([[[[1.0, 3.0]]]])
    >>> torch.nn.functional.grid_sample(x, torch.tensor([[[[0.0, 0.0]]]]), align_corners=False)
    tensor([[[[2.]]]])
    """
    if ACTIVE:
        input, grid = cast("grid_sample", input, grid)
    op = "grid_sample"
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(message(op, "expected mode to be 'bilinear', 'nearest' or 'bicubic'", mode=mode))
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            message(op, "expected padding_mode to be 'zeros', 'border', or 'reflection'", padding_mode=padding_mode)
        )
    if align_corners is None:
        warnings.warn(_CHANGED, stacklevel=2)
        align_corners = False
    dims = input.ndim - 2
    if dims not in (2, 3) or grid.ndim != input.ndim or grid.shape[0] != input.shape[0] or grid.shape[-1] != dims:
        raise RuntimeError(
            message(
                op,
                "expected 4D or 5D input and grid (N, ..., dims) with the same number of dims and batch size",
                input=input,
                grid=grid,
            )
        )
    if input.dtype is not grid.dtype or input.dtype.category != FLOAT:
        raise RuntimeError(
            message(op, "expected input and grid to have the same floating dtype", input=input, grid=grid)
        )
    if mode == "bicubic" and dims != 2:
        raise RuntimeError(message(op, "bicubic interpolation only supports 4D input", input=input))
    if 0 in input.shape[2:]:
        raise RuntimeError(message(op, "expected input to have non-empty spatial dimensions", input=input))
    return _grid_sample(input, grid, mode, padding_mode, bool(align_corners))


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., C r^2, H, W) -> (..., C, H r, W r) (arXiv 1609.05158).

    Args:
        input: (..., C r^2, H, W).
        upscale_factor: r.

    Raises:
        RuntimeError: fewer than 3 dims; r is not positive or r^2 does not divide the channels.

    >>> import tritorch as torch
    >>> torch.nn.functional.pixel_shuffle(torch.arange(4).reshape(4, 1, 1), 2)
    tensor([[[0, 1],
             [2, 3]]])
    """
    r = upscale_factor
    if input.ndim < 3:
        raise RuntimeError(message("pixel_shuffle", "expects input to have at least 3 dimensions", input=input))
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle: expects a positive upscale_factor, but got {r}")
    *lead, c, h, w = input.shape
    if c % (r * r):
        rule = f"expects its input's 'channel' dimension to be divisible by the square of upscale_factor {r}"
        raise RuntimeError(message("pixel_shuffle", rule, input=input))
    k, c = len(lead), c // (r * r)
    x = input.reshape((*lead, c, r, r, h, w)).permute((*range(k), k, k + 3, k + 1, k + 4, k + 2))
    return x.reshape((*lead, c, h * r, w * r))


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(..., C, H r, W r) -> (..., C r^2, H, W): the inverse of `pixel_shuffle`.

    Args:
        input: (..., C, H r, W r).
        downscale_factor: r.

    Raises:
        RuntimeError: fewer than 3 dims; r is not positive or does not divide height and width.

    >>> import tritorch as torch
    >>> torch.nn.functional.pixel_unshuffle(torch.arange(4).reshape(1, 2, 2), 2).flatten()
    tensor([0, 1, 2, 3])
    """
    r = downscale_factor
    if input.ndim < 3:
        raise RuntimeError(message("pixel_unshuffle", "expects input to have at least 3 dimensions", input=input))
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle: expects a positive downscale_factor, but got {r}")
    *lead, c, h, w = input.shape
    if h % r or w % r:
        raise RuntimeError(
            message("pixel_unshuffle", f"expects height and width to be divisible by downscale_factor {r}", input=input)
        )
    k = len(lead)
    x = input.reshape((*lead, c, h // r, r, w // r, r)).permute((*range(k), k, k + 2, k + 4, k + 1, k + 3))
    return x.reshape((*lead, c * r * r, h // r, w // r))


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """(N, g C, ...) -> channels in the order of their place in the group first (arXiv 1707.01083).

    Args:
        input: (N, C, ...).
        groups: g, which divides C.

    Raises:
        RuntimeError: fewer than 3 dims; groups is not positive or does not divide the channels.

    >>> import tritorch as torch
    >>> torch.nn.functional.channel_shuffle(torch.arange(4).reshape(1, 4, 1), 2).flatten()
    tensor([0, 2, 1, 3])
    """
    if input.ndim < 3:
        raise RuntimeError(message("channel_shuffle", "expects input with > 2 dims", input=input))
    if groups <= 0:
        raise RuntimeError(
            f"channel_shuffle: Number of groups to divide channels in must be positive. Value of groups:{groups}"
        )
    n, c, *rest = input.shape
    if c % groups:
        raise RuntimeError(
            message("channel_shuffle", f"Number of channels must be divisible by groups {groups}", input=input)
        )
    return input.reshape((n, groups, c // groups, *rest)).transpose(1, 2).reshape((n, c, *rest))


native_channel_shuffle = channel_shuffle
