# ruff: noqa: E501 - tables of one line per case
"""Elementwise ops: one line each in a table (name, NumPy function, Triton expression, derivative).

The derivative is one expression in a small language that is valid for NumPy arrays, for Tensors and for Triton: the
operands' names, `g` (gradient of the output), `y` (the output), plain parameters, operators and bare functions
(`exp(x)`, `where(x < 0, 0, g)`). So one line gives the fast rule on arrays, the differentiable rule on Tensors and
the fused kernel. To add an op, add a line; CONTRIBUTING.md shows how.

Operands are named x (unary), a and b (binary), a, b and c (ternary). `kind` says how dtypes go:
`float` (integers become the default float), `same` (as promoted), `bool` (the result is bool).
`lowest` is the lowest category that the op takes as it is. A NumPy function with a keyword-only `out` writes its result
there: large arrays are computed in blocks (`_blocks.large`), and need no copy then.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import BOOL, FLOAT, INT
from . import _activations as act
from . import _bessel as bs
from . import _erf as ef
from . import _gamma as gm
from . import _log_gamma as lg
from . import _remainder as rm
from . import _special as sp
from ._op import OPS, Array, Op, register
from ._select import where

_WORD = re.compile(r"[A-Za-z_]\w*")

# Names that derivative expressions may call: on arrays here, on Tensors in the table that
# `tritorch.functional.pointwise` fills, in Triton as `_pointwise` translates them.
NUMPY: dict[str, Any] = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "tan": np.tan, "sinh": np.sinh,
    "cosh": np.cosh, "tanh": np.tanh, "abs": np.abs, "sign": sp.sign, "where": where, "maximum": np.maximum,
    "minimum": np.minimum, "pow": np.power, "floor": np.floor, "trunc": np.trunc, "log1p": np.log1p,
    "expm1": np.expm1, "isnan": np.isnan, "digamma": lg.digamma, "polygamma1": lg.trigamma, "sigmoid": sp.sigmoid,
    "erf": ef.erf, "xlogy": sp.xlogy, "xlog1py": gm.xlog1py, "zeros_like": np.zeros_like, "isinf": np.isinf, "floor_divide": rm.floor_divide,
    "pow_scalar": sp.pow_scalar, "logical_and": np.logical_and, "logical_or": np.logical_or, "lgamma": lg.lgamma,
    "polygamma": gm.polygamma, "zeta": gm.zeta, "i0": bs.i0, "i0e": bs.i0e, "i1": bs.i1, "i1e": bs.i1e, "erfcx": bs.erfcx,
    "bessel_j0": bs.j0, "bessel_j1": bs.j1, "bessel_y0": bs.y0, "bessel_y1": bs.y1, "bessel_k0": bs.k0, "bessel_k1": bs.k1,
    "bessel_k0e": bs.k0e, "bessel_k1e": bs.k1e, "multiply": np.multiply, "divide": np.true_divide, "add": np.add,
    "subtract": np.subtract, "negative": np.negative,
}  # fmt: skip
TENSOR: dict[str, Any] = {}


_UFUNCS: dict[type, Any] = {ast.Mult: np.multiply, ast.Div: np.true_divide, ast.Add: np.add, ast.Sub: np.subtract}


def _into(rule: str) -> str:
    """The expression with its last operation written to `out`: work in blocks is spared a copy.

    >>> _into("g * y * 2"), _into("where(x < 0, 0, g)")
    ('multiply(g * y, 2, out=out)', 'where(x < 0, 0, g, out=out)')
    """
    node = ast.parse(rule, mode="eval").body
    if isinstance(node, ast.BinOp) and type(node.op) in _UFUNCS:
        parts = ast.unparse(node.left), ast.unparse(node.right)
        return f"{_UFUNCS[type(node.op)].__name__}({parts[0]}, {parts[1]}, out=out)"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return f"negative({ast.unparse(node.operand)}, out=out)"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "where":
        return f"{rule[:-1]}, out=out)"
    return rule


# the ops that take complex numbers; the others refuse them, as PyTorch does
COMPLEX_OK = frozenset(
    """add sub mul div pow pow_scalar rsub rdiv eq ne logical_and logical_or logical_xor logical_not isnan
