"""Ops on the CPU: tritorch (all cores) against torch (the better of 1 and 2 threads), in processes that take turns.

`python benchmarks/ops_cpu.py [words that a case's name must contain] [--seconds 3]`; without words the whole table is
measured and written to results/ops_cpu.json. The ratio is of the least times; medians, processor times and torch with
freed memory kept by its malloc are in the JSON. Where the environment steers OpenBLAS, take that away first:
`env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python benchmarks/ops_cpu.py`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

import floors_cpu

CASES: dict[str, tuple[float, Callable[[Any], Callable[[], object]]]] = {}
M8 = 1 << 23


def case(name: str, target: float, make: Callable[[Any], Callable[[], object]]) -> None:
    CASES[name] = target, make


def both(lib: Any, fn: Callable[..., Any], *shapes: tuple[int, ...], backward: bool = True) -> Callable[[], object]:
    """`fn` of random tensors of these shapes, with or without its backward from a given gradient."""
    xs = [lib.randn(*shape, requires_grad=backward) for shape in shapes]
    if not backward:
        return lambda: fn(*xs)
    g = lib.randn_like(fn(*xs).detach())

    def run() -> None:
        fn(*xs).backward(g)
        for x in xs:
            x.grad = None

    return run


def pair(name: str, targets: tuple[float, float], fn: Callable[[Any], Callable], *shapes: tuple[int, ...]) -> None:
    """Two cases: forward, and forward with backward."""
    case(f"{name}, fwd", targets[0], lambda lib: both(lib, fn(lib), *shapes, backward=False))
    case(f"{name}, fwd+bwd", targets[1], lambda lib: both(lib, fn(lib), *shapes))


pair("add 8 M", (1, 1), lambda lib: lambda a, b: a + b, (M8,), (M8,))
pair("mul 8 M", (1, 1), lambda lib: lambda a, b: a * b, (M8,), (M8,))
pair("add row 8192x1024", (1, 1), lambda lib: lambda a, b: a + b, (8192, 1024), (1024,))
pair("mul scalar 8 M", (1, 1), lambda lib: lambda a: a * 2.5, (M8,))
pair("exp 8 M", (1, 1), lambda lib: lib.exp, (M8,))
pair("tanh 8 M", (1, 1), lambda lib: lib.tanh, (M8,))
pair("sigmoid 8 M", (1, 1), lambda lib: lib.sigmoid, (M8,))
pair("relu 8 M", (1, 1), lambda lib: lib.relu, (M8,))
pair("silu 8 M", (1, 1), lambda lib: lib.nn.functional.silu, (M8,))
pair("gelu 8 M", (1, 1), lambda lib: lib.nn.functional.gelu, (M8,))
pair("gelu tanh 8 M", (1, 1), lambda lib: lambda x: lib.nn.functional.gelu(x, approximate="tanh"), (M8,))
pair("sum 8 M", (1, 1), lambda lib: lib.sum, (M8,))
pair("max 8 M", (1, 1), lambda lib: lib.max, (M8,))
pair("sum rows 8192x1024", (1, 1), lambda lib: lambda x: x.sum(1), (8192, 1024))
pair("sum columns 8192x1024", (1, 1), lambda lib: lambda x: x.sum(0), (8192, 1024))
pair("softmax 1024x1024", (1.5, 1.5), lambda lib: lambda x: lib.softmax(x, 1), (1024, 1024))
pair("log_softmax 1024x1024", (1.5, 1.5), lambda lib: lambda x: lib.log_softmax(x, 1), (1024, 1024))
pair("layer norm 4096x768", (1.5, 1.5), lambda lib: lambda x, w, b: lib.nn.functional.layer_norm(x, (768,), w, b),
     (4096, 768), (768,), (768,))  # fmt: skip


def _cross_entropy(lib: Any, backward: bool) -> Callable[[], object]:
    t = lib.randint(0, 10000, (4096,))
    return both(lib, lambda x: lib.nn.functional.cross_entropy(x, t), (4096, 10000), backward=backward)


case("cross-entropy 4096x10000, fwd", 1.5, lambda lib: _cross_entropy(lib, False))
case("cross-entropy 4096x10000, fwd+bwd", 1.5, lambda lib: _cross_entropy(lib, True))
for _n in (512, 1024, 2048):
    case(f"matmul {_n}", 1, lambda lib, n=_n: both(lib, lib.matmul, (n, n), (n, n), backward=False))
pair("bmm 32x256", (1, 1), lambda lib: lib.bmm, (32, 256, 256), (32, 256, 256))


def _conv(name: str, target: float, x: tuple, w: tuple, **options: Any) -> None:
    pair(f"conv {name}", (target, target), lambda lib: lambda a, b: lib.nn.functional.conv2d(a, b, **options), x, w)


_conv("3->64 3x3, 32 of 32x32", 1.5, (32, 3, 32, 32), (64, 3, 3, 3), padding=1)
_conv("64->64 3x3, 32 of 32x32", 1, (32, 64, 32, 32), (64, 64, 3, 3), padding=1)
_conv("64->128 stride 2, 8 of 56x56", 1, (8, 64, 56, 56), (128, 64, 3, 3), stride=2, padding=1)
_conv("1x1 256->64, 16 of 28x28", 1, (16, 256, 28, 28), (64, 256, 1, 1))
_conv("depthwise 128, 16 of 28x28", 3, (16, 128, 28, 28), (128, 1, 3, 3), padding=1, groups=128)
pair("max pool 2, 32x64x32x32", (1, 1), lambda lib: lambda x: lib.nn.functional.max_pool2d(x, 2), (32, 64, 32, 32))
pair("max pool 3 stride 2", (1, 1), lambda lib: lambda x: lib.nn.functional.max_pool2d(x, 3, 2, 1), (16, 64, 56, 56))
pair("avg pool 2, 32x64x32x32", (1, 1), lambda lib: lambda x: lib.nn.functional.avg_pool2d(x, 2), (32, 64, 32, 32))
pair("batch norm 32x64x32x32", (1, 1),
     lambda lib: lambda x, w, b: lib.nn.functional.batch_norm(x, None, None, w, b, training=True),
     (32, 64, 32, 32), (64,), (64,))  # fmt: skip
pair("group norm 32x64x32x32", (1, 1), lambda lib: lambda x, w, b: lib.nn.functional.group_norm(x, 8, w, b),
     (32, 64, 32, 32), (64,), (64,))  # fmt: skip
pair("pad reflect 32x64x32x32", (1, 1),
     lambda lib: lambda x: lib.nn.functional.pad(x, (2, 2, 2, 2), mode="reflect"), (32, 64, 32, 32))  # fmt: skip


def _bce(lib: Any, backward: bool) -> Callable[[], object]:
    t = lib.rand(1 << 20)
    loss = lib.nn.functional.binary_cross_entropy_with_logits
    return both(lib, lambda x: loss(x, t), (1 << 20,), backward=backward)


case("bce with logits 1 M, fwd", 1, lambda lib: _bce(lib, False))
case("bce with logits 1 M, fwd+bwd", 1, lambda lib: _bce(lib, True))
pair("attention 16x4x64x32 causal", (1, 1),
     lambda lib: lambda q, k, v: lib.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True),
     *[(16, 4, 64, 32)] * 3)  # fmt: skip


def _step(lib: Any, name: str, shapes: list[tuple[int, ...]], **options: Any) -> Callable[[], object]:
    params = [lib.nn.Parameter(lib.randn(*shape)) for shape in shapes]
    for p in params:
        p.grad = lib.randn_like(p).detach()
    return getattr(lib.optim, name)(params, lr=1e-4, **options).step


_SETS = {"one of 16 M": [(4096, 4096)], "150 of 256": [(256,)] * 150,
         "GPT 4 x 128": [(128, 128)] * 16 + [(512, 128)] * 4 + [(128, 512)] * 4 + [(384, 128)] * 4 + [(128,)] * 40}  # fmt: skip
for _title, _shapes in _SETS.items():
    case(f"SGD momentum, {_title}", 0.6, lambda lib, s=_shapes: _step(lib, "SGD", s, momentum=0.9))
    case(f"Adam, {_title}", 0.6, lambda lib, s=_shapes: _step(lib, "Adam", s))
    case(f"AdamW, {_title}", 0.6, lambda lib, s=_shapes: _step(lib, "AdamW", s))


def make(lib: Any, name: str) -> Callable[[], object]:
    """The workload `name` in library `lib`, or the floor of it."""
    return floors_cpu.make(name) if lib is floors_cpu else CASES[name][1](lib)


def chosen(words: list[str], names: list[str]) -> list[str]:
    return [name for name in names if all(word in name for word in words)]


def environment() -> dict[str, str]:
    """What the environment says to OpenBLAS: a core type set by hand can halve NumPy's products."""
    return {k: v for k, v in os.environ.items() if k.startswith("OPENBLAS_")}


def main() -> None:
    from _compare import Table
    from _workers import KEPT, SIDES, turns

    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    table = Table("ops_cpu", openblas=environment(), seconds=args.seconds, statistic="least")
    sides = SIDES | {"floor": ("floors_cpu", 0, KEPT | {"OPENBLAS_NUM_THREADS": "1"})}
    for name, times in turns("ops_cpu", chosen(args.words, list(CASES)), args.seconds, sides):
        best = min((times["torch 1"], times["torch 2"]), key=lambda t: t.least)
        floor = times.pop("floor").least * 1e3 if name in floors_cpu.FLOORS else None
        table.add(name, times["ours"].least * 1e3, best.least * 1e3, "ms", CASES[name][0], floor)
        table.rows[-1]["sides"] = {side: {k: v * 1e3 for k, v in vars(t).items()} for side, t in times.items()}
    if not args.words:
        table.write()


if __name__ == "__main__":
    main()
