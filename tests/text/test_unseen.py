"""Characters that nobody sees are known by their properties, in every script."""

import sys
import unicodedata

import pytest

from qiltest.text.normalise import normalise
from qiltest.text.unseen import is_drawn, is_unseen, without_glyph

ALL = [chr(code) for code in range(sys.maxunicode + 1)]


def test_every_filler_joiner_and_selector_is_unseen_by_its_name():
    named = [
        char
        for char in ALL
        if (
            unicodedata.name(char, "").endswith(("FILLER", "GRAPHEME JOINER", "ZERO WIDTH JOINER", "PATTERN BLANK"))
            and unicodedata.category(char) != "Po"
        )  # fillers of gaps and lines, which are drawn
        or "VARIATION SELECTOR" in unicodedata.name(char, "")
    ]
    visible = [unicodedata.name(char) for char in named if not is_unseen(char)]
    assert visible == ["KHITAN SMALL SCRIPT FILLER"]  # a combining mark, which never stands alone
    assert not any(map(is_drawn, named))
    assert len(named) > 250


def test_what_is_unseen_is_no_letter_digit_or_mark_that_a_font_draws():
    kept = {
        unicodedata.name(char, f"U+{ord(char):04X}")
        for char in ALL
        if is_unseen(char) and unicodedata.category(char)[0] in "LNPS"
    }
    assert kept == {
        "HANGUL CHOSEONG FILLER",
        "HANGUL JUNGSEONG FILLER",
        "HANGUL FILLER",
        "HALFWIDTH HANGUL FILLER",
        "BRAILLE PATTERN BLANK",
        "MUSICAL SYMBOL NULL NOTEHEAD",
    }


@pytest.mark.parametrize("char", ["\u3164", "\u2800", "\u034f", "\u200b", "\ufe0f", "\U000e0100", "\xad", "\U000e0041"])
def test_what_nobody_sees_is_dropped_before_texts_are_compared(char):
    assert normalise(f"a{char}b{char}") == "ab"
    assert normalise(char) == ""


@pytest.mark.parametrize("char", "aÄ中한😊★.9ة")
def test_what_is_drawn_stays(char):
    assert is_drawn(char)
    assert normalise(char)
    assert without_glyph(char) == []


@pytest.mark.parametrize("char", ["\ue000", "\U0010fffd", "\u0378", "\ud800"])
def test_what_no_standard_draws_is_named(char):
    assert without_glyph(f"a{char}") == [char]
    assert not is_drawn(char)
