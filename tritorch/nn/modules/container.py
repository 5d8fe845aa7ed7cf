"""Containers of modules: Sequential, ModuleList, ModuleDict."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import ItemsView, Iterable, Iterator, KeysView, ValuesView
from typing import TYPE_CHECKING, Any

from .entries import pairs, position
from .module import Module, _indented
from .parameter_container import ParameterDict, ParameterList  # PyTorch has all five in this module

if TYPE_CHECKING:
    from typing import Self

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


class _Listed(Module):
    """What Sequential and ModuleList share: submodules by position."""

    def _key(self, idx: int) -> str:
        return list(self._modules)[position(self, idx)]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __setitem__(self, idx: int, module: Module) -> None:
        setattr(self, self._key(idx), module)

    def __delitem__(self, idx: int | slice) -> None:
        keys = list(self._modules)
        for key in keys[idx] if isinstance(idx, slice) else [self._key(idx)]:
            delattr(self, key)
        self._renumber(list(self._modules.values()))

    def _renumber(self, modules: list[Any]) -> None:
        self.__dict__["_modules"] = {str(i): m for i, m in enumerate(modules)}

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.isdigit()]

    def append(self, module: Module) -> Self:
        """Add one module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add the modules at the end, in their order; TypeError when `modules` is not iterable."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                f"{type(self).__name__}.extend: expected an iterable of modules; got {type(modules).__name__}"
            )
        for module in list(modules):
            self.append(module)
        return self

    def pop(self, key: int | slice) -> Any:
        """Take the module at position `key` out and return it."""
        module = self[key]
        del self[key]
        return module

    def __getitem__(self, idx: Any) -> Any:
        raise NotImplementedError


class Sequential(_Listed):
    """Calls its modules one after the other, each on the result of the one before.

    Args:
        *args: modules, named "0", "1", ... ; or one OrderedDict of names to modules.

    >>> import tritorch as torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> net(torch.zeros(3, 4)).shape, net[1], len(net[:2])
    (torch.Size([3, 2]), ReLU(), 2)
    """

    def __init__(self, *args: Any):
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            for i, module in enumerate(args):
                self.add_module(str(i), module)

    def __getitem__(self, idx: Any) -> Any:
        if isinstance(idx, slice):
            return type(self)(OrderedDict(list(self._modules.items())[idx]))
        return self._modules[self._key(idx)]

    def __add__(self, other: Iterable[Module]) -> Sequential:
        self._check_other(other, "+")
        return Sequential(*self, *other)

    def __iadd__(self, other: Iterable[Module]) -> Self:
        self._check_other(other, "+=")
        return self.extend(other)

    def __mul__(self, other: int) -> Sequential:
        self._check_count(other)
        return Sequential(*(module for _ in range(other) for module in self))

    def __rmul__(self, other: int) -> Sequential:
        return self * other

    def __imul__(self, other: int) -> Self:
        self._check_count(other)
        modules = list(self)
        for _ in range(other - 1):
            self.extend(modules)
        return self

    def _check_other(self, other: Any, sign: str) -> None:
        if not isinstance(other, Sequential):
            raise ValueError(f"Sequential: {sign} needs another Sequential; got {type(other).__name__}")

    def _check_count(self, other: Any) -> None:
        if not isinstance(other, int):
            raise TypeError(f"unsupported operand type(s) for *: Sequential and {type(other).__name__}")
        if other <= 0:
            raise ValueError(f"Sequential: * needs a positive count; got {other}")

    def insert(self, index: int, module: Module) -> Self:
        """Put `module` before position `index`; the ones after it are renamed."""
        if not isinstance(module, Module):
            raise AssertionError(f"Sequential.insert: module should be of type: {Module}; got {type(module).__name__}")
        if not -len(self) <= index <= len(self):
            raise IndexError(f"Sequential.insert: index {index} is out of range for {len(self)} entries")
        modules = list(self)
        modules.insert(index + len(self) if index < 0 else index, module)
        self._renumber(modules)
        return self

    def forward(self, input: Any) -> Any:
        """Lead `input` through all modules."""
        for module in self._modules.values():
            input = module(input)  # type: ignore[misc]
        return input


class ModuleList(_Listed):
    """A list of modules whose parameters are known to the module that holds it.

    Args:
        modules: an iterable of modules.

    >>> import tritorch as torch
    >>> torch.nn.ModuleList([torch.nn.Linear(3, 3) for _ in range(4)])
    ModuleList(
      (0-3): 4 x Linear(in_features=3, out_features=3, bias=True)
    )
    """

    def __init__(self, modules: Iterable[Module] | None = None):
        super().__init__()
        if modules is not None:
            self += modules

    def __getitem__(self, idx: Any) -> Any:
        if isinstance(idx, slice):
            return type(self)(list(self)[idx])
        return self._modules[self._key(idx)]

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def insert(self, index: int, module: Module) -> None:
        """Put `module` before position `index`, as `list.insert` does."""
        if not isinstance(module, Module):
            raise TypeError(f"ModuleList.insert: {type(module).__name__} is not a Module subclass")
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)

    def __repr__(self) -> str:
        if not len(self):
            return f"{self._get_name()}()"
        runs: list[tuple[int, int, str]] = []
        for i, text in enumerate(map(repr, self)):
            if runs and runs[-1][2] == text:
                runs[-1] = (runs[-1][0], i, text)
            else:
                runs.append((i, i, text))
        lines = [
            f"({a}): {_indented(text)}" if a == b else f"({a}-{b}): {b - a + 1} x {_indented(text)}"
            for a, b, text in runs
        ]
        body = "\n  ".join(lines)
        return f"{self._get_name()}(\n  {body}\n)"


class ModuleDict(Module):
    """A dict of modules whose parameters are known to the module that holds it; it keeps the order of insertion.

    Args:
        modules: a mapping of names to modules, or an iterable of pairs.

    >>> import tritorch as torch
    >>> heads = torch.nn.ModuleDict({"cls": torch.nn.Linear(3, 2), "act": torch.nn.ReLU()})
    >>> list(heads), "cls" in heads, heads["act"]
    (['cls', 'act'], True, ReLU())
    """

    def __init__(self, modules: Any = None):
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Remove all modules."""
        self._modules.clear()

    def pop(self, key: str) -> Any:
        """Take the module `key` out and return it."""
        return self._modules.pop(key)

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._modules.keys()

    def items(self) -> ItemsView[str, Any]:
        """The pairs of name and module."""
        return self._modules.items()

    def values(self) -> ValuesView[Any]:
        """The modules."""
        return self._modules.values()

    def update(self, modules: Any) -> None:
        """Add or replace modules from a mapping or an iterable of pairs; TypeError or ValueError for anything else."""
        for key, module in pairs("ModuleDict.update", modules):
            self[key] = module
