"""DCGAN, then WGAN-GP: two optimizers, weights_init by class name, gradient penalty by autograd.grad with create_graph."""

import torch
import torch.nn as nn
from torch import autograd

nz, ngf, ndf, nc = 8, 8, 8, 1


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        nn.init.normal_(m.weight.data, 0.0, 0.02)
    elif classname.find("BatchNorm") != -1:
        nn.init.normal_(m.weight.data, 1.0, 0.02)
        nn.init.constant_(m.bias.data, 0)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 2, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, input):
        return self.main(input)


class Discriminator(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(nc, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
            norm(ndf * 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 2, 1, 4, 1, 0, bias=False),
        )

    def forward(self, input):
        return self.main(input).view(-1)


def gradient_penalty(netD, real, fake):
    alpha = torch.rand(real.size(0), 1, 1, 1).expand_as(real)
    mixed = autograd.Variable(alpha * real.data + (1 - alpha) * fake.data, requires_grad=True)
    scores = netD(mixed)
    gradients = autograd.grad(
        outputs=scores,
        inputs=mixed,
        grad_outputs=torch.ones(scores.size()),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    return ((gradients.view(gradients.size(0), -1).norm(2, dim=1) - 1) ** 2).mean()


torch.manual_seed(999)
ramp = torch.linspace(-1, 1, 16)
real_images = (ramp[:, None] * ramp).tanh().expand(12, 1, 16, 16) + 0.05 * torch.randn(12, 1, 16, 16)

netG, netD = Generator(), Discriminator(nn.BatchNorm2d)
netG.apply(weights_init)
netD.apply(weights_init)
print(netG)
criterion = nn.BCEWithLogitsLoss()
fixed_noise = torch.randn(4, nz, 1, 1)
optimizerD = torch.optim.Adam(netD.parameters(), lr=2e-3, betas=(0.5, 0.999))
optimizerG = torch.optim.Adam(netG.parameters(), lr=2e-3, betas=(0.5, 0.999))
for i in range(12):
    netD.zero_grad()
    label = torch.full((12,), 1.0, dtype=torch.float)
    output = netD(real_images)
    errD_real = criterion(output, label)
    errD_real.backward()
    D_x = output.sigmoid().mean().item()
    fake = netG(torch.randn(12, nz, 1, 1))
    label.fill_(0.0)
    output = netD(fake.detach())
    errD_fake = criterion(output, label)
    errD_fake.backward()
    optimizerD.step()
    netG.zero_grad()
    label.fill_(1.0)
    output = netD(fake)
    errG = criterion(output, label)
    errG.backward()
    optimizerG.step()
    if i % 4 == 3:
        print(
            f"[{i}] Loss_D: {errD_real + errD_fake:.4f} Loss_G: {errG:.4f} D(x): {D_x:.4f} {output.sigmoid().mean():.4f}"
        )
with torch.no_grad():
    print(netG(fixed_noise).detach().cpu().std().item())

critic = Discriminator(lambda c: nn.InstanceNorm2d(c, affine=True))
optC = torch.optim.RMSprop(critic.parameters(), lr=1e-3)
optG = torch.optim.RMSprop(netG.parameters(), lr=1e-3)
for it in range(4):
    for p in critic.parameters():
        p.requires_grad = True
    for _ in range(2):
        critic.zero_grad(set_to_none=True)
        fake = netG(torch.randn(12, nz, 1, 1)).detach()
        gp = gradient_penalty(critic, real_images, fake)
        loss = critic(fake).mean() - critic(real_images).mean() + 10 * gp
        loss.backward()
        optC.step()
    for p in critic.parameters():
        p.requires_grad = False
    netG.zero_grad()
    cost = -critic(netG(torch.randn(12, nz, 1, 1))).mean()
    cost.backward()
    optG.step()
    print(f"{it}: critic {loss.item():.4f} penalty {gp.item():.5f} generator {cost.item():.5f}")
