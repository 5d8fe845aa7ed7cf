"""torch.nn.attention: the choice of a kernel for `scaled_dot_product_attention`.

There is one implementation per device, and it takes every case: on cuda a kernel that is tiled as FlashAttention's
(arXiv 2307.08691), on the CPU its NumPy definition. So the names of PyTorch's kernels choose nothing; what is told apart
is whether a choice allows anything that is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum

from .functional.attention import CHOICES

__all__ = ["SDPBackend", "sdpa_kernel"]


class SDPBackend(IntEnum):
    """PyTorch's kernels of attention by name. cuDNN's is not here, nor one of another library (`OVERRIDEABLE`)."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4

    def __repr__(self) -> str:
        return f"<SDPBackend.{self.name}: {self.value}>"

    def __str__(self) -> str:
        return f"SDPBackend.{self.name}"


_HERE = frozenset((SDPBackend.MATH, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION))


@contextmanager
def sdpa_kernel(backends: SDPBackend | Iterable[SDPBackend], set_priority: bool = False) -> Iterator[None]:
    """Inside, `scaled_dot_product_attention` may be computed by the named kernels only; also a decorator.

    MATH, FLASH_ATTENTION and EFFICIENT_ATTENTION all mean the one implementation that is here (see above), so results and
    speed are the same for each of them. A choice that names none of the three is refused by the call itself, as in
    PyTorch where a kernel is missing.

    Arguments:
        backends: one or several.
        set_priority: their order is their rank; accepted, as there is nothing to rank.

    Raises:
        AssertionError: something else than names of kernels.
        RuntimeError: from `scaled_dot_product_attention`, when none of `backends` is here.

    >>> import tritorch as torch
    >>> from tritorch.nn.attention import SDPBackend, sdpa_kernel
    >>> q = torch.zeros(1, 1, 2, 4)
    >>> with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
    ...     y = torch.nn.functional.scaled_dot_product_attention(q, q, q)
    """
    if not isinstance(backends, (SDPBackend, list, tuple, set)):
        raise AssertionError(
            "sdpa_kernel: Backend must be an instance of SDPBackend or a list of SDPBackend instances, got "
            f"{type(backends).__name__}"
        )
    chosen = {backends} if isinstance(backends, SDPBackend) else set(backends)
    CHOICES.append(bool(chosen & _HERE))
    try:
        yield
    finally:
        CHOICES.pop()
