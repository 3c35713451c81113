"""What an edit changed: faithful outputs leave nothing, lost objects a patch, another image everything."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from qiltest.quality.change import Box, measure_change

SIGN = Box(left=0.3, top=0.7, right=0.7, bottom=0.85)


def picture(seed=0, size=(640, 480)):
    """A room of rectangles and a grain, with a sign."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(map(int, rng.integers(60, 200, 3))))
    pen = ImageDraw.Draw(image)
    for _ in range(60):
        x, y, w, h = (int(v) for v in rng.integers((0, 0, 20, 20), (size[0], size[1], 130, 110)))
        pen.rectangle((x, y, x + w, y + h), fill=tuple(map(int, rng.integers(0, 255, 3))))
    pixels = np.asarray(image).astype(float) + ndimage.gaussian_filter(
        rng.normal(0, 60, (size[1], size[0], 1)), (2, 2, 0)
    )
    return sign(np.clip(pixels, 0, 255).astype(np.uint8), "white")


def sign(pixels, colour):
    """The image with its sign in a colour, as an edit of the text would leave it."""
    image = Image.fromarray(pixels)
    width, height = image.size
    box = (SIGN.left * width, SIGN.top * height, SIGN.right * width, SIGN.bottom * height)
    ImageDraw.Draw(image).rectangle(box, fill=colour)
    return np.asarray(image)


BEFORE = picture()
AFTER = sign(BEFORE, "black")


def jpeg(pixels, quality):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=quality)
    return np.asarray(Image.open(data))


def scaled(pixels, width, height):
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


FAITHFUL = {
    "as it is": AFTER,
    "JPEG": jpeg(AFTER, 60),
    "scaled by area, to another aspect": scaled(AFTER, 896, 640),
    "shifted": np.roll(AFTER, (5, -5), (0, 1)),
    "enlarged by 3 %": scaled(AFTER, 660, 494)[7:487, 10:650],
    "warmer": np.clip(AFTER * np.array([1.03, 1.0, 0.97]), 0, 255).astype(np.uint8),
    "noise": np.clip(AFTER + np.random.default_rng(1).normal(0, 5, AFTER.shape), 0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("after", FAITHFUL.values(), ids=FAITHFUL.keys())
def test_a_faithful_output_leaves_the_rest_unchanged(after):
    found = measure_change(BEFORE, after, [SIGN])
    assert found.share < 0.003  # what a shift wraps round the edge
    assert found.compared > 0.8


def test_shift_and_scale_are_told():
    found = measure_change(BEFORE, np.roll(AFTER, (10, -10), (0, 1)), [SIGN])
    assert found.right == pytest.approx(-10 / 640, abs=0.005)
    assert found.down == pytest.approx(10 / 480, abs=0.005)


def test_a_lost_object_is_a_patch_where_it_was():
    lost = AFTER.copy()
    lost[100:200, 200:320] = lost[100:200, 200:320].mean(axis=(0, 1))
    found = measure_change(BEFORE, lost, [SIGN])
    rows = {y for y, row in enumerate(found.blocks) if "#" in row}
    assert found.patch > 0.012
    assert rows <= set(range(4, 12))  # of 24, each of 20 pixels of the image
    assert found.layout > 0.8


def test_another_image_changes_nearly_everywhere_and_lies_otherwise():
    found = measure_change(BEFORE, picture(seed=9), [SIGN])
    assert found.share > 0.6
    assert found.layout < 0.5


def test_where_the_image_may_change_nothing_is_compared():
    assert measure_change(BEFORE, AFTER, [SIGN]).share == 0
    assert measure_change(BEFORE, AFTER, []).share > 0.03
    whole = measure_change(BEFORE, picture(seed=9), [Box(left=0, top=0, right=1, bottom=1)])
    assert (whole.share, whole.compared, whole.patch, whole.layout) == (0, 0, 0, None)


PLAIN = np.full_like(BEFORE, 200)


@pytest.mark.parametrize(
    ("before", "after"), [(BEFORE, PLAIN), (PLAIN, BEFORE), (PLAIN, PLAIN)], ids=["lost", "new", "none"]
)
def test_the_layout_of_an_image_of_one_colour_is_not_defined(before, after):
    assert measure_change(before, after, []).layout is None


@pytest.mark.parametrize("size", [(8, 8), (1, 300), (40, 3000)])
def test_any_size_gives_finite_numbers(size):
    tiny = np.zeros((*size, 3), np.uint8)
    found = measure_change(BEFORE, tiny, [])
    assert all(np.isfinite([found.share, found.patch, found.colour, found.scale]))
    assert found.layout is None  # it is black
