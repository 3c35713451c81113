"""Characters are cut out where the reader places them, whatever their colours and direction."""

import cv2
import numpy as np
import pytest

from glyph_lines import EM, alike, glyph, line, turned
from qiltest.reading.glyphs.crop import SIDE, crops
from qiltest.reading.glyphs.references import references

TEXT = "开创理解与生成的未来"
COLOURS = {
    "dark on light": ((20, 20, 20), (240, 240, 240)),
    "light on dark": ((250, 250, 250), (10, 10, 30)),
    "red on green of the same brightness": ((200, 40, 40), (30, 115, 60)),
    "faint": ((150, 150, 150), (200, 200, 200)),
}


def cut(text, image, box, places):
    found = crops(image, box, text, places)
    assert len(found) == len(text)
    return found


def each_is_its_own(text, found):
    for char, crop in zip(text, found, strict=True):
        drawn = references().drawings(char)[0]
        assert crop.ink.shape == (SIDE, SIDE)
        assert alike(crop.ink, drawn) > 0.9, char
        assert -0.2 <= crop.ink.min() <= crop.ink.max() <= 1.2


@pytest.mark.parametrize("colours", COLOURS.values(), ids=COLOURS)
@pytest.mark.parametrize("column", [False, True], ids=["row", "column"])
def test_every_character_of_a_line_is_its_own_drawing(colours, column):
    image, box, places = line([glyph(char) for char in TEXT], *colours, column=column)
    each_is_its_own(TEXT, cut(TEXT, image, box, places))


@pytest.mark.parametrize("degrees", [-20, 7])
def test_a_tilted_line_is_straightened(degrees):
    image, box, places = line([glyph(char) for char in TEXT[:4]], margin=160)
    each_is_its_own(TEXT[:4], cut(TEXT[:4], *turned(image, box, degrees), places))


def test_places_that_are_off_by_a_tenth_of_a_character_are_refined():
    image, box, places = line([glyph(char) for char in TEXT])
    rng = np.random.default_rng(1)
    off = [place + rng.uniform(-0.1, 0.1) / len(TEXT) for place in places]
    each_is_its_own(TEXT, cut(TEXT, image, box, off))


def test_a_box_that_is_larger_or_smaller_than_the_writing_does_not_change_its_size():
    image, box, places = line([glyph(char) for char in TEXT])
    heights = []
    for more in (-3, 0, 6):
        (left, top), (right, bottom) = box[0], box[2]
        moved = ((left, top - more), (right, top - more), (right, bottom + more), (left, bottom + more))
        found = cut(TEXT, image, moved, places)
        each_is_its_own(TEXT, found)
        heights.append(found[0].height)
    assert max(heights) - min(heights) < 5
    assert heights[1] == pytest.approx(EM, rel=0.08)


def test_large_writing_is_averaged_and_small_writing_is_enlarged():
    image, box, places = line([glyph(char) for char in TEXT[:4]])
    for times in (0.4, 3):
        shape = tuple(int(side * times) for side in image.shape[1::-1])
        other = cv2.resize(image, shape, interpolation=cv2.INTER_AREA if times < 1 else cv2.INTER_CUBIC)
        found = cut(TEXT[:4], other, tuple((x * times, y * times) for x, y in box), places)
        assert found[1].height == pytest.approx(EM * times, rel=0.1)
        assert min(alike(c.ink, references().drawings(k)[0]) for k, c in zip(TEXT, found, strict=False)) > 0.85


