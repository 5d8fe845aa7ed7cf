"""tritorch: PyTorch's API in pure Python, each op a NumPy definition and a hand-written Triton kernel.

    import tritorch as torch

The names here are PyTorch's. Packages that a script may not need (nn, optim, utils, cuda, ...) load at first use.
"""

from __future__ import annotations

import importlib
import math as _math
import warnings as _warnings
from typing import TYPE_CHECKING, Any

# NumPy warns of overflow and division by zero, PyTorch gives inf and nan silently. The filter holds only for warnings
# that are raised in this package's own frames; the user's NumPy keeps its warnings.
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"tritorch\.")

from . import autograd as autograd  # noqa: E402
from . import functional as _functional  # noqa: E402
from .autograd.modes import (  # noqa: E402
    enable_grad,
    inference_mode,
    is_anomaly_enabled,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .device import device  # noqa: E402
from .dtypes import (  # noqa: E402
    NAMES as _NAMES,
)
from .dtypes import (  # noqa: E402
    dtype,
    finfo,
    get_default_dtype,
    iinfo,
    promote_types,
    set_default_dtype,
)
from .errors import OutOfMemoryError  # noqa: E402
from .functional.conversion import get_default_device, set_default_device  # noqa: E402
from .kernels._threads import get_num_threads, set_num_threads  # noqa: E402
from .tensor import Size, Tensor  # noqa: E402

if TYPE_CHECKING:
    from . import amp, cuda, datasets, distributions, nn, optim, utils  # noqa: F401

__version__ = "0.1.0"

for _name in _functional.__all__:
    globals()[_name] = getattr(_functional, _name)
for _name, _kind in _NAMES.items():
    globals()[_name] = _kind

pi, e, inf, nan, newaxis = _math.pi, _math.e, _math.inf, _math.nan, None


class layout:  # noqa: N801 - PyTorch's name
    """How elements lie in memory; only `strided` is there."""

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"


class memory_format(layout):  # noqa: N801 - PyTorch's name
    """The order of dims in memory; accepted where PyTorch takes it, memory stays in C order."""


strided = layout("strided")
contiguous_format, preserve_format = memory_format("contiguous_format"), memory_format("preserve_format")
channels_last, channels_last_3d = memory_format("channels_last"), memory_format("channels_last_3d")

_PACKAGES = (
    "accelerator", "amp", "backends", "cpu", "cuda", "datasets", "debug", "demo", "distributions", "fft", "func", "library",
    "linalg", "multiprocessing", "nn", "optim", "profiler", "random", "return_types", "serialization", "signal", "special", "testing",
    "utils", "version", "jit", "compiler", "xpu",
)  # fmt: skip
_FROM = {
    "save": "serialization", "load": "serialization", "save_file": "serialization", "load_file": "serialization",
    "autocast": "amp", "GradScaler": "amp", "set_printoptions": "tensor_repr", "cdist": "nn.functional.distance",
    "to_dlpack": "utils.dlpack", "vmap": "func", "fork": "jit", "wait": "jit", "Event": "cuda", "Stream": "cuda",
}  # fmt: skip
_FROM |= dict.fromkeys((
    "clear_autocast_cache", "get_autocast_cpu_dtype", "get_autocast_dtype", "get_autocast_gpu_dtype",
    "is_autocast_cache_enabled", "is_autocast_cpu_enabled", "is_autocast_enabled", "set_autocast_cache_enabled",
    "set_autocast_cpu_dtype", "set_autocast_cpu_enabled", "set_autocast_dtype", "set_autocast_enabled",
    "set_autocast_gpu_dtype",
), "amp.autocast_mode")  # fmt: skip
_FROM |= dict.fromkeys((  # whose arguments are the same here and there
    "adaptive_avg_pool1d", "alpha_dropout", "avg_pool1d", "celu", "celu_", "channel_shuffle", "conv1d", "conv2d", "conv3d",
    "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cosine_similarity", "dropout", "feature_alpha_dropout",
    "group_norm", "hardshrink", "layer_norm", "max_pool1d", "max_pool1d_with_indices", "max_pool2d", "max_pool3d",
    "native_channel_shuffle", "pairwise_distance", "pdist", "pixel_shuffle", "pixel_unshuffle", "prelu", "rms_norm",
    "rrelu", "rrelu_", "selu", "selu_", "threshold", "threshold_",
), "nn.functional")  # fmt: skip

_FROM |= dict.fromkeys((
    "adaptive_max_pool1d", "affine_grid_generator", "alpha_dropout_", "batch_norm",
    "binary_cross_entropy_with_logits", "constant_pad_nd", "conv_tbc", "convolution", "cosine_embedding_loss",
    "ctc_loss", "dropout_", "embedding", "feature_alpha_dropout_", "feature_dropout", "feature_dropout_",
    "grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "gru", "gru_cell", "hinge_embedding_loss",
    "instance_norm", "kl_div", "lstm", "lstm_cell", "margin_ranking_loss", "native_dropout", "native_group_norm",
    "native_layer_norm", "poisson_nll_loss", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell",
    "triplet_margin_loss",
), "nn.native")  # fmt: skip
_FROM |= dict.fromkeys((
    "from_file", "get_deterministic_debug_mode", "get_device_module", "get_num_interop_threads",
    "is_anomaly_check_nan_enabled", "is_deterministic_algorithms_warn_only_enabled", "is_warn_always_enabled",
    "set_anomaly_enabled", "set_deterministic_debug_mode", "set_flush_denormal", "set_num_interop_threads",
    "set_warn_always", "sym_float", "sym_int", "sym_ite", "sym_max", "sym_min", "sym_not", "sym_sqrt", "sym_sum",
    "while_loop", "cond", "compiled_with_cxx11_abi", "has_lapack", "has_spectral", "has_mkl", "has_openmp",
), "_switches")  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _FROM:
        found = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_FROM[name]}"), name)
        return found
    if name.startswith("_foreach_"):
        return getattr(importlib.import_module(f"{__name__}.functional.foreach"), name)
    raise AttributeError(f"module 'tritorch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PACKAGES, *_FROM})


def typename(obj: Any) -> str:
    """The full name of an object's type, or a tensor's type string."""
    if isinstance(obj, Tensor):
        return obj.type()  # type: ignore[attr-defined]
    kind = type(obj)
    return f"{kind.__module__}.{kind.__qualname__}" if kind.__module__ != "builtins" else kind.__name__


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Accepted; every op is deterministic."""


def are_deterministic_algorithms_enabled() -> bool:
    """True: every op is deterministic."""
    return True


def set_float32_matmul_precision(precision: str) -> None:
    """'highest': float32 products in IEEE arithmetic on cuda; 'high', 'medium': TF32 is allowed."""
    from .backends.cuda import matmul

    matmul.set_precision(precision)


def get_float32_matmul_precision() -> str:
    """The setting of `set_float32_matmul_precision`."""
    from .backends.cuda import matmul

    return matmul.precision


def compile(model: Any = None, **options: Any) -> Any:
    """`model` itself: tritorch runs eagerly. Accepts torch.compile's options, also as a decorator."""
    return model if model is not None else lambda function: function
