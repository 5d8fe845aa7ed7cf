"""Mixed precision on the CPU: autocast to bfloat16, GradScaler, checkpointed blocks, accumulation, compiled functions, EMA."""

from contextlib import nullcontext

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.amp import GradScaler, autocast
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

# tolerance: 0.02 - bfloat16 has 8 bits; sums in products are rounded in another order


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm = nn.RMSNorm(d)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.seen = []

    def forward(self, x):
        h = self.up(self.norm(x))
        self.seen.append(str(h.dtype))
        return x + self.down(F.gelu(h))


class Net(nn.Module):
    def __init__(self, d=16, depth=3, use_checkpoint=False):
        super().__init__()
        self.embed = nn.Linear(8, d)
        self.blocks = nn.ModuleList(Block(d) for _ in range(depth))
        self.head = nn.Linear(d, 4)
        self.use_checkpoint = use_checkpoint

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.use_checkpoint and self.training else block(x)
        return self.head(x)


@torch.compile
def fused_loss(logits, target):
    return F.cross_entropy(logits.float(), target) + 1e-4 * logits.float().logsumexp(-1).square().mean()


torch.manual_seed(0)
x, y = torch.randn(32, 8), torch.randint(0, 4, (32,))
device_type = "cuda" if torch.cuda.is_available() else "cpu"
for precision in ("float32", "bfloat16"):
    torch.manual_seed(1)
    model = Net(use_checkpoint=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    ptdtype = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
    ctx = nullcontext() if precision == "float32" else autocast(device_type=device_type, dtype=ptdtype)
    scaler = GradScaler(device_type, enabled=precision == "float16")
    for step in range(6):
        for micro in range(2):
            with ctx:
                logits = model(x[micro::2])
                loss = fused_loss(logits, y[micro::2]) / 2
            scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
    print(
        precision,
        logits.dtype,
        f"{loss.item():.4f}",
        f"{norm.item():.3f}",
        set(model.blocks[0].seen),
        len(model.blocks[0].seen),
    )
    print({p.dtype for p in model.parameters()})

scaler = GradScaler("cpu", init_scale=2.0**10, growth_interval=2)
p = nn.Parameter(torch.ones(3))
opt = torch.optim.SGD([p], lr=0.1)
for k in range(5):
    opt.zero_grad()
    scaler.scale((p * p).sum() * (float("inf") if k == 3 else 1.0)).backward()
    scaler.step(opt)
    scaler.update()
    print(k, scaler.get_scale(), p.data)
print(scaler.state_dict())

with torch.autocast("cpu", dtype=torch.bfloat16):
    a, b = torch.randn(4, 4), torch.randn(4, 4)
    kinds = {
        "mm": a @ b, "linear": F.linear(a, b), "softmax": (a @ b).softmax(-1), "add": a + (a @ b),
        "layer_norm": F.layer_norm(a @ b, (4,)), "bmm": torch.bmm(a[None], b[None]), "exp": (a @ b).exp(),
        "mse": F.mse_loss(a @ b, b), "cat": torch.cat([a, a @ b]), "conv": F.conv1d(a[None], b[:, :, None]),
        "sum": (a @ b).sum(), "einsum": torch.einsum("ij,jk->ik", a, b), "sdpa": F.scaled_dot_product_attention(*[a[None]] * 3),
    }  # fmt: skip
    print({k: str(v.dtype) for k, v in kinds.items()})
    with torch.autocast("cpu", enabled=False):
        print((a @ b).dtype)
print(torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"))

blocks = nn.Sequential(*[Block(16) for _ in range(4)])
inp = torch.randn(2, 16, requires_grad=True)
out = checkpoint_sequential(blocks, 2, inp, use_reentrant=False)
out.sum().backward()
kept = inp.grad.clone()
inp.grad = None
blocks(inp).sum().backward()
print("checkpointed", torch.allclose(kept, inp.grad, atol=1e-6))

half = Net().to(torch.bfloat16)
print(half(x.bfloat16()).dtype, half.head.weight[0, :4])
print(half(x.to(half.head.weight)).float().norm())
print(torch.tensor([1.0, 1e-3, 3e5]).to(torch.float16), torch.finfo(torch.bfloat16))
master = [p.detach().clone().float() for p in half.parameters()]
F.cross_entropy(half(x.bfloat16()).float(), y).backward()
with torch.no_grad():
    for m, q in zip(master, half.parameters()):
        m.sub_(q.grad.float(), alpha=0.1)
        q.copy_(m)
print(f"{F.cross_entropy(half(x.bfloat16()).float(), y).item():.3f}")
compiled = torch.compile(Net(), mode="reduce-overhead", fullgraph=True)
print(sum(p.numel() for p in compiled.parameters()), compiled(x).shape, torch.compiler.is_compiling())
