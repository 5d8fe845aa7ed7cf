"""torch.special: error functions, the gamma family, Bessel functions, entropies, orthogonal polynomials.

All take real tensors elementwise (integers become the default float), and `out=`.

>>> import tritorch as torch
>>> x = torch.tensor([0.5, 1.0])
>>> torch.special.erf(x), torch.special.gammaln(x + 2), torch.special.bessel_j0(x)
(tensor([0.5205, 0.8427]), tensor([0.2847, 0.6931]), tensor([0.9385, 0.7652]))
>>> torch.special.xlogy(x, 2), torch.special.legendre_polynomial_p(x, 2)
(tensor([0.3466, 0.6931]), tensor([-0.1250,  1.0000]))
"""

from __future__ import annotations

from typing import Any

from ..binding import given as _given
from ..functional import reduction as _reduction
from ..functional.gamma import igamma as gammainc
from ..functional.gamma import igammac as gammaincc
from ..functional.gamma import mvlgamma as multigammaln
from ..functional.gamma import no_derivative as _no_derivative
from ..functional.gamma import polygamma
from ..functional.pointwise import logit, round
from ..functional.reduction import logsumexp
from ..kernels._op import OPS as _OPS
from ..tensor import TENSORS as _TENSORS
from ..tensor import Tensor

_UNARY = {
    "airy_ai": ("airy_ai", "Ai(x), the Airy function; it has no derivative here (nor in PyTorch)."),
    "bessel_j0": ("bessel_j0", "J0(x), the Bessel function of the first kind, of order 0."),
    "bessel_j1": ("bessel_j1", "J1(x), the Bessel function of the first kind, of order 1."),
    "bessel_y0": ("bessel_y0", "Y0(x), the Bessel function of the second kind, of order 0; -inf at 0, NaN below."),
    "bessel_y1": ("bessel_y1", "Y1(x), the Bessel function of the second kind, of order 1; -inf at 0, NaN below."),
    "digamma": ("digamma", "psi(x), the derivative of log Gamma."),
    "entr": ("entr", "-x log x; 0 at 0, -inf below."),
    "erf": ("erf", "2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x."),
    "erfc": ("erfc", "1 - erf(x)."),
    "erfcx": ("erfcx", "e^(x^2) erfc(x), without overflow for large x."),
    "erfinv": ("erfinv", "The x of erf(x) = y, y in [-1, 1]."),
    "exp2": ("exp2", "2^x."),
    "expit": ("sigmoid", "1 / (1 + e^-x)."),
    "expm1": ("expm1", "e^x - 1, precise near 0."),
    "gammaln": ("lgamma", "log |Gamma(x)|."),
    "i0": ("i0", "I0(x), the modified Bessel function of the first kind, of order 0."),
    "i0e": ("i0e", "e^-|x| I0(x)."),
    "i1": ("i1", "I1(x), the modified Bessel function of the first kind, of order 1."),
    "i1e": ("i1e", "e^-|x| I1(x)."),
    "log1p": ("log1p", "log(1 + x), precise near 0."),
    "log_ndtr": ("log_ndtr", "log of `ndtr`, without underflow."),
    "modified_bessel_i0": ("i0", "I0(x), as `i0`."),
    "modified_bessel_i1": ("i1", "I1(x), as `i1`."),
    "modified_bessel_k0": ("bessel_k0", "K0(x), the modified Bessel function of the second kind, of order 0."),
    "modified_bessel_k1": ("bessel_k1", "K1(x), the modified Bessel function of the second kind, of order 1."),
    "ndtr": ("ndtr", "The normal distribution function: erfc(-x / sqrt(2)) / 2."),
    "ndtri": ("ndtri", "The x of ndtr(x) = p, p in [0, 1]."),
    "psi": ("digamma", "As `digamma`."),
    "scaled_modified_bessel_k0": ("bessel_k0e", "e^x K0(x)."),
    "scaled_modified_bessel_k1": ("bessel_k1e", "e^x K1(x)."),
    "sinc": ("sinc", "sin(pi x) / (pi x)."),
    "spherical_bessel_j0": ("spherical_bessel_j0", "sin(x) / x."),
}
_BINARY = {
    "xlog1py": "a log(1 + b), 0 where a is 0.",
    "xlogy": "a log b, 0 where a is 0.",
    "zeta": "Hurwitz' zeta function: sum_k (q + k)^-x; the gradient is by q.",
}
_RECURRENT = {
    "chebyshev_polynomial_t": "T_n(x): T_1 = x, T_(n+1) = 2 x T_n - T_(n-1).",
    "chebyshev_polynomial_u": "U_n(x): U_1 = 2 x, U_(n+1) = 2 x U_n - U_(n-1).",
    "chebyshev_polynomial_v": "V_n(x): V_1 = 2 x - 1, V_(n+1) = 2 x V_n - V_(n-1).",
    "chebyshev_polynomial_w": "W_n(x): W_1 = 2 x + 1, W_(n+1) = 2 x W_n - W_(n-1).",
    "hermite_polynomial_h": "H_n(x), the physicists': H_1 = 2 x, H_(n+1) = 2 x H_n - 2 n H_(n-1).",
    "hermite_polynomial_he": "He_n(x), the probabilists': He_1 = x, He_(n+1) = x He_n - n He_(n-1).",
    "laguerre_polynomial_l": "L_n(x): L_1 = 1 - x, (n + 1) L_(n+1) = (2 n + 1 - x) L_n - n L_(n-1).",
    "legendre_polynomial_p": "P_n(x): P_1 = x, (n + 1) P_(n+1) = (2 n + 1) x P_n - n P_(n-1).",
    "shifted_chebyshev_polynomial_t": "T_n(2 x - 1).",
    "shifted_chebyshev_polynomial_u": "U_n(2 x - 1).",
    "shifted_chebyshev_polynomial_v": "V_n(2 x - 1).",
    "shifted_chebyshev_polynomial_w": "W_n(2 x - 1).",
}

