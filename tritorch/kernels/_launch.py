"""Kernels that compile when they are first launched, and the launch itself.

A kernel file declares its Triton kernels with `@kernel` and starts them with `launch`; importing the file imports
neither Triton nor CuPy:

    from __future__ import annotations
    from typing import TYPE_CHECKING
    from ._launch import empty_like, kernel, launch

    if TYPE_CHECKING:
        import triton.language as tl               # at run time the first launch puts `tl` into the module

    @kernel
    def _double(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
        ...

    def double(x):
        y = empty_like(x)
        launch(_double, (-(-x.size // 1024),), x, y, x.size, BLOCK=1024, num_warps=4)
        return y

Parameters stand in the order pointers, scalars, constexprs; pointers and scalars are given by position, constexprs and
the compiler's options (`num_warps`, `num_stages`, `num_ctas`, `maxnreg`) by keyword. A Python int 1 and None become
constants of the compiled kernel, a float is float32 unless the parameter is annotated `tl.float64`, a bool must be a
constexpr. On the emulated device the same code runs through Triton's interpreter (`_interpreter.py`); otherwise through
Triton's compiler and our driver object (`_driver.py`).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..device import EMULATED
from ..device import _current as _thread
from ..device import empty as _empty
from ._op import Array

OPTIONS = frozenset(("num_warps", "num_stages", "num_ctas", "maxnreg", "enable_fp_fusion"))

_lock = threading.RLock()
_adopted_kernels: dict[int, Kernel] = {}


class Kernel:
    """A Triton kernel that is not compiled yet.

    The first launch of any kernel of a module puts Triton's function in the place of every `Kernel` among the module's
    names, so that kernels can call each other; a reference kept elsewhere goes on working through `jit`.
    """

    def __init__(self, fn: Callable[..., Any], do_not_specialize: Iterable[str] = ()):
        self.fn = fn
        self.do_not_specialize = tuple(do_not_specialize)
        self.jit: Any = None
        self.original: Any = None
        self.__name__ = fn.__name__
        self.__doc__ = fn.__doc__
        self.__module__ = fn.__module__

    def __repr__(self) -> str:
        return f"<kernel {self.__module__}.{self.__name__}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"kernel {self.__name__}: start it by launch(kernel, grid, ...), not by a call")

    def start(self, grid: tuple[int, ...], args: tuple[Any, ...], consts: dict[str, Any]) -> None:
        prepare(self).start(grid, args, consts)


def kernel(fn: Callable[..., Any] | None = None, *, do_not_specialize: Iterable[str] = ()) -> Any:
    """Declare a Triton kernel, or a device function that kernels call.

    Args:
        fn: the function, written in Triton's language.
        do_not_specialize: names of integer parameters that change from call to call and feed no address; for them no
            variants for 1 and for multiples of 16 are compiled.
    """
    if fn is None:
        return lambda f: Kernel(f, do_not_specialize)
    return Kernel(fn, do_not_specialize)


def prepare(kern: Any) -> Any:
    """Triton's function for a kernel; the first call makes it and all that its module can call known to Triton."""
    if kern.__class__ is not Kernel:
        return kern
    if kern.jit is None:
        with _lock:
            _prepare_module(kern)
    return kern.jit


def _prepare_module(kern: Kernel) -> None:
    if EMULATED:
        from ._interpreter import Interpreted as function
    else:
        from ._driver import Compiled as function
    names = kern.fn.__globals__
    names["tl"] = sys.modules["triton.language"]
    if kern.jit is None:
        kern.jit = function(kern.fn, kern.do_not_specialize)
    for name, value in list(names.items()):
        if value.__class__ is Kernel:
            if value.jit is None:
                value.jit = function(value.fn, value.do_not_specialize)
            names[name] = value.jit
            if value.fn.__globals__ is not names:  # a device function of another file brings its own companions
                _prepare_module(value)


def launch(kern: Any, grid: tuple[int, ...], *args: Any, **consts: Any) -> None:
    """Start `kern` on the current device and stream, over `grid` programs (nothing happens when one size is 0).

    Args:
        kern: what `@kernel` or Triton's own `@triton.jit` made.
        grid: 1 to 3 numbers of programs.
        args: arrays (passed as pointers) and Python ints, floats or None, in the kernel's order.
        consts: the kernel's constexpr parameters, and options of the compiler (`OPTIONS`). `reach=[...]` names arrays
            that the kernel reaches through addresses stored in memory; only the emulated device's bounds check asks.
    """
    try:
        start = kern.start
    except AttributeError:
        kern = _adopted(kern)
        start = kern.start
    if _thread.tape is None:
        start(grid, args, consts)
    else:
        start(grid, args, dict(consts))
        _thread.tape.launched(prepare(kern), grid, args, consts)


def _adopted(jit: Any) -> Kernel:
    """A kernel of ours for a function that was made by `@triton.jit`."""
    found = _adopted_kernels.get(id(jit))
    if found is None:
        if not hasattr(jit, "fn"):
            raise TypeError(f"launch: expected a kernel made by @kernel or @triton.jit; got {jit!r}")
        found = _adopted_kernels[id(jit)] = Kernel(jit.fn)
        found.original = jit  # keeps the id from being given to another object
    return found


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """Uninitialised memory on the current device.

    Args:
        shape: the sizes.
        dtype: a NumPy dtype (bfloat16 through ml_dtypes).
    """
    return _empty(shape, dtype)


def empty_like(x: Array, dtype: Any = None) -> Array:
    """Uninitialised contiguous memory of `x`'s shape (and dtype, unless given) on the current device."""
    return _empty(x.shape, x.dtype if dtype is None else dtype)


def check_grid(name: str, grid: tuple[int, ...]) -> tuple[int, int, int]:
    """`grid` as three ints; ValueError for more programs than a GPU takes."""
    g = (*grid, 1, 1, 1)[: max(3, len(grid))]
    if len(g) > 3 or g[0] >= 2**31 or g[1] > 65535 or g[2] > 65535 or min(g) < 0:
        raise ValueError(f"kernel {name}: a grid has 1 to 3 sizes, at most (2**31 - 1, 65535, 65535); got {grid}")
    return g  # type: ignore[return-value]


def scalar_error(name: str, value: Any) -> TypeError:
    """The TypeError for an argument that is neither an array nor a plain number."""
    kind = value.__class__.__name__
    if isinstance(value, np.ndarray):
        return TypeError(f"kernel {name}: got an array on the CPU; put it on the device by to_device")
    hint = "give a bool as a constexpr" if isinstance(value, (bool, np.bool_)) else "convert it by .item() or int()"
    return TypeError(f"kernel {name}: arguments are arrays, Python ints and floats, and None; got {kind}: {hint}")
