"""dtype objects, PyTorch's promotion rules, finfo and iinfo.

A `dtype` is a singleton that carries its NumPy twin in `.np`. bfloat16 comes from ml_dtypes.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

BOOL, INT, FLOAT, COMPLEX = range(4)  # the categories of promotion, in rising order


class dtype:  # noqa: N801 - PyTorch's name
    """The type of a tensor's elements; printed as PyTorch prints it.

    >>> from tritorch import float32
    >>> float32, float32.itemsize, float32.is_floating_point
    (torch.float32, 4, True)
    """

    __slots__ = (
        "name",
        "np",
        "itemsize",
        "category",
        "is_floating_point",
        "is_complex",
        "is_signed",
        "is_half",
        "zero",
    )

    def __init__(self, name: str, np_type: Any, category: int, is_signed: bool = True):
        self.name = name
        self.np = np.dtype(np_type)
        self.itemsize = self.np.itemsize
        self.category = category
        self.is_floating_point = category == FLOAT
        self.is_complex = category == COMPLEX
        self.is_signed = is_signed
        self.is_half = category == FLOAT and self.itemsize == 2
        self.zero = np.zeros((), self.np)  # a 0-dim array costs NumPy half of what a Python 0 costs

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self):
        return _by_name, (self.name,)

    def __copy__(self) -> dtype:
        return self

    def __deepcopy__(self, memo: dict) -> dtype:
        return self

    def to_real(self) -> dtype:
        """float32 for complex64, float64 for complex128, itself otherwise."""
        return {complex64: float32, complex128: float64}.get(self, self)

    def to_complex(self) -> dtype:
        """complex64 for float32 and narrower, complex128 for float64."""
        return complex128 if self in (float64, complex128) else complex64


bool_ = dtype("bool", np.bool_, BOOL, False)
uint8 = dtype("uint8", np.uint8, INT, False)
int8 = dtype("int8", np.int8, INT)
int16 = dtype("int16", np.int16, INT)
int32 = dtype("int32", np.int32, INT)
int64 = dtype("int64", np.int64, INT)
float16 = dtype("float16", np.float16, FLOAT)
bfloat16 = dtype("bfloat16", ml_dtypes.bfloat16, FLOAT)
float32 = dtype("float32", np.float32, FLOAT)
float64 = dtype("float64", np.float64, FLOAT)
complex64 = dtype("complex64", np.complex64, COMPLEX)
complex128 = dtype("complex128", np.complex128, COMPLEX)

ALL = (bool_, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64, complex64, complex128)
NAMES = {d.name: d for d in ALL} | {
    "half": float16, "float": float32, "double": float64, "cfloat": complex64, "cdouble": complex128,
    "short": int16, "int": int32, "long": int64,
}  # fmt: skip
FROM_NP: dict[Any, dtype] = {d.np: d for d in ALL}

_default = float32


def _by_name(name: str) -> dtype:
    return NAMES[name]


def get_default_dtype() -> dtype:
    """The dtype of new floating-point tensors, float32 unless `set_default_dtype` said otherwise."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Set the dtype of tensors made from Python floats; TypeError unless `d` is a floating-point dtype."""
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"set_default_dtype: d must be a floating-point dtype; got {d!r}")
    _default = d


def from_numpy_dtype(np_dtype: Any, op: str = "from_numpy") -> dtype:
    """The dtype of a NumPy array; TypeError that names the supported ones otherwise."""
    found = FROM_NP.get(np_dtype)
    if found is None:
        found = FROM_NP.get(np.dtype(np_dtype).newbyteorder("="))
        if found is None or not np.dtype(np_dtype).isnative:
            names = ", ".join(d.name for d in ALL)
            raise TypeError(f"{op}: can't convert an array of dtype {np_dtype}; supported are: {names}")
    return found


_INT_RANK = {int8: 0, int16: 1, int32: 2, int64: 3}
_FLOAT_RANK = {float16: 0, bfloat16: 0, float32: 1, float64: 2}


