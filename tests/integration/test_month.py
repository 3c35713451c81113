"""A month of nights on the stand-in model, and what each morning's summary says.

Three regressions (one is fixed), one reader that is not steady, and one change of a version. Every night is a whole
session of pytest in a job of GitHub, with the goldens of before the month.
"""

import html
import re

import pytest

from qiltest.cli.main import main

COFFEE = {"typos": {"Qwen Coffee": "Qwen Cofee"}}
POSTER = {"typos": {"Enter a world": "Enter world"}}
TWICE = {"extra": ["Qwen Coffee"]}
COFFEE_BASE, COFFEE_FAST, POSTER_BASE, POSTER_FAST = (
    f"{case}@1328x1328-{variant}-s42" for case in ("coffee", "poster") for variant in ("base", "fast")
)
#: nights, from 1.
NIGHTS = range(1, 31)
FIRST, FIXED = range(5, 10), 10
UPGRADE = 13
UNSTEADY = (20, 22, 24, 26)
THIRD = 28


def planned(night):
    """What is wrong in a night."""
    plan = {}
    if night in FIRST:
        plan["coffee__fast"] = COFFEE
    if night >= UPGRADE:
        plan |= {"torch": "2.15.0", "poster__base": POSTER}
    if night in UNSTEADY:
        plan["misread"] = {"2 dollars": "2 dolars"}
    if night >= THIRD:
        plan["coffee__base"] = TWICE
    return plan


def plain(line):
    """A line of Markdown without its escapes."""
    return html.unescape(line.replace("\\", ""))


def standings(lines):
    """What a summary says of each image, as {sample: (standing, sentence)}."""
    found = (re.match(r"(?:qiltest:   |- \*\*)(\w+)\W+([\w@-]+): (.*)", plain(line)) for line in lines)
    return {match[2]: (match[1], match[3]) for match in found if match}


class Month:
    """The mornings, by night: exit code, terminal, job summary and run."""

    def __init__(self):
        self.codes, self.runs, self.said, self.heads, self.summaries = {}, {}, {}, {}, {}

    def of(self, standing):
        """The nights in which an image is called this, by image."""
        found = {}
        for night, said in self.said.items():
            for sample, (own, _) in said.items():
                if own == standing:
                    found.setdefault(sample, []).append(night)
        return found


@pytest.fixture
def month(suite, monkeypatch):
    suite.record()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    found = Month()
    for night in NIGHTS:
        suite.plan(**planned(night))
        summary = suite.path / "summary.md"
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
        result = suite.run("-q")
        found.codes[night], found.runs[night] = int(result.ret), suite.latest().id
        found.said[night] = standings(result.outlines)
        found.summaries[night] = summary.read_text()
        found.heads[night] = found.summaries[night].splitlines()[0].replace("\\", "")
        assert standings(found.summaries[night].splitlines()) == found.said[night], "both say the same"
        summary.unlink()
    return found


@pytest.mark.slow
def test_each_morning_says_what_is_new_what_stays_what_is_fixed_and_what_changed(month, suite, monkeypatch, capsys):
    # quiet nights say nothing, and pass
    quiet = [1, 2, 3, 4, 11, 12]
    assert [night for night in NIGHTS if month.codes[night] == 0] == [*quiet[:4], FIXED, *quiet[4:]]
    assert [night for night in NIGHTS if not month.said[night]] == quiet
    assert {month.heads[night] for night in (*quiet, FIXED)} == {"# ✅ PASS: All 4 images pass"}

    # each regression is new once, and then counts its nights
    assert month.of("new") == {
        COFFEE_FAST: [5, *UNSTEADY],
        POSTER_BASE: [UPGRADE],
        COFFEE_BASE: [*UNSTEADY, THIRD],
    }
    assert month.of("recurring") == {
        COFFEE_FAST: [6, 7, 8, 9],
        POSTER_BASE: list(range(UPGRADE + 1, 31)),
        COFFEE_BASE: list(range(THIRD + 1, 31)),
    }
    for night in range(UPGRADE + 1, 31):
        said = month.said[night][POSTER_BASE][1]
        assert said.startswith(f"{night - UPGRADE + 1} runs in a row, first ")
        assert month.runs[UPGRADE] in said
        assert month.runs[UPGRADE - 1] in said

    # the first has no cause on record, the second came with a version, and both say so every morning
    for night in FIRST:
        assert "nothing that is recorded: same recipe, different image" in month.said[night][COFFEE_FAST][1]
    for night in range(UPGRADE, 31):
        assert month.said[night][POSTER_BASE][1].endswith("changed then: torch 2.14.1 -> 2.15.0")
    assert "nothing that is recorded: same recipe, different image" in month.said[THIRD][COFFEE_BASE][1]

    # the fix is told once, with how long it took
    assert month.of("fixed")[COFFEE_FAST][0] == FIXED
    assert month.said[FIXED] == {COFFEE_FAST: ("fixed", month.said[FIXED][COFFEE_FAST][1])}
    assert month.said[FIXED][COFFEE_FAST][1].startswith("passes again after 5 runs in a row")

    # the reader: the image is the same, byte for byte, and after three flips it is called flaky
    assert month.of("fixed")[COFFEE_FAST][1:] == [21, 23, 25, 27]
    for night in UNSTEADY:
        assert "same image, byte for byte: look at the reader" in month.said[night][COFFEE_FAST][1]
    flaky = [night for night in NIGHTS if "flaky: " in month.said[night].get(COFFEE_FAST, ("", ""))[1]]
    assert flaky[0] == 22, "not a regression and its fix, but the third flip"
    assert 28 in flaky, "it passes, and is called flaky all the same"
    assert month.of("flaky")[COFFEE_FAST][0] == 28
    assert "flaky: " not in month.said[9][COFFEE_FAST][1]
    assert all("flaky" not in month.said[night][POSTER_BASE][1] for night in range(UPGRADE, 31))

    # the first line counts what is worse
    assert month.heads[5] == "# ❌ FAIL: 1 of 4 images is worse than its golden"
    assert month.heads[20] == "# ❌ FAIL: 3 of 4 images are worse than their goldens"
    assert month.heads[30] == "# ❌ FAIL: 2 of 4 images are worse than their goldens"
    assert "## Since when: 2 new, 1 recurring\n" in month.summaries[20]

    # and at the end of the month the page and the command have it all
    monkeypatch.chdir(suite.path)
    assert main(["history", "--html", "trends.html"]) == 0
    page = (suite.path / "trends.html").read_text()
    assert "2 of 4 images do not pass in the newest of 30 runs" in page
    assert "18 runs in a row" in page
    assert page.count('href="./runs/') == 30
    capsys.readouterr()
    assert main(["history"]) == 0
    assert "since when: 2 recurring, 1 flaky" in capsys.readouterr().out
