"""Broken strokes in reports: marked in the image, beside their drawing, and counted per image and variant."""

import io
import re
from dataclasses import replace

import pytest
from PIL import Image, ImageDraw

from qiltest.comparison.compare import compare_runs
from qiltest.reading.records import Line
from qiltest.report import write_html
from qiltest.report.comparison.page import write_page
from qiltest.report.html.glyphs import MOST
from qiltest.report.html.page import embed
from qiltest.report.json_report import report_json
from qiltest.report.markdown import render_markdown
from qiltest.report.strokes import stroke_lines, variant_strokes
from qiltest.report.view import view

#: of a character on an image, in pixels.
SIDE, TOP = 40, 100
WORDS = "口中回口"


def line(text, *odds, top=TOP):
    """A line of squares as high as they are wide, with these log-odds."""
    right, bottom = 20 + SIDE * len(text), top + SIDE
    return Line(
        text=text,
        box=((20.0, top), (right, top), (right, bottom), (20.0, bottom)),
        confidence=0.97,
        characters=(0.99,) * len(text),
        places=tuple((k + 0.5) / len(text) for k in range(len(text))),
        strokes=odds,
    )


def squares(count, shade=0):
    """An image of so many squares, as PNG bytes."""
    image = Image.new("RGB", (256, 256), (240, 240, 230 - shade))
    pen = ImageDraw.Draw(image)
    for k in range(count):
        left = 20 + SIDE * k
        pen.rectangle((left + 4, TOP + 4, left + SIDE - 5, TOP + SIDE - 5), outline=(20, 20, 30), width=4)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def add(run, *odds, variant="4step", **fields):
    shade = len(run.results)
    return run.add("sign", variant, lines=(line(WORDS, *odds),), glyphs="net-1", generated=squares(4, shade), **fields)


@pytest.fixture
def run(fake, case):
    return fake(case("sign", WORDS))


