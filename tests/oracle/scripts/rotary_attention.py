"""A Llama-like decoder: rotary embeddings by complex numbers, grouped heads, KV cache, SDPA with masks, top-p sampling, beams."""

import math
from typing import Optional, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F


class RMSNorm(torch.nn.Module):
    def __init__(self, dim: int, eps: float = 1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def _norm(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)

    def forward(self, x):
        return self._norm(x.float()).type_as(x) * self.weight


def precompute_freqs_cis(dim: int, end: int, theta: float = 10000.0):
    freqs = 1.0 / (theta ** (torch.arange(0, dim, 2)[: (dim // 2)].float() / dim))
    t = torch.arange(end, device=freqs.device)
    freqs = torch.outer(t, freqs).float()
    return torch.polar(torch.ones_like(freqs), freqs)


def reshape_for_broadcast(freqs_cis: torch.Tensor, x: torch.Tensor):
    ndim = x.ndim
    assert freqs_cis.shape == (x.shape[1], x.shape[-1])
    shape = [d if i == 1 or i == ndim - 1 else 1 for i, d in enumerate(x.shape)]
    return freqs_cis.view(*shape)


def apply_rotary_emb(xq: torch.Tensor, xk: torch.Tensor, freqs_cis: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
    xq_ = torch.view_as_complex(xq.float().reshape(*xq.shape[:-1], -1, 2))
    xk_ = torch.view_as_complex(xk.float().reshape(*xk.shape[:-1], -1, 2))
    freqs_cis = reshape_for_broadcast(freqs_cis, xq_)
    xq_out = torch.view_as_real(xq_ * freqs_cis).flatten(3)
    xk_out = torch.view_as_real(xk_ * freqs_cis).flatten(3)
    return xq_out.type_as(xq), xk_out.type_as(xk)


def repeat_kv(x: torch.Tensor, n_rep: int) -> torch.Tensor:
    bs, slen, n_kv_heads, head_dim = x.shape
    if n_rep == 1:
        return x
    return (
        x[:, :, :, None, :]
        .expand(bs, slen, n_kv_heads, n_rep, head_dim)
        .reshape(bs, slen, n_kv_heads * n_rep, head_dim)
    )


class Attention(nn.Module):
    def __init__(self, dim=32, heads=4, kv=2, max_len=32):
        super().__init__()
        self.heads, self.kv, self.hd = heads, kv, dim // heads
        self.wq = nn.Linear(dim, heads * self.hd, bias=False)
        self.wk, self.wv = (nn.Linear(dim, kv * self.hd, bias=False) for _ in range(2))
        self.wo = nn.Linear(dim, dim, bias=False)
        self.cache: Optional[Tuple[torch.Tensor, torch.Tensor]] = None
        self.max_len = max_len

    def forward(self, x, start_pos, freqs_cis, mask):
        b, t, _ = x.shape
        q, k, v = (
            self.wq(x).view(b, t, self.heads, -1),
            self.wk(x).view(b, t, self.kv, -1),
            self.wv(x).view(b, t, self.kv, -1),
        )
        q, k = apply_rotary_emb(q, k, freqs_cis)
        if not self.training:
            if self.cache is None or start_pos == 0:
                self.cache = (
                    torch.zeros(b, self.max_len, self.kv, self.hd),
                    torch.zeros(b, self.max_len, self.kv, self.hd),
                )
            self.cache[0][:b, start_pos : start_pos + t] = k
            self.cache[1][:b, start_pos : start_pos + t] = v
            k, v = self.cache[0][:b, : start_pos + t], self.cache[1][:b, : start_pos + t]
        k, v = repeat_kv(k, self.heads // self.kv), repeat_kv(v, self.heads // self.kv)
        q, k, v = (y.transpose(1, 2) for y in (q, k, v))
        if self.training:
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = torch.matmul(q, k.transpose(2, 3)) / math.sqrt(self.hd)
            if mask is not None:
                scores = scores + mask
            out = torch.matmul(F.softmax(scores.float(), dim=-1).type_as(q), v)
        return self.wo(out.transpose(1, 2).contiguous().view(b, t, -1))


class Block(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.attention = Attention(dim)
        self.w1, self.w2, self.w3 = (
            nn.Linear(dim, 64, bias=False),
            nn.Linear(64, dim, bias=False),
            nn.Linear(dim, 64, bias=False),
        )
        self.n1, self.n2 = RMSNorm(dim), RMSNorm(dim)

    def forward(self, x, *args):
        h = x + self.attention(self.n1(x), *args)
        return h + self.w2(F.silu(self.w1(self.n2(h))) * self.w3(self.n2(h)))


class Transformer(nn.Module):
    def __init__(self, vocab=12, dim=32):
        super().__init__()
        self.tok = nn.Embedding(vocab, dim)
        self.layers = torch.nn.ModuleList(Block(dim) for _ in range(2))
        self.norm, self.output = RMSNorm(dim), nn.Linear(dim, vocab, bias=False)
        self.freqs_cis = precompute_freqs_cis(dim // 4, 32)

    def forward(self, tokens: torch.Tensor, start_pos: int = 0):
        _, t = tokens.shape
        h = self.tok(tokens)
        mask = None
        if t > 1:
            mask = torch.full((t, t), float("-inf"), device=tokens.device)
            mask = torch.triu(mask, diagonal=1)
            mask = torch.hstack([torch.zeros((t, start_pos), device=tokens.device), mask]).type_as(h)
        for layer in self.layers:
            h = layer(h, start_pos, self.freqs_cis[start_pos : start_pos + t], mask)
        return self.output(self.norm(h)).float()


def sample_top_p(probs, p):
    probs_sort, probs_idx = torch.sort(probs, dim=-1, descending=True)
    probs_sum = torch.cumsum(probs_sort, dim=-1)
    mask = probs_sum - probs_sort > p
    probs_sort[mask] = 0.0
    probs_sort.div_(probs_sort.sum(dim=-1, keepdim=True))
    return torch.gather(probs_idx, -1, torch.multinomial(probs_sort, num_samples=1))


torch.manual_seed(0)
model = Transformer()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1)
start = torch.randint(12, (64, 1))
data = (start + torch.arange(13) * (start % 3 + 1)) % 12
for step in range(15):
    rows = data[torch.randperm(64)[:16]]
    loss = F.cross_entropy(model(rows[:, :-1]).transpose(1, 2), rows[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 4:
        print(f"step {step + 1}: {loss.item():.5f}")
model.eval()
with torch.inference_mode():
    full = model(data[:2])
    pieces = torch.cat([model(data[:2, :5]), *[model(data[:2, i : i + 1], i) for i in range(5, 13)]], 1)
    print("cache agrees", torch.allclose(full, pieces, atol=1e-4))
    tokens = torch.full((3, 12), -1)
    tokens[:, :3] = data[[0, 5, 9], :3]
    prev = 0
    for cur in range(3, 12):
        logits = model(tokens[:, prev:cur], prev)
        tokens[:, cur] = sample_top_p(torch.softmax(logits[:, -1] / 0.6, dim=-1), 0.9).reshape(-1)
        prev = cur
    print(tokens)
    beams, scores = data[:1, :3].repeat(3, 1), torch.tensor([0.0, -1e9, -1e9])
    for _ in range(5):
        logp = F.log_softmax(model(beams)[:, -1], -1) + scores[:, None]
        scores, flat = logp.view(-1).topk(3)
        beams = torch.cat([beams[flat // 12], (flat % 12)[:, None]], 1)
    print(beams.tolist(), scores)

q, k, v = (torch.randn(2, 4, 6, 8) for _ in range(3))
bias = -torch.tensor([0.5, 0.25, 0.125, 0.0625]).view(4, 1, 1) * (torch.arange(6)[:, None] - torch.arange(6)).abs()
keep = torch.ones(6, 6, dtype=torch.bool).tril().triu(-2)
print(F.scaled_dot_product_attention(q, k, v, attn_mask=bias).norm().item())
print(F.scaled_dot_product_attention(q, k, v, attn_mask=keep, scale=0.2).norm().item())
print(F.scaled_dot_product_attention(q, k[:, :2], v[:, :2], enable_gqa=True).norm().item())
out, lse = torch.zeros_like(q), torch.full((2, 4, 6, 1), -torch.inf)
for ks, vs in zip(k.split(2, 2), v.split(2, 2)):
    s = q @ ks.mT / 8**0.5
    new = torch.logaddexp(lse, s.logsumexp(-1, keepdim=True))
    out = out * (lse - new).exp() + (s - new).exp() @ vs
    lse = new
print("online softmax", torch.allclose(out, F.scaled_dot_product_attention(q, k, v), atol=1e-5))
