"""How a public function becomes a Tensor method, with its in-place twin and `out=`, and what writes into tensors."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from .autograd import inplace as _inplace
from .autograd.modes import STATE
from .device import CPU, on_device, to_device
from .device import copy as device_copy
from .dtypes import dtype
from .errors import message
from .tensor import Tensor, bump, host

F = TypeVar("F", bound=Callable[..., Any])
_new = object.__new__


def method(function: F | None = None, *, inplace: bool = False, out: bool = False, name: str | None = None) -> Any:
    """Bind a public function as Tensor method of the same name.

    Arguments:
        inplace: also make `Tensor.name_`, the in-place twin.
        out: give the function the keyword `out=`, a tensor that receives (and is) the result.
    """

    def decorate(f: Any) -> Any:
        made = with_out(f) if out else f
        key = name or f.__name__
        setattr(Tensor, key, made)
        if inplace:
            setattr(Tensor, key + "_", in_place(f, key + "_"))
        return made

    return decorate(function) if function is not None else decorate


_OUT_DOC = """

    `out=`, a tensor (a tuple of them for several results), receives the result and is returned; there is no gradient.
    """


def with_out(f: F, *, typed: bool = False) -> F:
    """Add `out=`, which receives the result and is returned; the docstring says so.

    Its dtype is any that the result can be cast to; PyTorch asks for the result's own in some functions.

    Arguments:
        typed: where `dtype=` is not given, the dtype of out is meant.
    """

    @functools.wraps(f)
    def call(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return f(*args, **kwargs)
        if typed:
            kwargs["dtype"] = dtype_for(f.__name__, kwargs.get("dtype"), out)
        return given(f.__name__, f(*args, **kwargs), out)

    if f.__doc__:
        call.__doc__ = f.__doc__.rstrip() + _OUT_DOC
    return call  # type: ignore[return-value]


def dtype_for(op: str, asked: Any, out: Any) -> Any:
    """The dtype to compute in: the one asked for, else that of `out`, where it is given; they may not differ."""
    if not isinstance(out, Tensor):
        return asked
    if asked is not None and asked is not out.dtype:
        raise RuntimeError(message(op, f"dtype {asked} does not match the dtype of out", out=out))
    return out.dtype


def given(op: str, result: Any, out: Any) -> Any:
    """`result`, where `out` is None; else `out` with the result written into it, a tuple of tensors into a tuple."""
    if out is None:
        return result
    if not isinstance(result, tuple):
        write_out(op, result, out)
        return out
    if not isinstance(out, (tuple, list)) or len(out) != len(result):
        got = f"{len(out)} items" if isinstance(out, (tuple, list)) else type(out).__name__
        raise TypeError(f"{op}: out must be a tuple of {len(result)} Tensors; got {got}")
    for r, o in zip(result, out, strict=True):
        write_out(op, r, o)
    return type(result)(*out) if hasattr(result, "_fields") else tuple(out)


def write_out(op: str, result: Tensor, out: Tensor, warn: bool = True) -> None:
    """Write `result` into `out`, which is resized when its shape differs; `warn` when it held elements then."""
    if not isinstance(out, Tensor):
        raise TypeError(f"{op}: out must be a Tensor; got {type(out).__name__}")
    if STATE.grad and (result._node is not None or out._node is not None):
        raise RuntimeError(
            f"{op}: functions with out=... arguments don't support automatic differentiation, but one of the arguments "
            "requires grad."
        )
    if out.device is not result.device:
        raise RuntimeError(message(op, f"out must be on {result.device}", out=out))
    check_cast(op, result.dtype, out.dtype)
    if out._a.shape != result._a.shape:
        if warn and out._a.size:
            warnings.warn(
                f"An output with one or more elements was resized since it had shape {list(out._a.shape)}, which does not "
                f"match the required output shape {list(result._a.shape)}.",
                stacklevel=4,
            )
        out.resize_(result._a.shape)  # type: ignore[attr-defined]
    _inplace.check(out, op)
    write(out, result)


def check_cast(op: str, source: dtype, target: dtype) -> None:
    """RuntimeError when a result of dtype `source` may not be stored as `target` (a lower category)."""
    if source.category > target.category:
        raise RuntimeError(f"{op}: result type {_cap(source)} can't be cast to the desired output type {_cap(target)}")


_CAP = {"float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long", "int32": "Int",
        "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool", "complex64": "ComplexFloat",
        "complex128": "ComplexDouble"}  # fmt: skip


def _cap(d: dtype) -> str:
    return _CAP[d.name]


def write(target: Tensor, values: Any) -> None:
    """Overwrite the memory of `target` with a tensor that broadcasts to its shape; counts the change, no history."""
    a = target._a
    if target.device is CPU and values.device is CPU:
        try:
            a[...] = values._a
        except ValueError:
            if not a.flags.writeable:
                raise overlap(target) from None
            raise
    else:
        from .kernels._pointwise import copy_into

        v = values._a
        if values.device is not target.device:
            v = host(values)
            if target.device is CPU:
                np.copyto(a, v, casting="unsafe")
                bump(target)
                return
            v = to_device(np.ascontiguousarray(v).reshape(v.shape), target.device)
        with on_device(target.device.index):
            if a.size:
                copy_into(a, v)
    bump(target)


def overlap(t: Tensor) -> RuntimeError:
    return RuntimeError(
        "unsupported operation: more than one element of the written-to tensor refers to a single memory location (or "
        f"the memory is read-only; shape {tuple(t._a.shape)}). Please clone() the tensor before performing the operation."
    )


def in_place(f: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The in-place twin of a function: computed on the old values, written over them, history taken over."""

    def call(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        _inplace.check(self, name)
        if STATE.grad:
            old = alias(self)
            if self._node is not None or any(getattr(a, "_node", None) is not None for a in args):
                old._a = old._a.copy() if self.device is CPU else device_copy(old._a, self.device)
            result = f(old, *args, **kwargs)
        else:
            result = f(self, *args, **kwargs)
        return overwrite(self, result, name)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"In-place version of `{f.__name__}`; returns self."
    return call


def alias(t: Tensor) -> Tensor:
    """The same array and node under another Tensor, whose version no later change touches."""
    made = _new(Tensor)
    made._a, made.dtype, made.device, made._node = t._a, t.dtype, t.device, t._node
    made._vc = made._view = None
    return made


def overwrite(self: Tensor, result: Tensor, name: str) -> Tensor:
    """The second half of an in-place op: `result` becomes the value and the history of `self`."""
    check_cast(name, result.dtype, self.dtype)
    if result._a.shape != self._a.shape:
        raise RuntimeError(
            f"{name}: output with shape {list(self._a.shape)} doesn't match the broadcast shape {list(result._a.shape)}"
        )
    if result.dtype is not self.dtype and result._node is not None:
        result = result.to(self.dtype)
    write(self, result)
    if STATE.grad:
        _inplace.rebase(self, result._node)
    return self
