"""Grad modes and anomaly mode: thread-local switches, as context managers and as decorators."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class _State(threading.local):
    grad = True  # are operations recorded
    inference = False
    anomaly = False  # does each node keep the traceback of its forward call
    check_nan = True
    rules = 0  # depth of rules running on Tensors with recording off
    hooks: Any = None  # the innermost `saved_tensors_hooks`
    no_hooks: str | None = None  # the text of `disable_saved_tensors_hooks`
    task: Any = None  # the backward that runs, see `engine.Task`


STATE = _State()
WATCHED = [0]
"""How many anomaly modes and saved-tensor hooks are active in all threads: while it is 0, the hot path need not ask for
the thread's own `STATE.anomaly` and `STATE.hooks`."""


NO_GRAD = [0]
"""How many threads have recording off: while it is 0, the hot path need not ask for the thread's own `STATE.grad`."""


def set_grad(mode: bool) -> None:
    """Switch recording in this thread; the only way `STATE.grad` is written."""
    NO_GRAD[0] += STATE.grad - mode
    STATE.grad = mode


def _anomaly(mode: bool, check_nan: bool) -> None:
    WATCHED[0] += mode - STATE.anomaly
    STATE.anomaly, STATE.check_nan = mode, check_nan


class _Mode:
    """A switch of STATE.grad that is restored on exit; also a decorator for functions and generators."""

    value = True

    def __enter__(self) -> Any:
        self.before = STATE.grad
        set_grad(self.value)
        return self

    def __exit__(self, *exc: Any) -> None:
        set_grad(self.before)

    def clone(self) -> _Mode:
        return self.__class__()

    def __call__(self, function: F) -> F:
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generator(*args: Any, **kwargs: Any) -> Any:
                steps, sent = function(*args, **kwargs), None
                while True:
                    with self.clone():
                        try:
                            item = steps.send(sent)
                        except StopIteration as stop:
                            return stop.value
                    try:
                        sent = yield item
                    except GeneratorExit:
                        steps.close()
                        raise

            return generator  # type: ignore[return-value]

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return function(*args, **kwargs)

        return call  # type: ignore[return-value]


class no_grad(_Mode):  # noqa: N801 - PyTorch's name
    """Operations inside are not recorded; results have `requires_grad=False`.

    >>> import tritorch as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    value = False

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        made = object.__new__(cls)
        return made if function is None else made(function)

    def __init__(self, function: Callable[..., Any] | None = None):
        pass


class enable_grad(no_grad):  # noqa: N801
    """Operations inside are recorded, also within `no_grad`.

    >>> import tritorch as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.no_grad(), torch.enable_grad():
    ...     (x * 2).requires_grad
    ...
    True
    """

    value = True


class inference_mode(_Mode):  # noqa: N801
    """As `no_grad`; `inference_mode(False)` leaves recording as it is.

    >>> import tritorch as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.inference_mode():
    ...     (x * 2).requires_grad
    ...
    False
    """

    def __new__(cls, mode: Any = True) -> Any:
        made = object.__new__(cls)
        if callable(mode):
            made.mode = True
            return made(mode)
        return made

    def __init__(self, mode: bool = True):
        self.mode = mode

    def clone(self) -> inference_mode:
        return inference_mode(self.mode)

    def __enter__(self) -> inference_mode:
        self.before = STATE.grad, STATE.inference
        if self.mode:
            set_grad(False)
        STATE.inference = self.mode
        return self

    def __exit__(self, *exc: Any) -> None:
        set_grad(self.before[0])
        STATE.inference = self.before[1]


class set_grad_enabled(_Mode):  # noqa: N801
    """Switch recording at once; as a context manager the earlier state comes back.

    Arguments:
        mode: record operations from now on.

    >>> import tritorch as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.set_grad_enabled(False):
    ...     (x * 2).requires_grad
    ...
    False
    """

    def __init__(self, mode: bool):
        self.mode = self.value = bool(mode)
        self.before = STATE.grad
        set_grad(self.mode)

    def clone(self) -> set_grad_enabled:
        made = object.__new__(set_grad_enabled)
        made.mode = made.value = self.mode
        return made

    def __enter__(self) -> set_grad_enabled:
        if "before" not in self.__dict__:
            self.before = STATE.grad
        set_grad(self.mode)
        return self

    def __call__(self, function: F) -> F:
        set_grad(self.before)
        return super().__call__(function)


class detect_anomaly:
    """Inside, each node keeps where it was made; a backward that fails or gives NaN says so.

    Arguments:
        check_nan: raise on NaN gradients, default True.

    >>> import tritorch as torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> with torch.autograd.detect_anomaly():
    ...     (x * x).backward()
    ...
    >>> x.grad
    tensor(6.)
    """

    def __init__(self, check_nan: bool = True):
        self.to = True, check_nan

    def __enter__(self) -> detect_anomaly:
        self.before = STATE.anomaly, STATE.check_nan
        _anomaly(*self.to)
        return self

    def __exit__(self, *exc: Any) -> None:
        _anomaly(*self.before)


class set_detect_anomaly(detect_anomaly):
    """Switch anomaly mode at once; as a context manager the earlier state comes back."""

    def __init__(self, mode: bool, check_nan: bool = True):
        self.to = mode, check_nan
        self.before = STATE.anomaly, STATE.check_nan
        _anomaly(*self.to)

    def __enter__(self) -> set_detect_anomaly:
        return self


def is_grad_enabled() -> bool:
    """Are operations recorded in this thread.

    >>> import tritorch as torch
    >>> torch.is_grad_enabled()
    True
    """
    return STATE.grad


def is_inference_mode_enabled() -> bool:
    """Is `inference_mode` active in this thread."""
    return STATE.inference


def is_anomaly_enabled() -> bool:
    """Is anomaly mode active in this thread."""
    return STATE.anomaly
