"""Measures the quality of one image, before and after its text is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from qiltest.quality.blur import blur
from qiltest.quality.detail import DetailMap, detail_map, detail_outside, free_of_text
from qiltest.quality.grid import grid
from qiltest.quality.halo import halo
from qiltest.quality.noise import SpeckMap, noise, speck_map, specks_outside
from qiltest.quality.planes import Pixels, luma
from qiltest.quality.records import VERSION, Health
from qiltest.quality.scene import SmallCopy, scene_of
from qiltest.quality.tone import tone
from qiltest.reading.records import Line


@dataclass(frozen=True, kw_only=True)
class Examined:
    """An image's measures, and the maps for those that need to know where text is."""

    health: Health
    detail: DetailMap
    specks: SpeckMap
    copy: SmallCopy

    def outside(self, lines: Sequence[Line]) -> Health:
        """Return all measures, given the lines of a reading of the same image."""
        free = free_of_text(self.specks.power.shape, lines)
        return replace(
            self.health,
            detail=detail_outside(self.detail, lines),
            specks=specks_outside(self.specks, free),
            scene=scene_of(self.copy, lines),
        )


def examine(pixels: Pixels) -> Examined:
    """Measure RGB pixels (height x width x 3, 8 bits). Every measure is finite."""
    plane = luma(pixels)
    grain, lattice = noise(plane), grid(plane)
    health = Health(
        version=VERSION,
        noise_fine=grain.fine,
        noise_coarse=grain.coarse,
        grid_latent=lattice.latent,
        grid_patch=lattice.patch,
        blur=blur(plane),
        halo=halo(plane),
        **asdict(tone(pixels)),
    )
    return Examined(health=health, detail=detail_map(plane), specks=speck_map(plane), copy=SmallCopy.of(pixels))
