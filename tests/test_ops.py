"""The generated tests: every op of the registry x dtype x layout x device, from the op's own samples.

Forward in the narrower dtypes against float64; any layout against the contiguous one; backward and second derivatives
against finite differences along random directions (float64, and complex128 where an op takes it); the fused backward
against the composed rule; two runs bit for bit; the emulated cuda device against the CPU, forward and backward.
"""

from __future__ import annotations

import importlib
import pkgutil
import zlib

import numpy as np
import pytest

import tritorch as torch
import tritorch.kernels
from tritorch.device import CPU
from tritorch.kernels._library import LIBRARY_OPS
from tritorch.kernels._op import OPS
from tritorch.kernels.elementwise import Elementwise
from tritorch.tensor import Tensor, host, wrap

for _module in pkgutil.iter_modules(tritorch.kernels.__path__):
    if _module.name not in ("report",):
        importlib.import_module(f"tritorch.kernels.{_module.name}")

NAMES = sorted(
    n for n, op in OPS.items() if op.cpu.__module__.startswith(("tritorch.", "numpy")) or isinstance(op, Elementwise)
)
RECORDED = [n for n in NAMES if (OPS[n].has_rule if isinstance(OPS[n], Elementwise) else OPS[n].grad is not None)]
FUSED = [n for n in NAMES if not isinstance(OPS[n], Elementwise) and OPS[n].cpu_grad not in (None, OPS[n].grad)]
ON_CUDA = [n for n in NAMES if (OPS[n].triton if isinstance(OPS[n], Elementwise) else OPS[n].gpu) is not None]


REAL_ONLY = frozenset(
    """attention avg_pool avg_pool_grad batch_norm_eval batch_norm_train binary_cross_entropy
binary_cross_entropy_with_logits cross_entropy ctc_loss fft_r2c frexp grid_sample group_norm gru_layer huber_loss l1_loss
layer_norm linalg_eig linalg_eigh linalg_svd log_softmax lstm_layer max_pool mse_loss rnn_layer smooth_l1_loss softmax std
var vector_norm view_as_complex""".split()
)
"""What takes no complex numbers, or gets their parts or sizes from its callers; and complex vectors with a free phase."""
COMPLEX = [n for n in RECORDED if (OPS[n].complex if isinstance(OPS[n], Elementwise) else n not in REAL_ONLY)]
GRADIENTS = [(n, "float64") for n in RECORDED] + [(n, "complex128") for n in COMPLEX]


def samples(name: str, dtype: str = "float64") -> list[tuple[list, tuple]]:
    """[(operands, parameters)]; operands are arrays, lists of arrays, or None; `dtype` is that of the floating ones."""
    op = OPS[name]
    assert op.samples is not None, f"op {name} has no samples"
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    found = []
    for args, params in op.samples(rng):
        assert isinstance(params, tuple), f"{name}: samples yield (args, params) with params a tuple"
        operands = [None if a is None else np.asarray(a) for a in (args[0] if op.variadic else args)]
        found.append(([_complex(a, rng) for a in operands] if dtype == "complex128" else operands, params))
    assert found, f"op {name} yields no samples"
    return found


def _complex(a: np.ndarray | None, rng: np.random.Generator) -> np.ndarray | None:
    """A float array with small imaginary parts, in its layout."""
    if a is None or a.dtype.kind != "f":
        return a
    z = np.empty_like(a, np.complex128)
    z.real, z.imag = a, 0.3 * rng.normal(size=a.shape)
    return z


def call(name: str, tensors: list, params: tuple) -> tuple:
    op = OPS[name]
    got = op.apply(tensors, *params) if op.variadic else op.apply(*tensors, *params)
    return got if isinstance(got, tuple) else (got,)


def leaves(arrays: list, device: str = "cpu", dtype: str = "float64", record: bool = True) -> list:
    made = []
    for a in arrays:
        if a is None:
            made.append(None)
            continue
        t = wrap(a.astype(dtype) if a.dtype == np.float64 else a.copy())
        t = t.to(device)
        made.append(t.requires_grad_() if record and t.dtype.category >= 2 else t)
    return made


def carried(name: str, outs: tuple) -> list[Tensor]:
    """The outputs that carry a gradient."""
    return [o for o in outs if o._node is not None]


