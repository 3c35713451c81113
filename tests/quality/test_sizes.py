"""Image quality of images of any size and content: a finite measure or none, without a warning, in bounded memory."""

import json
import math
import resource
import subprocess
import sys
import warnings
from dataclasses import asdict

import numpy as np
import pytest

from qiltest.quality import Fault, examine, symptoms
from qiltest.quality.blur import blur
from qiltest.quality.halo import halo
from qiltest.quality.planes import luma
from qiltest.quality.scene import Scene
from qiltest.reading.records import Line
from qiltest.strict_json import decode

LINE = Line(text="a", box=((0, 0), (5, 0), (5, 5), (0, 5)), confidence=0.9)
RNG = np.random.default_rng(0)
CONTENTS = {
    "noise": lambda shape: RNG.integers(0, 256, shape, dtype=np.uint8),
    "black": lambda shape: np.zeros(shape, np.uint8),
    "white": lambda shape: np.full(shape, 255, np.uint8),
}
LONG = [
    (1, 60_000),
    (60_000, 1),
    (2, 60_000),
    (60_000, 3),
    (40, 60_000),
    (33, 9_000),
    (64, 1),
    (5, 640),
    (75, 76),
    (76, 76),
]


def check(pixels):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = examine(pixels)
        health = found.outside([LINE])
        measures = asdict(health)
        scene = measures.pop("scene")
        values = (*measures.values(), *scene["structure"], scene["text"])
        assert all(value is None or math.isfinite(value) for value in values), health
        assert decode(Scene, json.dumps(scene)) == health.scene
        return symptoms(health), found.health


#: each side up to two latents and more, and about a block of 32 pixels.
SIDES = (*range(1, 20), 31, 32, 33, 40)
#: of images of one colour, which blocks and edges are not searched for.
FLAT_SIDES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 19, 31, 32, 33, 40)


@pytest.mark.parametrize(("content", "sides"), [("noise", SIDES), ("black", FLAT_SIDES), ("white", FLAT_SIDES)])
def test_every_small_size_has_finite_measures(content, sides):
    for height in sides:
        for width in sides:
            check(CONTENTS[content]((height, width, 3)))


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("size", LONG, ids=lambda size: f"{size[1]}x{size[0]}")
def test_a_long_image_has_finite_measures(content, size):
    check(CONTENTS[content]((*size, 3)))


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (1, 60_000)])
def test_an_image_of_one_colour_is_blank_at_any_size(size):
    found, health = check(np.full((*size, 3), 90, np.uint8))
    assert found[0].fault is Fault.BLANK
    assert (health.blur, health.halo, health.grid_latent) == (None, None, 0.0)


@pytest.mark.parametrize("channel", range(3))
def test_an_image_of_one_channel_has_finite_measures(channel):
    pixels = np.zeros((300, 300, 3), np.uint8)
    pixels[..., channel] = RNG.integers(0, 256, (300, 300))
    check(pixels)


def test_edges_are_measured_the_same_however_many_at_a_time(monkeypatch):
    plane = luma(np.kron(RNG.integers(0, 2, (20, 20, 1)), np.ones((20, 20, 3))).astype(np.uint8) * 200)
    whole = blur(plane), halo(plane)
    assert None not in whole
    monkeypatch.setattr("qiltest.quality.planes.MOST_EDGES", 100)
    assert (blur(plane), halo(plane)) == pytest.approx(whole, rel=1e-6)


MOST_GIGABYTES = 0.9


@pytest.mark.slow
def test_noise_of_ten_million_pixels_in_one_row_fits_the_memory_of_a_small_machine():
    script = (
        "import numpy as np; from qiltest.quality import examine\n"
        "examine(np.random.default_rng(0).integers(0, 256, (1, 10_000_000, 3), dtype=np.uint8))"
    )

    def limited():
        resource.setrlimit(resource.RLIMIT_DATA, (int(MOST_GIGABYTES * 2**30),) * 2)

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, preexec_fn=limited)
    assert (done.returncode, done.stderr) == (0, "")