isinf isfinite exp exp2 expm1 log log2 log10 log1p sqrt rsqrt sigmoid sin cos tan asin acos atan sinh cosh tanh asinh acosh
atanh sinc neg abs square reciprocal lerp addcmul addcdiv silu logaddexp ldexp""".split()
)
ON_COMPLEX = {"log1p": sp.complex_log1p, "logaddexp": sp.complex_logaddexp}
"""What computes them where NumPy's function takes no complex numbers, or is not exact."""


class Elementwise(Op):
    """One line of the table.

    Attributes:
        numpy: the NumPy function, called with the operands, then the parameters.
        triton: the expression of the kernel, None while there is none.
        rules: per operand the derivative's expression, or None.
        uses: per operand, which names its expression needs.
        kind, lowest: how dtypes go, see the module's docstring.
        ufunc: `numpy` takes `out=`.
        complex, categories: is complex taken; the categories of dtype that are taken as they are.

    `fast` are the rules on arrays written out as functions (g, *operands, y, *params), where the expressions make too
    many passes.
    """

    def __init__(
        self,
        name: str,
        numpy: Callable[..., Any],
        triton: str | None,
        rules: tuple[str | None, ...],
        kind: str,
        lowest: int,
        params: tuple[str, ...],
        operands: tuple[str, ...],
        samples: Callable[..., Any],
        doc: str,
        fast: Callable[..., Any] | tuple[Callable[..., Any], ...] = (),
    ):
        self.name = self.__name__ = name
        self.__doc__ = doc
        self.numpy, self.triton, self.rules = numpy, triton, rules
        self.kind, self.lowest, self.params, self.inputs = kind, lowest, params, operands
        self.ufunc = isinstance(numpy, np.ufunc)
        self.complex = name in COMPLEX_OK
        self.categories = frozenset(range(lowest, 4 if self.complex else 3))
        self.variadic, self.view, self.upcast = False, False, True
        self.n_outputs = self.differentiable = 1
        self.cpu, self.gpu, self.samples = numpy, None, samples
        self.cpu_grad = self.gpu_grad = self.grad = None
        self.uses = tuple(frozenset(_WORD.findall(r)) if r else frozenset() for r in rules)
        self.saves_output = any("y" in u for u in self.uses)
        self.saved = ()
        self.fast = fast if fast.__class__ is tuple else (fast,)
        self._compiled: dict[tuple[int, str], Any] = {}

    @property
    def has_rule(self) -> bool:
        return any(r is not None for r in self.rules)

    def rule(self, i: int, tensors: bool) -> Any:
        """The derivative by operand `i` as a function (g, *operands, y, *params), on Tensors or on arrays."""
        if not tensors and self.fast:
            return self.fast[i]
        return self._function(i, "tensors" if tensors else "arrays")

    def rule_into(self, i: int) -> Any:
        """The rule on arrays as one that takes `out`, if it ends with a function that does."""
        return self.fast[i] if self.fast else self._function(i, "into")

    def rules_together(self) -> Any:
        """The derivatives by both operands as one function on arrays: one Python call instead of two."""
        self.check_rule(0)
        self.check_rule(1)
        return self._evaluated(f"({self.rules[0]}, {self.rules[1]})", NUMPY)

    def check_rule(self, i: int) -> None:
        """NotImplementedError where there is no derivative by operand `i`."""
        if self.rules[i] is None:
            raise NotImplementedError(f"{self.name}: the derivative for '{self.inputs[i]}' is not implemented")

    def _function(self, i: int, kind: str) -> Any:
        found = self._compiled.get((i, kind))
        if found is None:
            self.check_rule(i)
            rule = str(self.rules[i])
            space = TENSOR if kind == "tensors" else NUMPY
            more = ("*", "out=None") if kind == "into" else ()
            made = self._evaluated(_into(rule) if more else rule, space, *more)
            found = self._compiled[i, kind] = made
        return found

    def _evaluated(self, expression: str, space: dict[str, Any], *more: str) -> Any:
        names = ", ".join(("g", *self.inputs, "y", *self.params, *more))
        return eval(f"lambda {names}: {expression}", {"__name__": __name__, **space})  # noqa: S307

    def cost(self, *args: Any) -> tuple[int, int]:  # type: ignore[override]
        arrays = [a for a in args if hasattr(a, "nbytes")]
        size = max(a.size for a in arrays)
        return sum(a.nbytes for a in arrays) + size * arrays[0].itemsize, size