def close(a: np.ndarray, b: np.ndarray, rtol: float, atol: float, what: str) -> None:
    np.testing.assert_allclose(a.astype(np.float64) if a.dtype.kind == "V" or a.dtype == np.float16 else a,
                               b, rtol=rtol, atol=atol, err_msg=what, equal_nan=True)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_forward_in_each_dtype(name: str) -> None:
    op = OPS[name]
    for arrays, params in samples(name):
        exact = call(name, leaves(arrays, record=False), params)
        if not any(a is not None and a.dtype == np.float64 for a in arrays):
            continue
        for dtype, eps in (("float32", 2e-5), ("float16", 1.5e-2), ("bfloat16", 1.2e-1)):
            kind = getattr(torch, dtype).np
            if "cholesky" in name or "linalg" in name or name in HIGH_ONLY and eps > 1e-3:
                continue
            tensors = leaves(arrays, dtype=kind, record=False)
            rounded = [None if t is None else t.to(torch.float64) if t.dtype.category == 2 else t for t in tensors]
            want = call(name, rounded, params)
            got = call(name, tensors, params)
            for g, w, e in zip(got, want, exact, strict=True):
                assert g.shape == w.shape == e.shape, f"{name} {dtype}: shape {g.shape}, expected {w.shape}"
                if w.dtype.category == 2:
                    assert g.dtype.category == 2, f"{name} {dtype}: gives {g.dtype}"
                    if name not in DISCONTINUOUS:
                        close(host(g.to(torch.float64)), host(w), eps, eps, f"{name} {dtype}")
                elif w.dtype.category == 3:
                    pass
                else:
                    assert g.dtype is w.dtype
    assert op.name == name


HIGH_ONLY = {"view_as_complex"}
DISCONTINUOUS = {"remainder", "fmod", "floor_divide", "nextafter", "floor", "ceil", "trunc", "round"}


def layouts(a: np.ndarray) -> dict[str, np.ndarray]:
    """The same elements, laid out otherwise."""
    found = {}
    if a.ndim >= 2:
        found["transposed"] = np.ascontiguousarray(np.swapaxes(a, 0, -1)).swapaxes(0, -1)
    if a.ndim >= 1:
        wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1] + 1), a.dtype)
        wide[..., 1::2] = a
        found["sliced"] = wide[..., 1::2]
        found["reversed"] = np.ascontiguousarray(a[::-1])[::-1]
    return found


@pytest.mark.parametrize(
    "name", [n for n in NAMES if n not in ("view", "as_strided", "view_as_complex", "view_as_real")]
)
def test_layouts(name: str) -> None:
    for arrays, params in samples(name):
        want = call(name, leaves(arrays, record=False), params)
        for i, a in enumerate(arrays):
            if a is None:
                continue
            for layout, other in layouts(a).items():
                tensors = leaves(arrays, record=False)
                tensors[i] = wrap(other)
                for g, w in zip(call(name, tensors, params), want, strict=True):
                    close(host(g), host(w), 1e-12, 1e-12, f"{name}: operand {i} {layout}")


@pytest.mark.parametrize("name", NAMES)
def test_two_runs_give_equal_bits_and_inputs_are_untouched(name: str) -> None:
    for arrays, params in samples(name):
        tensors = leaves(arrays, record=False)
        before = [None if t is None else host(t).copy() for t in tensors]
        first = [host(o).copy() for o in call(name, tensors, params)]
        second = [host(o) for o in call(name, tensors, params)]
        for a, b in zip(first, second, strict=True):
            assert a.tobytes() == b.tobytes(), name
        for t, b in zip(tensors, before, strict=True):
            assert t is None or host(t).tobytes() == b.tobytes(), f"{name} changed an input"


def directional(f, point: list[np.ndarray], direction: list[np.ndarray], eps: float) -> float:
    plus = f([np.asarray(p + eps * d) for p, d in zip(point, direction, strict=True)])
    minus = f([np.asarray(p - eps * d) for p, d in zip(point, direction, strict=True)])
    return (plus - minus) / (2 * eps)


SYMMETRIC = {"linalg_cholesky", "linalg_eigh", "linalg_eigvalsh"}  # read one triangle, are functions of symmetric x
TRIANGULAR = {"linalg_cholesky_solve"}  # read one triangle, and give the gradient of a whole matrix


def _normal(like: np.ndarray | Tensor, rng: np.random.Generator) -> np.ndarray:
    """Normal numbers of the shape of `like`, complex if it is."""
    d = np.asarray(rng.normal(size=tuple(like.shape)))
    complex_too = like.dtype.is_complex if isinstance(like, Tensor) else like.dtype.kind == "c"
    return np.asarray(d + 1j * rng.normal(size=d.shape)) if complex_too else d


