"""The digest of a reading: one recorded value, because stored runs hold it, and what it depends on."""

from dataclasses import replace

import pytest

import builders as make
from qiltest.runs.events import Judged, encode
from qiltest.runs.readings import reading_digest

LINE = make.line("Qwen Coffee ☕", 8, 8, 100, 20)
READING = make.reading((replace(LINE, characters=(0.5, 1.0)),), 256, 128, reader=make.READER)
IMAGE = "b" * 64
RECORDED = "aa5b93ba3f33969016726d1d241a2f5abbd51a1cf9c48e618c70da4ff961b57c"
WITHOUT_QUALITY = "34b2d48417b55025be614e192b978e11c1c8740ceed03f1e88fd926f843bb277"


def test_the_digest_of_a_stored_reading_stays_what_it_was():
    assert reading_digest(READING, make.HEALTHY, image=IMAGE) == RECORDED
    assert reading_digest(READING, None, image=IMAGE) == WITHOUT_QUALITY


@pytest.mark.parametrize(
    "changed",
    [
        replace(READING, width=257),
        replace(READING, height=129),
        replace(READING, seconds=0.2),
        replace(READING, lines=()),
        replace(READING, reader=make.unlike()),
        replace(READING, lines=(replace(READING.lines[0], text="Qwen Coffee"),)),
        replace(READING, lines=(replace(READING.lines[0], confidence=0.98),)),
        replace(READING, lines=(replace(READING.lines[0], characters=(0.5, 0.9)),)),
        replace(READING, lines=(make.line(LINE.text, 8, 8, 101, 20),)),
        replace(READING, lines=(replace(READING.lines[0], strokes=(None, -1.5)),)),
        replace(READING, lines=(replace(READING.lines[0], places=(0.25, 0.75)),)),
        replace(READING, glyphs="glyphs-1-abc"),
    ],
)
def test_each_part_of_a_reading_is_in_the_digest(changed):
    assert reading_digest(changed, make.HEALTHY, image=IMAGE) != RECORDED


def test_image_and_quality_are_in_the_digest():
    assert reading_digest(READING, make.HEALTHY, image="c" * 64) != RECORDED
    for changed in (
        replace(make.HEALTHY, version=3),
        replace(make.HEALTHY, blur=None),
        replace(make.HEALTHY, halo=0.5),
    ):
        assert reading_digest(READING, changed, image=IMAGE) != RECORDED


def test_whole_numbers_and_floats_give_one_digest():
    whole = replace(READING, lines=(make.line(LINE.text, 8, 8, 100, 20, confidence=1),))
    floats = replace(READING, lines=(make.line(LINE.text, 8.0, 8.0, 100.0, 20.0, confidence=1.0),))
    assert reading_digest(whole, None, image=IMAGE) == reading_digest(floats, None, image=IMAGE)


def test_a_number_that_is_not_finite_has_no_digest():
    with pytest.raises(ValueError, match="not JSON compliant"):
        reading_digest(replace(READING, seconds=float("inf")), None, image=IMAGE)


def test_a_lone_surrogate_is_replaced():
    broken = replace(READING, lines=(replace(READING.lines[0], text="\ud800"),))
    mended = replace(READING, lines=(replace(READING.lines[0], text="\ufffd"),))
    assert reading_digest(broken, None, image=IMAGE) == reading_digest(mended, None, image=IMAGE)


def judged(reading):
    nothing = dict.fromkeys(("score", "judgement", "latency", "golden"))
    return Judged(at=make.AT, sample=make.sample(), reading=reading, golden_recorded=False, **nothing)


@pytest.mark.parametrize("places", [(), (0.25, 0.75)])
@pytest.mark.parametrize("strokes", [(), (None, -1.25, 3.0)])
def test_a_stored_line_gives_the_digest_that_its_reading_gives(strokes, places):
    line = replace(make.line(LINE.text, 8.0, 8.0, 100.0, 20.0), strokes=strokes, places=places)
    reading = replace(READING, lines=(line,), glyphs="glyphs-1-abc")
    found = reading_digest(reading, None, image=IMAGE, stored=encode(judged(reading)))
    assert found == reading_digest(reading, None, image=IMAGE)


def test_the_strokes_in_a_stored_line_are_in_its_digest():
    reading = replace(READING, lines=(replace(READING.lines[0], strokes=(None, -1.25)),))
    stored = encode(judged(reading))
    edited = stored.replace(b"-1.25", b"-9.25")
    first = reading_digest(READING, None, image=IMAGE, stored=stored)
    assert reading_digest(READING, None, image=IMAGE, stored=edited) != first
