"""In-place ops on tensors in the graph: checks before, and the history of base and views after.

An in-place op is its out-of-place twin computed on the old values, whose result is written over the old memory. What
remains is history: the tensor takes over the node of the result; when it is a view, its base gets a node that says
"the base's old values outside the view, the result inside"; and every living view of the base is recorded anew.
"""

from __future__ import annotations

import gc
from sys import getrefcount
from typing import Any
from weakref import ref

from . import bridge
from .apply import record_view, zeros
from .engine import clear, copied, freed
from .graph import Leaf, Version, make_node
from .modes import STATE


def root_of(t: Any) -> Any:
    """The tensor that owns the memory that `t` views."""
    while t._view is not None:
        t = t._view[0]
    return t


def check(t: Any, name: str) -> None:
    """RuntimeError when `t` may not be changed in place; called before anything is changed."""
    a = t._a
    if t._view is not None and a.size and any(s == 0 and n > 1 for s, n in zip(a.strides, a.shape, strict=True)):
        raise RuntimeError(
            f"{name}: unsupported operation: more than one element of the written-to tensor refers to a single memory "
            f"location (shape {tuple(a.shape)}). Please clone() the tensor before performing the operation."
        )
    if not STATE.grad:
        return
    if t._node.__class__ is Leaf:
        raise RuntimeError(f"{name}: a leaf Variable that requires grad is being used in an in-place operation.")
    if t._view is not None:
        root = root_of(t)
        if root._node.__class__ is Leaf:
            raise RuntimeError(
                f"{name}: a view of a leaf Variable that requires grad is being used in an in-place operation."
            )
        if t._view[1] is MULTI and (t._node is not None or root._node is not None):
            raise RuntimeError(
                f"{name}: Output 0 of a function that returns multiple views is being modified inplace. Such functions "
                "do not allow the output views to be modified inplace; use .clone() first, or index the tensor."
            )


class _Multi:
    """Stands for the op of an output of split, chunk, unbind in `Tensor._view`."""

    name = "multiple_views"
    saved = ()


MULTI = _Multi()


def bump(t: Any) -> None:
    """Count an in-place change of the memory of `t`, so that a backward that needs the old values raises."""
    if t._vc is None:
        t._vc = Version()
    t._vc.n += 1


def rebase(t: Any, node: Any) -> None:
    """`t` was overwritten by the result that `node` made (None: a constant)."""
    if t._view is not None:
        root = root_of(t)
        if root._node is None and node is None:
            if t._node is not None:
                t._node = None
            return
        path = []
        v = t
        while v._view is not None:
            parent, op, params = v._view
            path.append((op, params))
            v = parent
        path.reverse()
        if root._node is None and holders(root._vc) > len(path) + 1:
            _register_views(root._vc)
        root._node = make_node(SCATTER, (root._node, node), tuple(path), root.device)
        _renew_views(root)
    else:
        if t._node is None and t._vc is not None and node is not None and holders(t._vc) > 1:
            _register_views(t._vc)
        if node is None and t._node is not None:
            node = make_node(OVERWRITTEN, (t._node,), (), t.device)
        t._node = node
        if t._vc is not None and t._vc.views:
            _renew_views(t)


def _register_views(version: Version) -> None:
    """A tensor outside of any graph joins one by an in-place op: find its views, which were not registered.

    Views of constants are made often and change history almost never, so making them is cheap and finding them is not:
    by their reference to the version counter. Where only the tensor and the view that is being written hold the
    counter (the usual `out[i] = f(x)`), there is nothing to find and this is not called.
    """
    held = [t for t in gc.get_referrers(version) if t.__class__ in bridge.classes and t._view is not None]
    known = {id(r()) for r in version.views or ()}
    fresh = [t for t in sorted(held, key=_depth) if id(t) not in known]
    version.views = [*(version.views or ()), *map(ref, fresh)]


def holders(version: Version | None) -> int:
    """How many objects hold the counter, besides the call itself."""
    return getrefcount(version) - _OF_THE_CALL


_OF_THE_CALL = 0
_OF_THE_CALL = holders(Version())  # nobody holds this one


def _depth(view: Any) -> int:
    n = 0
    while view._view is not None:
        view, n = view._view[0], n + 1
    return n


def _renew_views(root: Any) -> None:
    for reference in root._vc.views or ():
        view = reference()
        if view is None or view._view is None:
            continue
        parent, op, params = view._view
        if op is MULTI:
            continue
        if parent._node is None:
            view._node = None
        else:
            record_view(op, parent, params, view)


def follow(x: Any, path: Any) -> Any:
    """The view of raw array `x` that `path` leads to."""
    for op, params in path:
        x = op.cpu(x, *params)
    return x


def _path(node: Any) -> Any:
    if node.saved is None:
        raise freed(node)
    return node.saved


class _Overwritten:
    """The node of a tensor in the graph after it was overwritten by a constant: its old values get a gradient of 0."""

    name = "fill"
    grad_name = "FillBackward0"
    differentiable = 1
    holds = False

    @staticmethod
    def pull(node: Any, g: Any) -> Any:
        return (zeros(g.shape, g.dtype, node.device),)

    @staticmethod
    def pull_tensors(node: Any, g: Any) -> Any:
        return (g.new_zeros(g.shape),)


OVERWRITTEN = _Overwritten()


class _Scatter:
    """The node of a base after an in-place change of one of its views: (old base, new values) -> new base."""

    name = "copy_slices"
    grad_name = "CopySlices"
    differentiable = 1
    holds = True  # the path alone, but PyTorch's refuses a second backward, too

    @staticmethod
    def pull(node: Any, g: Any) -> Any:
        path = _path(node)
        gr = copied(follow(g, path)) if node.next[1] is not None else None
        if node.next[0] is None:
            return None, gr
        gb = copied(g)
        clear(follow(gb, path))
        return gb, gr

    @staticmethod
    def pull_tensors(node: Any, g: Any) -> Any:
        path = _path(node)
        gr = g
        for op, params in path:
            gr = op(gr, *params)
        gb = g.clone()
        view = gb
        for op, params in path:
            view = op(view, *params)
        view.zero_()
        return gb, gr


SCATTER = _Scatter()
