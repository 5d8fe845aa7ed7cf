"""PyTorch's printing of tensors, to the character: `tensor_repr`, `set_printoptions`.

A column of numbers shares one style, chosen from the values that are shown: whole numbers as `3.`, others with
`precision` digits, in scientific notation when the largest is more than 1000 times the smallest or the values leave
[1e-4, 1e8]. Tensors over `threshold` elements are summarised to `edgeitems` at both ends of each dim.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import dtypes
from .device import CPU, device

__all__ = ["get_printoptions", "printoptions", "set_printoptions", "tensor_repr"]

_DEFAULT = {"precision": 4, "threshold": 1000.0, "edgeitems": 3, "linewidth": 80}
_PROFILES = {
    "default": _DEFAULT,
    "short": {**_DEFAULT, "precision": 2, "edgeitems": 2},
    "full": {**_DEFAULT, "threshold": math.inf},
}
_options: dict[str, Any] = {**_DEFAULT, "sci_mode": None}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed; None leaves an option as it is, but `sci_mode=None` means automatic.

    Args:
        precision: digits after the point; 4 at start.
        threshold: elements up to which a tensor is printed whole; 1000.
        edgeitems: elements shown at both ends of a summarised dim; 3.
        linewidth: characters per line; 80.
        profile: "default", "short" (2 digits, 2 edge items) or "full" (no summaries); set before the others.
        sci_mode: scientific notation always (True), never (False), or by the values (None).

    >>> import tritorch as torch
    >>> torch.set_printoptions(precision=2)
    >>> torch.tensor([1.12345])
    tensor([1.12])
    >>> torch.set_printoptions(profile="default")
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"set_printoptions: profile must be one of {sorted(_PROFILES)}; got {profile!r}")
        _options.update(_PROFILES[profile])
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _options.update({name: value for name, value in given.items() if value is not None})
    _options["sci_mode"] = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The options of `set_printoptions` as they are, as a dict."""
    return dict(_options)


@contextlib.contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """Print with other options within the block.

    >>> import tritorch as torch
    >>> from tritorch.tensor_repr import printoptions
    >>> with printoptions(precision=1):
    ...     print(torch.tensor([0.25]))
    tensor([0.2])
    """
    old = dict(_options)
    try:
        set_printoptions(**options)
        yield
    finally:
        _options.update(old)


def tensor_repr(
    array: np.ndarray,
    dtype: dtypes.dtype,
    device: device = CPU,
    requires_grad: bool = False,
    grad_fn_name: str | None = None,
    prefix: str = "tensor(",
) -> str:
    """The text that PyTorch prints for a tensor.

    Args:
        array: its elements on the host.
        dtype: shown unless it is the default for such values (float32, int64, bool).
        device: shown unless it is the CPU.
        requires_grad: shown for a leaf that requires grad.
        grad_fn_name: name of the node that made it, shown as `grad_fn=<...>`.
        prefix: what the text starts with.

    >>> import numpy as np
    >>> from tritorch.dtypes import float32
    >>> tensor_repr(np.ones(2, np.float32), float32, requires_grad=True)
    'tensor([1., 1.], requires_grad=True)'
    """
    default = dtypes.get_default_dtype()
    indent = len(prefix)
    suffixes = []
    if device.type != "cpu":
        suffixes.append(f"device='{device}'")
    if array.size == 0:
        if array.ndim != 1:
            suffixes.append(f"size={tuple(array.shape)}")
        if dtype is not default:
            suffixes.append(f"dtype={dtype!r}")
        body = "[]"
    else:
        if not _options["edgeitems"]:
            suffixes.append(f"size={tuple(array.shape)}")
        if dtype not in (default, dtypes.int64, dtypes.bool_, default.to_complex()):
            suffixes.append(f"dtype={dtype!r}")
        body = _body(array, indent)
    if grad_fn_name is not None:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    return _with_suffixes(prefix + body, suffixes, indent)


