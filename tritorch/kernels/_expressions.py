"""The expression language of elementwise ops, translated to Triton.

An expression is a Python expression of operand names, numbers, `float('inf')`, the operators + - * / & | ^ ~ << >>,
comparisons, and the functions below, called by bare names. The same text is valid for NumPy arrays and for Tensors.
"""

from __future__ import annotations

import ast
import math
from typing import Any

import numpy as np

FUNCTIONS = {
    "exp": "_exp", "exp2": "tl.exp2", "expm1": "_expm1", "log": "tl.log", "log2": "tl.log2", "log10": "_log10",
    "log1p": "_log1p", "sqrt": "_sqrt", "rsqrt": "tl.rsqrt", "abs": "tl.abs", "sign": "_sign", "floor": "_floor",
    "ceil": "_ceil", "round": "_round", "trunc": "_trunc", "sin": "tl.sin", "cos": "tl.cos", "tan": "_tan",
    "asin": "_asin", "acos": "_acos", "atan": "_atan", "atan2": "_atan2", "sinh": "_sinh", "cosh": "_cosh",
    "tanh": "_tanh", "asinh": "_asinh", "acosh": "_acosh", "atanh": "_atanh", "erf": "tl.erf", "erfc": "_erfc",
    "erfinv": "_erfinv", "lgamma": "_lgamma", "digamma": "_digamma", "polygamma1": "_polygamma1",
    "sigmoid": "_sigmoid", "pow": "_pow", "fmod": "_fmod", "remainder": "_remainder", "maximum": "_maximum",
    "minimum": "_minimum", "floor_divide": "_floor_divide", "isnan": "_isnan", "isinf": "_isinf",
    "isfinite": "_isfinite", "copysign": "_copysign", "signbit": "_negative", "left_shift": "_left_shift",
    "right_shift": "_right_shift", "pow_scalar": "_pow_scalar", "gcd": "_gcd", "lcm": "_lcm", "nextafter": "_nextafter",
    "hypot": "_hypot", "xlogy": "_xlogy", "xlog1py": "_xlog1py",
}  # fmt: skip
RARE = {
    "airy_ai": "_airy", "bessel_k0": "_k0", "bessel_k1": "_k1", "bessel_k0e": "_k0e", "bessel_k1e": "_k1e",
} | {
    n: f"_{n}"
    for n in (
        "i0", "i0e", "i1", "i1e", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "erfcx", "log_ndtr", "ndtri", "zeta",
        "polygamma", "igamma", "igammac", "hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l",
        "legendre_polynomial_p", *(f"{s}chebyshev_polynomial_{k}" for s in ("", "shifted_") for k in "tuvw"),
    )
}  # fmt: skip
"""Functions of `_math_bessel.py` and `_math_gamma.py`, which are read when an expression names one of them."""
FUNCTIONS |= RARE
_INLINE = ("where", "zeros_like", "float", "logical_and", "logical_or", "logical_xor", "logical_not")
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div)
_BITS = (ast.BitAnd, ast.BitOr, ast.BitXor)
_SHIFTS = {ast.LShift: "_left_shift", ast.RShift: "_right_shift"}


def compute_type(dtypes: list[Any], out_dtypes: tuple[Any, ...]) -> np.dtype:
    """The type of the arithmetic: what the non-bool operands (or else the results) promote to, halves as float32."""
    kinds = [_widened(d) for d in dtypes if d.kind != "b"]
    if not kinds and not dtypes:
        kinds = [_widened(np.dtype(d)) for d in out_dtypes if np.dtype(d).kind != "b"]
    return np.result_type(*kinds) if kinds else np.dtype(np.int32)


def _widened(d: np.dtype) -> np.dtype:
    if d.kind == "c":
        raise TypeError(
            f"no elementwise kernel takes {d}; they take bool, integers, float16, bfloat16, float32, float64"
        )
    return np.dtype(np.float32) if d.itemsize == 2 and d.kind in "fV" else d


def translate(expression: str, names: tuple[str, ...], bools: frozenset[str], compute: np.dtype) -> str:
    """Triton source of an expression.

    Args:
        expression: the text.
        names: operands and parameters it may use, tiles of type `compute` but for the bools.
        bools: names of bool tiles, which become numbers where arithmetic is done on them.
        compute: the type of the arithmetic.

    Raises:
        ValueError: for what the language does not have.
    """
    tree = ast.parse(expression, mode="eval").body
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    done = ast.unparse(ast.fix_missing_locations(_Translator(expression, names, bools, compute).visit(tree)))
    if not used & set(names):  # a constant: make it a tile so that it has a type
        done = f"tl.full((1,), {done}, tl.{compute.name})"
    return done


