"""`python -m tritorch.kernels.report`: compile every kernel at its shipped configs, with no GPU, and judge the result.

A kernel file lists what it wants judged as `AOT`, a list of `(title, run)` or `(title, run, "matrix")` (or a function
that returns one): `run(array)` calls the file's own host code, as an op's `gpu` does, on arrays made by
`array(shape, "bf16")`. Nothing runs on a device: the launches are recorded with the very tiles, warps and stages that
the host code picks for the architecture, compiled ahead of time for each target, and the machine code is read:

    AOT = [
        ("softmax bf16 8192 x 4096", lambda array: softmax.gpu(array((8192, 4096), "bf16"), -1)),
        ("matmul bf16", lambda array: matmul.gpu(array((256, 64), "bf16"), array((64, 256), "bf16")), "matrix"),
    ]

The check fails for a register spill, for more shared memory than the target has, and for a "matrix" case without matrix
instructions. What was read from a binary is kept in Triton's cache by the kernel's hash, so that a second run is quick.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

KIB = 1024
TARGETS = {"sm_80": (8, 0), "sm_90": (9, 0), "sm_100": (10, 0), "gfx942": (9, 4)}
SHARED_LIMIT = {"sm_80": 163 * KIB, "sm_90": 227 * KIB, "sm_100": 227 * KIB, "gfx942": 64 * KIB}
MATRIX = ("HMMA", "HGMMA", "UTCHMMA", "UTCQMMA", "IMMA", "DMMA", "UTCOMMA", "mfma")
_COUNTED = {
    "HMMA": "HMMA", "HGMMA": "HGMMA", "UTCHMMA": "UTCHMMA", "DMMA": "DMMA", "IMMA": "IMMA", "LDGSTS": "LDGSTS",
    "UTMALDG": "UTMALDG", "LDG.E.128": "LDG128", "STG.E.128": "STG128", "LDG": "LDG", "STG": "STG", "LDL": "LDL",
    "STL": "STL", "ATOM": "ATOM", "RED": "RED",
}  # fmt: skip
_KEPT_AS = "tritorch-2.json"  # counts up when reading changes
_DTYPES: dict[str, Any] = {
    "bf16": ml_dtypes.bfloat16, "fp16": np.float16, "fp32": np.float32, "fp64": np.float64, "i1": np.bool_,
    "i8": np.int8, "u8": np.uint8, "i16": np.int16, "i32": np.int32, "i64": np.int64,
}  # fmt: skip


class Launch(NamedTuple):
    """One recorded launch: what Triton's compiler has to know of it."""

    case: str
    kernel: Any
    signature: dict[str, str]
    constants: dict[str, Any]
    divisible: tuple[str, ...]
    options: dict[str, Any]
    grid: tuple[int, ...]
    matrix: bool


class Row(NamedTuple):
    """What a kernel became on a target; `fault` says why it fails the check."""

    case: str
    kernel: str
    target: str
    warps: int
    stages: int
    registers: int
    spill: int
    shared: int
    counts: dict[str, int]
    fault: str


# ---- recording -----------------------------------------------------------------------------------------------------


class _Address:
    __slots__ = ("ptr",)

    def __init__(self, ptr: int):
        self.ptr = ptr

    def memset_async(self, value: int, size: int, stream: Any = None) -> None:
        """Memory is never touched."""


class Recorded(np.ndarray):
    """An array that is only looked at: memory is reserved, never touched, and looks like a device's."""

    @property
    def data(self) -> Any:
        return _Address(self.__array_interface__["data"][0])


def array(shape: tuple[int, ...], dtype: str = "fp32") -> Recorded:
    """An array for a case: `dtype` is one of bf16, fp16, fp32, fp64, i1, i8, u8, i16, i32, i64."""
    return _reserved(shape, _DTYPES[dtype])


def _reserved(shape: Any, dtype: Any) -> Recorded:
    dtype = np.dtype(dtype)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = np.empty(size + 512, np.uint8)
    shift = -raw.ctypes.data % 512
    return np.ndarray(shape, dtype, raw, shift).view(Recorded)