def _samples(n: int, low: float, high: float, params: tuple, integers: bool) -> Callable[..., Any]:
    def draw(rng: np.random.Generator):
        def one(shape: tuple[int, ...]) -> Array:
            if integers:
                return rng.integers(int(low), int(high), shape)
            return rng.uniform(low, high, shape)

        yield tuple(one((3, 5)) for _ in range(n)), params
        if n > 1:
            yield (one((4, 3)), one((3,)), *[one((4, 1)) for _ in range(n - 2)]), params
        yield tuple(one(()) for _ in range(n)), params
        yield tuple(one((0, 2)) for _ in range(n)), params

    return draw


def line(
    name: str,
    numpy: Callable[..., Any],
    triton: str | None,
    *rules: str | None,
    kind: str = "same",
    lowest: int = BOOL,
    params: tuple[str, ...] = (),
    operands: tuple[str, ...] = ("x",),
    domain: tuple[float, float] = (-2.0, 2.0),
    values: tuple = (),
    integers: bool = False,
    samples: Callable[..., Any] | None = None,
    doc: str = "",
    fast: Callable[..., Any] | tuple[Callable[..., Any], ...] = (),
) -> Elementwise:
    """Enter one elementwise op; `domain` and `values` (of the parameters) make its samples, unless they are given."""
    samples = samples or _samples(len(operands), *domain, values, integers)
    rules = rules or (None,) * len(operands)
    made = Elementwise(name, numpy, triton, rules, kind, lowest, params, operands, samples, doc, fast)
    register(made)
    return made


def _f(name: str, numpy: Any, triton: str | None, rule: str | None, domain: tuple = (-2.0, 2.0), **more: Any) -> None:
    line(name, numpy, triton, rule, kind="float", lowest=FLOAT, domain=domain, **more)


AB = ("a", "b")
ABC = ("a", "b", "c")

# arithmetic
line("add", np.add, "a + b", "g", "g", operands=AB)
line("sub", np.subtract, "a - b", "g", "-g", operands=AB, lowest=INT)
line("mul", np.multiply, "a * b", "g * b", "g * a", operands=AB)
line(
    "div",
    np.true_divide,
    "a / b",
    "g / b",
    "-g * (a / b / b)",
    operands=AB,
    kind="float",
    lowest=FLOAT,
    domain=(1.0, 3.0),
)
line(
    "pow", np.power, "pow(a, b)", "where(b == 0, 0, g * (b * pow(a, b - 1)))",
    "g * where((a == 0) & (abs(y) <= 1), 0, y * log(a))", operands=AB, lowest=INT, domain=(0.5, 2.0),
)  # fmt: skip
line(
    "floor_divide",
    rm.floor_divide,
    "floor_divide(a, b)",
    "zeros_like(g)",
    "zeros_like(g)",
    operands=AB,
    domain=(1.0, 9.0),
)
line(
    "remainder", rm.remainder, "remainder(a, b)", "g", "-g * floor_divide(a, b)",
    operands=AB, lowest=INT, domain=(1.1, 3.0),
)  # fmt: skip
line("fmod", rm.fmod, "fmod(a, b)", "g", "-g * trunc(a / b)", operands=AB, lowest=INT, domain=(1.1, 3.0))
line("maximum", np.maximum, "maximum(a, b)", "where(a == b, g / 2, where(a < b, 0, g))",
     "where(a == b, g / 2, where(b < a, 0, g))", operands=AB, fast=(act.greater_grad, act.less_grad))  # fmt: skip
line("minimum", np.minimum, "minimum(a, b)", "where(a == b, g / 2, where(a > b, 0, g))",
     "where(a == b, g / 2, where(b > a, 0, g))", operands=AB, fast=(act.less_grad, act.greater_grad))  # fmt: skip
line("fmax", np.fmax, "where(isnan(b), a, where(isnan(a), b, maximum(a, b)))",
     "where((a >= b) | isnan(b), g, 0)", "where((a >= b) | isnan(b), 0, g)", operands=AB)  # fmt: skip
line("fmin", np.fmin, "where(isnan(b), a, where(isnan(a), b, minimum(a, b)))",
     "where((a <= b) | isnan(b), g, 0)", "where((a <= b) | isnan(b), 0, g)", operands=AB)  # fmt: skip
