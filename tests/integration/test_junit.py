"""`--junitxml`: what CI's own pages take from a session."""

import xml.etree.ElementTree as ET  # reads only what pytest wrote here

from qiltest.reading import ReaderInfo
from qiltest.recipe import Size
from qiltest.runs.records import CaseResult, StoredImage
from qiltest.scoring.records import Score
from qiltest.session.junit import properties
from qiltest.suite.selection import Sample

HOSTILE = "a\0b \x1b[31m \u202egnp \ud800 \ufffe <b>&\"'"


def of_tests(path):
    """Properties by name of the test, for each test of the file."""
    cases = ET.parse(path).getroot().iter("testcase")
    return {
        case.get("name").partition("[")[2].rstrip("]"): {p.get("name"): p.get("value") for p in case.iter("property")}
        for case in cases
    }


def test_every_image_has_its_numbers_as_properties(suite):
    suite.record()
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "Qwen Cofee"}, "seconds": 0.25})
    suite.run("--junitxml=junit.xml")
    found = of_tests(suite.path / "junit.xml")
    assert len(found) == 4
    bad = found["coffee@1328x1328-fast-s42"]
    result = suite.latest().result("coffee@1328x1328-fast-s42")
    assert bad["qiltest.verdict"] == "FAIL"
    assert (bad["qiltest.distance"], bad["qiltest.limit"], bad["qiltest.golden_distance"]) == ("1", "0", "0")
    assert bad["qiltest.noise_floor"] == "none"
    assert bad["qiltest.reader"] == result.score.reader.fingerprint
    assert bad["qiltest.recipe"] == result.recipe.key()
    assert bad["qiltest.denoise_seconds"] == "0.25"
    assert bad["qiltest.latency_verdict"] == "INCOMPARABLE"
    assert bad["qiltest.golden_denoise_seconds"] == "none"
    assert (suite.path / bad["qiltest.image"]).resolve() == result.image.path.resolve()
    assert found["poster@1328x1328-base-s42"]["qiltest.verdict"] == "PASS"


def test_a_failure_has_one_line_as_message_and_the_whole_as_text(suite):
    suite.plan(poster__fast={"typos": {"Enter a world": "Enter world"}})
    suite.record()
    suite.plan(
        coffee__fast={"typos": {"Qwen Coffee": "Qwen Cofee"}},
        poster__fast={"typos": {"Enter a world": "Enter world", "Imagination Unleashed": "Imagination Unleashedd"}},
        poster__base={"fault": "oom"},
    )
    suite.run("--junitxml=junit.xml")
    found = {
        case.get("name").partition("[")[2].rstrip("]"): failure
        for case in ET.parse(suite.path / "junit.xml").getroot().iter("testcase")
        for failure in case.iter("failure")
    }
    assert {name: failure.get("message") for name, failure in found.items()} == {
        "coffee@1328x1328-fast-s42": "FAIL: 'Qwen Cofee' for 'Qwen Coffee' (distance 1, limit 0)",
        "poster@1328x1328-fast-s42": (
            "FAIL: 'Imagination Unleashedd' for 'Imagination Unleashed' (distance 2, limit 1)"
        ),
        "poster@1328x1328-base-s42": found["poster@1328x1328-base-s42"].get("message"),
    }
    assert found["poster@1328x1328-base-s42"].get("message").startswith("ERROR: out of memory")
    text = found["poster@1328x1328-fast-s42"].text
    assert text.startswith("case          poster@1328x1328")
    assert text.index("{+d+}d   distance 1, new since the golden") < text.index("as in the golden: accepted")


def test_an_image_that_was_not_drawn_or_whose_test_crashed_is_an_error(suite):
    suite.plan(coffee__fast={"fault": "oom"}, poster__fast={"fault": "crash"})
    suite.run("--junitxml=junit.xml")
    found = of_tests(suite.path / "junit.xml")
    for name in ("coffee", "poster"):
        said = found[f"{name}@1328x1328-fast-s42"]
        assert said["qiltest.verdict"] == "ERROR"
        assert "qiltest.distance" not in said
        assert "qiltest.image" not in said


def test_what_was_read_cannot_break_the_file_or_hide_in_it(suite):
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": HOSTILE}, "extra": [f"Qwen Coffee {HOSTILE}"]})
    suite.run("--junitxml=junit.xml")
    data = (suite.path / "junit.xml").read_bytes()
    text = data.decode("utf-8")
    assert of_tests(suite.path / "junit.xml")["coffee@1328x1328-fast-s42"]["qiltest.verdict"] == "NEW"
    assert "␀" in text
    # the run keeps what no file can hold as what stands for it
    assert "\ufffd" in suite.latest().result("coffee@1328x1328-fast-s42").reading.lines[0].text
    assert not {"\0", "\x1b", "\u202e", "\ufffe"} & set(text)


def test_a_property_is_harmless_whatever_it_is_made_of(tmp_path):
    reader = ReaderInfo(name="\u202e\0<b>", engine="e", version="\x1b[31m", weights_sha256="a" * 64)
    score = Score(reader=reader, texts=(), extra=(), distance=3, distance_alnum=3, length=9)
    sample = Sample(case="wall", size=Size(256, 128), variant=HOSTILE, seed=1)
    image = StoredImage(path=tmp_path / "\u202e\0.png", sha256="a" * 64)
    result = CaseResult(sample=sample, score=score, image=image)
    for failed in (True, False):
        found = dict(properties(result, failed=failed))
        for value in found.values():
            value.encode("utf-8")
            assert not {"\0", "\x1b", "\u202e", "\ufffe"} & set(value)
        assert found["qiltest.verdict"] == ("ERROR" if failed else "WAITING")
