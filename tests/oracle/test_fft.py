# ruff: noqa: E501 - tables of one line per case
"""torch.fft, stft and the windows against torch: values, gradients, dtypes, errors."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402

NAMES = [f"{kind}fft{end}" for kind in ("", "i", "r", "ir", "h", "ih") for end in ("", "2", "n")]
REAL_INPUT = ("rfft", "ihfft")


def make(lib, a: np.ndarray, dtype: str, grad: bool):
    t = lib.tensor(a.tolist(), dtype=getattr(lib, dtype)).reshape(a.shape)
    return t.requires_grad_() if grad else t


def check(f, *arrays: np.ndarray, dtype: str = "float64", grad: bool = True, tol: float = 1e-9) -> None:
    found = []
    for lib in (tritorch, torch):
        kinds = [
            dtype if a.dtype.kind == "f" else {"float32": "complex64", "float64": "complex128"}[dtype] for a in arrays
        ]
        tensors = [make(lib, a, k, grad) for a, k in zip(arrays, kinds, strict=True)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = f(lib, *tensors)
        grads = []
        if grad:
            w = np.random.default_rng(1).normal(size=(2, *y.shape))
            view = lib.view_as_real(y.resolve_conj()) if y.is_complex() else y
            weights = np.moveaxis(w, 0, -1) if y.is_complex() else w[0]
            loss = (view * make(lib, np.asarray(weights), dtype, False)).sum()
            grads = list(lib.autograd.grad(loss, tensors, allow_unused=True))
        found.append([y, *grads])
    for i, (a, b) in enumerate(zip(*found, strict=True)):
        if b is None:
            assert a is None
            continue
        assert tuple(a.shape) == tuple(b.shape) and str(a.dtype) == str(b.dtype), (
            i,
            a.shape,
            b.shape,
            a.dtype,
            b.dtype,
        )
        np.testing.assert_allclose(
            a.detach().numpy(), b.detach().resolve_conj().numpy(), rtol=tol, atol=tol, err_msg=str(i)
        )


def signal(*shape: int, complex_: bool = False, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([seed, *shape])
    a = rng.normal(size=shape)
    return a + 1j * rng.normal(size=shape) if complex_ else a


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("norm", [None, "backward", "ortho", "forward"])
def test_transforms(name: str, norm: str | None) -> None:
    base = name.rstrip("2n")
    for complex_ in (False, True) if base not in REAL_INPUT else (False,):
        x = signal(3, 4, 5, complex_=complex_)
        if name[-1] == "t":
            options = [{}, {"n": 7}, {"n": 4, "dim": 1}, {"n": 1}, {"dim": 0}]
        else:
            options = [{}, {"s": (3, 7)}, {"s": (5, 2), "dim": (0, 1)}, {"dim": (2, 0)}]
            if name[-1] == "n":
                options += [{"dim": (1,)}, {"s": (6,)}]
        for more in options:
            check(lambda t, a, more=more: getattr(t.fft, name)(a, norm=norm, **more), x)
    check(lambda t, a: getattr(t.fft, name)(a, norm=norm), signal(3, 4), dtype="float32", grad=False, tol=1e-5)


def test_frequencies_and_shifts() -> None:
    for n, d in itertools.product((1, 4, 5), (1.0, 0.25)):
        check(lambda t, n=n, d=d: t.fft.fftfreq(n, d, dtype=t.float64), grad=False)
        check(lambda t, n=n, d=d: t.fft.rfftfreq(n, d=d), grad=False, tol=1e-6)
    for dim in (None, 0, (0, 2), -1):
        check(lambda t, a, dim=dim: t.fft.fftshift(a, dim), signal(3, 4, 5))
        check(lambda t, a, dim=dim: t.fft.ifftshift(a, dim=dim), signal(3, 4, 5))


def test_integers_and_second_derivatives() -> None:
    check(lambda t: t.fft.fft(t.arange(5)), grad=False, tol=1e-5)
    check(lambda t: t.fft.rfft(t.arange(5) > 2), grad=False, tol=1e-5)

    def twice(t, x):
        y = t.fft.rfft(x).abs().pow(3).sum()
        return t.autograd.grad(y, x, create_graph=True)[0] ** 2

    check(twice, signal(3, 6))

    def back(t, x):
        y = t.fft.irfft(t.fft.rfft(x) * 2j, n=5).pow(3).sum()
        return t.autograd.grad(y, x, create_graph=True)[0] ** 2

    check(back, signal(5))


ERRORS = {
    "norm": lambda t: t.fft.fft(t.ones(3), norm="unit"),
    "size": lambda t: t.fft.fft(t.ones(3), n=0),
    "empty": lambda t: t.fft.fft(t.ones(0)),
    "complex rfft": lambda t: t.fft.rfft(t.ones(3) + 1j),
    "dim": lambda t: t.fft.fft(t.ones(3), dim=2),
    "twice": lambda t: t.fft.fftn(t.ones(3, 3), dim=(0, 0)),
    "lengths": lambda t: t.fft.fftn(t.ones(3, 3), s=(3,), dim=(0, 1)),
    "many": lambda t: t.fft.fftn(t.ones(3, 3), s=(3, 3, 3)),
    "irfft 1": lambda t: t.fft.irfft(t.ones(1)),
    "half": lambda t: t.fft.fft(t.ones(3).half()),
    "tensor": lambda t: t.fft.fft([1.0]),
    "no window": lambda t: t.stft(t.ones(10), 4, window=t.ones(5), return_complex=True),
    "stft complex": lambda t: t.stft(t.ones(10), 4),
    "long": lambda t: t.stft(t.ones(3), 20, center=False, return_complex=True),
    "overlap": lambda t: t.istft(t.ones(3, 4) + 0j, 4, hop_length=4, window=t.zeros(4)),
    "window": lambda t: t.hann_window(-1),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as theirs:
            ERRORS[name](torch)
        with pytest.raises(type(theirs.value)):
            ERRORS[name](tritorch)


@pytest.mark.parametrize("name", ["hann", "hamming", "blackman", "bartlett", "kaiser"])
def test_windows(name: str) -> None:
    for n, periodic in itertools.product((0, 1, 2, 7, 16), (True, False)):
        for dtype in ("float32", "float64"):
            check(
                lambda t, n=n, p=periodic, d=dtype: getattr(t, f"{name}_window")(n, periodic=p, dtype=getattr(t, d)),
                grad=False,
                tol=2e-6,
            )
    if name == "kaiser":
        check(lambda t: t.kaiser_window(9, True, 5.0), grad=False, tol=1e-5)
    if name == "hamming":
        check(lambda t: t.hamming_window(9, True, 0.6, 0.4), grad=False, tol=1e-5)


@pytest.mark.parametrize("name", ["bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine", "general_hamming", "hamming", "hann",
                                  "kaiser", "nuttall"])  # fmt: skip
def test_signal_windows(name: str) -> None:
    for n, sym in itertools.product((0, 1, 2, 9), (True, False)):
        more = {"general_cosine": {"a": [0.5, 0.3, 0.2]}}.get(name, {})
        check(
            lambda t, n=n, s=sym, m=more: getattr(t.signal.windows, name)(n, sym=s, dtype=t.float64, **m),
            grad=False,
            tol=1e-9,
        )


def test_stft_and_its_inverse() -> None:
    x, window = signal(2, 40), np.random.default_rng(0).uniform(0.5, 1, 8)
    for center, normalized, onesided in itertools.product((True, False), (True, False), (True, False)):
        more = {"center": center, "normalized": normalized, "onesided": onesided}
        check(lambda t, a, w, m=more: t.stft(a, 8, 3, window=w, return_complex=True, **m), x, window)
        if center:
            check(
                lambda t, a, w, m=more: t.istft(
                    t.stft(a, 8, 3, window=w, return_complex=True, **m), 8, 3, window=w, **m
                ),
                x,
                window,
            )
            check(
                lambda t, a, w, m=more: t.istft(
                    t.stft(a, 8, 2, window=w, return_complex=True, **m), 8, 2, window=w, length=33, **m
                ),
                x,
                window,
            )
    check(lambda t, a: t.stft(a, 10, return_complex=True), x[0])
    check(lambda t, a: a.stft(10, win_length=6, pad_mode="constant", return_complex=True), x[0])
    check(lambda t, a: t.stft(a, 10, return_complex=False), x)
    check(lambda t, a: t.stft(a, 8, return_complex=True), signal(30, complex_=True))
    check(
        lambda t, a: t.istft(t.stft(a, 8, return_complex=True), 8, onesided=False, return_complex=True),
        signal(30, complex_=True),
    )
    check(lambda t, a: t.stft(a, 8, align_to_window=True, center=False, return_complex=True), x)
