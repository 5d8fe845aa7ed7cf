"""Device objects and device memory; the only file that imports cupy.

`device("cuda:1")` and friends are interned, so devices compare by identity on the hot path.
"""

from __future__ import annotations

from typing import Any

_TYPES = ("cpu", "cuda")


class device:  # noqa: N801 - PyTorch's name
    """Where a tensor lives: `device("cpu")`, `device("cuda")`, `device("cuda:1")`, `device("cuda", 1)`, `device(1)`.

    >>> device("cuda:1"), device("cpu").type
    (device(type='cuda', index=1), 'cpu')
    """

    __slots__ = ("type", "index")
    type: str
    index: int | None
    _interned: dict[tuple[str, int | None], device] = {}

    def __new__(cls, type: Any = "cpu", index: int | None = None) -> device:
        if type.__class__ is device:
            return type
        if isinstance(type, int) and not isinstance(type, bool):
            type, index = "cuda", type
        if not isinstance(type, str):
            raise TypeError(f"device: expected a str, int or device; got {type!r}")
        kind, colon, number = type.partition(":")
        if colon:
            if index is not None or not number.isdigit():
                raise RuntimeError(f"device: invalid device string {type!r}; expected for example 'cpu' or 'cuda:0'")
            index = int(number)
        if kind not in _TYPES:
            raise RuntimeError(f"device: expected one of {', '.join(_TYPES)} at the start of a device string; got {type!r}")
        found = cls._interned.get((kind, index))
        if found is None:
            found = object.__new__(cls)
            found.type, found.index = kind, index
            cls._interned[kind, index] = found
        return found

    def __repr__(self) -> str:
        return f"device(type={self.type!r})" if self.index is None else f"device(type={self.type!r}, index={self.index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __reduce__(self):
        return device, (str(self),)

    def __copy__(self) -> device:
        return self

    def __deepcopy__(self, memo: dict) -> device:
        return self


CPU = device("cpu")
