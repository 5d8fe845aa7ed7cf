"""Graph networks on edge lists: GCN by index_add_, GAT by scatter softmax, GIN, pooling by graph, a dense adjacency check."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def softmax_by(values, index, n):
    top = torch.full((n, *values.shape[1:]), float("-inf")).scatter_reduce(
        0, index[:, None].expand_as(values), values.detach(), reduce="amax", include_self=True
    )
    e = (values - top[index]).exp()
    total = torch.zeros(n, *values.shape[1:]).index_add(0, index, e)
    return e / (total[index] + 1e-16)


class GCNConv(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(cin, cout))
        self.bias = nn.Parameter(torch.zeros(cout))
        nn.init.xavier_uniform_(self.weight, gain=nn.init.calculate_gain("relu"))

    def forward(self, x, edge_index):
        row, col = edge_index
        deg = torch.bincount(col, minlength=x.size(0)).to(x.dtype)
        inv = deg.pow(-0.5)
        inv.masked_fill_(torch.isinf(inv), 0)
        x = x @ self.weight
        out = torch.zeros_like(x)
        out.index_add_(0, col, x[row] * (inv[row] * inv[col]).unsqueeze(-1))
        return out + self.bias


class GATConv(nn.Module):
    def __init__(self, cin, cout, heads=2, slope=0.2, dropout=0.2):
        super().__init__()
        self.heads, self.cout, self.slope, self.dropout = heads, cout, slope, dropout
        self.lin = nn.Linear(cin, heads * cout, bias=False)
        self.att = nn.ParameterDict({k: nn.Parameter(torch.randn(1, heads, cout) * 0.3) for k in ("src", "dst")})
        nn.init.xavier_normal_(self.lin.weight)

    def forward(self, x, edge_index):
        row, col = edge_index[0], edge_index[1]
        h = self.lin(x).view(-1, self.heads, self.cout)
        alpha = (h * self.att["src"]).sum(-1)[row] + (h * self.att["dst"]).sum(-1)[col]
        alpha = softmax_by(F.leaky_relu(alpha, self.slope), col, x.size(0))
        alpha = F.dropout(alpha, p=self.dropout, training=self.training)
        messages = h.index_select(0, row) * alpha[..., None]
        out = h.new_zeros(h.shape).scatter_add_(0, col.view(-1, 1, 1).expand_as(messages), messages)
        return out.flatten(1)


class GIN(nn.Module):
    def __init__(self, cin, hidden):
        super().__init__()
        self.eps = nn.Parameter(torch.Tensor([0.0]))
        self.mlp = nn.Sequential(nn.Linear(cin, hidden), nn.BatchNorm1d(hidden), nn.PReLU(), nn.Linear(hidden, hidden))
        self.out = nn.Linear(3 * hidden, 2)

    def forward(self, x, edge_index, batch, n):
        row, col = edge_index
        h = self.mlp((1 + self.eps) * x + torch.zeros_like(x).index_add_(0, col, x[row]))
        index = batch[:, None].expand_as(h)
        pooled = [
            torch.zeros(n, h.size(1)).scatter_reduce_(0, index, h, reduce=how, include_self=False)
            for how in ("sum", "mean", "amax")
        ]
        return self.out(torch.cat(pooled, 1))


torch.manual_seed(12345)
n = 30
label = torch.arange(n) // 10
prob = torch.where(label[:, None] == label[None, :], 0.5, 0.05)
adj = torch.triu(torch.rand(n, n) < prob, diagonal=1)
edges = adj.nonzero(as_tuple=False).t().contiguous()
edges = torch.cat([edges, edges.flip(0), torch.arange(n).repeat(2, 1)], dim=1)
edges = torch.unique(edges, dim=1)
print("edges", edges.shape, torch.bincount(edges[1]).tolist())
x = torch.eye(n)[:, torch.randperm(n)[:12]] + 0.1 * torch.randn(n, 12)
train_mask = torch.zeros(n, dtype=torch.bool).scatter_(0, torch.randperm(n)[:12], True)
for conv1, conv2 in ((GCNConv(12, 8), GCNConv(8, 3)), (GATConv(12, 4), GATConv(8, 3, heads=1))):
    model = nn.ModuleList([conv1, conv2])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02, weight_decay=5e-4)
    for epoch in range(20):
        model.train()
        h = F.dropout(F.elu(conv1(x, edges)), p=0.3, training=True)
        logits = conv2(h, edges)
        loss = F.nll_loss(F.log_softmax(logits, dim=1)[train_mask], label[train_mask])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    pred = conv2(F.elu(conv1(x, edges)), edges).argmax(dim=1)
    acc = int((pred[~train_mask] == label[~train_mask]).sum()) / int((~train_mask).sum())
    print(type(conv1).__name__, f"loss {loss:.4f} acc {acc:.4f}", torch.bincount(pred, minlength=3))
dense = torch.zeros(n, n)
dense[edges[1], edges[0]] = 1.0
norm = dense.sum(1).rsqrt().diag()
print("dense agrees", torch.allclose(norm @ dense @ norm @ x @ model[0].lin.weight[:, :12].T, torch.zeros(n, 8)
      .index_add_(0, edges[1], (x @ model[0].lin.weight.T)[edges[0]] * (norm.diag()[edges[0]] * norm.diag()[edges[1]])[:, None]),
      atol=1e-5))  # fmt: skip

gin, batch = GIN(12, 8), torch.arange(n).div(5, rounding_mode="floor")
opt = torch.optim.Adagrad(gin.parameters(), lr=0.05)
y = torch.tensor([0, 1, 0, 1, 1, 0])
for _ in range(10):
    opt.zero_grad()
    loss = F.multi_margin_loss(gin(x, edges, batch, 6), y, margin=0.5)
    loss.backward()
    opt.step()
print(f"gin {loss.item():.5f} eps {gin.eps.item():.4f} prelu {gin.mlp[2].weight.item():.4f}")
