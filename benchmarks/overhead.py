"""Cost of one eager op on 4x4 tensors, where all is overhead; and a chain of 100 products, forward and backward.

One thread on both sides. `python benchmarks/overhead.py`
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import torch  # noqa: E402
from _compare import Table, interleave  # noqa: E402

import tritorch  # noqa: E402

OPS = {
    "add": lambda x, y: lambda: x + y,
    "mul": lambda x, y: lambda: x * y,
    "matmul": lambda x, y: lambda: x @ y,
    "relu": lambda x, y: lambda: x.relu(),
    "sum": lambda x, y: lambda: x.sum(),
    "reshape": lambda x, y: lambda: x.reshape(2, 8),
    "getitem": lambda x, y: lambda: x[1],
}


def chain(x, y):
    z = x
    for _ in range(100):
        z = z * y
    return z


def main() -> None:
    torch.set_num_threads(1)
    tritorch.set_num_threads(1)
    table = Table("overhead", torch=torch.__version__)
    for grad in (False, True):
        pairs = {}
        for name, lib in (("ours", tritorch), ("theirs", torch)):
            lib.manual_seed(0)
            pairs[name] = lib.randn(4, 4, requires_grad=grad), lib.randn(4, 4, requires_grad=grad)
        for op, make in OPS.items():
            t = interleave({name: make(*pair) for name, pair in pairs.items()})
            table.add(f"{op}{', grad' if grad else ''}", t["ours"] * 1e6, t["theirs"] * 1e6, "us", target=0.8)
        t = interleave({name: lambda pair=pair: chain(*pair) for name, pair in pairs.items()})
        table.add(f"100 mul{', grad' if grad else ''}", t["ours"] * 1e6, t["theirs"] * 1e6, "us", target=0.8)

    def both(pair):
        g = pair[0].detach() * 0 + 1

        def run():
            chain(*pair).backward(g)
            pair[0].grad = pair[1].grad = None

        return run

    whole = interleave({name: both(pair) for name, pair in pairs.items()})
    # The backward alone cannot be run twice on one graph: it is the whole less the forward, from the same run.
    table.add("100 mul, backward", *[(whole[s] - t[s]) * 1e6 for s in ("ours", "theirs")], "us", target=0.5)
    table.write()


if __name__ == "__main__":
    main()
