"""The place of a flat index in three spatial dims: a device function of the kernels that make images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._launch import kernel

if TYPE_CHECKING:
    import triton.language as tl


@kernel
def spatial_place(i, d, h, w):
    """Indices (int32) in the last three dims d, h, w of the flat indices i (int64), and the index of what is before."""
    x = (i % w).to(tl.int32)
    rest = i // w
    y = (rest % h).to(tl.int32)
    rest = rest // h
    return (rest % d).to(tl.int32), y, x, rest // d
