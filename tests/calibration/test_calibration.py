import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders as make
from builders import FAKE
from qiltest.calibration import Floor, Rate, measure
from qiltest.calibration.drawing import SIDE, Look, Style, draw, wrapped
from qiltest.calibration.fonts import FILES, FontsMissingError, fonts_for
from qiltest.calibration.measure import calibrate, strokes_of
from qiltest.calibration.store import read_floor, write_floor
from qiltest.calibration.typos import Typo, plant
from qiltest.errors import StoreError
from qiltest.gate.judge import noise_floor_of
from qiltest.reading import Line, Reading
from qiltest.reading.images import load_image
from qiltest.recipe import Size
from qiltest.suite.cases import ExpectedText, KnownTypo
from qiltest.text.normalise import normalise

TEXTS = (ExpectedText(text="foundational image"), ExpectedText(text="3.1415-92653"))
CASE = make.case(
    "classroom",
    size=Size(800, 800),
    tiny=Size(64, 64),
    texts=TEXTS,
    report_table=5,
    known_typos=(KnownTypo(asked="foundational", shown="fundational"),),
)


def installed():
    try:
        return bool(fonts_for("Aa1", FILES))
    except FontsMissingError:
        return False


needs_fonts = pytest.mark.skipif(not installed(), reason="no fonts installed: apt-get install fonts-dejavu-core")


class PerfectReader:
    """Reads back what a drawing that is only a list of texts says; `slips` are misread wherever they occur."""

    info = FAKE

    def __init__(self, **slips):
        self.slips = slips

    def read(self, image):
        lines = []
        for i, text in enumerate(json.loads(image)):
            for right, wrong in self.slips.items():
                text = text.replace(right, wrong)
            box = ((0, 300 * i), (400, 300 * i), (400, 300 * i + 40), (0, 300 * i + 40))
            lines.append(Line(text=text, box=box, confidence=0.99))
        return Reading(reader=FAKE, width=800, height=800, lines=tuple(lines), seconds=0.0)


@pytest.fixture
def without_drawing(monkeypatch):
    monkeypatch.setattr(measure, "draw", lambda texts, look: json.dumps([text.text for text in texts]).encode())


class JudgingReader(PerfectReader):
    """Reads without a fault; the glyph network takes the first character of each line for broken, and judges no 模."""

    def read(self, image):
        reading = super().read(image)
        lines = tuple(
            replace(line, strokes=tuple(None if c == "模" else 2.0 if not k else -2.0 for k, c in enumerate(line.text)))
            for line in reading.lines
        )
        return replace(reading, lines=lines, glyphs="net-1")


def test_the_strokes_of_images_without_a_fault_are_counted_and_not_those_with_a_typo(without_drawing):
    case = replace(CASE, texts=tuple(make.texts("视觉基础模型", "通义千问")), known_typos=())
    floor = calibrate(case, JudgingReader(), images=6)
    assert (floor.strokes, floor.glyphs) == (Rate(found=6 * 2, of=6 * (5 + 4)), "net-1")
    assert calibrate(CASE, PerfectReader(), images=1).strokes == Rate(found=0, of=0)
    assert strokes_of(case, JudgingReader(), images=6) == (floor.strokes, floor.glyphs)
    assert strokes_of(CASE, PerfectReader(), images=1) == (Rate(found=0, of=0), "")


def test_a_perfect_reader_has_no_floor_and_finds_every_typo(without_drawing):
    floor = calibrate(CASE, PerfectReader(), images=6)
    assert (floor.floor, floor.mean, floor.largest) == (0, 0, 0)
    assert floor.exact_texts == Rate(found=12, of=12)
    assert set(floor.typos) == {*map(str, Typo), "known"}
    assert all(rate.found == rate.of > 0 for rate in floor.typos.values())


def test_a_reader_that_always_errs_has_a_floor(without_drawing):
    floor = calibrate(CASE, PerfectReader(m="rn"), images=6)
    assert (floor.floor, floor.exact_texts) == (2, Rate(found=6, of=12))


def test_a_reader_that_is_blind_to_a_typo_is_said_to_be(without_drawing):
    floor = calibrate(CASE, PerfectReader(fundational="foundational"), images=6)
    assert floor.typos["known"] == Rate(found=0, of=6)


class SlipsOnce(PerfectReader):
    """Misreads the first image, and so the twin of its typos, and nothing else."""

    read_so_far = 0

    def read(self, image):
        self.read_so_far += 1
        self.slips = {"image": "imoge"} if self.read_so_far == 1 else {}
        return super().read(image)