def _promote(a: dtype, b: dtype) -> dtype:
    if a is b:
        return a
    if a.category < b.category:
        a, b = b, a
    if a.category == COMPLEX:
        wide = b in (float64, complex128) or a is complex128
        return complex128 if wide else complex64
    if a.category == FLOAT:
        if b.category != FLOAT:
            return a
        if _FLOAT_RANK[a] == _FLOAT_RANK[b]:
            return float32  # float16 with bfloat16
        return a if _FLOAT_RANK[a] > _FLOAT_RANK[b] else b
    if a.category == BOOL or b.category == BOOL:
        return a
    if uint8 in (a, b):
        other = b if a is uint8 else a
        return int16 if other is int8 else other
    return a if _INT_RANK[a] > _INT_RANK[b] else b


_TABLE = {(a, b): _promote(a, b) for a in ALL for b in ALL}


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest dtype that holds both, by PyTorch's rule (categories bool < int < float < complex).

    >>> from tritorch import int64, float16, uint8, int8
    >>> promote_types(int64, float16), promote_types(uint8, int8)
    (torch.float16, torch.int16)
    """
    return _TABLE[type1, type2]


def scalar_dtype(value: Any) -> dtype:
    """The dtype that a Python scalar brings into promotion."""
    kind = value.__class__
    if kind is bool:
        return bool_
    if kind is int:
        return int64
    if kind is float:
        return _default
    if kind is complex:
        return _default.to_complex()
    if isinstance(value, np.generic):
        return from_numpy_dtype(value.dtype)
    for kind, found in ((bool, bool_), (int, int64), (float, _default), (complex, _default.to_complex())):
        if isinstance(value, kind):  # subclasses of Python's numbers
            return found
    raise TypeError(f"expected a tensor or a number; got {value.__class__.__name__}")


def result_dtype(dims: list[dtype], zero_dims: list[dtype], scalars: list[dtype]) -> dtype:
    """PyTorch's result type of operands given by priority: tensors with dims, 0-dim tensors, Python scalars.

    A lower-priority group counts only when its category is higher than all groups before it.
    """
    best: dtype | None = None
    for rank, group in enumerate((dims, zero_dims, scalars)):
        if not group:
            continue
        joint = group[0]
        for d in group[1:]:
            joint = _TABLE[joint, d]
        if best is None:
            best = joint
        elif joint.category > best.category:
            if rank == 2 and joint.category == COMPLEX and best.category == FLOAT:
                best = best.to_complex()
            else:
                best = _TABLE[best, joint] if joint.category == COMPLEX else joint
    assert best is not None
    return best


class finfo:  # noqa: N801 - PyTorch's name
    """Machine limits of a floating-point dtype: eps, max, min, tiny, smallest_normal, resolution, bits.

    >>> import tritorch
    >>> tritorch.finfo(tritorch.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, type: dtype | None = None):
        kind = type or _default
        if kind.category < FLOAT:
            raise TypeError(f"finfo: needs a floating-point dtype; got {kind}; use iinfo for integers")
        kind = kind.to_real()
        info = ml_dtypes.finfo(kind.np)
        self.dtype = kind.name
        self.bits = kind.itemsize * 8
        self.eps, self.max, self.min = float(info.eps), float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.smallest_normal)
        self.resolution = float(info.resolution)

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:  # noqa: N801 - PyTorch's name
    """Limits of an integer dtype: min, max, bits.

    >>> import tritorch
    >>> tritorch.iinfo(tritorch.int8).max
    127
    """

    def __init__(self, type: dtype):
        if type.category != INT:
            raise TypeError(f"iinfo: needs an integer dtype; got {type}; use finfo for floats")
        info = np.iinfo(type.np)
        self.dtype, self.bits, self.min, self.max = type.name, info.bits, int(info.min), int(info.max)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
