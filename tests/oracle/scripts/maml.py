"""MAML on sine waves: functional_call, func.grad, vmap over tasks, per-sample gradients, and a plain inner loop beside it."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.func import functional_call, grad, grad_and_value, stack_module_state, vmap

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self, hidden=24):
        super().__init__()
        self.fc1 = nn.Linear(1, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, 1)

    def forward(self, x):
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


def tasks(n, k):
    amplitude = 0.1 + 4.9 * torch.rand(n, 1, 1)
    phase = torch.pi * torch.rand(n, 1, 1)
    x = -5 + 10 * torch.rand(n, 2 * k, 1)
    y = amplitude * torch.sin(x + phase)
    return x[:, :k], y[:, :k], x[:, k:], y[:, k:]


net = Net()
params = dict(net.named_parameters())


def inner_loss(params, x, y):
    return F.mse_loss(functional_call(net, params, (x,)), y)


def task_loss(params, x1, y1, x2, y2, alpha=0.05):
    grads = grad(inner_loss)(params, x1, y1)
    adapted = {k: params[k] - alpha * grads[k] for k in params}
    return inner_loss(adapted, x2, y2)


opt = torch.optim.Adam(params.values(), lr=1e-2)
for it in range(10):
    x1, y1, x2, y2 = tasks(8, 5)
    opt.zero_grad()
    losses = vmap(lambda a, b, c, e: task_loss(params, a, b, c, e))(x1, y1, x2, y2)
    loss = losses.mean()
    loss.backward()
    opt.step()
    if it % 3 == 0:
        print(f"iteration {it} loss {loss.item():.5f} spread {losses.std().item():.5f}")

meta = {k: v.detach() for k, v in params.items()}
by_func, value = grad_and_value(lambda p: task_loss(p, x1[0], y1[0], x2[0], y2[0]))(meta)

fast = {k: v.clone().requires_grad_() for k, v in meta.items()}
weights = list(fast.values())
h = lambda w, x: F.linear(F.relu(F.linear(F.relu(F.linear(x, w[0], w[1])), w[2], w[3])), w[4], w[5])
inner = F.mse_loss(h(weights, x1[0]), y1[0])
gs = torch.autograd.grad(inner, weights, create_graph=True)
outer = F.mse_loss(h([w - 0.05 * g for w, g in zip(weights, gs)], x2[0]), y2[0])
outer.backward()
print("value", torch.allclose(value, outer.detach(), atol=1e-5))
print("second order", all(torch.allclose(by_func[k], fast[k].grad, atol=1e-4) for k in fast))

per_sample = vmap(grad(inner_loss), in_dims=(None, 0, 0))(meta, x1[0][:, None], y1[0][:, None])
print({k: tuple(v.shape) for k, v in per_sample.items()})
norms = torch.stack([g.flatten(1).norm(dim=1) for g in per_sample.values()]).norm(dim=0)
clipped = {k: (g * (1.0 / norms.clamp(min=1.0)).view(-1, *[1] * (g.ndim - 1))).mean(0) for k, g in per_sample.items()}
print("norms", norms)
print("clipped", torch.cat([g.flatten() for g in clipped.values()]).norm().item())

models = [Net(8) for _ in range(3)]
stacked, buffers = stack_module_state(models)
base = Net(8)
batch = torch.randn(6, 1)
outs = vmap(lambda p, b, x: functional_call(base, (p, b), (x,)), in_dims=(0, 0, None))(stacked, buffers, batch)
print("ensemble", outs.shape, torch.allclose(outs[1], models[1](batch), atol=1e-6), outs.var(0).mean().item())
same = vmap(lambda p, b, x: functional_call(base, (p, b), (x,)), randomness="same")(
    stacked, buffers, torch.randn(3, 4, 1)
)
print(same.mean().item())
