"""Marks at a line's beginning and end: seen by their ink, read by another look."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from qiltest.reading import open_reader
from qiltest.reading.rapidocr.ctc import Character, Recognition
from qiltest.reading.rapidocr.end_marks import SEEN, Side, Written, unread, with_end_marks, without_pieces
from qiltest.reading.rapidocr.strip import Glyph, Strip
from qiltest.reading.records import Line

QUAD = np.array([[100, 50], [300, 50], [300, 90], [100, 90]], dtype=np.float32)
LETTERS = [Glyph(left=x, right=x + 0.6, top=0.15, bottom=0.85) for x in (0.5, 1.3, 2.1, 3.0, 3.9)]
STOP = Glyph(left=4.9, right=5.0, top=0.75, bottom=0.85)
QUOTES = [Glyph(left=x, right=x + 0.08, top=0.15, bottom=0.3) for x in (4.6, 4.8)]


def strip_of(*marks):
    return Strip(length=5.0, parts=tuple(sorted([*LETTERS, *marks], key=lambda part: part.left)))


def line(text, confidence=0.99):
    """Five characters stand where the letters are, more of them where the quotation marks are."""
    places = [*(letter.centre / 5 for letter in LETTERS), 0.93, 0.97]
    at = places if len(text) == len(places) else [(i + 0.5) / len(text) for i in range(len(text))]
    return tuple(Character(text=char, confidence=confidence, place=place) for char, place in zip(text, at, strict=True))


def marked(read, seen, *marks, confidence=0.99):
    """What a line read as `read` becomes with such ink beside its letters, if the other look sees `seen`."""
    looks = []

    def look(quad):
        looks.append(quad)
        return Recognition(characters=line(seen, confidence))

    found = with_end_marks(Written(box=QUAD, characters=line(read)), strip_of(*marks), look)
    return "".join(character.text for character in found.characters), found, looks


def marked_surely(read, confidence, *marks):
    """What a line of such characters becomes if no other look sees more."""
    written = Written(box=QUAD, characters=line(read, confidence))
    found = with_end_marks(written, strip_of(*marks), lambda quad: Recognition(characters=line(read, confidence)))
    return "".join(character.text for character in found.characters)


def test_a_full_stop_that_was_not_read_is_looked_for_and_added():
    text, found, looks = marked("Hello", "Hello.", STOP)
    assert text == "Hello."
    assert len(looks) == 1
    assert found.quad[1, 0] > QUAD[1, 0]
    assert tuple(found.quad[0]) == tuple(QUAD[0])


@pytest.mark.parametrize("ornament", ["-.", "·-", "--", "*."])
def test_an_ornament_of_dashes_and_dots_is_not_added(ornament):
    assert marked("Hello", f"Hello{ornament}", STOP, Glyph(left=5.2, right=5.4, top=0.45, bottom=0.55))[0] == "Hello"


def test_a_dash_before_a_quotation_mark_is():
    dash = Glyph(left=4.6, right=4.9, top=0.45, bottom=0.55)
    marks = [Glyph(left=x, right=x + 0.08, top=0.15, bottom=0.3) for x in (5.0, 5.15)]
    assert marked("Hello", "Hello—”", dash, *marks)[0] == "Hello—”"


def test_the_same_at_the_lines_beginning():
    ink = [mark.mirrored(5.0) for mark in QUOTES]
    text, found, _ = marked("Hello", "“Hello", *ink)
    assert text == "“Hello"
    assert found.quad[0, 0] < QUAD[0, 0]
    assert found.characters[0].place < found.characters[1].place


def test_a_line_whose_marks_account_for_its_ink_is_not_looked_at_again():
    for read, marks in [("Hello", []), ("Hello.", [STOP]), ('Hello"', QUOTES), ("Hello”", QUOTES)]:
        text, found, looks = marked(read, "Hello!", *marks)
        assert (text, looks) == (read, [])
        assert found.quad is QUAD or np.array_equal(found.quad, QUAD)


def test_a_mark_that_has_more_ink_than_was_read_is_replaced():
    assert marked("Hello'", 'Hello"', *QUOTES)[0] == 'Hello"'
    assert marked("Hello.", 'Hello."', STOP, *QUOTES)[0] == 'Hello."'


@pytest.mark.parametrize("seen", ["Hello", "Hellos", "Helto.", "Hell.", "."])
def test_another_look_that_sees_other_letters_or_no_mark_changes_nothing(seen):
    text, found, _ = marked("Hello", seen, STOP)
    assert text == "Hello"
    assert np.array_equal(found.quad, QUAD)


def test_a_mark_that_is_not_sure_is_not_added():
    assert marked("Hello", "Hello.", STOP, confidence=0.4)[0] == "Hello"


def test_a_mark_without_ink_goes_where_it_is_not_sure():
    assert marked_surely("Hello.", SEEN - 0.01) == "Hello"
    assert marked_surely("Hello.", SEEN) == "Hello."
    assert marked_surely("Hello.", SEEN - 0.01, STOP) == "Hello."
    assert marked_surely("“Hello", SEEN - 0.01) == "Hello"


@pytest.mark.parametrize("text", ["Hello!", "Hello..", "Hello"])
def test_high_marks_several_marks_and_letters_stay_without_ink_of_their_own(text):
    assert marked_surely(text, SEEN - 0.2) == text


def test_the_halves_of_a_quotation_mark_read_as_digits_are_replaced():
    assert marked("Hello99", "Hello”", *QUOTES)[0] == "Hello”"
    assert marked("Hello99", "Hello99", *QUOTES)[0] == "Hello99"
    assert marked("He11o..", "He.", *QUOTES)[0] == "He11o.."  # these ones are beside the ink


def test_white_space_within_the_line_stays():
    assert marked("Oh no", "Oh no.", STOP)[0] == "Oh no."


def test_a_line_of_marks_alone_stays():
    assert marked("...", "...!", STOP)[0] == "..."


def test_dots_over_letters_and_ink_far_away_or_above_are_no_marks():
    over = Glyph(left=4.1, right=4.2, top=-0.1, bottom=0.05)
    far = Glyph(left=5.6, right=5.7, top=0.75, bottom=0.85)
    above = Glyph(left=4.6, right=4.8, top=-0.6, bottom=-0.4)
    assert unread(strip_of(over), Side.END) == ()
    assert unread(strip_of(far), Side.END) == ()
    assert unread(strip_of(above), Side.END) == ()
    assert unread(Strip(length=5.0, parts=(STOP,)), Side.END) == ()


def as_line(text, quad):
    return Line(text=text, box=tuple((float(x), float(y)) for x, y in quad), confidence=0.9)


def test_a_box_of_its_own_around_a_mark_that_another_line_took_goes():
    piece = np.array([[298, 50], [306, 50], [306, 60], [298, 60]], dtype=np.float32)
    wider = QUAD + np.array([[0, 0], [10, 0], [10, 0], [0, 0]], dtype=np.float32)
    found = [(QUAD, as_line("Hello”", wider)), (piece, as_line("99", piece))]
    assert [line.text for _, line in without_pieces(found)] == ["Hello”"]
    unchanged = [(QUAD, as_line("Hello", QUAD)), (piece, as_line("99", piece))]
    assert without_pieces(unchanged) == unchanged
    longer = [(QUAD, as_line("Hello”", wider)), (piece, as_line("1999", piece))]
    assert without_pieces(longer) == longer


@pytest.fixture(scope="module")
def reader():
    return open_reader("rapidocr:threads=1")


@pytest.mark.parametrize("text", ["TRANSISTOR.”", "“Hello World", "- Good morning", "Fresh bread!", "No marks here"])
def test_marks_beyond_a_tight_box_are_read(reader, text):
    """The box ends at the outermost letters, as the detector's often do."""
    font, x, y = ImageFont.load_default(44), 80, 60
    image = Image.new("RGB", (700, 180), (238, 232, 220))
    ImageDraw.Draw(image).text((x, y), text, fill=(40, 30, 60), font=font)
    letters = text.strip("“”-!. ")
    left = x + font.getlength(text[: text.index(letters)])
    right = left + font.getlength(letters)
    quad = np.array([[left - 3, y], [right + 3, y], [right + 3, y + 52], [left - 3, y + 52]], dtype=np.float32)
    line = reader.line(np.ascontiguousarray(np.asarray(image)[:, :, ::-1]), quad)
    assert line.text.replace(" ", "").replace('"', "”" if text.endswith("”") else "“") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("read", "seen", "confidence", "text"),
    [
        ("Hello", "Hello》", 0.7, "Hello"),  # an ornament
        ("Hello", "Hello》", 0.95, "Hello》"),  # the end of a text that begins in another line
        ("《Helo", "《Helo》", 0.7, "《Helo》"),
        ("Hello", "Hello.", 0.7, "Hello."),
    ],
)
def test_a_bracket_without_its_partner_needs_more_certainty(read, seen, confidence, text):
    assert marked(read, seen, STOP, confidence=confidence)[0] == text


def test_two_doubtful_brackets_vouch_for_each_other_and_other_marks_stay_without_one():
    looks = iter(["《Hello", "《Hello》"])
    opening = Glyph(left=-0.4, right=-0.2, top=0.6, bottom=0.7)
    found = with_end_marks(
        Written(box=QUAD, characters=line("Hello")),
        strip_of(opening, STOP),
        lambda quad: Recognition(characters=line(next(looks), 0.7)),
    )
    assert "".join(character.text for character in found.characters) == "《Hello》"
    dot = Glyph(left=5.2, right=5.3, top=0.6, bottom=0.7)
    assert marked("Hello", "Hello」.", STOP, dot, confidence=0.7)[0] == "Hello."


@pytest.mark.parametrize(
    ("read", "confidence", "text"),
    [
        *(("Hell_", 0.8, "Hell"), ("_Hell", 0.8, "Hell"), ("Hell_", 0.95, "Hell_"), ("He_lo", 0.8, "He_lo")),
        *(("_", 0.3, "_"), ("__llo", 0.8, "__llo"), ("He___", 0.8, "He___")),
    ],
)
def test_one_doubtful_underscore_at_an_end_is_a_stroke(read, confidence, text):
    assert marked_surely(read, confidence) == text
