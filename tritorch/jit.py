"""torch.jit: functions and modules stay what they are, eager Python.

`script`, `trace` and the decorators return their argument, so that code written for TorchScript runs; there is no
compiler, no serialised program, and nothing is checked or frozen. `save` and `load` of scripted programs do not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

__all__ = [
    "Attribute", "annotate", "export", "fork", "freeze", "ignore", "interface", "is_scripting", "is_tracing", "isinstance",
    "optimize_for_inference", "optimized_execution", "script", "script_if_tracing", "trace", "trace_module", "unused", "wait",
]  # fmt: skip

_isinstance = isinstance


def script(obj: T = None, optimize: Any = None, _frames_up: int = 0, _rcb: Any = None, example_inputs: Any = None) -> T:  # type: ignore[assignment]
    """`obj`, a function, class or module, unchanged.

    >>> import tritorch as torch
    >>> @torch.jit.script
    ... def double(x):
    ...     return x * 2
    >>> double(torch.ones(1))
    tensor([2.])
    """
    return obj


def trace(func: T, example_inputs: Any = None, **options: Any) -> T:
    """`func`, a function or module, unchanged; the examples are not run."""
    return func


def trace_module(mod: T, inputs: Any = None, **options: Any) -> T:
    """`mod`, unchanged."""
    return mod


def script_if_tracing(fn: T) -> T:
    """`fn`, unchanged."""
    return fn


def ignore(drop: Any = False, **options: Any) -> Any:
    """A decorator (with or without arguments) that returns the function."""
    return drop if callable(drop) else _same


def unused(fn: T) -> T:
    """`fn`, unchanged."""
    return fn


def export(fn: T) -> T:
    """`fn`, unchanged."""
    return fn


def interface(obj: T) -> T:
    """`obj`, unchanged."""
    return obj


def _same(obj: T) -> T:
    return obj


def freeze(mod: T, preserved_attrs: Any = None, optimize_numerics: bool = True) -> T:
    """`mod`, unchanged."""
    return mod


def optimize_for_inference(mod: T, other_methods: Any = None) -> T:
    """`mod`, unchanged."""
    return mod


@contextmanager
def optimized_execution(should_optimize: bool) -> Any:
    """A context without effect."""
    yield


def is_scripting() -> bool:
    """False: code always runs as Python."""
    return False


def is_tracing() -> bool:
    """False: code always runs as Python."""
    return False


def annotate(the_type: Any, the_value: T) -> T:
    """`the_value`."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Python's isinstance; of a generic type its origin counts."""
    kinds = target_type if _isinstance(target_type, tuple) else (target_type,)
    return _isinstance(obj, tuple(getattr(k, "__origin__", k) for k in kinds))


def Attribute(value: T, type: Any = None) -> T:  # noqa: N802 - PyTorch's name
    """`value`."""
    return value


def fork(func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """The result of func(*args, **kwargs), computed at once; `wait` gives it back."""
    return func(*args, **kwargs)


def wait(future: T) -> T:
    """The result of `fork`."""
    return future
