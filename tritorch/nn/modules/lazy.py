"""LazyModuleMixin: modules that take the shapes of their parameters from the first input."""

from __future__ import annotations

from typing import Any

from ...autograd import no_grad
from ..parameter import is_lazy

__all__ = ["LazyModuleMixin"]


class LazyModuleMixin:
    """Put before a Module in the bases; the class then defines `initialize_parameters(*args, **kwargs)`.

    Before the first `forward` runs, that method is called with its arguments and must materialize all
    UninitializedParameters; the object's class then becomes `cls_to_become`. Loading a state_dict also materializes.
    """

    cls_to_become: type | None = None

    def __init__(self: Any, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._load_hook = self.register_load_state_dict_pre_hook(_materialize_for_loading)
        self._initialize_hook = self.register_forward_pre_hook(_infer_parameters, with_kwargs=True)

    def _save_to_state_dict(self: Any, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        for name, value in self._parameters.items():
            if value is not None:
                destination[prefix + name] = value if keep_vars or is_lazy(value) else value.detach()
        for name, value in self._buffers.items():
            if value is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = value if keep_vars or is_lazy(value) else value.detach()

    def initialize_parameters(self: Any, *args: Any, **kwargs: Any) -> None:
        """Materialize the parameters for this input; every lazy class defines it."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self: Any) -> bool:
        """Does a parameter or buffer still wait for its shape."""
        return any(map(is_lazy, self._parameters.values())) or any(map(is_lazy, self._buffers.values()))

    def _replicate_for_data_parallel(self: Any) -> Any:
        raise RuntimeError(
            f"{type(self).__name__}: DataParallel needs initialized parameters; run one forward pass first"
        )


def _infer_parameters(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """The forward-pre-hook of a lazy module; it removes itself."""
    module.initialize_parameters(*args, **kwargs)
    if module.has_uninitialized_params():
        raise RuntimeError(f"module {type(module).__name__} has not been fully initialized")
    module._initialize_hook.remove()
    module._load_hook.remove()
    del module._initialize_hook, module._load_hook
    if module.cls_to_become is not None:
        module.__class__ = module.cls_to_become


def _materialize_for_loading(module: Any, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
    """The load-pre-hook of a lazy module: shapes come from the state_dict."""
    for name, value in (*module._parameters.items(), *module._buffers.items()):
        new = state_dict.get(prefix + name)
        if value is not None and new is not None and is_lazy(value) and not is_lazy(new):
            with no_grad():
                value.materialize(new.shape)