def _backend(capability: tuple[int, int]) -> Any:
    from .._emulated import EmulatedBackend

    class Backend(EmulatedBackend):
        hip = False

        def capability(self, index: int) -> tuple[int, int]:
            return capability

        def multiprocessors(self, index: int) -> int:
            return 132

        def empty(self, shape: Any, dtype: Any, index: int) -> Any:
            return _reserved(shape, dtype)

        def as_strided(self, a: Any, shape: Any, strides: Any, offset: int, dtype: Any) -> Any:
            from ..device import _Memory

            return np.asarray(_Memory(a, shape, strides, offset, dtype)).view(dtype).view(Recorded)

    return Backend(1)


def record(run: Callable[[Any], Any], case: str, target: str, matrix: bool = False) -> list[Launch]:
    """The launches that `run(array)` makes on `target`, without making them."""
    from . import _replay
    from ._driver import Compiled, type_name

    device = sys.modules["tritorch.device"]
    launches: list[Launch] = []

    def start(self: Any, grid: Any, args: tuple[Any, ...], consts: dict[str, Any]) -> None:
        consts.pop("reach", None)
        if 0 in grid:
            return
        signature: dict[str, str] = {}
        constants: dict[str, Any] = {}
        divisible = []
        for p, a in zip(self.params, args):
            if isinstance(a, np.ndarray):
                signature[p.name] = "*" + type_name(a.dtype)
                if a.__array_interface__["data"][0] % 16 == 0:
                    divisible.append(p.name)
            elif a is None or (a.__class__ is int and a == 1 and not p.do_not_specialize):
                constants[p.name] = a
            elif a.__class__ is int:
                signature[p.name] = "i32" if -(2**31) <= a < 2**31 else "i64"
                if a % 16 == 0 and not p.do_not_specialize:
                    divisible.append(p.name)
            else:
                signature[p.name] = p.annotation_type or "fp32"
        options = {k: consts.pop(k) for k in list(consts) if k not in self.arg_names}
        defaults = {n: p.default for n, p in self.signature.parameters.items() if n not in signature}
        constants |= {n: consts.get(n, d) for n, d in defaults.items() if n not in constants}
        launches.append(Launch(case, self, signature, constants, tuple(divisible), options, tuple(grid), matrix))

    before = Compiled.start, device._backend, _replay.ENABLED
    Compiled.start, device._backend, _replay.ENABLED = start, _backend(TARGETS[target]), False
    try:
        run(array)
    finally:
        Compiled.start, device._backend, _replay.ENABLED = before
    return launches


# ---- compiling and reading -----------------------------------------------------------------------------------------


