"""What cuda needs: each missing or unfit part is an error that says what came, what is needed and what to install."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import pytest

from tritorch._requirements import check_compiler, check_cupy, check_driver, check_triton, install

ROOT = Path(__file__).parents[1]


def said(check, *args, **more) -> str:
    with pytest.raises(RuntimeError) as caught:
        check(*args, **more)
    return str(caught.value)


@pytest.mark.parametrize("version", ["14.0.0", "14.2.0", "14.0.0rc1", "15.0.0a2", "20.1"])
def test_a_cupy_that_is_new_enough(version):
    check_cupy(version, 13000)


@pytest.mark.parametrize(
    "driver, extra", [(13010, "tritorch[cuda13]"), (12040, "tritorch[cuda12]"), (0, "[cuda12] for")]
)
def test_a_cupy_too_old_is_told_what_to_install(driver, extra):
    text = said(check_cupy, "13.6.0", driver)
    assert "needs CuPy 14.0 or later; found 13.6.0" in text and extra in text


def test_drivers():
    for driver, runtime in ((12000, 12090), (12090, 12000), (13000, 13020), (13010, 12090), (14000, 13020)):
        check_driver(driver, runtime, "14.2.0")
    text = said(check_driver, 12040, 13020, "14.2.0")
    assert "CuPy 14.2.0 is built for CUDA 13.2, but the driver supports CUDA 12.4 only" in text
    assert "pip install 'tritorch[cuda12]' in place of this CuPy" in text and "at least 580.65" in text
    assert "at least 525.60" in said(check_driver, 11040, 12090, "14.2.0")
    text = said(check_driver, 0, 13020, "14.2.0")
    assert "no NVIDIA driver" in text and "TRITON_INTERPRET=1" in text


def test_the_assembler_of_triton():
    for driver, ptxas in ((12000, "12.8"), (13000, "12.9"), (13000, "13.4")):
        check_compiler(driver, ptxas, "3.6.0")
    text = said(check_compiler, 12080, "13.4", "3.9.0")
    assert "Triton 3.9.0 compiles for CUDA 13.4, but the driver supports CUDA 12.8 only" in text
    assert "at least 580.65" in text and "3.6 and later" in text


def test_advice_follows_the_driver():
    assert install(13020).endswith("'tritorch[cuda13]'") and install(12090).endswith("'tritorch[cuda12]'")
    assert "525.60" in install(11080) and "cuda13" in install()


@pytest.mark.parametrize("emulated, extra", [(True, "tritorch[triton]"), (False, "tritorch[cuda12]")])
def test_triton_missing_or_too_old(emulated, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", types.SimpleNamespace(__version__="3.2.0"))
    text = said(check_triton, emulated, driver=12040)
    assert "needs Triton 3.6 or later; found 3.2.0" in text and extra in text
    monkeypatch.setitem(sys.modules, "triton", types.SimpleNamespace(__version__="3.10.1+git"))
    check_triton(emulated)
    monkeypatch.delitem(sys.modules, "triton")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    text = said(check_triton, emulated, driver=12040)
    assert "Triton is missing" in text and extra in text


CUPY = """
import types
__version__ = {version!r}
def getDeviceCount():
    {count}
runtime = types.SimpleNamespace(
    is_hip=False, driverGetVersion=lambda: {driver}, runtimeGetVersion=lambda: {runtime}, getDeviceCount=getDeviceCount
)
cuda = types.SimpleNamespace(runtime=runtime)
"""
GOOD = {"version": "14.2.0", "driver": 13000, "runtime": 13020, "count": "return 1"}
CASES = {
    "no CuPy": (None, {}, "CuPy is missing; pip install 'tritorch[cuda13]'"),
    "CuPy broken": ({"version": "14.2.0"}, {"head": "raise ImportError('libnvrtc.so.13: cannot open')"},
                    "CuPy cannot be imported (libnvrtc.so.13: cannot open)"),
    "CuPy too old": ({"version": "13.6.0"}, {}, "needs CuPy 14.0 or later; found 13.6.0; pip install 'tritorch[cuda13]'"),
    "no driver": ({"driver": 0}, {}, "no NVIDIA driver"),
    "driver too old": ({"driver": 12080}, {}, "built for CUDA 13.2, but the driver supports CUDA 12.8"),
    "no GPU": ({"count": "return 0"}, {}, "the driver is there but no GPU"),
    "driver fails": ({"count": "raise RuntimeError('cudaErrorUnknown')"}, {}, "no usable GPU driver (cudaErrorUnknown)"),
    "no Triton": ({}, {"triton": "missing"}, "Triton is missing; pip install 'tritorch[cuda13]'"),
    "Triton too old": ({}, {"triton": "old"}, "needs Triton 3.6 or later; found 3.5.1; pip install 'tritorch[cuda13]'"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_is_available_is_false_and_use_says_why(case, tmp_path):
    cupy, more, expected = CASES[case]
    text = "raise ModuleNotFoundError('no cupy', name='cupy')" if cupy is None else CUPY.format(**(GOOD | cupy))
    (tmp_path / "cupy.py").write_text(f"{more.get('head', '')}\n{text}")
    code = f"""
        import sys, types
        if {more.get("triton")!r} == "old":
            sys.modules["triton"] = types.SimpleNamespace(__version__="3.5.1")
        if {more.get("triton")!r} == "missing":
            import importlib.util
            importlib.util.find_spec = lambda name: None
        import tritorch as torch
        print(torch.cuda.is_available(), torch.cuda.device_count())
        for use in (lambda: torch.ones(2, device="cuda"), torch.cuda.init):
            try:
                use()
            except RuntimeError as error:
                print(error)
        print(torch.cuda.is_available())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False, cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        | {"TRITON_INTERPRET": "0", "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, *errors, last = done.stdout.splitlines()
    assert first == "False 0" and last == "False" and len(errors) == 2
    assert all(expected in e and e.startswith("device cuda: ") for e in errors), errors
