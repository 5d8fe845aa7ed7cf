"""Many arrays of one dtype in one launch: the parameters of a model, their gradients, their states.

The kernels reach the arrays through a table of addresses: one row per parameter, one program per block of `BLOCK`
elements, which finds its parameter and its first element in a second table. So a model of 150 parameters costs not
150 launches, but one for the full blocks, whose loads need no masks and are 16 bytes wide, and one for the rest.

The tables are copied to the device when an address or a size is new; the last few are kept, so that the steps of a
training, whose gradients come back to the same memory, copy nothing. A CUDA graph has tables of its own, which are filled
when its recording ends.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._capture import CAPTURES
from ..device import address, backend, pin, to_device
from ._launch import kernel, launch
from ._op import Array

if TYPE_CHECKING:
    import triton.language as tl

BLOCK = 2048
WARPS = 8
KEPT = 32
"""Tables of either kind that are kept on the devices; those of a model of 10^9 elements take 8 MB."""

Row = Sequence[Array | None]


@kernel
def place(table_ptr, blocks_ptr, COLUMNS: tl.constexpr, FULL: tl.constexpr, BLOCK: tl.constexpr):
    """The program's row of the table of addresses, its elements and their mask.

    table_ptr: int64 (arrays, COLUMNS), row-major: addresses, the number of elements in the last column.
    blocks_ptr: int64 (programs, 2): row of the table, first element (a multiple of BLOCK).
    FULL: no block reaches beyond its array.
    """
    entry = blocks_ptr + tl.program_id(0) * 2
    row = table_ptr + tl.load(entry) * COLUMNS
    at = tl.multiple_of(tl.load(entry + 1), BLOCK) + tl.arange(0, BLOCK)
    mask = tl.full((BLOCK,), 1, tl.int1) if FULL else at < tl.load(row + COLUMNS - 1)
    return row, at, mask


@kernel
def elements(cell_ptr, like_ptr, at, ALIGNED: tl.constexpr):
    """Pointers to the elements `at` of the array whose address lies at cell_ptr.

    like_ptr: any array of the same dtype. ALIGNED: the address is a multiple of 16.
    """
    base_ptr = tl.load(cell_ptr).to(like_ptr.dtype)
    if ALIGNED:
        base_ptr = tl.multiple_of(base_ptr, 16)  # what makes the loads wide
    return base_ptr + at


@kernel
def number(x, like_ptr):
    """A float64 number in the type that arrays like like_ptr are computed in: float32, float64 for float64."""
    if like_ptr.dtype.element_ty == tl.float64:
        return x
    else:
        return x.to(tl.float32)


class Tables(NamedTuple):
    """What the launches over some arrays need.

    Attributes:
        table: int64 (rows, columns + 1) on the device: addresses, numbers of elements.
        parts: per launch, whether its blocks are full, int64 (programs, 2) on the device, number of programs.
        aligned: all addresses are multiples of 16.
    """

    table: Array
    parts: list[tuple[bool, Array, int]]
    aligned: bool


class _Kept:
    """Device arrays made of the host's tables, the last ones by key."""

    def __init__(self) -> None:
        self.found: OrderedDict[Hashable, Array] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], np.ndarray], index: int) -> Array:
        if CAPTURES:
            return CAPTURES[-1].table(key, make, index)
        found = self.found.get(key)
        if found is None:
            if len(self.found) >= KEPT:
                self.found.popitem(last=False)
            found = self.found[key] = to_device(pin(make()), index, non_blocking=True)
        else:
            self.found.move_to_end(key)
        return found


_addresses, _blocks = _Kept(), _Kept()


def tables(rows: Sequence[Row], index: int) -> Tables:
    """The tables for rows of arrays (or None), which are contiguous, of one dtype, and lie on device `index`.

    The first array of a row says how many elements each of its arrays has.
    """
    places = tuple([0 if a is None else address(a) for row in rows for a in row])
    sizes = tuple([row[0].size for row in rows])  # type: ignore[union-attr]
    stream = backend().stream_pointer(index)  # another one might read a table before its copy is done
    low = 0
    for p in places:
        low |= p

    def addresses() -> np.ndarray:
        table = np.array(places, np.int64).reshape(len(rows), -1)
        return np.concatenate([table, np.array(sizes, np.int64)[:, None]], axis=1)

    parts = []
    whole = sum(n // BLOCK for n in sizes)
    rest = sum(n % BLOCK > 0 for n in sizes)
    for full, count in ((True, whole), (False, rest)):
        if count:
            blocks = _blocks.get((index, stream, sizes, full), lambda full=full: _split(sizes, full), index)
            parts.append((full, blocks, count))
    return Tables(_addresses.get((index, stream, places, sizes), addresses, index), parts, low % 16 == 0)


def _split(sizes: tuple[int, ...], full: bool) -> np.ndarray:
    """Row and first element of each block that is full, or of those that are not."""
    counts = np.array(sizes, np.int64)
    blocks = -(-counts // BLOCK)
    owner = np.repeat(np.arange(len(sizes)), blocks)
    first = (np.arange(len(owner)) - np.repeat(np.cumsum(blocks) - blocks, blocks)) * BLOCK
    return np.stack([owner, first], axis=1)[(first + BLOCK <= counts[owner]) == full]


def launch_over(kern: Any, made: Tables, args: Sequence[Any], rows: Sequence[Row], **consts: Any) -> None:
    """Launch `kern(table, blocks, *args, FULL=, ALIGNED=, BLOCK=, ...)` over all blocks of `rows`."""
    reach = [a for row in rows for a in row if a is not None]
    for full, blocks, count in made.parts:
        consts |= {"FULL": full, "ALIGNED": made.aligned, "BLOCK": BLOCK}
        launch(kern, (count,), made.table, blocks, *args, num_warps=WARPS, reach=reach, **consts)
