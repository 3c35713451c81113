"""Blocks of characters: rows or columns, by spacing alone."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from qiltest.calibration.fonts import FILES, load
from qiltest.reading import open_reader
from qiltest.reading.rapidocr.blocks import blocks

SIZE = 30


def column(x, count, *, across=1.0, pitch=SIZE, top=20.0):
    """Box of a column of `count` characters whose centre is at `x`."""
    half, height = across * SIZE / 2, (count - 1) * pitch + SIZE
    return np.array([[x - half, top], [x + half, top], [x + half, top + height], [x - half, top + height]], np.float32)


def rows_of(quads, counts):
    found = blocks(quads, counts)
    return [(block.columns, len(block.rows)) for block in found]


def test_columns_as_near_as_their_characters_are_rows():
    assert rows_of([column(50 + 30 * i, 4) for i in range(3)], [4, 4, 4]) == [((0, 1, 2), 4)]


def test_columns_further_apart_than_their_characters_stay_columns():
    assert rows_of([column(50 + 36 * i, 4) for i in range(3)], [4, 4, 4]) == []


def test_a_single_column_stays_one():
    assert rows_of([column(50, 5)], [5]) == []


def test_columns_that_begin_at_different_heights_stay_columns():
    assert rows_of([column(50, 4), column(80, 4, top=45.0)], [4, 4]) == []


def test_columns_of_different_sizes_stay_columns():
    assert rows_of([column(50, 4), column(85, 4, across=1.8)], [4, 4]) == []


def test_rows_lie_within_the_columns_and_the_last_may_be_short():
    quads = [column(50, 3), column(80, 3), column(110, 2)]
    (block,) = blocks(quads, [3, 3, 2])
    assert [float(row[:, 0].max() - row[:, 0].min()) for row in block.rows] == [90.0, 90.0, 60.0]
    assert [float(row[:, 1].mean()) for row in block.rows] == [35.0, 65.0, 95.0]


def test_two_blocks_apart_are_two():
    quads = [column(x, 3) for x in (50, 80, 400, 430)]
    assert rows_of(quads, [3] * 4) == [((0, 1), 3), ((2, 3), 3)]


def test_lines_across_are_no_columns():
    wide = np.array([[0, 0], [90, 0], [90, 30], [0, 30]], np.float32)
    assert blocks([wide, wide + 30], [3, 3]) == ()


def grid(texts, across, down):
    """Draw characters `across` and `down` of their size apart, one text a row."""
    image = Image.new("RGB", (320, 320), (245, 245, 240))
    pen, font = ImageDraw.Draw(image), load(FILES[0], 24)
    for row, text in enumerate(texts):
        for place, char in enumerate(text):
            pen.text((60 + place * 24 * across, 60 + row * 24 * down), char, fill=(20, 20, 30), font=font)
    data = io.BytesIO()
    image.save(data, format="PNG")
    return data.getvalue()


@pytest.fixture(scope="module")
def reader():
    if not Path(FILES[0][0]).is_file():
        pytest.skip("the font of the drawn images is not installed (fonts-noto-cjk)")
    return open_reader("rapidocr:looks=1,threads=1")


@pytest.mark.parametrize(("across", "down"), [(1.0, 1.0), (1.0, 1.3), (1.1, 1.1), (1.3, 1.3), (1.05, 1.5)])
def test_short_lines_stacked_closely_are_read_in_rows(reader, across, down):
    texts = ["阿里云", "云存储", "云计算", "云模型", "千问"]
    assert [line.text for line in reader.read(grid(texts, across, down)).lines] == texts


@pytest.mark.parametrize(("across", "down"), [(1.3, 1.0), (1.5, 1.1), (1.8, 1.2)])
def test_columns_side_by_side_are_read_as_columns(reader, across, down):
    columns = ["春风得意马", "明月照人来"]
    turned = ["".join(column[i] for column in reversed(columns)) for i in range(5)]
    assert sorted(line.text for line in reader.read(grid(turned, across, down)).lines) == sorted(columns)
