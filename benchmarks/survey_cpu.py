"""A survey of the CPU: some 230 ops on a million elements, tritorch against torch, in processes that take turns.

`python benchmarks/survey_cpu.py [words that a case's name must contain] [--backward] [--seconds 0.5]`. A ratio is the
least time of tritorch (all cores) over torch's (the better of 1 and 2 threads). With --backward it is the time of a
forward and a backward pass, of the ops that have one. Without words the whole survey is taken and written to
results/survey_cpu.json or survey_cpu_backward.json. Where the environment steers OpenBLAS, take that away first:
`env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python benchmarks/survey_cpu.py`.

`ops_cpu.py` has the few workloads with targets; this table has no targets: it is there to find the ops that are slow.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

SIDE = 1024
"""Inputs are SIDE x SIDE: normal, or as `INPUTS` says."""
INPUTS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "x": lambda rng: rng.normal(size=(SIDE, SIDE)).astype(np.float32),
    "z": lambda rng: rng.normal(size=(SIDE, SIDE)).astype(np.float32),
    "p": lambda rng: np.abs(rng.normal(size=(SIDE, SIDE)).astype(np.float32)) + np.float32(0.5),  # positive
    "q": lambda rng: np.abs(rng.normal(size=(SIDE, SIDE)).astype(np.float32)) + np.float32(0.5),
    "u": lambda rng: rng.uniform(0.05, 0.95, (SIDE, SIDE)).astype(np.float32),  # probabilities
    "i": lambda rng: rng.integers(1, 1000, (SIDE, SIDE)),
    "j": lambda rng: rng.integers(1, 1000, (SIDE, SIDE)),
    "h": lambda rng: rng.normal(size=(SIDE, SIDE)).astype(np.float16),
}
CASES: dict[str, tuple[str, Callable[..., Any], bool]] = {}


def case(name: str, inputs: str, fn: Callable[..., Any], backward: bool = True) -> None:
    """Enter a workload.

    Args:
        name: its name in the table.
        inputs: letters of `INPUTS`.
        fn: of the library and the input tensors.
        backward: has it a derivative by its floating inputs.
    """
    CASES[name] = inputs, fn, backward


def named(names: str, inputs: str, backward: bool = True, prefix: str = "", of: Callable = lambda lib: lib) -> None:
    """One case for each name: that function of the library, or of what `of` takes from it."""
    for name in names.split():
        case(prefix + name, inputs, lambda lib, *xs, name=name: getattr(of(lib), name)(*xs), backward)


def F(lib: Any) -> Any:
    return lib.nn.functional


def images(x: Any) -> Any:
    return x.reshape(4, 4, -1, 256)


# ---- one number from one
named("abs neg exp exp2 expm1 sin cos tan atan sinh cosh tanh asinh sigmoid erf erfc square sinc i0 deg2rad frac", "x")
named("log log2 log10 log1p sqrt rsqrt lgamma digamma reciprocal", "p")
named("asin acos atanh erfinv logit", "u")
named("floor ceil round trunc sign sgn isnan isinf isfinite signbit positive nan_to_num", "x", backward=False)
case("acosh", "p", lambda lib, p: lib.acosh(p + 1))
case("clamp", "x", lambda lib, x: lib.clamp(x, -0.5, 0.5))
for _exponent in (2, 3, 4, -1, 0.5, -1.5):
    case(f"power {_exponent}", "p", lambda lib, p, c=_exponent: p**c)

# ---- from two and more
named("add sub mul div pow maximum minimum fmax atan2 hypot logaddexp copysign xlogy remainder fmod", "pq")
named("floor_divide nextafter eq lt", "pq", backward=False)
named("add mul remainder floor_divide gcd lcm bitwise_and bitwise_xor", "ij", backward=False, prefix="int ")
case("fmod by a number", "x", lambda lib, x: lib.fmod(x, 0.3))
case("where", "xz", lambda lib, x, z: lib.where(x > 0, x, z))
case("where, a number", "x", lambda lib, x: lib.where(x > 0, x, 0.0))
case("masked_fill", "x", lambda lib, x: x.masked_fill(x > 0, 0.0))
case("lerp", "xz", lambda lib, x, z: lib.lerp(x, z, 0.3))
case("lerp by a tensor", "xzu", lambda lib, x, z, u: lib.lerp(x, z, u))
case("addcmul", "xzp", lambda lib, x, z, p: lib.addcmul(x, z, p, value=0.5))
case("addcdiv", "xzp", lambda lib, x, z, p: lib.addcdiv(x, z, p, value=0.5))

# ---- activations
named("relu relu6 elu selu celu gelu silu mish hardswish hardsigmoid hardtanh leaky_relu rrelu softplus softsign tanhshrink "
      "softshrink hardshrink logsigmoid glu", "x", of=F)  # fmt: skip
case("gelu, tanh", "x", lambda lib, x: F(lib).gelu(x, approximate="tanh"))
case("threshold", "x", lambda lib, x: F(lib).threshold(x, 0.1, 0.2))
case("prelu", "x", lambda lib, x: F(lib).prelu(x, lib.full((1,), 0.25)))
case("dropout", "x", lambda lib, x: F(lib).dropout(x, 0.5))
case("softmax", "x", lambda lib, x: lib.softmax(x, 1))
case("log_softmax", "x", lambda lib, x: lib.log_softmax(x, 1))

# ---- losses
named("mse_loss l1_loss smooth_l1_loss huber_loss", "xz", of=F)
named("kl_div binary_cross_entropy_with_logits", "xu", of=F)
case("binary_cross_entropy", "uu", lambda lib, x, t: F(lib).binary_cross_entropy(x, t.detach()))
case("cross_entropy", "xi", lambda lib, x, i: F(lib).cross_entropy(x, i[:, 0]))
case("cosine_similarity", "xz", lambda lib, x, z: F(lib).cosine_similarity(x, z))
case("normalize", "x", lambda lib, x: F(lib).normalize(x))

# ---- reductions, scans, order
for _name in "sum mean prod std var amax amin norm nansum".split():
    case(_name, "x", lambda lib, x, name=_name: getattr(lib, name)(x))
    for _dim in (0, 1):
        case(f"{_name} dim {_dim}", "x", lambda lib, x, name=_name, d=_dim: getattr(lib, name)(x, dim=d))
for _name in "all any argmax argmin count_nonzero".split():
    case(_name, "x", lambda lib, x, name=_name: getattr(lib, name)(x), False)
case("argmax dim 0", "x", lambda lib, x: lib.argmax(x, 0), False)
for _name in "logsumexp cumsum cumprod logcumsumexp".split():
    case(_name, "x", lambda lib, x, name=_name: getattr(lib, name)(x, 1))
for _name in "cummax sort median".split():
    case(_name, "x", lambda lib, x, name=_name: getattr(lib, name)(x, 1)[0])
case("argsort", "x", lambda lib, x: lib.argsort(x, 1), False)
case("topk", "x", lambda lib, x: lib.topk(x, 10, 1)[0])
case("unique", "i", lambda lib, i: lib.unique(i), False)
case("quantile", "x", lambda lib, x: lib.quantile(x, 0.3, 1))
case("searchsorted", "xp", lambda lib, x, p: lib.searchsorted(lib.sort(x, 1)[0], p), False)
case("histc", "x", lambda lib, x: lib.histc(x, 100), False)
case("bincount", "i", lambda lib, i: lib.bincount(i.reshape(-1)), False)

# ---- data movement, indexing
case("clone", "x", lambda lib, x: x.clone())
case("transpose", "x", lambda lib, x: x.T.contiguous())
case("flip", "x", lambda lib, x: lib.flip(x, (1,)))
case("roll", "x", lambda lib, x: lib.roll(x, 3, 1))
case("repeat", "x", lambda lib, x: x.repeat(2, 1))
case("cat", "xz", lambda lib, x, z: lib.cat([x, z], 1))
case("stack", "xz", lambda lib, x, z: lib.stack([x, z], 2))
case("tril", "x", lambda lib, x: lib.tril(x))
case("outer", "x", lambda lib, x: lib.outer(x[0], x[1]))
case("gather", "xi", lambda lib, x, i: lib.gather(x, 1, i))
case("index_select", "xi", lambda lib, x, i: lib.index_select(x, 1, i[0]))
case("index", "xi", lambda lib, x, i: x[i[0]])
case("masked select", "x", lambda lib, x: x[x > 0])
case("nonzero", "x", lambda lib, x: (x > 0).nonzero(), False)
case("scatter_add", "xi", lambda lib, x, i: lib.zeros_like(x).scatter_add(1, i, x))
case("index_add", "xi", lambda lib, x, i: lib.zeros_like(x).index_add(1, i[0], x))
case("one_hot", "i", lambda lib, i: F(lib).one_hot(i[:8].reshape(-1), 1000), False)
case("embedding", "xi", lambda lib, x, i: F(lib).embedding(i[:64], x))
for _kind in "half bfloat16 double".split():
    case(f"to {_kind}", "x", lambda lib, x, kind=_kind: getattr(x, kind)())
case("to int", "x", lambda lib, x: x.int(), False)
case("from half", "h", lambda lib, h: h.float())
case("from bool", "x", lambda lib, x: (x > 0).float(), False)
case("half gelu", "h", lambda lib, h: F(lib).gelu(h))

# ---- made from nothing
_N = SIDE * SIDE
case("zeros", "", lambda lib: lib.zeros(_N), False)
case("full", "", lambda lib: lib.full((_N,), 2.0), False)
case("arange", "", lambda lib: lib.arange(_N), False)
case("linspace", "", lambda lib: lib.linspace(0, 1, _N), False)
case("eye", "", lambda lib: lib.eye(SIDE), False)
case("rand", "", lambda lib: lib.rand(_N), False)
case("randn", "", lambda lib: lib.randn(_N), False)
case("randint", "", lambda lib: lib.randint(0, 10, (_N,)), False)
case("randperm", "", lambda lib: lib.randperm(_N), False)
case("bernoulli", "u", lambda lib, u: lib.bernoulli(u), False)
case("multinomial", "u", lambda lib, u: lib.multinomial(u, 5, True), False)
case("exponential_", "x", lambda lib, x: x.exponential_(), False)

# ---- images, sequences
case("pad", "x", lambda lib, x: F(lib).pad(images(x), (2, 2, 2, 2)))
for _mode in "reflect replicate circular".split():
    case(f"pad, {_mode}", "x", lambda lib, x, mode=_mode: F(lib).pad(images(x), (2, 2, 2, 2), mode=mode))
for _mode in "nearest bilinear bicubic".split():
    case(
        f"interpolate, {_mode}",
        "x",
        lambda lib, x, mode=_mode: F(lib).interpolate(images(x), scale_factor=2, mode=mode),
    )
case("grid_sample", "xu", lambda lib, x, u: F(lib).grid_sample(
    images(x), u.reshape(-1)[: 4 * 128 * 128 * 2].reshape(4, 128, 128, 2), align_corners=False))  # fmt: skip
case("avg_pool2d", "x", lambda lib, x: F(lib).avg_pool2d(images(x), 3, 1, 1))
case("adaptive_avg_pool2d", "x", lambda lib, x: F(lib).adaptive_avg_pool2d(images(x), 7))
case("pixel_shuffle", "x", lambda lib, x: F(lib).pixel_shuffle(images(x), 2))
case("unfold", "x", lambda lib, x: F(lib).unfold(images(x)[:, :, :128], 3))
case("instance_norm", "x", lambda lib, x: F(lib).instance_norm(images(x)))
case("local_response_norm", "x", lambda lib, x: F(lib).local_response_norm(x.reshape(4, 16, -1, 64), 5))
case("rms_norm", "x", lambda lib, x: F(lib).rms_norm(x, (SIDE,)))
case(
    "conv1d",
    "xz",
    lambda lib, x, z: F(lib).conv1d(x.reshape(8, 32, -1), z.reshape(-1)[: 32 * 32 * 5].reshape(32, 32, 5)),
)
case("conv_transpose2d", "xz", lambda lib, x, z: F(lib).conv_transpose2d(
    x.reshape(4, 16, -1, 64)[:, :, :64], z.reshape(-1)[: 16 * 16 * 9].reshape(16, 16, 3, 3), stride=2))  # fmt: skip
case("conv3d", "xz", lambda lib, x, z: F(lib).conv3d(
    x.reshape(4, 4, -1, 32, 32), z.reshape(-1)[: 8 * 4 * 27].reshape(8, 4, 3, 3, 3)))  # fmt: skip

# ---- products, decompositions, transforms
case("matmul, transposed", "x", lambda lib, x: x[:512] @ x[:512].T)
case("einsum", "x", lambda lib, x: lib.einsum("ij,kj->ik", x[:512], x[:512]))
case("matrix times vector", "x", lambda lib, x: x @ x[0])
case("cdist", "x", lambda lib, x: lib.cdist(x[:512], x[:512]))
case("inv", "x", lambda lib, x: lib.linalg.inv(x[:256, :256]))
case("det", "x", lambda lib, x: lib.linalg.det(x[:256, :256]))
case("solve", "x", lambda lib, x: lib.linalg.solve(x[:256, :256], x[:256, 256:300]))
case("cholesky", "x", lambda lib, x: lib.linalg.cholesky(x[:256] @ x[:256].T + 1000 * lib.eye(256)))
case("qr", "x", lambda lib, x: lib.linalg.qr(x[:256, :256])[1])
case("svd", "x", lambda lib, x: lib.linalg.svd(x[:128, :128])[1])
case("eigh", "x", lambda lib, x: lib.linalg.eigh(x[:128, :128] + x[:128, :128].T)[0])
case("fft", "x", lambda lib, x: lib.fft.fft(x).abs())
case("rfft", "x", lambda lib, x: lib.fft.rfft(x).abs())
case("fft2", "x", lambda lib, x: lib.fft.fft2(x).abs())
case("stft", "x", lambda lib, x: lib.stft(x[:8], 256, return_complex=True, window=lib.hann_window(256)).abs())

BACKWARD = ", with backward"


def make(lib: Any, name: str) -> Callable[[], object]:
    """The workload `name` in library `lib`."""
    inputs, fn, _ = CASES[name.removesuffix(BACKWARD)]
    rng = np.random.default_rng(0)
    arrays = [INPUTS[letter](rng) for letter in inputs]
    if not name.endswith(BACKWARD):
        xs = [lib.tensor(a) for a in arrays]
        return lambda: fn(lib, *xs)
    xs = [lib.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    g = lib.randn_like(fn(lib, *xs).detach())

    def run() -> None:
        fn(lib, *xs).backward(g)
        for x in xs:
            x.grad = None

    return run


def main() -> None:
    from _compare import Table
    from _workers import turns
    from ops_cpu import environment

    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    parser.add_argument("--backward", action="store_true")
    parser.add_argument("--seconds", type=float, default=0.5)
    args = parser.parse_args()
    names = [n for n, (_, _, differentiable) in CASES.items() if differentiable or not args.backward]
    names = [n + BACKWARD * args.backward for n in names if all(word in n for word in args.words)]
    title = "survey_cpu_backward" if args.backward else "survey_cpu"
    table = Table(title, openblas=environment(), seconds=args.seconds, statistic="least", elements=SIDE * SIDE)
    for name, times in turns("survey_cpu", names, args.seconds):
        best = min((times["torch 1"], times["torch 2"]), key=lambda t: t.least)
        table.add(name, times["ours"].least * 1e6, best.least * 1e6, "us")
        table.rows[-1]["sides"] = {side: {k: v * 1e6 for k, v in vars(t).items()} for side, t in times.items()}
    ratios = [row["ratio"] for row in table.rows]
    if ratios:
        within = ", ".join(f"{sum(r <= bound for r in ratios)} within {bound}" for bound in (1, 1.5, 2, 3))
        print(f"{len(ratios)} cases: {within}; median {statistics.median(ratios):.2f}")
    if not args.words:
        table.write()


if __name__ == "__main__":
    main()
