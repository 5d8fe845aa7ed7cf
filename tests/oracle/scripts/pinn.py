"""A physics-informed network: Burgers' residual, a third-order equation, boundary terms, Adam first and LBFGS after."""

from collections import OrderedDict

import torch
import torch.nn as nn


class DNN(nn.Module):
    def __init__(self, layers):
        super().__init__()
        parts = []
        for i in range(len(layers) - 2):
            parts.append((f"layer_{i}", nn.Linear(layers[i], layers[i + 1])))
            parts.append((f"activation_{i}", nn.Tanh()))
        parts.append((f"layer_{len(layers) - 2}", nn.Linear(layers[-2], layers[-1])))
        self.layers = nn.Sequential(OrderedDict(parts))

    def forward(self, *xs):
        return self.layers(torch.cat(xs, dim=1))


def d(u, x):
    return torch.autograd.grad(u, x, grad_outputs=torch.ones_like(u), retain_graph=True, create_graph=True)[0]


def burgers(net, t, x, nu):
    u = net(t, x)
    return d(u, t) + u * d(u, x) - nu * d(d(u, x), x)


class PhysicsInformedNN:
    def __init__(self):
        self.dnn = DNN([2, 12, 12, 1])
        self.lambda_1 = torch.nn.Parameter(torch.tensor([0.0]))
        self.dnn.register_parameter("lambda_1", self.lambda_1)
        self.x_f = torch.rand(48, 1).mul_(2).sub_(1).requires_grad_()
        self.t_f = torch.rand(48, 1, requires_grad=True)
        self.x0 = torch.linspace(-1, 1, 20).reshape(-1, 1)
        self.u0 = -torch.sin(torch.pi * self.x0)
        self.tb = torch.rand(10, 1)
        self.iter = 0
        self.optimizer = torch.optim.LBFGS(
            self.dnn.parameters(),
            lr=1.0,
            max_iter=12,
            max_eval=30,
            history_size=10,
            tolerance_grad=1e-7,
            line_search_fn="strong_wolfe",
        )

    def loss_func(self):
        self.optimizer.zero_grad()
        loss_u = torch.mean((self.u0 - self.dnn(torch.zeros_like(self.x0), self.x0)) ** 2)
        ones = torch.ones_like(self.tb)
        loss_b = self.dnn(self.tb, ones).square().mean() + self.dnn(self.tb, -ones).square().mean()
        loss_f = torch.mean(burgers(self.dnn, self.t_f, self.x_f, 0.01 / torch.pi + self.lambda_1**2) ** 2)
        loss = loss_u + loss_b + loss_f
        loss.backward()
        self.iter += 1
        if self.iter % 8 == 0:
            print(
                f"Iter {self.iter}, Loss: {loss.item():.4e}, Loss_u: {loss_u.item():.4e}, Loss_f: {loss_f.item():.4e}"
            )
        return loss


torch.manual_seed(1234)
torch.set_default_dtype(torch.float64)
model = PhysicsInformedNN()
print(model.dnn)
adam = torch.optim.Adam(model.dnn.parameters(), lr=1e-2)
for _ in range(8):
    adam.step(model.loss_func)
model.optimizer.step(model.loss_func)
state = model.optimizer.state_dict()["state"][0]
print(sorted(state), state["func_evals"], state["n_iter"])

net = DNN([1, 10, 10, 1])
x = torch.linspace(0, 1, 16).view(-1, 1).requires_grad_(True)
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, "min", factor=0.5, patience=1, threshold=0.1)
for step in range(12):
    y = net(x)
    y1 = d(y, x)
    y3 = d(d(y1, x), x)
    residual = (y3 + 2 * y1 - torch.exp(-x)).pow(2).mean()
    start = torch.zeros(1, 1, requires_grad=True)
    at0 = net(start)
    loss = residual + (at0 - 1).pow(2).sum() + (d(at0, start)).pow(2).sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
    schedule.step(loss)
print("third order", f"{loss.item():.6f}", opt.param_groups[0]["lr"])
torch.set_default_dtype(torch.float32)
