"""What `scene.py` compares: the real images, which are of one case, good changes of each, and the halves."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageOps

from qiltest.quality.scene import Scene, SmallCopy, scene_of
from qiltest.reading.images import Pixels
from qiltest.reading.records import Line

#: Images of one prompt, model and size, by different engines, quantisations, caches and LoRAs: variants of one case.
VARIANTS: dict[str, tuple[str, ...]] = {
    "coffee-1024": (
        "qi50_1024_fp8wo_ulysses2",
        "qi50_1024_fp8wo_ulysses2_uaa",
        "qi50_1024_fp8wo_ulysses4_uaa",
    ),
    "coffee-1664": (
        "qi50_cache_f1b0_taylor4",
        "qi50_cache_f8b0_taylor4_compile",
        "qi50_fp8_cache_f8b0_taylor4_compile",
        "qi50_none_c0",
        "qil4_none_lora_c0_l1",
        "qil4_none_lora_unfused_c0",
        "qil8_cache_f16b16_r0.5",
        "qil8_none_c0",
    ),
    "coffee-pi": ("piflow_qwen_4nfe", "piflow_qwen_toymodel_1nfe"),
    "flux_cat": ("sdcpp_flux_dev_q2_k", "sdcpp_flux_dev_q3_k", "sdcpp_flux_dev_q8_lora"),
    "flux_hw": (
        "flux_hw_dbcache_f1b0_r0.2",
        "flux_hw_dbcache_f8b16_r0.2",
        "flux_hw_dbcache_f8b8",
        "flux_hw_dbprune_r0.2",
        "flux_hw_f1b0_r0.15",
        "flux_hw_f1b0_r0.15_taylor",
    ),
    "flux_sign": ("flux_sign_svdq_int4", "flux_sign_taylor_r0.5"),
    "zimage": (
        "sdcpp_zimage_turbo_bf16",
        "sdcpp_zimage_turbo_q3_k",
        "sdcpp_zimage_turbo_q4_k",
        "sdcpp_zimage_turbo_q6_k",
        "sdcpp_zimage_turbo_q8_0",
    ),
}
_MEMBER = {name: group for group, names in VARIANTS.items() for name in names}
#: Kinds of scene that more than one prompt or size shows: beginnings of names. A name of its own is a kind of its own.
KINDS = {
    "coffee shop": ("qi50_", "qil", "piflow_"),
    "whiteboard": ("qwen_readme_en", "sdcpp_qwen_image_q8_whiteboard"),
    "street at night": ("sdcpp_zimage",),
    "anima": ("sdcpp_anima",),
    "cat with a sign": ("flux_", "lumina2_", "sdcpp_", "sw_"),
}
#: Rows and columns that a shift moves an image, as a share of its sides.
SHIFT = 1 / 40
#: What a crop of another composition leaves, as a share of the sides.
CROP = 0.7


@dataclass(frozen=True, kw_only=True)
class Read:
    """An image with the lines that the reader found in it."""

    pixels: Pixels
    lines: tuple[Line, ...]

    def scene(self) -> Scene:
        """Return its scene."""
        return scene_of(SmallCopy.of(self.pixels), self.lines)


def group_of(name: str) -> str:
    """Return the variants that an image belongs to; an image without variants is a group of its own."""
    return _MEMBER.get(name, name)


def kind_of(name: str) -> str:
    """Return the kind of scene that an image shows."""
    return next((kind for kind, starts in KINDS.items() if name.startswith(starts)), name)


def halves(names: Sequence[str]) -> dict[str, str]:
    """Return "tune" or "test" for each image: every second group, by name, so that no case is in both."""
    groups = sorted({group_of(name) for name in names})
    return {name: ("tune", "test")[groups.index(group_of(name)) % 2] for name in names}


def good_changes(image: Read) -> Iterator[tuple[str, Read]]:
    """Yield changes that leave an image's scene as it is; where pixels move, the lines move with them."""
    pixels = image.pixels.astype(np.float32)
    height, width = image.pixels.shape[:2]
    rows, columns = round(height * SHIFT), round(width * SHIFT)
    yield "JPEG, quality 50", replace(image, pixels=_jpeg(image.pixels, 50))
    yield "JPEG, quality 15", replace(image, pixels=_jpeg(image.pixels, 15))
    yield "half size and back", replace(image, pixels=_resized(image.pixels))
    yield "lighter, more contrast", replace(image, pixels=_bytes(pixels * 1.15 + 5))
    yield "less contrast", replace(image, pixels=_bytes((pixels - 128) * 0.8 + 128))
    yield "shifted by a fortieth", _moved(image, np.roll(image.pixels, (rows, columns), (0, 1)), columns, rows)
    yield "enlarged by a ninth", _cropped(image, 0.05, 0.05, 0.9)


def compositions(image: Read) -> Iterator[tuple[str, Read]]:
    """Yield the same scene composed otherwise: each corner enlarged, and turned left for right."""
    for name, (x, y) in {"top left": (0, 0), "top right": (1, 0), "low left": (0, 1), "low right": (1, 1)}.items():
        yield name, _mirrored(_cropped(image, x * (1 - CROP), y * (1 - CROP), CROP))


def scaled(image: Read, scale: float) -> Read:
    """Return an image reduced by averaging, with its lines."""
    height, width = image.pixels.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    reduced = Image.fromarray(image.pixels).resize(size, Image.Resampling.BOX)
    return Read(pixels=np.asarray(reduced), lines=_each(image.lines, lambda x, y: (x * scale, y * scale)))


def _jpeg(pixels: Pixels, quality: int) -> Pixels:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=quality)
    return np.asarray(Image.open(data).convert("RGB"))


def _resized(pixels: Pixels) -> Pixels:
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((image.width // 2, image.height // 2)).resize(image.size))


def _bytes(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Pixels:
    return np.clip(values, 0, 255).astype(np.uint8)


def _moved(image: Read, pixels: Pixels, right: float, down: float) -> Read:
    return Read(pixels=pixels, lines=_each(image.lines, lambda x, y: (x + right, y + down)))


def _cropped(image: Read, left: float, top: float, share: float) -> Read:
    """Return a part of an image, given in shares of its sides, enlarged to the whole's size."""
    height, width = image.pixels.shape[:2]
    box = (left * width, top * height, (left + share) * width, (top + share) * height)
    enlarged = Image.fromarray(image.pixels).resize((width, height), Image.Resampling.BICUBIC, box=box)
    lines = _each(image.lines, lambda x, y: ((x - box[0]) / share, (y - box[1]) / share))
    return Read(pixels=np.asarray(enlarged), lines=lines)


def _mirrored(image: Read) -> Read:
    width = image.pixels.shape[1]
    mirrored = np.asarray(ImageOps.mirror(Image.fromarray(image.pixels)))
    return Read(pixels=mirrored, lines=_each(image.lines, lambda x, y: (width - x, y)))


def _each(lines: Sequence[Line], move: Callable[[float, float], tuple[float, float]]) -> tuple[Line, ...]:
    moved = []
    for line in lines:
        first, second, third, fourth = (move(x, y) for x, y in line.box)
        moved.append(replace(line, box=(first, second, third, fourth)))
    return tuple(moved)
