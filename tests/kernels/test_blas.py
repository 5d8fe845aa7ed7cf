from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tritorch.kernels import _blas

_BLAS_CODE = """
import numpy as np
import threading
from tritorch.kernels import _blas, _threads as t
n = _blas.threads()
if n is None or n == 1:
    raise SystemExit(7)
t.set_num_threads(2)
seen = []
t.parallel(lambda a, b: seen.append(_blas.threads()), 4)
assert seen == [1, 1], seen
assert _blas.threads() == n
_blas.single_enter(); _blas.single_enter()
assert _blas.threads() == 1
_blas.single_exit()
assert _blas.threads() == 1
_blas.single_exit()
assert _blas.threads() == n
a = np.ones((128, 128), np.float32)
assert (t.product(a, a) == 128).all() and _blas.threads() == n
"""


def _clean_environment(**extra):
    return {k: v for k, v in os.environ.items() if k not in _blas._ENVIRONMENT} | extra


def test_the_blas_has_one_thread_inside_and_its_own_count_outside():
    code = subprocess.run(
        [sys.executable, "-c", _BLAS_CODE], env=_clean_environment(), timeout=60, check=False
    ).returncode
    if code == 7:
        pytest.skip("this NumPy's BLAS has no thread count to set, or one core")
    assert code == 0


def test_a_users_setting_is_left_alone():
    code = "from tritorch.kernels import _blas\nassert _blas.threads() is None and not _blas.controlled()"
    env = _clean_environment(OPENBLAS_NUM_THREADS="2")
    assert subprocess.run([sys.executable, "-c", code], env=env, timeout=60, check=False).returncode == 0
