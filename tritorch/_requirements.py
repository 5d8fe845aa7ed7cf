"""What cuda needs: versions of CuPy, Triton and the driver that go together, and the errors that say what does not.

Versions of CUDA are numbers as CUDA gives them: 12040 is 12.4. A driver runs programs that were built for its own CUDA
release and for all before it; within one major release also those built for later ones.
"""

from __future__ import annotations

import re
import sys

CUPY = (14, 0)
"""The first CuPy whose streams have priorities and whose `[ctk]` extra brings NVRTC and the libraries."""
TRITON = (3, 6)
"""The first Triton whose launcher and interpreter this package knows."""

_DRIVERS = {12: "525.60", 13: "580.65"}  # the first Linux driver of each CUDA release
_EMULATE = "on a machine without a GPU, TRITON_INTERPRET=1 and pip install 'tritorch[triton]' emulate cuda"


def check_cupy(version: str, driver: int) -> None:
    """RuntimeError unless CuPy is new enough.

    Args:
        version: CuPy's.
        driver: the CUDA release that the driver supports, 0 for none; it chooses the extra that the error names.
    """
    if _numbers(version) < CUPY:
        raise RuntimeError(
            f"device cuda: tritorch needs CuPy {_text(CUPY)} or later; found {version}; {install(driver)}"
        )


def check_driver(driver: int, runtime: int, cupy: str) -> None:
    """RuntimeError unless there is a driver that runs what this CuPy was built for.

    Args:
        driver: the CUDA release that the driver supports, 0 for none.
        runtime: the CUDA release that CuPy was built for.
        cupy: CuPy's version.
    """
    if driver == 0:
        raise RuntimeError(
            f"device cuda: no NVIDIA driver: libcuda.so.1 is missing, or no GPU is given to this machine; {_EMULATE}"
        )
    if driver // 1000 < runtime // 1000:
        raise RuntimeError(
            f"device cuda: CuPy {cupy} is built for CUDA {_release(runtime)}, but the driver supports CUDA {_release(driver)} "
            f"only; {install(driver)} in place of this CuPy, or a driver of at least {_DRIVERS.get(runtime // 1000, 'that release')}"
        )


def check_triton(emulated: bool, driver: int = 0) -> None:
    """RuntimeError unless Triton is installed and new enough; Triton itself is not imported.

    Args:
        emulated: cuda is emulated by Triton's interpreter.
        driver: the CUDA release that the driver supports, 0 for none.
    """
    from importlib import metadata, util  # 10 ms that only the first use of cuda pays

    where = "device cuda, emulated" if emulated else "device cuda"
    advice = "pip install 'tritorch[triton]'" if emulated else install(driver)
    loaded = sys.modules.get("triton")
    if loaded is None and util.find_spec("triton") is None:
        raise RuntimeError(f"{where}: Triton is missing; {advice}")
    try:
        version = loaded.__version__ if loaded is not None else metadata.version("triton")
    except metadata.PackageNotFoundError:  # built from its sources: looked at once it is imported
        return
    if _numbers(version) < TRITON:
        raise RuntimeError(f"{where}: tritorch needs Triton {_text(TRITON)} or later; found {version}; {advice}")


def check_compiler(driver: int, ptxas: str, triton: str) -> None:
    """RuntimeError unless the driver loads what Triton's assembler makes.

    Args:
        driver: the CUDA release that the driver supports.
        ptxas: the assembler's CUDA release, as text.
        triton: Triton's version.
    """
    major = _numbers(ptxas)[0]
    if driver // 1000 < major:
        raise RuntimeError(
            f"device cuda: Triton {triton} compiles for CUDA {ptxas}, but the driver supports CUDA {_release(driver)} only; "
            f"install a driver of at least {_DRIVERS.get(major, 'that release')}, or an earlier Triton (tritorch takes "
            f"{_text(TRITON)} and later)"
        )


def install(driver: int = 0) -> str:
    """The advice that fits a driver: what to install."""
    if driver >= 13000:
        return "pip install 'tritorch[cuda13]'"
    if driver >= 12000:
        return "pip install 'tritorch[cuda12]'"
    if driver:
        return f"install an NVIDIA driver of at least {_DRIVERS[12]} (CUDA 12), then pip install 'tritorch[cuda12]'"
    return "pip install 'tritorch[cuda13]' (or [cuda12] for a CUDA 12 driver)"


def _numbers(version: str) -> tuple[int, int]:
    """Major and minor of a version's text, whatever follows them."""
    found = re.match(r"(\d+)(?:\.(\d+))?", version)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def _text(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _release(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