__all__ = [
    *_UNARY, *_BINARY, *_RECURRENT, "gammainc", "gammaincc", "log_softmax", "logit", "logsumexp", "multigammaln",
    "polygamma", "round", "softmax",
]  # fmt: skip


def _unary(name: str, source: str, doc: str) -> Any:
    op: Any = _OPS[source]
    has_rule = op.has_rule

    def f(input: Tensor, *, out: Tensor | None = None) -> Tensor:
        if input.__class__ not in _TENSORS:
            raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
        if not has_rule:
            _no_derivative(f"special.{name}", "input", input)
        return _given(name, op(input), out)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = doc
    return f


def _binary(name: str, doc: str, rules: tuple) -> Any:
    op: Any = _OPS[name]

    def f(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
        if input.__class__ not in _TENSORS and other.__class__ not in _TENSORS:
            raise TypeError(f"{name}(): one of the arguments must be Tensor, not {type(input).__name__}")
        for rule, label, value in zip(rules, ("input", "other"), (input, other), strict=True):
            if rule is None:
                _no_derivative(f"special.{name}", label, value)
        return _given(name, op(input, other) if input.__class__ in _TENSORS else op.apply.general(input, other), out)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = doc
    return f


_ARGUMENT = "\n\nArguments:\n    input: real, any shape. out: write the result here."
_ARGUMENTS = "\n\nArguments:\n    input, other: real tensors, or one of them a number; they broadcast. out: write the result here."
for _name, (_source, _doc) in _UNARY.items():
    globals()[_name] = _unary(_name, _source, _doc + _ARGUMENT)
for _name, _doc in _BINARY.items():
    globals()[_name] = _binary(_name, _doc + _ARGUMENTS, _OPS[_name].rules)  # type: ignore[attr-defined]
for _name, _doc in _RECURRENT.items():
    _doc += " n (`other`): numbers, rounded towards 0; no derivative here (nor in PyTorch)."
    globals()[_name] = _binary(_name, _doc + _ARGUMENTS, (None, None))


def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """As `torch.softmax`.

    >>> import tritorch as torch
    >>> torch.special.softmax(torch.zeros(2), 0)
    tensor([0.5000, 0.5000])
    """
    return _reduction.softmax(input, dim, dtype=dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """As `torch.log_softmax`."""
    return _reduction.log_softmax(input, dim, dtype=dtype)


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module 'tritorch.special' has no attribute {name!r}")
