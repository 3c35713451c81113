"""The packaged network tells whole drawings from broken ones, and answers for each crop alone."""

import numpy as np
import pytest

from glyph_lines import glyph, line
from qiltest.errors import ReaderError
from qiltest.reading.glyphs.crop import SIDE, crops
from qiltest.reading.glyphs.network import FILE, MAX_FILE, Verifier, script

TEXT = "开创理解与生成的未来问答龍門廳點"


@pytest.fixture(scope="module")
def verifier():
    return Verifier(threads=1)


def odds(verifier, glyphs, text):
    image, box, places = line(glyphs)
    found = crops(image, box, text, places)
    return verifier.log_odds(np.stack([crop.ink for crop in found]), text)


@pytest.mark.parametrize("style", range(3), ids=["sans", "kai", "song"])
def test_whole_characters_are_not_flagged(verifier, style):
    assert (odds(verifier, [glyph(char, style) for char in TEXT], TEXT) < 0).all()


def test_characters_that_lack_a_quarter_are_flagged(verifier):
    glyphs = [glyph(char).copy() for char in TEXT]
    for each in glyphs:
        each[:34, :34] = 0
    assert (odds(verifier, glyphs, TEXT) > 0).mean() >= 0.9


def test_characters_with_half_of_another_are_flagged(verifier):
    glyphs = [glyph(char).copy() for char in TEXT]
    mixed = [
        np.concatenate([one[:, :36], two[:, 36:]], axis=1)
        for one, two in zip(glyphs, glyphs[1:] + glyphs[:1], strict=True)
    ]
    assert (odds(verifier, mixed, TEXT) > 0).mean() >= 0.9


@pytest.mark.parametrize("style", range(3), ids=["sans", "kai", "song"])
def test_a_whole_character_looks_broken_where_another_one_is_meant(verifier, style):
    glyphs = [glyph(char, style) for char in TEXT]
    whole = odds(verifier, glyphs, TEXT)
    wrong = np.concatenate([odds(verifier, glyphs, TEXT[k:] + TEXT[:k]) for k in range(1, len(TEXT), 2)])
    assert wrong.min() > whole.max()
    assert (wrong > 0).mean() >= 0.7


def test_letters_and_digits_are_judged_too(verifier):
    text = "BaRGeks35689"
    assert (odds(verifier, [glyph(char) for char in text], text) < 0).all()
    glyphs = [glyph(char).copy() for char in text]
    for each in glyphs:
        each[36:] = 0
    assert (odds(verifier, glyphs, text) > 0).mean() >= 0.7


def test_an_answer_does_not_depend_on_the_other_crops(verifier):
    rng = np.random.default_rng(0)
    some = rng.uniform(0, 1, (70, SIDE, SIDE)).astype(np.float32)
    chars = (TEXT * 9)[:70]
    together = verifier.log_odds(some, chars)
    assert together.shape == (70,)
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    alone = np.concatenate([verifier.log_odds(some[k : k + 1], chars[k]) for k in (0, 63, 64, 69)])
    np.testing.assert_allclose(alone, together[[0, 63, 64, 69]], rtol=1e-3, atol=1e-3)


def test_nothing_to_judge_gives_nothing(verifier):
    assert verifier.log_odds(np.zeros((0, SIDE, SIDE), np.float32), "").shape == (0,)


def test_crops_of_another_size_or_number_are_refused(verifier):
    with pytest.raises(ValueError, match="crops of shape"):
        verifier.log_odds(np.zeros((2, SIDE, SIDE), np.float32), "开")
    with pytest.raises(ValueError, match="crops of shape"):
        verifier.log_odds(np.zeros((1, 36, 36), np.float32), "开")


def test_small_characters_and_unknown_ones_are_not_judged(verifier):
    for char in "开あA7":
        least = verifier.calibrations[script(char)].least_height
        assert 8 <= least <= 40
        assert verifier.judges(char, least)
        assert not verifier.judges(char, least - 0.1)
    assert not verifier.judges("🙂", 100)
    assert not verifier.judges("，", 100)


@pytest.mark.parametrize(
    ("char", "name"), [("开", "han"), ("々", "han"), ("あ", "kana"), ("ー", "kana"), ("x", "latin"), ("0", "digit")]
)
def test_each_script_has_a_calibration_of_its_own(verifier, char, name):
    assert script(char) == name
    assert verifier.calibrations[name].scale > 0


def test_the_fingerprint_names_network_and_drawings(verifier, tmp_path):
    assert len(verifier.fingerprint) == 12
    assert verifier.fingerprint == Verifier(threads=1).fingerprint
    other = tmp_path / "drawings.xz"
    other.write_bytes(b"others")
    assert Verifier(threads=1, drawings=other).fingerprint != verifier.fingerprint


def test_the_file_is_small():
    assert FILE.stat().st_size <= MAX_FILE == 2 << 20


@pytest.mark.parametrize("data", [b"", b"no model", "cut"], ids=["empty", "other", "cut"])
def test_a_damaged_network_is_refused(tmp_path, data):
    file = tmp_path / "n.onnx"
    file.write_bytes(FILE.read_bytes()[:-5000] if data == "cut" else data)
    with pytest.raises(ReaderError, match="install qiltest again"):
        Verifier(weights=file)


def test_a_missing_network_is_refused(tmp_path):
    with pytest.raises(ReaderError, match="install qiltest again"):
        Verifier(weights=tmp_path / "none.onnx")
