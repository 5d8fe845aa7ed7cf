"""A CUDA graph that is being recorded, as the layers below `tritorch.cuda` see it.

While one is, `CAPTURES` holds its `Capture`: kernels that read a table of the host's, and generators of random numbers,
ask it for memory that the graph keeps. What a stream capture cannot hold, because the host would have to wait or the copy
would read memory that is gone at the replay, is refused by `refuse` on real devices and on the emulated one alike.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

CAPTURES: list[Capture] = []
"""The graph that is being recorded, if one is."""


class Capture:
    """What a graph owns besides its launches and the memory of its pool.

    Attributes:
        kept: whatever must live as long as the graph, since its launches reach it.
        draws: the random numbers of each generator within the graph.
    """

    def __init__(self, backend: Any):
        self.kept: list[Any] = []
        self.draws: dict[Any, Draws] = {}
        self._backend = backend
        self._tables: dict[Hashable, Any] = {}
        self._unfilled: list[tuple[Any, np.ndarray]] = []

    def memory(self, shape: tuple[int, ...], dtype: Any, index: int) -> Any:
        """Memory that only this graph uses, made outside of its pool, whose blocks earlier launches may have had."""
        with self._backend.use_pool(None):
            made = self._backend.empty(shape, np.dtype(dtype), index)
        self.kept.append(made)
        return made

    def table(self, key: Hashable, make: Callable[[], np.ndarray], index: int) -> Any:
        """A device array with what `make` gives, the same one for the same key; it is filled when the recording ends."""
        found = self._tables.get(key)
        if found is None:
            a = np.ascontiguousarray(make())
            found = self._tables[key] = self.memory(a.shape, a.dtype, index)
            self._unfilled.append((found, a))
        return found

    def draw(self, generator: Any, counters: int) -> tuple[Any, int]:
        """(state, offset) for so many counters: their numbers begin at `offset` after the one that a replay finds."""
        draws = self.enter(generator)
        offset = generator._offset
        generator._offset = offset + counters
        draws.counters = max(draws.counters, generator._offset)
        return draws.state, offset

    def enter(self, generator: Any) -> Draws:
        """Let a generator count from the graph's begin; its own offset comes back when the recording ends."""
        found = self.draws.get(generator)
        if found is None:
            state = self.memory((2,), np.int64, generator.device.index or 0)
            found = self.draws[generator] = Draws(state, generator._offset)
            generator._offset = 0
        return found

    def leave(self) -> None:
        """The recording is over: generators go on from where they were."""
        for generator, draws in self.draws.items():
            generator._offset = draws.before

    def fill(self) -> None:
        """Write the tables; after the recording, before the first replay."""
        for array, values in self._unfilled:
            self._backend.overwrite(array, values)
        self._unfilled.clear()


class Draws:
    """One generator's part of a graph.

    Attributes:
        state: int64 (2,) on the device: seed and offset, written by each replay.
        counters: by how much a replay moves the generator on.
    """

    def __init__(self, state: Any, before: int):
        self.state, self.before, self.counters = state, before, 0


def refuse(what: str, hint: str = "") -> None:
    """RuntimeError for what cannot be part of the graph that is being recorded; it names the function that was called."""
    text = f"{_called()}: {what} cannot be captured in a CUDA graph"
    raise RuntimeError(f"{text}; {hint}" if hint else text)


def _called() -> str:
    """The outermost named function of tritorch on the way here, modules' calls and wrappers left out."""
    name, frame = "cuda", sys._getframe(2)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module != "tritorch" and not module.startswith("tritorch."):
            break
        known = frame.f_code.co_qualname
        if "<" not in known and module not in _WRAPPERS:
            name = known.lstrip("_").replace("TensorBase.", "Tensor.")  # the name that users know
        frame = frame.f_back
    return name


_WRAPPERS = frozenset(("tritorch.nn.modules.module", "tritorch.autograd.apply", "tritorch.autograd.modes"))
