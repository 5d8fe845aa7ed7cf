"""The safe unpickler: a small stack machine for pickle's opcodes that asks an allow-list before it makes anything.

Python's own unpickler looks names up by importing modules and calls what it finds. This one knows containers, numbers
and strings itself; each global, call, new instance and instance state goes to an `Allowed` (allowed.py), and opcodes
that bypass it (extension codes, textual instances, out-of-band buffers) are refused.
"""

from __future__ import annotations

import pickle
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

from .allowed import check_key
from .archive import DamagedFileError

_MARK = object()
_HIGHEST_PROTOCOL = 5


class Policy(Protocol):
    """What the machine asks before it makes anything but plain data."""

    def find(self, module: str, name: str) -> Any: ...
    def call(self, function: Any, args: tuple) -> Any: ...
    def new(self, cls: Any, args: tuple, kwargs: dict) -> Any: ...
    def build(self, instance: Any, state: Any) -> Any: ...


def load(
    stream: BinaryIO, policy: Policy, persistent_load: Callable[[Any], Any], *, limit: int, encoding: str = "utf-8"
) -> Any:
    """Unpickle one object from `stream`.

    Args:
        stream: read from its position to the end of the pickle.
        policy: the allow-list.
        persistent_load: turns a persistent id (the archive's storages) into an object.
        limit: bytes that the stream can hold; a longer string is refused before memory is asked for it.
        encoding: of the 8-bit strings of Python 2 ("bytes" leaves them as they are).

    Raises:
        pickle.UnpicklingError: something is refused.
        DamagedFileError: the bytes are no pickle.
    """
    machine = _Machine(stream, policy, persistent_load, limit, encoding)
    try:
        return machine.run()
    except _NotThePickle as e:
        raise e.error from e.error.__cause__
    except (pickle.UnpicklingError, DamagedFileError):
        raise
    except RecursionError:
        raise DamagedFileError("load: the pickle's structure is too deep") from None
    except (
        LookupError, TypeError, ValueError, AttributeError, OverflowError, struct.error, EOFError, AssertionError
    ) as e:  # fmt: skip
        raise DamagedFileError(f"load: the pickle is damaged: {type(e).__name__}: {e}") from e


class _NotThePickle(Exception):
    """Carries an error of a storage's restoring (a missing device, a user's map_location) past the checks."""

    def __init__(self, error: Exception):
        self.error = error


