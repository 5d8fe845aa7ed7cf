"""Files put in place in one step: whenever the process is killed, the path holds the whole old file or the whole new."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import threading
from collections.abc import Callable
from typing import Any

_PREALLOCATED = 1 << 20  # bytes
_SYNC_FILE_RANGE_WRITE = 2


def replace(target: str | bytes, fill: Callable[[Callable[[Any], Any]], None], size: int) -> None:
    """Write a new file beside `target` and put it in its place when all of it is on the disk.

    Args:
        target: the path.
        fill: writes the content by the function that it is given.
        size: bytes that the content has at least.

    Raises:
        RuntimeError: the folder is missing.
        IsADirectoryError: `target` is a folder.
    """
    path, old = _place(target)
    if old is not None and not stat.S_ISREG(old.st_mode):
        with open(path, "wb") as out:  # a device or a pipe can't be replaced
            fill(whole_writes(out))
        return
    try:
        _write_beside(path, old, fill, size, nameless=True)
    except _CannotBeNamed:
        _write_beside(path, old, fill, size, nameless=False)


def replace_by_path(target: str | bytes, write_file: Callable[[str], None], content: Callable[[], bytes]) -> None:
    """`replace` for a library that wants a path to write to.

    Args:
        target: the path.
        write_file: makes or replaces the file at the path that it is given.
        content: the same bytes, for a device or a pipe, which can't be replaced.
    """
    path, old = _place(target)
    if old is not None and not stat.S_ISREG(old.st_mode):
        with open(path, "wb") as out:
            whole_writes(out)(content())
        return
    with _Temporary(path, nameless=False) as out:
        mode = (old or os.stat(out.path)).st_mode
        write_file(out.path)
        os.chmod(out.path, stat.S_IMODE(mode))  # the library may have put a file of its own there
        written = os.open(out.path, os.O_RDONLY)
        try:
            os.fsync(written)
        finally:
            os.close(written)
        out.rename()


def _place(target: str | bytes) -> tuple[str, os.stat_result | None]:
    """Where `target` leads, and what is there."""
    path = os.path.realpath(os.fsdecode(target))
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise RuntimeError(f"save: Parent directory {folder} does not exist.")
    try:
        old = os.stat(path)
    except FileNotFoundError:
        return path, None
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, "save: f is a directory", path)
    return path, old


def _write_beside(
    path: str, old: os.stat_result | None, fill: Callable[[Callable[[Any], Any]], None], size: int, nameless: bool
) -> None:
    with _Temporary(path, nameless) as out:
        if size >= _PREALLOCATED and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(out.file.fileno(), 0, size)  # a full disk shows at once, and writing takes half the time
        fill(_to_disk_meanwhile(out.file) if size >= _PREALLOCATED else whole_writes(out.file))
        if old is not None:
            os.chmod(out.file.fileno() if os.chmod in os.supports_fd else out.path, stat.S_IMODE(old.st_mode))
        os.fsync(out.file.fileno())
        out.rename()


def whole_writes(f: Any) -> Callable[[Any], None]:
    """`f.write` that hands over all bytes, also where an unbuffered file takes them in pieces."""

    def write(piece: Any) -> None:
        left = memoryview(piece)
        while len(left):
            done = f.write(left)
            if done is None or done >= len(left):
                return
            left = left[done:]

    return write


def _to_disk_meanwhile(file: Any) -> Callable[[Any], None]:
    """A function that writes all of a piece and has the system start to bring it to the disk, where it knows how."""
    write = whole_writes(file)
    try:
        start = ctypes.CDLL(None).sync_file_range
        start.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    except (AttributeError, OSError, TypeError):
        return write  # not Linux: all of it waits for the fsync
    position = 0

    def write_and_start(piece: Any) -> None:
        nonlocal position
        write(piece)
        size = len(piece)
        if size >= _PREALLOCATED:
            start(file.fileno(), position, size, _SYNC_FILE_RANGE_WRITE)  # a hint: its failure is the fsync's to find
        position += size

    return write_and_start


class _CannotBeNamed(OSError):
    """The file system makes files without names, but gives them none afterwards."""


class _Temporary:
    """A new file in the folder of `target`, gone again unless `rename` was reached.

    Where the system can, the file has no name until it is whole, so that a killed process leaves nothing behind.
    """

    def __init__(self, target: str, nameless: bool):
        self.target = target
        self.path = f"{target}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
        self.named = not (nameless and hasattr(os, "O_TMPFILE") and os.path.exists("/proc/self/fd"))

    def __enter__(self) -> _Temporary:
        descriptor = -1
        if not self.named:
            try:
                descriptor = os.open(os.path.dirname(self.target), os.O_TMPFILE | os.O_WRONLY, 0o666)
            except OSError:
                self.named = True  # not every file system has files without names
        if self.named:
            descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)
        self.file = open(descriptor, "wb", buffering=0)
        return self

    def rename(self) -> None:
        """Give the file its name, in the place of what had it."""
        folder = -1
        if hasattr(os, "O_DIRECTORY"):
            folder = os.open(os.path.dirname(self.target), os.O_RDONLY | os.O_DIRECTORY)
        try:
            if not self.named:
                try:  # with a dir_fd, Python calls linkat, which follows the link in /proc
                    source = f"/proc/self/fd/{self.file.fileno()}"
                    os.link(source, os.path.basename(self.path), dst_dir_fd=folder, follow_symlinks=True)
                except OSError as e:
                    raise _CannotBeNamed(*e.args) from e
                self.named = True
            self.file.close()
            with _Held(self.target):
                os.replace(self.path, self.target)
            self.named = False
            if folder >= 0:
                _sync_folder(folder)
        finally:
            if folder >= 0:
                os.close(folder)

    def __exit__(self, *exc: Any) -> None:
        self.file.close()
        if self.named:
            try:
                os.unlink(self.path)
            except FileNotFoundError:
                pass


class _Held:
    """Keeps the file at `path` open while it loses its name, and leaves it to a thread to give its space back.

    That takes as long as writing the new file does, and nothing depends on it.
    """

    def __init__(self, path: str):
        self.path = path
        self.descriptor = -1

    def __enter__(self) -> _Held:
        try:
            if os.stat(self.path).st_size >= _PREALLOCATED:
                self.descriptor = os.open(self.path, os.O_RDONLY)
        except OSError:
            pass  # there is none, or it can't be read: the rename gives its space back
        return self

    def __exit__(self, *exc: Any) -> None:
        if self.descriptor >= 0:
            _held.add(self.descriptor)
            threading.Thread(target=_let_go, args=(self.descriptor,), daemon=True).start()


_held: set[int] = set()


def _let_go(descriptor: int) -> None:
    _held.discard(descriptor)
    os.close(descriptor)


def _let_all_go() -> None:
    """In a child process, which would keep the space of files that are long gone."""
    for descriptor in list(_held):
        _let_go(descriptor)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_all_go)


def _sync_folder(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError:
        pass  # some network file systems can't; the file itself is on the disk
