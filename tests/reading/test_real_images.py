"""The default reader on a few real model images; benchmarks/readers/readers.py does all of them."""

import json
from pathlib import Path

import pytest

from qiltest.reading import open_reader
from qiltest.scoring import score, score_case
from qiltest.suite.cases import ExpectedText, LineBreaks
from qiltest.suite.load import load_suite

ROOT = Path(__file__).parents[2]
IMAGES = ROOT.parent / "shared" / "real-images"
pytestmark = pytest.mark.skipif(not IMAGES.is_dir(), reason="no real images beside the repository (shared/real-images)")


@pytest.fixture(scope="module")
def reader():
    return open_reader("rapidocr")


@pytest.fixture(scope="module")
def coffee_shop():
    return load_suite(ROOT / "cases").case("coffee-shop")[0]


def test_a_correct_coffee_shop_shows_all_three_texts(reader, coffee_shop):
    found = score_case(coffee_shop, reader.read(IMAGES / "qi50_none_c0.png"))
    assert [text.distance for text in found.texts] == [0, 0, 0]


def test_an_extra_digit_of_pi_is_found_and_placed(reader, coffee_shop):
    found = score_case(coffee_shop, reader.read(IMAGES / "qi50_cache_f8b0_taylor4_compile.png"))
    assert [text.distance for text in found.texts] == [0, 0, 1]
    (edit,) = found.texts[2].edits
    assert edit.kind == "insert"
    assert 31 <= edit.position <= 36


def test_a_string_that_leaks_into_a_sign_is_found(reader, coffee_shop):
    assert score_case(coffee_shop, reader.read(IMAGES / "qi50_1024_fp8wo_ulysses2_uaa.png")).texts[1].distance > 0


@pytest.mark.parametrize("file", ["sdcpp_flux2_klein_4b_edit.png", "lumina2_baseline.png", "sdcpp_sd35_large.png"])
def test_typos_of_a_single_character_are_measured_exactly(reader, file):
    images = json.loads((IMAGES / "manifest.json").read_text())["images"]
    image = next(item for item in images if item["file"] == file)
    wanted = [ExpectedText(text=text) for text in image["expected_text"]]
    found = score(wanted, reader.read(IMAGES / file), line_breaks=LineBreaks.STRICT)
    assert [text.distance for text in found.texts] == image["char_edit_distance"]
