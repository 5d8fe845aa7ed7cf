"""PyTorch's zip container on raw bytes: records written one after the other, read back only when they are whole.

A checkpoint is an ordinary zip file whose records are stored, not compressed: `archive/data.pkl` (the pickle),
`archive/data/0`, `archive/data/1`, ... (the bytes of the storages, each at a multiple of 64 bytes so that it can be
mapped), `archive/byteorder` and `archive/version`. The reader checks all that it relies on: bounds, names in both
headers, and the CRC-32 of each record that it reads. A file that fails is refused with `DamagedFileError`.

A CRC of all bytes takes three times as long as reading them from the system's cache. So large records also carry
`word_check` in an extra field of their directory entry, which other readers pass over; the CRC is compared where the
field is missing or does not fit.
"""

from __future__ import annotations

import errno
import io
import mmap
import os
import struct
import threading
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ..kernels._threads import get_num_threads, parallel

ALIGNMENT = 64  # of each record's first byte; PyTorch's own choice
SHARED = 1 << 23  # bytes that are worth several threads
_BLOCK = 1 << 20  # bytes read and checked at a time: still in the cache when the check reads them again; whole rows
_CHECKED = 1 << 16  # bytes of a record that carries a word check

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_BIG16, _BIG32 = 0xFFFF, 0xFFFFFFFF
_UTF8 = 0x800
_ZIP64, _PADDING, _WORD_CHECK = 1, 0x4246, 0x7774  # kinds of extra fields

_ROW = 512  # words
_WEIGHTS = np.multiply.accumulate(np.full(_ROW, 0x9E3779B97F4A7C15, np.uint64))  # powers of an odd number: all are odd


def word_check(content: np.ndarray, start: int = 0) -> int:
    """A 32-bit check of bytes, several times as fast as their CRC-32: the CRC-32 of weighted sums.

    Each row of 512 little-endian 64-bit words w gives sum(w_j c^(j + 1)) mod 2^64 with c odd, so that any changed word,
    and words that change places, change the sum. The CRC-32 of the sums takes in the order of the rows.

    Args:
        content: contiguous uint8.
        start: the check of what comes before, whole rows.
    """
    whole = content.size // (8 * _ROW) * (8 * _ROW)
    if whole:
        start = zlib.crc32(np.einsum("ij,j->i", content[:whole].view("<u8").reshape(-1, _ROW), _WEIGHTS), start)
    return zlib.crc32(content[whole:].data, start) if whole < content.size else start


class DamagedFileError(RuntimeError):
    """A file that is truncated, altered or not a checkpoint at all; the message says what is wrong with it."""


class Record(NamedTuple):
    """One entry of the central directory."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    header: int
    words: int | None


class Writer:
    """Writes the records of one archive to `write`, a function that takes bytes-like objects.

    Args:
        write: called with each piece in order; must consume all of it.
        folder: the folder that all names begin with.
    """

    def __init__(self, write: Any, folder: str = "archive"):
        self._write, self._folder = write, folder
        self._position = 0
        self._central: list[bytes] = []

    def _put(self, piece: Any, size: int) -> None:
        self._write(piece)
        self._position += size

    def add(self, name: str, content: Any, checks: tuple[int, int] | None = None) -> None:
        """Append the record `name` with `content` (bytes, or a contiguous uint8 array), whose `checks` may be known."""
        path = f"{self._folder}/{name}".encode()
        size = len(content)
        crc, words = checks or (zlib.crc32(content), None)
        start = self._position
        wide = size >= _BIG32
        field = struct.pack("<2H2Q", _ZIP64, 16, size, size) if wide else b""
        # the padding travels in an extra field, as PyTorch does it
        padding = -(start + _LOCAL.size + len(path) + len(field) + 4) % ALIGNMENT
        extra = field + struct.pack("<2H", _PADDING, padding) + b"Z" * padding
        short = _BIG32 if wide else size
        version = 45 if wide else 20
        head = _LOCAL.pack(b"PK\3\4", version, _UTF8, 0, 0, 33, crc, short, short, len(path), len(extra))
        self._put(head + path + extra, len(head) + len(path) + len(extra))
        if size:
            self._put(content, size)
        field = struct.pack("<2H3Q", _ZIP64, 24, size, size, start) if wide or start >= _BIG32 else b""
        if field:
            short = start32 = _BIG32
            version = 45
        else:
            start32 = start
        if words is not None and size >= _CHECKED:
            field += struct.pack("<2HI", _WORD_CHECK, 4, words)
        lengths = (len(path), len(field), 0)
        entry = _CENTRAL.pack(b"PK\1\2", 45, version, _UTF8, 0, 0, 33, crc, short, short, *lengths, 0, 0, 0, start32)
        self._central.append(entry + path + field)

    def close(self) -> None:
        """Write the central directory."""
        directory = b"".join(self._central)
        start, count = self._position, len(self._central)
        self._put(directory, len(directory))
        if count >= _BIG16 or start >= _BIG32:
            end64 = self._position
            tail = _END64.pack(b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(directory), start)
            tail += _LOCATOR64.pack(b"PK\6\7", 0, end64, 1)
            self._put(tail, len(tail))
        count16, start32 = min(count, _BIG16), min(start, _BIG32)
        tail = _END.pack(b"PK\5\6", 0, 0, count16, count16, len(directory), start32, 0)
        self._put(tail, len(tail))


def checks(content: np.ndarray) -> tuple[int, int]:
    """The CRC-32 and the word check of a record's bytes; block by block, each read once from memory."""
    crc = words = 0
    for a in range(0, content.size, _BLOCK):
        block = content[a : a + _BLOCK]
        crc, words = zlib.crc32(block.data, crc), word_check(block, words)
    return crc, words


