"""A case that an image without its texts, or one of garbage, would pass is refused when it is loaded."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import builders as make
from qiltest.gate import Verdict, judge
from qiltest.gate.golden import golden_from
from qiltest.scoring import score_case
from qiltest.suite.case_checks import Known, check_case
from qiltest.suite.case_schema import CaseTable, case_from
from qiltest.suite.load import load_cases
from qiltest.suite.problems import CaseFileError, check_shape
from qiltest.suite.selection import Sample

HEAD = 'id = "zz"\ntitle = "t"\nlanguage = "en"\nprompt = {prompt}\n'
TAIL = '[[resolutions]]\nsize = "1328x1328"\ntiny = "256x128"\n'


def mistakes(folder, *texts, limits=""):
    tables = "".join(f"[[texts]]\n{text}\nin_prompt = false\n" for text in texts)
    file = folder / "zz.toml"
    file.write_text(HEAD.format(prompt=json.dumps("p")) + tables + TAIL + limits)
    try:
        load_cases(folder)
    except CaseFileError as error:
        return [str(mistake) for mistake in error.mistakes]
    return []


HELLO = 'text = "Hello World"'
AT_MOST = "allowed: at most 9: an image without any text must fail"


@pytest.mark.parametrize("key", ["tolerance", "text_tolerance", "absolute"])
@pytest.mark.parametrize(
    ("limit", "shown"), [("10", "10"), ("1_000_000_000", "1000000000"), ("1" + "0" * 30, "a number of 100 bits")]
)
def test_a_limit_that_allows_every_character_to_be_wrong(tmp_path, key, limit, shown):
    found = mistakes(tmp_path, HELLO, limits=f"[limits]\n{key} = {limit}\n")
    assert found == [f"limits.{key}: {shown} allows all 10 characters of the required texts to be wrong; {AT_MOST}"]
    assert mistakes(tmp_path, HELLO, limits=f"[limits]\n{key} = 9\n") == []


def test_a_limit_of_thousands_of_digits_is_told_and_not_written_out(tmp_path):
    (found,) = mistakes(tmp_path, HELLO, limits=f"[limits]\ntolerance = 0x{'f' * 5000}\n")
    assert found.startswith("limits.tolerance: a number of 20000 bits allows all 10 characters")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\\u3164", '"\u3164" has only white space, optional marks and characters nobody sees'),
        ("\\u2800", '"\u2800" has only white space, optional marks and characters nobody sees'),
        ("\\u034f", '"\u034f" has only white space, optional marks and characters nobody sees'),
        ("\\u200b\\ufe0f", '"\u200b\ufe0f" has only white space, optional marks and characters nobody sees'),
        ("\\U000E0100", '"\U000e0100" has only white space, optional marks and characters nobody sees'),
        ("\\u0301\\u0302", '"\u0301\u0302" has only combining marks'),
        ("\\uE000", 'U+E000 of "\ue000" has no glyph in Unicode'),
        ("Apple \\uF8FF", 'U+F8FF of "Apple \uf8ff" has no glyph in Unicode'),
        ("\\u0378", 'U+0378 of "\u0378" has no glyph in Unicode'),
    ],
)
def test_a_text_that_nobody_sees(tmp_path, text, seen):
    (found,) = mistakes(tmp_path, f'text = "{text}"')
    assert found.startswith(f"texts[0].text: {seen}; allowed: ")


@pytest.mark.parametrize("text", ["福", "é", "e\u0301", "नि", "★", "5", "."])
def test_a_text_of_one_visible_character_is_a_text(tmp_path, text):
    assert mistakes(tmp_path, f'text = "{text}"') == []


@pytest.mark.parametrize("mark", ["World", "elloWorld", "W", "\u0421", "5"])
def test_an_optional_mark_is_no_letter_or_digit(tmp_path, mark):
    (found,) = mistakes(tmp_path, f'text = "Hello World \u0421 5"\noptional_marks = ["{mark}"]')
    assert found.startswith(
        f'texts[0].optional_marks[0]: "{mark}" has letters or digits; allowed: marks that no reader'
    )


@pytest.mark.parametrize("mark", ["😊", ",", "™", "5\ufe0f\u20e3", "\u2139\ufe0f", "①", "★★", ":)"])
def test_an_optional_mark_may_be_any_symbol(tmp_path, mark):
    assert mistakes(tmp_path, f'text = "Hello {mark}"\noptional_marks = ["{mark}"]') == []


def test_the_required_texts_have_a_quarter_of_the_characters(tmp_path):
    spare = 'text = "{}"\nrequired = false'
    (found,) = mistakes(tmp_path, spare.format("Hello"), spare.format("Wor"), 'text = "ld"')
    assert found == (
        "texts: 2 of 10 characters are required, so an image of garbage could pass; "
        "allowed: required texts with at least a quarter of the characters, 3"
    )
    assert mistakes(tmp_path, spare.format("Hello"), spare.format("W"), 'text = "ld"') == []
    (found,) = mistakes(tmp_path, spare.format("Hello"))
    assert found.startswith("texts: no text is required, so the case could not fail")


#: mostly what cases are made of, and some of what they should not be.
CHARACTERS = st.sampled_from("abcdeXYZ 059中文한é" * 4 + ".-!★😊\u0301™①" * 2 + "\u3164\u2800\u034f\u200b\ufe0f\ue000")


@st.composite
def text_tables(draw):
    text = draw(st.text(CHARACTERS, min_size=1, max_size=12))
    symbols = [char for char in text if char in ".-!★😊™①"]
    marks = draw(st.lists(st.sampled_from(symbols), max_size=2)) if symbols else []
    return {"text": text, "optional_marks": marks, "required": draw(st.integers(0, 3)) > 0, "in_prompt": False}


RAW = st.fixed_dictionaries(
    {
        "id": st.just("zz"),
        "title": st.just("t"),
        "language": st.just("en"),
        "prompt": st.just("p"),
        "texts": st.lists(text_tables(), min_size=1, max_size=4),
        "resolutions": st.just([{"size": "1328x1328", "tiny": "256x128"}]),
    },
    optional={
        "limits": st.fixed_dictionaries(
            {}, optional={key: st.integers(0, 12) for key in ("tolerance", "text_tolerance", "absolute")}
        ),
        "line_breaks": st.sampled_from(["layout", "strict"]),
        "forgiven": st.sampled_from([[], ["O/0", "I/l/1"]]),
    },
)
KNOWN = Known(variants=None, languages=None, look_alikes=("O/0", "I/l/1"))


def loaded(raw, path):
    table = check_shape(CaseTable, raw, path)
    return case_from(table, path) if isinstance(table, CaseTable) and not list(check_case(raw, path, KNOWN)) else None


def verdict(case, lines):
    """The distance of a perfect image, and the verdict on another one against its golden."""
    sample = Sample(case=case.id, size=make.SIZE, variant="base", seed=42)
    perfect = score_case(case, make.reading(make.stack(*(text.text for text in case.texts))))
    golden = golden_from(sample, model="tiny", recipe=make.recipe(), score=perfect, noise_floor=None, image="b" * 64)
    score = score_case(case, make.reading(make.stack(*lines)))
    return perfect.distance, judge(score, golden, case.limits, case=case, effective=make.SIZE).verdict


@settings(max_examples=300)
@given(RAW)
def test_an_image_without_text_and_one_of_garbage_fail_every_case_that_is_loaded(tmp_path_factory, raw):
    case = loaded(raw, tmp_path_factory.getbasetemp() / "zz.toml")
    if case is None:
        return
    # the letters are of a script that no text has, so none is right by chance
    garbage = ["\u0428" * max(1, len(text.text)) for text in case.texts]
    for lines in (["\u0428"], garbage):
        assert verdict(case, lines) == (0, Verdict.FAIL)
