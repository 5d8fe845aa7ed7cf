"""Elementwise kernels on the GPU, made from expressions.

`pointwise` evaluates expressions over broadcast arrays of any layout in one launch. An expression is one line of the
table in `elementwise.py`: operand names, numbers, operators and bare functions. It becomes Triton source of one of two
shapes (`_sources`), compiled once per expression, dtypes and pattern of strides:

- flat: all operands are contiguous (or one element each); one program takes BLOCK consecutive elements;
- tiled: one program takes a BLOCK_Y x BLOCK_X tile of two dims, further dims are counted by the program index. Strides
  0 and 1 are part of the source, so that loads are vectorised along a dense dim and broadcast operands are read once.

Whole tiles take a branch without masks, which is what lets their loads and stores be 16 bytes wide.
"""

from __future__ import annotations

import linecache
import re
from typing import Any

import numpy as np

from ..device import _current as _thread
from ..device import as_strided
from . import _configs, _math, _math_special
from ._expressions import RARE, compute_type, translate
from ._launch import Kernel, empty, launch
from ._op import Array
from ._replay import call
from ._shapes import broadcast_shapes

_INT_TILE = 2**31 - 2**16  # beyond so many elements offsets are int64
_ROUTES_KEPT = 4096
_CONST = ': "tl.constexpr"'

# float64 inside, or many steps: few elements per thread keep them in registers
_HEAVY = {
    "lgamma": 4, "digamma": 4, "polygamma1": 4, "erfinv": 4, "tan": 4, "sin": 2, "cos": 2, "fmod": 2, "remainder": 2,
    "floor_divide": 2, **dict.fromkeys(RARE, 8),
}  # fmt: skip
_CALLED = re.compile(r"(\w+)\(")

_routes: dict[Any, _Route] = {}
_kernels: dict[Any, Kernel] = {}
_space: dict[str, Any] = {"__name__": __name__}


def _functions(file: Any) -> list[tuple[str, Any]]:
    return [(n, k) for n, k in vars(file).items() if hasattr(k, "start")]


_space |= {n: k for file in (_math, _math_special) for n, k in _functions(file)}


class _Route:
    """What is fixed for one call's dtypes, shapes and strides: kernel, grid and integer arguments."""

    __slots__ = ("kernel", "shape", "out_dtypes", "grid", "ints", "consts", "floats")
    kernel: Any
    shape: tuple[int, ...]
    grid: tuple[int, ...]
    ints: tuple[int, ...]
    consts: dict[str, Any]
    floats: bool


def pointwise(
    name: str,
    exprs: tuple[str, ...],
    names: tuple[str, ...],
    arrays: tuple[Array, ...],
    out_dtypes: tuple[Any, ...],
    scalars: dict[str, float | int] | None = None,
    outs: tuple[Array, ...] | None = None,
) -> tuple[Array, ...]:
    """Evaluate `exprs` over `arrays`, broadcast together; one result per expression, all from one launch.

    Half-precision operands are computed in float32, float64 in float64, integers in their own type.

    Args:
        name: the op's name, for the kernel's name and errors.
        exprs: the expressions (see `_expressions.translate`).
        names: what the expressions call the arrays.
        arrays: device arrays of any strides.
        out_dtypes: NumPy dtype of each result; bool results are stored as bytes 0 and 1.
        scalars: further names with Python numbers; float64 operands see all of a float's digits.
        outs: arrays of the broadcast shape to write to, which may be operands; new contiguous ones by default.
    """
    key = (
        exprs, names, out_dtypes, tuple([(a.dtype, a.shape, a.strides) for a in arrays]),
        None if scalars is None else tuple([(k, v.__class__) for k, v in scalars.items()]),
        None if outs is None else tuple([(a.shape, a.strides) for a in outs]),
    )  # fmt: skip
    route = _routes.get(key)
    if route is None:
        if len(_routes) >= _ROUTES_KEPT:
            _routes.clear()
        route = _routes[key] = _route(name, exprs, names, arrays, out_dtypes, scalars or {}, outs)
    if outs is None:
        outs = tuple([empty(route.shape, d) for d in out_dtypes])
    if route.kernel is not None:
        if scalars:
            values = [float(v) for v in scalars.values()] if route.floats else [_plain(v) for v in scalars.values()]
            launch(route.kernel, route.grid, *arrays, *outs, *values, *route.ints, **route.consts)
        else:
            launch(route.kernel, route.grid, *arrays, *outs, *route.ints, **route.consts)
    return outs


