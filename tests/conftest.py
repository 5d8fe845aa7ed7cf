"""What every test runs under: the emulated cuda device with bounds checks, and one BLAS thread.

Each variable is read when Triton or NumPy is first imported, so this file sets them before anything else. One that is
set outside is left alone: `TRITON_INTERPRET=0 pytest` runs the cuda tests on a real GPU.
"""

from __future__ import annotations

import os
import sys

assert "triton" not in sys.modules, "TRITON_INTERPRET must be set before triton is imported"
for _name, _value in {
    "TRITON_INTERPRET": "1",
    "TRITORCH_BOUNDS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MPLBACKEND": "agg",
}.items():
    os.environ.setdefault(_name, _value)

import pytest

collect_ignore_glob = ["oracle/scripts/*"]  # programs that `oracle/test_scripts.py` runs


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    """Runs the test on the CPU and on cuda, emulated where there is no GPU."""
    return request.param
