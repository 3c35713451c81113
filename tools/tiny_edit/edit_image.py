"""Turn grids of glyph patches into images, on the device, with an ink for every row of tokens."""

from __future__ import annotations

import edit_paths  # noqa: F401  (makes the next imports work)
import torch
import torch.nn.functional as F
from image import GLOW, NEON, Painter


class EditPainter(Painter):
    """Draws a grid [B, rows, columns] of patches with inks [B, rows]; `looks` holds style, palette (of the ground) and font of each image."""

    def paint(self, grid: torch.Tensor, inks: torch.Tensor, looks: dict[str, torch.Tensor]) -> torch.Tensor:
        """Images [B, 3, H, W] from -1 to 1."""
        style, palette, font = looks["style"], looks["palette"], looks["font"]
        size, rows, cols = grid.shape
        mask = self.patches[font[:, None, None], grid]
        mask = mask.permute(0, 1, 3, 2, 4).reshape(size, 1, rows * 16, cols * 16).float() / 255
        ground = self.ground[style, palette][..., None, None]
        ink = self.ink[style[:, None], inks].permute(0, 2, 1).repeat_interleave(16, 2)[..., None]
        glow = F.conv2d(F.conv2d(mask, self.taps, padding=(0, 6)), self.taps.transpose(2, 3), padding=(6, 0))
        glow = (style == NEON)[:, None, None, None] * GLOW * glow
        lit = ground + (ink - ground) * glow
        return lit * (1 - mask) + ink * mask
