"""The imports of tritorch go one way, downwards; torch never, Triton and CuPy only at run time."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "tritorch"

# From the bottom to the top; the longest matching prefix decides. A module may import at its own level or below.
LAYERS = [
    ["errors", "dtypes", "return_types", "_requirements"],
    ["_capture", "device", "_emulated", "random"],
    ["kernels"],
    ["autograd"],
    ["size", "tensor", "tensor_protocols", "tensor_repr", "binding", "autograd.variable"],
    ["functional", "linalg", "fft", "special"],
    ["nn"],
    ["optim", "distributions"],
    ["utils", "serialization", "datasets"],
    [
        "amp",
        "backends",
        "cuda",
        "library",
        "debug",
        "profiler",
        "distributed",
        "autograd.profiler",
        "autograd.profiler_util",
    ],
    ["", "demo"],  # the public namespace, and a script that uses it
]
LEVEL = {f"tritorch.{name}" if name else "tritorch": level for level, names in enumerate(LAYERS) for name in names}
GPU = {"triton", "cupy", "cupyx"}


def module_name(path: Path) -> str:
    parts = ("tritorch", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def level_of(name: str) -> int:
    while name not in LEVEL:
        name, _, _ = name.rpartition(".")
        assert name, "not a module of tritorch"
    return LEVEL[name]


def type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(tree: ast.Module, module: str, is_package: bool, deep: bool) -> Iterator[tuple[int, str]]:
    """Line and absolute name of each import that runs: at the top level only, or (deep) inside functions as well."""
    stack: list[ast.AST] = list(tree.body)
    while stack:
        node = stack.pop()
        if type_checking(node):
            stack.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parts, base] if base else parts)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif deep or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            stack.extend(ast.iter_child_nodes(node))


def exists(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()


FILES = sorted(PACKAGE.rglob("*.py"))


def parsed(path: Path) -> tuple[ast.Module, str, bool]:
    return ast.parse(path.read_text(encoding="utf-8")), module_name(path), path.name == "__init__.py"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_go_down(path: Path):
    tree, module, is_package = parsed(path)
    own = level_of(module)
    climbing = []
    for line, name in imports(tree, module, is_package, deep=False):
        if name.split(".")[0] != "tritorch":
            continue
        target = name if exists(name) else name.rpartition(".")[0]  # `from tritorch.tensor import Tensor`
        if level_of(target) > own:
            climbing.append(f"{path.relative_to(PACKAGE.parent)}:{line} imports {target}")
    assert not climbing, "\n".join(climbing)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_never_imports_torch(path: Path):
    tree, module, is_package = parsed(path)
    found = [line for line, name in imports(tree, module, is_package, deep=True) if name.split(".")[0] == "torch"]
    assert not found, f"{path.name} imports torch in line {found}"


def test_gpu_libraries_are_imported_when_used():
    """A file may import Triton at its top only if no other file imports that file at its own top."""
    gpu: dict[str, int] = {}
    wanted: set[str] = set()
    for path in FILES:
        tree, module, is_package = parsed(path)
        for line, name in imports(tree, module, is_package, deep=False):
            if name.split(".")[0] in GPU:
                gpu[module] = line
            wanted.update((name, name.rpartition(".")[0]))
    found = {module: line for module, line in gpu.items() if module in wanted}
    assert not found, f"imported with tritorch, and imports {GPU} at the top (module: line): {found}"


def test_the_walk_sees_what_it_should():
    source = (
        "from __future__ import annotations\n"
        "import triton\n"
        "if TYPE_CHECKING:\n    import cupy\n"
        "try:\n    from ..nn import functional\nexcept ImportError:\n    pass\n"
        "def f():\n    import torch\n"
    )
    tree = ast.parse(source)
    top = {name for _, name in imports(tree, "tritorch.kernels.softmax", False, deep=False)}
    assert top == {"__future__.annotations", "triton", "tritorch.nn.functional"}
    assert "torch" in {name for _, name in imports(tree, "tritorch.kernels.softmax", False, deep=True)}
    assert level_of("tritorch.nn.modules.linear") > level_of("tritorch.kernels._op")
