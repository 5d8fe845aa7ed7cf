"""A small ResNet: zero-init residuals, label smoothing, Nesterov, StepLR, augmentation by flips and crops, confusion matrix."""

from typing import Optional

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset, random_split


def conv3x3(cin: int, cout: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(cin, cout, kernel_size=3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    expansion: int = 1

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: Optional[nn.Module] = None) -> None:
        super().__init__()
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, layers: list[int], num_classes: int = 4, width: int = 8) -> None:
        super().__init__()
        self.inplanes = width
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        )
        for i, n in enumerate(layers):
            setattr(self, f"layer{i + 1}", self._make_layer(width * 2**i, n, stride=1 + (i > 0)))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(self.inplanes, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)
        for m in self.modules():
            if isinstance(m, BasicBlock):
                nn.init.constant_(m.bn2.weight, 0)

    def _make_layer(self, planes: int, blocks: int, stride: int) -> nn.Sequential:
        downsample = None
        if stride != 1 or self.inplanes != planes:
            downsample = nn.Sequential(
                nn.Conv2d(self.inplanes, planes, 1, stride=stride, bias=False), nn.BatchNorm2d(planes)
            )
        layers = [BasicBlock(self.inplanes, planes, stride, downsample)]
        self.inplanes = planes
        layers += [BasicBlock(planes, planes) for _ in range(1, blocks)]
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.layer2(self.layer1(x))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def augment(x: Tensor) -> Tensor:
    flip = torch.rand(x.size(0)) < 0.5
    x = torch.where(flip[:, None, None, None], x.flip(-1), x)
    x = F.pad(x, (2, 2, 2, 2), mode="reflect")
    i, j = (int(v) for v in torch.randint(0, 5, (2,)))
    return x[..., i : i + 32, j : j + 32]


def train(model, loader, optimizer, criterion):
    model.train()
    total = correct = 0
    running = 0.0
    for inputs, targets in loader:
        optimizer.zero_grad()
        outputs = model(augment(inputs))
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()
        running += loss.item() * inputs.size(0)
        _, predicted = outputs.max(1)
        total += targets.size(0)
        correct += predicted.eq(targets).sum().item()
    return running / total, 100.0 * correct / total


@torch.no_grad()
def test(model, loader):
    model.eval()
    confusion = torch.zeros(4, 4, dtype=torch.int64)
    for inputs, targets in loader:
        predicted = torch.argmax(model(inputs), dim=1)
        for t, p in zip(targets.view(-1), predicted.view(-1)):
            confusion[t.long(), p.long()] += 1
    return confusion


torch.manual_seed(0)
torch.backends.cudnn.benchmark = True
labels = torch.arange(80) % 4
images = torch.randn(80, 3, 32, 32)
images[range(80), labels.clamp(max=2)] += 1.0
train_set, test_set = random_split(TensorDataset(images, labels), [64, 16], generator=torch.Generator().manual_seed(42))
train_loader = DataLoader(train_set, batch_size=16, shuffle=True, num_workers=0, pin_memory=False)
test_loader = DataLoader(test_set, batch_size=8)
model = ResNet([1, 2])
print(model.layer2)
optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.1)
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
for epoch in range(4):
    loss, acc = train(model, train_loader, optimizer, criterion)
    scheduler.step()
    print(f"epoch {epoch} | loss {loss:.4f} | acc {acc:.2f}% | lr {scheduler.get_last_lr()}")
print(test(model, test_loader))
print(model.layer1[0].bn1.running_mean, model.layer1[0].bn1.num_batches_tracked)