def _with_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    """Add `, suffix` for each, on a new line where the current one would grow over the line width."""
    parts = [text]
    # PyTorch counts the last line two characters longer than it is when there is a line break, one when there is none.
    used = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if used + len(suffix) + 2 > _options["linewidth"]:
            parts.append(",\n" + " " * indent + suffix)
            used = indent + len(suffix)
        else:
            parts.append(", " + suffix)
            used += len(suffix) + 2
    parts.append(")")
    return "".join(parts)


def _body(a: Any, indent: int) -> str:
    """The nested brackets with all numbers."""
    summarise = a.size > _options["threshold"]
    if a.dtype.name in ("float16", "bfloat16"):
        a = a.astype(np.float32)
    edge = _options["edgeitems"]
    shown = _edges(a, edge) if summarise else a
    if a.dtype.kind == "c":
        real, real_width = _style(shown.real)
        imag, imag_width = _style(shown.imag)
        width = real_width + imag_width + 1

        def show(value: Any, /) -> str:
            text = imag(value.imag).lstrip()
            return f"{real(value.real)}{'' if text[0] in '+-' else '+'}{text}j"

    else:
        show, width = _style(shown)
    per_line = max(1, (_options["linewidth"] - indent - a.ndim + 1) // (width + 2)) if a.ndim else 1
    if summarise:
        return _nested(a, indent, edge, show, per_line)
    return _nested(a, indent, None, show, per_line)


def _edges(a: Any, edge: int) -> Any:
    """The elements that a summary shows."""
    if not edge:
        return np.empty((0,) * a.ndim, a.dtype)
    for d in range(a.ndim):
        if a.shape[d] > 2 * edge:
            keep = (*range(edge), *range(a.shape[d] - edge, a.shape[d]))
            a = a.take(keep, axis=d)
    return a


def _nested(a: np.ndarray, indent: int, edge: int | None, show: Callable[[Any], str], per_line: int) -> str:
    """The text of `a`; `edge` is None when nothing is left out."""
    if a.ndim == 0:
        return show(a.item())
    n = len(a)
    cut = edge is not None and n > 2 * edge
    if a.ndim == 1:
        if edge == 0:
            items = ["..."]
        elif cut and edge:
            items = [*map(show, a[:edge].tolist()), " ...", *map(show, a[-edge:].tolist())]
        else:
            items = list(map(show, a.tolist()))
        lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    rows = [*range(edge), None, *range(n - edge, n)] if cut and edge is not None else range(n)
    parts = ["..." if i is None else _nested(a[i], indent + 1, edge, show, per_line) for i in rows]
    return "[" + ("," + "\n" * (a.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _style(shown: np.ndarray) -> tuple[Callable[[Any], str], int]:
    """(function that formats one value, width) for a column of real numbers."""
    if shown.dtype.kind != "f":
        width = max((len(str(v)) for v in shown.ravel().tolist()), default=1)
        return lambda v: str(v).rjust(width), width
    flat = shown.ravel()
    flat = flat[np.isfinite(flat) & (flat != 0)]
    whole, sci, width, digits = True, False, 1, _options["precision"]
    if flat.size:
        size = np.abs(flat.astype(np.float64))
        low, high = float(size.min()), float(size.max())
        whole = bool((flat == np.ceil(flat)).all())
        sci = _options["sci_mode"]
        if sci is None:
            sci = high / low > 1000 or high > 1e8 or low < 1e-4
        values = flat.tolist()
        if sci:
            width = max(len(f"{v:.{digits}e}") for v in values)
        elif whole:
            width = 1 + max(len(f"{v:.0f}") for v in values)
        else:
            width = max(len(f"{v:.{digits}f}") for v in values)

    def show(v: float) -> str:
        if sci:
            text = f"{v:.{digits}e}"
        elif whole:
            text = f"{v:.0f}" + ("." if math.isfinite(v) else "")
        else:
            text = f"{v:.{digits}f}"
        return text.rjust(width)

    return show, width