_AB_FLOAT = {"operands": AB, "kind": "float", "lowest": FLOAT}
line(
    "atan2",
    np.arctan2,
    "atan2(a, b)",
    "g * b / where(a * a + b * b == 0, float('inf'), a * a + b * b)",
    "-g * a / where(a * a + b * b == 0, float('inf'), a * a + b * b)",
    **_AB_FLOAT,
    domain=(0.5, 2.0),
)
line("hypot", sp.hypot, "hypot(a, b)", "g * a / y", "g * b / y", operands=AB, domain=(0.5, 2.0))
line("copysign", sp.copysign, "where((b < 0) | (b == 0) & (1 / b < 0), -abs(a), abs(a))",
     "g * (y / where(a == 0, 1, a))", "zeros_like(g)", **_AB_FLOAT)  # fmt: skip
line(
    "logaddexp",
    sp.logaddexp,
    "maximum(a, b) + log1p(exp(-abs(where(a == b, 0, a - b))))",
    "g / (1 + exp(b - a))",
    "g / (1 + exp(a - b))",
    **_AB_FLOAT,
)
line("logaddexp2", sp.logaddexp2, "maximum(a, b) + log2(1 + exp2(-abs(where(a == b, 0, a - b))))",
     "g / (1 + exp((b - a) * 0.6931471805599453))", "g / (1 + exp((a - b) * 0.6931471805599453))", **_AB_FLOAT)  # fmt: skip
line("nextafter", sp.nextafter, "nextafter(a, b)", "where(a == b, 0, g)", "zeros_like(g)", **_AB_FLOAT)
line("xlogy", sp.xlogy, "xlogy(a, b)", "where((a == 0) & (b <= 0), 0, xlogy(g, b))", "g * a / b",
     **_AB_FLOAT, domain=(0.5, 2.0))  # fmt: skip
line("heaviside", sp.heaviside, "where(a == 0, b, where(a > 0, 1, 0))", None, None, operands=AB)
line("gcd", np.gcd, "gcd(a, b)", None, None, operands=AB, lowest=INT, domain=(1, 40), integers=True)
line("lcm", np.lcm, "lcm(a, b)", None, None, operands=AB, lowest=INT, domain=(1, 20), integers=True)
line(
    "ldexp",
    lambda a, b: a * np.exp2(b),
    "a * exp2(b)",
    "g * exp(b * 0.6931471805599453)",
    "g * y * 0.6931471805599453",
    **_AB_FLOAT,
)

# a Python number first or as exponent
line("rsub", lambda x, c: c - x, "c - x", "-g", params=("c",), values=(1.5,), lowest=INT)
_f("rdiv", lambda x, c: c / x, "c / x", "-g * (c / x / x)", (0.5, 2.0), params=("c",), values=(1.5,))
line(
    "pow_scalar", sp.pow_scalar, "pow_scalar(x, c)", "where(c == 0, zeros_like(g), g * (pow_scalar(x, c - 1) * c))",
    params=("c",), values=(3,), lowest=FLOAT, fast=sp.pow_scalar_grad,
)  # fmt: skip

# comparison, logic, bits
for _name, _numpy, _sign in (
    ("eq", np.equal, "=="), ("ne", np.not_equal, "!="), ("lt", np.less, "<"),
    ("le", np.less_equal, "<="), ("gt", np.greater, ">"), ("ge", np.greater_equal, ">="),
):  # fmt: skip
    line(_name, _numpy, f"a {_sign} b", None, None, operands=AB, kind="bool")
line("logical_and", np.logical_and, "(a != 0) & (b != 0)", None, None, operands=AB, kind="bool")
line("logical_or", np.logical_or, "(a != 0) | (b != 0)", None, None, operands=AB, kind="bool")
line("logical_xor", np.logical_xor, "(a != 0) ^ (b != 0)", None, None, operands=AB, kind="bool")
line("logical_not", np.logical_not, "x == 0", None, kind="bool")
_BITS: dict[str, Any] = {"domain": (0, 60), "integers": True}
line("bitwise_and", np.bitwise_and, "a & b", None, None, operands=AB, **_BITS)
line("bitwise_or", np.bitwise_or, "a | b", None, None, operands=AB, **_BITS)
line("bitwise_xor", np.bitwise_xor, "a ^ b", None, None, operands=AB, **_BITS)
line("bitwise_not", np.invert, "~x", None, **_BITS)
line("bitwise_left_shift", np.left_shift, "a << b", None, None, operands=AB, lowest=INT, domain=(0, 6), integers=True)
line("bitwise_right_shift", np.right_shift, "a >> b", None, None, operands=AB, lowest=INT, domain=(0, 6), integers=True)
line("isnan", np.isnan, "x != x", None, kind="bool")
line("isinf", np.isinf, "isinf(x)", None, kind="bool")
line("isfinite", np.isfinite, "isfinite(x)", None, kind="bool")
line("isposinf", np.isposinf, "x == float('inf')", None, kind="bool")
line("isneginf", np.isneginf, "x == -float('inf')", None, kind="bool")
line("signbit", sp.signbit, "(x < 0) | (x == 0) & (1 / x < 0)", None, kind="bool")