def _direction(name: str, like: np.ndarray | Tensor, rng: np.random.Generator) -> np.ndarray:
    d = _normal(like, rng)
    if name in TRIANGULAR and d.ndim > 1 and d.shape[-1] == d.shape[-2]:
        return np.tril(d)
    return (d + d.swapaxes(-2, -1).conj()) / 2 if name in SYMMETRIC else d


def _split(arrays: list) -> list[int]:
    return [i for i, a in enumerate(arrays) if a is not None and a.dtype.kind in "fc" and a.size]


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """The sum of the products of the real parts and of the imaginary parts."""
    return float((a * np.conj(b)).sum().real)


def _weights(outs: list[Tensor], rng: np.random.Generator) -> list[Tensor]:
    return [wrap(_normal(o, rng).astype(o._a.dtype)).to(o.device) for o in outs]


def _value(name: str, arrays: list, moving: list[int], params: tuple, weights: list[np.ndarray]):
    def f(point: list[np.ndarray]) -> float:
        full = list(arrays)
        for i, p in zip(moving, point, strict=True):
            full[i] = p
        outs = carried(name, call(name, leaves(full), params))
        return sum(_dot(host(o), w) for o, w in zip(outs, weights, strict=True))

    return f


@pytest.mark.parametrize(("name", "dtype"), GRADIENTS)
def test_backward_against_finite_differences(name: str, dtype: str) -> None:
    rng = np.random.default_rng(1)
    for arrays, params in samples(name, dtype):
        moving = _split(arrays)
        if not moving:
            continue
        tensors = leaves(arrays)
        outs = carried(name, call(name, tensors, params))
        assert outs, f"{name}: no output carries a gradient"
        if not any(o.numel() for o in outs):
            continue
        weights = _weights(outs, rng)
        grads = torch.autograd.grad(outs, [tensors[i] for i in moving], weights, allow_unused=True)
        direction = [_direction(name, arrays[i], rng) for i in moving]
        f = _value(name, arrays, moving, params, [host(w) for w in weights])
        numeric = directional(f, [arrays[i] for i in moving], direction, 1e-6)
        for i, g in zip(moving, grads, strict=True):
            assert g is None or g.shape == arrays[i].shape, f"{name}: gradient {g.shape} of an input {arrays[i].shape}"
            assert g is None or g._a.dtype == arrays[i].dtype, (
                f"{name}: gradient {g.dtype} of an input {arrays[i].dtype}"
            )
        analytic = sum(_dot(host(g), d) for g, d in zip(grads, direction, strict=True) if g is not None)
        scale = 1 + sum(
            float(np.abs(host(g) * d).sum()) for g, d in zip(grads, direction, strict=True) if g is not None
        )
        assert abs(numeric - analytic) <= 2e-6 * scale, f"{name}: finite differences {numeric}, rule {analytic}"


