# ruff: noqa: E501 - tables of one line per case
"""Every public elementwise function against torch: values, dtypes, shapes, and which calls raise what."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

import tritorch
from tritorch.tensor import Tensor, host

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

DTYPES = [
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]
UNARY = """exp exp2 expm1 log log2 log10 log1p sqrt rsqrt sigmoid sin cos tan asin acos atan sinh cosh tanh asinh acosh
atanh deg2rad rad2deg sinc erf erfc erfinv lgamma digamma neg abs sign square reciprocal ceil floor trunc frac round
bitwise_not logical_not isnan isinf isfinite isposinf isneginf signbit relu sgn nan_to_num logit isreal""".split()
BINARY = """add sub mul div pow remainder fmod maximum minimum fmax fmin atan2 hypot copysign logaddexp logaddexp2 xlogy
eq ne lt le gt ge logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor bitwise_left_shift
bitwise_right_shift floor_divide true_divide gcd lcm heaviside nextafter ldexp rsub float_power""".split()


def make(lib, kind: str, shape=(3, 4), seed: int = 0, positive: bool = False):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=shape) * 2
    if kind == "bool":
        a = a > 0
    elif kind.startswith("complex"):
        a = a + 1j * rng.normal(size=shape)
    elif "int" in kind:
        a = np.abs(np.rint(a * 2)) if kind == "uint8" or positive else np.rint(a * 2)
    elif positive:
        a = np.abs(a) + 0.1
    return lib.tensor(a.tolist(), dtype=getattr(lib, kind))


def outcome(f):
    """The result, or the type of the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return f()
    except (RuntimeError, TypeError, IndexError, ValueError, NotImplementedError) as error:
        return error


def compare(ours, theirs, what: str, rtol: float | None = None, errors: bool = True) -> None:
    if isinstance(theirs, Exception):
        if errors and not isinstance(theirs, NotImplementedError):  # a dtype that torch lacks we may have
            assert isinstance(ours, Exception), (
                f"{what}: torch raises {type(theirs).__name__}: {theirs}; we give {ours!r}"
            )
            assert isinstance(ours, type(theirs)) or isinstance(theirs, type(ours)), (
                f"{what}: {type(ours).__name__}: {ours}, torch {type(theirs).__name__}: {theirs}"
            )
        return
    assert not isinstance(ours, Exception), f"{what}: we raise {type(ours).__name__}: {ours}; torch gives {theirs}"
    if isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs), what
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            compare(a, b, f"{what} [{i}]", rtol, errors)
        return
    if not isinstance(theirs, torch.Tensor):
        assert ours == theirs, what
        return
    assert isinstance(ours, Tensor), what
    assert repr(ours.dtype) == repr(theirs.dtype), f"{what}: dtype {ours.dtype}, torch {theirs.dtype}"
    assert tuple(ours.shape) == tuple(theirs.shape), f"{what}: shape {tuple(ours.shape)}, torch {tuple(theirs.shape)}"
    a = host(ours.detach())
    b = theirs.detach().resolve_conj()
    name = str(theirs.dtype).removeprefix("torch.")
    tolerance = (
        {"float16": 2e-3, "bfloat16": 1.6e-2, "float32": 3e-5, "complex64": 3e-5}.get(name, 1e-9)
        if rtol is None
        else rtol
    )
    b = b.to(torch.float32).numpy() if name == "bfloat16" else b.numpy()
    a = a.astype(np.float32) if name == "bfloat16" else a
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance if b.dtype.kind in "fc" else 0, err_msg=what)


@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str) -> None:
    for kind in DTYPES:
        if kind.startswith("complex") and name in COMPLEX_LATER:
            continue
        for positive in (False, True):
            ours = outcome(lambda: getattr(tritorch, name)(make(tritorch, kind, positive=positive)))
            theirs = outcome(lambda: getattr(torch, name)(make(torch, kind, positive=positive)))
            compare(
                ours, theirs, f"{name} {kind}", 1e-3 if kind == "float32" and name in ("lgamma", "digamma") else None
            )


COMPLEX_LATER = {
    "sinc",
    "sigmoid",
    "expm1",
    "log1p",
    "exp2",
    "erf",
    "rsqrt",
    "isposinf",
    "isneginf",
    "nan_to_num",
    "logit",
    "round",
}