# exponentials and logarithms
_f("exp", np.exp, "exp(x)", "g * y")
_f("exp2", np.exp2, "exp2(x)", "g * y * 0.6931471805599453")
_f("expm1", np.expm1, "expm1(x)", "g * (y + 1)")
_f("log", np.log, "log(x)", "g / x", (0.5, 3.0))
_f("log2", np.log2, "log2(x)", "g / (x * 0.6931471805599453)", (0.5, 3.0))
_f("log10", np.log10, "log10(x)", "g / (x * 2.302585092994046)", (0.5, 3.0))
_f("log1p", np.log1p, "log1p(x)", "g / (x + 1)", (-0.5, 3.0))
_f("sqrt", np.sqrt, "sqrt(x)", "g / (2 * y)", (0.5, 3.0))
_f("rsqrt", sp.rsqrt, "rsqrt(x)", "g * y * y * y * -0.5", (0.5, 3.0))
_f("sigmoid", sp.sigmoid, "sigmoid(x)", "g * (1 - y) * y")
_f("log_sigmoid", sp.log_sigmoid, "minimum(x, 0) - log1p(exp(-abs(x)))", "g * sigmoid(-x)", fast=sp.log_sigmoid_grad)
_f("logit", sp.logit, "where((eps >= 0) & ((x < eps) | (x > 1 - eps)), where(x < eps, log(eps / (1 - eps)), log((1 - eps) / eps)), log(x / (1 - x)))",
   "where((eps >= 0) & ~((x >= eps) & (x <= 1 - eps)), 0, where((eps < 0) & ((x < 0) | (x > 1)), float('nan'), g / (x * (1 - x))))", (0.2, 0.8), params=("eps",), values=(-1.0,),
   fast=sp.logit_grad)  # fmt: skip

# trigonometry
_f("sin", np.sin, "sin(x)", "g * cos(x)")
_f("cos", np.cos, "cos(x)", "-g * sin(x)")
_f("tan", np.tan, "tan(x)", "g * (1 + y * y)", (-1.2, 1.2))
_f("asin", np.arcsin, "asin(x)", "g / sqrt(1 - x * x)", (-0.8, 0.8))
_f("acos", np.arccos, "acos(x)", "-g / sqrt(1 - x * x)", (-0.8, 0.8))
_f("atan", np.arctan, "atan(x)", "g / (1 + x * x)")
_f("sinh", np.sinh, "sinh(x)", "g * cosh(x)")
_f("cosh", np.cosh, "cosh(x)", "g * sinh(x)")
_f("tanh", np.tanh, "tanh(x)", "g * (1 - y * y)")
_f("asinh", np.arcsinh, "asinh(x)", "g / sqrt(x * x + 1)")
_f("acosh", np.arccosh, "acosh(x)", "g / sqrt(x * x - 1)", (1.5, 3.0))
_f("atanh", np.arctanh, "atanh(x)", "g / (1 - x * x)", (-0.8, 0.8))
_f("deg2rad", sp.deg2rad, "x * 0.017453292519943295", "g * 0.017453292519943295")
_f("rad2deg", sp.rad2deg, "x * 57.29577951308232", "g * 57.29577951308232")
_f("sinc", sp.sinc, "where(x == 0, 1, sin(x * 3.141592653589793) / (x * 3.141592653589793))",
   "where(x * x == 0, 0, g * (cos(x * 3.141592653589793) - y) / where(x * x == 0, 1, x))", (0.3, 2.0))  # fmt: skip

