"""torch.compiler: switches of a compiler that is not there; tritorch runs eagerly, so all of them pass through."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")

__all__ = [
    "allow_in_graph", "assume_constant_result", "compile", "cudagraph_mark_step_begin", "disable", "is_compiling",
    "is_dynamo_compiling", "is_exporting", "list_backends", "reset", "set_stance",
]  # fmt: skip


def compile(*args: Any, **kwargs: Any) -> Any:
    """As `torch.compile`: the model itself."""
    from . import compile as same

    return same(*args, **kwargs)


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """`fn`, unchanged; without it a decorator."""
    return fn if fn is not None else lambda function: function


def allow_in_graph(fn: T) -> T:
    """`fn`, unchanged."""
    return fn


def assume_constant_result(fn: T) -> T:
    """`fn`, unchanged."""
    return fn


def is_compiling() -> bool:
    """False."""
    return False


def is_dynamo_compiling() -> bool:
    """False."""
    return False


def is_exporting() -> bool:
    """False."""
    return False


def reset() -> None:
    """Nothing to forget."""


def cudagraph_mark_step_begin() -> None:
    """Nothing to mark."""


def list_backends(exclude_tags: Any = None) -> list[str]:
    """The one backend, "eager"."""
    return ["eager"]


class set_stance:  # noqa: N801 - PyTorch's name
    """A context, decorator or call without effect: code always runs eagerly."""

    def __init__(self, stance: str = "default", *, skip_guard_eval_unsafe: bool = False, force_backend: Any = None):
        self.stance = stance

    def __call__(self, fn: T) -> T:
        return fn

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: Any) -> None:
        return None
