"""A neural ODE: fixed RK4 and adaptive Dormand-Prince steps, the adjoint by a custom autograd.Function, spirals fitted."""

import math

import torch
import torch.nn as nn


def rk4_step(f, t, y, h):
    k1 = f(t, y)
    k2 = f(t + h / 2, y + h / 2 * k1)
    k3 = f(t + h / 2, y + h / 2 * k2)
    k4 = f(t + h, y + h * k3)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def odeint(f, y0, ts):
    ys = [y0]
    for t0, t1 in zip(ts[:-1], ts[1:]):
        ys.append(rk4_step(f, t0, ys[-1], t1 - t0))
    return torch.stack(ys)


def dopri5(f, y, t0, t1, rtol=1e-5, atol=1e-6):
    A = [[], [1 / 5], [3 / 40, 9 / 40], [44 / 45, -56 / 15, 32 / 9]]
    A += [[19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729]]
    A += [[9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656]]
    b = torch.tensor([35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0], dtype=y.dtype)
    e = b - torch.tensor([5179 / 57600, 0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40], dtype=y.dtype)
    A += [b[:-1].tolist()]
    t, h, count = t0, (t1 - t0) / 10, 0
    while t < t1:
        h = min(h, t1 - t)
        ks = []
        for row in A:
            ks.append(f(t, y + h * sum((a * k for a, k in zip(row, ks)), torch.zeros_like(y))))
        k = torch.stack(ks)
        new = y + h * torch.tensordot(b, k, dims=1)
        err = h * torch.tensordot(e, k, dims=([0], [0]))
        ratio = (err / (atol + rtol * torch.maximum(y.abs(), new.abs()))).pow(2).mean().sqrt().item()
        if ratio <= 1:
            t, y = t + h, new
        h *= min(5.0, max(0.2, 0.9 * ratio ** (-1 / 5) if ratio > 0 else 5.0))
        count += 1
    return y, count


class OdeintAdjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx, func, y0, ts, *params):
        ctx.func = func
        with torch.no_grad():
            ys = odeint(func, y0, ts)
        ctx.save_for_backward(ts, ys, *params)
        return ys

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_ys):
        ts, ys, *params = ctx.saved_tensors
        func, shapes = ctx.func, [p.shape for p in params]
        adj, grads = grad_ys[-1].clone(), torch.zeros(sum(p.numel() for p in params))

        def augmented(t, state):
            y, a, _ = state[: adj.numel()], state[adj.numel() : 2 * adj.numel()], None
            with torch.enable_grad():
                y = y.view_as(adj).detach().requires_grad_(True)
                out = func(t, y)
                vjp = torch.autograd.grad(out, (y, *params), -a.view_as(adj), allow_unused=True)
            vjp = [torch.zeros_like(p) if g is None else g for g, p in zip(vjp, (y, *params))]
            return torch.cat([out.detach().flatten(), *[g.flatten() for g in vjp]])

        for i in range(len(ts) - 1, 0, -1):
            state = torch.cat([ys[i].flatten(), adj.flatten(), grads])
            state = rk4_step(augmented, ts[i], state, ts[i - 1] - ts[i])
            adj = state[adj.numel() : 2 * adj.numel()].view_as(adj) + grad_ys[i - 1]
            grads = state[2 * adj.numel() :]
        pieces = torch.split(grads, [math.prod(s) for s in shapes])
        return None, adj, None, *[g.view(s) for g, s in zip(pieces, shapes)]


class ODEFunc(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 20), nn.Tanh(), nn.Linear(20, 2))
        self.nfe = 0
        for m in self.net.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, mean=0, std=0.1)
                nn.init.constant_(m.bias, val=0)

    def forward(self, t, y):
        self.nfe += 1
        return self.net(y**3)


torch.manual_seed(0)
true_A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
ts = torch.linspace(0.0, 2.0, 21)
with torch.no_grad():
    true_y = odeint(lambda t, y: torch.mm(y**3, true_A), torch.tensor([[2.0, 0.0]]), ts)
print("true", true_y[-1])
func = ODEFunc()
optimizer = torch.optim.RMSprop(func.parameters(), lr=5e-3)
for itr in range(10):
    s = torch.from_numpy(torch.randperm(15).numpy()[:6]).long()
    y0, t = true_y[s], ts[:6]
    target = torch.stack([true_y[s + i] for i in range(6)], dim=0)
    optimizer.zero_grad()
    pred = odeint(func, y0, t)
    direct = torch.autograd.grad(torch.mean(torch.abs(pred - target)), list(func.parameters()))
    pred = OdeintAdjoint.apply(func, y0, t, *func.parameters())
    loss = torch.mean(torch.abs(pred - target))
    loss.backward()
    gap = max((a - p.grad).abs().max() / a.abs().max() for a, p in zip(direct, func.parameters()))
    optimizer.step()
    if itr % 3 == 0:
        print(f"Iter {itr:04d} | Loss {loss.item():.6f} | adjoint near {bool(gap < 1e-3)} | nfe {func.nfe}")
y, steps = dopri5(lambda t, y: y @ true_A.double(), torch.tensor([[1.0, 0.5]], dtype=torch.float64), 0.0, 3.0)
exact = torch.tensor([[1.0, 0.5]], dtype=torch.float64) @ torch.linalg.matrix_exp(3 * true_A.double())
print("dopri5", y, steps, torch.allclose(y, exact, atol=1e-4))
