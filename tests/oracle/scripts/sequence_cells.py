"""Loops over cells: a time series by LSTMCell and GRUCell, a copying task by an NTM-like memory, a hand-written ConvLSTM, TCN, ESN."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, parameters_to_vector, vector_to_parameters


class Sequence(nn.Module):
    def __init__(self, cell, hidden=16):
        super().__init__()
        self.hidden = hidden
        self.cell1, self.cell2 = cell(1, hidden), cell(hidden, hidden)
        self.linear = nn.Linear(hidden, 1)
        self.lstm = isinstance(self.cell1, nn.LSTMCell)

    def start(self, n) -> Tensor:
        h = torch.zeros(n, self.hidden, dtype=torch.double)
        return (h, torch.zeros_like(h)) if self.lstm else h

    def forward(self, input, future=0):
        outputs, a, b = [], self.start(input.size(0)), self.start(input.size(0))
        for input_t in input.split(1, dim=1):
            a = self.cell1(input_t, a)
            b = self.cell2(a[0] if self.lstm else a, b)
            output = self.linear(b[0] if self.lstm else b)
            outputs += [output]
        for _ in range(future):
            a = self.cell1(output, a)
            b = self.cell2(a[0] if self.lstm else a, b)
            output = self.linear(b[0] if self.lstm else b)
            outputs += [output]
        return torch.cat(outputs, dim=1)


class ConvLSTMCell(nn.Module):
    def __init__(self, cin, hidden, k=3):
        super().__init__()
        self.hidden = hidden
        self.conv = nn.Conv2d(cin + hidden, 4 * hidden, k, padding=k // 2)

    def forward(self, x, state=None):
        h, c = state or (x.new_zeros(x.size(0), self.hidden, *x.shape[2:]),) * 2
        i, f, o, g = torch.split(self.conv(torch.cat([x, h], dim=1)), self.hidden, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * torch.tanh(c), c


class Chomp(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        return x[:, :, : -self.size].contiguous()


def tcn(cin, channels, k=3):
    layers = []
    for i, c in enumerate(channels):
        pad = (k - 1) * 2**i
        conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(cin, c, k, padding=pad, dilation=2**i))
        layers += [conv, Chomp(pad), nn.ReLU(), nn.Dropout(0.1)]
        cin = c
    return nn.Sequential(*layers)


class Memory(nn.Module):
    def __init__(self, slots=6, width=8, bits=4):
        super().__init__()
        self.controller = nn.RNNCell(bits + width, 24, nonlinearity="relu")
        self.heads = nn.ModuleDict({"read": nn.Linear(24, width + 2), "write": nn.Linear(24, 3 * width + 2)})
        self.out, self.width = nn.Linear(24 + width, bits), width
        self.register_buffer("initial", torch.full((slots, width), 1e-3))
        nn.init.orthogonal_(self.controller.weight_hh)

    def address(self, memory, head, w):
        k, beta, gate = head[:, : self.width], F.softplus(head[:, -2:-1]), head[:, -1:].sigmoid()
        content = F.softmax(beta * F.cosine_similarity(memory, k.tanh().unsqueeze(1), dim=-1), dim=1)
        return gate * content + (1 - gate) * w.roll(1, dims=1)

    def forward(self, xs):
        n = xs.size(1)
        memory = self.initial.expand(n, -1, -1).clone()
        wr = ww = F.one_hot(torch.zeros(n, dtype=torch.long), memory.size(1)).to(xs)
        h, read, outs = None, xs.new_zeros(n, self.width), []
        for x in xs:
            h = self.controller(torch.cat([x, read], 1), h)
            head = self.heads["write"](h)
            ww = self.address(memory, head, ww)
            erase, add = head[:, self.width : 2 * self.width].sigmoid(), head[:, 2 * self.width : 3 * self.width].tanh()
            memory = memory * (1 - torch.einsum("ns,nw->nsw", ww, erase)) + torch.einsum("ns,nw->nsw", ww, add)
            wr = self.address(memory, self.heads["read"](h), wr)
            read = torch.bmm(wr.unsqueeze(1), memory).squeeze(1)
            outs.append(self.out(torch.cat([h, read], 1)))
        return torch.stack(outs)


torch.manual_seed(0)
t = torch.arange(30, dtype=torch.float64) + 4 * torch.randint(0, 5, (8, 1))
data = torch.sin(t / 3)
for cell in (nn.LSTMCell, nn.GRUCell, nn.RNNCell):
    seq = Sequence(cell).double()
    optimizer = torch.optim.LBFGS(seq.parameters(), lr=0.5, max_iter=4)
    for i in range(3):

        def closure():
            optimizer.zero_grad()
            loss = F.mse_loss(seq(data[2:, :-1]), data[2:, 1:])
            loss.backward()
            return loss

        loss = optimizer.step(closure)
    with torch.no_grad():
        pred = seq(data[:2, :-1], future=10)
    print(f"{cell.__name__} {loss.item():.6f} {pred.shape} {pred[:, -1].tolist()}")

cell, head = ConvLSTMCell(1, 6), nn.Conv2d(6, 1, 1)
frames = torch.zeros(6, 4, 1, 8, 8)
for i in range(6):
    frames[i, torch.arange(4), 0, i, torch.arange(4) + i % 4] = 1.0
opt = torch.optim.Adam([*cell.parameters(), *head.parameters()], lr=1e-2)
for step in range(6):
    state, loss = None, 0.0
    for now, after in zip(frames[:-1], frames[1:]):
        state = cell(now, state)
        loss = loss + F.binary_cross_entropy_with_logits(head(state[0]), after, pos_weight=torch.tensor(20.0))
    opt.zero_grad()
    loss.backward()
    opt.step()
print("convlstm", round(loss.item(), 5))

net = nn.Sequential(tcn(2, [8, 8]), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 1))
values, marks = torch.rand(32, 20), torch.zeros(32, 20).scatter_(1, torch.rand(32, 20).argsort(1)[:, :2], 1.0)
target = (values * marks).sum(1, keepdim=True)
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
for step in range(10):
    loss = F.mse_loss(net(torch.stack([values, marks], 1)), target)
    opt.zero_grad()
    loss.backward()
    clip_grad_norm_(net.parameters(), 0.5)
    opt.step()
print("tcn", round(loss.item(), 6))
flat = parameters_to_vector(net.parameters())
vector_to_parameters(flat * 0.5, net.parameters())
print("vector", flat.shape, torch.allclose(parameters_to_vector(net.parameters()) * 2, flat))

ntm = Memory()
opt = torch.optim.RMSprop(ntm.parameters(), lr=3e-3, alpha=0.95, momentum=0.9)
for step in range(6):
    bits = torch.randint(0, 2, (4, 16, 4)).float()
    out = ntm(torch.cat([bits, torch.zeros(4, 16, 4)]))[4:]
    loss = F.binary_cross_entropy(out.sigmoid(), bits)
    opt.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(ntm.parameters(), 10)
    opt.step()
print("memory", round(loss.item(), 5), ((out > 0) == bits.bool()).float().mean().item())

W = torch.randn(40, 40) * (torch.rand(40, 40) < 0.2)
W *= 0.9 / torch.linalg.eigvals(W).abs().max()
u, states, h = torch.sin(torch.arange(120) * 0.2), [], torch.zeros(40)
win = torch.empty(40).uniform_(-0.5, 0.5)
for v in u[:-1]:
    h = torch.tanh(W @ h + win * v)
    states.append(h)
X = torch.stack(states)[20:]
sol = torch.linalg.solve(X.T @ X + 1e-4 * torch.eye(40), X.T @ u[21:])
print("reservoir", math.log10((X @ sol - u[21:]).square().mean().item()) < -4)
