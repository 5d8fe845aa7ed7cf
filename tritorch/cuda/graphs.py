"""CUDA graphs: a sequence of launches recorded once and replayed as one, by CuPy's stream capture.

What is recorded are launches with their addresses and numbers, so a replay computes the same on what then lies in the
same memory: put new inputs into the captured tensors by `copy_`, read results from the captured outputs. Memory made
during capture comes from a pool of the graph's own. A whole training step can be captured, the optimizer included:

    g = torch.cuda.CUDAGraph()
    optimizer.zero_grad()                            # so that the gradients are made in the graph's memory
    with torch.cuda.graph(g):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()                             # capturable=True, where the optimizer counts its steps
    for x_new, y_new in batches:
        x.copy_(x_new), y.copy_(y_new)
        g.replay()

Random numbers (dropout, randn, ...) are new ones at each replay: those that the eager code would have drawn at its
place. Before the capture, run the code once or twice on a side stream: the first launch of a kernel compiles it, the first
step of an optimizer makes its state, the first call of a GradScaler its scale.

Not to be captured: copies from the CPU, `.item()` and everything else that waits for the device, shapes that depend on
values, changes of a generator's seed. These raise a RuntimeError that names the call. The emulated device captures as
well, and is as strict (`_emulated.EmulatedGraph`): what runs there is fit for a real one.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Sequence
from typing import Any

from .._capture import CAPTURES, Capture, refuse
from ..autograd.backward import grad as _grad
from ..autograd.function import Function
from ..autograd.modes import enable_grad
from ..device import EMULATED, backend, current_device, synchronize
from ..kernels.philox import put_state
from ..nn import Module
from ..random import Generator
from ..tensor import Tensor
from .streams import Stream, StreamContext, current_stream

__all__ = ["CUDAGraph", "graph", "graph_pool_handle", "is_current_stream_capturing", "make_graphed_callables"]


class _Pool:
    """Memory that graphs share, kept alive by each of them."""

    def __init__(self) -> None:
        self.memory = backend().new_pool()


def graph_pool_handle() -> _Pool:
    """A pool that several graphs can be given, when they are replayed in the order of their capture."""
    return _Pool()


def is_current_stream_capturing() -> bool:
    """Whether a graph is being recorded."""
    return bool(CAPTURES)


def _relaxed() -> contextlib.AbstractContextManager[None]:
    """Context in which a capture may load kernels and make memory; the emulated device has nothing to load."""
    if EMULATED:
        return contextlib.nullcontext()
    from ..kernels._driver import relaxed

    return relaxed()


class CUDAGraph:
    """A recorded sequence of launches.

    Args:
        keep_graph: accepted; the graph is instantiated at the end of its capture.
    """

    def __init__(self, keep_graph: bool = False):
        self._made: Any = None
        self._pool: Any = None
        self._owned: Capture | None = None
        self._device = 0

    def capture_begin(self, pool: Any = None, capture_error_mode: str = "global") -> None:
        """Record from now on what goes to the current stream, which must not be the default one.

        Args:
            pool: memory of another graph (`g.pool()`) or `graph_pool_handle()`; default: its own.
            capture_error_mode: accepted; the capture is relaxed, and so is this thread until it ends, whatever another
                library captures meanwhile, since growing the pool must stay legal, and loading a kernel that only graphs
                launch (of random numbers, whose seed lies in memory then).

        Raises:
            RuntimeError: on the default stream; while another graph is recorded.
        """
        if CAPTURES:
            raise RuntimeError("CUDAGraph.capture_begin: another graph is being recorded; end it first")
        stream = current_stream()
        if not stream.cuda_stream:
            raise RuntimeError(
                "CUDAGraph.capture_begin: CUDA graphs must be captured on a non-default stream; use torch.cuda.graph(g)"
            )
        self._device, self._stream = current_device(), stream
        self._made, self._pool = None, _Pool() if pool is None else pool
        self._owned = Capture(backend())
        self._allocator = backend().use_pool(self._pool.memory)
        self._allocator.__enter__()
        CAPTURES.append(self._owned)
        self._mode = _relaxed()
        self._mode.__enter__()
        self._collects = gc.isenabled()
        gc.disable()  # a module that is unloaded meanwhile would end the capture
        try:
            stream.handle.begin_capture()
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        CAPTURES.clear()
        if self._collects:
            gc.enable()
        self._mode.__exit__(None, None, None)
        self._allocator.__exit__(None, None, None)
        assert self._owned is not None
        self._owned.leave()

    def capture_end(self) -> None:
        """End the recording and make the graph ready.

        Raises:
            RuntimeError: nothing is being recorded by this graph.
        """
        if self._owned is None or self._owned not in CAPTURES:
            raise RuntimeError("CUDAGraph.capture_end: this graph is not being recorded")
        try:
            made = self._stream.handle.end_capture()
        finally:
            self._end()
        self._owned.fill()
        self._made = made

    def replay(self) -> None:
        """Launch all of it on the current stream; the generators that it draws from move on.

        Raises:
            RuntimeError: nothing was recorded; another graph is being recorded.
        """
        if self._made is None or self._owned is None:
            raise RuntimeError("CUDAGraph.replay: called before the graph was captured")
        if CAPTURES:
            refuse("another graph's replay")
        for generator, draws in self._owned.draws.items():
            put_state(draws.state, generator.initial_seed(), generator.get_offset())
            generator.set_offset(generator.get_offset() + draws.counters)
        self._made.launch(current_stream(self._device).handle)

    def register_generator_state(self, generator: Generator) -> None:
        """Nothing: every generator that is drawn from while the graph is recorded belongs to it."""

    def reset(self) -> None:
        """Forget the graph and let go of its memory."""
        if self._made is not None:
            synchronize(self._device)
        self._made = self._pool = self._owned = None

    def pool(self) -> Any:
        """The graph's memory, for another graph's `pool=`."""
        return self._pool


class graph:  # noqa: N801 - PyTorch's name
    """Context that records what happens inside into a `CUDAGraph`, on a stream of its own.

    Args:
        cuda_graph: what to record into.
        pool: as for `CUDAGraph.capture_begin`.
        stream: where to record; default: a stream that all captures share.
        capture_error_mode: accepted.

        g = torch.cuda.CUDAGraph()
        with torch.cuda.graph(g):
            static_output = model(static_input)
        static_input.copy_(batch)
        g.replay()
    """

    _streams: dict[int, Stream] = {}

    def __init__(
        self, cuda_graph: CUDAGraph, pool: Any = None, stream: Stream | None = None, capture_error_mode: str = "global"
    ):
        if stream is None:
            index = current_device()
            stream = graph._streams.get(index) or graph._streams.setdefault(index, Stream(index))
        self.cuda_graph, self.capture_stream, self._memory = cuda_graph, stream, pool
        self.capture_error_mode = capture_error_mode

    def __enter__(self) -> None:
        synchronize()
        gc.collect()
        self._context = StreamContext(self.capture_stream)
        self._context.__enter__()
        try:
            self.cuda_graph.capture_begin(self._memory, self.capture_error_mode)
        except BaseException:
            self._context.__exit__(None, None, None)
            raise

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            self.cuda_graph.capture_end()
        except Exception:
            if error is None:  # of two errors the first one tells what was wrong
                raise
        finally:
            if error is not None:
                self.cuda_graph.reset()
            self._context.__exit__(kind, error, trace)


# ---- callables -----------------------------------------------------------------------------------------------------


def make_graphed_callables(
    callables: Any, sample_args: Any, num_warmup_iters: int = 3, allow_unused_input: bool = False, pool: Any = None
) -> Any:
    """Callables whose forward, and backward, is one replay of a graph each.

    Args:
        callables: a module or function of tensors, or a tuple of them, called in this order later on. A module is changed
            (its `forward`, in the mode, training or not, that it has now) and returned.
        sample_args: a tuple of tensors per callable, of the shapes, dtypes and requires_grad of later arguments.
        num_warmup_iters: runs before the capture, which compile and fill the pool; default 3.
        allow_unused_input: an input or parameter may be without gradient; default False.
        pool: as for `CUDAGraph.capture_begin`.

    Dropout draws new numbers at each call, as the module itself would.

    Raises:
        RuntimeError: a module has hooks or buffers that require gradients.
    """
    single = not isinstance(callables, tuple)
    functions = (callables,) if single else callables
    samples = (sample_args,) if single else sample_args
    memory = _Pool() if pool is None else pool
    graphed: list[Any] = [None] * len(functions)
    parts = [_Part(f, args) for f, args in zip(functions, samples, strict=True)]
    stream = Stream()
    stream.wait_stream(current_stream())
    with StreamContext(stream):
        for part in parts:
            for _ in range(num_warmup_iters):
                part.warm_up(allow_unused_input)
    stream.synchronize()
    for part in parts:
        part.capture_forward(memory)
    for part in reversed(parts):
        part.capture_backward(memory, allow_unused_input)
    for i, part in enumerate(parts):
        graphed[i] = part.callable()
    return graphed[0] if single else tuple(graphed)


class _Part:
    """One callable: its fixed inputs, outputs and gradients, and its two graphs."""

    def __init__(self, function: Any, args: Sequence[Tensor]):
        self.function = function
        self.args = tuple(args)
        self.module = function if isinstance(function, Module) else None
        if self.module is not None:
            if self.module._forward_hooks or self.module._forward_pre_hooks or self.module._backward_hooks:
                raise RuntimeError(
                    "make_graphed_callables: Modules must not have hooks registered at the time they are passed; register "
                    "hooks on them after the call"
                )
            if any(b.requires_grad for b in self.module.buffers()):
                raise RuntimeError("make_graphed_callables: buffers of a module must not require gradients")
        self.weights = tuple(self.module.parameters()) if self.module is not None else ()
        self.surface = self.args + self.weights
        self.forward, self.backward = CUDAGraph(), CUDAGraph()

    def run(self) -> tuple[Tensor, ...]:
        out = self.function(*self.args)
        self.single = isinstance(out, Tensor)
        return (out,) if self.single else tuple(out)

    def _pulled(self, outs: Sequence[Tensor], gradients: Sequence[Tensor], unused: bool) -> tuple[Tensor | None, ...]:
        wanted = [t for t in self.surface if t.requires_grad]
        live = [(o, g) for o, g in zip(outs, gradients, strict=True) if o.requires_grad]
        if not wanted or not live:
            return (None,) * len(self.surface)
        found = iter(_grad([o for o, _ in live], wanted, [g for _, g in live], allow_unused=unused))
        return tuple(next(found) if t.requires_grad else None for t in self.surface)

    def warm_up(self, unused: bool) -> None:
        outs = self.run()
        self._pulled(outs, [o.detach().clone() for o in outs], unused)

    def capture_forward(self, memory: Any) -> None:
        with graph(self.forward, pool=memory), enable_grad():
            self.outs = self.run()
        self.given = tuple(o.detach().clone() for o in self.outs)  # where later gradients are put

    def capture_backward(self, memory: Any, unused: bool) -> None:
        with graph(self.backward, pool=memory):
            self.grads = self._pulled(self.outs, self.given, unused)

    def callable(self) -> Any:
        part = self

        class Graphed(Function):
            @staticmethod
            def forward(ctx: Any, *inputs: Tensor) -> Any:
                for static, given in zip(part.args, inputs):  # parameters stay where they are
                    if static is not given:
                        static.detach().copy_(given)
                part.forward.replay()
                return tuple(o.detach() for o in part.outs)

            @staticmethod
            def backward(ctx: Any, *gradients: Tensor) -> Any:
                for static, given in zip(part.given, gradients, strict=True):
                    static.copy_(given)
                part.backward.replay()
                return tuple(None if g is None else g.detach() for g in part.grads)

        def call(*args: Tensor) -> Any:
            outs = Graphed.apply(*args, *part.weights)
            outs = (outs,) if isinstance(outs, Tensor) else outs
            return outs[0] if part.single else outs

        if self.module is None:
            return call
        module, plain, training = self.module, self.module.forward, self.module.training
        module.forward = lambda *args: call(*args) if module.training == training else plain(*args)  # type: ignore
        return module
