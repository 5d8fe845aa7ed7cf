"""Kernels that the tests of the launch path start, and how to read what the stub driver got."""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING

from tritorch.kernels._launch import kernel

if TYPE_CHECKING:
    import triton.language as tl


@kernel
def _halved(x):
    return x * 0.5


@kernel
def _scale(x_ptr, y_ptr, n, alpha, BLOCK: tl.constexpr, NEGATE: tl.constexpr = False):
    """y = alpha * x / 2 over n elements; BLOCK is a power of two."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n, other=0).to(tl.float32)
    y = _halved(x) * alpha
    if NEGATE:
        y = -y
    tl.store(y_ptr + i, y.to(y_ptr.dtype.element_ty), mask=i < n)


@kernel
def _precise(y_ptr, alpha: tl.float64, n, BLOCK: tl.constexpr):
    """y = alpha in float64."""
    i = tl.arange(0, BLOCK)
    tl.store(y_ptr + i, tl.full((BLOCK,), 0, tl.float64) + alpha, mask=i < n)


@kernel
def _optional(x_ptr, b_ptr, y_ptr, n, BLOCK: tl.constexpr):
    """y = x + b, or x where there is no b."""
    i = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n, other=0)
    if b_ptr is not None:
        x += tl.load(b_ptr + i, mask=i < n, other=0)
    tl.store(y_ptr + i, x, mask=i < n)


@kernel(do_not_specialize=("n",))
def _counted(y_ptr, n, BLOCK: tl.constexpr):
    """y = n, whatever n is."""
    tl.store(y_ptr + tl.arange(0, BLOCK), n)


class Launch(ctypes.Structure):
    _fields_ = [
        ("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3), ("shared", ctypes.c_uint), ("n_args", ctypes.c_uint),
        ("stream", ctypes.c_uint64), ("function", ctypes.c_uint64), ("args", ctypes.c_uint64 * 32),
    ]  # fmt: skip


class Driver:
    """The launches that the stub library kept."""

    def __init__(self):
        self.lib = ctypes.CDLL("libcuda.so.1")
        self.lib.stub_launches.restype = ctypes.POINTER(Launch)

    def expect(self, n_args):
        self.lib.stub_reset(n_args)

    def count(self):
        return self.lib.stub_count()

    def last(self):
        return self.lib.stub_launches()[self.count() - 1]


def as_int(bits):
    return struct.unpack("i", struct.pack("Q", bits)[:4])[0]


def as_float(bits):
    return struct.unpack("f", struct.pack("Q", bits)[:4])[0]


def as_double(bits):
    return struct.unpack("d", struct.pack("Q", bits))[0]