@pytest.mark.parametrize(("name", "dtype"), GRADIENTS)
def test_second_derivatives_against_finite_differences(name: str, dtype: str) -> None:
    rng = np.random.default_rng(2)
    for arrays, params in samples(name, dtype):
        moving = _split(arrays)
        if not moving:
            continue

        def gradient(point: list[np.ndarray], weights: list, arrays=arrays, params=params, moving=moving):
            full = list(arrays)
            for i, p in zip(moving, point, strict=True):
                full[i] = p
            tensors = leaves(full)
            outs = carried(name, call(name, tensors, params))
            inputs = [tensors[i] for i in moving]
            return inputs, torch.autograd.grad(outs, inputs, weights, create_graph=True, allow_unused=True)

        outs = carried(name, call(name, leaves(arrays), params))
        if not any(o.numel() for o in outs):
            continue
        weights = [w.requires_grad_() for w in _weights(outs, rng)]
        inputs, grads = gradient([arrays[i] for i in moving], weights)
        used = [k for k, g in enumerate(grads) if g is not None and g.requires_grad]
        if not used:
            continue
        second = {k: _normal(grads[k], rng) for k in used}
        both = [*inputs, *weights]
        twice = torch.autograd.grad([grads[k] for k in used], both, [wrap(second[k]) for k in used], allow_unused=True)
        direction = [_direction(name, t, rng) for t in inputs]
        direction += [_normal(w, rng) for w in weights]

        def f(point: list[np.ndarray], n=len(inputs), second=second, used=used, weights=weights) -> float:
            _, gs = gradient(point[:n], [wrap(p).requires_grad_() for p in point[n:]])
            return sum(_dot(host(gs[k]), second[k]) for k in used)

        start = [arrays[i] for i in moving] + [host(w.detach()) for w in weights]
        numeric = directional(f, start, direction, 1e-6)
        terms = [(host(g) * np.conj(d)).real for g, d in zip(twice, direction, strict=True) if g is not None]
        analytic = sum(float(t.sum()) for t in terms)
        scale = 1 + sum(float(np.abs(t).sum()) for t in terms)
        assert abs(numeric - analytic) <= 1e-5 * scale, f"{name}: finite differences {numeric}, rules {analytic}"


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_fused_backward_equals_the_composed_rule(name: str, dtype: str) -> None:
    rng = np.random.default_rng(3)
    eps = 1e-10 if dtype == "float64" else 2e-4
    for arrays, params in samples(name):
        fast, slow = leaves(arrays, dtype=dtype), leaves(arrays, dtype=dtype)
        a, b = carried(name, call(name, fast, params)), carried(name, call(name, slow, params))
        if not a:
            continue
        weights = _weights(a, rng)
        inputs = [i for i, t in enumerate(fast) if t is not None and t.requires_grad]
        quick = torch.autograd.grad(a, [fast[i] for i in inputs], weights, allow_unused=True)
        composed = torch.autograd.grad(b, [slow[i] for i in inputs], weights, allow_unused=True, create_graph=True)
        for i, q, c in zip(inputs, quick, composed, strict=True):
            assert (q is None) == (c is None), f"{name}: gradient {i}"
            if q is not None:
                close(host(q), host(c.detach()), eps, eps, f"{name}: gradient {i}")


def test_every_op_runs_on_cuda() -> None:
    """By a kernel of its own, or by a library's where the published list says so."""
    assert set(NAMES) == set(ON_CUDA)
    assert {
        n for n in NAMES if OPS[n].gpu is OPS[n].cpu and not OPS[n].view and not isinstance(OPS[n], Elementwise)
    } <= LIBRARY_OPS


@pytest.mark.parametrize("name", ON_CUDA)
def test_cuda_gives_equal_bits_twice(name: str) -> None:
    arrays, params = samples(name)[0]
    if any(a is not None and a.dtype.kind == "c" for a in arrays):
        return

    def run() -> list[bytes]:
        tensors = leaves(arrays, "cuda", "float32")
        outs = call(name, tensors, params)
        found = [host(o).tobytes() for o in outs]
        kept = carried(name, outs)
        inputs = [t for t in tensors if t is not None and t.requires_grad]
        if kept and any(o.numel() for o in kept) and not any(o.dtype.is_complex for o in kept):
            weights = [w.to("cuda") for w in _weights(kept, np.random.default_rng(5))]
            grads = torch.autograd.grad(kept, inputs, weights, allow_unused=True)
            found += [host(g).tobytes() for g in grads if g is not None]
        return found

    assert run() == run(), name


@pytest.mark.parametrize("name", ON_CUDA)
def test_cuda_equals_cpu(name: str) -> None:
    rng = np.random.default_rng(4)
    for dtype, eps in (("float32", 3e-5), ("float64", 1e-9)):
        for arrays, params in samples(name):
            here = leaves(arrays, "cpu", dtype)
            wants = call(name, here, params)
            if any(t is not None and t.dtype.is_complex for t in (*here, *wants)):
                continue  # complex numbers stay on the CPU
            there = leaves(arrays, "cuda", dtype)
            outs = call(name, there, params)
            for o, w in zip(outs, wants, strict=True):
                assert o.device is not CPU and o.dtype is w.dtype and o.shape == w.shape, name
                if name not in DISCONTINUOUS:
                    close(host(o), host(w), eps, eps, f"{name} {dtype}")
            a, b = carried(name, outs), carried(name, wants)
            if not a or not any(o.numel() for o in a):
                continue
            weights = _weights(b, rng)
            inputs = [i for i, t in enumerate(here) if t is not None and t.requires_grad]
            got = torch.autograd.grad(a, [there[i] for i in inputs], [w.to("cuda") for w in weights], allow_unused=True)
            want = torch.autograd.grad(b, [here[i] for i in inputs], weights, allow_unused=True)
            for i, g, w in zip(inputs, got, want, strict=True):
                if w is not None:
                    assert g is not None and g.device is not CPU
                    close(host(g), host(w), 10 * eps, 10 * eps, f"{name} {dtype}: gradient {i}")
