"""Public elementwise functions, methods and operators, made from the table in `kernels/elementwise.py`."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import inplace as _inplace
from ..autograd.autocast import ACTIVE, cast
from ..autograd.elementwise_cuda import device_side, write
from ..autograd.elementwise_operands import whole_only
from ..autograd.modes import STATE
from ..binding import in_place, method, write_out
from ..device import CPU
from ..errors import message
from ..kernels._blocks import LARGE, large
from ..kernels._op import OPS
from ..kernels.elementwise import NUMPY, TENSOR, Elementwise
from ..tensor import TENSORS, Tensor
from ._arguments import tensor
from .comparison import where

__all__: list[str] = []
_apply = {name: op.apply for name, op in list(OPS.items()) if isinstance(op, Elementwise)}


def _public(name: str, f: Callable[..., Any]) -> Callable[..., Any]:
    globals()[name] = f
    __all__.append(name)
    return f


def _unary(name: str) -> Callable[..., Any]:
    apply = _apply[name]

    def f(input: Tensor, *, out: Tensor | None = None) -> Tensor:
        if out is None:
            return apply(input)
        write_out(name, apply(input), out)
        return out

    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"`{name}` of each element; integers become the default float where the result is not an integer."
    return f


def _foreign(name: str, argument: str, value: Any) -> TypeError:
    """The error where an op gives NotImplemented for an operand."""
    return TypeError(f"{name}(): argument '{argument}' (position 2) must be Tensor, not {type(value).__name__}")


# Where PyTorch takes no number for the first operand, and for neither.
_TENSOR_FIRST = frozenset("copysign eq fmod ge gt le lt ne".split())
_TENSORS_ONLY = frozenset(
    """atan2 fmax fmin gcd heaviside hypot lcm ldexp logaddexp logaddexp2 logical_and logical_or logical_xor maximum
    minimum nextafter""".split()
)


def _binary(name: str) -> Callable[..., Any]:
    apply = _apply[name]
    same_dtype, tensors = name == "heaviside", name in _TENSORS_ONLY
    first = tensors or name in _TENSOR_FIRST

    def f(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
        if input.__class__ not in TENSORS and (first or other.__class__ not in TENSORS):
            tensor(name, input)
        if tensors and other.__class__ not in TENSORS:
            tensor(name, other, "values" if same_dtype else "other", 2)
        if same_dtype and getattr(other, "dtype", None) is not input.dtype:
            raise RuntimeError(
                f"{name}: is not yet implemented for tensors with different dtypes; got {input.dtype}, {other!r}"
            )
        result = apply(input, other) if input.__class__ in TENSORS else apply.general(input, other)
        if result is NotImplemented:
            raise _foreign(name, "other", other)
        if out is None:
            return result
        write_out(name, result, out)
        return out

    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"`{name}` of `input` and `other`, broadcast, in PyTorch's promoted dtype."
    return f


def _fast_in_place(name: str) -> Callable[..., Any]:
    """x.add_(w) and friends: straight into x's memory when nothing is recorded and no dtype changes."""
    op = OPS[name]
    assert isinstance(op, Elementwise)
    f, lowest = op.numpy, op.lowest
    on_cpu, on_cuda = (op.kind != "bool" and bool(way) for way in (op.ufunc, op.triton))
    above = 2 if whole_only(op) else 3  # the category from which on nothing goes straight to the device
    side = device_side(op)
    general = in_place(_binary(name), name + "_")

    def call(self: Tensor, other: Any) -> Tensor:
        d = self.dtype
        device = self.device
        if (
            (on_cpu and not d.is_half if device is CPU else on_cuda and d.category < above)
            and d.category >= lowest
            and (self._node is None or not STATE.grad)
        ):
            kind = other.__class__
            if kind in TENSORS:
                if other.dtype is d and other.device is device and (other._node is None or not STATE.grad):
                    value = other._a
                else:
                    return general(self, other)
            elif kind is float and d.category >= 2 or kind is int and d.category >= 2:
                value = other
            else:
                return general(self, other)
            if self._view is not None:
                _inplace.check(self, name + "_")
            if device is not CPU:
                if not write(side, device, self._a, value):
                    return general(self, other)
            else:
                a = self._a
                try:
                    if a.size < LARGE or value is not a and np.may_share_memory(a, value):
                        f(a, value, out=a)
                    else:
                        large(f, a, value, out=a)
                except (ValueError, TypeError):
                    return general(self, other)
            if self._vc is not None:
                self._vc.n += 1
            else:
                _inplace.bump(self)
            if STATE.grad and self._view is not None:
                _inplace.rebase(self, None)
            return self
        return general(self, other)

    call.__name__ = call.__qualname__ = name + "_"
    call.__doc__ = f"In-place `{name}`; returns self."
    return call