# the error function and gamma families
_f("erf", ef.erf, "erf(x)", "g * exp(-x * x) * 1.1283791670955126")
_f("erfc", ef.erfc, "erfc(x)", "g * exp(-x * x) * -1.1283791670955126")
_f("erfinv", ef.erfinv, "erfinv(x)", "g * (exp(y * y) * 0.886226925452758)", (-0.9, 0.9))
_f("lgamma", lg.lgamma, "lgamma(x)", "g * digamma(x)", (0.5, 4.0))
_f("digamma", lg.digamma, "digamma(x)", "g * polygamma1(x)", (0.5, 4.0))
_f("polygamma", gm.polygamma, "polygamma(x, n)", "g * polygamma(x, n + 1)", (0.5, 4.0), params=("n",), values=(1,))


def _order_and_argument(rng: np.random.Generator):
    """Whole numbers for a, by which there is no derivative."""
    yield (rng.integers(2, 6, (3, 5)), rng.uniform(0.5, 4, (3, 5))), ()
    yield (rng.integers(2, 6, (4, 1)), rng.uniform(0.5, 4, (3,))), ()


line("zeta", gm.zeta, "zeta(a, b)", None, "-g * a * zeta(a + 1, b)", **_AB_FLOAT, samples=_order_and_argument)
line(
    "igamma",
    gm.gammainc,
    "igamma(a, b)",
    None,
    "g * exp((a - 1) * log(b) - b - lgamma(a))",
    **_AB_FLOAT,
    samples=_order_and_argument,
)
line(
    "igammac",
    gm.gammaincc,
    "igammac(a, b)",
    None,
    "-g * exp((a - 1) * log(b) - b - lgamma(a))",
    **_AB_FLOAT,
    samples=_order_and_argument,
)
line("xlog1py", gm.xlog1py, "xlog1py(a, b)", "where((a == 0) & (b <= -1), 0, xlog1py(g, b))",
     "g * a / (b + 1)", **_AB_FLOAT, domain=(-0.5, 2.0))  # fmt: skip
_f("entr", gm.entr, "where(x > 0, -x * log(where(x > 0, x, 1)), where(x == 0, 0, where(x < 0, -float('inf'), x)))",
   "-g * (log(x) + 1)", (0.2, 2.0))  # fmt: skip
_f("erfcx", bs.erfcx, "erfcx(x)", "g * (x * y * 2 - 1.1283791670955126)")
_f("ndtr", bs.ndtr, "erfc(x * -0.7071067811865476) * 0.5", "g * exp(x * x * -0.5) * 0.3989422804014327")
_f("ndtri", bs.ndtri, "ndtri(x)", "g * exp(y * y * 0.5) * 2.5066282746310002", (0.05, 0.95))
_f("log_ndtr", bs.log_ndtr, "log_ndtr(x)", "g * 0.7978845608028654 / erfcx(x * -0.7071067811865476)")
for _name, _numpy in gm.POLYNOMIALS.items():
    line(_name, _numpy, f"{_name}(a, b)", None, None, **_AB_FLOAT)

# Bessel and Airy functions
_f("i0", bs.i0, "i0(x)", "g * i1(x)")
_f("i0e", bs.i0e, "i0e(x)", "g * (i1e(x) - sign(x) * y)", (0.1, 3.0))
_f("i1", bs.i1, "i1(x)", "g * where(abs(x) > 1e-30, i0(x) - y / where(abs(x) > 1e-30, x, 1), 0.5)", (0.1, 3.0))
_f(
    "i1e",
    bs.i1e,
    "i1e(x)",
    "g * where(abs(x) > 1e-30, i0e(x) - y * (sign(x) + 1 / where(abs(x) > 1e-30, x, 1)), 0.5)",
    (0.1, 3.0),
)
_f("bessel_j0", bs.j0, "bessel_j0(x)", "-g * bessel_j1(x)", (-12.0, 12.0))
_f("bessel_j1", bs.j1, "bessel_j1(x)", "g * where(x == 0, 0.5, bessel_j0(x) - y / where(x == 0, 1, x))", (0.1, 12.0))
_f("bessel_y0", bs.y0, "bessel_y0(x)", "-g * bessel_y1(x)", (0.5, 12.0))
_f("bessel_y1", bs.y1, "bessel_y1(x)", "g * (bessel_y0(x) - y / x)", (0.5, 12.0))
_f("bessel_k0", bs.k0, "bessel_k0(x)", "-g * bessel_k1(x)", (0.5, 4.0))
_f("bessel_k1", bs.k1, "bessel_k1(x)", "-g * (bessel_k0(x) + y / x)", (0.5, 4.0))
_f("bessel_k0e", bs.k0e, "bessel_k0e(x)", "g * (y - bessel_k1e(x))", (0.5, 4.0))
_f("bessel_k1e", bs.k1e, "bessel_k1e(x)", "g * (y - bessel_k0e(x) - y / x)", (0.5, 4.0))
_f("spherical_bessel_j0", bs.spherical_j0, "where(x == 0, 1, where(isinf(x), 0, sin(x) / where(x == 0, 1, x)))",
   "where(x == 0, 0, g * (cos(x) - y) / where(x == 0, 1, x))", (0.3, 4.0))  # fmt: skip
