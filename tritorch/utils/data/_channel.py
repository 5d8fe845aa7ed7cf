"""How batches travel between a DataLoader and a worker: one socket each, and shared memory for all that is large.

A message is one packet of a Unix socket (SOCK_SEQPACKET): small objects are pickled into it. The bytes of tensors and
arrays of larger ones lie in a block of anonymous shared memory (memfd), whose file descriptor goes along with the
packet once. The reader's arrays are views of the block. When the last of them is gone, the reader sends the block's
number back and the writer fills it anew: a running loader neither allocates nor touches new pages. Nothing has a name
in the file system, so whatever dies, in whatever way, the kernel takes the memory back.
"""

from __future__ import annotations

import ctypes
import io
import mmap
import os
import pickle
import socket
import weakref
from array import array
from collections import deque
from functools import partial
from typing import Any

import numpy as np

from tritorch.device import CPU
from tritorch.dtypes import NAMES
from tritorch.tensor import Parameter, Tensor, wrap

INLINE = 1 << 14  # bytes; above, a block is cheaper than the copies through the socket
_ALIGN = 64
_RETURNED = 1000  # numbers of returned blocks in one packet
_GRAIN = 1 << 16  # block sizes are multiples of this, so that batches of nearly the same size share blocks


_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def _map(fd: int, size: int) -> Any:
    """A buffer over the file, unmapped when nobody holds it any more.

    `mmap.mmap` before Python 3.13 keeps a descriptor for as long as the memory, so a list of a thousand batches would
    use up the process's descriptors.
    """
    address = _libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd, 0)
    if address is None or address == ctypes.c_void_p(-1).value:
        error = ctypes.get_errno()
        raise OSError(error, f"{os.strerror(error)}: mapping {size / 2**20:.1f} MiB of shared memory for a batch")
    block = (ctypes.c_char * size).from_address(address)
    weakref.finalize(block, _libc.munmap, address, size).atexit = False
    return block


class WorkerGone(Exception):
    """The other end of the channel is closed."""