class _Machine:
    """The stack, the memo and one method per opcode."""

    def __init__(self, stream: BinaryIO, policy: Policy, persistent_load: Any, limit: int, encoding: str):
        self._stream, self._read = stream, stream.read
        self._policy, self._persistent_load = policy, persistent_load
        self._limit, self._encoding = limit, encoding
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        read, table, stack = self._read, _TABLE, self.stack
        while True:
            code = read(1)
            if code == b".":
                return stack.pop()
            step = table.get(code)
            if step is not None:
                step(self)
            elif code:
                raise pickle.UnpicklingError(f"load: weights_only=True refuses the pickle opcode {code!r}")
            else:
                raise EOFError("it ends before its STOP")

    # -- reading -----------------------------------------------------------------------------------------------------

    def take(self, size: int) -> bytes:
        if size < 0 or size > self._limit:
            raise ValueError(f"a string of {size} bytes in {self._limit} bytes")
        data = self._read(size)
        if len(data) != size:
            raise EOFError("it breaks off in the middle")
        return data

    def line(self) -> bytes:
        text = self._stream.readline(1 << 20)
        if text[-1:] != b"\n":
            raise EOFError("it breaks off in the middle")
        return text[:-1]

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def items(self) -> list[Any]:
        """What lies above the last mark, both removed from the stack."""
        stack = self.stack
        at = len(stack) - 1
        while at >= 0 and stack[at] is not _MARK:
            at -= 1
        if at < 0:
            raise IndexError("a mark is missing")
        found = stack[at + 1 :]
        del stack[at:]
        return found

    def text(self, raw: bytes) -> str | bytes:
        return raw if self._encoding == "bytes" else raw.decode(self._encoding)

    # -- the steps that are more than one expression -----------------------------------------------------------------

    def proto(self) -> None:
        version = self.take(1)[0]
        if version > _HIGHEST_PROTOCOL:
            raise pickle.UnpicklingError(
                f"load: pickle protocol {version} is unknown; known are 0 to {_HIGHEST_PROTOCOL}"
            )

    def integer_text(self) -> None:
        raw = self.line()
        self.stack.append(raw == b"01" if raw in (b"00", b"01") else int(raw))

    def string_text(self) -> None:
        raw = self.line()
        if len(raw) < 2 or raw[:1] != raw[-1:] or raw[:1] not in (b"'", b'"'):
            raise ValueError("a string without quotes")
        self.stack.append(self.text(raw[1:-1].decode("unicode_escape").encode("latin-1")))

    def append(self) -> None:
        value = self.stack.pop()
        self._list(self.stack[-1]).append(value)

    def appends(self) -> None:
        values = self.items()
        self._list(self.stack[-1]).extend(values)

    @staticmethod
    def _list(target: Any) -> Any:
        if type(target) not in (list, deque):
            raise pickle.UnpicklingError(
                f"load: appending to a {type(target).__name__} is not allowed by weights_only=True"
            )
        return target

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._fill(self.stack[-1], (key, value))

    def set_items(self) -> None:
        values = self.items()
        self._fill(self.stack[-1], values)

    @staticmethod
    def _fill(target: Any, pairs: Any) -> None:
        if not isinstance(target, dict):
            raise pickle.UnpicklingError(
                f"load: items of a {type(target).__name__} are not allowed by weights_only=True"
            )
        if len(pairs) % 2:
            raise ValueError("a key without a value")
        for i in range(0, len(pairs), 2):
            target[check_key(pairs[i])] = pairs[i + 1]

    def dict_of_items(self) -> None:
        values = self.items()
        made: dict[Any, Any] = {}
        self._fill(made, values)
        self.stack.append(made)

    def add_items(self) -> None:
        values = self.items()
        target = self.stack[-1]
        if type(target) is not set:
            raise pickle.UnpicklingError(
                f"load: adding to a {type(target).__name__} is not allowed by weights_only=True"
            )
        target.update(map(check_key, values))

    def tuple_of(self, n: int) -> None:
        if len(self.stack) < n:
            raise IndexError("the stack is empty")
        values = tuple(self.stack[-n:])
        if _MARK in values:
            raise IndexError("a mark in a tuple")
        self.stack[-n:] = [values]

    def find(self) -> None:
        module, name = self.line().decode("utf-8"), self.line().decode("utf-8")
        self.stack.append(self._policy.find(module, name))

    def find_on_stack(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if type(name) is not str or type(module) is not str:
            raise TypeError("a global's name must be text")
        self.stack.append(self._policy.find(module, name))

    def reduce(self) -> None:
        args = self.stack.pop()
        if type(args) is not tuple:
            raise TypeError("the arguments of a call must be a tuple")
        self.stack[-1] = self._policy.call(self.stack[-1], args)

    def new(self, extended: bool) -> None:
        kwargs = self.stack.pop() if extended else {}
        args = self.stack.pop()
        if type(args) is not tuple or type(kwargs) is not dict:
            raise TypeError("the arguments of a new instance must be a tuple and a dict")
        self.stack[-1] = self._policy.new(self.stack[-1], args, kwargs)

    def build(self) -> None:
        state = self.stack.pop()
        self.stack[-1] = self._policy.build(self.stack[-1], state)

    def persistent(self) -> None:
        try:
            self.stack[-1] = self._persistent_load(self.stack[-1])
        except Exception as e:
            raise _NotThePickle(e) from e

    def put(self, key: int) -> None:
        self.memo[key] = self.stack[-1]


def _push(read: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    return lambda m: m.stack.append(read(m))


def _decode(m: _Machine, layout: str) -> str:
    return m.take(m.number(layout)).decode("utf-8", "surrogatepass")


def _long(m: _Machine, layout: str) -> int:
    return int.from_bytes(m.take(m.number(layout)), "little", signed=True)


_TABLE: dict[bytes, Callable[[_Machine], Any]] = {
    b"\x80": _Machine.proto,
    b"\x95": lambda m: m.take(8),  # FRAME: the length of what follows, of no use when the bytes are in memory
    b"(": lambda m: m.stack.append(_MARK),
    b"0": lambda m: m.stack.pop(),
    b"1": lambda m: m.items(),
    b"2": lambda m: m.stack.append(m.stack[-1]),
    # plain values
    b"N": _push(lambda m: None),
    b"\x88": _push(lambda m: True),
    b"\x89": _push(lambda m: False),
    b"I": _Machine.integer_text,
    b"J": _push(lambda m: m.number("<i")),
    b"K": _push(lambda m: m.take(1)[0]),
    b"M": _push(lambda m: m.number("<H")),
    b"L": _push(lambda m: int(m.line().rstrip(b"L"))),
    b"\x8a": _push(lambda m: _long(m, "<B")),
    b"\x8b": _push(lambda m: _long(m, "<i")),
    b"F": _push(lambda m: float(m.line())),
    b"G": _push(lambda m: m.number(">d")),
    # text and bytes
    b"S": _Machine.string_text,
    b"T": _push(lambda m: m.text(m.take(m.number("<i")))),
    b"U": _push(lambda m: m.text(m.take(m.number("<B")))),
    b"V": _push(lambda m: m.line().decode("raw-unicode-escape")),
    b"X": _push(lambda m: _decode(m, "<I")),
    b"\x8c": _push(lambda m: _decode(m, "<B")),
    b"\x8d": _push(lambda m: _decode(m, "<Q")),
    b"B": _push(lambda m: m.take(m.number("<I"))),
    b"C": _push(lambda m: m.take(m.number("<B"))),
    b"\x8e": _push(lambda m: m.take(m.number("<Q"))),
    b"\x96": _push(lambda m: bytearray(m.take(m.number("<Q")))),
    # containers
    b"]": _push(lambda m: []),
    b"}": _push(lambda m: {}),
    b")": _push(lambda m: ()),
    b"\x8f": _push(lambda m: set()),
    b"l": _push(lambda m: m.items()),
    b"t": _push(lambda m: tuple(m.items())),
    b"d": _Machine.dict_of_items,
    b"\x91": _push(lambda m: frozenset(map(check_key, m.items()))),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"a": _Machine.append,
    b"e": _Machine.appends,
    b"s": _Machine.set_item,
    b"u": _Machine.set_items,
    b"\x90": _Machine.add_items,
    # the memo
    b"p": lambda m: m.put(int(m.line())),
    b"q": lambda m: m.put(m.take(1)[0]),
    b"r": lambda m: m.put(m.number("<I")),
    b"\x94": lambda m: m.put(len(m.memo)),
    b"g": _push(lambda m: m.memo[int(m.line())]),
    b"h": _push(lambda m: m.memo[m.take(1)[0]]),
    b"j": _push(lambda m: m.memo[m.number("<I")]),
    # what the allow-list decides
    b"c": _Machine.find,
    b"\x93": _Machine.find_on_stack,
    b"R": _Machine.reduce,
    b"\x81": lambda m: m.new(False),
    b"\x92": lambda m: m.new(True),
    b"b": _Machine.build,
    b"Q": _Machine.persistent,
}
