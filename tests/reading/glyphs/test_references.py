"""The packaged drawings: all that the suite's texts need, and nothing from a file that is not what it should be."""

import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from qiltest.errors import ReaderError
from qiltest.reading.glyphs.crop import SIDE
from qiltest.reading.glyphs.references import FILE, MAX_FILE, References, references
from qiltest.reading.strokes import fills_square
from qiltest.suite.load import load_cases

ROOT = Path(__file__).parents[3]


def packed(**fields):
    head = {"size": 8, "styles": 2, "characters": "ab", **fields}
    return lzma.compress(json.dumps(head).encode() + b"\n" + bytes(range(32)))


def test_every_chinese_character_of_the_cases_is_drawn():
    chars = {
        char for case in load_cases(ROOT / "cases") for text in case.texts for char in text.text if fills_square(char)
    }
    assert len(chars) > 150
    assert {char for char in chars if not references().has(char)} == set()


def test_simplified_traditional_kana_letters_and_digits_are_drawn():
    assert all(map(references().has, "龙龍门門体體あアーAz09々〇"))
    assert not any(map(references().has, "，. 🙂한"))
    assert len(references().characters) > 9000


def test_a_character_is_drawn_in_three_styles_in_the_middle_of_the_window():
    drawn = references().drawings("国")
    assert drawn.shape == (3, SIDE, SIDE)
    assert drawn.dtype == np.float32
    assert (drawn.min(), drawn.max()) == (0, 1)
    for style in drawn:
        rows, columns = np.flatnonzero(style.max(axis=1) > 0.5), np.flatnonzero(style.max(axis=0) > 0.5)
        assert abs(rows[0] + rows[-1] - SIDE + 1) <= 5
        assert abs(columns[0] + columns[-1] - SIDE + 1) <= 5
    assert not np.array_equal(drawn[0], drawn[1])


def test_a_character_without_a_drawing_is_an_error():
    with pytest.raises(KeyError):
        references().drawings("🙂")


def test_the_file_is_small():
    assert FILE.stat().st_size <= MAX_FILE == 3 << 20


def test_bits_are_read_style_by_style(tmp_path):
    file = tmp_path / "r.xz"
    file.write_bytes(packed())
    found = references(file)
    assert found.styles == 2
    assert found.characters == {"a", "b"}
    assert isinstance(found, References)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no xz",
        packed()[:-9],
        packed(size=16),
        packed(characters="abc"),
        packed(styles="many"),
        lzma.compress(b"[]\n"),
        lzma.compress(b"no json"),
        lzma.compress(b"x" * (25 << 20)),
    ],
    ids=["empty", "other", "cut", "size", "characters", "no number", "list", "no head", "too much"],
)
def test_a_damaged_file_is_refused(tmp_path, data):
    file = tmp_path / "r.xz"
    file.write_bytes(data)
    with pytest.raises(ReaderError, match="install qiltest again"):
        references(file)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ReaderError):
        references(tmp_path / "none.xz")
