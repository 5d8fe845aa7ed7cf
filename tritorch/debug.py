"""Finding the op that goes wrong: `twin` runs each op's NumPy definition beside its kernel, in the user's own model."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np

from .autograd.apply import WATCH
from .device import EMULATED, to_device, to_host
from .errors import describe
from .kernels._op import OPS, Op

TOLERANCE = {"float64": 1e-8, "float32": 5e-4, "float16": 2e-2, "bfloat16": 6e-2}
"""Allowed largest difference, relative to the largest element of the NumPy result."""


class TwinError(RuntimeError):
    """A kernel and its NumPy definition disagree; `path` is the file with the inputs, for `replay`."""

    def __init__(self, text: str, path: str):
        super().__init__(text)
        self.path = path


class twin:  # noqa: N801 - a context manager, used like a function
    """Inside, every op that runs on cuda is checked against its NumPy definition, forward and fused backward.

    The first disagreement raises `TwinError` with the op, the place in the model, shapes, the largest error, and the
    name of a file that holds the inputs, for `replay` (on the emulated device, too, where a kernel can be stepped
    through). Slow: every operand is copied to the host.

    Arguments:
        model: a Module; its submodules' names say where a faulty op was called.
        tolerance: dtype name -> allowed difference, over the defaults in `TOLERANCE`.
        folder: where inputs are saved, default the system's temporary folder.

    >>> import tritorch as torch
    >>> with torch.debug.twin() as seen:
    ...     y = torch.ones(3, device="cuda") * 2
    >>> seen.checked
    1
    """

    def __init__(self, model: Any = None, *, tolerance: dict[str, float] | None = None, folder: str | None = None):
        self.model, self.folder = model, folder or tempfile.gettempdir()
        self.tolerance = TOLERANCE | (tolerance or {})
        self.checked = 0
        self.stack: list[str] = []

    def __enter__(self) -> twin:
        if WATCH:
            raise RuntimeError("twin: is active already")
        self.handles: list[Any] = []
        if self.model is not None:
            for name, module in self.model.named_modules():
                self.handles.append(module.register_forward_pre_hook(lambda m, a, n=name: self.stack.append(n)))
                self.handles.append(module.register_forward_hook(self._leave, always_call=True))
        WATCH.append(self)
        return self

    def __exit__(self, *exc: Any) -> None:
        WATCH.remove(self)
        for handle in self.handles:
            handle.remove()

    def _leave(self, *args: Any) -> None:
        if self.stack:
            self.stack.pop()

    def forward(self, op: Op, arrays: Any, params: Any, result: Any) -> None:
        """Called after a kernel ran: compute the same on the host and compare."""
        operands, plain = _host(list(arrays)), _host(tuple(params))
        self._compare(op, "forward", operands, plain, reference(op, operands, plain), result)

    def backward(self, op: Op, g: Any, args: Any, grads: Any) -> None:
        """Called after a fused backward kernel ran; compared with the op's backward on arrays where it has one."""
        if op.cpu_grad is None:
            return
        operands = _host([g, *args])
        wide = _wide(operands)
        self._compare(op, "backward", operands, (), op.cpu_grad(*wide), grads)

    def _compare(self, op: Op, way: str, operands: Any, params: tuple, expected: Any, result: Any) -> None:
        self.checked += 1
        many = lambda v: list(v) if isinstance(v, (tuple, list)) else [v]  # noqa: E731
        for i, (want, got) in enumerate(zip(many(expected), many(_host(result)), strict=True)):
            if want is None or got is None:
                continue
            allowed = self.tolerance.get(str(got.dtype), 0.0)
            a, b = got.astype(np.float64), np.asarray(want).astype(np.float64)
            if a.shape != b.shape:
                self._fail(op, way, i, operands, params, f"gives shape {a.shape}; the NumPy definition gives {b.shape}")
            finite = np.isfinite(b)
            scale = max(1.0, float(np.abs(b[finite]).max(initial=0)))
            error = float(np.abs(a[finite] - b[finite]).max(initial=0))
            alike = np.array_equal(a[~finite], b[~finite], equal_nan=True)
            if not error <= allowed * scale or not alike:
                what = (
                    f"largest error {error:g} (allowed {allowed * scale:g})" if alike else "NaN or inf in other places"
                )
                self._fail(op, way, i, operands, params, f"output {i}: {what}")

    def _fail(self, op: Op, way: str, i: int, operands: Any, params: tuple, what: str) -> None:
        handle, path = tempfile.mkstemp(prefix=f"twin-{op.name}-{way}-", suffix=".npz", dir=self.folder)
        os.close(handle)
        save_case(path, op.name, way, operands, params)
        came = ", ".join(describe(a) for a in operands if hasattr(a, "shape"))
        place = (
            f" (in model.{self.stack[-1]})"
            if self.stack and self.stack[-1]
            else " (in the model)"
            if self.stack
            else ""
        )
        raise TwinError(
            f"{op.name}: the {way} kernel and the NumPy definition disagree{place}: {what}; inputs: {came}; saved to {path}, "
            f"run tritorch.debug.replay({path!r}) to see it again",
            path,
        )