def test_a_broken_character_is_marked_in_the_image_and_shown_beside_its_drawing(run, tmp_path):
    add(run, -3.0, 4.5, None, -4.0)
    page = view(run.build())
    (cell,) = page.cells
    (mark,) = [outline for outline in cell.outlines if outline.kind == "broken"]
    assert mark.title == "broken strokes: 中 (log-odds 4.5)"
    assert mark.points == "60.0,100.0 100.0,100.0 100.0,140.0 60.0,140.0"
    pair = embed(page.cells, run.folder)[cell.anchor].glyphs[0, 1]
    assert pair.drawn is not None
    assert pair.shown.width == pair.shown.height
    assert (pair.drawn.width, pair.drawn.height) == (3 * 48, 48)
    write_html(run.build(), tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text("utf-8")
    assert re.search(r'alt="the character in the image"><img src="data:image/webp;base64,[^>]*as it is drawn', html)
    words = " ".join(re.sub("<[^>]*>", " ", html).split())
    assert "Broken strokes: 1 character Each as it is in the image" in words
    assert "中 4.5 at 80, 120" in words
    assert "broken strokes 1 of 3" in words


def test_only_so_many_characters_are_cut_out_and_all_are_named(fake, case):
    run = fake(case("sign", "口" * 12))
    far = line("口" * 12, *[2.0] * 12)
    lines = (replace(far, box=((2.0, 100.0), (250.0, 100.0), (250.0, 120.0), (2.0, 120.0))),)
    run.add("sign", "4step", lines=lines, glyphs="net-1", generated=squares(4))
    page = view(run.build())
    (cell,) = page.cells
    assert 0 < len(embed(page.cells, run.folder)[cell.anchor].glyphs) <= MOST < len(cell.broken) == 12


def test_an_image_of_another_size_than_its_reading_has_no_cut_outs(run):
    add(run, 1.0, 1.0, 1.0, 1.0)
    page = view(run.build())
    (cell,) = page.cells
    other = replace(cell, extent=(512, 512))
    assert embed([other], run.folder)[cell.anchor].glyphs == {}


@pytest.mark.parametrize(
    "claimed",
    [
        {"box": ((0.0, 0.0), (1e9, 0.0), (1e9, 1e8), (0.0, 1e8))},
        {"places": (1e12, 0.5, 0.5, 0.5)},
        {"places": ()},
        {"box": ((50.0, 50.0),) * 4},
    ],
    ids=["a box as large as a city", "a place on the moon", "no places", "a box without an area"],
)
def test_what_a_stored_run_claims_of_a_line_cuts_out_nothing_and_the_page_is_written(run, claimed):
    lines = (replace(line(WORDS, 1.0, 1.0, 1.0, 1.0), **claimed),)
    run.add("sign", "4step", lines=lines, glyphs="net-1", generated=squares(4))
    page = view(run.build())
    (cell,) = page.cells
    assert len(cell.broken) == 4
    assert embed(page.cells, run.folder)[cell.anchor].glyphs == {}


def test_strokes_are_counted_by_variant(run):
    add(run, -3.0, 4.5, None, -4.0, seed=1)
    add(run, -3.0, -4.5, -4.0, -4.0, seed=2)
    add(run, *[None] * 4, seed=3)
    add(run, -3.0, -4.5, -4.0, -4.0, variant="base")
    built = run.build()
    assert [(row.variant, row.images, row.touched, row.judged, row.broken) for row in variant_strokes(built)] == [
        ("base", 1, 0, 4, 0),
        ("4step", 2, 1, 7, 1),
    ]
    assert list(stroke_lines(built)) == [
        "broken strokes: base 0 of 4 characters (0\u00a0%); 4step 1 of 7 characters (14\u00a0%)"
    ]
    text = render_markdown(view(built), run.folder)
    assert "## Broken strokes" in text
    assert "| 4step | 2 | 1 | 7 | 1 | 14\u00a0% |" in text
    assert "broken strokes 1 of 3" in text


def test_a_run_without_judged_characters_says_nothing_of_strokes(run):
    run.add("sign", "4step", WORDS)
    built = run.build()
    assert variant_strokes(built) == ()
    assert list(stroke_lines(built)) == []
    assert "roken strokes" not in render_markdown(view(built), run.folder)
    record = report_json(built, run.folder)
    assert (record["strokes"], record["images"][0]["strokes"], record["images"][0]["texts"][0]["strokes"]) == (
        [],
        None,
        "",
    )


def test_the_json_report_has_each_broken_character(run):
    add(run, -3.0, 4.5, None, -4.0)
    record = report_json(run.build(), run.folder)
    assert record["strokes"] == [{"broken": 1, "judged": 3, "variant": "4step", "images": 1, "touched": 1}]
    (image,) = record["images"]
    assert image["strokes"] == {"broken": 1, "judged": 3, "glyphs": "net-1"}
    (text,) = image["texts"]
    assert text["strokes"] == ".x-."
    assert text["broken"] == [
        {"char": "中", "position": 1, "line": 0, "index": 1, "log_odds": 4.5, "place": [80.0, 120.0]}
    ]


def test_the_page_of_a_comparison_shows_pairs_that_differ_by_strokes_alone(fake, case, tmp_path):
    before, after = (fake(case("sign", WORDS), name=name) for name in ("before", "after"))
    for seed in range(8):
        add(before, -3.0, -3.0, -3.0, -3.0, seed=seed)
        add(after, -3.0, 3.0, 3.0, -3.0, seed=seed)
    runs = before.build(), after.build()
    found = compare_runs(*runs)
    write_page(found, *runs, tmp_path / "page.html")
    words = " ".join(re.sub("<[^>]*>", " ", (tmp_path / "page.html").read_text("utf-8")).split())
    assert words.count("0 → 0 edits, broken strokes or in doubt 0 → 2") == 8
    assert "The images that decided it" in words
    assert "broken strokes 2 of 4" in words
    assert "Broken strokes: 0 before and 16 after, of 32 characters judged on both sides (log-odds above -2)" in words
