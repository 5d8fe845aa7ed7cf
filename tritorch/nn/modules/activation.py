"""Activation functions as modules; each has its function in nn.functional. MultiheadAttention is in attention.py."""

from __future__ import annotations

import warnings
from typing import Any

from ...functional import full
from ...tensor import Parameter, Tensor
from .. import functional as F
from .attention import MultiheadAttention
from .module import Module

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid",
    "LogSoftmax", "Mish", "MultiheadAttention", "PReLU", "RReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softmax", "Softmax2d",
    "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold",
]  # fmt: skip


class _Inplace(Module):
    """An activation with no argument but `inplace` (default False): overwrite the input."""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


def _with_inplace(text: str, inplace: bool) -> str:
    return f"{text}, inplace=True" if inplace else text


class ReLU(_Inplace):
    """y = max(x, 0).

    Args:
        inplace: overwrite the input. Default: False.

    >>> import tritorch as torch
    >>> torch.nn.ReLU()(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.relu(input, inplace=self.inplace)


class SiLU(_Inplace):
    """y = x sigmoid(x); also called swish. Elfwing et al., arXiv:1702.03118.

    >>> import tritorch as torch
    >>> torch.nn.SiLU()(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7311])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.silu(input, inplace=self.inplace)


class Mish(_Inplace):
    """y = x tanh(log(1 + exp(x))). Misra, arXiv:1908.08681.

    >>> import tritorch as torch
    >>> torch.nn.Mish()(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8651])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.mish(input, inplace=self.inplace)


class SELU(_Inplace):
    """y = scale (max(0, x) + min(0, alpha (exp(x) - 1))), alpha 1.6733, scale 1.0507.

    Klambauer et al., arXiv:1706.02515.

    >>> import tritorch as torch
    >>> torch.nn.SELU()(torch.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.selu(input, self.inplace)


class Hardsigmoid(_Inplace):
    """y = min(max(x / 6 + 1 / 2, 0), 1).

    >>> import tritorch as torch
    >>> torch.nn.Hardsigmoid()(torch.tensor([-4.0, 0.0, 4.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.hardsigmoid(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Hardswish(_Inplace):
    """y = x min(max(x + 3, 0), 6) / 6. Howard et al., arXiv:1905.02244.

    >>> import tritorch as torch
    >>> torch.nn.Hardswish()(torch.tensor([-4.0, 3.0]))
    tensor([-0., 3.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.hardswish(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Sigmoid(Module):
    """y = 1 / (1 + exp(-x)).

    >>> import tritorch as torch
    >>> torch.nn.Sigmoid()(torch.zeros(1))
    tensor([0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return input.sigmoid()


class Tanh(Module):
    """y = tanh(x).

    >>> import tritorch as torch
    >>> torch.nn.Tanh()(torch.ones(1))
    tensor([0.7616])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return input.tanh()


class LogSigmoid(Module):
    """y = log(1 / (1 + exp(-x))).

    >>> import tritorch as torch
    >>> torch.nn.LogSigmoid()(torch.zeros(1))
    tensor([-0.6931])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.logsigmoid(input)


class Softsign(Module):
    """y = x / (1 + |x|).

    >>> import tritorch as torch
    >>> torch.nn.Softsign()(torch.ones(1))
    tensor([0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.softsign(input)


class Tanhshrink(Module):
    """y = x - tanh(x).

    >>> import tritorch as torch
    >>> torch.nn.Tanhshrink()(torch.ones(1))
    tensor([0.2384])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.tanhshrink(input)


class Threshold(Module):
    """y = x where x > threshold, else `value`.

    Args:
        threshold, value: floats.
        inplace: overwrite the input. Default: False.

    >>> import tritorch as torch
    >>> torch.nn.Threshold(0.5, 9.0)(torch.tensor([0.0, 1.0]))
    tensor([9., 1.])
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        return _with_inplace(f"threshold={self.threshold}, value={self.value}", self.inplace)


class RReLU(Module):
    """y = x where x >= 0, else a x with a from U(lower, upper) in training, its mean in evaluation.

    Xu et al., arXiv:1505.00853.

    Args:
        lower: default 1/8.
        upper: default 1/3.
        inplace: overwrite the input. Default: False.

    >>> import tritorch as torch
    >>> torch.nn.RReLU(0.1, 0.3).eval()(torch.tensor([-1.0, 1.0]))
    tensor([-0.2000,  1.0000])
    """

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False):
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        return _with_inplace(f"lower={self.lower}, upper={self.upper}", self.inplace)


class Hardtanh(Module):
    """y = min(max(x, min_val), max_val).

    Args:
        min_val: default -1.
        max_val: default 1.
        inplace: overwrite the input. Default: False.
        min_value, max_value: deprecated names of the first two.

    >>> import tritorch as torch
    >>> torch.nn.Hardtanh(-2, 2)(torch.tensor([-3.0, 1.0]))
    tensor([-2.,  1.])
    """

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ):
        super().__init__()
        for older, value in (("min_value", min_value), ("max_value", max_value)):
            if value is not None:
                warnings.warn(
                    f"keyword argument `{older}` is deprecated and renamed to `{older[:-2]}`",
                    FutureWarning,
                    stacklevel=2,
                )
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        self.inplace = inplace
        if self.max_val <= self.min_val:
            raise AssertionError(f"max_val ({self.max_val}) must be greater than min_val ({self.min_val})")

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        return _with_inplace(f"min_val={self.min_val}, max_val={self.max_val}", self.inplace)


class ReLU6(Hardtanh):
    """y = min(max(x, 0), 6).

    >>> import tritorch as torch
    >>> torch.nn.ReLU6()(torch.tensor([-1.0, 9.0]))
    tensor([0., 6.])
    """

    def __init__(self, inplace: bool = False):
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class ELU(Module):
    """y = x where x > 0, else alpha (exp(x) - 1). Clevert et al., arXiv:1511.07289.

    Args:
        alpha: default 1.
        inplace: overwrite the input. Default: False.

    >>> import tritorch as torch
    >>> torch.nn.ELU()(torch.tensor([-1.0, 1.0]))
    tensor([-0.6321,  1.0000])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return _with_inplace(f"alpha={self.alpha}", self.inplace)


class CELU(ELU):
    """y = max(0, x) + min(0, alpha (exp(x / alpha) - 1)). Barron, arXiv:1704.07483.

    >>> import tritorch as torch
    >>> torch.nn.CELU(2.0)(torch.tensor([-1.0, 1.0]))
    tensor([-0.7869,  1.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.celu(input, self.alpha, self.inplace)


class GLU(Module):
    """y = a sigmoid(b), a and b the halves of x along `dim`. Dauphin et al., arXiv:1612.08083.

    Args:
        dim: the dim that is halved. Default: -1.

    >>> import tritorch as torch
    >>> torch.nn.GLU()(torch.tensor([4.0, 0.0]))
    tensor([2.])
    """

    def __init__(self, dim: int = -1):
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """`dim` of even size; the output has half of it."""
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class GELU(Module):
    """y = x Phi(x), Phi the normal distribution function. Hendrycks and Gimpel, arXiv:1606.08415.

    Args:
        approximate: "none", or "tanh" for 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). Default: "none".

    >>> import tritorch as torch
    >>> torch.nn.GELU()(torch.ones(1))
    tensor([0.8413])
    """

    def __init__(self, approximate: str = "none"):
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class Hardshrink(Module):
    """y = x where |x| > lambd, else 0.

    Args:
        lambd: default 0.5.

    >>> import tritorch as torch
    >>> torch.nn.Hardshrink()(torch.tensor([0.4, 0.6]))
    tensor([0.0000, 0.6000])
    """

    def __init__(self, lambd: float = 0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class Softshrink(Hardshrink):
    """y = x - lambd where x > lambd, x + lambd where x < -lambd, else 0.

    >>> import tritorch as torch
    >>> torch.nn.Softshrink()(torch.tensor([0.4, 1.5]))
    tensor([0., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.softshrink(input, self.lambd)


class LeakyReLU(Module):
    """y = x where x >= 0, else negative_slope x.

    Args:
        negative_slope: default 0.01.
        inplace: overwrite the input. Default: False.

    >>> import tritorch as torch
    >>> torch.nn.LeakyReLU(0.1)(torch.tensor([-1.0, 1.0]))
    tensor([-0.1000,  1.0000])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return _with_inplace(f"negative_slope={self.negative_slope}", self.inplace)


class Softplus(Module):
    """y = log(1 + exp(beta x)) / beta; x itself where beta x > threshold.

    Args:
        beta: default 1.
        threshold: default 20.

    >>> import tritorch as torch
    >>> torch.nn.Softplus()(torch.zeros(1))
    tensor([0.6931])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class PReLU(Module):
    """y = x where x >= 0, else a x with a learned. He et al., arXiv:1502.01852.

    Args:
        num_parameters: 1, or the number of channels for one slope each. Default: 1.
        init: the slopes at the start. Default: 0.25.

    Attributes:
        weight: `(num_parameters)`.

    >>> import tritorch as torch
    >>> torch.nn.PReLU()(torch.tensor([-1.0, 1.0])).tolist()
    [-0.25, 1.0]
    """

    weight: Tensor

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None):
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(full((num_parameters,), float(init), device=device, dtype=dtype))

    def reset_parameters(self) -> None:
        """Set all slopes to `init`."""
        self.weight.data.fill_(self.init)

    def forward(self, input: Tensor) -> Tensor:
        """Any shape; channels are dim 1."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class _AlongDim(Module):
    """A function along one dim."""

    def __init__(self, dim: int | None = None):
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_AlongDim):
    """y_i = exp(x_i) / sum_j exp(x_j) along `dim`.

    Args:
        dim: the dim that sums to 1.

    >>> import tritorch as torch
    >>> torch.nn.Softmax(dim=-1)(torch.zeros(1, 2))
    tensor([[0.5000, 0.5000]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.softmax(input, self.dim, _stacklevel=5)


class Softmin(_AlongDim):
    """y_i = exp(-x_i) / sum_j exp(-x_j) along `dim`.

    >>> import tritorch as torch
    >>> torch.nn.Softmin(dim=-1)(torch.zeros(1, 2))
    tensor([[0.5000, 0.5000]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.softmin(input, self.dim, _stacklevel=5)


class LogSoftmax(_AlongDim):
    """y_i = log(exp(x_i) / sum_j exp(x_j)) along `dim`.

    >>> import tritorch as torch
    >>> torch.nn.LogSoftmax(dim=-1)(torch.zeros(1, 2))
    tensor([[-0.6931, -0.6931]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return F.log_softmax(input, self.dim, _stacklevel=5)


class Softmax2d(Module):
    """Softmax over the channels at each place of `(N, C, H, W)` or `(C, H, W)`.

    >>> import tritorch as torch
    >>> torch.nn.Softmax2d()(torch.zeros(1, 4, 2, 2))[0, 0, 0]
    tensor([0.2500, 0.2500])
    """

    def forward(self, input: Tensor) -> Tensor:
        """3 or 4 dims; ValueError otherwise."""
        if input.dim() not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.dim()}D instead")
        return F.softmax(input, -3, _stacklevel=5)
