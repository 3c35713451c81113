"""One image through the reader that users have: generated with a font, read by OCR."""

import pytest


@pytest.fixture
def read_for_real(suite):
    path = suite.path / "conftest.py"
    text = path.read_text()
    text = text[: text.index('@pytest.fixture(scope="session")\ndef qil_open_reader')]
    text = text.replace("ImageFont.load_default(12)", "ImageFont.load_default(30)").replace("24 * row", "56 * row")
    path.write_text(text)
    return suite


@pytest.mark.slow
def test_it_reads_what_was_drawn_and_finds_a_typo(read_for_real):
    suite = read_for_real
    only = ("--qil-case=coffee", "--qil-variant=base")
    suite.run_apart(*only, "--qil-update=missing").assert_outcomes(passed=1)
    result = suite.latest().results[0]
    assert result.reading.reader.name == "rapidocr"
    assert result.score.distance == 0
    assert [text.read for text in result.score.texts] == ["Qwen Coffee", "2 dollars"]
    suite.plan(coffee__base={"typos": {"Qwen Coffee": "Qwen Toffee"}})
    failed = suite.run_apart(*only)
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(["read * Qwen [[]-C-[]]{+T+}offee *distance 1*"])
