"""Are indices in range.

Indices in CPU memory, and those of the emulated device, are looked at before an op runs. On a GPU looking means to wait
for the device, so it is done under TRITORCH_SYNC=1 only, where the caller gets the IndexError with the op, the index and
the limit. Without it the kernels keep to the memory they were given: what an index out of range asks for reads as NaN
(-1 for integers) and is not written.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .._capture import CAPTURES
from ..device import EMULATED, to_host

_UNSIGNED = {n: np.dtype(f"u{n}") for n in (1, 2, 4, 8)}
SYNC = os.environ.get("TRITORCH_SYNC", "0") == "1"


def out_of_range(i: Any, size: int, low: int = 0) -> int | None:
    """The first of the indices that is not in low ... size - 1, or None (also where nobody looks, see above)."""
    if EMULATED and CAPTURES:
        return None  # nothing has been computed yet
    if i.__class__ is not np.ndarray:
        if not SYNC:
            return None
        i = to_host(i)
    if not i.size:
        return None
    if i.dtype.kind == "i" and np.maximum.reduce(i.view(_UNSIGNED[i.dtype.itemsize]), None) < size:
        return None  # in one pass: as numbers without sign, negative ones are the largest
    if i.min() >= low and i.max() < size:
        return None
    return int(i[(i < low) | (i >= size)].reshape(-1)[0])