class ChecksAhead:
    """The checks of records that are written in order; where it pays, a second thread works from the last to the first.

    The writer never waits for that thread: what is not ready it computes itself, so that a busy machine costs nothing.

    Args:
        contents: the records' bytes; None for one that is not there before its turn.
    """

    def __init__(self, contents: list[np.ndarray | None]):
        self._contents = contents
        self._ready: dict[int, tuple[int, int]] = {}
        self._at = 0
        size = sum(c.size for c in contents if c is not None)
        if size >= SHARED and len(contents) > 1 and get_num_threads() > 1:
            threading.Thread(target=self._ahead, name="checks ahead", daemon=True).start()

    def _ahead(self) -> None:
        for i in range(len(self._contents) - 1, 0, -1):
            content = self._contents[i]
            if i <= self._at:
                return
            if content is not None:
                self._ready[i] = checks(content)

    def take(self, i: int, content: np.ndarray) -> tuple[int, int]:
        """The checks of record `i`, the next to be written."""
        self._at = i
        return self._ready.get(i) or checks(content)

    def stop(self) -> None:
        """Let the thread end after the record that it is at."""
        self._at = len(self._contents)


def share(work: Callable[[Any], None], tasks: list[Any], total: int) -> None:
    """`work` on each task, by all threads when `total` bytes are worth it; the largest tasks should come first."""
    left = iter(tasks)

    def run(start: int, stop: int) -> None:
        for task in left:  # shared by the threads, which each take what comes next
            work(task)

    parallel(run, get_num_threads() if total >= SHARED else 1)


