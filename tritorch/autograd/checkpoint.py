"""Checkpointing: trade memory for a second forward (Chen et al. 2016, arXiv:1604.06174)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..random import default_for, default_states, set_states
from . import bridge
from .autocast import restored, snapshot
from .backward import backward as run_backward
from .function import Function
from .modes import STATE, enable_grad


class _Checkpoint(Function):
    """Runs `function` without recording; its backward runs it again, recorded, and goes through that."""

    @staticmethod
    def forward(ctx: Any, function: Any, kwargs: dict, preserve: bool, *args: Any) -> Any:
        ctx.function, ctx.kwargs = function, kwargs
        ctx.autocast = snapshot()
        for a in args:
            if isinstance(a, bridge.Tensor):
                default_for(a.device)  # so that the state is there to be kept
        ctx.states = default_states() if preserve else ()
        ctx.args = [None if isinstance(a, bridge.Tensor) else a for a in args]
        ctx.places = [i for i, a in enumerate(args) if isinstance(a, bridge.Tensor)]
        ctx.save_for_backward(*[args[i] for i in ctx.places])
        return function(*args, **kwargs)

    @staticmethod
    def backward(ctx: Any, *gs: Any) -> Any:
        args = list(ctx.args)
        for i, t in zip(ctx.places, ctx.saved_tensors, strict=True):
            args[i] = t.detach().requires_grad_(t.requires_grad)
        after = default_states()
        set_states(ctx.states)
        try:
            with enable_grad(), restored(ctx.autocast):
                outs = ctx.function(*args, **ctx.kwargs)
        finally:
            set_states(after)
        outs = outs if isinstance(outs, tuple) else (outs,)
        live = [(o, g) for o, g in zip(outs, gs, strict=True) if isinstance(o, bridge.Tensor) and o.requires_grad]
        if not live:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        run_backward([o for o, _ in live], [g for _, g in live])
        return (None, None, None, *[a.grad if isinstance(a, bridge.Tensor) else None for a in args])


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    determinism_check: str = "default",
    debug: bool = False,
    context_fn: Any = None,
    **kwargs: Any,
) -> Any:
    """function(*args, **kwargs) without keeping its intermediate values: the backward computes them again.

    Arguments:
        function: gives a tensor or a tuple. preserve_rng_state: the second run draws the same random numbers.
        use_reentrant: accepted; both of PyTorch's variants behave alike here.

    >>> import tritorch as torch
    >>> x = torch.ones(3, requires_grad=True)
    >>> torch.utils.checkpoint.checkpoint(lambda v: (v * v).sum(), x).backward()
    >>> x.grad
    tensor([2., 2., 2.])
    """
    if not STATE.grad:
        return function(*args, **kwargs)
    if not any(isinstance(a, bridge.Tensor) and a.requires_grad for a in args):
        # parameters inside the function still need their gradients: a dummy input makes the node
        anchor = bridge.wrap(np.zeros((), np.float32)).requires_grad_()
        return _Checkpoint.apply(
            lambda _, *rest, **more: function(*rest, **more), kwargs, preserve_rng_state, anchor, *args
        )
    return _Checkpoint.apply(function, kwargs, preserve_rng_state, *args)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """A Sequential, or a list of functions, run in `segments` checkpointed pieces (the last one is kept).

    Arguments:
        functions: a Sequential, or a list of functions of one tensor.
        segments: number of pieces.
        input: of the first function.
        use_reentrant, kwargs: as `checkpoint`.

    >>> import tritorch as torch
    >>> layers = [torch.sin, torch.cos, torch.exp]
    >>> torch.utils.checkpoint.checkpoint_sequential(layers, 2, torch.zeros(1), use_reentrant=False)
    tensor([2.7183], grad_fn=<ExpBackward0>)
    """
    layers = list(functions.children()) if hasattr(functions, "children") else list(functions)
    size = len(layers) // segments

    def piece(start: int, stop: int) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            for f in layers[start:stop]:
                x = f(x)
            return x

        return run

    for start in range(0, size * (segments - 1), size):
        input = checkpoint(piece(start, start + size), input, use_reentrant=use_reentrant, **kwargs)
    return piece(size * (segments - 1), len(layers))(input)
