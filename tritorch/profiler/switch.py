"""Switching recording in and out: functions call a hook while something records, and nothing is added to them otherwise.

The code of each function that `names` lists is exchanged for a shell that hands the call on, so that whoever holds the
function - a namespace, a closure, a variable of the user's - takes part. Nobody asks whether there is a profiler.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from sys import getrefcount
from types import CodeType, FunctionType
from typing import Any, Protocol

from ..autograd import engine
from ..kernels._op import BIND, Op
from . import names

Hook = Callable[..., Any]


class Sink(Protocol):
    """What records: it gives each function its hook, and opens and closes named ranges."""

    modules: bool

    def hook(self, original: Callable[..., Any], target: names.Target) -> Hook: ...
    def open(self, name: str) -> Any: ...
    def close(self, opened: Any) -> None: ...


ACTIVE: list[Sink] = []
"""The one sink that records now, or nothing."""

_LOCK = threading.Lock()
_undo: list[Callable[[], None]] = []


def start(sink: Sink) -> None:
    """Let all functions call the hooks of `sink`.

    Raises:
        RuntimeError: another profiler runs.
    """
    with _LOCK:
        if ACTIVE:
            raise RuntimeError("profile: a profiler is running already; only one can record at a time")
        bind = BIND[0]

        def bind_and_divert(op: Op) -> None:
            bind(op)
            for target in names.of_op(op):
                _divert(target, sink)

        try:
            for target in names.targets(sink.modules):
                _divert(target, sink)
        except BaseException:
            _back()
            raise
        BIND[0] = bind_and_divert  # ops that are used for the first time while something records
        _undo.append(functools.partial(BIND.__setitem__, 0, bind))
        held = engine._ALONE
        engine._ALONE += _references()
        _undo.append(functools.partial(setattr, engine, "_ALONE", held))
        ACTIVE.append(sink)


def stop() -> None:
    """Give all functions their own code back."""
    with _LOCK:
        ACTIVE.clear()
        _back()


def _back() -> None:
    while _undo:
        _undo.pop()()


def _forked() -> None:
    """A child process, a DataLoader's worker for one, does not record: nobody would see it."""
    global _LOCK
    _LOCK = threading.Lock()  # another thread of the parent may have held it
    ACTIVE.clear()
    _back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _divert(target: names.Target, sink: Sink) -> None:
    """Let calls of a function go to its hook, which gets a copy of the function to call."""
    f = target.function
    if f.__class__ is not FunctionType:
        return  # an optimizer's step that is some other callable
    code, keywords = f.__code__, f.__kwdefaults__
    if keywords is not None and "_hook" in keywords:
        return  # under another name as well
    original = FunctionType(code, f.__globals__, f.__name__, f.__defaults__, f.__closure__)
    original.__kwdefaults__, original.__qualname__ = keywords, f.__qualname__
    hook = sink.hook(original, target)
    # In this order, and back in the other: a call from another thread finds what its code needs at any moment.
    f.__kwdefaults__ = {**(keywords or {}), "_hook": hook}
    f.__code__ = _shell(len(code.co_freevars)).replace(
        co_name=code.co_name,
        co_qualname=code.co_qualname,
        co_filename=code.co_filename,
        co_firstlineno=code.co_firstlineno,
    )

    def back() -> None:
        f.__code__ = code
        f.__kwdefaults__ = keywords

    _undo.append(back)


@functools.cache
def _shell(n: int) -> CodeType:
    """Code that hands its call on, for a function that closes over `n` variables: Python wants their number unchanged."""
    cells = "".join([f"_{i}, " for i in range(n)])
    never = f"  ({cells})\n" if n else ""  # behind the return, where it only makes them variables of the function
    made: dict[str, Any] = {}
    exec(f"def f({cells}):\n def g(*args, _hook, **kwargs):\n  return _hook(*args, **kwargs)\n{never} return g", made)
    return made["f"](*range(n)).__code__


@functools.cache
def _references() -> int:
    """How many references to an argument a hook adds: the engine takes a gradient that nobody else refers to."""
    seen: list[int] = []

    def accumulate(g: Any) -> None:
        seen.append(getrefcount(g))

    def hook(*args: Any, **keywords: Any) -> Any:
        return original(*args, **keywords)

    def call() -> None:
        g: Any = object()
        accumulate(g)

    call()
    original = FunctionType(accumulate.__code__, globals(), closure=accumulate.__closure__)
    accumulate.__kwdefaults__ = {"_hook": hook}  # type: ignore[attr-defined]
    accumulate.__code__ = _shell(len(accumulate.__code__.co_freevars))
    call()
    return seen[1] - seen[0]