def _host(value: Any) -> Any:
    """Device arrays within lists and tuples as NumPy arrays."""
    if isinstance(value, (list, tuple)):
        return type(value)(_host(v) for v in value)
    return (
        value
        if value is None
        or value.__class__ is np.ndarray
        or not hasattr(value, "dtype")
        or not hasattr(value, "strides")
        else to_host(value)
    )


def _wide(operands: list) -> list:
    """Half-precision arrays in float32, as the CPU side gets them."""
    half = lambda a: isinstance(a, np.ndarray) and a.dtype.itemsize == 2 and a.dtype.kind in "fV"  # noqa: E731
    one = lambda a: [one(v) for v in a] if isinstance(a, list) else a.astype(np.float32) if half(a) else a  # noqa: E731
    return [one(a) for a in operands]


def reference(op: Op, operands: list, params: tuple) -> Any:
    """The op's NumPy definition on host arrays."""
    return op.cpu(*(_wide(operands) if op.upcast else operands), *params)


def save_case(path: str, name: str, way: str, operands: Any, params: tuple) -> None:
    """Write an op's inputs to an .npz file: arrays, the rest by repr."""
    flat = {}
    layout = []
    for i, a in enumerate(operands):
        for j, v in enumerate(a if isinstance(a, list) else [a]):
            if isinstance(v, np.ndarray):
                flat[f"a{i}_{j}"] = v.view(np.uint16) if v.dtype.kind == "V" or str(v.dtype) == "bfloat16" else v
        layout.append(len(a) if isinstance(a, list) else -1)
    import pickle

    meta = pickle.dumps((name, way, layout, [str(getattr(a, "dtype", "")) for a in operands], params))
    np.savez(path, meta=np.frombuffer(meta, np.uint8), **flat)


def load_case(path: str) -> tuple[str, str, list, tuple]:
    """(op's name, forward or backward, operands, parameters) of a file that a TwinError named; only open your own files."""
    import pickle

    import ml_dtypes

    with np.load(path) as data:
        name, way, layout, kinds, params = pickle.loads(data["meta"].tobytes())
        operands: list[Any] = []
        for i, (count, kind) in enumerate(zip(layout, kinds, strict=True)):
            found = [data[f"a{i}_{j}"] if f"a{i}_{j}" in data else None for j in range(max(count, 1))]
            if kind == "bfloat16":
                found = [None if v is None else v.view(ml_dtypes.bfloat16) for v in found]
            operands.append(found if count >= 0 else found[0])
    return name, way, operands, params


def replay(path: str) -> float:
    """Run the kernel and the NumPy definition on saved inputs again; returns the largest difference.

    Arguments:
        path: the file that a `TwinError` names. It is read with pickle: open only files of your own.
    """
    name, way, operands, params = load_case(path)
    op = OPS[name]
    if way == "forward":
        expected = reference(op, operands, params)
        up = lambda v: v if EMULATED or not isinstance(v, np.ndarray) else to_device(v)  # noqa: E731
        there = [[up(v) for v in a] if isinstance(a, list) else up(a) for a in operands]
        if op.gpu is None:
            from .tensor import wrap

            got: Any = op.apply(*[wrap(a).to("cuda") if isinstance(a, np.ndarray) else a for a in operands], *params)._a  # type: ignore[attr-defined]
        else:
            got = op.gpu(*there, *params)
    else:
        assert op.cpu_grad is not None and op.gpu_grad is not None
        expected, got = op.cpu_grad(*_wide(operands)), op.gpu_grad(*operands)
    many = lambda v: list(v) if isinstance(v, (tuple, list)) else [v]  # noqa: E731
    return max(
        float(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).max(initial=0))
        for a, b in zip(many(expected), many(_host(got)), strict=True)
        if a is not None
    )
