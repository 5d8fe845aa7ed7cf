"""Programs as research code is written, run with torch and with tritorch: what they print is the same.

Each file of `scripts/` is a PyTorch program. Here its imports of torch become imports of tritorch, and nothing else is
changed. The text must be equal and the numbers near: by 1e-4 of their size and one unit of the last printed digit, or
by what the program says in a comment `# tolerance: 1e-3 - the reason`. tritorch may warn of nothing that PyTorch lets pass.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import types
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.py"))
NUMBER = re.compile(r"-?(?:\d+\.\d*(?:e[-+]?\d+)?|\d+e[-+]?\d+|\d+|inf|nan)", re.I)
_CPU = Path("/proc/cpuinfo")
INTEL = _CPU.exists() and "GenuineIntel" in _CPU.read_text()
MKL_DRAWS = re.compile("dropout|transformer|bernoulli|multinomial|categorical|exponential|gumbel", re.I)


def with_tritorch(source: str) -> str:
    """The program with its imports of torch changed."""
    source = re.sub(r"^(\s*)import torch$", r"\1import tritorch as torch", source, flags=re.M)
    source = re.sub(r"^(\s*)import torch\.([\w.]+)$", r"\1import tritorch.\2", source, flags=re.M)
    return re.sub(r"^(\s*)(import|from) torch(?=[. ])", r"\1\2 tritorch", source, flags=re.M)


def printed(source: str, name: str) -> tuple[str, set[str]]:
    """(what a program prints, its warnings)."""
    module = types.ModuleType(name)
    out = io.StringIO()
    sys.modules[name] = module  # where pickle looks for the program's classes
    try:
        with warnings.catch_warnings(record=True) as seen, contextlib.redirect_stdout(out):
            warnings.simplefilter("default")
            warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"tritorch\.")  # as tritorch sets it
            exec(compile(source, name, "exec"), module.__dict__)
    finally:
        del sys.modules[name]
    return out.getvalue(), {str(w.message) for w in seen}


def near(ours: str, theirs: str, tolerance: float) -> bool:
    a, b = float(ours), float(theirs)
    if not re.search(r"[.e]", theirs):  # whole numbers, inf, nan
        return ours == theirs
    digits, _, exponent = theirs.lower().partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))
    return abs(a - b) <= tolerance * abs(b) + unit + 1e-6


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch):
    """On the CPU, also where cuda is emulated; without compiling, which takes PyTorch a minute."""
    monkeypatch.setattr(tritorch.cuda, "is_available", lambda: False)
    torch.compiler.set_stance("force_eager")
    before = torch.get_float32_matmul_precision()
    yield
    torch.compiler.set_stance("default")
    for lib in (torch, tritorch):
        lib.set_default_dtype(lib.float32)
        lib.set_float32_matmul_precision(before)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_a_program_prints_the_same(path: Path) -> None:
    source = path.read_text()
    if INTEL and MKL_DRAWS.search(source):
        pytest.skip("on Intel processors PyTorch draws some of these numbers from MKL's generator")
    theirs, known = printed(source, "program")
    ours, warned = printed(with_tritorch(source), "program")
    assert NUMBER.sub("#", ours) == NUMBER.sub("#", theirs)
    said = re.search(r"# tolerance: (\S+)", source)
    tolerance = float(said[1]) if said else 1e-4
    for a, b in zip(ours.splitlines(), theirs.splitlines(), strict=True):
        pairs = zip(NUMBER.findall(a), NUMBER.findall(b), strict=True)
        assert all(near(x, y, tolerance) for x, y in pairs), f"\n{a}\n{b}"
    assert not warned - known