def compile_one(launch: Launch, target: str) -> Row:
    """Compile a recorded launch for a target and read the binary."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.runtime.cache import get_cache_manager

    names = launch.kernel.arg_names
    source = ASTSource(
        fn=launch.kernel,
        signature={n: "constexpr" if n in launch.constants else launch.signature[n] for n in names},
        constexprs={(names.index(n),): v for n, v in launch.constants.items()},
        attrs={(names.index(n),): [["tt.divisibility", 16]] for n in launch.divisible},
    )
    hip = target.startswith("gfx")
    gpu = GPUTarget("hip", target, 64) if hip else GPUTarget("cuda", int(target[3:]), 32)
    options = {"enable_fp_fusion": True, **launch.options}
    if hip:
        options.pop("maxnreg", None)
    title = launch.kernel.__name__
    try:
        k = triton.compile(source, target=gpu, options=options)
    except Exception as error:
        text = str(error.__cause__ or error).strip().splitlines()
        return Row(launch.case, title, target, 0, 0, 0, 0, 0, {}, f"does not compile: {text[-1] if text else error!r}")
    store = get_cache_manager(k.hash)
    kept = store.get_file(_KEPT_AS)
    if kept:
        found = json.loads(Path(kept).read_text())
    else:
        found = read_hip(k.asm["amdgcn"]) if hip else read_cuda(k.asm["cubin"], k.asm["ptx"])
        store.put(json.dumps(found), _KEPT_AS, binary=False)
    shared = k.metadata.shared
    faults = []
    if found["spill"]:
        faults.append(f"spills {found['spill']} bytes")
    if shared > SHARED_LIMIT[target]:
        faults.append(f"shared memory {shared} of {SHARED_LIMIT[target]} bytes")
    if launch.matrix and not any(found["counts"].get(m) for m in MATRIX):
        faults.append("no matrix instruction")
    return Row(
        launch.case, title, target, k.metadata.num_warps, k.metadata.num_stages, found["registers"], found["spill"],
        shared, found["counts"], "; ".join(faults),
    )  # fmt: skip


def read_cuda(cubin: bytes, ptx: str) -> dict[str, Any]:
    """Registers, spilled bytes and instruction counts of a cubin, by the cuobjdump of Triton's wheel.

    The stack holds spills and the arrays that a program declares (`.local` in the PTX: the argument reduction of sin
    and cos); only the former count.
    """
    from triton import knobs

    tool = knobs.nvidia.cuobjdump.path
    with tempfile.NamedTemporaryFile(suffix=".cubin") as f:
        f.write(cubin)
        f.flush()
        path = os.path.dirname(tool) + os.pathsep + os.environ.get("PATH", "")
        out = subprocess.run(
            [tool, "-res-usage", "-sass", f.name], capture_output=True, text=True, check=True,
            env=dict(os.environ, PATH=path),
        ).stdout  # fmt: skip
    resources = dict(re.findall(r"\b(REG|STACK):(\d+)", out))
    declared = sum(int(n) for n in re.findall(r"\.local\s+\.align\s+\d+\s+\.b8\s+\S+?\[(\d+)\]", ptx))
    ops = re.findall(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+ )?([A-Z][A-Z0-9_.]+)", out, re.M)
    counts = {label: sum(op.startswith(start) for op in ops) for start, label in _COUNTED.items()}
    counts["instructions"] = len(ops)
    return {
        "registers": int(resources["REG"]),
        "spill": max(0, int(resources["STACK"]) - (declared + 7) // 8 * 8),
        "counts": {k: n for k, n in counts.items() if n},
    }


def read_hip(assembly: str) -> dict[str, Any]:
    """Registers, spilled registers and instruction counts of AMD assembly."""

    def number(key: str) -> int:
        return int(re.findall(rf"\.{key}:\s+(\d+)", assembly)[0])

    patterns = {
        "mfma": r"\bv_mfma",
        "load128": r"(?:global|buffer)_load_dwordx4",
        "store128": r"(?:global|buffer)_store_dwordx4",
    }
    counts = {label: len(re.findall(pattern, assembly)) for label, pattern in patterns.items()}
    return {
        "registers": number("vgpr_count"),
        "spill": 4 * number("vgpr_spill_count"),
        "counts": {k: n for k, n in counts.items() if n},
    }


# ---- the whole -----------------------------------------------------------------------------------------------------


def cases(pattern: str = "") -> Iterator[tuple[str, Callable[[Any], Any], bool]]:
    """(title, run, needs matrix instructions) of every kernel file's AOT list, of titles that match the pattern."""
    package = importlib.import_module("tritorch.kernels")
    for info in pkgutil.iter_modules(package.__path__):
        if info.name in ("report", "_interpreter"):  # the latter would put the interpreter in the compiler's place
            continue
        listed = getattr(importlib.import_module(f"tritorch.kernels.{info.name}"), "AOT", ())
        for title, run, *flags in listed() if callable(listed) else listed:
            title = f"{info.name.lstrip('_')}: {title}"
            if re.search(pattern, title):
                yield title, run, "matrix" in flags


def without_cases() -> list[str]:
    """Names of the kernel files that launch kernels and list no case."""
    names = []
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text = path.read_text()
        if (
            re.search(r"^@kernel\b", text, re.M)
            and re.search(r"^\s+launch\(", text, re.M)
            and not re.search(r"^(def )?AOT\b", text, re.M)
        ):
            names.append(path.stem)
    return names


