"""The handle of a hook: removal, several dicts, pickling, no hold on what it belongs to."""

from __future__ import annotations

import gc
import pickle
import weakref
from collections import OrderedDict

import pytest

import tritorch as torch
from tritorch.utils.hooks import RemovableHandle


@pytest.mark.parametrize("kind", [dict, OrderedDict])
def test_removal(kind: type) -> None:
    hooks, extra = kind(), kind()
    handle = RemovableHandle(hooks, extra_dict=extra)
    hooks[handle.id] = extra[handle.id] = print
    handle.remove()
    handle.remove()
    assert not hooks and not extra
    with RemovableHandle(hooks, extra_dict=[extra]) as handle:
        hooks[handle.id] = extra[handle.id] = print
    assert not hooks and not extra


def test_ids_differ_and_the_dict_is_held_weakly() -> None:
    hooks: OrderedDict = OrderedDict()
    a, b = RemovableHandle(hooks), RemovableHandle(hooks)
    assert a.id != b.id and a.hooks_dict_ref() is hooks
    gone = weakref.ref(hooks)
    del hooks
    gc.collect()
    assert gone() is None and a.hooks_dict_ref() is None
    a.remove()


def test_pickled() -> None:
    hooks: OrderedDict = OrderedDict()
    handle = RemovableHandle(hooks)
    hooks[handle.id] = 1
    copy, kept = pickle.loads(pickle.dumps((handle, hooks)))
    assert copy.id == handle.id and kept == {handle.id: 1}
    copy.remove()
    assert not kept and hooks


def test_every_hook_gives_one() -> None:
    x, net = torch.ones(1, requires_grad=True), torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(net.parameters())
    for handle in (
        x.register_hook(print), x.register_post_accumulate_grad_hook(print), net.register_forward_hook(print),
        torch.nn.modules.module.register_module_forward_hook(print), optimizer.register_step_post_hook(print),
        torch.autograd.graph.register_multi_grad_hook([x], print),
    ):  # fmt: skip
        assert isinstance(handle, RemovableHandle)
        handle.remove()
