"""`python -m tritorch.kernels.bounds`: the least time that each op can take on an H100, by arithmetic.

An op's `cost` says how many bytes it has to move and how many operations it has to do, for one stated large shape. The
bound is the longer of bytes / 3.35 TB/s and operations / (989 TFLOP/s on the tensor cores with 16-bit operands,
67 TFLOP/s elsewhere): the figures of NVIDIA's H100 SXM data sheet. Nothing here was measured and nothing is claimed
about the speed of the kernels; a run on a GPU is compared with these numbers.

Elementwise ops and those that keep their operands' shape are taken with bfloat16 operands of `LARGE` sizes (indices as
they are); ops with sizes of their own have a line in `CASES`; views, which move nothing, have none. The registers are
those that the compile report (`tritorch.kernels.report --json`) found on sm_90.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from ..dtypes import bfloat16
from ._op import OPS
from .elementwise import Elementwise

BYTES_PER_US = 3.35e6
TENSOR_FLOPS_PER_US, FLOPS_PER_US = 989e6, 67e6
BF16, F32, I64 = np.dtype(ml_dtypes.bfloat16), np.dtype(np.float32), np.dtype(np.int64)
LARGE = {0: (), 1: (1 << 26,), 2: (8192, 8192), 3: (64, 1024, 1024), 4: (64, 256, 64, 64), 5: (16, 64, 16, 64, 64)}

_image = ((64, 256, 56, 56), BF16)
_filter = ((256, 256, 3, 3), BF16)
_geometry = ((1, 1), (1, 1), (1, 1), 1)
_head = ((4, 32, 4096, 128), BF16)
_steps = (tuple([64] * 512), False)
_state, _gates = ((64, 1024), BF16), lambda n: (((512 * 64, n * 1024), BF16), ((n * 1024, 1024), BF16))
_table = ((50257, 1024), BF16)
_pooling = ((3, 3), (2, 2), (1, 1))
_columns = ((64, 64 * 9, 56 * 56), BF16)


def _array(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array of any size that takes no memory."""
    return np.broadcast_to(np.zeros((), dtype), shape)