@pytest.mark.parametrize("name", BINARY)
def test_binary_promotion(name: str) -> None:
    for left, right in itertools.product(DTYPES, DTYPES):
        if "complex" in left + right and name in ("logaddexp", "xlogy", "ldexp", "float_power", "pow"):
            continue
        if "shift" in name and (left == "bool" or right == "bool"):
            continue
        call = lambda lib: getattr(lib, name)(
            make(lib, left, positive=True), make(lib, right, (4,), 1, positive=True) + 1
        )  # noqa: E731
        if right == "bool":
            call = lambda lib: getattr(lib, name)(make(lib, left, positive=True), make(lib, right, (4,), 1) | True)  # noqa: E731
        half = {left, right} & {"float16", "bfloat16"}
        compare(
            outcome(lambda: call(tritorch)),
            outcome(lambda: call(torch)),
            f"{name} {left} {right}",
            5e-2 if half else 1e-6 if name == "ldexp" else None,
        )


@pytest.mark.parametrize(
    "name", ["add", "sub", "mul", "div", "pow", "remainder", "eq", "lt", "maximum", "floor_divide", "atan2"]
)
@pytest.mark.parametrize("scalar", [2, 2.5, True, -1])
def test_binary_with_numbers(name: str, scalar) -> None:
    for kind in DTYPES:
        if kind.startswith("complex"):
            continue
        call = lambda lib: getattr(lib, name)(make(lib, kind, positive=True), scalar)  # noqa: E731
        ours, theirs = outcome(lambda: call(tritorch)), outcome(lambda: call(torch))
        if name in ("maximum", "atan2") or (name, kind, scalar) == ("lt", "uint8", -1):
            continue  # torch refuses numbers here; and it wraps -1 to 255
        compare(ours, theirs, f"{name} {kind} {scalar}", 2e-2 if kind in ("float16", "bfloat16") else None)


OPERATORS = {
    "a + b": lambda a, b: a + b, "a - b": lambda a, b: a - b, "a * b": lambda a, b: a * b, "a / b": lambda a, b: a / b,
    "a // b": lambda a, b: a // b, "a % b": lambda a, b: a % b, "a ** 2": lambda a, b: a**2, "2 ** a": lambda a, b: 2**a,
    "1 - a": lambda a, b: 1 - a, "1 / b": lambda a, b: 1 / b, "2.5 * a": lambda a, b: 2.5 * a, "-a": lambda a, b: -a,
    "a == b": lambda a, b: a == b, "a != b": lambda a, b: a != b, "a < b": lambda a, b: a < b, "a >= 1": lambda a, b: a >= 1,
    "a & b": lambda a, b: a & b, "a | b": lambda a, b: a | b, "a ^ b": lambda a, b: a ^ b, "~a": lambda a, b: ~a,
    "a << 1": lambda a, b: a << 1, "a >> 1": lambda a, b: a >> 1, "abs(a)": lambda a, b: abs(a), "3 // b": lambda a, b: 3 // b,
    "7 % b": lambda a, b: 7 % b, "True + a": lambda a, b: True + a, "+a": lambda a, b: +a, "a ** b": lambda a, b: a**b,
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name: str) -> None:
    for kind in DTYPES:
        if kind.startswith("complex") and ("**" in name or "<" in name or "//" in name or "%" in name):
            continue
        call = lambda lib: OPERATORS[name](
            make(lib, kind, positive=True), make(lib, kind, (4,), 1, positive=True) + (1 if kind != "bool" else False)
        )  # noqa: E731
        compare(
            outcome(lambda: call(tritorch)),
            outcome(lambda: call(torch)),
            f"{name} {kind}",
            2e-2 if kind in ("float16", "bfloat16") else None,
        )


@pytest.mark.parametrize(
    "name", ["add_", "sub_", "mul_", "div_", "pow_", "remainder_", "floor_divide_", "clamp_", "exp_", "neg_"]
)
def test_in_place_keeps_the_dtype_or_raises(name: str) -> None:
    for left, right in itertools.product(DTYPES[:10], DTYPES[:10]):

        def call(lib):
            x = make(lib, left, positive=True)
            other = (
                ()
                if name in ("exp_", "neg_")
                else (make(lib, right, (4,), 1, positive=True) + 1,)
                if right != "bool"
                else (make(lib, right, (4,)) | True,)
            )
            return getattr(x, name)(*other)

        compare(
            outcome(lambda: call(tritorch)),
            outcome(lambda: call(torch)),
            f"{name} {left} {right}",
            5e-2 if {left, right} & {"float16", "bfloat16"} else None,
        )


