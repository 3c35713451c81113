"""Turn grids of glyph patches into images, on the device: the four styles and their colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from data import FONTS, PALETTES, Glyphs

#: ink and ground by style (`prompts.STYLES`) and palette, RGB from 0 to 255
INK = (
    ((20, 24, 32), (24, 60, 170), (160, 24, 40)),
    ((245, 245, 235), (250, 226, 130), (180, 224, 250)),
    ((255, 90, 180), (90, 230, 255), (255, 190, 70)),
    ((30, 26, 24), (40, 50, 110), (100, 40, 20)),
)
GROUND = (
    ((248, 250, 250), (236, 242, 246), (250, 246, 236)),
    ((28, 52, 42), (36, 38, 42), (40, 54, 72)),
    ((20, 12, 34), (10, 18, 30), (30, 14, 12)),
    ((244, 234, 206), (226, 214, 186), (252, 248, 240)),
)
NEON = 2
#: of `Scribbler`'s images: the share that shows narrow glyphs, the others show wide ones; least and largest share of places that stay blank
NARROW, BLANK = 0.35, (0.1, 0.5)
#: share of the ink's colour that a neon letter's glow adds around it
GLOW = 0.35


def _colours(table: tuple[tuple[tuple[int, int, int], ...], ...], device: str) -> torch.Tensor:
    return torch.tensor(table, device=device).float().div(127.5).sub(1)


class Painter:
    """Draws images from glyph patches of an atlas (`glyphs.py`)."""

    def __init__(self, atlas: Path, glyphs: Glyphs, device: str) -> None:
        drawn = np.load(atlas)
        fonts = len(drawn["narrow"])
        narrow = drawn["narrow"].reshape(fonts, -1, 2, 16, 16).reshape(fonts, -1, 16, 16)
        wide = drawn["wide"].reshape(fonts, -1, 2, 16, 2, 16).transpose(0, 1, 2, 4, 3, 5).reshape(fonts, -1, 16, 16)
        blank = np.zeros((fonts, 1, 16, 16), np.uint8)
        patches = np.concatenate([blank, narrow, wide], 1)
        assert patches.shape[1] == glyphs.patches
        self.patches = torch.from_numpy(patches).to(device)
        self.ink, self.ground = _colours(INK, device), _colours(GROUND, device)
        taps = torch.exp(-(torch.arange(-6, 7, device=device).float() ** 2) / (2 * 2.5**2))
        self.taps = (taps / taps.sum()).view(1, 1, 1, -1)
        assert self.ink.shape[1] == PALETTES

    def __call__(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Images [B, 3, H, W] from -1 to 1."""
        grid, style, palette = batch["grid"], batch["style"], batch["palette"]
        size, rows, cols = grid.shape
        mask = self.patches[batch["font"][:, None, None], grid]
        mask = mask.permute(0, 1, 3, 2, 4).reshape(size, 1, rows * 16, cols * 16).float() / 255
        ink, ground = self.ink[style, palette][..., None, None], self.ground[style, palette][..., None, None]
        glow = F.conv2d(F.conv2d(mask, self.taps, padding=(0, 6)), self.taps.transpose(2, 3), padding=(6, 0))
        glow = (style == NEON)[:, None, None, None] * GLOW * glow
        lit = ground + (ink - ground) * glow
        return lit * (1 - mask) + ink * mask


class Scribbler:
    """Draws images full of random glyphs, for the VAE: on sparse canvases it learns the ground first and the glyphs late."""

    def __init__(self, painter: Painter, glyphs: Glyphs, device: str) -> None:
        self.painter, self.glyphs, self.device = painter, glyphs, device
        # made here: a step that is recorded as a CUDA graph may copy nothing from the host
        self.slim, self.corners = (torch.tensor(ns, device=device) for ns in ([[0], [1]], [[0, 1], [2, 3]]))

    def __call__(self, size: int, rows: int, cols: int) -> torch.Tensor:
        """Images [size, 3, 16 rows, 16 cols] from -1 to 1; `rows` and `cols`, of tokens, are even."""
        wide = 1 + 2 * len(self.glyphs.narrow) + 4 * self._any(len(self.glyphs.wide), size, rows // 2, cols // 2)
        wide = (wide[:, :, None, :, None] + self.corners[None, None, :, None]).reshape(size, rows, cols)
        slim = 1 + 2 * self._any(len(self.glyphs.narrow), size, rows // 2, cols)
        slim = (slim[:, :, None] + self.slim).reshape(size, rows, cols)
        grid = torch.where(self._chance(size, 1, 1) < NARROW, slim, wide)
        blank = BLANK[0] + (BLANK[1] - BLANK[0]) * self._chance(size, 1, 1, 1, 1)
        free = (self._chance(size, rows // 2, 1, cols // 2, 1) < blank).expand(-1, -1, 2, -1, 2).reshape(grid.shape)
        looks = {
            "font": self._any(len(FONTS), size),
            "style": self._any(len(INK), size),
            "palette": self._any(PALETTES, size),
        }
        return self.painter({"grid": torch.where(free, 0, grid)} | looks)

    def _any(self, count: int, *shape: int) -> torch.Tensor:
        return torch.randint(0, count, shape, device=self.device)

    def _chance(self, *shape: int) -> torch.Tensor:
        return torch.rand(*shape, device=self.device)
