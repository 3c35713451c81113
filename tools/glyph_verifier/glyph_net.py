"""The network: it lays the crop over the reference drawings, then looks for what differs."""

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
        self.look = nn.Sequential(
            _block(1 + styles, 24),
            _block(24, 48, 2),
            Beside(48),
            _block(48, 80, 2),
            Beside(80),
            Beside(80),
            _block(80, 128, 2),
            Beside(128),
            nn.Conv2d(128, 48, 1, bias=False),
            nn.BatchNorm2d(48),
            nn.ReLU(inplace=True),
        )
        self.judge = nn.Sequential(
            nn.Flatten(), nn.Dropout(0.1), nn.Linear(48 * 36, 64), nn.ReLU(inplace=True), nn.Linear(64, 1)
        )
        self.register_buffer("still", torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]), persistent=False)
        line = (torch.arange(SIDE) + 0.5) * (2 / SIDE) - 1
        y, x = torch.meshgrid(line, line, indexing="ij")
        self.register_buffer("x", x.clone(), persistent=False)
        self.register_buffer("y", y.clone(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.both(x)[0]

    def both(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Also return where the drawing lies in the crop, (n, 2, 3), both windows -1 to 1."""
        found = self.place(self.find(F.avg_pool2d(x, 2))).float() + self.still
        placed = found.reshape(-1, 2, 3)
        # term by term: a product of matrices would be rounded to 16 bits in training
        a = placed[:, :, :, None, None]
        grid = torch.stack([a[:, k, 0] * self.x + a[:, k, 1] * self.y + a[:, k, 2] for k in range(2)], dim=-1)
        crop = F.grid_sample(x[:, :1].float(), grid, padding_mode="border", align_corners=False)
        seen = torch.cat([crop.to(x.dtype), x[:, 1:]], dim=1)
        return self.judge(self.look(seen)).squeeze(1), placed
