"""Drawn images: a scene without texture, and one with fur."""

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter


def scene(size=512, seed=0):
    """A soft wall with shading, one dark disc and a line of text: what an image has of everything but texture."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(70, 190, size)
    wall = np.repeat((ramp[None, :] * 0.6 + ramp[:, None] * 0.4)[..., None], 3, axis=2)
    image = Image.fromarray(wall.astype(np.uint8))
    pen = ImageDraw.Draw(image)
    pen.ellipse([size // 8, size // 2, size // 3, size * 3 // 4], fill=(40, 60, 90))
    pen.rectangle([size // 2, 40, size - 40, 110], fill=(235, 235, 230))
    pen.text((size // 2 + 20, 60), "HELLO WORLD", fill=(20, 20, 20), font_size=30)
    dither = rng.normal(0, 0.4, (size, size, 3))
    return np.clip(np.asarray(image) + dither, 0, 255).round().astype(np.uint8)


def fur(size=512, seed=0, strands=9000):
    """The scene with a lower half of fur: strands of about two pixels, lighter and darker, all about one way."""
    rng = np.random.default_rng(seed)
    # twice as large, and made smaller in the end: strands as smooth as an image has them
    size *= 2
    image = Image.fromarray(scene(size, seed))
    pen = ImageDraw.Draw(image)
    for _ in range(strands):
        x, y = rng.uniform(0, size), rng.uniform(size * 0.45, size)
        angle, length = rng.normal(1.0, 0.35), rng.uniform(16, 60)
        shade = int(np.clip(rng.normal(120, 9), 30, 220))
        end = (x + length * np.cos(angle), y + length * np.sin(angle))
        pen.line([(x, y), end], fill=(shade, int(shade * 0.85), int(shade * 0.7)), width=3)
    small = np.asarray(image.resize((size // 2, size // 2), Image.Resampling.LANCZOS), dtype=np.float64)
    # as soft as real images are; crisper strands gain an eighth by a mild JPEG (docs/measurements/quality.md)
    return np.rint(gaussian_filter(small, (0.6, 0.6, 0))).astype(np.uint8)