def test_narrow_characters_that_stand_close_are_made_wide_again():
    wide, box, places = line([glyph(char) for char in TEXT], pitch=EM + 2)
    narrow = cv2.resize(wide, (wide.shape[1] * 7 // 10, wide.shape[0]), interpolation=cv2.INTER_AREA)
    found = cut(TEXT, narrow, tuple((x * 0.7, y) for x, y in box), places)
    assert np.mean([alike(c.ink, references().drawings(k)[0]) for k, c in zip(TEXT, found, strict=True)]) > 0.88


def test_the_box_of_a_crop_lies_around_its_character():
    for column in (False, True):
        image, box, places = line([glyph(char) for char in TEXT], column=column)
        for k, crop in enumerate(cut(TEXT, image, box, places)):
            x, y = (sum(point[i] for point in crop.box) / 4 for i in range(2))
            along, across = (y, x) if column else (x, y)
            assert along == pytest.approx(80 + EM / 2 + k * (EM + 6), abs=6)
            assert across == pytest.approx(80 + EM / 2, abs=6)
            (left, top), _, (right, bottom), _ = crop.box
            assert 60 < right - left < 85
            assert 60 < bottom - top < 85


def test_letters_fill_the_square_by_their_ink():
    image, box, places = line([glyph(char) for char in "BaG3"])
    each_is_its_own("BaG3", cut("BaG3", image, box, places))


def test_a_letter_is_cut_out_alone_however_near_its_neighbours_stand():
    image, box, places = line([glyph(char) for char in "nag8"], pitch=EM - 8)
    each_is_its_own("nag8", cut("nag8", image, box, places))


def test_letters_that_are_joined_are_left_out():
    image, box, places = line([glyph(char) for char in "nnnn"], pitch=EM - 16)
    middle = image.shape[0] // 2
    image[middle : middle + 6, 80:-80] = (20, 20, 20)
    assert cut("nnnn", image, box, places) == (None,) * 4


def test_the_dot_of_an_i_belongs_to_it_and_the_line_below_does_not():
    image, box, places = line([glyph(char) for char in "nin"])
    taller = np.concatenate([image, image[70:]])
    found = cut("nin", taller, box, places)
    assert alike(found[1].ink, references().drawings("i")[0]) > 0.9


@pytest.mark.parametrize("edge", [(255, 255, 255), (0, 0, 0)], ids=["white", "black"])
@pytest.mark.parametrize(
    "colours", [((20, 20, 20), (230, 190, 60)), ((255, 255, 255), (0, 170, 160))], ids=["dark", "light"]
)
def test_what_lies_beyond_a_sign_does_not_decide_on_its_ink(colours, edge):
    image, box, places = line([glyph(char) for char in TEXT[:2]], *colours, margin=120)
    (left, top), (right, bottom) = ((int(v) for v in corner) for corner in (box[0], box[2]))
    framed = np.full_like(image, edge)
    inside = (slice(top - 10, bottom + 10), slice(left - 10, right + 10))
    framed[inside] = image[inside]
    found = cut(TEXT[:2], framed, box, places)
    for char, crop in zip(TEXT, found, strict=False):
        inner = references().drawings(char)[0][6:-6, 6:-6]
        assert np.corrcoef(inner.ravel(), crop.ink[6:-6, 6:-6].ravel())[0, 1] > 0.5


def test_what_has_no_ink_of_its_own_is_left_out():
    image, box, places = line([glyph("开"), glyph("创")])
    found = crops(image, box, "开 创", [places[0], 0.5, places[1]])
    assert found[1] is None
    assert None not in (found[0], found[2])
    plain = np.full_like(image, 128)
    assert crops(plain, box, "开创", places) == (None, None)
    noise = np.random.default_rng(0).normal(128, 4, image.shape).clip(0, 255).astype(np.uint8)
    assert crops(noise, box, "开创", places) == (None, None)


@pytest.mark.parametrize("places", [(), (0.5,), (0.2, 0.5, 0.8)], ids=["none", "too few", "too many"])
def test_without_a_place_for_each_character_nothing_is_cut(places):
    image, box, _ = line([glyph("开"), glyph("创")])
    assert crops(image, box, "开创", places) == (None, None)


@pytest.mark.parametrize(
    ("box", "text"),
    [
        (((0, 0), (50, 0), (50, 1), (0, 1)), "开"),
        (((5, 5), (5, 5), (5, 5), (5, 5)), "开"),
        (((0, 0), (10_000, 0), (10_000, 20), (0, 20)), "开" * 8),
        (((0, 0), (900, 0), (900, 20), (0, 20)), "开" * 201),
    ],
    ids=["flat", "a point", "longer than any line", "a paragraph"],
)
def test_boxes_that_no_line_has_are_left_out(box, text):
    image = np.zeros((100, 1000, 3), np.uint8)
    assert crops(image, box, text, np.linspace(0.1, 0.9, len(text)).tolist()) == (None,) * len(text)


def test_a_box_beyond_the_image_is_no_error():
    image, box, places = line([glyph("开"), glyph("创")])
    far = tuple((x - 120, y - 120) for x, y in box)
    assert len(crops(image, far, "开创", places)) == 2
    nowhere = tuple((x + 9000, y + 9000) for x, y in box)
    assert crops(image, nowhere, "开创", places) == (None, None)


@pytest.mark.parametrize("colours", COLOURS.values(), ids=COLOURS)
@pytest.mark.parametrize("size", [(1, 1), (3, 2)], ids=["of its size", "large"])
def test_an_image_in_the_other_order_of_channels_gives_the_same_crops_bit_for_bit(colours, size):
    image, box, places = line([glyph(char) for char in TEXT], *colours)
    across, down = size
    image = cv2.resize(np.asarray(image), None, fx=across, fy=down, interpolation=cv2.INTER_CUBIC)
    image = np.clip(image + np.random.default_rng(3).normal(0, 6, image.shape), 0, 255).astype(np.uint8)
    box = tuple((x * across, y * down) for x, y in box)
    rgb = crops(image, box, TEXT, places)
    bgr = crops(np.ascontiguousarray(image[:, :, ::-1]), box, TEXT, places, bgr=True)
    assert all(crop is not None for crop in rgb)
    for one, other in zip(rgb, bgr, strict=True):
        assert np.array_equal(one.ink, other.ink)
        assert (one.box, one.height) == (other.box, other.height)