_square, _rows = _array((8192, 8192), I64), _array((32768,), I64)
CASES: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    "matmul": ((((8192, 8192), BF16), ((8192, 8192), BF16)), ()),
    "linear": ((((16384, 4096), BF16), ((4096, 4096), BF16), ((4096,), BF16)), ()),
    "attention": ((_head, _head, _head, None), (0.088, False)),
    "conv": ((_image, _filter, None), _geometry),
    "conv_input_grad": ((_image, _filter), ((56, 56), *_geometry)),
    "conv_weight_grad": ((_image, _image), ((3, 3), *_geometry)),
    "max_pool": ((_image,), ((3, 3), (2, 2), (1, 1), (1, 1), (28, 28))),
    "avg_pool": ((_image,), ((3, 3), (2, 2), (1, 1), (28, 28), True, 0)),
    "group_norm": ((_image, ((256,), BF16), ((256,), BF16)), (32, 1e-5)),
    "batch_norm_train": ((_image, ((256,), BF16), ((256,), BF16)), (1e-5,)),
    "batch_norm_eval": ((_image, *[((256,), F32)] * 4), (1e-5,)),
    "ctc_loss": ((((512, 64, 1024), F32), ((64, 100), I64), ((64,), I64), ((64,), I64)), (0,)),
    "lstm_layer": ((_gates(4)[0], _state, _state, _gates(4)[1], None), _steps),
    "gru_layer": ((_gates(3)[0], _state, _gates(3)[1], ((1024,), BF16)), _steps),
    "rnn_layer": ((_gates(1)[0], _state, _gates(1)[1]), (*_steps, False)),
    "embedding": ((((50257, 1024), BF16), ((16, 2048), I64)), (-1, False)),
    "embedding_grad": ((((16, 2048, 1024), BF16), ((16, 2048), I64)), (50257, -1, False)),
    "cross_entropy": ((((8192, 50257), BF16), ((8192,), I64), None), (-100, "mean", 0.0)),
    "cross_entropy_target": ((((8192,), I64), ((8192, 50257), BF16), None), (-100, 0.0)),
    "searchsorted": ((((4096,), F32), ((1 << 24,), F32)), (False,)),
    "cast": ((((8192, 8192), F32),), (bfloat16,)),
    "cat": ((((8192, 4096), BF16), ((8192, 4096), BF16)), (1,)),
    "stack": ((((8192, 4096), BF16), ((8192, 4096), BF16)), (1,)),
    "repeat": ((((2048, 8192), BF16),), ((4, 1),)),
    "tril": ((((64, 1024, 1024), BF16),), (0,)),
    "triu": ((((64, 1024, 1024), BF16),), (0,)),
    "pad_constant": ((_image,), (((0, 0), (0, 0), (1, 1), (1, 1)), 0.0)),
    "index": ((_table,), ((_rows,),)),
    "index_add_zeros": ((((32768, 1024), BF16),), ((50257, 1024), (_rows,))),
    "index_put": ((_table, ((32768, 1024), BF16)), ((_rows,), True)),
    "gather": ((((8192, 8192), BF16),), (1, _square)),
    "scatter": ((((8192, 8192), BF16), ((8192, 8192), BF16)), (1, _square)),
    "scatter_add": ((((8192, 8192), BF16), ((8192, 8192), BF16)), (1, _square)),
    "scatter_prod": ((((8192, 8192), BF16), ((8192, 8192), BF16)), (1, _square)),
    "scatter_extremum": ((((8192, 8192), BF16), ((8192, 8192), BF16)), (1, _square, True)),
    "masked_fill": ((((8192, 8192), BF16), ((), BF16)), (_array((8192, 8192), np.bool_),)),
    "where": ((((8192, 8192), np.bool_), ((8192, 8192), BF16), ((8192, 8192), BF16)), ()),
    "im2col": ((((64, 64, 56, 56), BF16),), ((3, 3), *_geometry[:3])),
    "col2im": ((_columns,), ((56, 56), (3, 3), *_geometry[:3])),
    "max_pool_indices": ((_image,), (*_pooling, (1, 1), (28, 28))),
    "max_unpool": ((((64, 256, 28, 28), BF16), ((64, 256, 28, 28), I64)), ((56, 56),)),
    "avg_pool_grad": ((((64, 256, 28, 28), BF16),), ((56, 56), *_pooling, True, 0)),
    "adaptive_max_pool_indices": ((_image,), ((7, 7),)),
    "fractional_max_pool_indices": ((_image, ((64, 256, 2), F32)), ((2, 2), (28, 28))),
    "unview": ((((4096, 4096), BF16),), ((8192, 8192), "slice", ())),
}  # fmt: skip


class Bound(NamedTuple):
    """One line: what is moved and done for the stated operands, and the least time in microseconds."""

    op: str
    operands: str
    megabytes: float
    gigaflops: float
    limit: str
    microseconds: float
    registers: int | None


def _large(args: list[Any]) -> list[Any]:
    """The arrays of a sample with its first operand's sizes grown to `LARGE`, and equal sizes of the others with them."""
    first = next(a for a in args if a is not None)
    grown = LARGE[min(np.ndim(first), 5)]
    to: dict[int, int] = {}
    for old, new in zip(np.shape(first), grown, strict=False):
        to.setdefault(old, new)
    made = []
    for a in args:
        if a is None:
            made.append(None)
            continue
        shape = grown if np.shape(a) == np.shape(first) else tuple(to.get(n, n) for n in np.shape(a))
        made.append(_array(shape, BF16 if np.asarray(a).dtype.kind == "f" else np.asarray(a).dtype))
    return made


