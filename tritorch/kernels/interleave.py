"""Which element each place of a repeated sequence comes from (torch.repeat_interleave)."""

from __future__ import annotations

import numpy as np

from ._gather import counted
from ._op import Array, op
from .nonzero import searchsorted
from .scan import cumsum


@op
class interleave:
    """i, counts[i] times, for each i in turn: `total` numbers (int64), the sum of counts (n,)."""

    upcast = False

    def cpu(counts: Array, total: int) -> Array:
        return np.repeat(np.arange(counts.size), counts)

    def gpu(counts: Array, total: int) -> Array:
        ends = cumsum.gpu(counts, 0, False)  # type: ignore[misc]
        return searchsorted.gpu(ends, counted(total), True)  # type: ignore[misc]

    def samples(rng):
        counts = rng.integers(0, 4, 40)
        yield (counts,), (int(counts.sum()),)
        yield (np.array([0, 0, 3, 0]),), (3,)
        yield (np.zeros(0, np.int64),), (0,)

    def cost(counts, total):
        return counts.nbytes + 8 * total, counts.size + total * counts.size.bit_length()
