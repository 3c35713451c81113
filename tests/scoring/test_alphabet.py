"""Which characters a reader cannot return, and which of several readers reads a text."""

from dataclasses import replace

import pytest

import builders as make
from builders import FAKE
from qiltest.reading import Choice
from qiltest.scoring import alphabet
from qiltest.scoring.alphabet import AlphabetError, outside, reader_for, require_readable, require_readable_case
from qiltest.suite.cases import EditRules, ExpectedText

LATIN, CHINESE = frozenset("abc -'"), frozenset("abc义本龍")


class Reader:
    info = FAKE

    def __init__(self, known=None):
        if known is not None:
            self.alphabet = known


def texts(*found, marks=()):
    return tuple(ExpectedText(text=text, optional_marks=marks) for text in found)


@pytest.mark.parametrize(
    ("text", "known", "unknown"),
    [
        ("a b\tc", "abc", ""),
        ("ａｂ", "ab", ""),  # full width: NFKC makes them one
        ("ab", "ａｂ", ""),
        ("it’s", "its'", ""),  # marks that no reader tells apart are one
        ("义本义x", "abc", "义本x"),
        ("aB", "ab", "B"),
        ("한글", "ㅎㅏㄴ", "한글"),
    ],
)
def test_characters_are_compared_as_the_scorer_compares_them(text, known, unknown):
    assert "".join(outside(texts(text), frozenset(known)).get(text, ())) == unknown


def test_optional_marks_are_exempt_and_the_same_mark_of_another_text_is_not():
    assert outside(texts("a😊", marks=("😊",)), LATIN) == {}
    assert outside(texts("a😊"), LATIN) == {"a😊": ("😊",)}


def test_a_look_alike_that_the_case_forgives_stands_for_a_character():
    assert outside(texts("龙"), CHINESE) == {"龙": ("龙",)}
    assert outside(texts("龙"), CHINESE, ("simplified/traditional",)) == {}


def test_the_error_names_the_characters_of_each_text_and_a_remedy():
    with pytest.raises(AlphabetError) as raised:
        require_readable(Reader(LATIN), texts("ab", "义a本", "".join(map(chr, range(0x4E00, 0x4E14)))), where="case x")
    first, remedy = str(raised.value).split("\n")
    assert first.startswith("case x: fake cannot return 义 本 of '义a本'; 一 丁 ")
    assert " and 8 more of " in first
    assert first.endswith(": not in its alphabet")
    assert remedy.startswith("  -> use the reader rapidocr (docs/reference/reading.md#alphabets); or name marks that")


def test_a_text_that_must_be_gone_is_one_that_the_reader_could_have_found():
    case = replace(make.case("sign", texts=texts("ab")), edit=EditRules(inputs=(), gone=("한국",)))
    with pytest.raises(AlphabetError, match="한 국 of '한국': not in its alphabet"):
        require_readable_case(case, Reader(LATIN))


def test_a_message_names_three_texts_and_counts_the_others():
    with pytest.raises(AlphabetError, match="义 of '义'; 本 of '本'; 龙 of '龙'; and others of 2 more texts: not in"):
        require_readable(Reader(LATIN), texts("义", "本", "龙", "龍", "한"), where="case x")


def test_where_none_of_several_knows_all_the_nearest_is_named(choices):
    with pytest.raises(
        AlphabetError, match="義 龍 of '義龍': not in its alphabet; the nearest, e:zh, cannot return 義 of"
    ):
        require_readable(Reader(LATIN), texts("義龍"), where="case x", asked="e")


def test_a_reader_without_an_alphabet_is_asked_nothing():
    require_readable(Reader(), texts("义"), where="case x")


@pytest.fixture
def choices(monkeypatch):
    found = [Choice(name="e:en", alphabet=LATIN), Choice(name="e:zh", alphabet=CHINESE)]
    monkeypatch.setattr(alphabet, "reader_choices", lambda name: tuple(found) if name == "e" else ())
    return found


@pytest.mark.parametrize(
    ("name", "text", "chosen"), [("e", "ab", "e:en"), ("e", "a义", "e:zh"), ("e", "한", "e"), ("other", "义", "other")]
)
def test_the_plainest_reader_that_knows_every_character_is_chosen(choices, name, text, chosen):
    assert reader_for(name, texts(text)) == chosen


def test_one_whose_weights_are_not_here_is_not_chosen_but_the_error_says_how_to_get_them(choices):
    choices[1] = Choice(name="e:zh", alphabet=CHINESE, remedy="fetch the e:zh model")
    assert reader_for("e", texts("义")) == "e"
    with pytest.raises(AlphabetError, match="-> fetch the e:zh model; or use the reader rapidocr "):
        require_readable(Reader(LATIN), texts("义"), where="case x", asked="e")
