"""Records of image quality: the measures with their units, and the faults."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from qiltest.quality.scene.records import Scene

#: Version of the measures; values of two versions are not compared. 2: fine detail by cells, at two scales.
VERSION = 2


class Fault(StrEnum):
    """What can be wrong with an image, apart from its text."""

    BLANK = "blank"
    NOISE = "noise"
    SPECKS = "specks"
    GRID = "grid"
    UNIFORM = "near-uniform"
    BLUR = "blur"
    CLIPPED = "clipped"
    SATURATED = "over-saturated"


@dataclass(frozen=True, kw_only=True)
class Health:
    """Measures of one image; the modules of `qiltest.quality` describe each, with its source."""

    version: int
    #: largest standard deviation of a colour channel, 8-bit units.
    spread: float
    #: noise in the flattest parts, grey levels of luma: periods of 2 to 4 pixels, and of 4 to 8.
    noise_fine: float
    noise_coarse: float
    #: what repeats every 8 pixels (a latent) and every 16 (a patch), grey levels of luma.
    grid_latent: float
    grid_patch: float
    #: blur of the sharpest edges, pixels; None without edges.
    blur: float | None
    #: share of channel values at 0 or 255.
    clipped: float
    #: mean chroma, share of 255.
    saturation: float
    #: overshoot beside edges, share of their rise; None without edges between plateaus.
    halo: float | None
    #: fine detail outside text, per cent of the image's contrast; None where it was not or cannot be measured.
    detail: float | None = None
    #: structure of periods of 4 to 8 pixels in the flattest parts outside text, specks and all, grey levels of luma
    #: (root mean square); None where it was not or cannot be measured.
    specks: float | None = None
    #: what the image is like outside its text; None where it was not measured (older runs).
    scene: Scene | None = None


@dataclass(frozen=True, kw_only=True)
class Symptom:
    """A fault that an image shows."""

    fault: Fault
    #: True where an image with it fails, whatever its text says.
    gates: bool
    #: one sentence: the measure, its limit, and the likely cause.
    message: str
