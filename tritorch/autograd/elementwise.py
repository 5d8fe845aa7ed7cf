"""Elementwise ops on Tensors: the hot path.

For each line of the table one closure, written so that a call on small tensors costs about what NumPy's own call
costs: class check by identity, dtype and device by identity, the output made slot by slot, a node only when one of the
operands has one. Everything else (promotion, other devices, half types, scalars of a higher category) is `general`, by
`elementwise_operands`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes as dt
from ..device import CPU
from ..dtypes import FROM_NP, bool_, float32
from ..errors import message
from ..kernels._blocks import LARGE, large
from ..kernels._halves import through_float32
from ..kernels.elementwise import Elementwise
from ..kernels.view import sum_to, unbroadcast
from . import elementwise_cuda as cuda
from .apply import output_array, saved_output
from .autocast import ACTIVE, cast
from .elementwise_operands import compute, not_broadcast, operands_of, whole_only
from .engine import check_versions, freed
from .graph import Node, Version, make_node, next_seq, versions_of, watch
from .modes import NO_GRAD, STATE, WATCHED

_new = object.__new__
_asarray = np.asarray
_ndarray = np.ndarray
_NOTHING = (None, None)  # what a node keeps when its rules need no operand


def binary(op: Elementwise, Tensor: type, TENSORS: set[type]) -> Callable[..., Any]:
    """The function of two operands; also Python's operator (gives NotImplemented for foreign types)."""
    f = op.numpy
    to_bool = op.kind == "bool"
    # dtypes that go straight to NumPy; halves are widened and complex gradients conjugated on the general path
    fast = frozenset(d for d in dt.ALL if d.category in op.categories and not d.is_half and not d.is_complex)
    fast_floats = frozenset(d for d in fast if d.is_floating_point)
    fast_numbers = frozenset(d for d in fast if d.category >= dt.INT)
    recorded = op.has_rule
    a_rule, b_rule = op.rules if recorded else (None, None)
    # which operand each gradient needs: (of a: needs a, needs b), (of b: needs a, needs b)
    aa, ab = "a" in op.uses[0], "b" in op.uses[0]
    ba, bb = "a" in op.uses[1], "b" in op.uses[1]
    saves_y = op.saves_output
    saves_nothing = not (aa or ab or ba or bb)

    def apply(x: Any, w: Any) -> Any:
        kind = w.__class__
        if kind is Tensor or kind in TENSORS:
            d = x.dtype
            if d is not w.dtype or x.device is not CPU or w.device is not CPU or d is not float32 and d not in fast:
                return general(x, w)
            wa = w._a
            wn = w._node
        elif kind is float:
            d = x.dtype
            if d not in fast_floats or x.device is not CPU:
                return general(x, w)
            wa = w
            wn = None
        elif kind is int:
            d = x.dtype
            if d not in fast_numbers or x.device is not CPU:
                return general(x, w)
            wa = w
            wn = None
        else:
            return general(x, w)
        xa = x._a
        try:
            y = f(xa, wa) if xa.size < LARGE else large(f, xa, wa)
        except (ValueError, OverflowError, TypeError):
            return general(x, w)
        if y.__class__ is not _ndarray:
            y = _asarray(y)
        out = _new(Tensor)
        out._a = y
        out.dtype = bool_ if to_bool else d
        out.device = CPU
        out._vc = out._view = None
        xn = x._node
        if b_rule is None:
            wn = None
        if (xn is None and wn is None) or not recorded or (NO_GRAD[0] and not STATE.grad):
            out._node = None
            return out
        if saves_y or WATCHED[0]:
            return record(out, x, w, xn, wn)
        sx = x if (aa and xn is not None) or (ba and wn is not None) else None
        sw = w if (ab and xn is not None) or (bb and wn is not None) else None
        n = Node()
        n.seq = next_seq()
        n.op = op
        n.next = (xn, wn)
        if kind is float or kind is int or xa.shape == wa.shape:  # type: ignore[union-attr]
            n.saved = (sx, sw)
        else:
            n.saved = (sx, sw, None, xa.shape, wa.shape)  # type: ignore[union-attr]
        n.versions = (
            None
            if (sx is None or sx._vc is None) and (wn is None and kind is not Tensor or sw is None or sw._vc is None)
            else _versions(sx, sw)
        )
        n.device = CPU
        n.hooks = n.trace = None
        out._node = n
        return out

    # dtypes whose tensors go to the kernel as they are
    straight = frozenset(
        d for d in dt.ALL
        if d.category in op.categories and not d.is_complex and op.triton and not (d.category > dt.INT and whole_only(op))
    )  # fmt: skip
    side = cuda.device_side(op)

    def arithmetic(x: Any, w: Any) -> Any:
        """`apply` for the few ops that everything is made of: both operands have rules, the result has their dtype."""
        kind = w.__class__
        if kind is not Tensor and kind not in TENSORS:
            return apply(x, w)
        d = x.dtype
        if d is not float32 and d not in fast or d is not w.dtype or x.device is not CPU or w.device is not CPU:
            return general(x, w)
        xa = x._a
        wa = w._a
        try:
            y = f(xa, wa) if xa.size < LARGE else large(f, xa, wa)
        except (ValueError, TypeError):
            return general(x, w)
        out = _new(Tensor)
        out._a = y if y.__class__ is _ndarray else _asarray(y)
        out.dtype = d
        out.device = CPU
        out._vc = out._view = None
        xn = x._node
        wn = w._node
        if xn is None and wn is None or NO_GRAD[0] and not STATE.grad:
            out._node = None
            return out
        if WATCHED[0]:
            return record(out, x, w, xn, wn)
        n = out._node = Node()
        n.seq = next_seq()
        n.op = op
        n.next = (xn, wn)
        n.device = CPU
        n.versions = n.hooks = n.trace = None
        if saves_nothing:
            n.saved = _NOTHING if xa.shape == wa.shape else (None, None, None, xa.shape, wa.shape)
            return out
        sx = x if aa and xn is not None or ba and wn is not None else None
        sw = w if ab and xn is not None or bb and wn is not None else None
        n.saved = (sx, sw) if xa.shape == wa.shape else (sx, sw, None, xa.shape, wa.shape)
        if sx is not None and sx._vc is not None or sw is not None and sw._vc is not None:
            n.versions = _versions(sx, sw)
        return out

    def record(out: Any, x: Any, w: Any, xn: Any, wn: Any) -> Any:
        sx = x if (aa and xn is not None) or (ba and wn is not None) else None
        sw = w if (ab and xn is not None) or (bb and wn is not None) else None
        shape = out._a.shape
        xs = x._a.shape if x.__class__ in TENSORS else shape
        ws = w._a.shape if w.__class__ in TENSORS else shape
        saved = sx, sw, saved_output(out) if saves_y else None, xs, ws
        out._node = make_node(op, (xn, wn), saved, out.device, _versions(sx, sw))
        return out

    def general(x: Any, w: Any) -> Any:
        if ACTIVE:
            x, w = cast(op.name, x, w)
        y = None
        if x.__class__ in TENSORS and x.device is not CPU and x.dtype in straight:  # nothing to promote?
            kind, d, device = w.__class__, x.dtype, x.device
            if kind in TENSORS:
                if w.dtype is d and w.device is device:
                    try:
                        y = cuda.run(op, side, device, (x._a, w._a), 2)
                    except ValueError:
                        raise not_broadcast(op, (x, w)) from None
            elif d.category == dt.FLOAT and (kind is float or kind is int):
                w = float(w)
                y = cuda.run(op, side, device, (x._a, w), 2)
        if y is None:
            operands = operands_of(op, (x, w), TENSORS)
            if operands is None:
                return NotImplemented
            x, w = operands
            y, device = compute(op, side, (x, w), ())
        out = _new(Tensor)
        out._a, out.dtype, out.device = y, FROM_NP[y.dtype], device
        out._vc = out._view = out._node = None
        xn, wn = getattr(x, "_node", None), getattr(w, "_node", None) if b_rule is not None else None
        if (xn is None and wn is None) or not recorded or not STATE.grad:
            return out
        return record(out, x, w, xn, wn)

    def pull(node: Any, g: Any) -> Any:
        nonlocal a_fast, b_fast, both_fast
        saved = node.saved
        if saved is None:
            raise freed(node)
        if len(saved) != 2:
            if node.device is not CPU:
                return on_cuda(node, g)
            xa, wa = [s._a if s.__class__ in TENSORS else s for s in saved[:2]]
            check_versions(node, [s for s in saved[:2] if s.__class__ in TENSORS])
            return wide(node, g, xa, wa)
        xa, wa = saved
        if xa is not None:
            if xa._vc is not None:
                check_versions(node, (xa,))
            xa = xa._a
        if wa is not None and wa.__class__ is not float and wa.__class__ is not int:
            if wa._vc is not None:
                check_versions(node, (wa,))
            wa = wa._a
        xn, wn = node.next
        if g.size >= LARGE:
            return [None if e is None else in_blocks(i, g, xa, wa, None) for i, e in ((0, xn), (1, wn))]
        if xn is not None and wn is not None:
            if both_fast is None:
                both_fast = op.rules_together()
            gx, gw = both_fast(g, xa, wa, None)
            if gx.__class__ is _ndarray is gw.__class__:
                return gx, gw
            return _asarray(gx), _asarray(gw)
        gx = gw = None
        if xn is not None:
            if a_fast is None:
                a_fast = op.rule(0, False)
            gx = a_fast(g, xa, wa, None)
            if gx.__class__ is not _ndarray:
                gx = _asarray(gx)
        if wn is not None:
            if b_fast is None:
                b_fast = op.rule(1, False)
            gw = b_fast(g, xa, wa, None)
            if gw.__class__ is not _ndarray:
                gw = _asarray(gw)
        return gx, gw

    def in_blocks(i: int, g: Any, xa: Any, wa: Any, y: Any) -> Any:
        """The i-th gradient of a large array; a rule that only hands g on makes nothing."""
        return g if op.rules[i] == "g" else _asarray(large(op.rule_into(i), g, xa, wa, y))

    a_fast: Any = None
    b_fast: Any = None
    both_fast: Any = None

    def wide(node: Any, g: Any, xa: Any, wa: Any) -> Any:
        """Broadcast operands, half and complex types, saved outputs."""
        saved = node.saved
        _, _, out, xs, ws = saved if len(saved) == 5 else (*saved, None, None, None)
        y = None if out is None else output_array(node, out)
        half = g.dtype.itemsize == 2
        flip = g.dtype.kind == "c"
        if flip:
            g = np.conj(g)
        result = []
        for i, shape in ((0, xs), (1, ws)):
            if node.next[i] is None:
                result.append(None)
                continue
            if half:
                gi = _halves(op.rule(i, False), g, xa, wa, y)
            else:
                gi = _asarray(op.rule(i, False)(g, xa, wa, y) if g.size < LARGE else in_blocks(i, g, xa, wa, y))
            if shape is not None and gi.shape != shape:
                gi = unbroadcast(gi, shape)
            result.append(np.conj(gi) if flip else gi)
        return result

    def on_cuda(node: Any, g: Any) -> Any:
        x, w, out, xs, ws = node.saved
        check_versions(node, [s for s in (x, w) if s.__class__ in TENSORS])
        operands = [s._a if s.__class__ in TENSORS else s for s in (x, w)]
        y = None if out is None else output_array(node, out)
        return cuda.pull(Tensor, side, node, g, operands, y, (), (xs, ws))

    def rules(node: Any, g: Any, x: Any, w: Any, y: Any) -> Any:
        result = []
        flip = g.dtype.is_complex
        if flip:
            g = g.conj()
        for i in (0, 1):
            if node.next[i] is None:
                result.append(None)
                continue
            gi = op.rule(i, True)(g, x, w, y)
            if len(node.saved) == 5:
                gi = sum_to(gi, node.saved[3 + i])
            result.append(gi.conj() if flip else gi)
        return result

    def pull_tensors(node: Any, g: Any) -> Any:
        if node.saved is None:
            raise freed(node)
        check_versions(node, [s for s in node.saved[:2] if s.__class__ in TENSORS])
        y = _linked(Tensor, node, node.saved[2]) if len(node.saved) == 5 and node.saved[2] is not None else None
        return rules(node, g, node.saved[0], node.saved[1], y)

    op.pull, op.pull_tensors = pull, pull_tensors  # type: ignore[attr-defined]
    made: Any = arithmetic if a_rule and b_rule and not to_bool and not saves_y else apply
    made.__name__ = made.__qualname__ = op.name
    made.general = general
    return made


