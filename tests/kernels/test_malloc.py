from __future__ import annotations

import os
import subprocess
import sys

import pytest

_CODE = """
import resource
import numpy as np
from tritorch.kernels import _malloc
for _ in range(3):
    np.ones(1 << 22)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(1 << 22)
print(_malloc.KEPT, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(**extra):
    env = {
        k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_", "LD_PRELOAD", "TRITORCH_KEEP"))
    }
    done = subprocess.run(
        [sys.executable, "-c", _CODE], env=env | extra, timeout=60, check=True, capture_output=True, text=True
    )
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


def test_large_blocks_are_used_again_without_page_faults():
    kept, faults = run()
    if not kept:
        pytest.skip("not glibc")
    assert faults < 1000  # ten times 32 MiB are 80,000 pages


@pytest.mark.parametrize("name, value", [("TRITORCH_KEEP_MEMORY", "0"), ("MALLOC_TRIM_THRESHOLD_", "131072")])
def test_it_can_be_switched_off(name, value):
    assert run(**{name: value})[0] is False
