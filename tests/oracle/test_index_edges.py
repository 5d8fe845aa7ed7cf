# ruff: noqa: E501 - tables of one line per case
"""Index ops at their edges against torch: tensors without dims, empty indices, small dtypes, indices that come twice."""

from __future__ import annotations

import pytest

from .compare import both, errors, integers, normal

CASES = {
    "index_add of a number": (lambda t, x, y: (t.index_add(x, 0, t.tensor([0]), y, alpha=3), x.index_add(0, t.tensor(0), y)), normal(), normal(seed=1)),
    "index_copy of a number": (lambda t, x, y: t.index_copy(x, 0, t.tensor([0]), y * 2), normal(), normal(seed=1)),
    "index_copy of one row": (lambda t, x, y: t.index_copy(x, 0, t.tensor([0]), y), normal(), normal(1)),
    "index_fill of a number": (lambda t, x: (t.index_fill(x, 0, t.tensor([0]), 2.0), x.index_fill(0, t.tensor(0), 3.0)), normal()),
    "index_fill from the end": (lambda t, x: x.index_fill(1, t.tensor([-1, 0]), 2.0), normal(2, 3)),
    "index_fill twice": (lambda t, x, v: (t.index_fill(x, 0, t.tensor([2, 0, 2]), v), x.index_fill(-1, t.tensor([1, 1]), v)), normal(3, 2), normal()),
    "index_reduce of a number": (lambda t, x, y: [t.index_reduce(x, 0, t.tensor([0]), y, r, include_self=i) for r in ("prod", "mean", "amax", "amin") for i in (True, False)], normal(), normal(seed=1)),
    "empty index of bytes": (lambda t, x: (x.gather(0, t.zeros(0, dtype=t.uint8)), x.gather(0, t.zeros(2, 0, dtype=t.uint8)), x.scatter_add(0, t.zeros(0, dtype=t.uint8), x[:0])), normal(3)),
    "searchsorted in nothing": (lambda t: (t.searchsorted(t.zeros(0, 0), t.zeros(0, 0)), t.searchsorted(t.zeros(2, 0), t.zeros(2, 3)))),
    "zeros in nothing": (lambda t: t.zeros(0, 2)[:0].fill_(1)),
}  # fmt: skip
SMALL = {
    "scatter_reduce": lambda t, x, y, r, own: x.scatter_reduce(0, t.tensor([0, 0, 1]), y, r, include_self=own),
    "index_reduce": lambda t, x, y, r, own: x.index_reduce(0, t.tensor([0, 0, 1]), y, r, include_self=own),
}
ERRORS = {
    "index_add shapes": lambda t: t.index_add(t.tensor(1.0), 0, t.tensor([0, 0]), t.tensor(1.0)),
    "index_copy shapes": lambda t: t.index_copy(t.tensor(1.0), 0, t.tensor([0]), t.ones(2)),
    "index_copy too many": lambda t: t.index_copy(t.tensor(1.0), 0, t.tensor([0, 0]), t.tensor(1.0)),
    "index_reduce shapes": lambda t: t.index_reduce(t.tensor(1.0), 0, t.tensor([0]), t.ones(1, 1), "mean"),
    "index_fill range": lambda t: t.ones(2).index_fill(0, t.tensor([-3]), 1.0),
    "index_fill value": lambda t: t.ones(2).index_fill(0, t.tensor([0]), t.ones(1)),
    "index_fill complex": lambda t: t.ones(2).index_fill(0, t.tensor([0]), 1j),
    "mean of bools": lambda t: t.ones(2, dtype=t.bool).scatter_reduce(0, t.tensor([0]), t.ones(1, dtype=t.bool), "mean"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name: str) -> None:
    case = CASES[name]
    f, *arrays = case if isinstance(case, tuple) else (case,)
    both(f, *arrays)


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("kind", ["uint8", "int8", "bool"])
@pytest.mark.parametrize("op", SMALL)
def test_small_dtypes(op: str, kind: str, own: bool) -> None:
    """Results keep the dtype: means are rounded down, bools are reduced by `or` and `and`."""
    for reduce in ("sum", "prod", "mean", "amax", "amin"):
        if (
            (op, kind) == ("index_reduce", "bool")
            or (kind, reduce) == ("bool", "mean")
            or (op, reduce) == ("index_reduce", "sum")
        ):
            continue
        call = lambda t, x, y: SMALL[op](t, x.to(getattr(t, kind)), y.to(getattr(t, kind)), reduce, own)  # noqa: B023, E731
        both(call, integers(120, 3), integers(120, 3, seed=1), grads=False)


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    errors(ERRORS[name])
