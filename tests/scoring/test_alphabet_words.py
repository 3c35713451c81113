"""What is said where a reader cannot return a text's characters: which ones, which reader is nearest, what to do."""

from dataclasses import replace

import pytest

import builders
from builders import FAKE
from qiltest.reading import Choice
from qiltest.scoring import alphabet
from qiltest.scoring.alphabet import AlphabetError, outside, reader_for, require_readable, require_readable_case

LATIN, CHINESE = frozenset("abc"), frozenset("abc龍")
#: the look-alike class that makes 龙 one with the 龍 of an alphabet
SCRIPTS = ("simplified/traditional",)
USE = "use the reader rapidocr (docs/reference/reading.md#alphabets)"
MARKS = "name marks that may be missing as optional (`optional_marks`)"


class Reader:
    def __init__(self, known, name="fake"):
        self.alphabet, self.info = known, replace(FAKE, name=name)


@pytest.fixture
def choices(monkeypatch):
    """What the name "e" stands for; a reader that nobody named stands for nothing."""
    found = [Choice(name="e:en", alphabet=LATIN), Choice(name="e:zh", alphabet=CHINESE)]

    def known(name):
        assert name == "e"
        return tuple(found)

    monkeypatch.setattr(alphabet, "reader_choices", known)
    return found


def refused(reader, *texts, **fields):
    with pytest.raises(AlphabetError) as error:
        require_readable(reader, builders.texts(*texts), where="case x", **fields)
    return error.value


def test_a_forgiven_look_alike_counts_in_every_choice_of_a_reader(choices):
    text = builders.texts("龙")
    assert reader_for("e", text, SCRIPTS) == "e:zh"
    assert reader_for("e", text) == "e"
    require_readable(Reader(CHINESE), text, where="case x", forgiven=SCRIPTS)
    require_readable_case(builders.case("x", "龙", forgiven=SCRIPTS), Reader(CHINESE))


def test_what_is_forgiven_excuses_no_other_character():
    assert outside(builders.texts("한"), CHINESE, SCRIPTS) == {"한": ("한",)}


def test_a_reader_that_nobody_named_is_compared_with_no_other(choices):
    error = refused(Reader(LATIN), "龍")
    assert error.what == "fake cannot return 龍 of '龍': not in its alphabet"
    assert (error.where, error.remedy) == ("case x", f"{USE}; or {MARKS}")


def test_the_nearest_reader_lacks_only_what_is_not_forgiven(choices):
    error = refused(Reader(LATIN), "龙한", forgiven=SCRIPTS, asked="e")
    assert error.what == (
        "fake cannot return 龙 한 of '龙한': not in its alphabet; the nearest, e:zh, cannot return 한 of '龙한'"
    )


def test_of_readers_that_are_not_here_yet_the_first_that_fits_is_named(choices):
    choices[:] = [
        Choice(name="e:en", alphabet=LATIN, remedy="fetch en"),
        Choice(name="e:zh", alphabet=CHINESE, remedy="fetch zh"),
        Choice(name="e:all", alphabet=CHINESE | {"한"}, remedy="fetch all"),
    ]
    error = refused(Reader(LATIN), "龙", forgiven=SCRIPTS, asked="e")
    assert error.remedy == f"fetch zh; or {USE}; or {MARKS}"
    error = refused(Reader(LATIN), "龙", forgiven=SCRIPTS, asked="e", file="cases/x.toml")
    assert error.remedy == f"fetch zh; or {USE}, for this case alone by `reader` in cases/x.toml; or {MARKS}"


def test_a_case_file_is_named_as_the_place_of_another_reader():
    with pytest.raises(AlphabetError) as error:
        require_readable_case(builders.case("x", "龍", path="cases/x.toml"), Reader(LATIN))
    assert error.value.where == "case x"
    assert error.value.remedy == f"{USE}, for this case alone by `reader` in cases/x.toml; or {MARKS}"


def test_rapidocr_itself_is_not_named_as_its_own_remedy():
    error = refused(Reader(LATIN, name="rapidocr"), "한")
    assert error.remedy == f"use a reader of this script (docs/reference/reading.md#alphabets); or {MARKS}"


@pytest.mark.parametrize(("more", "said"), [(0, ""), (1, " and 1 more"), (2, " and 2 more")])
def test_twelve_characters_of_a_text_are_named(more, said):
    text = "".join(chr(0x4E00 + n) for n in range(12 + more))
    assert refused(Reader(LATIN), text).what == (
        f"fake cannot return {' '.join(text[:12])}{said} of {text!r}: not in its alphabet"
    )


@pytest.mark.parametrize(("texts", "said"), [("一丁七", ""), ("一丁七丂", "; and others of 1 more text")])
def test_three_texts_are_named(texts, said):
    named = "; ".join(f"{text} of {text!r}" for text in texts[:3])
    assert refused(Reader(LATIN), *texts).what == f"fake cannot return {named}{said}: not in its alphabet"
