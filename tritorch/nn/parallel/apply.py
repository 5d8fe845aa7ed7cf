"""Calling several modules side by side."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from ...autograd import is_grad_enabled, set_grad_enabled
from ...autograd.autocast import restored, snapshot
from ..modules.module import Module

__all__ = ["parallel_apply"]


def parallel_apply(
    modules: Sequence[Module],
    inputs: Sequence[Any],
    kwargs_tup: Sequence[dict[str, Any]] | None = None,
    devices: Sequence[Any] | None = None,
) -> list[Any]:
    """`modules[i](*inputs[i], **kwargs_tup[i])` for all i, each in a thread of its own with `devices[i]` current.

    Raises:
        AssertionError: the numbers of modules, inputs, keyword arguments and devices differ.
        what a module raises, the first one's, with a note that says in which replica.
    """
    n = len(modules)
    named = [{}] * n if kwargs_tup is None else kwargs_tup
    places = [None] * n if devices is None else devices
    for what, given in (("inputs", inputs), ("kwargs_tup", named), ("devices", places)):
        if len(given) != n:
            raise AssertionError(f"parallel_apply: the number of {what}, {len(given)}, is not that of modules, {n}")
    grad, switches = is_grad_enabled(), snapshot()
    results: list[Any] = [None] * n
    failures: list[BaseException | None] = [None] * n

    def work(i: int) -> None:
        try:
            with set_grad_enabled(grad), restored(switches):  # modes are per thread
                args = inputs[i] if isinstance(inputs[i], (list, tuple)) else (inputs[i],)
                if places[i] is None:
                    results[i] = modules[i](*args, **named[i])
                else:
                    from ... import cuda

                    with cuda.device(places[i]):
                        results[i] = modules[i](*args, **named[i])
        except Exception as error:
            failures[i] = error

    if n == 1:
        work(0)
    else:
        threads = [threading.Thread(target=work, args=(i,)) for i in range(n)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    for i, error in enumerate(failures):
        if error is not None:
            where = "" if places[i] is None else f" on device {places[i]}"
            error.__dict__.setdefault("__notes__", []).append(f"in replica {i}{where}")
            raise error
    return results
