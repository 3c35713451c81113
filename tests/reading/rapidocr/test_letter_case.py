"""Letters' sizes, measured in drawn lines whose characters and places are known."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from qiltest.reading.rapidocr.ctc import Character
from qiltest.reading.rapidocr.letter_case import CERTAIN, in_question, sized
from qiltest.reading.rapidocr.strip import Glyph, strip

SIZE, LEFT = 64, 40


def written(text, *, tilt=0.0, ink_level=20, ground=235):
    """An image (BGR) with a line of writing, its box, and the centre of each character along the box."""
    font = ImageFont.load_default(SIZE)
    width = int(font.getlength(text)) + 2 * LEFT
    image = Image.new("L", (width + 2 * SIZE, 3 * SIZE), ground)
    pen, places = ImageDraw.Draw(image), []
    for i, char in enumerate(text):
        x = LEFT + font.getlength(text[:i])
        pen.text((SIZE + x, SIZE), char, fill=ink_level, font=font)
        places.append((x + font.getlength(char) / 2) / width)
    image = image.rotate(tilt, resample=Image.Resampling.BICUBIC, fillcolor=ground)
    left, top, right, bottom = SIZE, SIZE * 0.8, SIZE + width, SIZE * 2.3
    quad = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)
    return np.ascontiguousarray(np.repeat(np.asarray(image)[:, :, None], 3, axis=2)), quad, places


def read_as(recognised, drawn, confidence=0.9, **how):
    """What a line drawn as `drawn` and recognised as `recognised`, so surely, measures."""
    image, quad, places = written(drawn, **how)
    characters = [
        Character(text=char, confidence=confidence, place=place) for char, place in zip(recognised, places, strict=True)
    ]
    found = strip(image, quad)
    return "".join(character.text for character in sized(characters, found.glyphs, found.length))


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


@pytest.mark.parametrize(
    ("recognised", "drawn", "confidence", "read"),
    [
        ("GOING", "GoING", 0.99, "GOING"),  # a capital that is drawn lower
        ("GOING", "GoING", 0.9, "GoING"),  # one that the recogniser doubts
        ("LoRA", "LoRA", 0.99, "LoRA"),  # a small letter that it does not doubt
        ("GO", "Go", 0.99, "Go"),  # one telling letter makes no word of capitals
        ("Coffee", "coffee", 0.99, "coffee"),
    ],
)
def test_among_capitals_a_capital_that_is_lower_stays_one(recognised, drawn, confidence, read):
    assert read_as(recognised, drawn, confidence) == read


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


def test_a_letter_that_is_broken_in_two_stays_as_recognised():
    """Half of a W whose strokes do not meet is as low as a small w."""
    line = [Glyph(left=i, right=i + 0.8, top=0.2, bottom=1.0) for i in range(3)]
    halves = [Glyph(left=3.0, right=3.3, top=0.5, bottom=1.0), Glyph(left=3.4, right=3.8, top=0.5, bottom=1.0)]
    places = [0.4, 1.4, 2.4, 3.5]
    characters = [
        Character(text=char, confidence=0.9, place=place / 4) for char, place in zip("TRAW", places, strict=True)
    ]
    assert "".join(c.text for c in sized(characters, [*line, *halves], 4.0)) == "TRAW"
    assert "".join(c.text for c in sized(characters, [*line, halves[1]], 4.0)) == "TRAw"


def test_only_letters_whose_capital_has_their_shape_are_in_question():
    def line(text):
        return [Character(text=char, confidence=0.9, place=0.5) for char in text]

    assert not in_question(line("Bag 12 的"))
    assert in_question(line("Bag 10"))
    assert in_question(line("up"))


def test_a_letter_of_which_the_recogniser_is_certain_keeps_its_size():
    assert read_as("coffee", "Coffee", CERTAIN - 0.001) == "Coffee"
    assert read_as("coffee", "Coffee", CERTAIN) == "coffee"
