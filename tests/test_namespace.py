"""Names of the package that are a module and something else: `tritorch.device` is the class, also for late modules."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tritorch

PACKAGE = Path(tritorch.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def loaded_with_the_package() -> set[str]:
    code = "import sys, tritorch; print(*[m for m in sys.modules if m.startswith('tritorch')])"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_no_late_module_takes_the_class_device_for_the_module() -> None:
    early = loaded_with_the_package()
    for path in FILES:
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inner = [n for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.Lambda)) for n in ast.walk(f)]
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or not any(a.name == "device" for a in node.names):
                continue
            up = len(parts) - node.level if node.level else 0
            source = ".".join([*parts[:up], *([node.module] if node.module else [])])
            if source == "tritorch":
                late = module not in early or node in inner
                assert not late, f"{module}, line {node.lineno}: `from tritorch import device` gives the class here"


def test_submodules_do_not_hide_functions_of_their_name() -> None:
    code = """
import importlib, inspect, pkgutil, tritorch as torch
for package in (torch.linalg, torch.fft, torch.special, torch.functional, torch.signal):
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        if found.name in getattr(package, "__all__", ()):
            assert not inspect.ismodule(getattr(package, found.name)) or package is torch.signal, (package, found.name)
import tritorch.library, tritorch.debug
assert callable(torch.autograd.gradcheck) and torch.device("cpu").type == "cpu" and torch.linalg.norm(torch.tensor([3.0, 4.0])).item() == 5
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", sorted({*tritorch._FROM}))
def test_every_lazy_name_is_there(name: str) -> None:
    assert getattr(tritorch, name) is getattr(tritorch, name)
    assert name in dir(tritorch)


def test_default_device_reaches_the_factories() -> None:
    code = """
import tritorch as torch
torch.set_default_device("cuda")
assert torch.ones(2).device.type == torch.get_default_device().type == "cuda"
torch.set_default_device(None)
assert torch.ones(2).device is torch.device("cpu")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
