"""Repeated calls: what an op does on a device for dtypes, shapes and strides that came before, without its Python.

The device side of an op works out tiles, grids and strides from its arguments and launches kernels. For the same dtypes,
shapes, strides and numbers it does the same again, with other addresses. So the second such call is recorded on a `Tape` -
memory made, launches, where each argument lies - and the later ones repeat the `Record`: new memory, the launches, the
results. This takes 4 us instead of 10 to 30.

Not repeated, because more than addresses differs from call to call: functions from outside this package; calls that
read values on the host, copy to the device or wait for it (`device.py` marks the tape as spoiled); those that reach
memory which is neither an argument nor made in the call; arguments that do not start at a multiple of 16 bytes; parts of
arguments that overlap; whatever runs while a CUDA graph is captured. `TRITORCH_PLANS=0` and
`TRITORCH_SYNC=1` switch it off, and `forget` is called by what changes how ops compute. The emulated device, where it
gains nothing, repeats calls only where a test sets `ENABLED`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from math import prod
from operator import itemgetter
from typing import Any

import numpy as np

from .. import device as _device
from .._capture import CAPTURES
from ..device import EMULATED, address, as_strided, backend, on_device, span
from ..device import _current as _thread
from ..dtypes import dtype

ENABLED = not EMULATED and os.environ.get("TRITORCH_PLANS", "1") != "0" and os.environ.get("TRITORCH_SYNC", "0") != "1"
KEPT = 256
"""Records per function; when there are more, for example of a text's many lengths, they are made anew."""

_SEEN = "seen"  # called once with these arguments: the next call is recorded
_NEVER = "never"  # what the call does is not fixed by its arguments
_STATIC = frozenset((int, bool, str, float, type(None), type(...), dtype))
_SPECIAL = frozenset((float, slice, tuple))

_records: dict[Callable[..., Any], dict[Any, Any]] = {}
_array: Any = np.ndarray if EMULATED else None  # the class of device arrays, known at the first call


def forget() -> None:
    """Drop all records: a setting changed that the device side of ops depends on."""
    _records.clear()


def call(function: Callable[..., Any], index: int, args: tuple[Any, ...]) -> Any:
    """`function(*args)` with cuda device `index` current.

    Args:
        function: the device side of an op, forward or gradient: raw arrays in, raw arrays out.
        args: arrays, plain values, and tuples or lists of them.
    """
    if index != _thread.index:
        with on_device(index):
            return call(function, index, args)
    if not ENABLED or CAPTURES or _thread.tape is not None:
        return function(*args)
    arrays: list[Any] = []
    key: list[Any] = [index]
    for a in args:
        kind = a.__class__
        if kind is _array:
            key += (a.dtype.num, a.shape, a.strides)
            arrays.append(a)
        elif kind is float:
            key.append(a.hex())  # -0.0 is not 0.0, 2.0 not 2
        elif kind is tuple or kind is list:
            key.append(len(a))
            for v in a:
                kind = v.__class__
                if kind is _array:
                    key += (v.dtype.num, v.shape, v.strides)
                    arrays.append(v)
                else:
                    key.append(_hashable(v) if kind in _SPECIAL else v)
        else:
            key.append(a)
    places: list[Any] = [address(a) for a in arrays] if EMULATED else [a.data.ptr for a in arrays]
    n = len(places)
    if n > 1 and len({*places}) < n:  # one array twice: which of them an argument of a launch was is not known
        key.append(tuple([places.index(p) for p in places]))
    entry = tuple(key)
    try:
        record = _records[function].get(entry)
    except (KeyError, TypeError):  # the function's first call; a list or an array where a number is expected
        return _first(function, args)
    if record.__class__ is not Record:
        return function(*args) if record is _NEVER else _unknown(function, args, arrays, entry)
    if not EMULATED:
        low = 0
        for p in places:
            low |= p
        if low & 15:
            return function(*args)
    return record.repeat(arrays, places, index)


def _hashable(v: Any) -> Any:
    """A part of the key for a slice, a float or a tuple of such."""
    kind = v.__class__
    if kind is float:
        return v.hex()
    if kind is slice:
        return "slice", v.start, v.stop, v.step
    return tuple([_hashable(w) if w.__class__ in _SPECIAL else w for w in v])


