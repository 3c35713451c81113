"""Fine detail falls under every loss, and does not rise by noise or sharpening without saying so."""

from itertools import pairwise

import numpy as np
import pytest
from quality_faults import GAINS, LOSSES

from qiltest.published.fine_detail import Finer, compare_detail
from qiltest.quality import examine
from qiltest.quality.detail import detail_map, detail_outside
from qiltest.quality.planes import luma
from qiltest.reading import Line


def health(pixels, lines=()):
    return examine(pixels).outside(lines)


@pytest.mark.parametrize(("name", "treat", "strengths", "unit"), LOSSES, ids=[loss[0] for loss in LOSSES])
def test_it_falls_with_every_step_of_a_loss(furry, name, treat, strengths, unit):
    course = [health(furry).detail, *(health(treat(furry, strength)).detail for strength in strengths)]
    # once four fifths are gone, what is left is the treatment's own ringing and may go either way
    # and the mildest JPEG puts ripple in the place of what it drops, hardly less than that
    most = [1.12 if name == "JPEG" else 1.0, *[1.0] * len(strengths)]
    steps = zip(pairwise(course), most, strict=False)
    assert all(after < before * above or before < 0.2 * course[0] for (before, after), above in steps), course
    assert course[-1] < 0.6 * course[0]


@pytest.mark.parametrize(("name", "treat", "strengths", "unit"), LOSSES, ids=[loss[0] for loss in LOSSES])
def test_an_image_that_lost_detail_is_never_called_the_finer(furry, name, treat, strengths, unit):
    before = health(furry)
    said = [compare_detail(health(treat(furry, strength)), before).finer for strength in strengths]
    assert Finer.FIRST not in said
    assert said[-1] is Finer.SECOND


@pytest.mark.parametrize(
    ("treat", "strength"),
    [pytest.param(treat, s, id=f"{name}-{s}") for name, treat, strengths, _ in GAINS for s in strengths],
)
def test_noise_and_sharpening_are_never_called_detail(furry, treat, strength):
    found = compare_detail(health(treat(furry, strength)), health(furry))
    assert found.finer is not Finer.FIRST
    if found.ratio >= 1.15:
        assert found.finer is Finer.CANNOT_TELL
        assert "more noise" in found.why or "stronger halos" in found.why


@pytest.mark.parametrize("times", [0.6, 0.8, 1.1])
def test_global_contrast_hardly_moves_it(furry, times):
    mean = furry.mean()
    other = np.clip(np.rint(mean + (furry - mean) * times), 0, 255).astype(np.uint8)
    assert health(other).detail == pytest.approx(health(furry).detail, rel=0.12)


def test_it_looks_outside_text_alone():
    pixels = np.full((256, 512, 3), 128, np.uint8)
    pixels[:, 256:] = np.random.default_rng(0).integers(60, 200, (256, 256, 3))
    pixels[:, :64] = 40
    found = detail_map(luma(pixels))
    whole = detail_outside(found, ())
    text = Line(text="x", box=((264.0, 0.0), (512.0, 0.0), (512.0, 256.0), (264.0, 256.0)), confidence=0.9)
    assert whole > 1
    assert detail_outside(found, [text]) == 0.0


def test_without_room_outside_text_or_without_contrast_there_is_no_figure(wall):
    found = detail_map(luma(wall))
    whole = Line(text="x", box=((0.0, 0.0), (512.0, 0.0), (512.0, 512.0), (0.0, 512.0)), confidence=0.9)
    assert detail_outside(found, [whole]) is None
    assert detail_outside(detail_map(np.full((256, 256), 90.0, np.float32)), ()) is None


def test_images_without_hair_cannot_be_told_apart(wall):
    # writing fills its blocks as fur does; the reader says where it stands
    box = ((268.0, 60.0), (475.0, 60.0), (475.0, 95.0), (268.0, 95.0))
    line = Line(text="HELLO WORLD", box=box, confidence=0.9)
    found = compare_detail(health(wall, [line]), health(wall, [line]))
    assert found.finer is Finer.CANNOT_TELL
    assert "no hair-like detail" in found.why


def test_strokes_that_no_reader_took_for_text_do_not_count_unless_they_fill_a_block():
    pixels = np.full((512, 512, 3), 200, np.uint8)
    for at in range(5, 512, 32):
        pixels[at : at + 2] = 40
        pixels[:, at : at + 2] = 40
    assert detail_outside(detail_map(luma(pixels)), ()) == 0.0


def test_equal_images_are_level(furry):
    assert compare_detail(health(furry), health(furry)).finer is Finer.NEITHER
