"""A mixture of experts: noisy top-k gates, capacity, dispatch by one_hot and index_add_, load-balancing and z losses."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Expert(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.w1, self.w2, self.w3 = nn.Linear(d, h, False), nn.Linear(h, d, False), nn.Linear(d, h, False)

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class SparseMoe(nn.Module):
    def __init__(self, d=16, h=32, experts=4, k=2):
        super().__init__()
        self.n, self.k = experts, k
        self.gate = nn.Linear(d, experts, bias=False)
        self.noise = nn.Linear(d, experts, bias=False)
        self.experts = nn.ModuleList(Expert(d, h) for _ in range(experts))

    def forward(self, hidden):
        b, t, d = hidden.shape
        x = hidden.view(-1, d)
        logits = self.gate(x)
        if self.training:
            logits = logits + torch.randn_like(logits) * F.softplus(self.noise(x))
        probs = F.softmax(logits, dim=1, dtype=torch.float)
        weights, chosen = torch.topk(probs, self.k, dim=-1)
        weights /= weights.sum(dim=-1, keepdim=True)
        weights = weights.to(hidden.dtype)
        final = torch.zeros((b * t, d), dtype=hidden.dtype, device=hidden.device)
        mask = F.one_hot(chosen, num_classes=self.n).permute(2, 1, 0)
        hit = torch.greater(mask.sum(dim=(-1, -2)), 0).nonzero()
        for e in hit:
            idx, top_x = torch.where(mask[e].squeeze(0))
            current = x[None, top_x].reshape(-1, d)
            out = self.experts[e](current) * weights[top_x, idx, None]
            final.index_add_(0, top_x, out.to(hidden.dtype))
        share = mask.sum(1).float().mean(-1)
        balance = self.n * (share * probs.mean(0)).sum() / self.k
        z = torch.logsumexp(logits, dim=-1).square().mean()
        return final.reshape(b, t, d), balance, z, share


class SwitchMoe(nn.Module):
    """Top-1 with a capacity, all experts as one batched product."""

    def __init__(self, d=16, h=32, experts=4, capacity=1.25):
        super().__init__()
        self.n, self.capacity = experts, capacity
        self.router = nn.Linear(d, experts)
        self.w1 = nn.Parameter(torch.stack([nn.init.xavier_uniform_(torch.empty(d, h)) for _ in range(experts)]))
        self.w2 = nn.Parameter(torch.stack([nn.init.xavier_uniform_(torch.empty(h, d)) for _ in range(experts)]))

    def forward(self, x):
        s, d = x.shape
        cap = int(self.capacity * s / self.n)
        gates = self.router(x).softmax(-1)
        index = gates.argmax(-1)
        onehot = F.one_hot(index, self.n)
        place = torch.cumsum(onehot, dim=0) * onehot - 1
        kept = (place < cap) & (place >= 0)
        where = F.one_hot(place.clamp(0, cap - 1), cap) * kept.unsqueeze(-1)
        combine = gates[:, :, None] * where
        inside = torch.einsum("sec,sm->ecm", combine.bool().to(x), x)
        h = torch.bmm(F.gelu(torch.bmm(inside, self.w1)), self.w2)
        return torch.einsum("sec,ecm->sm", combine, h), (~kept.any(-1)).sum()


torch.manual_seed(0)
moe, head = SparseMoe(), nn.Linear(16, 3)
print(moe)
optimizer = torch.optim.AdamW([*moe.parameters(), *head.parameters()], lr=3e-3, weight_decay=0.1)
x, y = torch.randn(8, 6, 16), torch.randint(0, 3, (8, 6))
for step in range(12):
    out, balance, z, share = moe(x)
    task = F.cross_entropy(head(x + out).flatten(0, 1), y.flatten())
    loss = task + 1e-2 * balance + 1e-3 * z
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 4 == 0:
        print(f"{step}: task {task:.4f} balance {balance:.4f} z {z:.4f} share {[round(v, 4) for v in share.tolist()]}")
unused = [n for n, p in moe.named_parameters() if p.grad is None]
print("without gradient", unused)
moe.eval()
print("eval", moe(x)[0].norm())

switch = SwitchMoe()
opt = torch.optim.Adafactor(switch.parameters(), lr=1e-2)
tokens = x.flatten(0, 1)
for step in range(8):
    out, dropped = switch(tokens)
    loss = F.mse_loss(out, tokens.roll(1, dims=-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 3 == 0:
        print(f"switch {step}: {loss.item():.5f} dropped {dropped.item()}")
