"""Letters' sizes, measured in drawn lines whose characters and places are known."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from qiltest.reading.rapidocr.ctc import Character
from qiltest.reading.rapidocr.ink import glyphs, ink
from qiltest.reading.rapidocr.letter_case import in_question, sized

SIZE, LEFT = 64, 40


def written(text, *, tilt=0.0, ink_level=20, ground=235):
    """A line of writing (BGR) and the centre of each character along it."""
    font = ImageFont.load_default(SIZE)
    width = int(font.getlength(text)) + 2 * LEFT
    image = Image.new("L", (width, 2 * SIZE), ground)
    pen, places = ImageDraw.Draw(image), []
    for i, char in enumerate(text):
        x = LEFT + font.getlength(text[:i])
        pen.text((x, SIZE // 2), char, fill=ink_level, font=font)
        places.append((x + font.getlength(char) / 2) / width)
    image = image.rotate(tilt, resample=Image.Resampling.BICUBIC, fillcolor=ground)
    grey = np.asarray(image)
    return np.ascontiguousarray(np.repeat(grey[:, :, None], 3, axis=2)), places


def read_as(recognised, drawn, **how):
    """What a line drawn as `drawn` and recognised as `recognised` measures."""
    crop, places = written(drawn, **how)
    characters = [
        Character(text=char, confidence=0.9, place=place) for char, place in zip(recognised, places, strict=True)
    ]
    return "".join(character.text for character in sized(characters, crop, places))


@pytest.mark.parametrize(
    ("recognised", "drawn"),
    [
        ("01CPP", "o1cpp"),
        ("coffee", "Coffee"),
        ("Coffee", "coffee"),
        ("world", "World"),
        ("World", "world"),
        ("hidream.CPP", "hidream.cpp"),
        ("SUNSHiNE MOTEL".upper(), "SUNSHINE MOTEL"),
        ("Zebra", "zebra"),
    ],
)
def test_a_letter_has_the_size_that_it_was_drawn_in(recognised, drawn):
    assert read_as(recognised, drawn) == drawn


@pytest.mark.parametrize("how", [{"tilt": 2.0}, {"tilt": -2.0}, {"ink_level": 240, "ground": 30}])
def test_tilted_and_light_writing_is_measured_too(how):
    assert read_as("Happy CPP", "Happy cpp", **how) == "Happy cpp"


@pytest.mark.parametrize("drawn", ["Success", "PoWeR", "Cozy Oslo", "COZY", "2025", "cup 20 OZ", "vox populi"])
def test_what_was_recognised_in_its_size_stays(drawn):
    assert read_as(drawn, drawn) == drawn


def test_letters_without_a_neighbour_of_sure_size_stay_as_recognised():
    assert read_as("COX", "cox") == "COX"
    assert read_as("cox", "COX") == "cox"


def test_a_low_zero_among_digits_alone_stays_a_zero():
    assert read_as("10", "1o") == "10"


def test_writing_that_does_not_stand_out_stays_as_recognised():
    noise = np.random.default_rng(0).integers(0, 256, (96, 300, 3), dtype=np.uint8)
    characters = [Character(text=char, confidence=0.9, place=0.5) for char in "Cab"]
    assert "".join(c.text for c in sized(characters, noise, [0.2, 0.5, 0.8])) == "Cab"


def test_only_letters_whose_capital_has_their_shape_are_in_question():
    def line(text):
        return [Character(text=char, confidence=0.9, place=0.5) for char in text]

    assert not in_question(line("Bag 12 的"))
    assert in_question(line("Bag 10"))
    assert in_question(line("up"))


def test_an_image_of_one_colour_has_no_ink():
    flat = np.full((50, 200, 3), 128, dtype=np.uint8)
    assert ink(flat) is None
    assert glyphs(flat) == ()


def test_an_i_and_its_dot_are_one_glyph_and_specks_are_none():
    crop, _ = written("i.i")
    assert len(glyphs(crop)) == 2


def test_what_touches_the_upper_or_lower_edge_is_no_glyph():
    crop, _ = written("Hill")
    assert glyphs(crop[SIZE:]) == ()