class Source:
    """Random access to the bytes of an open file or of a seekable file-like object, counted from where it stands."""

    def __init__(self, file: Any):
        self._file = file
        self._base = file.tell()
        file.seek(0, os.SEEK_END)
        self.size = file.tell() - self._base
        file.seek(self._base)
        self._readinto = getattr(file, "readinto", None)
        self._fd = _descriptor(file)
        self._map: mmap.mmap | None = None

    def fill(self, offset: int, target: memoryview) -> bool:
        """Read into `target`; False when the file ends before it is full."""
        done, wanted = 0, len(target)
        if self._fd is None:
            self._file.seek(self._base + offset)
        while done < wanted:
            if self._fd is not None:  # leaves the file's position alone, so that threads can share it
                got = os.preadv(self._fd, [target[done:]], self._base + offset + done)
            elif self._readinto is not None:
                got = self._readinto(target[done:]) or 0
            else:
                piece = self._file.read(wanted - done)
                got = len(piece)
                target[done : done + got] = piece
            if not got:
                return False
            done += got
        return True

    @property
    def is_shareable(self) -> bool:
        """Whether several threads can read at once."""
        return self._fd is not None

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset`, b'' when the file does not hold them."""
        if offset < 0 or size < 0 or offset + size > self.size:
            return b""
        buffer = bytearray(size)
        return bytes(buffer) if self.fill(offset, memoryview(buffer)) else b""

    def mapped(self, offset: int, size: int) -> np.ndarray:
        """The bytes as a private mapping of the file: writable, writes stay in this process."""
        if self._map is None:
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_COPY)
        return np.frombuffer(self._map, np.uint8, size, self._base + offset)


def _descriptor(file: Any) -> int | None:
    """The descriptor of a plain file opened for reading bytes; None for anything that only looks like a file."""
    if not isinstance(file, (io.BufferedReader, io.BufferedRandom, io.FileIO)) or not hasattr(os, "preadv"):
        return None
    if isinstance(file, io.BufferedRandom):
        file.flush()
    return file.fileno()


def is_archive(source: Source) -> bool:
    """Whether the bytes begin as a zip file does."""
    return source.read(0, 4) == b"PK\3\4"


class Reader:
    """Reads and checks the records of an archive.

    Raises:
        DamagedFileError: the central directory is missing, truncated or contradicts the file.
    """

    def __init__(self, source: Source, where: str):
        self._source, self._where = source, where
        self.records: dict[str, Record] = {}
        self._ahead: dict[str, np.ndarray] = {}
        names = self._directory()
        if not names:
            raise self._damaged("the archive holds no records")
        folder = names[0].name.partition("/")[0] + "/"
        for record in names:
            if record.name.startswith(folder):
                self.records[record.name[len(folder) :]] = record

    def _damaged(self, what: str) -> DamagedFileError:
        return DamagedFileError(f"load: {self._where} is damaged: {what}")

    def _directory(self) -> list[Record]:
        source = self._source
        tail_size = min(source.size, _END.size + _BIG16)
        tail = source.read(source.size - tail_size, tail_size)
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) - at < _END.size:
            raise self._damaged("its end, the zip directory, is missing (the file is truncated, or not a checkpoint)")
        _, disk, disk0, _, count, size, start, _ = _END.unpack_from(tail, at)
        if disk or disk0:
            raise self._damaged("it claims to be one part of a multi-part zip file")
        end = source.size - tail_size + at
        if count == _BIG16 or size == _BIG32 or start == _BIG32:
            locator = source.read(end - _LOCATOR64.size, _LOCATOR64.size)
            if locator[:4] != b"PK\6\7":
                raise self._damaged("the zip64 locator is missing")
            end64 = source.read(_LOCATOR64.unpack(locator)[2], _END64.size)
            if end64[:4] != b"PK\6\6":
                raise self._damaged("the zip64 directory end is missing")
            count, size, start = _END64.unpack(end64)[7:10]
        if start + size > end:
            raise self._damaged(f"its directory should lie at bytes {start} to {start + size} of {source.size}")
        directory = source.read(start, size)
        found: list[Record] = []
        at = 0
        for _ in range(count):
            if at + _CENTRAL.size > len(directory) or directory[at : at + 4] != b"PK\1\2":
                raise self._damaged(f"its directory breaks off after {len(found)} of {count} records")
            fields = _CENTRAL.unpack_from(directory, at)
            flags, method, crc, packed, full = fields[3], fields[4], fields[7], fields[8], fields[9]
            n_name, n_extra, n_comment, header = fields[10], fields[11], fields[12], fields[16]
            at += _CENTRAL.size
            raw = directory[at : at + n_name]
            extra = directory[at + n_name : at + n_name + n_extra]
            at += n_name + n_extra + n_comment
            try:
                name = raw.decode("utf-8")
            except UnicodeDecodeError:
                raise self._damaged(f"a record's name is not text: {raw[:40]!r}") from None
            if flags & 1:
                raise self._damaged(f"record {name!r} is marked as encrypted")
            full, packed, header, words = self._extra(extra, full, packed, header)
            if header + _LOCAL.size + packed > start:
                raise self._damaged(f"record {name!r} of {packed} bytes at {header} does not fit into the file")
            if method not in (0, 8) or (method == 0 and packed != full):
                raise self._damaged(f"record {name!r} has compression method {method}, sizes {packed} and {full}")
            found.append(Record(name, method, crc, packed, full, header, words))
        return found

    @staticmethod
    def _extra(extra: bytes, full: int, packed: int, header: int) -> tuple[int, int, int, int | None]:
        """Sizes and offset, where 32 bits did not hold them, and the word check, if there is one."""
        at, words = 0, None
        while at + 4 <= len(extra):
            kind, length = struct.unpack_from("<2H", extra, at)
            if kind == _ZIP64:
                values = list(struct.unpack_from(f"<{min(length, len(extra) - at - 4) // 8}Q", extra, at + 4))
                full = values.pop(0) if full == _BIG32 and values else full
                packed = values.pop(0) if packed == _BIG32 and values else packed
                header = values.pop(0) if header == _BIG32 and values else header
            elif kind == _WORD_CHECK and length == 4 and at + 8 <= len(extra):
                words = int.from_bytes(extra[at + 4 : at + 8], "little")
            at += 4 + length
        return full, packed, header, words

    def _find(self, name: str) -> Record:
        record = self.records.get(name)
        if record is None:
            raise self._damaged(f"record {name!r} is missing")
        return record

    def _content_offset(self, record: Record) -> int:
        head = self._source.read(record.header, _LOCAL.size)
        if head[:4] != b"PK\3\4":
            raise self._damaged(f"record {record.name!r} does not begin at byte {record.header}")
        fields = _LOCAL.unpack(head)
        n_name, n_extra = fields[9], fields[10]
        name = self._source.read(record.header + _LOCAL.size, n_name)
        offset = record.header + _LOCAL.size + n_name + n_extra
        if name != record.name.encode() or offset + record.packed > self._source.size:
            raise self._damaged(f"record {record.name!r} is called {name[:60]!r} in its own header, or is cut off")
        return offset

    def _altered(self, record: Record) -> DamagedFileError:
        return self._damaged(f"the bytes of record {record.name!r} do not match their checksum")

    def read(self, name: str) -> np.ndarray:
        """The record's bytes, in memory of their own, after the CRC was compared."""
        ahead = self._ahead.pop(name, None)
        return self._read(self._find(name)) if ahead is None else ahead

    def read_ahead(self, prefix: str) -> None:
        """Read all records whose names begin with `prefix`, by several threads where that pays."""
        found = [(name, record) for name, record in self.records.items() if name.startswith(prefix)]
        total = sum(record.packed for _, record in found)
        if not self._source.is_shareable or total < SHARED or len(found) < 2:
            return

        def read(task: tuple[str, Record]) -> None:
            self._ahead[task[0]] = self._read(task[1])

        share(read, sorted(found, key=lambda task: -task[1].packed), total)

    def _read(self, record: Record) -> np.ndarray:
        offset = self._content_offset(record)
        out = np.empty(record.packed, np.uint8)
        view = memoryview(out.data)
        quick = record.words is not None and record.method == 0
        found = 0
        for a in range(0, record.packed, _BLOCK):
            if not self._source.fill(offset + a, view[a : a + _BLOCK]):
                raise self._damaged(f"record {record.name!r} ends before its {record.packed} bytes")
            block = out[a : a + _BLOCK]
            found = word_check(block, found) if quick else zlib.crc32(block.data, found)
        if quick and found == record.words:
            return out
        if record.method == 8:
            out = self._inflate(record, view)
        if quick or record.method == 8:
            found = zlib.crc32(out.data)
        if found != record.crc:
            raise self._altered(record)
        return out

    def _inflate(self, record: Record, packed: memoryview) -> np.ndarray:
        try:
            stream = zlib.decompressobj(-15)
            content = stream.decompress(packed, record.size + 1)
        except zlib.error as e:
            raise self._damaged(f"record {record.name!r} can't be decompressed: {e}") from None
        if len(content) != record.size:
            raise self._damaged(f"record {record.name!r} holds {len(content)} bytes, not {record.size}")
        return np.frombuffer(bytearray(content), np.uint8)

    def mapped(self, name: str) -> np.ndarray:
        """The record's bytes as a private mapping of the file; their CRC is not read, which would read the file."""
        record = self._find(name)
        if record.method:
            return self.read(name)
        return self._source.mapped(self._content_offset(record), record.size)


def open_source(file: BinaryIO) -> Source:
    """A Source over `file`.

    Raises:
        AttributeError, io.UnsupportedOperation: the object can't seek.
    """
    try:
        return Source(file)
    except (AttributeError, OSError) as e:
        if isinstance(e, OSError) and not isinstance(e, io.UnsupportedOperation) and e.errno != errno.ESPIPE:
            raise
        kind = AttributeError if isinstance(e, AttributeError) else io.UnsupportedOperation
        raise kind(
            f"load: f must be seekable; got {type(file).__name__}: {e}. Read it into io.BytesIO first and load that"
        ) from None
