"""Recurrent layers: one direction of one LSTM, GRU or plain RNN layer over a whole sequence, as one op each.

    LSTM  i, f, o = sigmoid(.), g = tanh(.) of gx + h w^T, in the order i, f, g, o;  c' = f c + i g;
          h' = o tanh(c'), times r^T with a projection
    GRU   r, z = sigmoid(gx + h w^T + b);  n = tanh(gx_n + r (h w_n^T + b_n));  h' = (1 - z) n + z h
    RNN   h' = tanh or relu (gx + h w^T)

`gx` is the input's share of the gates, one product for all steps, made before the op. Rows are packed: step t takes the
rows `sum(batch_sizes[:t])` to `+ batch_sizes[t]`, sizes never grow, so that sequences of unequal length and batches of
equal ones are one case. `reverse` goes from the last step to the first. The states of sequences that a step does not
reach stay as they are, so the final states are right in both directions.

The backward on arrays takes the gates from the forward; the rule on Tensors makes them anew, since it is itself
differentiated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._blas import stepwise
from ._op import Array, op
from ._rnn_steps import (
    Spans,
    gru_backward,
    gru_forward,
    lstm_backward,
    lstm_forward,
    rnn_backward,
    rnn_forward,
    spans_of,
)
from ._rows import long_runs
from ._threads import product
from .copy import cat


def _previous(rows: Array, first: Array, spans: Spans) -> Array:
    """For each row the state before it, `first` where there is none."""
    out = np.empty_like(rows)
    n = len(first)
    if rows.shape[0] == n * len(spans):
        forward = not spans or spans[0][0] == 0
        a, b = (slice(n, None), slice(None, -n)) if forward else (slice(None, -n), slice(n, None))
        if spans:
            out[spans[0][0] : spans[0][1]] = first
            out[a] = rows[b]
        return out
    state = first.copy()
    for a, b in spans:
        out[a:b] = state[: b - a]
        state[: b - a] = rows[a:b]
    return out


def _sigmoid_scale(n: int, tanh_at: int, dtype: Any) -> tuple[Array, Array]:
    """Factor (before and after) and summand, (gates, 1, 1), that let one tanh serve all gates: sigmoid(x) =
    tanh(x / 2) / 2 + 1 / 2."""
    scale, shift = np.full((n, 1, 1), 0.5, dtype), np.full((n, 1, 1), 0.5, dtype)
    scale[tanh_at], shift[tanh_at] = 1, 0
    return scale, shift


def _by_gate(rows: Array, n: int) -> Array:
    """(rows, n k) as a view (n, rows, k)."""
    return rows.reshape(len(rows), n, -1).transpose(1, 0, 2)


def _with(state: Any, new: Any) -> Any:
    """The state (a Tensor) with its first rows replaced."""
    return new if new.shape[0] == state.shape[0] else cat([new, state[new.shape[0] :]], 0)


def _in_rows(parts: list[Any], spans: Spans) -> Any:
    """Per-step Tensors, made in any order, as one Tensor in the order of rows."""
    return cat([p for _, p in sorted(zip(spans, parts, strict=True), key=lambda pair: pair[0][0])], 0)


@op
class lstm_layer:
    """y, final h, final c, and for the backward the gates (rows, 4, k) and cells of all rows; projection r: arXiv:1402.1128."""

    differentiable = 3

    def cpu(
        gx: Array, h0: Array, c0: Array, w: Array, r: Array | None, batch_sizes: tuple[int, ...], reverse: bool
    ) -> tuple[Array, Array, Array, Array, Array]:
        rows, k, m = len(gx), c0.shape[1], len(h0)
        scale, shift = _sigmoid_scale(4, 2, gx.dtype)
        gates = np.multiply(_by_gate(gx, 4), scale, order="C")
        wt = np.multiply(w.reshape(4, k, -1), scale).mT.copy()
        cells, y = np.empty((rows, k), gx.dtype), np.empty((rows, h0.shape[1]), gx.dtype)
        room, part = np.empty((4, m, k), gx.dtype), np.empty((m, k), gx.dtype)
        h, c, own = h0, c0, False
        with long_runs(m * k):
            for a, b in stepwise(spans_of(batch_sizes, reverse), 2 * m * w.size):
                n = b - a
                z, t, inner, cell, new = gates[:, a:b], room[:, :n], part[:n], cells[a:b], y[a:b]
                np.matmul(h[:n], wt, out=t)
                z += t
                np.tanh(z, out=z)
                z *= scale
                z += shift
                np.multiply(z[1], c[:n], out=cell)
                np.multiply(z[0], z[2], out=inner)
                cell += inner
                np.tanh(cell, out=inner)
                if r is None:
                    np.multiply(z[3], inner, out=new)
                else:
                    inner *= z[3]
                    np.matmul(inner, r.T, out=new)
                if n == m:
                    h, c, own = new, cell, False
                    continue
                if not own:
                    h, c, own = h.copy(), c.copy(), True
                h[:n], c[:n] = new, cell
        return y, h if own else h.copy(), c if own else c.copy(), gates.transpose(1, 0, 2), cells

    def gpu(
        gx: Array, h0: Array, c0: Array, w: Array, r: Array | None, batch_sizes: tuple[int, ...], reverse: bool
    ) -> tuple[Array, Array, Array, Array, Array]:
        y, h, c, gates, cells = lstm_forward(gx, h0, c0, w, r, batch_sizes, reverse)
        return y, h, c, gates.reshape((len(gx), 4, c0.shape[1])), cells

    def grad(g, gx, h0, c0, w, r, y0, y3, y4, batch_sizes, reverse, needs):
        gy, gh, gc = g
        spans, k = spans_of(batch_sizes, reverse), c0.shape[1]
        h, c, kept = h0, c0, []
        for a, b in spans:
            n = b - a
            z = gx[a:b] + h[:n] @ w.mT
            i, f, o = z[:, :k].sigmoid(), z[:, k : 2 * k].sigmoid(), z[:, 3 * k :].sigmoid()
            u = z[:, 2 * k : 3 * k].tanh()
            before = h[:n], c[:n]
            cell = f * c[:n] + i * u
            t = cell.tanh()
            new = o * t if r is None else (o * t) @ r.mT
            h, c = _with(h, new), _with(c, cell)
            kept.append((i, f, u, o, t, *before))
        gw, gr, gz = w * 0, None if r is None else r * 0, []
        for (a, b), (i, f, u, o, t, h_before, c_before) in zip(spans[::-1], kept[::-1], strict=True):
            n = b - a
            top = gh[:n] + gy[a:b]
            if r is not None:
                gr = gr + top.mT @ (o * t)
                top = top @ r
            cell = gc[:n] + top * o * (1 - t * t)
            dz = cat(
                [
                    cell * u * i * (1 - i),
                    cell * c_before * f * (1 - f),
                    cell * i * (1 - u * u),
                    top * t * o * (1 - o),
                ],
                1,
            )
            gw = gw + dz.mT @ h_before
            gz.append(dz)
            gh, gc = _with(gh, dz @ w), _with(gc, cell * f)
        return _in_rows(gz, spans[::-1]), gh, gc, gw, gr

    def cpu_grad(g, gx, h0, c0, w, r, y0, y3, y4, batch_sizes, reverse, needs):
        gy, gh, gc = g[0], g[1].copy(), g[2].copy()
        spans, k, m = spans_of(batch_sizes, reverse), c0.shape[1], len(h0)
        i, f, u, o = gates = y3.transpose(1, 0, 2)
        t = np.tanh(y4)
        hidden = None if r is None else o * t
        # What each gate's gradient is multiplied with, for all rows at once.
        factor = np.multiply(gates, gates)
        np.subtract(gates, factor, out=factor)
        np.multiply(u, u, out=factor[2])
        np.subtract(1, factor[2], out=factor[2])
        for at, other in enumerate((u, _previous(y4, c0, spans), i, t)):
            factor[at] *= other
        t *= t
        np.subtract(1, t, out=t)
        t *= o
        tops = None if r is None else np.empty_like(gy)
        w4, room = w.reshape(4, k, -1), np.empty((4, m, w.shape[1]), gy.dtype)
        with long_runs(m * k):
            for a, b in stepwise(reversed(spans), 2 * m * w.size):
                n = b - a
                top = gh[:n]
                top += gy[a:b]
                if tops is not None:
                    tops[a:b] = top
                    top = top @ r
                cell, dz = gc[:n], factor[:, a:b]
                cell += top * t[a:b]
                dz[:3] *= cell
                dz[3] *= top
                cell *= f[a:b]
                np.matmul(dz, w4, out=room[:, :n])
                np.add.reduce(room[:, :n], 0, out=gh[:n])
        gz = np.empty((len(t), 4, k), gy.dtype)
        gz[...] = factor.transpose(1, 0, 2)
        gz = gz.reshape(-1, 4 * k)
        gw = product(gz.T, _previous(y0, h0, spans)) if needs[3] else None
        gr = product(tops.T, hidden) if tops is not None else None
        return gz, gh, gc, gw, gr

    def gpu_grad(g, gx, h0, c0, w, r, y0, y3, y4, batch_sizes, reverse, needs):
        return lstm_backward(g, h0, c0, w, r, y0, y3.reshape(gx.shape), y4, batch_sizes, reverse)

    def samples(rng):
        for sizes, k, p, reverse in [((2, 2, 2), 3, 0, False), ((3, 2, 1, 1), 4, 2, True), ((2, 1), 2, 0, True)]:
            rows, n, out = sum(sizes), sizes[0], p or k
            r = rng.normal(size=(p, k)) if p else None
            x = rng.normal(size=(rows, 4 * k)), rng.normal(size=(n, out)), rng.normal(size=(n, k))
            yield (*x, rng.normal(size=(4 * k, out)), r), (sizes, reverse)

    def cost(gx, h0, c0, w, r, batch_sizes, reverse):
        return 2 * gx.nbytes + len(batch_sizes) * w.nbytes, 2 * gx.size * w.shape[1]


@op
class gru_layer:
    """y, final h, and for the backward the gates (rows, 3, k) and h w_n^T + b_n of all rows. arXiv:1406.1078."""

    differentiable = 2
    remake = True

    def cpu(
        gx: Array, h0: Array, w: Array, b: Array | None, batch_sizes: tuple[int, ...], reverse: bool
    ) -> tuple[Array, Array, Array, Array]:
        rows, k, m = len(gx), h0.shape[1], len(h0)
        scale, _ = _sigmoid_scale(3, 2, gx.dtype)
        gates = np.multiply(_by_gate(gx, 3), scale, order="C")
        wt = np.multiply(w.reshape(3, k, -1), scale).mT.copy()
        bias = None if b is None else b.reshape(3, 1, k) * scale
        if bias is not None:
            gates[:2] += bias[:2]
        inner, y = np.empty((rows, k), gx.dtype), np.empty((rows, k), gx.dtype)
        h, room = h0.copy(), np.empty((3, m, k), gx.dtype)
        with long_runs(m * k):
            for first, end in stepwise(spans_of(batch_sizes, reverse), 2 * m * w.size):
                n = end - first
                z, t, state, new = gates[:, first:end], room[:, :n], h[:n], y[first:end]
                np.matmul(state, wt, out=t)
                if bias is not None:
                    t[2] += bias[2]
                inner[first:end] = t[2]
                rz, u = z[:2], z[2]
                rz += t[:2]
                np.tanh(rz, out=rz)
                rz *= 0.5
                rz += 0.5
                np.multiply(z[0], t[2], out=new)
                u += new
                np.tanh(u, out=u)
                np.subtract(state, u, out=new)
                new *= z[1]
                new += u
                h[:n] = new
        return y, h, gates.transpose(1, 0, 2), inner

    def gpu(
        gx: Array, h0: Array, w: Array, b: Array | None, batch_sizes: tuple[int, ...], reverse: bool
    ) -> tuple[Array, Array, Array, Array]:
        y, h, gates, inner = gru_forward(gx, h0, w, b, batch_sizes, reverse)
        return y, h, gates.reshape((len(gx), 3, h0.shape[1])), inner

    def grad(g, gx, h0, w, b, y0, y2, y3, batch_sizes, reverse, needs):
        gy, gh = g
        spans, k = spans_of(batch_sizes, reverse), h0.shape[1]
        h, kept = h0, []
        for first, end in spans:
            before = h[: end - first]
            x, s = gx[first:end], before @ w.mT
            s = s if b is None else s + b
            r, z = (x[:, :k] + s[:, :k]).sigmoid(), (x[:, k : 2 * k] + s[:, k : 2 * k]).sigmoid()
            m = s[:, 2 * k :]
            u = (x[:, 2 * k :] + r * m).tanh()
            h = _with(h, u + z * (before - u))
            kept.append((r, z, u, m, before))
        gw, gb, parts = w * 0, None if b is None else b * 0, []
        for (first, end), (r, z, u, m, before) in zip(spans[::-1], kept[::-1], strict=True):
            top = gh[: end - first] + gy[first:end]
            du = top * (1 - z) * (1 - u * u)
            dr, dz = du * m * r * (1 - r), top * (before - u) * z * (1 - z)
            ds = cat([dr, dz, du * r], 1)
            gw = gw + ds.mT @ before
            gb = None if gb is None else gb + ds.sum(0)
            parts.append(cat([dr, dz, du], 1))
            gh = _with(gh, top * z + ds @ w)
        return _in_rows(parts, spans[::-1]), gh, gw, gb

    def cpu_grad(g, gx, h0, w, b, y0, y2, y3, batch_sizes, reverse, needs):
        gy, gh = g[0], g[1].copy()
        spans, k, m = spans_of(batch_sizes, reverse), h0.shape[1], len(h0)
        r, z, u = y2.transpose(1, 0, 2)
        before = _previous(y0, h0, spans)
        gs = np.empty((3, len(r), k), r.dtype)  # of the products with w; of gx the same, but for the third gate
        to_r = y3 * (r - r * r)
        np.multiply(before - u, z - z * z, out=gs[1])
        du = np.multiply(1 - z, 1 - u * u)
        w3, room = w.reshape(3, k, -1), np.empty((3, m, k), r.dtype)
        with long_runs(m * k):
            for first, end in stepwise(reversed(spans), 2 * m * w.size):
                n = end - first
                top, dn, ds = gh[:n], du[first:end], gs[:, first:end]
                top += gy[first:end]
                dn *= top
                ds[1] *= top
                np.multiply(dn, to_r[first:end], out=ds[0])
                np.multiply(dn, r[first:end], out=ds[2])
                top *= z[first:end]
                np.matmul(ds, w3, out=room[:, :n])
                top += np.add.reduce(room[:, :n], 0)
        gw = np.concatenate([product(v.T, before) for v in gs]) if needs[2] else None
        gb = None if b is None else gs.sum(1).reshape(-1)
        gz = np.empty((len(r), 3, k), r.dtype)
        gz[:, :2], gz[:, 2] = gs[:2].transpose(1, 0, 2), du
        return gz.reshape(-1, 3 * k), gh, gw, gb

    def gpu_grad(g, gx, h0, w, b, y0, y2, y3, batch_sizes, reverse, needs):
        return gru_backward(g, h0, w, b, y0, y2.reshape(gx.shape), y3, batch_sizes, reverse)

    def samples(rng):
        for sizes, k, bias, reverse in [
            ((2, 2, 2), 3, True, False),
            ((3, 2, 1), 4, False, True),
            ((2, 1), 2, True, True),
        ]:
            x = rng.normal(size=(sum(sizes), 3 * k)), rng.normal(size=(sizes[0], k)), rng.normal(size=(3 * k, k))
            yield (*x, rng.normal(size=3 * k) if bias else None), (sizes, reverse)

    def cost(gx, h0, w, b, batch_sizes, reverse):
        return 2 * gx.nbytes + len(batch_sizes) * w.nbytes, 2 * gx.size * w.shape[1]


@op
class rnn_layer:
    """y and final h of the plain recurrent layer; `relu` instead of tanh."""

    remake = True

    def cpu(
        gx: Array, h0: Array, w: Array, batch_sizes: tuple[int, ...], reverse: bool, relu: bool
    ) -> tuple[Array, Array]:
        y, h = np.array(gx, order="C"), h0.copy()
        wt, room = w.T, np.empty_like(h0)
        for a, b in stepwise(spans_of(batch_sizes, reverse), 2 * len(h0) * w.size):
            z, t = y[a:b], room[: b - a]
            np.matmul(h[: b - a], wt, out=t)
            z += t
            np.maximum(z, 0, out=z) if relu else np.tanh(z, out=z)
            h[: b - a] = z
        return y, h

    def gpu(
        gx: Array, h0: Array, w: Array, batch_sizes: tuple[int, ...], reverse: bool, relu: bool
    ) -> tuple[Array, Array]:
        return rnn_forward(gx, h0, w, batch_sizes, reverse, relu)

    def grad(g, gx, h0, w, y0, batch_sizes, reverse, relu, needs):
        gy, gh = g
        spans, h, kept = spans_of(batch_sizes, reverse), h0, []
        for a, b in spans:
            before = h[: b - a]
            z = gx[a:b] + before @ w.mT
            z = z.relu() if relu else z.tanh()
            h = _with(h, z)
            kept.append((before, (z > 0).to(z.dtype) if relu else 1 - z * z))
        gw, parts = w * 0, []
        for (a, b), (before, slope) in zip(spans[::-1], kept[::-1], strict=True):
            dz = (gh[: b - a] + gy[a:b]) * slope
            gw = gw + dz.mT @ before
            parts.append(dz)
            gh = _with(gh, dz @ w)
        return _in_rows(parts, spans[::-1]), gh, gw

    def cpu_grad(g, gx, h0, w, y0, batch_sizes, reverse, relu, needs):
        gy, gh, spans = g[0], g[1].copy(), spans_of(batch_sizes, reverse)
        gz = (y0 > 0).astype(y0.dtype) if relu else 1 - y0 * y0
        for a, b in stepwise(reversed(spans), 2 * len(h0) * w.size):
            top, dz = gh[: b - a], gz[a:b]
            top += gy[a:b]
            dz *= top
            np.matmul(dz, w, out=top)
        return gz, gh, gz.T @ _previous(y0, h0, spans) if needs[2] else None

    def gpu_grad(g, gx, h0, w, y0, batch_sizes, reverse, relu, needs):
        return rnn_backward(g, h0, w, y0, batch_sizes, reverse, relu)

    def samples(rng):
        for sizes, k, reverse, relu in [
            ((2, 2, 2), 3, False, False),
            ((3, 2, 1), 4, True, False),
            ((2, 1), 2, False, True),
        ]:
            x = rng.normal(size=(sum(sizes), k)), rng.normal(size=(sizes[0], k)), rng.normal(size=(k, k))
            yield x, (sizes, reverse, relu)

    def cost(gx, h0, w, batch_sizes, reverse, relu):
        return 2 * gx.nbytes + len(batch_sizes) * w.nbytes, 2 * gx.size * w.shape[1]


def AOT() -> list:  # noqa: N802 - the name that the report looks for
    """What the report compiles: two steps of each kind, forward and backward."""

    def run(op_: Any, gates: int, extra: Any, *params: Any) -> Any:
        def call(array: Any) -> None:
            k, sizes = 256, (64, 64)
            args = [array((128, gates * k), "bf16"), *(array((64, k), "bf16") for _ in range(1 + (gates == 4)))]
            args += [array((gates * k, k), "bf16"), *([extra] if gates > 1 else [])]
            outs = op_.gpu(*args, sizes, False, *params)
            saved = {"input": args, "param": (sizes, False, *params), "output": outs, "needs": [(True,) * len(args)]}
            op_.gpu_grad(list(outs[: op_.differentiable]), *(saved[kind][i] for kind, i in op_.saved))

        return call

    return [
        ("lstm_layer bf16 2 x 64 x 256", run(lstm_layer, 4, None)),
        ("gru_layer bf16 2 x 64 x 256", run(gru_layer, 3, None)),
        ("rnn_layer bf16 2 x 64 x 256", run(rnn_layer, 1, None, False)),
    ]
