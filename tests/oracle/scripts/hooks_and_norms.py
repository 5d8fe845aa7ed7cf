"""Hooks on modules and tensors, weight and spectral norm, pruning, Grad-CAM, feature extraction, gradients looked into."""

from collections import defaultdict
from functools import partial

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.utils.prune as prune
from torch.nn.utils import parametrizations as P
from torch.nn.utils import parametrize


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3)
        self.conv2 = nn.Conv2d(6, 8, 3)
        self.fc1 = nn.Linear(8 * 2 * 2, 16)
        self.fc2 = nn.Linear(16, 3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(-1, int(x.nelement() / x.shape[0]))
        return self.fc2(F.relu(self.fc1(x)))


torch.manual_seed(0)
net = Net()
x, y = torch.randn(10, 1, 14, 14), torch.arange(10) % 3
seen = defaultdict(list)


def record(name, module, args, output):
    seen[name].append((tuple(args[0].shape), tuple(output.shape), round(output.mean().item(), 4)))


handles = [m.register_forward_hook(partial(record, n)) for n, m in net.named_modules() if n.startswith("conv")]
handles.append(net.fc1.register_forward_pre_hook(lambda m, args: (args[0] * 0.5,)))
handles.append(net.fc2.register_forward_hook(lambda m, a, k, out: out + 1, with_kwargs=True))
handles.append(net.fc1.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2,)))
grads = {}
net.conv1.weight.register_hook(lambda g: grads.__setitem__("conv1", g.norm()))
loss = F.cross_entropy(net(x), y)
loss.backward()
print(dict(seen))
print("loss", loss.item(), "grad", grads["conv1"].item(), net.conv1.weight.grad.abs().mean().item())
for h in handles:
    h.remove()
print(len(net.fc1._forward_pre_hooks), F.cross_entropy(net(x), y).item())

maps = {}


def keep(module, args, output):
    maps["a"] = output
    output.register_hook(lambda g: maps.__setitem__("g", g))


with torch.enable_grad():
    h = net.conv2.register_forward_hook(keep)
    score = net(x[:2])[torch.arange(2), y[:2]].sum()
    score.backward()
    h.remove()
weights = maps["g"].mean(dim=(2, 3), keepdim=True)
cam = F.relu((weights * maps["a"]).sum(1, keepdim=True))
cam = F.interpolate(cam, size=x.shape[2:], mode="bilinear", align_corners=False)
cam = (cam - cam.amin((1, 2, 3), True)) / (cam.amax((1, 2, 3), True) - cam.amin((1, 2, 3), True) + 1e-8)
print("cam", cam.shape, cam.mean().item())
z = torch.randn(3, requires_grad=True)
w = z * 2
w.retain_grad()
(w**2).sum().backward()
print("retained", torch.allclose(w.grad, 2 * w.detach()), w.grad_fn.name(), z.grad_fn)

net.fc1 = P.weight_norm(net.fc1, dim=0)
net.conv2 = P.spectral_norm(net.conv2, n_power_iterations=3)
net.fc2 = P.orthogonal(net.fc2) if hasattr(P, "orthogonal") else net.fc2
print(net)
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.5)
for step in range(4):
    opt.zero_grad()
    loss = F.cross_entropy(net(x), y)
    loss.backward()
    opt.step()
    print(f"{step}: {loss.item():.5f}")
print(sorted(net.state_dict())[:6])
q = net.fc2.weight
print("orthogonal", torch.allclose(q @ q.T, torch.eye(3), atol=1e-5))
net.eval()
top = torch.linalg.matrix_norm(net.conv2.weight.flatten(1), 2)
print("spectral", top.item(), parametrize.is_parametrized(net))
old = nn.utils.weight_norm(nn.Linear(4, 3), name="weight")
print(old.weight_g.shape, old.weight_v.shape, [k for k, _ in old.named_parameters()])
nn.utils.remove_weight_norm(old)

model = Net()
module = model.conv1
prune.random_unstructured(module, name="weight", amount=0.3)
prune.l1_unstructured(module, name="bias", amount=3)
print(sorted(k for k, _ in module.named_parameters()), [k for k, _ in module.named_buffers()], module.bias)
prune.ln_structured(module, name="weight", amount=0.5, n=2, dim=0)
print(
    "zeros",
    int((module.weight == 0).sum()),
    len(module._forward_pre_hooks),
    list(module._forward_pre_hooks.values())[-1]._tensor_name,
)
prune.remove(module, "weight")
params = ((model.conv2, "weight"), (model.fc1, "weight"), (model.fc2, "weight"))
prune.global_unstructured(params, pruning_method=prune.L1Unstructured, amount=0.2)
print([round(100.0 * float((m.weight == 0).sum()) / m.weight.nelement(), 2) for m, _ in params])
mask = torch.ones_like(model.fc2.weight)
mask[0] = 0
prune.custom_from_mask(model.fc2, "weight", mask)
print(model.fc2.weight[0].abs().sum().item(), prune.is_pruned(model), list(model.state_dict())[:5])
F.cross_entropy(model(x), y).backward()
print("masked gradient", model.fc2.weight_orig.grad[0].abs().sum().item(), model.fc1.weight_orig.grad.norm().item())