def _first(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    global _array
    if _array is None:
        _array = backend().ndarray
    if function not in _records and function.__module__.startswith("tritorch."):
        _records[function] = {}
    return function(*args)


def _unknown(function: Callable[..., Any], args: tuple[Any, ...], arrays: list[Any], entry: tuple[Any, ...]) -> Any:
    """A call without a record: the first one is remembered, the second one recorded."""
    if not all(_is_static(a, arrays) for a in args):
        return function(*args)
    records = _records[function]
    if entry not in records:
        if len(records) >= KEPT:
            records.clear()
        records[entry] = _SEEN
        return function(*args)
    if any(address(a) & 15 for a in arrays) and not EMULATED:
        return function(*args)  # as often as such arguments come
    tape = _thread.tape = Tape(arrays)
    try:
        result = function(*args)
    finally:
        _thread.tape = None
    records[entry] = tape.record(result)
    return result


def _is_static(a: Any, arrays: list[Any]) -> bool:
    """Is the argument a device array, or is all that it says part of the key."""
    if a.__class__ in (tuple, list, slice):
        parts = (a.start, a.stop, a.step) if a.__class__ is slice else a
        return all(_is_static(v, arrays) for v in parts)
    return a.__class__ in _STATIC or isinstance(a, np.dtype) or any(a is v for v in arrays)


class Tape:
    """What happens during a call that is recorded; `device.py` and `_launch.py` write on it.

    Attributes:
        given, memory: the call's arrays; those made by `device.empty`, kept until the end so that no address comes twice.
        launches: how each is made again, and the `_View` (or None) of each of its leading arguments, the pointers.
        spoiled: the call did what only its values decide.
    """

    def __init__(self, arrays: list[Any]):
        self.given = arrays
        self.memory: list[Any] = []
        self.launches: list[tuple[Any, list[_View | None]]] = []
        self.spoiled = False

    def launched(self, kernel: Any, grid: tuple[int, ...], args: tuple[Any, ...], consts: dict[str, Any]) -> None:
        """Write a launch down."""
        if self.spoiled or 0 in grid:
            return
        n = 0
        while n < len(args) and (args[n] is None or hasattr(args[n], "strides")):
            n += 1
        again = (kernel, grid, args[n:], consts) if EMULATED else kernel.again(grid, args, n, consts)
        views = [None if a is None else self.view(a) for a in args[:n]]
        if again is None or any(v is None and a is not None for v, a in zip(views, args, strict=False)):
            self.spoiled = True
        else:
            self.launches.append((again, views))

    def view(self, a: Any) -> _View | None:
        """Where an array lies; None for memory from elsewhere, and where arguments overlap and it may be of either."""
        known = [*self.given, *self.memory]
        for i, k in enumerate(known):
            if a is k:
                return _View(i, 0, None if i < len(self.given) else (a.shape, a.strides, a.dtype))
        if not a.size:
            return None
        at, found = address(a), []
        for i, k in enumerate(known):
            start, stop = _extent(k)
            if start <= at < stop:
                found.append(i)
        first = address(known[found[0]]) if found else 0
        if not found or any(address(known[i]) != first for i in found):
            return None
        return _View(found[0], at - first, (a.shape, a.strides, a.dtype))

    def record(self, result: Any) -> Any:
        """What later calls repeat, or _NEVER."""
        result = self._described(result)
        if result is _NEVER or self.spoiled:
            return _NEVER
        return Record(self.memory, len(self.given), self.launches, result)

    def _described(self, result: Any) -> Any:
        if result is None:
            return None
        if result.__class__ in (tuple, list):
            parts = [self._described(r) for r in result]
            return _NEVER if any(p is _NEVER for p in parts) else result.__class__(parts)
        view = self.view(result) if result.__class__ is _array else None
        return _NEVER if view is None else view


class _View:
    """A part of the call's memory: array number `place`, itself or from `offset` bytes on as (shape, strides, dtype)."""

    __slots__ = ("place", "offset", "seen")

    def __init__(self, place: int, offset: int, seen: Any):
        self.place, self.offset, self.seen = place, offset, seen

    def of(self, arrays: list[Any]) -> Any:
        """The array, of the memory of another call."""
        if self.seen is None:
            return arrays[self.place]
        shape, strides, dtype = self.seen
        return as_strided(arrays[self.place], shape, strides, self.offset, dtype)


class Record:
    """A call to be repeated: the memory it makes, its launches, what it gives.

    Attributes:
        memory: of each array made: shape and dtype, or None and bytes where nobody sees it.
        moved: (place, bytes from there) of the addresses that are within an array; they follow those of the arrays.
        launches: what makes each launch again, and what picks its pointers from all addresses (the last one is None).
        result: `_View`s in the call's structure.
    """

    __slots__ = ("memory", "moved", "launches", "result")

    def __init__(self, memory: list[Any], first: int, launches: list[Any], result: Any):
        views = _views(result)
        shown = [view.place for view in views]
        self.memory, places = _planned(memory, first, launches, frozenset(shown))
        for v in {id(v): v for v in (*views, *[v for _, vs in launches for v in vs if v is not None])}.values():
            v.place = places[v.place]
        shown = [view.place for view in views]
        for v in views:  # seen in one shape only: made in that shape
            if v.seen is not None and v.place >= first and shown.count(v.place) == 1:
                made, (shape, strides, kind) = self.memory[v.place - first], v.seen
                dense = strides == tuple([kind.itemsize * prod(shape[d + 1 :]) for d in range(len(shape))])
                if dense and v.offset == 0 and prod(shape) * kind.itemsize == prod(made[0]) * made[1].itemsize:
                    self.memory[v.place - first], v.seen = (shape, kind), None
        self.launches, self.result = launches, result
        self.moved: list[tuple[int, int]] = []
        if EMULATED:
            return
        pointers = {(v.place, v.offset) for _, views in launches for v in views if v is not None}
        self.moved = sorted(p for p in pointers if p[1])
        n = first + len(self.memory)
        at = {p: n + i for i, p in enumerate(self.moved)} | {(i, 0): i for i in range(n)}
        self.launches = [
            (*again, _picker([n + len(self.moved) if v is None else at[v.place, v.offset] for v in views]))
            for again, views in launches
        ]

    def repeat(self, arrays: list[Any], places: list[Any], index: int) -> Any:
        """The call's result for other arrays of the same kind; `places` are their addresses."""
        b: Any = _device._backend
        for shape, kind in self.memory:
            if shape is None:
                a = b.empty((kind,), np.uint8, index) if EMULATED else b.alloc(kind, index)
                places.append(0 if EMULATED else a.ptr)
            else:
                a = b.empty(shape, kind, index)
                places.append(address(a))
            arrays.append(a)
        if EMULATED:
            for (kernel, grid, numbers, consts), views in self.launches:
                pointers = [None if v is None else v.of(arrays) for v in views]
                kernel.start(grid, (*pointers, *numbers), dict(consts))
        else:
            for place, offset in self.moved:
                places.append(places[place] + offset)
            places.append(None)
            stream = b.stream_pointer(index)
            for run, (x, y, z), between, fixed, pick in self.launches:
                run(x, y, z, stream, *between, *pick(places), *fixed)
        result = self.result
        return result.of(arrays) if result.__class__ is _View else _made(result, arrays)


def _planned(
    memory: list[Any], first: int, launches: list[Any], shown: frozenset[int]
) -> tuple[list[tuple[Any, Any]], dict[int, int]]:
    """The memory that a repeated call makes, and the new place of each of the recorded call's arrays.

    Launches run one after the other, so arrays that nobody sees share memory where one is used up to a launch and the
    other from a later one on: no more is held than by the recorded call, and there is less to ask for.
    """
    begin: dict[int, int] = {}
    end: dict[int, int] = {}
    for i, (_, views) in enumerate(launches):
        for v in views:
            if v is not None and v.place >= first and v.place not in shown:
                begin.setdefault(v.place, i)
                end[v.place] = i
    places = {i: i for i in range(first)}
    made: list[tuple[Any, Any]] = []
    for place in sorted(p for p in shown if p >= first):
        places[place] = first + len(made)
        made.append((memory[place - first].shape, memory[place - first].dtype))
    free: dict[int, list[int]] = {}
    for i in range(len(launches)):
        for place in [p for p, at in begin.items() if at == i]:
            size = memory[place - first].nbytes + 511 & -512
            if not free.get(size):
                free[size] = [first + len(made)]
                made.append((None, size))
            places[place] = free[size].pop()
        for place in [p for p, at in end.items() if at == i]:
            free.setdefault(memory[place - first].nbytes + 511 & -512, []).append(places[place])
    return made, places


def _picker(at: list[int]) -> Callable[[list[Any]], Any]:
    """What gives the elements `at` of a list as a tuple."""
    return itemgetter(*at) if len(at) > 1 else lambda values: tuple([values[i] for i in at])


def _views(result: Any) -> list[_View]:
    if result.__class__ is _View:
        return [result]
    return [] if result is None else [view for r in result for view in _views(r)]


def _made(result: Any, arrays: list[Any]) -> Any:
    if result is None:
        return None
    if result.__class__ is _View:
        return result.of(arrays)
    return result.__class__([_made(r, arrays) for r in result])


def _extent(a: Any) -> tuple[int, int]:
    """The addresses between which an array's elements lie."""
    at = address(a)
    if not a.size:
        return at, at
    low, high = span(a)
    return at + low, at + high
