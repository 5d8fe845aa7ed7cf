"""LoRA: adapters by parametrize and by replacing layers, requires_grad toggled, merging, saved apart, strict=False."""

import io
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.utils.parametrize as parametrize


class LoRAParametrization(nn.Module):
    def __init__(self, features_in, features_out, rank=1, alpha=1):
        super().__init__()
        self.lora_A = nn.Parameter(torch.zeros((rank, features_out)))
        self.lora_B = nn.Parameter(torch.zeros((features_in, rank)))
        nn.init.normal_(self.lora_A, mean=0, std=1)
        self.scale = alpha / rank
        self.enabled = True

    def forward(self, original_weights):
        if self.enabled:
            return original_weights + torch.matmul(self.lora_B, self.lora_A).view(original_weights.shape) * self.scale
        return original_weights


class LoRALinear(nn.Module):
    def __init__(self, linear, r=2, alpha=4, dropout=0.1):
        super().__init__()
        self.linear = linear
        self.a = nn.Parameter(linear.weight.new_empty(r, linear.in_features))
        self.b = nn.Parameter(linear.weight.new_zeros(linear.out_features, r))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))
        self.drop, self.scaling = nn.Dropout(dropout), alpha / r
        for p in linear.parameters():
            p.requires_grad_(False)

    def forward(self, x):
        return self.linear(x) + F.linear(F.linear(self.drop(x), self.a), self.b) * self.scaling

    @torch.no_grad()
    def merge(self):
        self.linear.weight.addmm_(self.b, self.a, alpha=self.scaling)
        return self.linear


def replace(module, kind, make):
    for name, child in module.named_children():
        if isinstance(child, kind):
            setattr(module, name, make(child))
        else:
            replace(child, kind, make)


def fit(model, x, y, steps, lr):
    params = [p for p in model.parameters() if p.requires_grad]
    opt = torch.optim.Adam(params, lr=lr)
    for _ in range(steps):
        loss = F.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
    return loss.item()


torch.manual_seed(0)
net = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Sequential(nn.Linear(20, 20), nn.ReLU()), nn.Linear(20, 4))
x = torch.randn(64, 10)
y = (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()
print("pretrained", round(fit(net, x, y, 20, 1e-2), 5))
frozen = {n: p.clone().detach() for n, p in net.named_parameters()}

for layer in (net[0], net[2][0], net[3]):
    a, b = layer.weight.shape
    parametrize.register_parametrization(layer, "weight", LoRAParametrization(a, b, rank=2, alpha=2))
for name, p in net.named_parameters():
    if "lora" not in name:
        p.requires_grad = False
print(net[0], parametrize.is_parametrized(net[0], "weight"))
total = sum(p.numel() for p in net.parameters())
lora = sum(p.nelement() for n, p in net.named_parameters() if "lora" in n)
print(f"parameters {total}, of LoRA {lora}, increment {lora / (total - lora) * 100:.3f}%")
y2 = (y + 1) % 4
print("tuned", round(fit(net, x, y2, 15, 2e-2), 5))
assert torch.all(net[0].parametrizations.weight.original == frozen["0.weight"])
print("same bias", torch.equal(net[3].bias, frozen["3.bias"]))
for layer in (net[0], net[2][0], net[3]):
    layer.parametrizations["weight"][0].enabled = False
with torch.no_grad():
    print("off", round(F.cross_entropy(net(x), y).item(), 5))
for layer in (net[0], net[2][0], net[3]):
    layer.parametrizations["weight"][0].enabled = True
with parametrize.cached():
    before = net(x).detach()
for layer in (net[0], net[2][0], net[3]):
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
print("removed", torch.allclose(net(x), before, atol=1e-5), type(net[0]).__name__)

net.load_state_dict(frozen)
net.requires_grad_(False)
replace(net, nn.Linear, LoRALinear)
print(net)
print(sorted(n for n, p in net.named_parameters() if p.requires_grad))
print("replaced", round(fit(net, x, y2, 15, 2e-2), 5))
adapter = {k: v for k, v in net.state_dict().items() if k.endswith((".a", ".b"))}
buffer = io.BytesIO()
torch.save(adapter, buffer)
buffer.seek(0)
fresh = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Sequential(nn.Linear(20, 20), nn.ReLU()), nn.Linear(20, 4))
fresh.load_state_dict(frozen)
replace(fresh, nn.Linear, LoRALinear)
result = fresh.load_state_dict(torch.load(buffer, weights_only=True), strict=False)
print(result.missing_keys, result.unexpected_keys)
net.eval(), fresh.eval()
out = net(x)
print("loaded", torch.equal(out, fresh(x)))
replace(fresh, LoRALinear, LoRALinear.merge)
print("merged", torch.allclose(out, fresh(x), atol=1e-5), list(fresh.state_dict())[:2])
try:
    fresh.load_state_dict(adapter)
except RuntimeError as error:
    print(str(error).splitlines()[0], len(str(error).splitlines()))
