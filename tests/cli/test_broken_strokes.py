"""`qiltest read` and `qiltest score` name characters with broken strokes, by one word for both measures."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import builders as make
from qiltest.cli.main import main
from qiltest.gate.strokes import FloorRate

CASES = Path(__file__).parents[2] / "cases"
FLOOR = FloorRate(glyphs="net-1", flagged=1, of=1000, rate=0.005, source="a test")


class Reader:
    """Reads two words of five characters; 道 has broken strokes, and 千 was not judged and is doubted."""

    info = make.FAKE
    odds = ((-4.0, -4.0, None, -4.0, -4.0), (-4.0, 3.46, -4.0, -4.0, -4.0))

    def read(self, image):
        lines = [
            replace(
                make.line(text, 0, 60 * k, 200, 40, confidence=0.987),
                strokes=odds,
                characters=tuple(0.4 if one is None else 0.99 for one in odds),
            )
            for k, (text, odds) in enumerate(zip(("通义千问好", "同道善思新"), self.odds, strict=True))
        ]
        return make.reading(lines, 300, 200, glyphs="net-1")


@pytest.fixture
def command(monkeypatch, capsys):
    def call(*argv, floor=None, odds=Reader.odds):
        monkeypatch.setattr(Reader, "odds", odds)
        monkeypatch.setattr("qiltest.cli.score.MEASURED", floor)
        for name in ("read", "score"):
            monkeypatch.setattr(f"qiltest.cli.{name}.open_reader", lambda name: Reader())
        code = main(list(argv))
        return code, capsys.readouterr().out

    return call


NAMED = [
    "broken strokes: '千' at 100,20 (not judged; the reader's confidence is 0.40)",
    "broken strokes: '道' at 60,80 (log-odds 3.5)",
]
RECORDS = [
    {"text": "千", "log_odds": None, "confidence": 0.4, "place": [100.0, 20.0]},
    {"text": "道", "log_odds": 3.46, "confidence": 0.99, "place": [60.0, 80.0]},
]


def test_read_names_them_and_says_how_many_were_judged(command):
    code, out = command("read", "a.png")
    assert code == 0
    assert out.splitlines()[-2:] == NAMED
    assert "strokes of 9 characters judged" in " ".join(out.split())


def test_read_has_the_log_odds_of_each_character_as_json(command):
    record = json.loads(command("read", "a.png", "--json")[1])
    assert record["glyphs"] == "net-1"
    assert [line["strokes"] for line in record["lines"]] == [list(odds) for odds in Reader.odds]
    assert record["broken_strokes"] == RECORDS


def test_score_names_them_counts_those_that_were_judged_and_passes(command):
    code, out = command("score", "a.png", "--expect", "通义千问好同道善思新")
    assert code == 0
    assert out.splitlines()[-4:] == [
        *NAMED,
        "broken strokes: 1 of 9 characters judged",
        "PASS: distance 0, limit 0",
    ]


def test_score_has_them_as_json(command):
    record = json.loads(command("score", "a.png", "--expect", "通义千问好同道善思新", "--json")[1])
    assert record["broken_strokes"] == RECORDS
    assert record["strokes"] == {"broken": 1, "judged": 9, "glyphs": "net-1"}
    (text,) = record["texts"]
    assert text["strokes"] == "..-...x..."
    assert text["broken"] == [{"char": "道", "position": 6, "line": 1, "index": 1, "log_odds": 3.46, "place": [60, 80]}]


def test_an_image_with_more_broken_strokes_than_whole_characters_explain_fails(command):
    odds = ((3.0,) * 4 + (-4.0,), (-4.0,) * 5)
    code, out = command("score", "a.png", "--expect", "通义千问好同道善思新", floor=FLOOR, odds=odds)
    assert code == 1
    assert (
        "broken strokes: 4 of 10 characters judged, where at most 0.50% of whole ones are taken for broken "
        "(p = 1e-07): text 1 '通义千问好同道善思新': '通' at character 1 (20,20), "
    ) in " ".join(out.split())
    assert out.splitlines()[-1] == "FAIL: distance 0, limit 0"
    assert command("score", "a.png", "--expect", "通义千问好同道善思新", odds=odds)[0] == 0
    assert command("score", "a.png", "--expect", "通义千问好同道善思新", floor=FLOOR)[0] == 0


def test_a_case_that_reports_quality_does_not_fail_by_strokes(command, tmp_path):
    shutil.copy(CASES / "variants.toml", tmp_path)
    capybara = (CASES / "capybara.toml").read_text().replace("Hello World", "通义千问好同道善思新")
    odds = ((3.0,) * 4 + (-4.0,), (-4.0,) * 5)
    for line, code in (("", 1), ('quality = "report"\n', 0)):
        (tmp_path / "capybara.toml").write_text(f"{capybara.rstrip()}\n{line}")
        asked = ("score", "a.png", "--case", "capybara", f"--cases={tmp_path}")
        assert command(*asked, floor=FLOOR, odds=odds)[0] == code