# ---- unary functions: module function, method, in-place method

_UNARY = """exp exp2 expm1 log log2 log10 log1p sqrt rsqrt sigmoid sin cos tan asin acos atan sinh cosh tanh asinh acosh
atanh deg2rad rad2deg sinc erf erfc erfinv lgamma digamma i0 neg abs sign square reciprocal ceil floor trunc frac
bitwise_not logical_not isnan isinf isfinite isposinf isneginf signbit""".split()
_ALIASES = {
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
    "negative": "neg", "absolute": "abs", "fix": "trunc",
}  # fmt: skip
for _name in [*_UNARY, *_ALIASES]:
    _source = _ALIASES.get(_name, _name)
    _f = _public(_name, _unary(_source))
    setattr(Tensor, _name, _apply[_source])
    if not _name.startswith("is") and _name != "signbit":
        setattr(Tensor, _name + "_", in_place(_apply[_source], _name + "_"))
        if _name in (
            "exp",
            "log",
            "sqrt",
            "sin",
            "cos",
            "tan",
            "abs",
            "neg",
            "ceil",
            "floor",
            "sigmoid",
            "tanh",
            "square",
        ):
            _public(_name + "_", getattr(Tensor, _name + "_"))

# ---- binary functions

_BINARY = """pow remainder fmod maximum minimum fmax fmin atan2 hypot copysign logaddexp logaddexp2 nextafter xlogy
heaviside gcd lcm ldexp eq ne lt le gt ge logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor
bitwise_left_shift bitwise_right_shift floor_divide mul""".split()
_MORE = {
    "arctan2": "atan2", "greater": "gt", "greater_equal": "ge", "less": "lt", "less_equal": "le", "not_equal": "ne",
    "multiply": "mul",
}  # fmt: skip
for _name in [*_BINARY, *_MORE]:
    _f = _public(_name, _binary(_MORE.get(_name, _name)))
    setattr(Tensor, _name, _f)
    if _name not in ("maximum", "minimum", "fmax", "fmin", "logaddexp", "logaddexp2"):
        setattr(Tensor, _name + "_", _fast_in_place(_MORE.get(_name, _name)))

_add, _sub, _mul, _div = _apply["add"], _apply["sub"], _apply["mul"], _apply["div"]
_pow_scalar, _pow_general = _apply["pow_scalar"], _apply["pow"]