def test_typos_in_images_that_are_misread_anyway_are_counted_and_named_apart(without_drawing):
    floor = calibrate(CASE, SlipsOnce(), images=3)
    planted = sum(rate.of for rate in floor.typos.values())
    found = sum(rate.found for rate in floor.typos.values())
    assert (floor.floor, floor.largest) == (0, 1)
    assert floor.clean_typos == Rate(found=planted * 2 // 3, of=planted * 2 // 3)
    assert found < planted
    assert len(floor.missed) == planted - found
    assert all("untouched 1: " in each for each in floor.missed)


@given(
    st.sampled_from(list(Typo)),
    st.integers(0, 10**6),
    st.sampled_from([*(text.text for text in TEXTS), "通义千问", "A"]),
)
def test_a_planted_typo_always_changes_the_text(kind, seed, text):
    wrong = plant(text, kind, random.Random(seed))
    assert wrong is None or normalise(wrong) != normalise(text)


@given(st.sampled_from(list(Typo)), st.integers(0, 10**6))
def test_planting_is_the_same_for_the_same_seed(kind, seed):
    assert plant("通义千问 foundational", kind, random.Random(seed)) == plant(
        "通义千问 foundational", kind, random.Random(seed)
    )


def test_lines_are_broken_where_writing_breaks():
    assert wrapped("one two-three", 8, len) == ["one two-", "three"]
    assert wrapped("通义千，视觉", 3, len) == ["通义", "千，视", "觉"]
    assert "".join(wrapped("3.14-159-26", 5, len)) == "3.14-159-26"


@needs_fonts
@pytest.mark.parametrize("style", list(Style))
def test_every_style_draws_the_same_image_every_time(style):
    first = draw(TEXTS, Look(style=style, seed=1))
    assert first == draw(TEXTS, Look(style=style, seed=1))
    assert first != draw(TEXTS, Look(style=style, seed=2))
    pixels = load_image(first)
    assert pixels.shape == (SIDE, SIDE, 3)
    assert pixels.std() > 5


@needs_fonts
def test_another_text_leaves_its_neighbours_where_they_are():
    look = Look(style=Style.CRISP, seed=3)
    one = load_image(draw(TEXTS, look))
    other = load_image(draw((TEXTS[0], ExpectedText(text="3.1415-92654")), look))
    changed = (one != other).any(axis=2).nonzero()[0]
    assert len(changed)
    assert changed.min() > SIDE // 3


def test_a_character_that_no_font_holds_is_an_error_with_the_remedy():
    with pytest.raises(FontsMissingError, match="apt-get install"):
        fonts_for("\U0010fffd")
    with pytest.raises(FontsMissingError):
        fonts_for("A", files=(("/no/such/font.ttf", 0),))


FLOOR = Floor(
    case="classroom",
    reader="fake",
    fingerprint=FAKE.fingerprint,
    images=6,
    floor=1.0,
    mean=0.5,
    deviation=0.1,
    percentile_95=2.0,
    largest=3,
    exact_texts=Rate(found=5, of=6),
    typos={"delete": Rate(found=1, of=2)},
    clean_typos=Rate(found=1, of=1),
    strokes=Rate(found=1, of=90),
    glyphs="net-1",
)


def test_a_floor_comes_back_as_it_was_kept(tmp_path):
    write_floor(FLOOR, tmp_path)
    assert read_floor("classroom", "fake", tmp_path) == FLOOR


@pytest.mark.parametrize(("reader", "floor"), [(FAKE, 1.0), (replace(FAKE, weights_sha256="1" * 64), None)])
def test_the_floor_beside_the_case_file_counts_for_this_very_reader_and_not_for_the_embedded_model(
    tmp_path, reader, floor
):
    write_floor(FLOOR, tmp_path / "floors")
    case = replace(CASE, path=str(tmp_path / "classroom.toml"))
    assert noise_floor_of(case, reader, tiny=False) == floor
    assert noise_floor_of(case, reader, tiny=True) is None
    assert noise_floor_of(replace(case, id="nowhere"), reader, tiny=False) is None


def test_a_floor_kept_without_the_rate_of_clean_images_has_none(tmp_path):
    file = write_floor(FLOOR, tmp_path)
    data = json.loads(file.read_text())
    del data["readers"]["fake"]["clean_typos"]
    file.write_text(json.dumps(data))
    found = read_floor("classroom", "fake", tmp_path)
    assert found is not None
    assert found.clean_typos == Rate(found=0, of=0)


def test_floors_of_several_readers_stand_beside_each_other(tmp_path):
    write_floor(FLOOR, tmp_path)
    write_floor(replace(FLOOR, reader="other"), tmp_path)
    assert read_floor("classroom", "fake", tmp_path) == FLOOR


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        '{"case": "classroom"}',
        '{"case": "classroom", "readers": {"fake": {}}}',
        "[" * 200_000,
        '{"readers": ' + "[" * 900 + "]" * 900 + "}",
        '{"readers": {"fake": ' + "9" * 5_000 + "}}",
        " " * (5 << 20) + "{}",
    ],
    ids=len,
)
def test_a_damaged_floor_is_an_error(tmp_path, damage):
    (tmp_path / "classroom.json").write_text(damage)
    with pytest.raises(StoreError, match=r"classroom\.json: .*\n  -> delete it and measure again: qiltest calibrate"):
        read_floor("classroom", "fake", tmp_path)


@pytest.mark.parametrize("value", ["-1.0", "NaN", '"0"', "null"])
def test_a_floor_that_is_no_number_of_edits_is_named(tmp_path, value):
    file = write_floor(FLOOR, tmp_path)
    file.write_text(file.read_text().replace('"floor": 1.0', f'"floor": {value}'))
    with pytest.raises(StoreError, match=r"fake\.floor|NaN is not a finite number"):
        read_floor("classroom", "fake", tmp_path)
