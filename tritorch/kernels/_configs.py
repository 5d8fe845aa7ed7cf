"""Tile sizes, warps and stages as pure functions of the problem; nothing is tuned while a program runs.

`SMALL` is the emulated device's interest: few, large programs, because each costs Python time.
"""

from __future__ import annotations

from ..device import EMULATED

SMALL = EMULATED


def next_power_of_2(n: int) -> int:
    """The least power of two that is not below n (1 for n <= 1)."""
    return 1 << (n - 1).bit_length() if n > 1 else 1


def flat_tile(numel: int, itemsize: int, heavy: int = 1) -> tuple[int, int]:
    """(BLOCK, num_warps) of a contiguous elementwise kernel; its arithmetic takes `heavy` times the usual registers.

    A thread takes 16 bytes of the widest operand twice, so that loads are of full width and enough of them are in
    flight; a small tensor gets smaller tiles, so that all multiprocessors have work.
    """
    if SMALL:
        return min(max(next_power_of_2(numel), 16), 16384), 4
    if heavy > 1:
        return 1024 // heavy, 4
    if numel <= 132 * 1024:
        return 512, 4
    return (4096 if itemsize == 1 else 2048 if itemsize == 2 else 1024), 4


def strided_tile(rows: int, cols: int, transposed: bool, heavy: int = 1) -> tuple[int, int, int]:
    """(BLOCK_Y, BLOCK_X, num_warps) of an elementwise kernel over rows x cols.

    `transposed`: some operand's rows are its dense dim, so that a square tile reads it in whole sectors.
    `heavy`: as for `flat_tile`.
    """
    if SMALL:
        x = min(next_power_of_2(cols), 128 if transposed else 4096)
        return min(next_power_of_2(rows), max(1, 16384 // x)), x, 4
    if heavy > 1:
        x = min(next_power_of_2(cols), 1024 // heavy)
        return min(next_power_of_2(rows), 1024 // heavy // x), x, 4
    if transposed:
        x = min(next_power_of_2(cols), 64)
        y = min(next_power_of_2(rows), 2048 // x)
        return y, min(next_power_of_2(cols), 2048 // y), 4
    x = min(next_power_of_2(cols), 1024)
    while x > 64 and -(-cols // x) * x > 1.15 * cols:  # lanes beyond the edge do nothing
        x //= 2
    return min(next_power_of_2(rows), 1024 // x), x, 4
