"""Size: the shape of a tensor."""

from __future__ import annotations

from typing import Any


class Size(tuple):
    """A shape; a tuple that prints as PyTorch's and counts its elements.

    >>> Size((2, 3)).numel(), Size((2, 3))
    (6, torch.Size([2, 3]))
    """

    __slots__ = ()

    def numel(self) -> int:
        n = 1
        for s in self:
            n *= s
        return n

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"

    def __getitem__(self, key: Any) -> Any:
        got = tuple.__getitem__(self, key)
        return Size(got) if key.__class__ is slice else got

    def __add__(self, other: Any) -> Size:  # type: ignore[override]
        return Size(tuple.__add__(self, tuple(other)))

    def __reduce__(self):
        return Size, (tuple(self),)
