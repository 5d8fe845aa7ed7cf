"""Named results, as in PyTorch: `torch.max(x, 0)` gives a `torch.return_types.max` with `.values` and `.indices`."""

from __future__ import annotations

from typing import Any

__all__: list[str] = []


class _Result(tuple):
    """A tuple whose items also have names; made from an iterable or from the items themselves."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()

    def __new__(cls, *items: Any) -> Any:
        if len(items) == 1 and len(cls._fields) > 1:
            items = tuple(items[0])
        if len(items) != len(cls._fields):
            raise TypeError(f"{cls.__module__}.{cls.__name__}: takes {len(cls._fields)} items; got {len(items)}")
        return tuple.__new__(cls, items)

    def __repr__(self) -> str:
        items = ",\n".join(f"{name}={value!r}" for name, value in zip(self._fields, self))
        return f"torch.return_types.{type(self).__name__}(\n{items})"

    def __reduce__(self):
        return type(self), tuple(self)


def _item(i: int) -> property:
    return property(lambda self: tuple.__getitem__(self, i))


def _define(name: str, fields: str) -> None:
    names = tuple(fields.split())
    body: dict[str, Any] = {"__slots__": (), "_fields": names, "__module__": __name__, "n_fields": len(names)}
    body["__doc__"] = f"Result of `torch.{name}`: {', '.join(names)}."
    body |= {field: _item(i) for i, field in enumerate(names)}
    globals()[name] = type(name, (_Result,), body)
    __all__.append(name)


for _name in "max min median nanmedian mode kthvalue sort topk cummax cummin".split():
    _define(_name, "values indices")
_define("aminmax", "min max")
for _name, _names in {
    "qr": "Q R", "svd": "U S V", "lu_unpack": "P L U", "histogram": "hist bin_edges", "histogramdd": "hist bin_edges",
    "frexp": "mantissa exponent",
    "geqrf": "a tau", "slogdet": "sign logabsdet", "triangular_solve": "solution cloned_coefficient",
    "linalg_eig": "eigenvalues eigenvectors", "linalg_eigh": "eigenvalues eigenvectors", "linalg_qr": "Q R",
    "linalg_svd": "U S Vh", "linalg_slogdet": "sign logabsdet",
    "linalg_lstsq": "solution residuals rank singular_values",
    "linalg_lu": "P L U", "linalg_lu_factor": "LU pivots", "linalg_lu_factor_ex": "LU pivots info", "linalg_inv_ex": "inverse info",
    "linalg_cholesky_ex": "L info", "linalg_solve_ex": "result info", "linalg_ldl_factor": "LD pivots",
}.items():  # fmt: skip
    _define(_name, _names)


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module 'tritorch.return_types' has no attribute {name!r}")
