"""A line cut out anew: what of it is ink, and where."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from qiltest.reading.rapidocr.ink import ink
from qiltest.reading.rapidocr.strip import LONGEST, Glyph, strip

SIZE = 40


def drawn(text, *, ink_level=20, ground=235, sign=None):
    """An image (BGR) with a line, and the box that the line's letters without margin stand in."""
    font = ImageFont.load_default(SIZE)
    left, top, right, bottom = (round(value) for value in font.getbbox(text))
    image = Image.new("L", (right + 6 * SIZE, 5 * SIZE), ground if sign is None else sign)
    pen = ImageDraw.Draw(image)
    x, y = 3 * SIZE, 2 * SIZE
    if sign is not None:
        pen.rectangle((x - SIZE // 2, y - SIZE // 2, x + right + SIZE // 2, y + bottom + SIZE // 2), fill=ground)
    pen.text((x, y), text, fill=ink_level, font=font)
    quad = np.array(
        [[x + left, y + top], [x + right, y + top], [x + right, y + bottom], [x + left, y + bottom]], dtype=np.float32
    )
    return np.ascontiguousarray(np.repeat(np.asarray(image)[:, :, None], 3, axis=2)), quad


def test_each_letter_is_a_glyph_in_units_of_the_boxs_height():
    found = strip(*drawn("HEL"))
    assert len(found.glyphs) == 3
    for glyph in found.glyphs:
        assert glyph.top == pytest.approx(0.0, abs=0.05)
        assert glyph.bottom == pytest.approx(1.0, abs=0.05)
    assert 0 <= found.glyphs[0].left < 0.2
    assert found.length - 0.2 < found.glyphs[-1].right <= found.length


def test_light_writing_on_dark_is_ink_too():
    assert len(strip(*drawn("HEL", ink_level=240, ground=30)).glyphs) == 3


def test_an_i_and_its_dot_are_two_parts_and_one_glyph():
    found = strip(*drawn("HiH"))
    assert len(found.parts) == 4
    assert len(found.glyphs) == 3


def test_ink_beside_the_box_is_a_part_and_no_glyph():
    image, quad = drawn("HEL.")
    quad[1:3, 0] -= SIZE * 0.35
    found = strip(image, quad)
    assert len(found.glyphs) == 3
    assert found.parts[-1].left > found.length


def test_what_reaches_beyond_the_cut_out_is_no_ink():
    """The edge of the sign that the line is written on."""
    assert len(strip(*drawn("HEL", sign=20)).parts) == 3


def test_a_flat_image_and_noise_have_no_ink():
    quad = np.array([[50, 50], [250, 50], [250, 90], [50, 90]], dtype=np.float32)
    assert ink(np.full((50, 200, 3), 128, dtype=np.uint8)) is None
    assert strip(np.full((200, 400, 3), 128, dtype=np.uint8), quad) is None
    noise = np.random.default_rng(0).normal(128, 20, (200, 400, 3)).astype(np.uint8)
    assert strip(noise, quad) is None


def test_a_line_of_absurd_length_is_not_measured():
    quad = np.array([[0, 10], [4 * LONGEST + 8, 10], [4 * LONGEST + 8, 14], [0, 14]], dtype=np.float32)
    assert strip(np.zeros((30, 700, 3), dtype=np.uint8), quad) is None


def test_mirroring_twice_gives_the_same_glyph():
    glyph = Glyph(left=0.25, right=1.0, top=0.0, bottom=0.5)
    assert glyph.mirrored(4.0) == Glyph(left=3.0, right=3.75, top=0.0, bottom=0.5)
    assert glyph.mirrored(4.0).mirrored(4.0) == glyph


def test_a_stem_fills_its_rectangle_and_a_ring_does_not():
    image = np.full((200, 400, 3), 235, dtype=np.uint8)
    cv2.rectangle(image, (100, 70), (107, 110), (20, 20, 20), -1)
    cv2.circle(image, (160, 90), 20, (20, 20, 20), 6)
    stem, ring = strip(image, np.array([[80, 60], [280, 60], [280, 120], [80, 120]], dtype=np.float32)).glyphs
    assert stem.filled > 0.9
    assert ring.filled < 0.6
    assert Glyph(left=0.0, right=1.0, top=0.0, bottom=1.0).filled == 0.0


@pytest.mark.parametrize("slant", [0, 12, -15])
def test_a_slanted_stem_is_as_slender_and_full_as_an_upright_one(slant):
    image = np.full((120, 300, 3), 230, np.uint8)
    for x in (60, 140, 220):
        corners = np.array([[x + slant, 30], [x + 8 + slant, 30], [x + 8, 90], [x, 90]], dtype=np.int32)
        cv2.fillPoly(image, [corners], (20, 20, 20))
    found = strip(image, np.array([[40, 20], [260, 20], [260, 100], [40, 100]], dtype=np.float32))
    assert found is not None
    assert len(found.glyphs) == 3
    for glyph in found.glyphs:
        assert glyph.filled > 0.79  # of an upright rectangle it would be 0.4
        assert glyph.slender == pytest.approx(8 / 60, abs=0.05)
