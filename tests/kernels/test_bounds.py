"""The table of least times: its arithmetic, and that each op with a cost is in it."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tritorch.nn  # noqa: F401 - registers the ops
from tritorch.kernels import bounds
from tritorch.kernels._library import LIBRARY_OPS
from tritorch.kernels._op import OPS
from tritorch.kernels.coverage import own_ops
from tritorch.kernels.elementwise import Elementwise


def test_bytes_and_operations_by_hand():
    add = bounds.bound("add")
    assert add.megabytes == 3 * 2 * 8192**2 / 1e6 and add.limit == "bytes"
    assert add.microseconds == pytest.approx(3 * 2 * 8192**2 / 3.35e6)
    product = bounds.bound("matmul")
    assert product.gigaflops == 2 * 8192**3 / 1e9 and product.limit == "operations"
    assert product.microseconds == pytest.approx(2 * 8192**3 / 989e6)
    assert bounds.bound("view") is None


def test_ops_with_a_kernel_have_a_cost():
    without = {n for n, op in own_ops().items() if op.gpu is not None and not op.view and op.cost is None}
    assert without - LIBRARY_OPS == {"split", "unbind"}  # which give views


MOVING = """cast cat stack flip roll repeat tril triu pad_constant where index index_add_zeros index_put gather scatter
scatter_add scatter_prod scatter_extremum masked_fill im2col col2im max_pool_indices max_unpool avg_pool_grad
adaptive_max_pool_indices fractional_max_pool_indices unview""".split()


@pytest.mark.parametrize("name", MOVING)
def test_what_is_moved_is_at_most_all_arrays_once(name):
    """The results have to be written; the operands are read once at most, in part where an op picks."""
    op = OPS[name]
    for args, params in op.samples(np.random.default_rng(0)):
        y = op.cpu(*args, *params)
        moved, done = op.cost(*args, *params)
        arrays = args[0] if op.variadic else [np.asarray(a) for a in args]
        given = [p for q in params for p in (q if isinstance(q, tuple) else (q,)) if isinstance(p, np.ndarray)]
        written = np.asarray(y).nbytes
        assert written <= moved <= written + sum(a.nbytes for a in [*arrays, *given]), name
        assert done >= 0


def test_every_op_with_a_cost_has_a_line(tmp_path, capsys):
    report = tmp_path / "report.json"
    rows = [
        {"case": f"pointwise: table add{k}", "target": "sm_90", "registers": r} for k, r in (("", 20), ("cdiv", 30))
    ]
    rows += [{"case": "softmax: bf16", "target": t, "registers": r} for t, r in (("sm_90", 44), ("sm_80", 99))]
    report.write_text(json.dumps(rows))
    assert bounds.main(["--report", str(report), "--write", str(tmp_path / "out.md")]) == 0
    text = (tmp_path / "out.md").read_text()
    assert text in capsys.readouterr().out
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    costly = {n for n, op in OPS.items() if isinstance(op, Elementwise) or (op.cost is not None and not op.view)}
    assert costly <= lines.keys()
    assert lines["add"].endswith("| 20 |") and lines["softmax"].endswith("| 44 |")