def add(input: Any, other: Any, *, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """input + alpha * other, broadcast, in the promoted dtype."""
    return _alpha("add", _add, input, other, alpha, out)


def sub(input: Any, other: Any, *, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """input - alpha * other, broadcast, in the promoted dtype."""
    return _alpha("sub", _sub, input, other, alpha, out)


def _alpha(name: str, apply: Any, input: Any, other: Any, alpha: Any, out: Any) -> Tensor:
    if alpha != 1:
        if alpha.__class__ is float and getattr(input, "dtype", None) is not None and input.dtype.category < 2:
            if not getattr(other, "dtype", input.dtype).category >= 2:
                raise RuntimeError(
                    f"{name}: For integral input tensors, argument alpha must not be a floating point number."
                )
        other = other * alpha
    result = apply(input, other) if input.__class__ in TENSORS else apply.general(input, other)
    if result is NotImplemented:
        raise _foreign(name, "other", other)
    if out is not None:
        write_out(name, result, out)
        return out
    return result


def div(input: Any, other: Any, *, rounding_mode: str | None = None, out: Tensor | None = None) -> Tensor:
    """input / other; `rounding_mode` None: true quotient, "trunc": towards zero, "floor": downwards."""
    if rounding_mode is None:
        result = _div(input, other) if input.__class__ in TENSORS else _div.general(input, other)
        if result is NotImplemented:
            raise _foreign("div", "other", other)
    elif rounding_mode == "floor":
        result = floor_divide(input, other)  # type: ignore[name-defined] # noqa: F821
    elif rounding_mode == "trunc":
        quotient = div(input, other)
        result = quotient.trunc()
        kinds = [v.dtype for v in (input, other) if v.__class__ in TENSORS]
        if all(k.category < 2 for k in kinds) and not any(isinstance(v, float) for v in (input, other)):
            result = _exact_trunc(input, other)
    else:
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        )
    if out is not None:
        write_out("div", result, out)
        return out
    return result


def _exact_trunc(a: Any, b: Any) -> Tensor:
    """Integer division towards zero without passing through floats."""
    q = floor_divide(a, b)  # type: ignore[name-defined] # noqa: F821
    return q + ((q < 0) & (q * b != a)).to(q.dtype)


def _exponent(input: Tensor, exponent: Any) -> Any:
    if ACTIVE:
        input, exponent = cast("pow", input, exponent)
    if exponent.__class__ is float or exponent.__class__ is int:
        if input.dtype.category >= 2:
            return _pow_scalar(input, exponent)
        if exponent.__class__ is int and exponent < 0 and input.dtype.category < 2:
            raise RuntimeError("pow: Integers to negative integer powers are not allowed.")
    if input.dtype.category == 0 and exponent.__class__ is bool:
        return input | (not exponent)
    return _pow_general(input, exponent)


def pow(input: Any, exponent: Any, *, out: Tensor | None = None) -> Tensor:
    """input ** exponent, elementwise; numbers or tensors."""
    result = _exponent(input, exponent) if input.__class__ in TENSORS else _pow_general.general(input, exponent)
    if result is NotImplemented:
        raise _foreign("pow", "exponent", exponent)
    if out is not None:
        write_out("pow", result, out)
        return out
    return result


def _rsub(self: Tensor, other: Any) -> Any:
    if self.dtype.category >= 2 and (other.__class__ is float or other.__class__ is int):
        return _apply["rsub"](self, other)
    return _sub.general(other, self)


def _rdiv(self: Tensor, other: Any) -> Any:
    if self.dtype.category >= 2 and (other.__class__ is float or other.__class__ is int):
        return _apply["rdiv"](self, other)
    return _div.general(other, self)


def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - alpha * input."""
    tensor("rsub", input)
    return sub(other, input, alpha=alpha) if other.__class__ in TENSORS or alpha != 1 else _rsub(input, other)


for _name, _f in (("add", add), ("sub", sub), ("div", div), ("pow", pow)):
    _public(_name, _f)
    setattr(Tensor, _name, _f)
    _general, _quick = in_place(_f, _name + "_"), _fast_in_place(_name)

    def _in(self: Tensor, other: Any, *, _general: Any = _general, _quick: Any = _quick, **more: Any) -> Tensor:
        return _general(self, other, **more) if more else _quick(self, other)

    setattr(Tensor, _name + "_", _in)
for _name, _source in (("subtract", "sub"), ("divide", "div"), ("true_divide", "div")):
    _public(_name, globals()[_source])
    setattr(Tensor, _name, globals()[_source])
    setattr(Tensor, _name + "_", getattr(Tensor, _source + "_"))
_public("rsub", rsub)

# ---- operators


def _reflected(name: str) -> Callable[..., Any]:
    general = _apply[name].general
    return lambda self, other: general(other, self)


_OPERATORS = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "floordiv": "floor_divide", "mod": "remainder",
    "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
}  # fmt: skip
for _dunder, _name in _OPERATORS.items():
    setattr(Tensor, f"__{_dunder}__", _apply[_name])
    setattr(
        Tensor, f"__r{_dunder}__", _apply[_name] if _dunder in ("add", "mul", "and", "or", "xor") else _reflected(_name)
    )
    setattr(Tensor, f"__i{_dunder}__", _fast_in_place(_name))
Tensor.__rsub__ = _rsub  # type: ignore[attr-defined]
Tensor.__rtruediv__ = Tensor.__rdiv__ = _rdiv  # type: ignore[attr-defined]
Tensor.__pow__, Tensor.__rpow__ = _exponent, _reflected("pow")  # type: ignore[attr-defined]
Tensor.__ipow__ = Tensor.pow_  # type: ignore[attr-defined]
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Tensor, f"__{_name}__", _apply[_name])
Tensor.__hash__ = object.__hash__  # type: ignore[method-assign]
Tensor.__neg__, Tensor.__abs__ = _apply["neg"], _apply["abs"]  # type: ignore[attr-defined]


def _invert(self: Tensor) -> Tensor:
    if self.dtype.category > 1:
        raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
    return _apply["bitwise_not"](self)


Tensor.__invert__ = _invert  # type: ignore[attr-defined]

# ---- relu and other table lines whose public form is elsewhere too

relu = _public("relu", _apply["relu"])
_relu: Any = OPS["relu"].cpu
Tensor.relu = relu  # type: ignore[attr-defined]
_relu_general = in_place(relu, "relu_")


def relu_(input: Tensor) -> Tensor:
    """In-place relu; returns input."""
    if (
        input.device is CPU
        and not input.dtype.is_half
        and (input._node is None or not STATE.grad)
        and input._view is None
    ):
        a = input._a
        if a.size < LARGE:
            np.maximum(a, input.dtype.zero, out=a)
        else:
            large(_relu, a, out=a)
        _inplace.bump(input)
        return input
    return _relu_general(input)


_public("relu_", relu_)
Tensor.relu_ = relu_  # type: ignore[attr-defined]


def _method(f: Any = None, *, name: str | None = None, **kinds: Any) -> Any:
    """`method`, and public."""

    def decorate(function: Any) -> Any:
        return _public(function.__name__, method(function, name=name, **kinds))

    return decorate(f) if f is not None else decorate


@_method(out=True)
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)); x clamped to [eps, 1 - eps] when eps is given."""
    return _apply["logit"](input, -1.0 if eps is None else eps)


@_method(inplace=True, out=True)
def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """NaN replaced by `nan` (0), infinities by `posinf` and `neginf` (the dtype's largest and smallest number)."""
    if input.dtype.category < 2:
        return input.clone()
    from ..dtypes import finfo

    for name, value in (("nan", nan), ("posinf", posinf), ("neginf", neginf)):
        if value is not None and not isinstance(value, (int, float, np.number, Tensor)):
            raise TypeError(message("nan_to_num", f"{name} must be a number", **{name: value}))
    limits = finfo(input.dtype)
    return _apply["nan_to_num"](
        input,
        0.0 if nan is None else nan,
        limits.max if posinf is None else posinf,
        limits.min if neginf is None else neginf,
    )


@_method(inplace=True, out=True)
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest integer, halves to even; `decimals` digits after (or before, negative) the point."""
    if decimals == 0:
        return _apply["round"](input)
    if not isinstance(decimals, int):
        raise TypeError(message("round", "decimals must be an int", decimals=decimals))
    scale = 10.0 ** builtins.abs(decimals)
    return _apply["round"](input * scale) / scale if decimals > 0 else _apply["round"](input / scale) * scale


@_method(inplace=True, out=True)
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """min(max(x, min), max); numbers or tensors, either may be None.

    >>> import tritorch as torch
    >>> torch.tensor([-1.0, 0.5, 2.0]).clamp(0, 1)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if isinstance(min, (float, int)) and isinstance(max, (float, int)) and input.dtype.category == 2:
        if min == min and max == max:  # a limit of NaN needs the two ops below
            return _apply["clamp"](input, float(min), float(max))
    if min is not None:
        input = clamp_min(input, min)
    if max is not None:
        input = clamp_max(input, max)
    return input


@_method(inplace=True, out=True)
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """max(x, min)."""
    result = _apply["clamp_min"](tensor("clamp_min", input), min)
    if result is NotImplemented:
        raise _foreign("clamp", "min", min)
    return result


@_method(inplace=True, out=True)
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """min(x, max)."""
    result = _apply["clamp_max"](tensor("clamp_max", input), max)
    if result is NotImplemented:
        raise _foreign("clamp", "max", max)
    return result


@_method(inplace=True, out=True)
def clip(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """As `clamp`."""
    return clamp(input, min, max)


@_method(inplace=True, out=True)
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight * (end - input)."""
    return _apply["lerp"](input, end, weight)


@_method(inplace=True, out=True)
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    return _apply["addcmul"](input, tensor1, tensor2, value)


@_method(inplace=True, out=True)
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 / tensor2; floating-point operands."""
    for name, operand in (("tensor1", tensor1), ("tensor2", tensor2)):
        if operand.__class__ not in TENSORS:
            raise TypeError(message("addcdiv", f"{name} must be a Tensor", **{name: operand}))
    if tensor1.dtype.category < 2 and tensor2.dtype.category < 2:
        raise RuntimeError("addcdiv: Integer division with addcdiv is no longer supported; cast an operand to float")
    return _apply["addcdiv"](input, tensor1, tensor2, value)


@_method(out=True)
def float_power(input: Any, exponent: Any) -> Tensor:
    """input ** exponent in float64 (complex128)."""
    from .. import dtypes

    if input.__class__ not in TENSORS and exponent.__class__ not in TENSORS:
        raise _foreign("float_power", "exponent", exponent)
    up = lambda v: v.to(dtypes.complex128 if v.dtype.is_complex else dtypes.float64) if v.__class__ in TENSORS else v  # noqa: E731
    return pow(up(input), up(exponent))


@_method(inplace=True, out=True)
def sgn(input: Tensor) -> Tensor:
    """sign(x); x / |x| for complex x, 0 at 0."""
    if not input.dtype.is_complex:
        return _apply["sign"](input)
    size = input.abs()
    return where(size == 0, input * 0, input / size)


@_method
def positive(input: Tensor) -> Tensor:
    """x itself; RuntimeError for bool."""
    if input.dtype.category == 0:
        raise RuntimeError("positive: The `+` operator, on a bool tensor is not supported.")
    return input


Tensor.__pos__ = positive  # type: ignore[attr-defined]


@_method
def conj(input: Tensor) -> Tensor:
    """The complex conjugate; x itself when it is real."""
    return OPS["conj"](input) if input.dtype.is_complex else input


Tensor.conj_physical = Tensor.conj  # type: ignore[attr-defined]
Tensor.resolve_conj = Tensor.resolve_neg = lambda self: self  # type: ignore[attr-defined] # conj is never left for later


@_method(out=True)
def angle(input: Any) -> Tensor:
    """The argument of complex x in (-pi, pi]; for real x 0 or pi, NaN for NaN."""
    if input.dtype.is_complex:
        return _apply["atan2"](input.imag, input.real)
    if input.dtype.category < 2:
        return where(input < 0, np.pi, 0.0)
    sign = input.sign()  # keeps the result in the graph, with a gradient of 0
    return where(input.isnan(), input.detach(), (sign * sign - sign) * (np.pi / 2))


def _lenient(name: str, f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of Tensors that also takes the Python numbers that stand in for an operand."""
    on_numbers = NUMPY.get(name)

    def call(x: Any, *more: Any) -> Any:
        if x.__class__ in TENSORS or any(m.__class__ in TENSORS for m in more):
            return f(x, *more) if x.__class__ in TENSORS else f.general(x, *more)  # type: ignore[attr-defined]
        assert on_numbers is not None
        return on_numbers(x, *more).item()

    return call


def _where_any(condition: Any, x: Any, z: Any) -> Any:
    return (x if condition else z) if isinstance(condition, bool) else where(condition, x, z)


def _sgn_any(x: Any) -> Any:
    """sign of numbers; x / |x| of complex ones, which the derivative of abs asks for."""
    return sgn(x) if x.__class__ in TENSORS and x.dtype.is_complex else _apply["sign"](x)  # type: ignore[name-defined]


# names that derivative expressions call with Tensors
TENSOR.update({name: _lenient(name, f) for name, f in _apply.items()})
TENSOR.update({"where": _where_any, "polygamma1": lambda x: _apply["polygamma"](x, 1), "sign": _sgn_any})
TENSOR["zeros_like"] = lambda x: x.new_zeros(x.shape)