class _Translator(ast.NodeTransformer):
    def __init__(self, text: str, names: tuple[str, ...], bools: frozenset[str], compute: np.dtype):
        self.text, self.names, self.bools = text, names, bools
        self.type = f"tl.{compute.name}"
        self.single = compute == np.float32
        self.floating = compute.kind == "f"

    def fail(self, what: str) -> ValueError:
        known = ", ".join(sorted((*FUNCTIONS, *_INLINE)))
        return ValueError(f"expression {self.text!r}: {what}; operands are {self.names}, functions {known}")

    def visit(self, node: ast.AST) -> Any:
        known = (ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call)
        if not isinstance(node, known):
            raise self.fail(f"{node.__class__.__name__} is not in the language")
        return super().visit(node)

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id not in self.names:
            raise self.fail(f"{node.id!r} is not an operand")
        return node

    def visit_Constant(self, node: ast.Constant) -> Any:
        return node

    def number(self, node: ast.AST) -> Any:
        """The translated operand of arithmetic: a bool tile as numbers."""
        out = self.visit(node)
        if isinstance(node, ast.Name) and node.id in self.bools or isinstance(node, ast.Compare):
            return _source(f"({ast.unparse(out)}).to({self.type})")
        return out

    def tile(self, node: ast.AST) -> Any:
        """The translated argument of a device function: a number as a tile, because it asks for a dtype."""
        out = self.number(node)
        if _is_number(node):
            return _source(f"tl.full((1,), {ast.unparse(out)}, {self.type})")
        return out

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        if isinstance(node.op, _BITS):
            return ast.BinOp(self.visit(node.left), node.op, self.visit(node.right))
        shift = _SHIFTS.get(type(node.op))
        if shift is not None:
            return _call(shift, self.tile(node.left), self.tile(node.right))
        if not isinstance(node.op, _ARITHMETIC):
            raise self.fail(f"operator {node.op.__class__.__name__} is not in the language")
        left, right = self.number(node.left), self.number(node.right)
        if isinstance(node.op, ast.Div) and self.floating:
            if isinstance(node.right, ast.Constant) and math.frexp(float(node.right.value))[0] == 0.5:
                return ast.BinOp(left, ast.Mult(), ast.Constant(1 / node.right.value))
            if self.single and not (_is_number(node.left) and _is_number(node.right)):
                return _call("tl.div_rn", left, right)
        return ast.BinOp(left, node.op, right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, ast.USub):
            if _is_number(node.operand):
                return ast.UnaryOp(node.op, self.visit(node.operand))
            return _call("_neg", self.number(node.operand))
        if isinstance(node.op, ast.Invert):
            return ast.UnaryOp(node.op, self.visit(node.operand))
        raise self.fail(f"operator {node.op.__class__.__name__} is not in the language")

    def visit_Compare(self, node: ast.Compare) -> Any:
        if len(node.ops) > 1:
            raise self.fail("comparisons are not chained")
        return ast.Compare(self.number(node.left), node.ops, [self.number(node.comparators[0])])

    def visit_Call(self, node: ast.Call) -> Any:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise self.fail("functions are called by bare names and position")
        name, args = node.func.id, node.args
        if name == "float":
            return node
        if name == "where":
            condition, a, b = args
            a_out, b_out = self.number(a), self.number(b)
            if _is_number(a) and _is_number(b):
                a_out = self.tile(a)
            if isinstance(condition, ast.Name) and condition.id not in self.bools:
                return _call("tl.where", _source(f"{condition.id} != 0"), a_out, b_out)
            return _call("tl.where", self.visit(condition), a_out, b_out)
        if name == "zeros_like":
            return _call("tl.zeros_like", self.tile(args[0]))
        if name.startswith("logical_"):
            nonzero = [f"({ast.unparse(self.tile(a))} != 0)" for a in args]
            if name == "logical_not":
                return _source(f"~{nonzero[0]}")
            return _source({"and": " & ", "or": " | ", "xor": " ^ "}[name[8:]].join(nonzero))
        if name == "pow" and isinstance(args[1], ast.Constant) and args[1].value in (2, 3):
            base = ast.unparse(self.tile(args[0]))
            return _source(" * ".join([f"({base})"] * int(args[1].value)))
        target = FUNCTIONS.get(name)
        if target is None:
            raise self.fail(f"{name!r} is not a function of the language")
        return _call(target, *[self.tile(a) for a in args])


def _is_number(node: ast.AST) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _is_number(node.operand)
    if isinstance(node, ast.BinOp):
        return _is_number(node.left) and _is_number(node.right)
    return isinstance(node, ast.Constant) or (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float"
    )


def _source(text: str) -> ast.AST:
    return ast.parse(text, mode="eval").body


def _call(name: str, *args: Any) -> ast.AST:
    return ast.Call(_source(name), list(args), [])
