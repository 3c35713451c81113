"""`absolute = "report"`: what the published report marks right is asserted on the real model, golden or not."""

import json
import re
import xml.etree.ElementTree as ET  # reads only what pytest wrote here

import pytest

from qiltest.cli.main import main
from qiltest.gate import Verdict

REAL = ("-m", "gpu", "--qil-report-latency", "--qil-case=coffee")
MARKS = """
[[resolutions.report]]
variant = "base"
passes = false
finding = "wrong"

[[resolutions.report]]
variant = "fast"
passes = true

[limits]
absolute = "report"
"""
TYPO = {"typos": {"Qwen Coffee": "Qwen Cofee"}}


@pytest.fixture
def marked(suite, monkeypatch):
    """The report marks the case's `fast` image right and its `base` image wrong."""
    monkeypatch.setenv("COLUMNS", "200")
    path = suite.path / "cases" / "coffee.toml"
    path.write_text(path.read_text().replace("language =", "report_table = 1\nlanguage =") + MARKS)
    return suite


def verdicts(suite):
    return {result.sample.variant: result.verdict for result in suite.latest().results}


def test_without_a_golden_an_image_that_is_marked_right_passes_at_zero_edits_and_says_why(marked, monkeypatch, capsys):
    result = marked.run(*REAL, "--qil-variant=fast", "--junitxml=junit.xml")
    result.assert_outcomes(passed=1)
    assert result.ret == 0
    said = " ".join(result.stdout.str().split())
    assert re.search(r"PASS ✓ 0/18 (\(\d\) )*\(1\)", said)
    assert "(1) no golden: absolute limit 0" in said
    properties = {p.get("name"): p.get("value") for p in ET.parse(marked.path / "junit.xml").getroot().iter("property")}
    assert (properties["qiltest.verdict"], properties["qiltest.limit"]) == ("PASS", "0")
    assert properties["qiltest.golden_distance"] == "none"
    run = marked.latest()
    for page in ("report.md", "report.html"):
        assert "no golden: absolute limit 0" in (run.path / page).read_text("utf-8"), page
    monkeypatch.chdir(marked.path)
    assert main(["report", "latest", "--format=json", "--output=report.json"]) == 0
    (image,) = json.loads((marked.path / "report.json").read_text())["images"]
    assert (image["verdict"], image["limit"], image["golden_distance"]) == ("PASS", 0, None)


def test_one_edit_more_fails_whatever_is_asked_to_be_recorded(marked):
    marked.plan(coffee__fast=TYPO)
    result = marked.run(*REAL, "--qil-update=missing")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAIL *distance 1 is above the case's absolute limit 0", "accept * not possible*"])
    assert verdicts(marked)["fast"] is Verdict.FAIL
    assert not [name for name in marked.goldens() if name.endswith("fast-s42.json")]


def test_what_the_report_marks_wrong_is_new_and_may_have_a_golden_with_edits(marked):
    marked.plan(coffee__base=TYPO)
    marked.run(*REAL, "--qil-variant=base").assert_outcomes(failed=1)
    assert verdicts(marked)["base"] is Verdict.NEW
    assert marked.run(*REAL, "--qil-variant=base", "--qil-update=missing").ret == 0
    assert marked.run(*REAL, "--qil-variant=base").ret == 0


def test_the_embedded_model_is_not_held_to_the_marks_of_the_real_one(marked):
    marked.plan(coffee__fast=TYPO)
    assert marked.run("--qil-case=coffee", "--qil-update=missing").ret == 0
    assert marked.run("--qil-case=coffee").ret == 0


def test_a_latency_without_a_golden_fails_unless_it_is_only_reported(marked):
    assert marked.run("-m", "gpu", "--qil-case=coffee", "--qil-variant=fast").ret == pytest.ExitCode.TESTS_FAILED
    assert marked.run(*REAL, "--qil-variant=fast").ret == 0
    assert marked.latest().results[0].latency.verdict is Verdict.INCOMPARABLE