def test_special_values() -> None:
    values = [float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e-40, 3e38, -1.0, 1.0, 0.5, 2.0]
    for name in UNARY:
        if name in ("bitwise_not", "gcd", "lcm"):
            continue
        for kind in ("float32", "float64"):
            ours = getattr(tritorch, name)(tritorch.tensor(values, dtype=getattr(tritorch, kind)))
            theirs = getattr(torch, name)(torch.tensor(values, dtype=getattr(torch, kind)))
            compare(ours, theirs, f"{name} {kind}", 1e-4 if kind == "float32" else 1e-6)
    for name in BINARY:
        if "bitwise" in name or name in ("gcd", "lcm", "nextafter", "ldexp", "float_power"):
            continue
        a, b = zip(*itertools.product(values, values), strict=True)
        ours = getattr(tritorch, name)(
            tritorch.tensor(a, dtype=tritorch.float64), tritorch.tensor(b, dtype=tritorch.float64)
        )
        theirs = getattr(torch, name)(torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64))
        compare(ours, theirs, name, 1e-9)


GRADS = [
    n
    for n in UNARY
    if n not in ("sgn", "sign", "bitwise_not", "logical_not", "isreal") and not n.startswith("is") and n != "signbit"
]


@pytest.mark.parametrize("name", GRADS)
def test_unary_gradients(name: str) -> None:
    values = np.random.default_rng(0).uniform(0.1, 0.9, (3, 4)) + (1 if name == "acosh" else 0)

    def run(lib):
        x = lib.tensor(values.tolist(), dtype=lib.float64, requires_grad=True)
        y = getattr(lib, name)(x)
        (g,) = lib.autograd.grad(y, x, lib.ones_like(y), create_graph=True)
        return [y, g]

    compare(run(tritorch), run(torch), name, 1e-9)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow", "remainder", "fmod", "maximum", "minimum", "fmax", "fmin", "atan2", "hypot",
                                  "copysign", "logaddexp", "logaddexp2", "xlogy", "ldexp", "true_divide"])  # fmt: skip
def test_binary_gradients(name: str) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0.5, 2, (3, 4)), rng.uniform(0.5, 2, (4,))

    def run(lib):
        x = lib.tensor(a.tolist(), dtype=lib.float64, requires_grad=True)
        w = lib.tensor(b.tolist(), dtype=lib.float64, requires_grad=True)
        y = getattr(lib, name)(x, w)
        return [y, *lib.autograd.grad(y, [x, w], lib.ones_like(y), allow_unused=True, materialize_grads=True)]

    compare(run(tritorch), run(torch), name, 1e-9)


def test_clamp_where_lerp_and_friends() -> None:
    def cases(lib):
        x, y = make(lib, "float32"), make(lib, "float32", seed=1)
        i = make(lib, "int64")
        yield x.clamp(-1, 1), x.clamp(min=0.5), x.clamp(max=lib.tensor(0.25)), i.clamp(0, 2.5), lib.clip(x, y - 1, y)
        yield lib.where(x > 0, x, y), lib.where(x > 0, 1.0, 0), lib.where(i > 0, i, 2.5), lib.where(x > 0)
        yield (
            lib.lerp(x, y, 0.3),
            lib.lerp(x, y, y.sigmoid()),
            lib.addcmul(x, x, y, value=2),
            lib.addcdiv(x, x, y, value=0.5),
        )
        yield (
            lib.div(i, 3, rounding_mode="trunc"),
            lib.div(i, -3, rounding_mode="floor"),
            lib.div(x, y, rounding_mode="trunc"),
        )
        yield (
            lib.isclose(x, x + 1e-9),
            lib.allclose(x, y),
            lib.equal(x, x.clone()),
            lib.add(x, y, alpha=2),
            lib.sub(x, 2, alpha=3),
        )
        yield (
            x.nan_to_num(0.0, 1.0, 2.0),
            lib.round(x, decimals=1),
            lib.rsub(x, 2),
            lib.angle(x),
            lib.sgn(x),
            lib.float_power(i, 2),
        )
        yield lib.result_type(x, i), lib.promote_types(lib.int32, lib.float16), lib.can_cast(lib.float32, lib.int64)

    for ours, theirs in zip(cases(tritorch), cases(torch), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            if isinstance(b, torch.dtype):
                assert repr(a) == repr(b)
            else:
                compare(a, b, "")
