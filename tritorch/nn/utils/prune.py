"""Pruning: parameters multiplied by a mask of zeros and ones.

The parameter becomes `<name>_orig`, the mask is a buffer `<name>_mask`, and a forward-pre-hook computes `<name>`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from ...functional import kthvalue, ones_like, rand, rand_like, topk, zeros_like
from ...tensor import Tensor
from ..modules.module import Module
from .convert_parameters import parameters_to_vector

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "PruningContainer",
    "RandomStructured", "RandomUnstructured", "custom_from_mask", "global_unstructured", "identity", "is_pruned",
    "l1_unstructured", "ln_structured", "random_structured", "random_unstructured", "remove",
]  # fmt: skip


class BasePruningMethod(ABC):
    """A way to choose what is pruned; define `compute_mask` and PRUNING_TYPE.

    Attributes:
        PRUNING_TYPE: "unstructured" (single elements of what is left), "structured" (whole slices of what is left,
            along the attribute `dim`) or "global" (the whole tensor).
    """

    PRUNING_TYPE: str
    _tensor_name: str

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask for importance scores `t` and the mask so far."""

    def apply_mask(self, module: Module) -> Tensor:
        """The parameter times its mask."""
        original = getattr(module, f"{self._tensor_name}_orig")
        return getattr(module, f"{self._tensor_name}_mask").to(original.dtype) * original

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any
    ) -> BasePruningMethod:
        """Prune `module.<name>`; on a pruned one, what is left of it.

        Args:
            importance_scores: of the parameter's shape; default: the parameter.
        """
        made = cls(*args, **kwargs)
        made._tensor_name = name
        original = getattr(module, name)
        scores = original if importance_scores is None else importance_scores
        if scores.shape != original.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as parameter {name}; "
                f"got {tuple(scores.shape)} for {tuple(original.shape)}"
            )
        hooks = module._forward_pre_hooks
        earlier = [(k, h) for k, h in hooks.items() if isinstance(h, BasePruningMethod) and h._tensor_name == name]
        method: BasePruningMethod = made
        if earlier:
            old = earlier[0][1]
            method = PruningContainer(*(old if isinstance(old, PruningContainer) else (old,)))
            method.add_pruning_method(made)
            default_mask = getattr(module, f"{name}_mask").detach().clone()
        else:
            default_mask = ones_like(original).detach()
        mask = method.compute_mask(scores.detach(), default_mask=default_mask)  # may fail: nothing is changed before
        if earlier:
            del hooks[earlier[0][0]]
        else:
            del module._parameters[name]
            module.register_parameter(f"{name}_orig", original)
        module.register_buffer(f"{name}_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None) -> Tensor:
        """`t` times the mask for it, without a module."""
        scores = t if importance_scores is None else importance_scores
        if scores.shape != t.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as t; got {tuple(scores.shape)} for {tuple(t.shape)}"
            )
        return t * self.compute_mask(scores, default_mask=ones_like(t) if default_mask is None else default_mask)

    def remove(self, module: Module) -> None:
        """Make the pruned values an ordinary parameter again."""
        name = self._tensor_name
        weight = self.apply_mask(module)
        if hasattr(module, name):
            delattr(module, name)
        original: Any = module._parameters[f"{name}_orig"]
        original.data = weight.detach()
        del module._parameters[f"{name}_orig"]
        del module._buffers[f"{name}_mask"]
        setattr(module, name, original)


class PruningContainer(BasePruningMethod):
    """Several methods on one parameter, each on what the ones before have left.

    Args:
        *args: methods on the same parameter.
    """

    PRUNING_TYPE = "container"

    def __init__(self, *args: BasePruningMethod):
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod | None) -> None:
        """Add a method at the end; TypeError for another class, ValueError for another parameter."""
        if method is None:
            return
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if not hasattr(self, "_tensor_name"):
            self._tensor_name = method._tensor_name
        if self._tensor_name != method._tensor_name:
            raise ValueError(
                f"Can only add pruning methods acting on the parameter named '{self._tensor_name}' to this container; "
                f"found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: Any) -> Any:
        return self._pruning_methods[idx]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask of the last method on what `default_mask` leaves."""
        method: Any = self._pruning_methods[-1]
        kind = method.PRUNING_TYPE
        part: Any = ()
        if kind == "unstructured":
            part = default_mask == 1
        elif kind == "structured":
            if not hasattr(method, "dim"):
                raise AttributeError(
                    'Pruning methods of PRUNING_TYPE "structured" need to have the attribute `dim` defined.'
                )
            dim = _dim(t, method.dim)
            others = [d for d in range(t.dim()) if d != dim]
            part = (*(slice(None),) * dim, default_mask.sum(others) != 0)
        elif kind == "global":
            part = (slice(None),) * t.dim()
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {kind}")
        mask = default_mask.clone().to(t.dtype)
        mask[part] = method.compute_mask(t[part], default_mask=default_mask[part]).to(t.dtype)
        return mask


def _dim(t: Tensor, dim: int) -> int:
    if t.dim() < 2:
        raise ValueError(f"Structured pruning needs a tensor of at least 2 dims; got {t.dim()}")
    if not -t.dim() <= dim < t.dim():
        raise IndexError(f"Invalid index {dim} for tensor of size {tuple(t.shape)}")
    return dim % t.dim()


def _check_amount(amount: Any) -> None:
    if isinstance(amount, bool) or not isinstance(amount, (int, float)):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    if amount < 0 or (isinstance(amount, float) and amount > 1):
        raise ValueError(f"amount={amount} should be a float in the range [0, 1] or a non-negative integer")


def _count(amount: float, size: int) -> int:
    n = amount if isinstance(amount, int) else round(amount * size)
    if n > size:
        raise ValueError(f"amount={n} should be smaller than the number of parameters to prune={size}")
    return n


class Identity(BasePruningMethod):
    """Prunes nothing, but brings parameter and mask into the form of a pruned one."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class RandomUnstructured(BasePruningMethod):
    """Prunes random elements.

    Args:
        amount: a part in [0, 1] (float) or a number (int).
    """

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: float):
        _check_amount(amount)
        self.amount = amount

    def _scores(self, t: Tensor) -> Tensor:
        return rand_like(t)

    largest = True

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        n = _count(self.amount, t.numel())
        mask = default_mask.clone()
        if n:
            mask.view(-1)[topk(self._scores(t).view(-1), n, largest=self.largest)[1]] = 0
        return mask