def _operands(name: str) -> tuple[list[Any], tuple[Any, ...]] | None:
    op = OPS[name]
    if isinstance(op, Elementwise):
        dtype = np.dtype(np.int32) if name.startswith("bitwise") or name in ("gcd", "lcm") else BF16
        return [_array(LARGE[2], dtype) for _ in op.inputs], ()
    if op.cost is None or op.view or op.samples is None:
        return None
    if name in CASES:
        args, params = CASES[name]
        return [None if a is None else _array(*a) for a in args], params
    args: Any
    params: Any
    args, params = next(iter(op.samples(np.random.default_rng(0))))
    if op.variadic or _has_sizes(op):
        return [_array(np.shape(a), np.asarray(a).dtype) if a is not None else None for a in args], params
    return _large(list(args)), params


def _has_sizes(op: Any) -> bool:
    """Has the op parameters that fit its sample's sizes only: such an op needs a line in CASES."""
    return any(n in ("out", "size", "shape", "kernel", "kernel_size") for n in op.params)


def _label(a: Any) -> str:
    return "-" if a is None else f"{a.dtype.name}[{', '.join(map(str, a.shape))}]"


def bound(name: str, registers: dict[str, int] | None = None) -> Bound | None:
    """The line of one op; None for views, library ops and ops without a cost."""
    found = _operands(name)
    if found is None:
        return None
    args, params = found
    op = OPS[name]
    moved, done = op.cost(args, *params) if op.variadic else op.cost(*args, *params)  # type: ignore[misc]
    cores = (
        name.split("_")[0] in ("matmul", "linear", "conv", "attention", "lstm", "gru", "rnn")
        and args[0].dtype.itemsize == 2
    )
    by_bytes = moved / BYTES_PER_US
    by_flops = done / (TENSOR_FLOPS_PER_US if cores else FLOPS_PER_US)
    file = "pointwise: table " + name if isinstance(op, Elementwise) else op.cpu.__module__.rpartition(".")[2]
    return Bound(
        name, " ".join(map(_label, args)), moved / 1e6, done / 1e9, "bytes" if by_bytes >= by_flops else "operations",
        max(by_bytes, by_flops), (registers or {}).get(file),
    )  # fmt: skip


def registers_of(report: Path) -> dict[str, int]:
    """The most registers on sm_90, by case of the elementwise table and by file, of the compile report's JSON."""
    found: dict[str, int] = {}
    for row in json.loads(report.read_text()):
        if row["target"] == "sm_90":
            for key in (row["case"], row["case"].partition(":")[0]):
                found[key] = max(found.get(key, 0), row["registers"])
    return found


def table(registers: dict[str, int] | None = None) -> list[Bound]:
    """All lines, by op."""
    for module in pkgutil.iter_modules(sys.modules[__package__].__path__):
        if module.name not in ("report", "bounds"):
            importlib.import_module(f"{__package__}.{module.name}")
    return [line for name in sorted(OPS) if (line := bound(name, registers)) is not None]


def text(lines: list[Bound]) -> str:
    """The lines as Markdown."""
    head = (__doc__ or "").partition(":")[2].strip().partition("\n\n")[2]
    rows = [
        f"| {b.op} | {b.operands} | {b.megabytes:.1f} | {b.gigaflops:.2f} | {b.limit} | {b.microseconds:.1f} | "
        f"{'' if b.registers is None else b.registers} |"
        for b in lines
    ]
    columns = "| op | operands | MB moved | GFLOP | limited by | least us | registers |\n|---|---|--:|--:|---|--:|--:|"
    return f"# Bounds of the ops on an H100, by arithmetic\n\n{head}\n\n{columns}\n" + "\n".join(rows) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tritorch.kernels.bounds", description="the least time of each op")
    parser.add_argument("--report", type=Path, help="JSON of tritorch.kernels.report, for the registers")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    options = parser.parse_args(arguments)
    made = text(table(registers_of(options.report) if options.report else None))
    print(made)
    if options.write:
        options.write.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