def cast(x: Array, dtype: Any) -> Array:
    """A contiguous copy of `x` in another dtype."""
    out = empty(x.shape, dtype)
    copy_into(out, x)
    return out


def copy_into(dst: Array, src: Array) -> None:
    """dst[...] = src, broadcast and cast; any strides, transposes go through square tiles."""
    call(_copy_into, _thread.index, (dst, src))


def _copy_into(dst: Array, src: Array) -> None:
    dtype = np.dtype(dst.dtype)
    if dtype == src.dtype:  # the bits as they are
        bits = np.dtype(f"i{min(dtype.itemsize, 8)}")
        if dtype.itemsize == 16:
            src, dst = _split(src), _split(dst)
        src, dst = src.view(bits), dst.view(bits)
        dtype = bits
    elif dtype.kind == "c" or src.dtype.kind == "c":
        raise RuntimeError(f"copy: no kernel casts {src.dtype} to {dtype}; cast between real and complex on the CPU")
    pointwise("copy", ("x",), ("x",), (src,), (dtype,), None, (dst,))


def fill(dst: Array, value: complex) -> None:
    """dst[...] = value, in any strides; complex numbers by their parts."""
    call(_fill, _thread.index, (dst, value))


def _fill(dst: Array, value: complex) -> None:
    if dst.dtype.kind == "c":
        half = dst.dtype.itemsize // 2
        for i, part in enumerate((complex(value).real, complex(value).imag)):
            fill(as_strided(dst, dst.shape, dst.strides, i * half, np.dtype(f"f{half}")), part)
        return
    pointwise("fill", ("value",), (), (), (np.dtype(dst.dtype),), {"value": value}, (dst,))


def _split(a: Array) -> Array:
    """complex128 as pairs of 8 bytes."""
    return as_strided(a, (*a.shape, 2), (*a.strides, 8), dtype=np.dtype(np.int64))


def _plain(v: Any) -> Any:
    return v if v.__class__ is float else int(v)


# ---- from a call to a kernel ---------------------------------------------------------------------------------------