_f("airy_ai", bs.airy, "airy_ai(x)", None)

# sign, rounding
line("neg", np.negative, "-x", "-g", lowest=INT)
line("abs", np.abs, "abs(x)", "g * sign(x)", lowest=INT, domain=(0.2, 2.0))
line("sign", sp.sign, "sign(x)", "zeros_like(g)")
line("square", np.square, "x * x", "g * (x * 2)", lowest=INT)
line("reciprocal", sp.reciprocal, "1 / x", "-g * (y * y)", kind="float", lowest=FLOAT, domain=(0.5, 2.0))
line("ceil", sp.ceil, "ceil(x)", "zeros_like(g)", lowest=INT)
line("floor", sp.floor, "floor(x)", "zeros_like(g)", lowest=INT)
line("trunc", sp.trunc, "trunc(x)", "zeros_like(g)", lowest=INT)
line("frac", sp.frac, "x - trunc(x)", "g", lowest=FLOAT, domain=(0.1, 0.9))
line("round", sp.round_, "round(x)", "zeros_like(g)", lowest=INT)
line("nan_to_num", sp.nan_to_num, "where(isnan(x), nan, where(x == float('inf'), posinf, where(x == -float('inf'), neginf, x)))",
     "where(isnan(x) | isinf(x), g * 0, g)", params=("nan", "posinf", "neginf"), values=(0.0, 9.0, -9.0))  # fmt: skip

# selection and interpolation
line("clamp_min", act.clamp_min, "maximum(a, b)", "where(a >= b, g, 0)", "where(a < b, g, 0)", operands=AB)
line("clamp_max", act.clamp_max, "minimum(a, b)", "where(a <= b, g, 0)", "where(a > b, g, 0)", operands=AB)
line("clamp", act.hardtanh, "minimum(maximum(x, low), high)", "where((x >= low) & (x <= high), g, 0)",
     params=("low", "high"), values=(-1.0, 1.0), lowest=FLOAT)  # fmt: skip
line("lerp", sp.lerp, "where(abs(c) < 0.5, a + c * (b - a), b - (b - a) * (1 - c))", "g * (1 - c)", "g * c", "g * (b - a)",
     operands=ABC, lowest=FLOAT)  # fmt: skip
line("addcmul", sp.addcmul, "a + value * b * c", "g", "g * c * value", "g * b * value",
     operands=ABC, params=("value",), values=(1.5,), lowest=INT)  # fmt: skip
line("addcdiv", sp.addcdiv, "a + value * (b / c)", "g", "g * value / c",
     "-g * value * b / (c * c)", operands=ABC, params=("value",), values=(1.5,), lowest=FLOAT, domain=(0.5, 2.0))  # fmt: skip

# activations
_a: Any = {"lowest": FLOAT}
line("relu", act.relu, "where(x < 0, 0, x)", "where(y <= 0, 0, g)", lowest=INT)
line("relu6", act.relu6, "where(x < 0, 0, where(x > 6, 6, x))", "where((x > 0) & (x < 6), g, 0)", domain=(-2.0, 8.0),
     fast=act.relu6_grad)  # fmt: skip