def unary(op: Elementwise, Tensor: type, TENSORS: set[type]) -> Callable[..., Any]:
    """The function of one operand and plain parameters."""
    f, lowest = op.numpy, op.lowest
    to_bool = op.kind == "bool"
    saves_x, saves_y = "x" in op.uses[0], op.saves_output
    recorded = op.has_rule
    fast: list = []
    side = cuda.device_side(op)
    with_zero = np.maximum if op.name == "relu" else None  # one ufunc call, no Python function around it

    def apply(x: Any, *params: Any) -> Any:
        if x.__class__ is not Tensor and x.__class__ not in TENSORS:
            return general(x, params)
        d = x.dtype
        if x.device is not CPU or d is not float32 and (d.category < lowest or d.is_half or d.category == 3):
            return general(x, params)
        try:
            xa = x._a
            if xa.size >= LARGE:
                y = large(f, xa, *params)
            else:
                y = with_zero(xa, d.zero) if with_zero is not None else f(xa, *params)
        except TypeError:
            return general(x, params)
        if y.__class__ is not _ndarray:
            y = _asarray(y)
        out = _new(Tensor)
        out._a = y
        out.dtype = bool_ if to_bool else d
        out.device = CPU
        out._vc = out._view = None
        xn = x._node
        if xn is None or not recorded or (NO_GRAD[0] and not STATE.grad):
            out._node = None
            return out
        n = Node()
        n.seq = next_seq()
        n.op = op
        n.next = (xn,)
        n.device = CPU
        n.versions = n.hooks = n.trace = None
        out._node = n
        if saves_y:
            v = out._vc = Version()
            n.saved = ((y, v, 0), x if saves_x else None, params)
        elif saves_x:
            n.saved = (None, x, params)
        else:
            n.saved = (None, None, params)
        if saves_x and x._vc is not None:
            n.versions = versions_of((x,))
        if WATCHED[0]:
            watch(n)
        return out

    def against_zero(x: Any) -> Any:
        """`apply` of relu: one ufunc call with a 0-dim array, no Python function around it."""
        d = x.dtype if x.__class__ is Tensor else None
        if d is not float32 or x.device is not CPU or x._a.size >= LARGE:
            return apply(x)
        y = np_maximum(x._a, zero)
        out = _new(Tensor)
        out._a = y if y.__class__ is _ndarray else _asarray(y)
        out.dtype = d
        out.device = CPU
        out._vc = out._view = None
        xn = x._node
        if xn is None or NO_GRAD[0] and not STATE.grad:
            out._node = None
            return out
        if WATCHED[0]:
            return apply(x)
        n = out._node = Node()
        n.seq = next_seq()
        n.op = op
        n.next = (xn,)
        n.device = CPU
        n.versions = n.hooks = n.trace = None
        v = out._vc = Version()
        n.saved = ((out._a, v, 0), None, ())
        return out

    np_maximum, zero = np.maximum, float32.zero

    def general(x: Any, params: tuple) -> Any:
        if x.__class__ not in TENSORS:
            raise TypeError(f"{op.name}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
        if ACTIVE:
            (x,) = cast(op.name, x)
        (x,) = operands_of(op, (x,), TENSORS)  # type: ignore[misc]
        y, device = compute(op, side, (x,), params)
        out = _new(Tensor)
        out._a, out.dtype, out.device = y, FROM_NP[y.dtype], device
        out._vc = out._view = out._node = None
        if x._node is not None and recorded and STATE.grad:
            saved = saved_output(out) if saves_y else None, x if saves_x else None, params
            out._node = make_node(op, (x._node,), saved, device, versions_of((x,)) if saves_x else None)
        return out

    def arrays(node: Any) -> Any:
        saved = node.saved
        if saved is None:
            raise freed(node)
        out, x, params = saved
        if x is not None and x._vc is not None:
            check_versions(node, (x,))
        return None if out is None else output_array(node, out), x, params

    def pull(node: Any, g: Any) -> Any:
        y, x, params = arrays(node)
        if node.device is not CPU:
            return cuda.pull(Tensor, side, node, g, (None if x is None else x._a,), y, params, None)
        xa = None if x is None else x._a
        rule = fast[0] if fast else compiled()
        kind = g.dtype
        if kind.itemsize == 2:
            return (_halves(rule, g, xa, y, *params),)
        if kind.kind == "c":
            return (_asarray(np.conj(rule(np.conj(g), xa, y, *params))),)
        if g.size < LARGE or op.rules[0] == "g":
            gx = rule(g, xa, y, *params)
        else:
            gx = large(op.rule_into(0), g, xa, y, *params)
        return (gx if gx.__class__ is _ndarray else _asarray(gx),)

    def compiled() -> Any:
        fast.append(op.rule(0, False))
        return fast[0]

    def pull_tensors(node: Any, g: Any) -> Any:
        _, x, params = arrays(node)
        y = None if node.saved[0] is None else _linked(Tensor, node, node.saved[0])
        if g.dtype.is_complex:
            return (op.rule(0, True)(g.conj(), x, y, *params).conj(),)
        return (op.rule(0, True)(g, x, y, *params),)

    op.pull, op.pull_tensors = pull, pull_tensors  # type: ignore[attr-defined]
    made = apply if with_zero is None else against_zero
    made.__name__ = made.__qualname__ = op.name
    return made


def ternary(op: Elementwise, Tensor: type, TENSORS: set[type]) -> Callable[..., Any]:
    """The function of three operands and plain parameters (lerp, addcmul, addcdiv): the general path only."""
    needed = [any(name in u for u in op.uses) for name in op.inputs]
    side = cuda.device_side(op)

    def apply(x: Any, w: Any, v: Any, *params: Any) -> Any:
        operands: Any = operands_of(op, (x, w, v), TENSORS)
        if operands is None:
            raise TypeError(message(op.name, "operands must be tensors or numbers", a=x, b=w, c=v))
        y, device = compute(op, side, operands, params)
        out = _new(Tensor)
        out._a, out.dtype, out.device = y, FROM_NP[y.dtype], device
        out._vc = out._view = out._node = None
        edges = tuple([getattr(t, "_node", None) for t in operands])
        if any(e is not None for e in edges) and STATE.grad and op.has_rule:
            kept = tuple([t if need else None for t, need in zip(operands, needed, strict=True)])
            shapes = tuple([t._a.shape if t.__class__ in TENSORS else () for t in operands])
            saved = kept, saved_output(out) if op.saves_output else None, params, shapes
            out._node = make_node(op, edges, saved, device, versions_of(kept))
        return out

    def pull_tensors(node: Any, g: Any) -> Any:
        if node.saved is None:
            raise freed(node)
        kept, out, params, shapes = node.saved
        check_versions(node, kept)
        y = None if out is None else _linked(Tensor, node, out)
        g = g.conj()
        return tuple([
            None if node.next[i] is None else sum_to(op.rule(i, True)(g, *kept, y, *params), shapes[i]).conj()
            for i in range(3)
        ])  # fmt: skip

    def pull(node: Any, g: Any) -> Any:
        if node.device is not CPU and node.saved is not None:
            kept, out, params, shapes = node.saved
            check_versions(node, [t for t in kept if t.__class__ in TENSORS])
            operands = [t._a if t.__class__ in TENSORS else t for t in kept]
            y = None if out is None else output_array(node, out)
            return cuda.pull(Tensor, side, node, g, operands, y, params, shapes)
        wrap = _wrapper(Tensor, node.device)
        return tuple([None if r is None else r._a for r in pull_tensors(node, wrap(g))])

    op.pull, op.pull_tensors = pull, pull_tensors  # type: ignore[attr-defined]
    apply.__name__ = apply.__qualname__ = op.name
    return apply


def _halves(rule: Any, g: Any, *more: Any) -> Any:
    """A rule on half-precision arrays."""
    rule = through_float32(rule, g.dtype)
    return rule(g, *more) if g.size < LARGE else large(rule, g, *more)


def _versions(*tensors: Any) -> Any:
    return versions_of([t for t in tensors if t is not None])


def _wrapper(Tensor: type, device: Any) -> Callable[[Any], Any]:
    def wrap(a: Any) -> Any:
        t = _new(Tensor)
        t._a, t.dtype, t.device = a, FROM_NP[a.dtype], device
        t._node = t._vc = t._view = None
        return t

    return wrap


def _linked(Tensor: type, node: Any, out: tuple) -> Any:
    """A saved output as a Tensor that hangs on its node again."""
    t = _wrapper(Tensor, node.device)(output_array(node, out))
    t._vc, t._node = out[1], node
    return t


_MAKE = {1: unary, 2: binary, 3: ternary}


def bind(op: Elementwise, Tensor: type, TENSORS: set[type]) -> None:
    """Make one line of the table a function on Tensors."""
    op.holds = any(name in u for u in op.uses for name in (*op.inputs, "y"))
    op.apply = _MAKE[len(op.inputs)](op, Tensor, TENSORS)
