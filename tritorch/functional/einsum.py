"""einsum: sums of products by labelled dims, contracted pair by pair through batched matrix products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ..autograd.autocast import ACTIVE, cast
from ..dtypes import bool_
from ..errors import message
from ..kernels.matmul import matmul as _matmul
from ..tensor import Tensor

__all__ = ["einsum"]

Labels = tuple[
    Any, ...
]  # letters, numbers of the sublist format, and ("...", i) for the i-th ellipsis dim from the right


def einsum(*args: Any) -> Tensor:
    """Sum of products of the operands' elements over all labels that the output does not name.

    Each operand's dims get labels, `einsum("bij,bjk->bik", x, y)`. Dims of one label have one size (or size 1, which
    broadcasts); a label that comes twice in an operand takes the diagonal; `...` stands for further dims, which
    broadcast. Without `->` the output has the ellipsis and then, in alphabetical order, the labels that come once.

    Args:
        args: the equation and the operands (or one list of them); or the sublist format
            `einsum(x, [0, 1], y, [1, 2], [0, 2])`, with numbers from 0 to 51 and Ellipsis for labels.

    Returns:
        A tensor with the output's labels as dims.

    Raises:
        RuntimeError: the equation does not fit the operands, or sizes differ.
        ValueError: no equation or no operands.

    >>> import tritorch as torch
    >>> torch.einsum("ij,j->i", torch.ones(2, 3), torch.ones(3))
    tensor([3., 3.])
    """
    terms, output, operands = _parse(args)
    for i, t in enumerate(operands):
        if not isinstance(t, Tensor):
            raise TypeError(f"einsum(): argument 'operands' position {i} must be Tensor, not {type(t).__name__}")
        if t.device is not operands[0].device:
            raise RuntimeError(message("einsum", "Expected all tensors to be on the same device", x=operands[0], y=t))
        if t.dtype is not operands[0].dtype:
            raise RuntimeError(message("einsum", "expected all operands to have the same dtype", x=operands[0], y=t))
    labelled = [_label(t, term) for t, term in zip(operands, terms, strict=True)]
    if output is None:
        output = _implicit(terms, labelled)
    else:
        output = _explicit(output, labelled)
    sizes: dict[Any, int] = {}
    for t, labels in labelled:
        for label, n in zip(labels, t._a.shape, strict=True):
            have = sizes.setdefault(label, n)
            if have != n and have != 1 and n != 1:
                shapes = [tuple(t._a.shape) for t in operands]
                raise RuntimeError(
                    f"einsum: dims of one label must have one size or 1: {label!r} has {have} and {n}; got {shapes}"
                )
            sizes[label] = n if have == 1 else have
    missing = [label for label in output if label not in sizes]
    if missing:
        raise RuntimeError(f"einsum: output label {missing[0]!r} does not come in any operand")
    parts = [_without_ones(t, labels, sizes) for t, labels in labelled]
    while len(parts) > 1:
        i, j = _next_pair(parts, output, sizes)
        b, a = parts.pop(j), parts.pop(i)
        later = set(output).union(*[labels for _, labels in parts])
        parts.insert(i, _contract(a, b, later))
    if len(operands) == 1:  # a plain sum, which widens integers as sums do
        found, labels = parts[0]
        parts[0] = (found.long() if found.dtype.category < 2 and not set(output).issuperset(labels) else found), labels
    return _ordered(*_sum_out(*parts[0], set(output)), output)


# ------------------------------------------------------------------------------------------------ the equation


def _parse(args: tuple) -> tuple[list[Labels], Labels | None, list[Any]]:
    """(labels per operand, labels of the output or None, operands); Ellipsis stands in the labels as it is."""
    if not args:
        raise ValueError(
            "einsum: must specify the equation string and at least one operand, or an operand and its labels"
        )
    if not isinstance(args[0], str):
        if len(args) < 2:
            raise ValueError("einsum: the sublist format needs a list of labels after each operand")
        pairs, output = (args, None) if len(args) % 2 == 0 else (args[:-1], _sublist(args[-1]))
        return [_sublist(s) for s in pairs[1::2]], output, list(pairs[::2])
    equation, operands = args[0], list(args[1:])
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = list(operands[0])
    if not operands:
        raise ValueError("einsum: must specify at least one operand")
    left, arrow, right = equation.partition("->")
    terms = [_letters(term, equation) for term in left.split(",")]
    if len(terms) != len(operands):
        kind = "fewer" if len(operands) < len(terms) else "more"
        raise RuntimeError(
            f"einsum: {kind} operands were provided than specified in the equation {equation!r}; got {len(operands)}"
        )
    return terms, _letters(right, equation) if arrow else None, operands


@lru_cache(maxsize=1024)
def _letters(term: str, equation: str) -> Labels:
    term = term.replace(" ", "")
    head, dots, tail = term.partition("...")
    if "." in head or "." in tail:
        raise RuntimeError(f"einsum: '.' that is not part of one ellipsis ('...') in equation {equation!r}")
    for c in head + tail:
        if not (c.isalpha() and c.isascii()):
            raise RuntimeError(
                f"einsum: invalid subscript {c!r} in equation {equation!r}; subscripts are letters a-z, A-Z"
            )
    return (*head, Ellipsis, *tail) if dots else tuple(term)


def _sublist(labels: Any) -> Labels:
    if not isinstance(labels, Sequence):
        raise TypeError(f"einsum: the sublist format takes lists of ints as labels; got {labels!r}")
    found = []
    for v in labels:
        if v is Ellipsis:
            found.append(v)
        elif 0 <= int(v) < 52:
            n = int(v)
            found.append(chr(65 + n) if n < 26 else chr(71 + n))  # A-Z, then a-z: the order of the labels
        else:
            raise RuntimeError(f"einsum: subscripts must be within [0, 52); got {v}")
    if found.count(Ellipsis) > 1:
        raise RuntimeError(f"einsum: only one ellipsis is allowed per operand; got {labels!r}")
    return tuple(found)


def _label(t: Tensor, term: Labels) -> tuple[Tensor, Labels]:
    """The operand with one label per dim: the ellipsis spelt out, repeated labels taken by the diagonal."""
    n = t._a.ndim
    if len(term) == n == len(set(term)) and Ellipsis not in term:
        return t, term
    named = len(term) - (Ellipsis in term)
    if named > n or (named < n and Ellipsis not in term):
        text = "".join("..." if v is Ellipsis else v for v in term)
        raise RuntimeError(
            message("einsum", f"the number of subscripts in {text!r} does not match the operand's dims", operand=t)
        )
    labels: list[Any] = []
    for v in term:
        if v is Ellipsis:
            labels.extend(("...", i) for i in range(n - named - 1, -1, -1))
        else:
            labels.append(v)
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            if t._a.shape[i] != t._a.shape[j]:
                raise RuntimeError(
                    message("einsum", f"label {label!r} is repeated for dims of different sizes", operand=t)
                )
            t = t.diagonal(0, i, j)
            del labels[j], labels[i]
            labels.append(label)
    return t, tuple(labels)


def _ellipsis_dims(labelled: list[tuple[Tensor, Labels]]) -> Labels:
    depth = max((v[1] + 1 for _, labels in labelled for v in labels if v.__class__ is tuple), default=0)
    return tuple(("...", i) for i in range(depth - 1, -1, -1))


def _implicit(terms: list[Labels], labelled: list[tuple[Tensor, Labels]]) -> Labels:
    letters = [v for term in terms for v in term if v is not Ellipsis]
    return (*_ellipsis_dims(labelled), *sorted(v for v in set(letters) if letters.count(v) == 1))


def _explicit(output: Labels, labelled: list[tuple[Tensor, Labels]]) -> Labels:
    spelt: list[Any] = []
    for v in output:
        spelt.extend(_ellipsis_dims(labelled) if v is Ellipsis else (v,))
    twice = [v for v in spelt if spelt.count(v) > 1]
    if twice:
        raise RuntimeError(f"einsum: output label {twice[0]!r} appears more than once in the output")
    return tuple(spelt)


# --------------------------------------------------------------------------------------------- the contraction


def _without_ones(t: Tensor, labels: Labels, sizes: dict) -> tuple[Tensor, Labels]:
    """Dims of size 1 that broadcast are left out: the other operands have the label."""
    if 1 not in t._a.shape:
        return t, labels
    drop = [i for i, v in enumerate(labels) if t._a.shape[i] == 1 and sizes[v] != 1]
    for i in reversed(drop):
        t = t.squeeze(i)
    return t, tuple(v for i, v in enumerate(labels) if i not in drop)


def _sum_out(t: Tensor, labels: Labels, keep: set) -> tuple[Tensor, Labels]:
    if keep.issuperset(labels):
        return t, labels
    dims = tuple([i for i, v in enumerate(labels) if v not in keep])
    return t.sum(dims, dtype=t.dtype), tuple([v for v in labels if v in keep])


def _ordered(t: Tensor, labels: Labels, order: Labels) -> Tensor:
    return t if labels == order else t.permute([labels.index(v) for v in order])


def _next_pair(parts: list[tuple[Tensor, Labels]], output: Labels, sizes: dict) -> tuple[int, int]:
    """The two operands whose contraction grows the tensors least; the first two when there are only two."""
    if len(parts) == 2:
        return 0, 1
    best = None
    for i in range(len(parts)):
        for j in range(i + 1, len(parts)):
            others = set(output).union(*[labels for k, (_, labels) in enumerate(parts) if k not in (i, j)])
            both = set(parts[i][1]) | set(parts[j][1])
            made = math.prod(sizes[v] for v in both & others)
            work = math.prod(sizes[v] for v in both)
            grown = made - parts[i][0]._a.size - parts[j][0]._a.size
            if best is None or (grown, work) < best[0]:
                best = (grown, work), (i, j)
    assert best is not None
    return best[1]


def _contract(a: tuple[Tensor, Labels], b: tuple[Tensor, Labels], later: set) -> tuple[Tensor, Labels]:
    """Sum over the labels that only these two have; the result's labels are batch, a's own, b's own."""
    x, xl = _sum_out(*a, later.union(b[1]))
    y, yl = _sum_out(*b, later.union(a[1]))
    batch, left, summed, right = _roles(xl, yl, frozenset(later))
    labels = batch + left + right
    if summed and ACTIVE:
        x, y = cast("einsum", x, y)
    u, w = _ordered(x, xl, batch + left + summed), _ordered(y, yl, batch + summed + right)
    i, j, k = len(batch), len(batch) + len(left), len(batch) + len(summed)
    us, ws = u._a.shape, w._a.shape
    if not summed:
        return u.reshape(us + (1,) * len(right)) * w.reshape(ws[:i] + (1,) * len(left) + ws[i:]), labels
    if x.dtype is bool_:
        raise NotImplementedError(message("einsum", "sums are not implemented for 'Bool'", x=x, y=y))
    b_, l_, s_, r_ = map(math.prod, (us[:i], us[i:j], us[j:], ws[k:]))
    if batch:
        z = _matmul(_shaped(u, (b_, l_, s_)), _shaped(w, (b_, s_, r_)))
    else:
        z = _matmul(_shaped(u, (l_, s_)), _shaped(w, (s_, r_)))
    return _shaped(z, us[:j] + ws[k:]), labels


@lru_cache(maxsize=1024)
def _roles(xl: Labels, yl: Labels, later: frozenset) -> tuple[Labels, Labels, Labels, Labels]:
    """Labels of both that stay, of x alone, of both that are summed over, of y alone."""
    batch = tuple([v for v in xl if v in yl and v in later])
    summed = tuple([v for v in xl if v in yl and v not in later])
    left = tuple([v for v in xl if v not in yl])
    return batch, left, summed, tuple([v for v in yl if v not in xl])


def _shaped(t: Tensor, shape: tuple[int, ...]) -> Tensor:
    return t if t._a.shape == shape else t.reshape(shape)
