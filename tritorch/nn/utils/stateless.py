"""Calling a module with other tensors in the place of its parameters and buffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ...tensor import Tensor
from ..modules.module import Module

__all__ = ["functional_call"]


@contextmanager
def swapped(module: Module, tensors: Mapping[str, Tensor], *, tie_weights: bool, strict: bool) -> Iterator[None]:
    """Inside, `tensors` stand in the place of the parameters and buffers of these names; the old ones come back.

    A buffer that `module` assigns anew inside is put back as well.
    """
    own: dict[str, Tensor] = dict(module.named_parameters(remove_duplicate=False))
    own.update(module.named_buffers(remove_duplicate=False))
    unknown = [name for name in tensors if name not in own]
    if strict and (unknown or any(name not in tensors for name in own)):
        missing = [name for name in own if name not in tensors]
        raise RuntimeError(
            f"functional_call: with strict=True; Unexpected key(s): {unknown}. Missing key(s): {missing}."
        )
    if unknown and not strict:
        raise KeyError(f"functional_call: the module has no parameter or buffer named {unknown[0]!r}")
    given = dict(tensors)
    if tie_weights:
        by_tensor: dict[int, Tensor] = {}
        for name, value in tensors.items():
            other = by_tensor.setdefault(id(own[name]), value)
            if other is not value:
                raise ValueError(f"functional_call: {name!r} is tied to another name that got a different tensor")
        given.update((name, by_tensor[id(old)]) for name, old in own.items() if id(old) in by_tensor)
    before: list[tuple[dict[str, Any], str, Any]] = []
    try:
        for name, value in given.items():
            path, _, leaf = name.rpartition(".")
            owner = module.get_submodule(path)
            place = owner._parameters if leaf in owner._parameters else owner._buffers
            before.append((place, leaf, place[leaf]))
            place[leaf] = value  # type: ignore[assignment]
        yield
    finally:
        for place, leaf, value in reversed(before):
            place[leaf] = value


def functional_call(
    module: Module,
    parameters_and_buffers: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args, **kwargs)` with these tensors in the place of its own; the module stays as it was.

    Args:
        parameters_and_buffers: by dotted name, a dict or several; names left out keep their tensors.
        args: the arguments, a tuple, or a single one.
        kwargs: keyword arguments.
        tie_weights: a tensor for one name of a shared parameter also stands for the others. Default: True.
        strict: all names must be given. Default: False.

    Raises:
        KeyError: an unknown name. RuntimeError: with `strict`, an unknown or missing one.
        ValueError: names that come twice, or different tensors for tied names.

    >>> import tritorch as torch
    >>> layer = torch.nn.Linear(2, 1)
    >>> torch.func.functional_call(layer, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}, torch.ones(3, 2)).shape
    torch.Size([3, 1])
    """
    if isinstance(parameters_and_buffers, Mapping):
        tensors = dict(parameters_and_buffers)
    else:
        tensors = {}
        for part in parameters_and_buffers:
            twice = tensors.keys() & part.keys()
            if twice:
                raise ValueError(f"functional_call: {sorted(twice)[0]!r} appears in several dictionaries")
            tensors.update(part)
    positional = () if args is None else args if isinstance(args, tuple) else (args,)
    with swapped(module, tensors, tie_weights=tie_weights, strict=strict):
        return module(*positional, **(kwargs or {}))
