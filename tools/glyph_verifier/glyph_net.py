"""The network: it lays the crop over the reference drawings, then looks for what differs, place by place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from qiltest.reading.glyphs.crop import SIDE


def _block(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )


class Beside(nn.Module):
    """A block whose input is added to its output."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = _block(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.block(x)


class Net(nn.Module):
    """(n, 1 + styles, 48, 48), the crop first, to one number each: above 0 rather broken."""

    def __init__(self, styles: int = 3) -> None:
        super().__init__()
        self.find = nn.Sequential(_block(1 + styles, 16), _block(16, 32, 2), _block(32, 48, 2), _block(48, 24))
        moved = nn.Linear(48, 6)
        nn.init.zeros_(moved.weight)
        nn.init.zeros_(moved.bias)
        self.place = nn.Sequential(nn.Flatten(), nn.Linear(24 * 36, 48), nn.ReLU(inplace=True), moved)
        self.near = nn.Sequential(
            _block(1 + styles, 24),
            _block(24, 56, 2),
            Beside(56),
            _block(56, 96, 2),
            Beside(96),
            Beside(96),
            Beside(96),
            Beside(96),
        )
        # a change of strokes is local, so what is found is taken from the places where there is most of it
        self.spot = nn.Conv2d(96, 1, 1)
        self.far = nn.Sequential(_block(96, 128, 2), Beside(128), Beside(128))
        self.judge = nn.Sequential(nn.Linear(2 * 128 + 96 + 2, 96), nn.ReLU(inplace=True), nn.Linear(96, 1))
        self.register_buffer("still", torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]), persistent=False)
        line = (torch.arange(SIDE) + 0.5) * (2 / SIDE) - 1
        y, x = torch.meshgrid(line, line, indexing="ij")
        self.register_buffer("x", x.clone(), persistent=False)
        self.register_buffer("y", y.clone(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.all(x)[0]

    def all(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Also return where the drawing lies in the crop, (n, 2, 3), both windows -1 to 1; and how likely each cell of
        the drawing's window was changed, log-odds (n, 12, 12).
        """
        found = self.place(self.find(F.avg_pool2d(x, 2))).float() + self.still
        placed = found.reshape(-1, 2, 3)
        # term by term: a product of matrices would be rounded to 16 bits in training
        a = placed[:, :, :, None, None]
        grid = torch.stack([a[:, k, 0] * self.x + a[:, k, 1] * self.y + a[:, k, 2] for k in range(2)], dim=-1)
        crop = F.grid_sample(x[:, :1].float(), grid, padding_mode="border", align_corners=False)
        near = self.near(torch.cat([crop.to(x.dtype), x[:, 1:]], dim=1))
        spots = self.spot(near).float()
        far = self.far(near)
        seen = [far.amax(dim=(2, 3)), far.mean(dim=(2, 3)), near.amax(dim=(2, 3))]
        spot = [spots.amax(dim=(2, 3)), torch.sigmoid(spots).mean(dim=(2, 3))]
        answer = self.judge(torch.cat([*seen, *(each.to(near.dtype) for each in spot)], dim=1))
        return answer.squeeze(1), placed, spots.squeeze(1)
