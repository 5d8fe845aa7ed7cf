"""Vision losses and geometry: a tiny detector with anchors, IoU and NMS, focal and dice losses, deformable sampling, keypoints."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def box_area(b):
    return (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])


def box_iou(a, b):
    lt = torch.max(a[:, None, :2], b[:, :2])
    rb = torch.min(a[:, None, 2:], b[:, 2:])
    wh = (rb - lt).clamp(min=0)
    inter = wh[..., 0] * wh[..., 1]
    union = box_area(a)[:, None] + box_area(b) - inter
    return inter / union, union


def giou(a, b):
    iou, union = box_iou(a, b)
    lt, rb = torch.min(a[:, None, :2], b[:, :2]), torch.max(a[:, None, 2:], b[:, 2:])
    area = (rb - lt).clamp(min=0).prod(2)
    return iou - (area - union) / area


def nms(boxes, scores, threshold):
    keep, order = [], scores.argsort(descending=True, stable=True)
    while order.numel() > 0:
        i = order[0]
        keep.append(i.item())
        if order.numel() == 1:
            break
        iou = box_iou(boxes[i][None], boxes[order[1:]])[0].squeeze(0)
        order = order[1:][iou <= threshold]
    return torch.as_tensor(keep)


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2):
    prob = inputs.sigmoid()
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p_t = prob * targets + (1 - prob) * (1 - targets)
    loss = ce * ((1 - p_t) ** gamma)
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    return loss.sum() / targets.sum().clamp(min=1)


def dice_loss(inputs, targets):
    inputs = inputs.sigmoid().flatten(1)
    numerator = 2 * (inputs * targets.flatten(1)).sum(1)
    denominator = inputs.sum(-1) + targets.flatten(1).sum(-1)
    return (1 - (numerator + 1) / (denominator + 1)).mean()


def soft_argmax(heat):
    n, k, h, w = heat.shape
    p = heat.view(n, k, -1).softmax(-1).view_as(heat)
    ys, xs = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
    return torch.stack([(p * xs).sum((2, 3)), (p * ys).sum((-2, -1))], -1)


class Detector(nn.Module):
    def __init__(self, anchors):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1), nn.BatchNorm2d(8, momentum=0.03), nn.SiLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU6()
        )
        self.lateral, self.smooth = nn.Conv2d(8, 16, 1), nn.Conv2d(16, 16, 3, padding=1)
        self.cls, self.reg = nn.Conv2d(16, 1, 1), nn.Conv2d(16, 4, 1)
        self.mask = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(16, 4, 1), nn.PixelShuffle(2))
        self.register_buffer("anchors", anchors)
        nn.init.constant_(self.cls.bias, -2.0)

    def forward(self, x):
        c1 = self.body[:3](x)
        c2 = self.body[3:](c1)
        p = self.smooth(self.lateral(c1) + F.interpolate(c2, size=c1.shape[-2:], mode="nearest"))
        p2 = F.max_pool2d(p, 2)
        delta = self.reg(p2).permute(0, 2, 3, 1).flatten(1, 2)
        wh = self.anchors[:, 2:] - self.anchors[:, :2]
        centre = self.anchors[:, :2] + 0.5 * wh + delta[..., :2] * wh
        size = wh * delta[..., 2:].clamp(max=2.0).exp()
        boxes = torch.cat([centre - size / 2, centre + size / 2], -1)
        return self.cls(p2).flatten(1), boxes, self.mask(p2)[:, 0]


torch.manual_seed(0)
shift = torch.arange(4) * 4 + 2.0
cy, cx = torch.meshgrid(shift, shift, indexing="ij")
centres = torch.stack([cx, cy], -1).reshape(-1, 2)
anchors = torch.cat([centres - 3, centres + 3], 1)
corner = torch.randint(0, 9, (24, 2)).float()
extent = torch.randint(4, 8, (24, 2)).float()
truth = torch.cat([corner, corner + extent], 1)
grid = torch.arange(16.0)
inside = lambda b: ((grid >= b[0]) & (grid < b[2]))[None, :] & ((grid >= b[1]) & (grid < b[3]))[:, None]
masks = torch.stack([inside(b) for b in truth]).float()
images = masks[:, None] + 0.1 * torch.randn(24, 1, 16, 16)
model = Detector(anchors)
opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.CyclicLR(opt, base_lr=0.005, max_lr=0.03, step_size_up=4, cycle_momentum=False)
best = box_iou(anchors, truth)[0].argmax(0)
for step in range(12):
    logits, boxes, mask = model(images)
    labels = F.one_hot(best, len(anchors)).float()
    picked = boxes[torch.arange(24), best]
    l1 = F.smooth_l1_loss(picked, truth, beta=1.0 / 9)
    loss_giou = (1 - torch.diag(giou(picked, truth))).mean()
    seg = dice_loss(mask, masks) + sigmoid_focal_loss(mask, masks)
    loss = sigmoid_focal_loss(logits, labels) + 0.1 * l1 + loss_giou + seg
    opt.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm=5.0, error_if_nonfinite=True)
    opt.step()
    scheduler.step()
    if step % 4 == 3:
        print(
            f"{step}: {loss.item():.5f} giou {loss_giou.item():.5f} seg {seg.item():.5f} lr {scheduler.get_last_lr()[0]:.5f}"
        )
model.eval()
with torch.no_grad():
    logits, boxes, mask = model(images[:3])
    for s, b in zip(logits.sigmoid(), boxes):
        kept = nms(b, s, 0.3)
        print(kept[:5].tolist(), torch.round(b[kept[0]], decimals=2))
    inter = ((mask > 0) & masks[:3].bool()).flatten(1).sum(1)
    print("iou", inter / ((mask > 0) | masks[:3].bool()).flatten(1).sum(1))

heat = torch.zeros(2, 3, 8, 8, requires_grad=True)
goal = torch.rand(2, 3, 2) * 1.6 - 0.8
opt = torch.optim.Adam([heat], lr=0.5)
for _ in range(20):
    loss = F.mse_loss(soft_argmax(heat), goal)
    opt.zero_grad()
    loss.backward()
    opt.step()
print("keypoints", loss.item())

feature, offset = torch.randn(1, 4, 8, 8, requires_grad=True), torch.zeros(1, 8, 8, 2, requires_grad=True)
base = F.affine_grid(torch.eye(2, 3)[None], (1, 4, 8, 8), align_corners=True)
warped = F.grid_sample(
    feature, base + 0.2 * offset.tanh() + 0.05, mode="bicubic", padding_mode="border", align_corners=True
)
warped.square().mean().backward()
print("deformable", offset.grad.norm().item(), feature.grad.norm().item())
patches = F.unfold(images[:2], kernel_size=4, stride=4)
print("fold", torch.equal(F.fold(patches, (16, 16), 4, stride=4), images[:2]), patches.shape)
edges = F.conv2d(images[:1], torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])[None, None], padding="same")
blur = F.avg_pool2d(F.pad(images[:1], (1, 1, 1, 1), mode="circular"), 3, stride=1)
print(
    edges.abs().mean().item(),
    (blur.var() / images[:1].var()).item(),
    F.interpolate(images[:1], size=(5, 7), mode="area").sum().item(),
)
ssim_mu = F.conv2d(images[:1], torch.ones(1, 1, 5, 5) / 25, groups=1)
print(
    ssim_mu.shape,
    torch.fft.fftshift(torch.fft.fft2(images[0, 0]).abs().log1p())[8, 8].item(),
    torch.rot90(masks[0], 1, (0, 1)).sum(),
)