def _route(
    name: str,
    exprs: tuple[str, ...],
    names: tuple[str, ...],
    arrays: tuple[Array, ...],
    out_dtypes: tuple[Any, ...],
    scalars: dict[str, float | int],
    outs: tuple[Array, ...] | None,
) -> _Route:
    shape = outs[0].shape if outs else broadcast_shapes(*[a.shape for a in arrays])
    route = _Route()
    route.shape = tuple(shape)
    route.kernel = None
    compute = compute_type([a.dtype for a in arrays], out_dtypes)
    route.floats = compute.kind == "f"
    numel = 1
    for n in shape:
        numel *= n
    if numel == 0:
        return route
    strides = [_element_strides(a, shape) for a in arrays]
    strides += [_element_strides(a, shape) for a in outs] if outs else [_contiguous(shape)] * len(out_dtypes)
    sizes, strides = collapse(tuple(shape), strides, len(arrays))
    widest = max(np.dtype(d).itemsize for d in (*out_dtypes, *[a.dtype for a in arrays]))
    scalar_types = {k: _scalar_type(v, compute) for k, v in scalars.items()}
    head = (name, exprs, names, tuple(a.dtype for a in arrays), out_dtypes, tuple(scalar_types.items()))
    heavy = max([_HEAVY.get(f, 1) for e in exprs for f in _CALLED.findall(e)], default=1)
    flat = len(sizes) == 1 and all(s[0] in (0, 1) for s in strides) and all(s[0] == 1 for s in strides[len(arrays) :])
    if flat:
        block, warps = _configs.flat_tile(numel, widest, heavy)
        pattern = tuple("01"[s[0]] for s in strides)
        route.kernel = _kernel((*head, pattern, 1), compute)
        route.grid = (-(-numel // block),)
        route.ints = (numel,)
        route.consts = {"BLOCK": block, "BIG": numel > _INT_TILE, "num_warps": warps}
        return route
    if len(sizes) == 1:
        sizes, strides = (sizes[0], 1), [(s[0], 0) for s in strides]
    cols, rows, *outer = sizes
    transposed = any(s[1] == 1 and s[0] > 1 for s in strides)
    block_y, block_x, warps = _configs.strided_tile(rows, cols, transposed, heavy)
    pattern = tuple(
        "".join("0" if s == 0 else "1" if s == 1 and d == 0 else "s" for d, s in enumerate(st)) for st in strides
    )
    tiles_x, tiles_y = -(-cols // block_x), -(-rows // block_y)
    programs = tiles_x * tiles_y
    for n in outer:
        programs *= n
    span = max((rows + block_y) * abs(s[1]) + (cols + block_x) * abs(s[0]) for s in strides)
    route.kernel = _kernel((*head, pattern, len(sizes)), compute)
    route.grid = (programs,)
    given = [s for st, pat in zip(strides, pattern, strict=True) for s, p in zip(st, pat, strict=True) if p == "s"]
    route.ints = (cols, rows, tiles_x, tiles_y, *outer[:-1], *given)
    route.consts = {"BLOCK_Y": block_y, "BLOCK_X": block_x, "BIG": span > _INT_TILE, "num_warps": warps}
    return route


def _scalar_type(v: Any, compute: np.dtype) -> str:
    if compute.kind == "f":
        return "fp64" if compute.itemsize == 8 else "fp32"
    if v.__class__ is float:
        return "fp64"
    return "int"


def _element_strides(a: Array, shape: tuple[int, ...]) -> tuple[int, ...]:
    """`a`'s strides in elements, as if broadcast to `shape`."""
    lead = len(shape) - a.ndim
    size = a.dtype.itemsize
    return (0,) * lead + tuple(0 if n == 1 else s // size for n, s in zip(a.shape, a.strides, strict=True))


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def collapse(
    shape: tuple[int, ...], strides: list[tuple[int, ...]], first_out: int
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """The same elements in as few dims as can be, innermost first.

    Dims are ordered by the first output's strides; neighbours that all operands step through evenly are merged. The
    second dim is one in which an operand that is not dense in the first one is dense, where there is one.

    Args:
        shape: the common shape, without zeros.
        strides: per operand, the strides in elements.
        first_out: which of them is the first output's.
    """
    dims = [d for d in range(len(shape)) if shape[d] > 1]
    order = strides[first_out]
    dims.sort(key=lambda d: (abs(order[d]), -d))
    sizes: list[int] = []
    kept: list[list[int]] = []
    for d in dims:
        step = [s[d] for s in strides]
        if sizes and all(t == k * sizes[-1] for t, k in zip(step, kept[-1], strict=True)):
            sizes[-1] *= shape[d]
        else:
            sizes.append(shape[d])
            kept.append(step)
    if not sizes:
        return (1,), [(1 if i >= first_out else 0,) for i in range(len(strides))]
    for i in range(2, len(sizes)):
        if any(s == 1 and s0 not in (0, 1) for s, s0 in zip(kept[i], kept[0], strict=True)):
            sizes.insert(1, sizes.pop(i))
            kept.insert(1, kept.pop(i))
            break
    return tuple(sizes), [tuple(k[i] for k in kept) for i in range(len(strides))]


# ---- from a kernel's key to its source -----------------------------------------------------------------------------


def _kernel(key: tuple[Any, ...], compute: np.dtype) -> Kernel:
    found = _kernels.get(key)
    if found is None:
        found = _kernels[key] = _made(key, compute)
    return found


def _made(key: tuple[Any, ...], compute: np.dtype) -> Kernel:
    name, exprs, names, dtypes, out_dtypes, scalar_types, pattern, rank = key
    if "_zeta" not in _space and any(f in RARE for e in exprs for f in _CALLED.findall(e)):
        from . import _math_bessel, _math_gamma

        _space.update({n: k for file in (_math_bessel, _math_gamma) for n, k in _functions(file)})
    source = (_flat_source if rank == 1 else _tiled_source)(
        name, exprs, names, dtypes, out_dtypes, dict(scalar_types), pattern, rank, compute
    )
    file = f"<tritorch {name} {len(_kernels)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    local: dict[str, Any] = {}
    exec(compile(source, file, "exec"), _space, local)  # noqa: S102
    counts = (
        ("n_elements",)
        if rank == 1
        else ("n_rows", "n_tiles_x", "n_tiles_y", *[f"n_outer{d}" for d in range(2, rank - 1)])
    )
    whole = [k for k, t in scalar_types if t == "int"]
    return Kernel(local[f"_{name}"], (*counts, *whole))


def _signature(
    name: str, names: tuple[str, ...], outs: int, scalar_types: dict[str, str], ints: list[str], consts: list[str]
) -> str:
    pointers = [f"{n}_ptr" for n in names] + [f"out{i}_ptr" for i in range(outs)]
    scalars = [f'{k}_arg: "fp64"' if t == "fp64" else f"{k}_arg" for k, t in scalar_types.items()]
    return f"def _{name}({', '.join([*pointers, *scalars, *ints, *[c + _CONST for c in consts]])}):"


def _body(
    exprs: tuple[str, ...], names: tuple[str, ...], dtypes: tuple[Any, ...], out_dtypes: tuple[Any, ...],
    scalar_types: dict[str, str], compute: np.dtype, where: list[tuple[str, str]], masked: bool,
) -> list[str]:  # fmt: skip
    """Loads, the expressions and stores; `where` gives each operand's address and mask."""
    lines = []
    for n, d, (address, mask) in zip(names, dtypes, where, strict=False):
        load = f"tl.load({address}, mask={mask}, other=0)" if masked and mask else f"tl.load({address})"
        lines.append(f"{n} = {load}{'.to(tl.float32)' if d.kind in 'fV' and d.itemsize == 2 else ''}")
    for k, t in scalar_types.items():
        tile = "tl.float64" if t == "fp64" else "tl.float32" if t == "fp32" else f"tl.{compute.name}"
        lines.append(f"{k} = tl.full((1,), {k}_arg, {tile})")
    bools = frozenset(n for n, d in zip(names, dtypes, strict=True) if d.kind == "b")
    for i, (e, d, (address, mask)) in enumerate(zip(exprs, out_dtypes, where[len(names) :], strict=True)):
        value = translate(e, (*names, *scalar_types), bools, compute)
        value = f"({value}) != 0" if np.dtype(d).kind == "b" else value
        lines.append(f"result{i} = {value}")
        store = f"result{i}.to(out{i}_ptr.dtype.element_ty)"
        lines.append(f"tl.store({address}, {store}{f', mask={mask}' if masked else ''})")
    return lines


def _layout(names: tuple[str, ...], outs: int, pattern: tuple[str, ...]) -> list[str]:
    labels = [f"{n}_ptr" for n in names] + [f"out{i}_ptr" for i in range(outs)]
    words = {"0": "broadcast", "1": "dense", "s": "strided"}
    return [f"    {n}: {', '.join(words[p] for p in pat)}" for n, pat in zip(labels, pattern, strict=True)]


def _flat_source(name, exprs, names, dtypes, out_dtypes, scalar_types, pattern, rank, compute) -> str:  # noqa: ANN001
    where = [
        (f"{n}_ptr + index", "index < n_elements") if p == "1" else (f"{n}_ptr", "")
        for n, p in zip(names, pattern, strict=False)
    ]
    where += [(f"out{i}_ptr + index", "index < n_elements") for i in range(len(exprs))]

    def body(masked: bool) -> list[str]:
        return [
            "        " + line for line in _body(exprs, names, dtypes, out_dtypes, scalar_types, compute, where, masked)
        ]

    return "\n".join([
        _signature(name, names, len(exprs), scalar_types, ["n_elements"], ["BLOCK", "BIG"]),
        f'    """{"; ".join(exprs)}, over n_elements; program p takes elements p * BLOCK ... (p + 1) * BLOCK - 1.',
        "",
        *_layout(names, len(exprs), pattern),
        "    BLOCK is a power of two; BIG: offsets need 64 bits.",
        '    """',
        "    start = tl.program_id(0)",
        "    if BIG:",
        "        start = start.to(tl.int64)",
        "    start = start * BLOCK",
        "    index = start + tl.arange(0, BLOCK)",
        "    if start + BLOCK <= n_elements:",
        *body(False),
        "    else:",
        *body(True),
        "",
    ])  # fmt: skip


def _tiled_source(name, exprs, names, dtypes, out_dtypes, scalar_types, pattern, rank, compute) -> str:  # noqa: ANN001
    labels = [*names, *[f"out{i}" for i in range(len(exprs))]]
    where, strides, bases = [], [], []
    for n, pat in zip(labels, pattern, strict=True):
        base = f"{n}_ptr"
        for d in range(2, rank):
            if pat[d] != "0":
                base += f" + outer{d}.to(tl.int64) * {n}_s{d}"
        bases.append(f"    {n}_base = {base}")
        strides += [f"{n}_s{d}" for d in range(rank) if pat[d] == "s"]
        address = f"{n}_base"
        masks = []
        if pat[1] != "0":
            address += f" + row * {n}_s1"
            masks.append("(row < n_rows)")
        if pat[0] != "0":
            address += " + col" if pat[0] == "1" else f" + col * {n}_s0"
            masks.append("(col < n_cols)")
        if n.startswith("out") and n not in names:  # a dim of size 1 has stride 0, its mask is needed nevertheless
            address += " + row * 0 + col * 0" if len(masks) < 2 else ""
            masks = ["(row < n_rows)", "(col < n_cols)"]
        where.append((address, " & ".join(masks)))
    outer = []
    for d in range(2, rank):
        if d < rank - 1:
            outer += [f"    outer{d} = program % n_outer{d}", f"    program = program // n_outer{d}"]
        else:
            outer += [f"    outer{d} = program"]

    def body(masked: bool) -> list[str]:
        return [
            "        " + line for line in _body(exprs, names, dtypes, out_dtypes, scalar_types, compute, where, masked)
        ]

    ints = ["n_cols", "n_rows", "n_tiles_x", "n_tiles_y", *[f"n_outer{d}" for d in range(2, rank - 1)], *strides]
    return "\n".join([
        _signature(name, names, len(exprs), scalar_types, ints, ["BLOCK_Y", "BLOCK_X", "BIG"]),
        f'    """{"; ".join(exprs)}, over {rank} dims; a program takes BLOCK_Y x BLOCK_X elements of n_rows x n_cols.',
        "",
        "    Layouts by dim, innermost (n_cols) first; strides in elements:",
        *_layout(names, len(exprs), pattern),
        "    BLOCK_X, BLOCK_Y are powers of two; BIG: offsets within a plane need 64 bits.",
        '    """',
        "    program = tl.program_id(0)",
        "    tile_x = program % n_tiles_x",
        "    program = program // n_tiles_x",
        "    tile_y = program % n_tiles_y",
        "    program = program // n_tiles_y",
        *outer,
        "    col = tile_x * BLOCK_X + tl.arange(0, BLOCK_X)[None, :]",
        "    row = tile_y * BLOCK_Y + tl.arange(0, BLOCK_Y)[:, None]",
        "    if BIG:",
        "        col = col.to(tl.int64)",
        "        row = row.to(tl.int64)",
        *bases,
        "    if ((tile_x + 1) * BLOCK_X <= n_cols) & ((tile_y + 1) * BLOCK_Y <= n_rows):",
        *body(False),
        "    else:",
        *body(True),
        "",
    ])  # fmt: skip


# ---- ahead-of-time cases -------------------------------------------------------------------------------------------


def _case(expr: str, *operands: tuple[tuple[int, ...], str], out: str = "fp32", **scalars: float) -> Any:
    def run(array: Any) -> None:
        arrays = tuple(array(shape, dtype) for shape, dtype in operands)
        names = tuple("abcdef"[: len(arrays)])
        pointwise("case", (expr,), names, arrays, (array((1,), out).dtype,), scalars or None)

    return run


def _table_case(line: Any, dtype: str) -> Any:
    """Forward of a line of the table, then its derivatives."""

    def run(array: Any) -> None:
        arrays = tuple(array((1 << 20,), dtype) for _ in line.inputs)
        scalars = dict.fromkeys(line.params, 0.5) or None
        if line.triton is not None:
            out = np.dtype(bool) if line.kind == "bool" else arrays[0].dtype
            pointwise(line.name, (line.triton,), line.inputs, arrays, (out,), scalars)
        rules = tuple(r for r in line.rules if r is not None)
        if rules and dtype != "i32":
            names = ("g", *line.inputs, "y")
            pointwise(
                line.name + "_bwd",
                rules,
                names,
                (arrays[0], *arrays, arrays[0]),
                (arrays[0].dtype,) * len(rules),
                scalars,
            )

    return run


def AOT() -> list[Any]:  # noqa: N802 - the name that the report looks for
    """Every layout by a few expressions, and every line of the table in float32 (bit operations: int32)."""
    from .elementwise import OPS, Elementwise

    plain, row, big = (1 << 24,), (4096, 1000), (4096, 4096)
    listed = [
        ("add fp32 flat", _case("a + b", (plain, "fp32"), (plain, "fp32"))),
        ("add bf16 flat", _case("a + b", (plain, "bf16"), (plain, "bf16"), out="bf16")),
        ("scale fp64 flat", _case("a * s", (plain, "fp64"), out="fp64", s=0.1)),
        ("bias bf16", _case("a + b", (row, "bf16"), ((1000,), "bf16"), out="bf16")),
        ("column fp32", _case("a - b", (big, "fp32"), ((4096, 1), "fp32"))),
        ("gelu bf16 small", _case("a * 0.5 * (1 + erf(a * 0.7071067811865476))", ((8192,), "bf16"), out="bf16")),
        ("cast fp32 to bf16", lambda array: cast(array(plain, "fp32"), array((1,), "bf16").dtype)),
        ("copy transposed bf16", lambda array: copy_into(array(big, "bf16"), array(big, "bf16").T)),
        ("copy permuted fp32", lambda array: copy_into(
            array((64, 56, 56, 64)), array((64, 64, 56, 56)).transpose(0, 2, 3, 1))),
        ("add transposed fp32", lambda array: pointwise(
            "case", ("a + b",), ("a", "b"), (array(big), array(big).T), (array((1,)).dtype,))),
        ("add i8 of 2^31 elements", _case("a + b", ((1 << 31,), "i8"), ((1 << 31,), "i8"), out="i8")),
        ("fill fp32", lambda array: fill(array(plain), 0.5)),
        ("slice fp32", lambda array: copy_into(array((1024, 513)), array((1024, 2, 1030))[:, 1, ::2][:, :513])),
    ]  # fmt: skip
    for line in OPS.values():
        if isinstance(line, Elementwise) and line.triton is not None:
            whole = line.name.startswith("bitwise") or line.name in ("gcd", "lcm")
            listed.append((f"table {line.name}", _table_case(line, "i32" if whole else "fp32")))
    return listed
