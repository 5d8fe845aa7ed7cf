"""state_dict and load_state_dict: keys, memory, strictness, the full error text, assign, hooks, extra state."""

from __future__ import annotations

import pytest

import tritorch as torch
from tritorch import nn


def net():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_state_shares_memory_and_is_detached():
    model = net()
    state = model.state_dict()
    assert not state["0.weight"].requires_grad
    state["0.weight"].fill_(7)
    assert (model[0].weight == 7).all()
    assert model.state_dict(keep_vars=True)["0.weight"] is model[0].weight
    assert list(model.state_dict(prefix="m."))[0] == "m.0.weight"
    assert state._metadata == {"": {"version": 1}, "0": {"version": 1}, "1": {"version": 2}, "2": {"version": 1}}


def test_load_copies():
    a, b = net(), net()
    b[1].running_mean.fill_(3)
    kept = a[0].weight
    assert repr(a.load_state_dict(b.state_dict())) == "<All keys matched successfully>"
    assert a[0].weight is kept
    assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
    assert a[0].weight.data_ptr() != b[0].weight.data_ptr()


def test_the_full_error_text():
    model, state = net(), net().state_dict()
    del state["0.weight"]
    state["extra"] = torch.ones(1)
    state["1.more.inner"] = torch.ones(1)
    state["2.weight"] = torch.ones(5, 5)
    state["2.bias"] = [1, 2]
    with pytest.raises(RuntimeError) as info:
        model.load_state_dict(state)
    assert str(info.value) == (
        "Error(s) in loading state_dict for Sequential:\n"
        '\tMissing key(s) in state_dict: "0.weight". \n'
        '\tUnexpected key(s) in state_dict: "extra", "1.more.inner". \n'
        "\tsize mismatch for 2.weight: copying a param with shape torch.Size([5, 5]) from checkpoint, "
        "the shape in current model is torch.Size([2, 4]).\n"
        '\tWhile copying the parameter named "2.bias", expected torch.Tensor or Tensor-like object from checkpoint but '
        "received <class 'list'>"
    )


def test_not_strict():
    model, state = net(), net().state_dict()
    del state["0.weight"]
    state["extra"] = torch.ones(1)
    result = model.load_state_dict(state, strict=False)
    assert result.missing_keys == ["0.weight"]
    assert result.unexpected_keys == ["extra"]
    state["2.weight"] = torch.ones(5, 5)
    with pytest.raises(RuntimeError, match="size mismatch"):
        model.load_state_dict(state, strict=False)


def test_only_mappings():
    with pytest.raises(TypeError, match="dict-like"):
        net().load_state_dict([1])


def test_assign_takes_the_tensors_themselves():
    model, state = net(), {k: v.clone() for k, v in net().double().state_dict().items()}
    model[0].weight.requires_grad_(False)
    model.load_state_dict(state, assign=True)
    assert model[0].weight.dtype is torch.float64
    assert model[0].weight.data_ptr() == state["0.weight"].data_ptr()
    assert isinstance(model[0].weight, nn.Parameter)
    assert not model[0].weight.requires_grad
    assert model[2].weight.requires_grad
    assert model[1].running_mean is state["1.running_mean"]


def test_scalar_from_one_element():
    model = nn.Module()
    model.s = nn.Parameter(torch.tensor(1.0))
    model.load_state_dict({"s": torch.tensor([5.0])})
    assert model.s.item() == 5


def test_batch_norm_of_version_1_has_no_counter():
    model, state = nn.BatchNorm1d(2), nn.BatchNorm1d(2).state_dict()
    del state["num_batches_tracked"]
    state._metadata[""]["version"] = 1
    model.num_batches_tracked.fill_(9)
    model.load_state_dict(state)
    assert model.num_batches_tracked.item() == 9


def test_hooks():
    model, seen = net(), []
    model.register_state_dict_pre_hook(lambda m, prefix, keep: seen.append(prefix))
    model[0].register_state_dict_post_hook(
        lambda m, state, prefix, meta: state.update({f"{prefix}note": torch.ones(1)})
    )
    state = model.state_dict()
    assert seen == [""]
    assert "0.note" in state

    def rename(module, state, prefix, meta, strict, missing, unexpected, errors):
        state.pop(f"{prefix}note")

    model[0].register_load_state_dict_pre_hook(rename)
    model.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    given = dict(state)
    del state["2.bias"]
    with pytest.raises(RuntimeError, match="Unexpected"):
        model.load_state_dict({**given, "more": torch.ones(1)})
    model.load_state_dict(state)
    assert "0.note" in state  # the dict that was given is not changed

    model.register_state_dict_post_hook(lambda *args: 1)
    with pytest.raises(RuntimeError, match="must return None"):
        model.state_dict()


class Counted(nn.Module):
    def __init__(self):
        super().__init__()
        self.count = 0

    def get_extra_state(self):
        return {"count": self.count}

    def set_extra_state(self, state):
        self.count = state["count"]


def test_extra_state():
    a, b = nn.Sequential(Counted()), nn.Sequential(Counted())
    a[0].count = 5
    assert list(a.state_dict()) == ["0._extra_state"]
    b.load_state_dict(a.state_dict())
    assert b[0].count == 5
    with pytest.raises(RuntimeError, match='Missing key\\(s\\) in state_dict: "0._extra_state"'):
        b.load_state_dict({})
    with pytest.raises(RuntimeError, match="Unexpected"):
        nn.Sequential(nn.ReLU()).load_state_dict(a.state_dict())
    with pytest.raises(RuntimeError, match="does not define it"):
        nn.ReLU().get_extra_state()
