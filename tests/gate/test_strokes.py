"""An image fails by its strokes only where so many are improbable for whole characters."""

from dataclasses import replace

import pytest

import builders as make
from qiltest.calibration.records import Floor, Rate
from qiltest.calibration.store import write_floor
from qiltest.comparison.statistics import share_bounds
from qiltest.gate import strokes
from qiltest.gate.judge import judge_measured, stroke_rate_of
from qiltest.gate.strokes import FloorRate, improbable, named, stroke_fault, with_strokes
from qiltest.gate.verdict import Verdict
from qiltest.scoring.records import BrokenCharacter

FLOOR = FloorRate(glyphs="net-1", flagged=4, of=1200, rate=0.005, source="a test")


def broken(char, position, place=(12.4, 30.0)):
    return BrokenCharacter(char=char, position=position, line=0, index=position, log_odds=3.0, place=place)


def score(judged, *found, glyphs="net-1"):
    """A score of one text, of which so many characters were judged and these are broken."""
    marks = ["."] * judged
    for item in found:
        marks[item.position] = "x"
    text = make.text_score(expected="通义千问", broken=tuple(found), strokes="".join(marks))
    return replace(make.score(), texts=(text,), strokes="".join(marks), glyphs=glyphs)


def several(number, judged=40):
    return score(judged, *(broken("义", k) for k in range(number)))


def test_so_many_broken_characters_that_whole_ones_hardly_have_fail():
    found = with_strokes(make.judgement(Verdict.PASS, reasons=()), several(4), floor=FLOOR, gates=True)
    assert found.verdict is Verdict.FAIL
    assert found.broken_strokes == 4
    (reason,) = found.reasons
    assert reason == (
        "broken strokes: 4 of 40 characters judged, where at most 0.50% of whole ones are taken for broken "
        "(p = 5e-05): text 1 '通义千问': '义' at character 1 (12,30), '义' at character 2 (12,30), "
        "'义' at character 3 (12,30), '义' at character 4 (12,30)"
    )


def test_one_broken_character_never_fails():
    rare = replace(FLOOR, rate=1e-6)
    assert improbable(1, 40, rare.rate) < strokes.IMPROBABLE
    assert stroke_fault(several(1), floor=rare) == ""
    assert stroke_fault(several(2), floor=rare) != ""


@pytest.mark.parametrize(("number", "fails"), [(2, False), (3, False), (4, True)])
def test_the_limit_is_one_in_a_thousand(number, fails):
    # P(at least 3 of 40 at 0.5 %) = 0.0011, P(at least 4) = 0.000054
    assert (improbable(number, 40, 0.005) < 0.001) is fails
    assert bool(stroke_fault(several(number), floor=FLOOR)) is fails


def test_a_case_whose_faultless_images_have_more_of_them_needs_more():
    assert stroke_fault(several(4), floor=FLOOR, own_rate=0.001) == stroke_fault(several(4), floor=FLOOR)
    assert stroke_fault(several(4), floor=FLOOR, own_rate=0.05) == ""
    assert "at most 5.00% of whole ones" in stroke_fault(several(12), floor=FLOOR, own_rate=0.05)


@pytest.mark.parametrize(
    ("floor", "found"),
    [(None, several(9)), (FLOOR, replace(several(9), glyphs="net-2")), (FLOOR, several(0))],
    ids=["not measured", "another network", "none broken"],
)
def test_nothing_is_said_where_the_rate_is_not_this_networks(floor, found):
    before = make.judgement(Verdict.PASS, reasons=())
    assert with_strokes(before, found, floor=floor, gates=True) is before


def test_an_image_whose_text_is_wrong_too_names_its_strokes_first():
    found = with_strokes(make.judgement(Verdict.FAIL), several(4), floor=FLOOR, gates=True)
    assert found.reasons[0].startswith("broken strokes: 4 of 40")
    assert found.reasons[1] == "why"


def test_a_case_that_reports_quality_says_it_and_does_not_fail():
    found = with_strokes(make.judgement(Verdict.PASS, reasons=()), several(4), floor=FLOOR, gates=False)
    assert (found.verdict, found.broken_strokes) == (Verdict.PASS, 0)
    assert found.reasons[0].startswith("not counted: broken strokes: 4 of 40")


def test_many_characters_are_named_in_short():
    (sentence,) = named(several(9))
    assert sentence.count("at character") == 6
    assert sentence.endswith(" and 3 more")
    texts = several(2).texts * 6
    *_, last = named(replace(several(2), texts=texts))
    assert last == "and 4 more in 2 texts"


def judged(case, found, *, tiny=False):
    return judge_measured(
        case, found, make.HEALTHY, None, sample=make.sample(), effective=make.SIZE, parts=(), tiny=tiny
    )


def test_an_image_is_judged_by_the_measured_rate_but_not_the_embedded_models(monkeypatch):
    monkeypatch.setattr(strokes, "MEASURED", FLOOR)
    case = make.case()
    assert judged(case, several(4)).broken_strokes == 4
    assert judged(case, several(4), tiny=True).broken_strokes == 0
    monkeypatch.setattr(strokes, "MEASURED", None)
    assert judged(case, several(4)).broken_strokes == 0


def test_the_rate_of_a_case_is_that_of_its_own_calibration(tmp_path):
    case = replace(make.case(), path=str(tmp_path / "coffee.toml"))
    assert stroke_rate_of(case, several(4)) is None
    floor = Floor(
        case=case.id, reader=make.READER.name, fingerprint=make.READER.fingerprint, images=12, floor=0.0, mean=0.0,
        deviation=0.0, percentile_95=0.0, largest=0, exact_texts=Rate(found=12, of=12), typos={},
        strokes=Rate(found=3, of=120), glyphs="net-1",
    )  # fmt: skip
    (tmp_path / "floors").mkdir()
    write_floor(floor, tmp_path / "floors")
    assert stroke_rate_of(case, several(4)) == 0.025
    assert stroke_rate_of(case, replace(several(4), glyphs="net-2")) is None
    write_floor(replace(floor, fingerprint="another"), tmp_path / "floors")
    assert stroke_rate_of(case, several(4)) is None
    write_floor(replace(floor, strokes=Rate(found=0, of=0)), tmp_path / "floors")
    assert stroke_rate_of(case, several(4)) is None


def test_the_measured_rate_is_of_the_shipped_network():
    """A network that is replaced without measuring its rate anew would judge nothing."""
    from qiltest.reading.stroke_check import shipped_network

    measured = strokes.MEASURED
    assert measured is None or measured.glyphs == shipped_network().fingerprint
    assert measured is None or measured.rate == round(share_bounds(measured.flagged, measured.of, tail=0.025)[1], 4)