class L1Unstructured(RandomUnstructured):
    """Prunes the elements of smallest absolute value.

    Args:
        amount: a part in [0, 1] (float) or a number (int).
    """

    def _scores(self, t: Tensor) -> Tensor:
        return t.abs()

    largest = False


class RandomStructured(BasePruningMethod):
    """Prunes random slices.

    Args:
        amount: a part in [0, 1] (float) or a number (int) of slices.
        dim: along which. Default: -1.
    """

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1):
        _check_amount(amount)
        self.amount, self.dim = amount, dim

    def _kept(self, t: Tensor, dim: int, n: int) -> Tensor:
        size = t.shape[dim]
        scores = rand(size)
        return scores > kthvalue(scores, n)[0]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        dim = _dim(t, self.dim)
        n = _count(self.amount, t.shape[dim])
        if n == 0:
            return default_mask
        mask = zeros_like(t)
        mask[(*(slice(None),) * dim, self._kept(t, dim, n))] = 1
        return mask * default_mask.to(mask.dtype)


class LnStructured(RandomStructured):
    """Prunes the slices of smallest norm.

    Args:
        amount: a part in [0, 1] (float) or a number (int) of slices.
        n: p of the norm.
        dim: along which. Default: -1.
    """

    def __init__(self, amount: float, n: Any, dim: int = -1):
        super().__init__(amount, dim)
        self.n = n

    def _kept(self, t: Tensor, dim: int, n: int) -> Tensor:
        norms = t.norm(self.n, [d for d in range(t.dim()) if d != dim])
        return topk(norms, t.shape[dim] - n)[1]


class CustomFromMask(BasePruningMethod):
    """Prunes by a given mask.

    Args:
        mask: of the parameter's shape.
    """

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor):
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if default_mask.shape != self.mask.shape:
            raise AssertionError(
                f"CustomFromMask: mask must have shape {tuple(default_mask.shape)}; got {tuple(self.mask.shape)}"
            )
        return default_mask * self.mask.to(default_mask.dtype)


def identity(module: Module, name: str) -> Module:
    """Prune nothing of `module.<name>`, but bring it into the form of a pruned parameter."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: float) -> Module:
    """Prune `amount` (a part or a number) random elements of `module.<name>`."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: Module, name: str, amount: float, importance_scores: Tensor | None = None) -> Module:
    """Prune the `amount` (a part or a number) elements of `module.<name>` with the smallest absolute value.

    >>> import tritorch as torch
    >>> layer = torch.nn.utils.prune.l1_unstructured(torch.nn.Linear(4, 3), "weight", amount=5)
    >>> int((layer.weight == 0).sum()), list(layer.state_dict())
    (5, ['bias', 'weight_orig', 'weight_mask'])
    """
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: float, dim: int) -> Module:
    """Prune `amount` (a part or a number) random slices of `module.<name>` along `dim`."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Module, name: str, amount: float, n: Any, dim: int, importance_scores: Tensor | None = None
) -> Module:
    """Prune the `amount` (a part or a number) slices of `module.<name>` along `dim` with the smallest n-norm."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Prune `module.<name>` where `mask` is 0."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: type[BasePruningMethod],
    importance_scores: dict[tuple[Module, str], Tensor] | None = None,
    **kwargs: Any,
) -> None:
    """Prune several parameters as if they were one vector.

    Args:
        parameters: pairs of module and name.
        pruning_method: a class with PRUNING_TYPE "unstructured".
        importance_scores: by pair. Default: the parameters.
        **kwargs: arguments of the class.

    Raises:
        TypeError: arguments of another kind.
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    scores = {} if importance_scores is None else importance_scores
    if not isinstance(scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    places = list(parameters)

    def score_of(module: Module, name: str) -> Tensor:
        return scores[module, name] if (module, name) in scores else getattr(module, name)

    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            f'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found {pruning_method} of type '
            f"{method.PRUNING_TYPE}"
        )
    method._tensor_name = "all"
    values = parameters_to_vector([score_of(m, name).detach() for m, name in places])
    masks = [getattr(m, f"{name}_mask", ones_like(getattr(m, name))).detach() for m, name in places]
    mask = PruningContainer(method).compute_mask(values, parameters_to_vector(masks))
    start = 0
    for module, name in places:
        value = getattr(module, name)
        custom_from_mask(module, name, mask[start : start + value.numel()].view(value.shape))
        start += value.numel()


def remove(module: Module, name: str) -> Module:
    """Make the pruned values of `module.<name>` an ordinary parameter again; ValueError when it is not pruned."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")


def is_pruned(module: Module) -> bool:
    """Is a parameter of `module`, or of a module in it, pruned."""
    return any(isinstance(h, BasePruningMethod) for m in module.modules() for h in m._forward_pre_hooks.values())