class _Pickler(pickle.Pickler):
    """Pickles tensors by their bytes, which are handed to `buffer_callback` instead of being copied."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Tensor) and (obj.__class__ is Tensor or obj.__class__ is Parameter):
            if obj.device is not CPU:
                raise TypeError(f"a DataLoader worker can only send CPU tensors; got one on {obj.device}")
            if obj.requires_grad and not obj.is_leaf:
                raise RuntimeError(
                    "a DataLoader worker can't send a non-leaf tensor which requires_grad, since the graph stays in "
                    "its process; call detach() on it"
                )
            a = np.ascontiguousarray(obj._a)
            payload = pickle.PickleBuffer(a.reshape(-1).view(np.uint8).data) if a.size else None
            return _tensor, (obj.__class__, payload, obj.dtype.name, obj._a.shape, obj.requires_grad)
        return NotImplemented


def _tensor(cls: type, payload: Any, dtype: str, shape: tuple[int, ...], requires_grad: bool) -> Tensor:
    np_dtype = NAMES[dtype].np
    if payload is None:
        a = np.empty(shape, np_dtype)
    else:
        a = np.frombuffer(payload, np.uint8).view(np_dtype).reshape(shape)
    t = wrap(a)
    if cls is Parameter:
        return Parameter(t, requires_grad)
    if requires_grad:
        t.requires_grad_()
    return t


class _Blocks:
    """The writer's shared memory: blocks lent to the reader, and free ones that wait to be filled again."""

    def __init__(self, keep: int):
        self.keep = keep
        self.count = 0
        self.lent: dict[int, Any] = {}
        self.free: dict[int, Any] = {}

    def take(self, size: int) -> tuple[int, Any, int | None, list[int]]:
        """A block of at least `size` bytes: its number, memory, file descriptor when it is new, and blocks dropped."""
        fitting = [(len(m), n) for n, m in self.free.items() if len(m) >= size]
        if fitting:
            number = min(fitting)[1]
            block = self.lent[number] = self.free.pop(number)
            return number, block, None, []
        dropped = list(self.free) if len(self.free) >= self.keep else []
        for n in dropped:
            del self.free[n]
        size = -(-size // _GRAIN) * _GRAIN
        fd = os.memfd_create("tritorch-batch", os.MFD_CLOEXEC)
        try:
            os.posix_fallocate(fd, 0, size)  # no memory left is an OSError here, and would be a SIGBUS later
            block = _map(fd, size)
        except BaseException:
            os.close(fd)
            raise
        self.count += 1
        self.lent[self.count] = block
        return self.count, block, fd, dropped

    def give_back(self, numbers: list[int]) -> None:
        for n in numbers:
            self.free[n] = self.lent.pop(n)


class Unreadable:
    """Received in place of an object that cannot be rebuilt in this process; `error` says why."""

    def __init__(self, error: Exception):
        self.error = error


class Channel:
    """One end of the connection between a loader and a worker: sends and receives (tag, object).

    Args:
        sock: a SOCK_SEQPACKET socket.
        keep: how many free blocks are worth keeping.
    """

    def __init__(self, sock: socket.socket, keep: int = 8):
        self.sock = sock
        self._out = _Blocks(keep)
        self._in: dict[int, Any] = {}
        self._leases: dict[int, weakref.ref] = {}
        self._returned: deque[int] = deque()  # blocks of the other end that nobody here uses any more
        self._pending: deque[tuple[bytes, int | None]] = deque()

    def send(self, tag: int, obj: Any, wait: bool = True) -> None:
        """Send `obj`; WorkerGone when the other end is closed.

        With wait=False a full socket keeps the packet for the next `flush`, so that two ends that send to each other
        cannot wait for each other.
        """
        self._pending.append(self._pack(tag, obj))
        self.flush(wait)

    @property
    def pending(self) -> bool:
        """Something waits for the socket to take it."""
        return bool(self._pending)

    def flush(self, wait: bool = False) -> bool:
        """Send what is pending; False when the socket is full and something is left."""
        while self._pending:
            packet, fd = self._pending[0]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [fd]))] if fd is not None else []
            try:
                self.sock.sendmsg([packet], rights, 0 if wait else socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            except OSError as error:
                raise WorkerGone from error
            self._pending.popleft()
            if fd is not None:
                os.close(fd)
        return True

    def receive(self) -> tuple[int, Any]:
        """The next tag and object, or an `Unreadable`; WorkerGone when the other end is closed."""
        try:
            packet, fds, _, _ = socket.recv_fds(self.sock, 4 * INLINE, 1)
        except OSError as error:
            raise WorkerGone from error
        if not packet:
            raise WorkerGone
        tag, returned, inline, header = pickle.loads(packet)
        self._out.give_back(returned)
        try:
            return tag, (pickle.loads(inline[0], buffers=inline[1]) if header is None else self._unpack(header, fds))
        except Exception as error:
            return tag, Unreadable(error)

    def close(self) -> None:
        """Close this end; memory that arrays still show stays until they are gone."""
        self.sock.close()
        for _, fd in self._pending:
            if fd is not None:
                os.close(fd)
        self._pending.clear()
        self._in.clear()

    def _pack(self, tag: int, obj: Any) -> tuple[bytes, int | None]:
        """The packet for `obj`, and the descriptor of a new block."""
        parts: list[Any] = []
        meta = io.BytesIO()
        _Pickler(meta, protocol=5, buffer_callback=lambda b: parts.append(b.raw())).dump(obj)
        sizes = [len(part) for part in parts]
        if meta.tell() + sum(sizes) <= INLINE:
            inline, header, fd = (meta.getvalue(), [bytearray(part) for part in parts]), None, None
        else:
            table = pickle.dumps(sizes)
            parts = [table, meta.getbuffer(), *parts]
            spans = _spans([len(part) for part in parts])
            number, block, fd, dropped = self._out.take(spans[-1][1])
            target = memoryview(block).cast("B")
            for part, (start, stop) in zip(parts, spans, strict=True):
                target[start:stop] = part
            inline, header = None, (number, len(block), len(table), meta.tell(), dropped)
        returned = [self._returned.popleft() for _ in range(min(len(self._returned), _RETURNED))]
        return pickle.dumps((tag, returned, inline, header), protocol=5), fd

    def _unpack(self, header: tuple, fds: list[int]) -> Any:
        number, size, table, meta, dropped = header
        for n in dropped:
            del self._in[n]
        if fds:
            try:
                self._in[number] = _map(fds[0], size)
            finally:
                os.close(fds[0])
        root = np.frombuffer(self._in[number], np.uint8)  # each array of the message holds on to it
        self._leases[number] = weakref.ref(root, partial(_note, self._returned, number))
        _, (start, stop), *rest = _spans([table, meta, *pickle.loads(root.data[:table])])
        return pickle.loads(root.data[start:stop], buffers=[root[a:b] for a, b in rest])


def _spans(sizes: list[int]) -> list[tuple[int, int]]:
    """Where each part of a message lies in its block."""
    spans = []
    end = 0
    for size in sizes:
        start = -(-end // _ALIGN) * _ALIGN
        end = start + size
        spans.append((start, end))
    return spans


def _note(returned: deque[int], number: int, _: Any) -> None:
    returned.append(number)


def channel() -> tuple[socket.socket, socket.socket]:
    """The two ends of a new channel."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