def table(rows: list[Row]) -> str:
    """The rows as text, one line each."""
    width = max([len(f"{r.case} {r.kernel}") for r in rows], default=10)
    head = f"{'case, kernel':{width}}  target  warps stages  regs spill shared  instructions"
    lines = [head, "-" * len(head)]
    for r in rows:
        counts = " ".join(f"{k}:{n}" for k, n in r.counts.items())
        lines.append(
            f"{r.case + ' ' + r.kernel:{width}}  {r.target:7} {r.warps:4d} {r.stages:6d} {r.registers:5d} {r.spill:5d} "
            f"{r.shared:6d}  {counts}{'  FAULT: ' + r.fault if r.fault else ''}"
        )
    return "\n".join(lines)


def summary(rows: list[Row]) -> str:
    """One line per kernel file and target: binaries, the most registers and shared memory, what was found in them."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for r in rows:
        groups.setdefault((r.case.partition(":")[0], r.target), []).append(r)
    lines = ["file             target  binaries  registers  shared  spills  wide loads  matrix  faults"]
    for (file, target), found in groups.items():
        wide = sum(any(k in r.counts for k in ("LDG128", "LDGSTS", "UTMALDG", "load128")) for r in found)
        matrix = sum(any(k in r.counts for k in MATRIX) for r in found)
        lines.append(
            f"{file:16} {target:7} {len(found):8d} {max(r.registers for r in found):10d} "
            f"{max(r.shared for r in found):7d} {sum(r.spill > 0 for r in found):7d} {wide:11d} {matrix:7d} "
            f"{sum(bool(r.fault) for r in found):7d}"
        )
    return "\n".join(lines)


def run(pattern: str = "", targets: tuple[str, ...] = tuple(TARGETS), show: bool = False) -> list[Row]:
    """Record, compile and judge the cases whose titles match a pattern."""
    rows = []
    for title, case, matrix in cases(pattern):
        for target in targets:
            seen = set()
            for launch in record(case, title, target, matrix):
                key = (launch.kernel.__name__, *map(str, launch[2:6]))
                if key not in seen:
                    seen.add(key)
                    rows.append(compile_one(launch, target))
                    if show:
                        print(table(rows[-1:]).splitlines()[-1], flush=True)
    return rows


def main(arguments: list[str] | None = None) -> int:
    """The command; returns 1 when a case fails."""
    parser = argparse.ArgumentParser(prog="python -m tritorch.kernels.report", description=__doc__.split("\n")[0])
    parser.add_argument("pattern", nargs="?", default="", help="only cases whose titles match this regular expression")
    parser.add_argument("--targets", default=",".join(TARGETS), help="default: %(default)s")
    parser.add_argument("--json", help="also write the rows to this file")
    parser.add_argument("--summary", help="also write the lines per kernel file to this file")
    options = parser.parse_args(arguments)
    if os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "yes", "on", "y"):
        command = [sys.executable, "-m", "tritorch.kernels.report", *(sys.argv[1:] if arguments is None else arguments)]
        return subprocess.run(command, env=dict(os.environ, TRITON_INTERPRET="0"), check=False).returncode
    rows = run(options.pattern, tuple(options.targets.split(",")))
    print(f"{table(rows)}\n\n{summary(rows)}")
    if options.json:
        Path(options.json).write_text(json.dumps([r._asdict() for r in rows], indent=1) + "\n")
    if options.summary:
        import triton

        Path(options.summary).write_text(f"Triton {triton.__version__}\n\n{summary(rows)}\n")
    faults = [r for r in rows if r.fault]
    kernels = {(r.case, r.kernel) for r in rows}
    missing = without_cases()
    if missing and not options.pattern:
        print(f"\nwithout cases: {', '.join(missing)}")
    print(f"\n{len(kernels)} kernels, {len(rows)} binaries, {len(faults)} faults")
    return 1 if faults or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
