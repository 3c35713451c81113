"""A reader whose alphabet lacks characters of a case: an ERROR that names them, before anything is generated."""

import io
import json

import pytest

from qiltest.cli.main import main
from qiltest.gate import Verdict

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 "


def korean(suite):
    suite.case("korean", first="안녕 Hello", second="Seoul")
    suite.plan(alphabet=LETTERS)


def test_a_case_that_the_reader_cannot_read_is_an_error_before_its_image(suite):
    korean(suite)
    result = suite.run("--qil-update=missing", "--junitxml=junit.xml")
    result.assert_outcomes(passed=4, failed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "ERROR * case korean: standin cannot return 안 녕 of '안녕 Hello': not in its alphabet",
            "              -> use a reader of this script*, for this case alone by `reader` in *korean.toml; *",
        ]
    )
    assert [line for line in suite.generated() if line.startswith("korean")] == []
    assert not [name for name in suite.goldens() if "korean" in name]
    failed = suite.latest().result("korean@1328x1328-fast-s42")
    assert (failed.verdict, failed.image, failed.score) == (Verdict.ERROR, None, None)
    assert "not in its alphabet" in (suite.path / "junit.xml").read_text()


def test_marks_that_the_case_declares_optional_are_exempt(suite):
    path = suite.path / "cases" / "coffee.toml"
    path.write_text(
        path.read_text()
        .replace("Qwen Coffee", "Qwen Coffee 😊", 2)
        .replace('text = "Qwen Coffee 😊"', 'text = "Qwen Coffee 😊"\noptional_marks = ["😊"]')
    )
    suite.plan(alphabet=LETTERS)
    suite.run("--qil-case=coffee", "--qil-update=missing").assert_outcomes(passed=2)


def test_a_reader_that_states_no_alphabet_reads_every_case(suite):
    suite.case("korean", first="안녕 Hello", second="Seoul")
    suite.run("--qil-case=korean", "--qil-update=missing").assert_outcomes(passed=2)


def test_a_reader_of_the_case_file_is_held_to_its_own_alphabet(suite):
    korean(suite)
    path = suite.path / "cases" / "korean.toml"
    path.write_text(path.read_text().replace("language =", 'reader = "no-such"\nlanguage ='))
    result = suite.run("--qil-case=korean")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["ERROR *unknown reader 'no-such'*"])
    assert suite.generated() == []


@pytest.mark.parametrize("mode", ["missing", "all"])
def test_an_image_whose_texts_are_all_misread_is_never_recorded(suite, mode):
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "zzzzzzzzz", "2 dollars": "####"}})
    result = suite.run(f"--qil-update={mode}")
    result.assert_outcomes(passed=3, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["accept * not possible: distance 18 and tolerance 0 allow all 18 characters, so its golden would pass*"]
    )
    assert "tiny/coffee@1328x1328/fast-s42.json" not in suite.goldens()
    assert not suite.latest().result("coffee@1328x1328-fast-s42").golden_recorded


def test_nor_is_it_accepted_by_hand(suite, monkeypatch, capsys):
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "zzzzzzzzz", "2 dollars": "####"}})
    suite.run("--qil-case=coffee")
    monkeypatch.chdir(suite.path)
    assert main(["review", "--accept-all"]) == 1
    assert "cannot be accepted: distance 18 and tolerance 0 allow all 18 characters" in capsys.readouterr().out
    assert suite.goldens() == ["tiny/coffee@1328x1328/base-s42.json"]


UNREAD = "no expected text was read with half of its characters right, so only `qiltest review` accepts it, by itself"


@pytest.fixture
def unread(suite, monkeypatch):
    """A run of which one image has a few characters of its texts right, too few to call one read."""
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "Qwen zzzzzz", "2 dollars": "2 ######s"}})
    result = suite.run("--qil-case=coffee", "--qil-update=missing")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"accept * not possible: {UNREAD}; look at the image*"])
    suite.run("--qil-case=coffee")
    monkeypatch.chdir(suite.path)
    return suite


def test_an_image_without_a_text_that_was_read_is_not_accepted_with_all_others(unread, capsys):
    assert main(["review", "--accept-all"]) == 1
    assert f"coffee@1328x1328-fast-s42: not accepted with the others: {UNREAD}\n" in capsys.readouterr().out
    assert main(["review", "--accept-all", "--json"]) == 1
    (item,) = json.loads(capsys.readouterr().out)["items"]
    assert (item["blocked"], item["doubt"], item["decision"]) == ("", UNREAD, None)
    assert unread.goldens() == ["tiny/coffee@1328x1328/base-s42.json"]


def test_somebody_who_looks_at_it_may_reject_or_accept_it(unread, monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal("r\n"))
    assert main(["review"]) == 1
    out = capsys.readouterr().out
    assert f"  look       {UNREAD}\n" in out
    assert "  new        " in out
    assert unread.goldens() == ["tiny/coffee@1328x1328/base-s42.json"]
    monkeypatch.setattr("sys.stdin", Terminal("a\n"))
    assert main(["review", "--again"]) == 0
    assert "tiny/coffee@1328x1328/fast-s42.json" in unread.goldens()
    # from then on what was right must stay right
    unread.run("--qil-case=coffee").assert_outcomes(passed=2)
    unread.plan(coffee__fast={"typos": {"Qwen Coffee": "zzzz Coffzz", "2 dollars": "2 ######s"}})
    unread.run("--qil-case=coffee").assert_outcomes(passed=1, failed=1)


def test_an_image_with_one_text_misread_may_be_accepted_by_hand(suite, monkeypatch):
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "zzzzzzzzz"}})
    suite.run("--qil-case=coffee")
    monkeypatch.chdir(suite.path)
    assert main(["review", "--accept-all"]) == 1  # somebody must have looked at it
    suite.run("--qil-case=coffee").assert_outcomes(passed=1, failed=1)
    terminal = io.StringIO("a\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert main(["review"]) == 0
    suite.run("--qil-case=coffee").assert_outcomes(passed=2)
