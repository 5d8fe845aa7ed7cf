"""torch.backends.cuda: how float32 products are computed on cuda, and facts about the build."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..device import device_count
from ..kernels._gemm import get_float32_precision, set_float32_precision
from ..nn.attention import SDPBackend, sdpa_kernel

__all__ = [
    "cudnn_sdp_enabled", "enable_cudnn_sdp", "enable_flash_sdp", "enable_math_sdp", "enable_mem_efficient_sdp",
    "flash_sdp_enabled", "is_built", "is_flash_attention_available", "math_sdp_enabled", "matmul",
    "mem_efficient_sdp_enabled", "sdp_kernel",
]  # fmt: skip

_KERNELS = {"highest": "ieee", "high": "tf32", "medium": "tf32"}


class _Matmul:
    """Settings of matrix products on cuda, one for matmul, linear and convolution.

    Attributes:
        allow_tf32: float32 operands are rounded to TF32 (10 bits of mantissa), which is several times faster on tensor
            cores; default False: IEEE products.
        precision: "highest", "high" or "medium", as `torch.set_float32_matmul_precision` takes it.
        allow_fp16_reduced_precision_reduction, allow_bf16_reduced_precision_reduction: False; sums are always float32.
    """

    def __init__(self) -> None:
        self._name = "highest"

    @property
    def precision(self) -> str:
        if _KERNELS[self._name] != get_float32_precision():  # set at the kernels' own switch
            return "highest" if get_float32_precision() == "ieee" else "high"
        return self._name

    def set_precision(self, precision: str) -> None:
        """Choose by name; RuntimeError for an unknown one."""
        if precision not in _KERNELS:
            raise RuntimeError(
                f"set_float32_matmul_precision: precision must be one of {', '.join(_KERNELS)}; got {precision!r}"
            )
        set_float32_precision(_KERNELS[precision])
        self._name = precision

    @property
    def allow_tf32(self) -> bool:
        return get_float32_precision() != "ieee"

    @allow_tf32.setter
    def allow_tf32(self, value: bool) -> None:
        self.set_precision("high" if value else "highest")

    @property
    def fp32_precision(self) -> str:
        """The precision by its short name, "ieee" or "tf32": the newer name of `allow_tf32`."""
        return get_float32_precision()

    @fp32_precision.setter
    def fp32_precision(self, value: str) -> None:
        if value not in ("ieee", "tf32", "none"):
            raise RuntimeError(f"fp32_precision: must be 'ieee', 'tf32' or 'none'; got {value!r}")
        self.allow_tf32 = value == "tf32"

    def __setattr__(self, name: str, value: Any) -> None:
        if name.endswith("reduced_precision_reduction"):
            if value:
                raise RuntimeError(f"backends.cuda.matmul.{name}: sums are always float32; it cannot be turned on")
            return
        if name != "_name" and not hasattr(type(self), name):
            raise AttributeError(f"Unknown attribute {name}")
        object.__setattr__(self, name, value)

    allow_fp16_reduced_precision_reduction = allow_bf16_reduced_precision_reduction = False


matmul = _Matmul()


def is_built() -> bool:
    """Whether cuda can be used here: a device, real or emulated, is there."""
    return device_count() > 0


# ---- attention: there is one kernel, tiled as FlashAttention's, and it takes every case


def flash_sdp_enabled() -> bool:
    """True: attention on cuda is one tiled kernel."""
    return True


def mem_efficient_sdp_enabled() -> bool:
    """True: attention's memory does not grow with the square of the length."""
    return True


def math_sdp_enabled() -> bool:
    """True: cases that other kernels refuse are computed all the same."""
    return True


def cudnn_sdp_enabled() -> bool:
    """False: cuDNN is not used."""
    return False


def is_flash_attention_available() -> bool:
    """True: the kernel is part of the package."""
    return True


def enable_flash_sdp(enabled: bool) -> None:
    """Accepted: there is one attention kernel, nothing to choose from."""


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Accepted: there is one attention kernel, nothing to choose from."""


def enable_math_sdp(enabled: bool) -> None:
    """Accepted: there is one attention kernel, nothing to choose from."""


def enable_cudnn_sdp(enabled: bool) -> None:
    """Accepted: there is one attention kernel, nothing to choose from."""


@contextmanager
def sdp_kernel(
    enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True, enable_cudnn: bool = True
) -> Iterator[None]:
    """The older form of `torch.nn.attention.sdpa_kernel`; warns that it is going away, as PyTorch's.

    Raises:
        RuntimeError: from `scaled_dot_product_attention`, when all but cuDNN's kernel are switched off.
    """
    warnings.warn(
        "torch.backends.cuda.sdp_kernel() is deprecated; use torch.nn.attention.sdpa_kernel()",
        FutureWarning,
        stacklevel=3,
    )
    wanted = {
        SDPBackend.FLASH_ATTENTION: enable_flash,
        SDPBackend.MATH: enable_math,
        SDPBackend.EFFICIENT_ATTENTION: enable_mem_efficient,
        SDPBackend.CUDNN_ATTENTION: enable_cudnn,
    }
    with sdpa_kernel([backend for backend, enabled in wanted.items() if enabled]):
        yield