line(
    "leaky_relu",
    act.leaky_relu,
    "where(x > 0, x, x * slope)",
    "where(x > 0, g, g * slope)",
    params=("slope",),
    values=(0.1,),
    fast=act.leaky_relu_grad,
    **_a,
)
line(
    "prelu", act.prelu, "where(a > 0, a, a * b)", "where(a > 0, g, g * b)", "where(a > 0, 0, g * a)", operands=AB, **_a
)
line(
    "threshold",
    act.threshold,
    "where(x <= limit, value, x)",
    "where(x <= limit, 0, g)",
    params=("limit", "value"),
    values=(0.3, -1.0),
)
line("hardtanh", act.hardtanh, "where(x < low, low, where(x > high, high, x))", "where((x > low) & (x < high), g, 0)",
     params=("low", "high"), values=(-1.0, 1.0), fast=act.hardtanh_grad)  # fmt: skip
line(
    "hardsigmoid",
    act.hardsigmoid,
    "where(x <= -3, 0, where(x >= 3, 1, x / 6 + 0.5))",
    "where((x > -3) & (x < 3), g / 6, 0)",
    fast=act.hardsigmoid_grad,
    **_a,
)
line("hardswish", act.hardswish, "x * minimum(maximum(x + 3, 0), 6) / 6",
     "where(x <= -3, 0, where(x >= 3, g, g * (x / 3 + 0.5)))", fast=act.hardswish_grad, **_a)  # fmt: skip
line("hardshrink", act.hardshrink, "where((x >= -limit) & (x <= limit), 0, x)", "where(abs(x) > limit, g, 0)",
     params=("limit",), values=(0.5,), fast=act.shrink_grad, **_a)  # fmt: skip
line("softshrink", act.softshrink, "where(x > limit, x - limit, where(x < -limit, x + limit, x * 0))",
     "where(abs(x) > limit, g, 0)", params=("limit",), values=(0.5,), fast=act.shrink_grad, **_a)  # fmt: skip
line("elu", act.elu, "where(x > 0, x * scale, expm1(where(x > 0, 0, x * slope)) * (alpha * scale))",
     "where(x > 0, g * scale, g * (exp(where(x > 0, 0, x * slope)) * (alpha * scale * slope)))",
     params=("alpha", "scale", "slope"), values=(1.2, 1.1, 0.9), fast=act.elu_grad, **_a)  # fmt: skip
line("celu", act.celu, "where(x > 0, x, expm1(where(x > 0, 0, x / alpha)) * alpha)",
     "where(x > 0, g, g * exp(where(x > 0, 0, x / alpha)))", params=("alpha",), values=(1.3,), fast=act.celu_grad, **_a)  # fmt: skip
line("softplus", act.softplus, "where(x * beta > limit, x, log1p(exp(where(x * beta > limit, 0, x * beta))) / beta)",
     "where(x * beta > limit, g, g * sigmoid(x * beta))", params=("beta", "limit"), values=(1.5, 20.0), fast=act.softplus_grad,
     **_a)  # fmt: skip
line("silu", act.silu, "x * sigmoid(x)", "g * sigmoid(x) * (1 + x * (1 - sigmoid(x)))", fast=act.silu_grad, **_a)
line("mish", act.mish, "x * tanh(log1p(exp(-abs(x))) + maximum(x, 0))",
     "g * (tanh(log1p(exp(-abs(x))) + maximum(x, 0)) + minimum(x, 100) * sigmoid(x) * (1 - tanh(log1p(exp(-abs(x))) + maximum(x, 0)) * tanh(log1p(exp(-abs(x))) + maximum(x, 0))))",
     fast=act.mish_grad, **_a)  # fmt: skip
line("gelu", act.gelu, "x * 0.5 * (1 + erf(x * 0.7071067811865476))",
     "g * (0.5 * (1 + erf(x * 0.7071067811865476)) + x * exp(x * x * -0.5) * 0.3989422804014327)", fast=act.gelu_grad, **_a)  # fmt: skip
line("gelu_tanh", act.gelu_tanh, "x * 0.5 * (1 + tanh((x + x * x * x * 0.044715) * 0.7978845608028654))",
     "g * (0.5 * (1 + tanh((x + x * x * x * 0.044715) * 0.7978845608028654)) + x * 0.5 * (1 - tanh((x + x * x * x * 0.044715) * 0.7978845608028654) * tanh((x + x * x * x * 0.044715) * 0.7978845608028654)) * (0.7978845608028654 + x * x * 0.10703222440890038))",
     fast=act.gelu_tanh_grad, **_a)  # fmt: skip

__all__ = ["NUMPY", "OPS", "TENSOR", "Elementwise", "line"]
