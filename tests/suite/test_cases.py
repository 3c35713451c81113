"""Case files: what loads, and every mistake with its file, key, what was seen and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qiltest.errors import CaseError
from qiltest.recipe import Size
from qiltest.suite.case_checks import Known, check_case
from qiltest.suite.case_schema import CaseTable
from qiltest.suite.cases import LineBreaks
from qiltest.suite.load import load_cases, load_suite
from qiltest.suite.problems import CaseFileError, Mistake, check_shape

CASE = """\
id = "poster"
title = "A poster"
language = "en"
report_table = 1
prompt = 'A poster that reads "Hello World 😊" and "夜市 open".'

[[texts]]
text = "Hello World 😊"
optional_marks = ["😊"]

[[texts]]
text = "夜市 open"
vertical = true

[[resolutions]]
size = "713x1280"
tiny = "256x128"

[[resolutions.report]]
variant = "base"
passes = true
"""
VARIANTS = """\
[base]
title = "Base"
steps = 50
true_cfg_scale = 4.0
negative_prompt = " "
scheduler = "model"
prompt_suffix = { en = ", 4K" }
"""


def write(folder: Path, **files: str) -> Path:
    for name, text in {"variants": VARIANTS, **files}.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder


def mistakes_of(folder: Path) -> list[str]:
    with pytest.raises(CaseFileError) as caught:
        load_suite(folder)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_a_case_is_loaded_with_its_defaults(tmp_path: Path) -> None:
    (case,) = load_suite(write(tmp_path, poster=CASE)).cases
    assert (case.id, case.language, case.seeds, case.report_table) == ("poster", "en", (42,), 1)
    assert case.prompt == 'A poster that reads "Hello World 😊" and "夜市 open".'
    assert [(t.text, t.vertical, t.optional_marks, t.required) for t in case.texts] == [
        ("Hello World 😊", False, ("😊",), True),
        ("夜市 open", True, (), True),
    ]
    assert case.resolutions[0].size == Size(713, 1280)
    assert case.resolutions[0].tiny == Size(256, 128)
    assert case.resolutions[0].verdict("base").passes is True
    assert case.resolutions[0].verdict("4step") is None
    assert (case.limits.tolerance, case.limits.absolute, case.limits.noise_floor) == (0, None, ())
    assert case.line_breaks is LineBreaks.LAYOUT
    assert Path(case.path) == tmp_path / "poster.toml"


@pytest.mark.parametrize("allowed", [0, 3])
def test_each_text_may_have_a_limit_of_its_own(tmp_path: Path, allowed: int) -> None:
    limits = f"\n[limits]\ntolerance = 1\ntext_tolerance = {allowed}\n"
    (case,) = load_suite(write(tmp_path, poster=CASE + limits)).cases
    assert (case.limits.tolerance, case.limits.text_tolerance, case.limits.each_text) == (1, allowed, allowed)


def test_limits_and_choices_are_read(tmp_path: Path) -> None:
    extra = 'line_breaks = "strict"\nforgiven = ["I/l/1"]\nseeds = [1, 2]\nreader = "rapidocr"\n'
    limits = "\n[limits]\ntolerance = 2\nabsolute = 9\nnoise_floor = { rapidocr = 1.5, easyocr = 2 }\n"
    (case,) = load_suite(write(tmp_path, poster=extra + CASE + limits)).cases
    assert (case.line_breaks, case.forgiven, case.seeds) == (LineBreaks.STRICT, ("I/l/1",), (1, 2))
    assert case.reader == "rapidocr"
    assert (case.limits.tolerance, case.limits.absolute) == (2, 9)
    assert (case.limits.text_tolerance, case.limits.each_text) == (None, 2)
    assert case.limits.noise_floor == (("easyocr", 2.0), ("rapidocr", 1.5))


TEXT_AGAIN = '\n[[texts]]\ntext = "HelloＷorld😊"\n'
VERDICT_AGAIN = '\n[[resolutions.report]]\nvariant = "base"\npasses = false\n'
RESOLUTION_AGAIN = '\n[[resolutions]]\nsize = "704x1280"\ntiny = "128x128"\n'
NOT_TINY = "multiples of 16, at most 800 per side and 393216 pixels"
ONE_MISTAKE = {
    "unknown key": (
        ("vertical = true", "vertcal = true"),
        'texts[1].vertcal: unknown key (did you mean "vertical"?); '
        "allowed: text, vertical, optional_marks, required, in_prompt, kept",
    ),
    "missing text": (
        ('text = "夜市 open"\n', ""),
        "texts[1].text: missing; allowed: a string that is not empty",
    ),
    "a word for true or false": (
        ("vertical = true", 'vertical = "sideways"'),
        'texts[1].vertical: "sideways" is not allowed; allowed: true or false',
    ),
    "a verdict of no report": (
        ("report_table = 1\n", ""),
        "resolutions[0].report: has no effect without `report_table`; allowed: report_table in the case: "
        "its table in the published report, 1 to 6",
    ),
    "a key that is gone": (
        ("vertical = true", 'layout = "sign"'),
        "texts[1].layout: unknown key; allowed: `vertical = true` for a text from top to bottom, nothing for any other",
    ),
    "a number for a string": (
        ('title = "A poster"', "title = 3"),
        "title: 3 is not allowed; allowed: a string that is not empty",
    ),
    "an empty prompt": (
        ('prompt = \'A poster that reads "Hello World 😊" and "夜市 open".\'', 'prompt = ""'),
        'prompt: "" is not allowed; allowed: a string that is not empty',
    ),
    "white space around the prompt": (
        ("prompt = 'A", "prompt = ' A"),
        "prompt: begins or ends with white space; allowed: no white space there: the model sees it",
    ),
    "a language without suffix": (
        ('language = "en"', 'language = "zh"'),
        'language: "zh" has no prompt_suffix in variants.toml; allowed: en',
    ),
    "a text that is not in the prompt": (
        ('text = "夜市 open"', 'text = "夜市 0pen"'),
        'texts[1].text: "夜市 0pen" is not in the prompt; allowed: a text of the prompt, or in_prompt = false',
    ),
    "a known typo of no text": (
        ("[[resolutions]]\n", '[[known_typos]]\nasked = "Helo"\nshown = "Hello"\n\n[[resolutions]]\n'),
        'known_typos[0].asked: "Helo" is in none of the texts; allowed: part of one of the texts',
    ),
    "a known typo that is none": (
        ("[[resolutions]]\n", '[[known_typos]]\nasked = "Hello"\nshown = "Hel lo"\n\n[[resolutions]]\n'),
        'known_typos[0].shown: "Hel lo" compares equal to `asked`; allowed: a different text',
    ),
    "a mark that is not in its text": (
        ('["😊"]', '["😊", "!"]'),
        'texts[0].optional_marks[1]: "!" is not in "Hello World 😊"; allowed: marks that occur in the text',
    ),
    "nothing left to read": (
        ('text = "夜市 open"', 'text = "😊"\noptional_marks = ["😊"]'),
        'texts[1].text: "😊" has only white space, optional marks and characters nobody sees; '
        "allowed: at least one character that a reader can return",
    ),
    "a text of white space": (
        ('text = "夜市 open"', 'text = " \\u3000 "'),
        'texts[1].text: " \u3000 " has only white space, optional marks and characters nobody sees; '
        "allowed: at least one character that a reader can return",
    ),
    "a text that NFKC makes equal to another": (
        ("vertical = true\n", f"vertical = true\n{TEXT_AGAIN}"),
        'texts[2].text: "HelloＷorld😊" duplicates texts[0]; allowed: each text once',
    ),
    "a form that is not a size": (
        ('"713x1280"', '"713*1280"'),
        'resolutions[0].size: "713*1280" is not a size; allowed: WIDTHxHEIGHT, such as "1328x1328"',
    ),
    "a size of 0 after flooring": (
        ('"713x1280"', '"713x15"'),
        'resolutions[0].size: "713x15" is 704x0 after flooring to multiples of 16; allowed: at least 16 per side',
    ),
    "a size that no reader takes": (
        ('"713x1280"', '"2048x48"'),
        'resolutions[0].size: "2048x48" has one side more than 32 times the other; allowed: a size that readers take',
    ),
    "a stand-in that no reader takes": (
        ('"256x128"', '"800x16"'),
        'resolutions[0].tiny: "800x16" has one side more than 32 times the other; allowed: a size that readers take',
    ),
    "a size over 4096 after flooring": (
        ('"713x1280"', '"4112x1280"'),
        'resolutions[0].size: "4112x1280" is 4112x1280 after flooring to multiples of 16; '
        "allowed: at most 4096 per side",
    ),
    "a stand-in that is no multiple of 16": (
        ('"256x128"', '"250x128"'),
        f'resolutions[0].tiny: "250x128" is not a multiple of 16 on both sides; allowed: {NOT_TINY}',
    ),
    "a stand-in that is too wide": (
        ('"256x128"', '"816x128"'),
        f'resolutions[0].tiny: "816x128" is too large for the embedded model; allowed: {NOT_TINY}',
    ),
    "a stand-in of too many pixels": (
        ('"256x128"', '"640x640"'),
        f'resolutions[0].tiny: "640x640" is too large for the embedded model; allowed: {NOT_TINY}',
    ),
    "a resolution that floors to another's": (
        ("passes = true\n", f"passes = true\n{RESOLUTION_AGAIN}"),
        'resolutions[1].size: "704x1280" generates the same image as resolutions[0].size; '
        "allowed: sizes that differ after flooring to multiples of 16",
    ),
    "an unknown variant": (
        ('variant = "base"', 'variant = "bose"'),
        'resolutions[0].report[0].variant: "bose" is not a variant (did you mean "base"?); allowed: base',
    ),
    "two verdicts on one variant": (
        ("passes = true\n", f"passes = true\n{VERDICT_AGAIN}"),
        'resolutions[0].report[1].variant: duplicate verdict for "base"; allowed: one verdict per variant',
    ),
    "a verdict that says nothing": (
        ("passes = true\n", ""),
        "resolutions[0].report[0]: has neither `passes` nor `finding`; allowed: one of them, or both",
    ),
    "a word for a verdict": (
        ("passes = true", 'passes = "yes"'),
        'resolutions[0].report[0].passes: "yes" is not allowed; '
        "allowed: true or false; left out where the report gives no mark",
    ),
    "an error of an image that the report calls right": (
        ("passes = true", 'passes = true\nerrors = [{ expected = "Hello", read = "Helo" }]'),
        "resolutions[0].report[0].errors[0]: an error of an image that is not marked wrong; allowed: passes = false",
    ),
    "an error in none of the texts": (
        ("passes = true", 'passes = false\nerrors = [{ expected = "Helo" }]'),
        'resolutions[0].report[0].errors[0].expected: "Helo" is in none of the texts; '
        "allowed: part of one of the texts",
    ),
    "an error that is none": (
        ("passes = true", 'passes = false\nerrors = [{ expected = "Hello", read = "Hel lo" }]'),
        'resolutions[0].report[0].errors[0].read: "Hel lo" compares equal to `expected`; allowed: a different text',
    ),
    "an error without what was expected": (
        ("passes = true", 'passes = false\nerrors = [{ read = "Helo" }]'),
        "resolutions[0].report[0].errors[0].expected: missing; allowed: part of one of the texts",
    ),
    "a negative limit": (
        ("passes = true", "passes = true\n[limits]\ntolerance = -1"),
        "limits.tolerance: -1 is not allowed; allowed: a whole number of edits, 0 or more",
    ),
    "a limit that is no whole number": (
        ("passes = true", "passes = true\n[limits]\nabsolute = 1.0"),
        'limits.absolute: 1.0 is not allowed; allowed: a whole number of edits, 0 or more, or "report"',
    ),
    "the report's marks as the limit of a case that has none": (
        ("passes = true", 'passes = false\n[limits]\nabsolute = "report"'),
        'limits.absolute: "report" limits nothing: the report marks no image right; '
        "allowed: a whole number of edits, or `passes = true` in a [[resolutions.report]]",
    ),
    "the report's marks as a limit below the reader's noise floor": (
        (
            "passes = true",
            'passes = true\n[limits]\ntolerance = 1\nabsolute = "report"\nnoise_floor = { rapidocr = 1 }',
        ),
        "limits.absolute: 0 is below rapidocr's noise floor; allowed: 1 or more",
    ),
    "a limit below the reader's noise floor": (
        ("passes = true", "passes = true\n[limits]\ntolerance = 2\nabsolute = 1\nnoise_floor = { rapidocr = 1.5 }"),
        "limits.absolute: 1 is below rapidocr's noise floor; allowed: 1.5 or more",
    ),
    "a limit of each text below the reader's noise floor": (
        (
            "passes = true",
            "passes = true\n[limits]\ntolerance = 2\ntext_tolerance = 1\nnoise_floor = { rapidocr = 1.5 }",
        ),
        "limits.text_tolerance: 1 is below rapidocr's noise floor; allowed: 1.5 or more",
    ),
    "a negative limit of each text": (
        ("passes = true", "passes = true\n[limits]\ntext_tolerance = -1"),
        "limits.text_tolerance: -1 is not allowed; allowed: a whole number of edits, 0 or more",
    ),
    "a noise floor that is NaN": (
        ("passes = true", "passes = true\n[limits]\ntolerance = 2\nnoise_floor = { rapidocr = nan }"),
        "limits.noise_floor.rapidocr: nan is not allowed; "
        "allowed: edits by reader, 0 or more, such as { rapidocr = 0.5 }",
    ),
    "a seed twice": (
        ("title =", "seeds = [7, 7]\ntitle ="),
        "seeds: duplicate seed 7; allowed: each seed once",
    ),
    "no seed": (
        ("title =", "seeds = []\ntitle ="),
        "seeds: [] is not allowed; allowed: whole numbers from 0 to 9223372036854775807, at least one",
    ),
    "a text without a table of texts": (
        ("[[texts]]\ntext", "[[text]]\ntext"),
        'text: unknown key (did you mean "texts"?); allowed: id, title, prompt, language, report_table, texts, '
        "resolutions, limits, line_breaks, forgiven, alone, seeds, reader, known_typos, "
        "task, inputs, removed, rest, rounds",
    ),
}


@pytest.mark.parametrize(("edit", "expected"), ONE_MISTAKE.values(), ids=ONE_MISTAKE.keys())
def test_a_mistake_is_told_with_key_and_remedy(tmp_path: Path, edit: tuple[str, str], expected: str) -> None:
    changed = CASE.replace(*edit)
    assert changed != CASE
    assert expected in mistakes_of(write(tmp_path, poster=changed))


def test_a_mistake_brings_no_others_with_it(tmp_path: Path) -> None:
    alone = {
        name for name in ONE_MISTAKE if name not in {"a noise floor that is NaN", "a text without a table of texts"}
    }
    for name in alone:
        edit, expected = ONE_MISTAKE[name]
        found = mistakes_of(write(tmp_path, poster=CASE.replace(*edit)))
        assert found == [expected], name


def test_an_unknown_look_alike_class_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (mistake,) = mistakes_of(write(tmp_path, poster=f'forgiven = ["upper/lowr"]\n{CASE}'))
    assert mistake.startswith(
        'forgiven[0]: "upper/lowr" is not a look-alike class (did you mean "upper/lower"?); allowed:'
    )


def test_a_text_outside_the_prompt_is_accepted_where_the_file_says_so(tmp_path: Path) -> None:
    changed = CASE.replace('text = "夜市 open"', 'text = "closed"\nin_prompt = false')
    (case,) = load_suite(write(tmp_path, poster=changed)).cases
    assert case.texts[1].text == "closed"


def test_a_doubtful_text_can_be_kept_so_that_its_own_tests_fail(tmp_path: Path) -> None:
    doubtful = CASE.replace('text = "夜市 open"', 'text = "夜市 0pen"')
    other = CASE.replace('id = "poster"', 'id = "other"')
    other_case, poster = load_suite(write(tmp_path, poster=doubtful, other=other), keep_doubtful=True).cases
    (doubt,) = poster.doubts
    assert doubt.startswith('texts[1].text: "夜市 0pen" is not in the prompt; allowed:')
    assert other_case.doubts == ()


def test_a_doubt_is_listed_beside_real_mistakes(tmp_path: Path) -> None:
    folder = write(tmp_path, poster=CASE.replace('text = "夜市 open"', 'text = "0pen"\nsize = 3'))
    with pytest.raises(CaseFileError) as caught:
        load_suite(folder, keep_doubtful=True)
    assert [mistake.key for mistake in caught.value.mistakes] == ["texts[1].size", "texts[1].text"]


def test_a_case_that_requires_no_text_is_refused(tmp_path: Path) -> None:
    changed = CASE.replace("text =", "required = false\ntext =")
    assert mistakes_of(write(tmp_path, poster=changed)) == [
        "texts: no text is required, so the case could not fail; allowed: at least one without required = false"
    ]


def test_the_id_is_the_name_of_the_file(tmp_path: Path) -> None:
    assert mistakes_of(write(tmp_path, other=CASE)) == [
        'id: "poster" in a file called other.toml; allowed: id = "other", or the file name poster.toml'
    ]


@pytest.mark.parametrize("name", ["Poster", "-poster", "po_ster", "p" * 65, "póster", "po.ster"])
def test_an_id_that_is_no_plain_name_is_refused(tmp_path: Path, name: str) -> None:
    (mistake,) = mistakes_of(write(tmp_path, **{name: CASE.replace('"poster"', f'"{name}"')}))
    assert mistake.startswith('id: "')
    assert mistake.endswith("is not allowed; allowed: [a-z0-9][a-z0-9-]{0,63}, equal to the file's name")


def test_an_id_that_two_files_have_is_told_with_both(tmp_path: Path) -> None:
    found = mistakes_of(write(tmp_path, other=CASE, poster=CASE))
    assert 'id: "poster" is also the id of other.toml; allowed: a unique id' in found


def test_all_mistakes_of_all_files_come_at_once(tmp_path: Path) -> None:
    bad = (
        CASE.replace("vertical = true", 'vertical = "sideways"')
        .replace("title =", "titel =")
        .replace('text = "夜市 open"', 'text = "0pen"')
    )
    folder = write(tmp_path, poster=bad, broken='id = "broken"\nid =\n', variants=VARIANTS.replace("50", "0"))
    with pytest.raises(CaseError) as caught:
        load_suite(folder)
    message = str(caught.value)
    assert message.startswith("6 mistakes in 3 files\n")
    for part in (
        f"{folder / 'variants.toml'}\n  base.steps: 0 is not allowed; allowed: a whole number from 1 to 1000",
        f"{folder / 'broken.toml'}\n  not TOML: ",
        "(at line 2, column 5)",
        'titel: unknown key (did you mean "title"?)',
        "title: missing",
        'texts[1].vertical: "sideways"',
        'texts[1].text: "0pen" is not in the prompt',
        "-> fix these and rerun",
    ):
        assert part in message
    assert caught.value.exit_code == 2


def test_a_broken_file_of_variants_does_not_hide_mistakes_in_cases(tmp_path: Path) -> None:
    folder = write(tmp_path, poster=CASE.replace('"713x1280"', '"1"'), variants="[base\n")
    assert [line.split(":")[0] for line in mistakes_of(folder)] == ["not TOML", "resolutions[0].size"]


@pytest.mark.parametrize("folder", ["", "cases"])
def test_a_folder_without_variants_names_the_command_that_makes_a_project(tmp_path: Path, folder: str) -> None:
    with pytest.raises(CaseError) as caught:
        load_suite(tmp_path / folder)
    what = "no such folder:" if folder else "no variants.toml in"
    remedy = "`qiltest init FOLDER` makes a project with one"
    assert str(caught.value) == f"{what} {tmp_path / folder}/\n  -> {remedy}"


def test_noise_floors_beside_the_cases_are_no_cases_and_nothing_else_hides_there(tmp_path: Path) -> None:
    folder = write(tmp_path, poster=CASE)
    (folder / "floors").mkdir()
    (folder / "floors" / "poster.json").write_text("{}")
    assert [case.id for case in load_suite(folder).cases] == ["poster"]
    (folder / "floors" / "lost.toml").write_text(CASE)
    assert mistakes_of(folder) == ["a file that is not read; allowed: *.json, one per case"]


def test_a_folder_without_cases_is_an_error(tmp_path: Path) -> None:
    assert mistakes_of(write(tmp_path)) == ["no case found; allowed: a folder with one TOML file per case"]
    with pytest.raises(CaseFileError, match="no such folder"):
        load_cases(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["poster.tml", "poster.TOML", "poster.yaml", "more/"])
def test_a_file_that_would_be_passed_over_is_named(tmp_path: Path, name: str) -> None:
    stray = write(tmp_path, poster=CASE) / name
    if name.endswith("/"):
        stray.mkdir()
    else:
        stray.touch()
    with pytest.raises(CaseFileError) as caught:
        load_suite(tmp_path)
    assert [mistake.path for mistake in caught.value.mistakes] == [tmp_path / name.rstrip("/")]


def test_a_readme_and_an_editors_backup_are_passed_over(tmp_path: Path) -> None:
    folder = write(tmp_path, poster=CASE)
    for name in ("README.md", ".poster.toml.swp", "poster.toml~"):
        (folder / name).touch()
    assert len(load_suite(folder).cases) == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"a = " + b"9" * 5000, "not TOML: Exceeds the limit"),
        (b"a = " + b"[" * 100_000, "not TOML: "),
        (b"a = 2025-02-30", "not TOML: "),
        (b"a = 1\na = 2\n", "not TOML: Cannot overwrite a value (at line 2"),
    ],
    ids=["not UTF-8", "a huge number", "deep nesting", "no such day", "a key twice"],
)
def test_a_file_that_cannot_be_parsed_is_a_mistake_like_others(tmp_path: Path, content: bytes, expected: str) -> None:
    folder = write(tmp_path, poster=CASE)
    (folder / "odd.toml").write_bytes(content)
    (mistake,) = mistakes_of(folder)
    assert mistake.startswith(expected)


def test_variants_are_not_asked_for_when_cases_are_loaded_alone(tmp_path: Path) -> None:
    folder = write(tmp_path, poster=CASE.replace('variant = "base"', 'variant = "mine"'))
    (folder / "variants.toml").unlink()
    assert [case.id for case in load_cases(folder)] == ["poster"]


KEYS = [*CaseTable.model_fields, "text", "vertical", "optional_marks", "size", "tiny", "report", "variant", "passes"]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["16x16", "😊"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


# The first draw builds tables of Unicode, which takes seconds on a fresh machine.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(raw=st.dictionaries(st.sampled_from([*KEYS, "noise_floor", "x y"]), VALUES))
def test_whatever_a_table_holds_the_check_ends_in_mistakes_and_never_in_a_crash(raw: dict[str, Any]) -> None:
    known = Known(variants=["base"], languages=["en"], look_alikes=["O/0"])
    found = check_shape(CaseTable, raw, Path("x.toml"))
    others = list(check_case(raw, Path("x.toml"), known))
    assert all(isinstance(mistake, Mistake) and str(mistake) for mistake in (*found, *others))
